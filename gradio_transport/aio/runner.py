# SPDX-License-Identifier: Apache-2.0
"""Performs a session's commands by tasks of the transport's task group, and feeds back what comes of them."""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import aclosing, nullcontext
from typing import Any, TypeAlias, TypeVar, cast
from urllib.parse import urlsplit

import anyio
import anyio.abc
import anyio.to_thread
import attrs

from ..adapter import Adapter, Invocation, Turn
from ..commands import (
    Closed,
    CloseStream,
    CloseWebSocket,
    Command,
    Ending,
    OpenStream,
    OpenWebSocket,
    Request,
    Response,
    SendRequest,
    SendText,
    WakeAt,
)
from ..credentials import Credentials
from ..disk import read_upload
from ..driver import (
    App,
    CallOptions,
    Deadlines,
    Retries,
    SessionState,
    check_addresses,
    closed_under_way,
    expired,
    heartbeat_pauses,
    input_content,
    input_request,
    internal_failure,
    is_event_stream,
    renewable,
    timed,
)
from ..engines.base import (
    AsyncEngine,
    AsyncResponseStream,
    AsyncWebSocket,
    HandshakeRefused,
    Patience,
    StreamEnded,
)
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    Phase,
    TransportError,
)
from ..events import Achieved, Cancelled, Failed
from ..files import FetchFile, FileCommand, FileReply, ReadFile, locate, unavailable
from ..handshake import login
from ..policy import Timeouts
from ..refusals import wants_login
from ..wire import Wire
from .call import AsyncCall
from .files import Fetcher

logger = logging.getLogger(__name__)

T = TypeVar("T")

Begin: TypeAlias = list[Command] | Generator[FileCommand, Any, Invocation]
"""What is to be done for a call: its first commands, or before those the way its files take to the app."""

CLOSE_SECONDS = 1.0
"""What closing the connections may take, whatever time is left."""

REQUESTS_AT_ONCE = 32
"""Joins, polls and cancellations under way at once: a thousand new connections in one moment would swamp the
server's accept queue, and the pool."""


class Runner:
    """Drives one session: performs its commands and feeds what comes of them."""

    def __init__(self, core: Core, wire: Wire, state: SessionState) -> None:
        self._core = core
        self._state = state
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

    def begin(
        self, invocation: Invocation, options: CallOptions, deadlines: Deadlines
    ) -> tuple[AsyncCall, Begin]:
        """Open a call, and start it if no files are to be brought to the app first."""
        app = self._core.app
        exchange = self.wire.open(invocation)
        files = app.file_reader(invocation.endpoint, Fetcher(self._core, self._state.credentials).file)
        call = AsyncCall(self, exchange, options, deadlines, files)
        self._calls[exchange.key] = call
        placing = app.placing(invocation, options.upload_progress)
        self._plan_fetch(call)
        return call, self._deliver(self.wire.start(exchange)) if placing is None else placing

    def begin_again(self, call: AsyncCall) -> list[Command]:
        """Start another try of a call."""
        exchange = self.wire.open(call._invocation_again)
        call._again_by(self, exchange)
        self._calls[exchange.key] = call
        self._plan_fetch(call)
        return self._deliver(self.wire.start(exchange))

    def _plan_fetch(self, call: AsyncCall) -> None:
        when = call._fetch_at()
        if when is not None:
            self._core.spawn(self._fetch_at, call, when)

    async def _fetch_at(self, call: AsyncCall, when: float) -> None:
        exchange = call._exchange
        over = await call._wait(when - time.monotonic())
        if not over and call._exchange is exchange:
            self.fetch(call)

    def fetch(self, call: AsyncCall) -> None:
        """Open the stream of a call that was joined without one; never waits."""
        exchange = call._exchange
        if exchange.fetched or self._calls.get(exchange.key) is not call:
            return
        commands = self._deliver(self.wire.fetch(exchange))
        call._listening()
        self._aside(commands)

    def _aside(self, commands: Sequence[Command]) -> None:
        """Perform commands in a task of the transport."""
        if commands:
            self._core.spawn(self.guarded, self._perform_all, commands)

    async def send(self, call: AsyncCall, invocation: Invocation) -> None:
        """Send the next chunk of a call's streaming input."""
        placing = self._core.app.placing(invocation)
        if placing is not None:
            invocation = await self._core.run(placing, call._deadlines.timeouts, self._state.credentials)
        await self.perform(self._feed(self.wire.send, call._exchange, invocation.data))

    async def finish_input(self, call: AsyncCall) -> None:
        """Say that no further chunk will come."""
        await self.perform(self._feed(self.wire.finish_input, call._exchange))

    async def cancel(self, call: AsyncCall) -> None:
        """Cancel a call and tell the server."""
        if call._between:
            call._deliver(Cancelled(event_id=call.event_id, achieved=Achieved.UNKNOWN), 0)
            return
        commands = self._deliver(self.wire.cancel(call._exchange))
        await self.perform(commands)

    async def expire(self, call: AsyncCall, error: GradioTransportError) -> None:
        """End a call whose deadline is over."""
        if call._between:
            call._deliver(Failed(event_id=call.event_id, error=error), 0)
            return
        tell = call._deadlines.timeouts.cancel_on_expiry
        commands = self._deliver(self.wire.abandon(call._exchange, error, tell=tell))
        await self.perform(command for command in commands if not isinstance(command, SendRequest))
        if not self._core.closed:
            self._aside([command for command in commands if isinstance(command, SendRequest)])

    async def _repeat(self, call: AsyncCall, pause: float) -> None:
        """Submit a call again after a pause."""
        assert call._resubmit is not None
        try:
            if not await call._wait(pause):
                await call._resubmit(call)
        except anyio.get_cancelled_exc_class():
            if call._between and not call.done():
                reason = "The transport was closed before the call could be submitted again."
                error = LocalProtocolError(reason, may_have_run=True)
                call._deliver(Failed(event_id=call.event_id, error=error), 0)
            raise

    def _deliver(self, turn: Turn) -> list[Command]:
        """Hand events to their calls, and return the commands."""
        commands = turn.commands
        for delivery in turn.deliveries:
            exchange = delivery.exchange
            call = self._calls.get(exchange.key)
            if call is None:
                continue
            self._state.rendered(delivery.event)
            pause = None if self._core.closed else call._repeated_after(delivery.event)
            if pause is not None and isinstance(delivery.event, Failed):
                del self._calls[exchange.key]
                call._deliver(call._between_tries(delivery.event.error), 0)
                self._core.spawn(self._repeat, call, pause)
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
            response = await self._core.request(
                command,
                timeouts,
                remaining,
                credentials=self._state.credentials,
                extra=call.headers if call else None,
            )
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
        if await call._wait(delay):
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
        closed = Closed(Ending.LOCAL)
        with anyio.CancelScope() as scope:
            self._scopes[channel] = scope
            try:
                patience = self._core.app.patience(command, timeouts, remaining)
                stream = await self._open_stream(command, patience, call.headers if call else None)
            except TransportError as error:
                return self._feed(self.wire.failed, command, error)
            except GradioTransportError as error:  # the login that a 401 asked for was refused
                return self._feed(self.wire.abandon, call._exchange, error) if call else ()
            try:
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
        return await self._closed_by(channel, closed)

    async def _closed_by(self, channel: str, closed: Closed) -> Sequence[Command]:
        """Feed the end of a stream or socket; silence up to a deadline of the call is that expiry."""
        call = self._call(channel)
        knob = call._deadlines.knob() if call is not None and closed.ending is Ending.IDLE else None
        if call is not None and knob is not None:
            await self.expire(call, expired(*knob, call._exchange))
        return self._feed(self.wire.closed, channel, closed)

    async def _open_stream(
        self, command: OpenStream, patience: Patience, extra: Mapping[str, str] | None
    ) -> AsyncResponseStream:
        """Open a stream, logging in again if that is what the server wants."""
        core, credentials = self._core, self._state.credentials
        logins = core.app.logins
        while True:
            request = core.app.dressed(command.request, credentials, extra)
            stream = await core.engine.stream(request, patience)
            credentials.store(request.url, stream.head.set_cookie)
            if not wants_login(stream.head) or not await core.log_in_again(logins):
                return stream
            await stream.aclose()
            logins = -1  # once

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
                commands = self._feed(self.wire.data_received, channel, chunk)
                if commands:
                    await self.perform(commands)
        except StreamEnded as error:
            return error.closed
        return Closed(Ending.CLEAN)

    async def _read_websocket(self, command: OpenWebSocket) -> Sequence[Command]:
        channel, app = command.channel, self._core.app
        call = self._call(channel)
        timeouts = call._deadlines.timeouts if call else app.options.timeouts
        remaining = call._deadlines.remaining if call else None
        closed = Closed(Ending.LOCAL)
        with anyio.CancelScope() as scope:
            self._scopes[channel] = scope
            try:
                patience = app.patience(command, timeouts, remaining)
                socket = await self._open_websocket(command, patience, call.headers if call else None)
            except HandshakeRefused as refused:
                return self._feed(self.wire.reply, command, refused.response)
            except TransportError as error:
                return self._feed(self.wire.failed, command, error)
            except GradioTransportError as error:  # the login that a refusal asked for was refused
                return self._feed(self.wire.abandon, call._exchange, error) if call else ()
            self._live[channel] = socket
            try:
                await self.perform(self._feed(self.wire.websocket_opened, channel))
                closed = await self._converse(channel, socket)
            finally:
                self._live.pop(channel, None)
                if self._scopes.get(channel) is scope:
                    del self._scopes[channel]
                await socket.abort()
        return await self._closed_by(channel, closed)

    async def _open_websocket(
        self, command: OpenWebSocket, patience: Patience, extra: Mapping[str, str] | None
    ) -> AsyncWebSocket:
        """Open a websocket, logging in again if that is what the server wants."""
        core, most = self._core, self._core.app.options.limits.max_event_bytes
        logins = core.app.logins
        while True:
            headers = self._state.credentials.for_url(command.url, command.headers, extra)
            try:
                return await core.engine.websocket(command.url, headers, patience, most)
            except HandshakeRefused as refused:
                # A handshake without a valid cookie is closed before it is accepted: 403 (atlas §3.3).
                if refused.response.status not in (401, 403) or not await core.log_in_again(logins):
                    raise
            logins = -1  # once

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

    async def drive(self, call: AsyncCall, begun: Begin) -> None:
        """Perform a call's commands in a task of its own, once its files are where they belong."""
        if isinstance(begun, Generator):
            try:
                placed = await self._core.run(begun, call._deadlines.timeouts, self._state.credentials)
            except GradioTransportError as error:
                self._deliver(self.wire.refuse(call._exchange, error))
                return
            if not call.done():
                call._exchange.invocation = placed
                begun = self._deliver(self.wire.start(call._exchange))
        if call.done():  # given up before anything was sent: nothing need be
            return
        await self.guarded(self._perform_all, begun)

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

    def close(self, error: GradioTransportError) -> None:
        """Stop: end the calls under way with an error, and drop the streams."""
        already, self._closed = self._closed, True
        if not already:
            self.fail(error)
        for channel in list(self._scopes):
            self._drop(channel)


class Heartbeat:
    """Holds a session's ``/heartbeat`` open, so that the server keeps what the session has (atlas §9)."""

    def __init__(self, core: Core, state: SessionState) -> None:
        self.session_hash = state.session_hash
        self._core = core
        self._credentials = state.credentials
        self._command = state.heartbeat()
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Open it, read it, and open it again when it broke."""
        with self._scope:
            for pause in heartbeat_pauses():
                try:
                    if not await self._beat():
                        return
                except GradioTransportError as error:
                    logger.debug("the heartbeat of session %s broke: %s", self.session_hash, error)
                await anyio.sleep(pause)

    async def _beat(self) -> bool:
        """Read the heartbeat to its end; return whether it makes sense to open it again."""
        app = self._core.app
        patience = app.patience(self._command, app.options.timeouts)
        request = app.dressed(self._command.request, self._credentials)
        app.taps.command(self._command, 0)
        stream = await self._core.engine.stream(request, patience)
        app.taps.response("heartbeat", 0, stream.head, head=True)
        try:
            if not is_event_stream(stream.head):
                return False  # a server that has none
            async with aclosing(cast("AsyncGenerator[bytes, None]", stream.chunks())) as chunks:
                async for chunk in chunks:
                    app.taps.chunk("heartbeat", chunk)
        except StreamEnded as ended:
            app.taps.end("heartbeat", ended.closed)
        finally:
            await stream.aclose()
        return True

    def stop(self) -> None:
        """End it."""
        self._scope.cancel()


class Core:
    """What all sessions of a transport share."""

    def __init__(self, app: App, engine: AsyncEngine) -> None:
        self.app = app
        self.engine = engine
        self.closed = False
        self.tasks: anyio.abc.TaskGroup | None = None
        self._ended: anyio.Event | None = None
        self._turns = anyio.CapacityLimiter(REQUESTS_AT_ONCE)
        self._logging_in = anyio.Lock()
        self._runners: set[Runner] = set()

    async def hold(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Hold the transport's tasks, in a group that can end without the caller's block."""
        self._ended = anyio.Event()
        try:
            async with anyio.create_task_group() as self.tasks:
                task_status.started()
                await anyio.sleep_forever()
        finally:
            self._ended.set()

    def spawn(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Do work in a task of the transport."""
        if self.tasks is None or self.closed:
            raise LocalProtocolError("The transport is closed, or not yet entered with 'async with'.")
        self.tasks.start_soon(work, *arguments)

    async def request(
        self,
        command: SendRequest,
        timeouts: Timeouts,
        remaining: float | None = None,
        *,
        credentials: Credentials | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request with what its origin may see; repeat it where that is safe and wanted.

        An expired login is renewed once: what was refused for it was not accepted.
        """
        credentials = credentials or self.app.credentials
        logins = self.app.logins
        response = await self._tried(command, timeouts, remaining, credentials, extra)
        if wants_login(response) and renewable(command) and await self.log_in_again(logins):
            response = await self._tried(command, timeouts, remaining, credentials, extra)
        return response

    async def _tried(
        self,
        command: SendRequest,
        timeouts: Timeouts,
        remaining: float | None,
        credentials: Credentials,
        extra: Mapping[str, str] | None,
    ) -> Response:
        request = self.app.dressed(command.request, credentials, extra)
        until = None if remaining is None else time.monotonic() + remaining
        # A direct call is as long as its function; whatever else is short takes turns.
        turn = nullcontext() if command.phase is Phase.COMPLETE else self._turns
        retries = Retries(self.app.options.retry, command)
        while True:
            patience = self.app.patience(command, timeouts, remaining)
            try:
                async with turn:
                    outcome: Response | TransportError = await self.engine.request(request, patience)
            except TransportError as error:
                outcome = error
            remaining = None if until is None else until - time.monotonic()
            pause = retries.pause(outcome, remaining)
            if pause is None or self.closed:
                break
            await anyio.sleep(pause)
            remaining = None if until is None else until - time.monotonic()
        if isinstance(outcome, TransportError):
            raise outcome
        credentials.store(request.url, outcome.set_cookie)
        return outcome

    async def log_in_again(self, logins: int) -> bool:
        """Log in, unless another task has since `logins` were counted; False: there is no login, or enough.

        Raises:
            AuthenticationRequired: The login is refused now.
        """
        if logins < 0 or self.app.options.auth is None:
            return False
        async with self._logging_in:
            if self.app.logins == logins:
                sequence = login(self.app.discovery.urls.base, self.app.options.auth)
                await self.run(sequence, self.app.options.timeouts)
                self.app.logins += 1
        return True

    async def run(
        self,
        sequence: Generator[FileCommand, Any, T],
        timeouts: Timeouts,
        credentials: Credentials | None = None,
    ) -> T:
        """Run a sequence that belongs to no session's machine, such as an upload."""
        try:
            command = next(sequence)
            while True:
                command = sequence.send(await self._fed(command, timeouts, credentials))
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def _fed(
        self, command: FileCommand, timeouts: Timeouts, credentials: Credentials | None
    ) -> FileReply:
        if isinstance(command, ReadFile):
            return await anyio.to_thread.run_sync(read_upload, command.path)
        if isinstance(command, FetchFile):
            return await self._fetch_input(command, timeouts)
        self.app.taps.command(command, 0)
        response = await self.request(command, timeouts, credentials=credentials)
        self.app.taps.response(command.channel, 0, response)
        return response

    async def _fetch_input(self, command: FetchFile, timeouts: Timeouts) -> bytes:
        """Get what a URL of the caller's holds, for servers that would not; it is shown no credentials."""
        request = input_request(command)
        patience = self.app.patience(request, timeouts)
        sequence = locate(request.request.url, self.app.options.limits.max_redirects)
        wanted = next(sequence)
        while True:
            response = await self.engine.request(wanted, patience)
            try:
                wanted = sequence.send(response)
            except StopIteration:
                return input_content(response, command)

    async def open_file(self, url: str, credentials: Credentials) -> AsyncResponseStream:
        """Begin to fetch a file that the server named; see `gradio_transport.sync.runner.Core.open_file`."""
        logins = self.app.logins
        sequence = locate(url, self.app.options.limits.max_redirects)
        request = next(sequence)
        while True:
            stream = await self._open_file(request, credentials)
            if wants_login(stream.head) and await self.log_in_again(logins):
                logins = -1  # once
                await stream.aclose()
                continue
            try:
                request = sequence.send(stream.head)
            except StopIteration:
                break
            await stream.aclose()
        if stream.head.status in (200, 206):
            return stream
        try:
            body = await stream.read()
        except GradioTransportError:
            body = b""
        finally:
            await stream.aclose()
        raise unavailable(attrs.evolve(stream.head, body=body), request.url)

    async def _open_file(self, request: Request, credentials: Credentials) -> AsyncResponseStream:
        if not self.app.may_fetch(request.url):
            check_addresses(request.url, await addresses(request.url))
        command = OpenStream("file", request, Phase.DOWNLOAD)
        self.app.taps.command(command, 0)
        patience = self.app.patience(command, self.app.options.timeouts)
        stream = await self.engine.stream(self.app.dressed(request, credentials), patience)
        self.app.taps.response("file", 0, stream.head, head=True)
        credentials.store(request.url, stream.head.set_cookie)
        return stream

    async def discover(self) -> None:
        """Run the handshake."""
        with timed():
            await self._discover()

    async def _discover(self) -> None:
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

    def beat(self, state: SessionState) -> Heartbeat:
        """Show the server that a session lives, until told otherwise."""
        beating = Heartbeat(self, state)
        self.spawn(beating.run)
        return beating

    def runner(self, adapter: Adapter, state: SessionState) -> Runner:
        """Return a driver for a new session."""
        if self.closed:
            raise LocalProtocolError("The transport is closed.")
        runner = Runner(self, self.app.wire(adapter, state.session_hash), state)
        self._runners.add(runner)
        return runner

    def discard(self, runner: Runner) -> None:
        """Forget a session."""
        self._runners.discard(runner)

    async def close(self, timeout: float | None = None) -> None:
        """Close everything, and return when no task is left, or `timeout` seconds are over."""
        already, self.closed = self.closed, True
        if not already:
            for runner in list(self._runners):
                runner.close(closed_under_way("transport was closed"))
            if self.tasks is not None:
                self.tasks.cancel_scope.cancel()
        with anyio.move_on_after(timeout, shield=True) as waiting:
            if self._ended is not None:
                await self._ended.wait()
        # Connections are closed even when the tasks took all the time.
        deadline = max(waiting.deadline, anyio.current_time() + CLOSE_SECONDS)
        with anyio.CancelScope(deadline=deadline, shield=True):
            await self.engine.aclose()


async def addresses(url: str) -> list[str]:
    """Return the addresses of a URL's host; none if nobody knows it (the request will say so)."""
    try:
        found = await anyio.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(one[4][0]) for one in found]
