# SPDX-License-Identifier: Apache-2.0
"""The async face: `connect_async`, `AsyncTransport`, `AsyncSession`, `AsyncCall`, on asyncio and trio.

Structured: every task belongs to the transport's task group, so leaving its ``async with`` block leaves
nothing behind. No threads, but for legacy websockets, which have one each while they live.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc

from .adapter import Adapter, Exchange, Invocation, Turn
from .commands import (
    Closed,
    CloseStream,
    CloseWebSocket,
    Command,
    Ending,
    OpenStream,
    OpenWebSocket,
    Response,
    SendRequest,
    SendText,
    WakeAt,
)
from .config import AppConfig, Endpoint
from .driver import (
    App,
    CallOptions,
    Deadlines,
    Options,
    expired,
    internal_failure,
    is_event_stream,
    new_session_hash,
    outcome,
)
from .engines.base import AsyncEngine, AsyncResponseStream, AsyncWebSocket, HandshakeRefused, StreamEnded
from .errors import (
    GradioTransportError,
    LocalProtocolError,
    Phase,
    SlowConsumer,
    StreamLost,
    Timeout,
    TransportError,
)
from .events import Achieved, Cancelled, Event, Failed, Heartbeat, Joined
from .flow import State
from .mailbox import Mailbox
from .policy import Timeouts
from .wire import Wire

logger = logging.getLogger(__name__)


class AsyncCall:
    """One call under way: iterate it for events, or await its result; see `gradio_transport.sync.Call`."""

    def __init__(self, runner: _Runner, exchange: Exchange, timeouts: Timeouts) -> None:
        self._runner = runner
        self._exchange = exchange
        self._changed = anyio.Event()
        limits = exchange.context.limits
        self._mailbox = Mailbox(limits.mailbox_bytes, limits.mailbox_policy)
        self._outcome: Event | None = None
        self._callbacks: list[Callable[[AsyncCall], object]] = []
        self._deadlines = Deadlines(timeouts, time.monotonic)
        self._scope: anyio.CancelScope | None = None

    @property
    def endpoint(self) -> Endpoint:
        """What is called."""
        return self._exchange.invocation.endpoint

    @property
    def event_id(self) -> str | None:
        """The server's name for the call, once it has one."""
        return self._exchange.event_id

    @property
    def session_hash(self) -> str:
        """The session it belongs to."""
        return self._exchange.context.session_hash

    @property
    def adapter(self) -> str:
        """The protocol it goes by."""
        return self._runner.wire.adapter

    @property
    def status(self) -> State:
        """Where it stands."""
        return self._exchange.state

    @property
    def last_event(self) -> Event | None:
        """The newest event that has come, read or not."""
        return self._exchange.last_event

    @property
    def deviations(self) -> Sequence[str]:
        """What came out of the order of the flow: no error, but worth a look when debugging a server."""
        return tuple(self._exchange.deviations)

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self._outcome is not None

    def add_done_callback(self, callback: Callable[[AsyncCall], object]) -> None:
        """Call `callback` with this call once it is done, from the task that learns of it."""
        if self._outcome is None:
            self._callbacks.append(callback)
        else:
            self._run_callback(callback)

    def _run_callback(self, callback: Callable[[AsyncCall], object]) -> None:
        try:
            callback(self)
        except Exception:
            logger.exception("a done callback of %s failed", self.endpoint.display_name)

    def _deliver(self, event: Event, size: int) -> SlowConsumer | None:
        """Take an event from whoever drives the session; return the error if the mailbox refuses it."""
        if isinstance(event, Joined):
            self._deadlines.accepted()
        elif not isinstance(event, Heartbeat):
            self._deadlines.heard()
        self._mailbox.put(event, size)
        if event.terminal and self._outcome is None:
            self._outcome = event
            callbacks, self._callbacks = self._callbacks, []
            for callback in callbacks:
                self._run_callback(callback)
        self._changed.set()
        return self._mailbox.overflow

    async def _wait(self, ready: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until `ready`, and return whether it is. An expired deadline of the call ends the call."""
        give_up = None if timeout is None else time.monotonic() + timeout
        while not ready():
            until = min((x for x in (give_up, self._deadlines.next) if x is not None), default=None)
            if self._changed.is_set():  # never replace one that somebody else may be waiting for
                self._changed = anyio.Event()
            if until is None:
                await self._changed.wait()
                continue
            with anyio.move_on_after(until - time.monotonic()):
                await self._changed.wait()
                continue
            knob = self._deadlines.knob()
            if knob is not None:
                await self._runner.expire(self, expired(*knob, self._exchange))
                self._deadlines = Deadlines(Timeouts(), time.monotonic)
            elif give_up is not None and time.monotonic() >= give_up:
                return ready()
        return True

    # An iterator of its own, not a generator: leaving the loop early then leaves nothing to be cleaned up.
    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        await self._wait(lambda: len(self._mailbox) > 0 or self._outcome is not None, None)
        event = self._mailbox.get()
        if event is None:
            raise StopAsyncIteration
        if isinstance(event, Failed):
            raise event.error
        return event

    def __await__(self) -> Generator[Any, Any, list[Any]]:
        return self.result().__await__()

    async def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for the outputs; see `gradio_transport.sync.Call.result`."""
        if not await self._wait(lambda: self._outcome is not None, timeout):
            raise Timeout(
                f"No result within {timeout} s; the call goes on ({self.status.value}).",
                knob="timeout",
                seconds=timeout,
                phase=Phase.STREAM,
                adapter=self.adapter,
                may_have_run=self._exchange.accepted,
            )
        assert self._outcome is not None
        return outcome(self._outcome)

    async def cancel(self) -> Achieved:
        """Give the call up here at once, and tell the server; see `gradio_transport.sync.Call.cancel`."""
        await self._runner.cancel(self)
        end = self._outcome
        return end.achieved if isinstance(end, Cancelled) else Achieved.UNKNOWN


class _Runner:
    """Drives one session: performs its commands and feeds what comes of them."""

    def __init__(self, core: _Core, wire: Wire) -> None:
        self._core = core
        self.wire = wire
        self._calls: dict[str, AsyncCall] = {}
        self._live: dict[str, AsyncResponseStream | AsyncWebSocket] = {}
        self._wakes: dict[str, WakeAt] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._closed = False

    @property
    def usable(self) -> bool:
        """Whether it takes new calls."""
        return self.wire.machine.usable and not self._closed

    # --- calls ---------------------------------------------------------------------------------------

    def begin(self, invocation: Invocation, timeouts: Timeouts) -> tuple[AsyncCall, list[Command]]:
        """Open and start a call; return it with the first commands."""
        exchange = self.wire.open(invocation)
        call = AsyncCall(self, exchange, timeouts)
        self._calls[exchange.key] = call
        return call, self._deliver(self.wire.start(exchange))

    async def cancel(self, call: AsyncCall) -> None:
        """Cancel a call and tell the server."""
        commands = self._deliver(self.wire.cancel(call._exchange))
        await self.perform(commands)

    async def expire(self, call: AsyncCall, error: GradioTransportError) -> None:
        """End a call whose deadline is over."""
        await self.perform(self._deliver(self.wire.abandon(call._exchange, error)))

    def _deliver(self, turn: Turn) -> list[Command]:
        """Hand events to their calls, and return the commands."""
        commands = turn.commands
        for delivery in turn.deliveries:
            exchange = delivery.exchange
            call = self._calls.get(exchange.key)
            if call is None:
                continue
            overflow = call._deliver(delivery.event, delivery.size)
            if delivery.event.terminal:
                del self._calls[exchange.key]
            elif overflow is not None:
                commands = [*commands, *self._deliver(self.wire.abandon(exchange, overflow))]
        return commands

    # --- commands ------------------------------------------------------------------------------------

    async def perform(self, commands: Iterable[Command]) -> None:
        """Perform commands, and those that come of them, until none is left."""
        waiting = deque(commands)
        while waiting:
            waiting.extend(await self._perform(waiting.popleft()))

    async def _perform(self, command: Command) -> Sequence[Command]:
        match command:
            case SendRequest():
                return await self._send(command)
            case OpenStream():
                if self.wire.machine.shared:
                    self._core.spawn(self.guarded, self._read_stream, command)
                    return ()
                return await self._read_stream(command)
            case OpenWebSocket():
                return await self._read_websocket(command)
            case SendText():
                live = self._live.get(command.channel)
                if live is not None:
                    await live.send(command.text)  # type: ignore[union-attr]  # a failure shows at receive
                return ()
            case CloseStream() | CloseWebSocket():
                self._drop(command.channel)
                return ()
            case WakeAt():
                return await self._sleep(command)

    def _feed(self, step: Callable[..., Turn], *arguments: Any) -> Sequence[Command]:
        return self._deliver(step(*arguments))

    async def _send(self, command: SendRequest) -> Sequence[Command]:
        call = self._call(command.channel)
        timeouts = call._deadlines.timeouts if call else self._core.app.options.timeouts
        remaining = call._deadlines.remaining if call else None
        try:
            response = await self._core.request(command, timeouts, remaining)
        except TransportError as error:
            return self._feed(self.wire.failed, command, error)
        except GradioTransportError as error:
            return self._feed(self.wire.abandon, call._exchange, error) if call else ()
        return self._feed(self.wire.reply, command, response)

    def _call(self, channel: str) -> AsyncCall | None:
        return self._calls.get(channel.partition(".")[0])

    async def _sleep(self, command: WakeAt) -> Sequence[Command]:
        """Wait for the time of a wake, or the end of its call, whichever comes first."""
        call = self._call(command.channel)
        if call is None:
            return ()
        if command.channel in self._live:
            # Whoever reads the socket wakes it too: nothing may come unread meanwhile.
            self._wakes[command.channel] = command
            return ()
        delay = max(0.0, command.when - time.monotonic())
        if await call._wait(lambda: call._outcome is not None, delay):
            return ()
        return self._feed(self.wire.wake, command.channel)

    # --- streams and sockets -------------------------------------------------------------------------

    def _drop(self, channel: str) -> None:
        self._live.pop(channel, None)
        scope = self._scopes.pop(channel, None)
        if scope is not None:
            scope.cancel()

    async def _read_stream(self, command: OpenStream) -> Sequence[Command]:
        """Open a stream and feed it to its end, performing what comes of it on the way."""
        channel = command.channel
        call = self._call(channel)
        timeouts = call._deadlines.timeouts if call else self._core.app.options.timeouts
        remaining = call._deadlines.remaining if call else None
        request = self._core.app.dressed(command.request)
        closed = Closed(Ending.LOCAL)
        with anyio.CancelScope() as scope:
            self._scopes[channel] = scope
            try:
                patience = self._core.app.patience(command, timeouts, remaining)
                stream = await self._core.engine.stream(request, patience)
            except TransportError as error:
                return self._feed(self.wire.failed, command, error)
            try:
                self._core.app.credentials.store(request.url, stream.head.set_cookie)
                if not is_event_stream(stream.head):
                    return await self._refuse(command, stream)
                self._live[channel] = stream
                await self.perform(self._feed(self.wire.stream_opened, channel, stream.head))
                closed = await self._pump(channel, stream)
            finally:
                self._live.pop(channel, None)
                if self._scopes.get(channel) is scope:
                    del self._scopes[channel]
                await stream.aclose()
        return self._feed(self.wire.closed, channel, closed)

    async def _refuse(self, command: OpenStream, stream: AsyncResponseStream) -> Sequence[Command]:
        try:
            body = await stream.read()
        except GradioTransportError as error:
            body = error.message.encode()
        head = stream.head
        return self._feed(
            self.wire.reply, command, Response(head.status, head.headers, body, head.url, head.set_cookie)
        )

    async def _pump(self, channel: str, stream: AsyncResponseStream) -> Closed:
        try:
            # Never left early: a dropped stream ends by cancellation at its next read, so that the generators
            # of the HTTP library end too.
            async for chunk in stream.chunks():
                await self.perform(self._feed(self.wire.data_received, channel, chunk))
        except StreamEnded as error:
            return error.closed
        return Closed(Ending.CLEAN)

    async def _read_websocket(self, command: OpenWebSocket) -> Sequence[Command]:
        channel, app = command.channel, self._core.app
        call = self._call(channel)
        timeouts = call._deadlines.timeouts if call else app.options.timeouts
        remaining = call._deadlines.remaining if call else None
        headers = app.credentials.for_url(command.url, command.headers)
        closed = Closed(Ending.LOCAL)
        with anyio.CancelScope() as scope:
            self._scopes[channel] = scope
            try:
                patience = app.patience(command, timeouts, remaining)
                most = app.options.limits.max_event_bytes
                socket = await self._core.engine.websocket(command.url, headers, patience, most)
            except HandshakeRefused as refused:
                return self._feed(self.wire.reply, command, refused.response)
            except TransportError as error:
                return self._feed(self.wire.failed, command, error)
            self._live[channel] = socket
            try:
                await self.perform(self._feed(self.wire.websocket_opened, channel))
                closed = await self._converse(channel, socket)
            finally:
                self._live.pop(channel, None)
                if self._scopes.get(channel) is scope:
                    del self._scopes[channel]
                await socket.abort()
        return self._feed(self.wire.closed, channel, closed)

    async def _converse(self, channel: str, socket: AsyncWebSocket) -> Closed:
        while channel in self._live:
            wake = self._wakes.get(channel)
            text = await socket.receive(None if wake is None else max(0.0, wake.when - time.monotonic()))
            if isinstance(text, Closed):
                return text
            if text is None and wake is not None:
                del self._wakes[channel]
                await self.perform(self._feed(self.wire.wake, channel))
            elif text is not None:
                await self.perform(self._feed(self.wire.text_received, channel, text))
        return Closed(Ending.LOCAL)

    # --- faults and the end --------------------------------------------------------------------------

    async def drive(self, call: AsyncCall, commands: Sequence[Command]) -> None:
        """Perform a call's commands in a task of its own."""
        await self.guarded(self._perform_all, commands)

    async def _perform_all(self, commands: Sequence[Command]) -> Sequence[Command]:
        await self.perform(commands)
        return ()

    async def guarded(self, work: Callable[[Any], Any], argument: Any) -> None:
        """Do work of a task of ours; a fault in it ends the session's calls instead of the task group."""
        try:
            await self.perform(await work(argument))
        except Exception as error:
            if not self._closed:
                logger.exception("the session %s failed", self.wire.number)
                self.fail(internal_failure(error))

    def fail(self, error: GradioTransportError) -> None:
        """End every call under way with an error of its own."""
        for call in list(self._calls.values()):
            own = type(error)(error.message, phase=error.phase, may_have_run=error.may_have_run)
            own.__cause__ = error.__cause__
            for command in self._deliver(self.wire.abandon(call._exchange, own)):
                if isinstance(command, CloseStream | CloseWebSocket):
                    self._drop(command.channel)

    def close(self, reason: str) -> None:
        """Stop: end the calls under way and drop the streams."""
        already, self._closed = self._closed, True
        if not already:
            self.fail(LocalProtocolError(reason, may_have_run=True))
        for channel in list(self._scopes):
            self._drop(channel)


class _Core:
    """What all sessions of a transport share."""

    def __init__(self, app: App, engine: AsyncEngine) -> None:
        self.app = app
        self.engine = engine
        self.closed = False
        self.tasks: anyio.abc.TaskGroup | None = None
        self._runners: set[_Runner] = set()

    def spawn(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Do work in a task of the transport."""
        if self.tasks is None or self.closed:
            raise LocalProtocolError("The transport is closed, or not yet entered with 'async with'.")
        self.tasks.start_soon(work, *arguments)

    async def request(
        self, command: SendRequest, timeouts: Timeouts, remaining: float | None = None
    ) -> Response:
        """Send one request with what its origin may see; repeat it once if that is safe and it broke."""
        request = self.app.dressed(command.request)
        patience = self.app.patience(command, timeouts, remaining)
        try:
            response = await self.engine.request(request, patience)
        except StreamLost:
            if not command.idempotent or self.closed:
                raise
            response = await self.engine.request(request, patience)
        self.app.credentials.store(request.url, response.set_cookie)
        return response

    async def discover(self) -> None:
        """Run the handshake."""
        sequence = self.app.handshake()
        try:
            command = next(sequence)
            while True:
                self.app.taps.command(command, 0)
                response = await self.request(command, self.app.options.timeouts)
                self.app.taps.response(command.channel, 0, response)
                self.app.credentials.rebind(response.url or command.request.url)
                command = sequence.send(response)
        except StopIteration as stop:
            self.app.discovery = stop.value

    def runner(self, adapter: Adapter, session_hash: str) -> _Runner:
        """Return a driver for a new session."""
        if self.closed:
            raise LocalProtocolError("The transport is closed.")
        runner = _Runner(self, self.app.wire(adapter, session_hash))
        self._runners.add(runner)
        return runner

    def discard(self, runner: _Runner) -> None:
        """Forget a session."""
        self._runners.discard(runner)

    async def close(self) -> None:
        """Close everything."""
        if self.closed:
            return
        self.closed = True
        for runner in list(self._runners):
            runner.close("The transport was closed while the call was under way.")
        with anyio.CancelScope(shield=True):
            await self.engine.aclose()


class AsyncSession:
    """One ``session_hash``: its calls share gr.State, and where the protocol has one, a stream."""

    def __init__(self, core: _Core) -> None:
        self._core = core
        self._runners: dict[str, _Runner] = {}
        self._closed = False
        self.session_hash = new_session_hash()

    def submit(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> AsyncCall:
        """Start a call in a task of the transport; see `gradio_transport.sync.Session.submit`."""
        call, commands, runner = self._begin(endpoint, arguments, keywords, options)
        self._core.spawn(runner.drive, call, commands)
        return call

    async def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint and return its output values. Cancelling the task cancels the call upstream.

        Raises:
            AppError: The app's function raised.
            GradioTransportError: The call failed, in whatever way its type says.
        """
        call, commands, runner = self._begin(endpoint, arguments, keywords, options)
        try:
            await runner.drive(call, commands)
            return await call.result()
        except BaseException:
            if not call.done():
                with anyio.CancelScope(shield=True):
                    await call.cancel()
            raise

    def _begin(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions | Any,
    ) -> tuple[AsyncCall, list[Command], _Runner]:
        if options is not None and not isinstance(options, CallOptions):
            keywords["options"] = options
            options = None
        options = options or CallOptions()
        adapter, invocation = self._core.app.prepare(endpoint, arguments, keywords, options)
        timeouts = options.timeouts or self._core.app.options.timeouts
        runner = self._runner(adapter)
        call, commands = runner.begin(invocation, timeouts)
        return call, commands, runner

    def _runner(self, adapter: Adapter) -> _Runner:
        if self._closed:
            raise LocalProtocolError("The session is closed.")
        runner = self._runners.get(adapter.name)
        if runner is not None and not runner.usable:
            self._core.discard(runner)
            runner.close("The session's stream was lost.")
            self.session_hash = new_session_hash()
            runner = None
        if runner is None:
            runner = self._runners[adapter.name] = self._core.runner(adapter, self.session_hash)
        return runner

    def close(self) -> None:
        """End the session's calls and close its stream. Idempotent."""
        self._closed = True
        runners, self._runners = list(self._runners.values()), {}
        for runner in runners:
            runner.close("The session was closed while the call was under way.")
            self._core.discard(runner)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncTransport:
    """An app, to be connected by ``async with``."""

    def __init__(self, source: str, options: Options, engine: AsyncEngine | None = None) -> None:
        self._app = App(source, options)
        self._engine = engine
        self._entered: tuple[_Core, AsyncSession] | None = None
        self._stack = AsyncExitStack()

    @property
    def _core(self) -> _Core:
        return self._parts()[0]

    def _parts(self) -> tuple[_Core, AsyncSession]:
        if self._entered is None:
            raise LocalProtocolError("The transport is not connected: use it as 'async with ... as app'.")
        return self._entered

    @property
    def config(self) -> AppConfig:
        """What the app said of itself."""
        return self._app.config

    @property
    def url(self) -> str:
        """Where requests go."""
        return self._app.discovery.urls.base

    @property
    def protocol(self) -> str:
        """The adapter that most of the app's calls go by, such as ``"sse_v3"``."""
        return self._app.protocol

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The app's named endpoints."""
        return self.config.named

    @property
    def session_hash(self) -> str:
        """The hash of the transport's own session."""
        return self._parts()[1].session_hash

    def explain(self, endpoint: str | int | None = None) -> str:
        """Return why each endpoint (or one) goes by its protocol, as a text for people."""
        return self._app.explain(endpoint)

    def session(self) -> AsyncSession:
        """Return a session of its own: gr.State kept apart, and a stream of its own."""
        return AsyncSession(self._core)

    def submit(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> AsyncCall:
        """Start a call in the transport's own session; see `AsyncSession.submit`."""
        return self._parts()[1].submit(endpoint, *arguments, options=options, **keywords)

    async def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint in the transport's own session; see `AsyncSession.call`."""
        return await self._parts()[1].call(endpoint, *arguments, options=options, **keywords)

    async def aclose(self) -> None:
        """End the calls under way, and every task and connection. Idempotent."""
        if self._entered is None:
            return
        core = self._entered[0]
        await core.close()
        if core.tasks is not None:
            core.tasks.cancel_scope.cancel()

    async def __aenter__(self) -> Self:
        if self._entered is not None:
            raise LocalProtocolError("The transport was entered twice.")
        engine = self._engine
        if engine is None:
            from .engines.httpx_async import AsyncHTTPXEngine

            engine = AsyncHTTPXEngine(self._app.options.http)
        core = _Core(self._app, engine)
        try:
            await core.discover()
        except BaseException as error:
            await core.close()
            if isinstance(error, GradioTransportError):
                error.add_note(f"Last frames of the discovery:\n{self._app.taps.note(0)}")
            raise
        tasks = anyio.create_task_group()
        await tasks.__aenter__()
        core.tasks = tasks
        self._entered = core, AsyncSession(core)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._entered is not None
        core = self._entered[0]
        await self.aclose()
        assert core.tasks is not None
        # The block's own exception is not shown to the group, which would wrap it in an ExceptionGroup; our
        # tasks never raise one.
        await core.tasks.__aexit__(None, None, None)

    def __del__(self) -> None:
        entered = getattr(self, "_entered", None)
        if entered is not None and not entered[0].closed:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        state = "open" if self._entered is not None and not self._entered[0].closed else "closed"
        return f"<AsyncTransport {self._app.base} {state}>"
