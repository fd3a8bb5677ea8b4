# SPDX-License-Identifier: Apache-2.0
"""Performs a session's commands by tasks of the transport's task group, and feeds back what comes of them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import anyio
import anyio.abc

from ..adapter import Adapter, Invocation, Turn
from ..commands import (
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
from ..driver import (
    App,
    Retries,
    internal_failure,
    is_event_stream,
)
from ..engines.base import AsyncEngine, AsyncResponseStream, AsyncWebSocket, HandshakeRefused, StreamEnded
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    Phase,
    TransportError,
)
from ..policy import Timeouts
from ..wire import Wire
from .call import AsyncCall

logger = logging.getLogger(__name__)

REQUESTS_AT_ONCE = 32
"""Joins, polls and cancellations under way at once: a thousand new connections in one moment would swamp the
server's accept queue, and the pool."""


class Runner:
    """Drives one session: performs its commands and feeds what comes of them."""

    def __init__(self, core: Core, wire: Wire) -> None:
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


class Core:
    """What all sessions of a transport share."""

    def __init__(self, app: App, engine: AsyncEngine) -> None:
        self.app = app
        self.engine = engine
        self.closed = False
        self.tasks: anyio.abc.TaskGroup | None = None
        self._turns = anyio.CapacityLimiter(REQUESTS_AT_ONCE)
        self._runners: set[Runner] = set()

    def spawn(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Do work in a task of the transport."""
        if self.tasks is None or self.closed:
            raise LocalProtocolError("The transport is closed, or not yet entered with 'async with'.")
        self.tasks.start_soon(work, *arguments)

    async def request(
        self, command: SendRequest, timeouts: Timeouts, remaining: float | None = None
    ) -> Response:
        """Send one request with what its origin may see; repeat it where that is safe and wanted."""
        request = self.app.dressed(command.request)
        patience = self.app.patience(command, timeouts, remaining)
        # A direct call is as long as its function; whatever else is short takes turns.
        turn = nullcontext() if command.phase is Phase.COMPLETE else self._turns
        retries = Retries(self.app.options.retry, command)
        while True:
            try:
                async with turn:
                    outcome: Response | TransportError = await self.engine.request(request, patience)
            except TransportError as error:
                outcome = error
            pause = retries.pause(outcome)
            if pause is None or self.closed:
                break
            await anyio.sleep(pause)
        if isinstance(outcome, TransportError):
            raise outcome
        self.app.credentials.store(request.url, outcome.set_cookie)
        return outcome

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

    def runner(self, adapter: Adapter, session_hash: str) -> Runner:
        """Return a driver for a new session."""
        if self.closed:
            raise LocalProtocolError("The transport is closed.")
        runner = Runner(self, self.app.wire(adapter, session_hash))
        self._runners.add(runner)
        return runner

    def discard(self, runner: Runner) -> None:
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
