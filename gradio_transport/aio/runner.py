# SPDX-License-Identifier: Apache-2.0
"""Performs a session's commands by tasks of the transport's task group, and feeds back what comes of them."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import anyio

from ..adapter.exchange import Invocation
from ..adapter.session import Turn
from ..calls.deadline import Deadlines, left
from ..calls.failures import internal_failure
from ..calls.options import CallOptions
from ..calls.requests import REASON_SECONDS, is_event_stream, timed
from ..calls.retries import Retries
from ..calls.session_state import SessionState
from ..calls.tap import Wire
from ..engines.base import AsyncResponseStream, AsyncWebSocket, HandshakeRefused, Patience, StreamEnded
from ..errors import GradioTransportError, LocalProtocolError, TransportError
from ..events import Achieved, Cancelled, Failed
from ..files.upload import FileCommand
from ..protocol.commands import (
    Closed,
    Command,
    DropStream,
    DropWebSocket,
    Ending,
    OpenStream,
    OpenWebSocket,
    Response,
    SendRequest,
    SendText,
    WakeAt,
)
from ..protocol.refusals import wants_login
from .call import AsyncCall
from .files import Fetcher

if TYPE_CHECKING:
    from .core import Core

logger = logging.getLogger(__name__)

T = TypeVar("T")

Begin: TypeAlias = list[Command] | Generator[FileCommand, Any, Invocation]
"""What is to be done for a call: its first commands, or before those the way its files take to the app."""


async def _whole(stream: AsyncResponseStream, command: OpenStream) -> Response:
    """Return a reply that is no stream. The reason of a refusal is waited for, but not for long.

    Raises:
        GradioTransportError: It is no refusal, and does not come to its end.
    """
    refused = stream.head.status != 200 or not command.or_whole
    try:
        body = await stream.read(REASON_SECONDS if refused else None)
    except GradioTransportError as error:
        if not refused:
            raise
        body = error.message.encode()
    return stream.head.with_body(body)


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

    async def send(self, call: AsyncCall, invocation: Invocation, until: float | None) -> None:
        """Send the next chunk of a call's streaming input."""
        placing = self._core.app.placing(invocation)
        if placing is not None:
            timeouts, credentials = call._deadlines.timeouts, self._state.credentials
            with timed(call.adapter):
                invocation = await self._core.run(placing, timeouts, credentials, until)
        await self._send_all(self._feed(self.wire.send, call._exchange, invocation.data), until)

    async def finish_input(self, call: AsyncCall, until: float | None) -> None:
        """Say that no further chunk will come."""
        await self._send_all(self._feed(self.wire.finish_input, call._exchange), until)

    async def _send_all(self, commands: Sequence[Command], until: float | None) -> None:
        for command in commands:
            assert isinstance(command, SendRequest)
            await self.perform(await self._send(command, until))

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
            exchange, event = delivery.exchange, delivery.event
            call = self._calls.get(exchange.key)
            if call is None:
                continue
            self._state.rendered(event)
            if isinstance(event, Failed) and not self._core.closed:
                pause = call._repeated_after(event)
                if pause is not None:
                    del self._calls[exchange.key]
                    call._deliver(call._between_tries(event.error), 0)
                    self._core.spawn(self._repeat, call, pause)
                    continue
            overflow = call._deliver(event, delivery.size)
            if event.terminal:
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
            case DropStream() | DropWebSocket():
                self._drop(command.channel)
                return ()
            case WakeAt():
                return await self._sleep(command)

    def _feed(self, step: Callable[..., Turn], *arguments: Any) -> Sequence[Command]:
        return self._deliver(step(*arguments))

    async def _send(self, command: SendRequest, until: float | None = None) -> Sequence[Command]:
        call = self._call(command.channel)
        timeouts = call._deadlines.timeouts if call else self._core.app.options.timeouts
        until = until or (call._deadlines.total if call else None)
        try:
            response = await self._core.request(
                command,
                timeouts,
                left(until, timeouts, command.phase),
                credentials=self._state.credentials,
                extra=call.headers if call else None,
                begins=call._begins if call else None,
            )
        except TransportError as error:
            return self._feed(self.wire.failed, command, error)
        except GradioTransportError as error:
            return self._feed(self.wire.abandon, call._exchange, error) if call else ()
        return self._feed(self.wire.reply, command, response)

    def _call(self, channel: str) -> AsyncCall | None:
        return self._calls.get(channel.partition(".")[0])

    def _begun(self, call: AsyncCall | None) -> float | None:
        """Take note that something is sent for a call, and return when the time of that is over."""
        if call is None:
            return None
        call._begins()
        return call._deadlines.total

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
        closed = Closed(Ending.LOCAL)
        with anyio.CancelScope() as scope:
            self._scopes[channel] = scope
            try:
                stream = await self._opened(command, call, self._open_stream)
            except HandshakeRefused as refused:
                return self._feed(self.wire.reply, command, refused.response)
            except TransportError as error:
                return self._feed(self.wire.failed, command, error)
            except GradioTransportError as error:  # the login that a 401 asked for was refused
                return self._feed(self.wire.abandon, call._exchange, error) if call else ()
            try:
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
        overdue = call._overdue if call is not None and closed.ending is Ending.IDLE else None
        if call is not None and overdue is not None:
            await self.expire(call, overdue)
        return self._feed(self.wire.closed, channel, closed)

    async def _opened(
        self,
        command: OpenStream | OpenWebSocket,
        call: AsyncCall | None,
        opening: Callable[..., Awaitable[T]],
    ) -> T:
        """Open a stream or socket; once more where the policy says so and nothing can have come of it."""
        app = self._core.app
        timeouts = call._deadlines.timeouts if call else app.options.timeouts
        retries = Retries(app.options.retry, command)
        until = self._begun(call)
        while True:
            remaining = None if until is None else until - time.monotonic()
            patience = app.patience(command, timeouts, remaining)
            try:
                return await opening(command, patience, call.headers if call else None, until)
            except (TransportError, HandshakeRefused) as error:
                outcome = error.response if isinstance(error, HandshakeRefused) else error
                pause = retries.pause(outcome, None if until is None else until - time.monotonic())
                if pause is None:
                    raise
            await anyio.sleep(pause)  # whoever does not want it any more cancels the scope that this is in

    async def _open_stream(
        self, command: OpenStream, patience: Patience, extra: Mapping[str, str] | None, until: float | None
    ) -> AsyncResponseStream:
        """Open a stream, logging in again if that is what the server wants."""
        core, credentials = self._core, self._state.credentials
        logins = core.app.logins
        while True:
            request = core.app.dressed(command.request, credentials, extra)
            stream = await core.engine.stream(request, patience)
            core.app.take_cookies(credentials, request.url, stream.head.set_cookie)
            if is_event_stream(stream.head):
                return stream
            try:
                if not wants_login(stream.head) or not await core.log_in_again(logins, until):
                    raise HandshakeRefused(await _whole(stream, command))
            finally:
                await stream.aclose()
            logins = -1  # once

    async def _pump(self, channel: str, stream: AsyncResponseStream) -> Closed:
        async def take(data: bytes) -> None:
            commands = self._feed(self.wire.data_received, channel, data)
            if commands:
                await self.perform(commands)

        try:
            # Never left early: a dropped stream ends by cancellation at its next read, so that the generators
            # of the HTTP library end too.
            await stream.deliver(take)
        except StreamEnded as error:
            return error.closed
        return Closed(Ending.CLEAN)

    async def _read_websocket(self, command: OpenWebSocket) -> Sequence[Command]:
        channel = command.channel
        call = self._call(channel)
        closed = Closed(Ending.LOCAL)
        with anyio.CancelScope() as scope:
            self._scopes[channel] = scope
            try:
                socket = await self._opened(command, call, self._open_websocket)
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
        self,
        command: OpenWebSocket,
        patience: Patience,
        extra: Mapping[str, str] | None,
        until: float | None,
    ) -> AsyncWebSocket:
        """Open a websocket, logging in again if that is what the server wants."""
        core, most = self._core, self._core.app.options.limits.max_event_bytes
        logins = core.app.logins
        while True:
            headers = self._state.credentials.for_url(command.url, command.headers, extra)
            try:
                return await core.engine.websocket(command.url, headers, patience, most)
            except HandshakeRefused as refused:
                # A handshake without a valid cookie is closed before it is accepted: 403 (docs/wire.md §3.3).
                if refused.response.status not in (401, 403) or not await core.log_in_again(logins, until):
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
            deadlines, credentials = call._deadlines, self._state.credentials
            placed = None
            with anyio.CancelScope() as scope:
                call.add_done_callback(lambda _: scope.cancel())  # given up: nobody wants the files there
                try:
                    with timed():
                        placed = await self._core.run(begun, deadlines.timeouts, credentials, deadlines.total)
                except GradioTransportError as error:
                    self._deliver(self.wire.refuse(call._exchange, error))
            if placed is None:
                return
            if not call.done() and not await call._end_if_late():
                call._exchange.invocation = placed
                begun = self._deliver(self.wire.start(call._exchange))
        if call.done() or await call._end_if_late():  # given up before anything was sent: nothing need be
            return
        assert not isinstance(begun, Generator)
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
                if isinstance(command, DropStream | DropWebSocket):
                    self._drop(command.channel)
            if not call.done() and not call._between:  # its end had come, and could not be handed over
                own.adapter = self.wire.adapter
                call._deliver(Failed(event_id=call.event_id, error=own), 0)

    def close(self, error: GradioTransportError) -> None:
        """Stop: end the calls under way with an error, and drop the streams."""
        already, self._closed = self._closed, True
        if not already:
            self.fail(error)
        for channel in list(self._scopes):
            self._drop(channel)
