# SPDX-License-Identifier: Apache-2.0
"""Performs a session's commands by tasks of the transport, and feeds it the replies: `SessionDriver`."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import anyio

from ..adapter.exchange import Invocation
from ..adapter.session import Turn
from ..calls.deadline import Deadlines, seconds_left
from ..calls.failures import copy_error, internal_error
from ..calls.options import CallOptions
from ..calls.requests import add_elapsed
from ..calls.retries import Retries
from ..calls.session_state import SessionState
from ..calls.tap import TappedSession
from ..engines.base import AsyncResponseStream, AsyncWebSocket, HandshakeRefused, StreamEnded
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
    SendRequest,
    SendText,
    WakeAt,
)
from .channels import open_stream, open_websocket
from .connection import Connection
from .files import Fetcher
from .pending_call import PendingCall

logger = logging.getLogger(__name__)

T = TypeVar("T")

Begin: TypeAlias = list[Command] | Generator[FileCommand, Any, Invocation]
"""How a call begins: with its first commands, or before those with the sequence that uploads its files."""


class SessionDriver:
    """Drives one session: performs its commands and feeds it the replies."""

    def __init__(self, connection: Connection, tapped: TappedSession, state: SessionState) -> None:
        self._connection = connection
        self._state = state
        self.tapped = tapped
        self._calls: dict[str, PendingCall] = {}
        self._live: dict[str, AsyncResponseStream | AsyncWebSocket] = {}
        self._wakes: dict[str, WakeAt] = {}
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._readers: set[anyio.Event] = set()
        self._closed = False

    @property
    def usable(self) -> bool:
        """Whether it takes new calls."""
        return self.tapped.session.usable and not self._closed

    @property
    def call_count(self) -> int:
        """How many calls are under way."""
        return len(self._calls)

    # --- calls ---------------------------------------------------------------------------------------

    def begin(
        self, invocation: Invocation, options: CallOptions, deadlines: Deadlines
    ) -> tuple[PendingCall, Begin]:
        """Open a call, and start it if no files have to be uploaded first."""
        app = self._connection.app
        exchange = self.tapped.open(invocation)
        fetcher = Fetcher(self._connection, self._state.credentials)
        files = app.file_reader(invocation.endpoint, fetcher.remote_file)
        call = PendingCall(self, app, self.tapped, exchange, options, deadlines, files)
        self._calls[exchange.key] = call
        uploads = app.place_files(invocation, options.upload_progress)
        self._schedule_fetch(call)
        return call, self._deliver(self.tapped.start(exchange)) if uploads is None else uploads

    def retry(self, call: PendingCall) -> list[Command]:
        """Start another try of a call."""
        exchange = self.tapped.open(call.next_invocation)
        call.switch_driver(self, self.tapped, exchange)
        self._calls[exchange.key] = call
        self._schedule_fetch(call)
        return self._deliver(self.tapped.start(exchange))

    def _schedule_fetch(self, call: PendingCall) -> None:
        when = call.fetch_time()
        if when is not None:
            self._connection.spawn(self._fetch_at, call, when)

    async def _fetch_at(self, call: PendingCall, when: float) -> None:
        exchange = call.exchange
        over = await call.wait(when - time.monotonic())
        if not over and call.exchange is exchange:
            self.fetch(call)

    def fetch(self, call: PendingCall) -> None:
        """Open the stream of a call that was joined without one; never waits."""
        exchange = call.exchange
        if exchange.fetched or self._calls.get(exchange.key) is not call:
            return
        commands = self._deliver(self.tapped.fetch(exchange))
        call.start_listening()
        self._perform_in_background(commands)

    def _perform_in_background(self, commands: Sequence[Command]) -> None:
        """Perform commands in a task of the transport."""
        if commands:
            self._connection.spawn(self.guard, self._perform_all, commands)

    async def send(self, call: PendingCall, invocation: Invocation, until: float | None) -> None:
        """Send the next chunk of a call's streaming input."""
        uploads = self._connection.app.place_files(invocation)
        if uploads is not None:
            timeouts, credentials = call.deadlines.timeouts, self._state.credentials
            with add_elapsed(call.adapter):
                invocation = await self._connection.run(uploads, timeouts, credentials, until)
        await self._send_all(self._feed(self.tapped.send, call.exchange, invocation.data), until)

    async def finish_input(self, call: PendingCall, until: float | None) -> None:
        """Tell the server that no further chunk will come."""
        await self._send_all(self._feed(self.tapped.finish_input, call.exchange), until)

    async def _send_all(self, commands: Sequence[Command], until: float | None) -> None:
        for command in commands:
            assert isinstance(command, SendRequest)
            await self.perform(await self._send(command, until))

    async def cancel(self, call: PendingCall) -> None:
        """Cancel a call and tell the server."""
        if call.waits_for_retry:
            call.deliver(Cancelled(event_id=call.event_id, achieved=Achieved.UNKNOWN), 0)
            return
        commands = self._deliver(self.tapped.cancel(call.exchange))
        await self.perform(commands)

    async def expire(self, call: PendingCall, error: GradioTransportError) -> None:
        """End a call whose deadline is over."""
        if call.waits_for_retry:
            call.deliver(Failed(event_id=call.event_id, error=error), 0)
            return
        tell = call.deadlines.timeouts.cancel_on_expiry
        commands = self._deliver(self.tapped.abandon(call.exchange, error, tell=tell))
        await self.perform(command for command in commands if not isinstance(command, SendRequest))
        if not self._connection.closed:
            self._perform_in_background([command for command in commands if isinstance(command, SendRequest)])

    async def _retry_after(self, call: PendingCall, pause: float) -> None:
        """Submit a call again after a pause."""
        assert call.resubmit is not None
        try:
            if not await call.wait(pause):
                await call.resubmit(call)
        except anyio.get_cancelled_exc_class():
            if call.waits_for_retry and not call.done():
                reason = "The transport was closed before the call could be submitted again."
                error = LocalProtocolError(reason, may_have_run=True)
                call.deliver(Failed(event_id=call.event_id, error=error), 0)
            raise

    def _deliver(self, turn: Turn) -> list[Command]:
        """Hand events to their calls, and return the commands."""
        commands = turn.commands
        for delivery in turn.deliveries:
            exchange, event = delivery.exchange, delivery.event
            call = self._calls.get(exchange.key)
            if call is None:  # this side has ended it; what the server still sends is dropped
                continue
            self._state.add_rendered(event)
            if isinstance(event, Failed) and not self._connection.closed:
                pause = call.retry_pause(event)
                if pause is not None:
                    del self._calls[exchange.key]
                    call.deliver(call.start_retry(event.error), 0)
                    self._connection.spawn(self._retry_after, call, pause)
                    continue
            overflow = call.deliver(event, delivery.size)
            if event.terminal:
                del self._calls[exchange.key]
            elif overflow is not None:
                commands = [*commands, *self._deliver(self.tapped.abandon(exchange, overflow))]
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
                if self.tapped.session.shared:
                    self._connection.spawn(self.guard, self._read_stream, command)
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
        timeouts = call.deadlines.timeouts if call else self._connection.app.options.timeouts
        until = until or (call.deadlines.total if call else None)
        try:
            response = await self._connection.request(
                command,
                timeouts,
                seconds_left(until, timeouts, command.phase),
                credentials=self._state.credentials,
                extra=call.headers if call else None,
                on_send=call.record_request if call else None,
            )
        except TransportError as error:
            return self._feed(self.tapped.failed, command, error)
        except GradioTransportError as error:
            return self._feed(self.tapped.abandon, call.exchange, error) if call else ()
        return self._feed(self.tapped.reply, command, response)

    def _call(self, channel: str) -> PendingCall | None:
        return self._calls.get(channel.partition(".")[0])

    def _start_request(self, call: PendingCall | None) -> float | None:
        """Record that a request of a call is sent, and return when the call's time is over."""
        if call is None:
            return None
        call.record_request()
        return call.deadlines.total

    async def _sleep(self, command: WakeAt) -> Sequence[Command]:
        """Wait for the time of a wake, or the end of its call, whichever comes first."""
        call = self._call(command.channel)
        if call is None:
            return ()
        if command.channel in self._live:
            # Why not sleep here: this task reads the socket, and would not read meanwhile. `_converse` wakes.
            self._wakes[command.channel] = command
            return ()
        delay = max(0.0, command.when - time.monotonic())
        if await call.wait(delay):
            return ()
        return self._feed(self.tapped.wake, command.channel)

    # --- streams and sockets -------------------------------------------------------------------------

    def _drop(self, channel: str) -> None:
        self._live.pop(channel, None)
        scope = self._scopes.pop(channel, None)
        if scope is not None:
            scope.cancel()

    @contextmanager
    def _count_reader(self) -> Generator[None, None, None]:
        """Let `wait_closed` wait for the end of the block."""
        ended = anyio.Event()
        self._readers.add(ended)
        try:
            yield
        finally:
            self._readers.discard(ended)
            ended.set()

    async def _read_stream(self, command: OpenStream) -> Sequence[Command]:
        """Open a stream and feed it to its end, performing what comes of it on the way."""
        channel = command.channel
        call = self._call(channel)
        closed = Closed(Ending.LOCAL)
        with self._count_reader(), anyio.CancelScope() as scope:
            self._scopes[channel] = scope
            try:
                stream = await self._open_with_retries(command, call, open_stream)
            except HandshakeRefused as refused:
                return self._feed(self.tapped.reply, command, refused.response)
            except TransportError as error:
                return self._feed(self.tapped.failed, command, error)
            except GradioTransportError as error:  # the login that a 401 asked for was refused
                return self._feed(self.tapped.abandon, call.exchange, error) if call else ()
            try:
                self._live[channel] = stream
                await self.perform(self._feed(self.tapped.stream_opened, channel, stream.head))
                closed = await self._pump(channel, stream)
            finally:
                self._live.pop(channel, None)
                if self._scopes.get(channel) is scope:
                    del self._scopes[channel]
                await stream.aclose()
        return await self._feed_end(channel, closed)

    async def _feed_end(self, channel: str, closed: Closed) -> Sequence[Command]:
        """Feed the end of a stream or socket; silence up to a deadline of the call is that expiry."""
        call = self._call(channel)
        overdue = call.expiry if call is not None and closed.ending is Ending.IDLE else None
        if call is not None and overdue is not None:
            await self.expire(call, overdue)
        return self._feed(self.tapped.closed, channel, closed)

    async def _open_with_retries(
        self,
        command: OpenStream | OpenWebSocket,
        call: PendingCall | None,
        open_once: Callable[..., Awaitable[T]],
    ) -> T:
        """Open a stream or socket; once more where the policy says so and nothing can have come of it."""
        app = self._connection.app
        timeouts = call.deadlines.timeouts if call else app.options.timeouts
        retries = Retries(app.options.retry, command)
        until = self._start_request(call)
        while True:
            remaining = None if until is None else until - time.monotonic()
            patience = app.patience(command, timeouts, remaining)
            try:
                return await open_once(
                    self._connection,
                    self._state.credentials,
                    command,
                    patience,
                    call.headers if call else None,
                    until,
                )
            except (TransportError, HandshakeRefused) as error:
                outcome = error.response if isinstance(error, HandshakeRefused) else error
                pause = retries.pause(outcome, None if until is None else until - time.monotonic())
                if pause is None:
                    raise
            await anyio.sleep(pause)  # `_drop` cancels the scope around this

    async def _pump(self, channel: str, stream: AsyncResponseStream) -> Closed:
        async def take(data: bytes) -> None:
            commands = self._feed(self.tapped.data_received, channel, data)
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
        with self._count_reader(), anyio.CancelScope() as scope:
            self._scopes[channel] = scope
            try:
                socket = await self._open_with_retries(command, call, open_websocket)
            except HandshakeRefused as refused:
                return self._feed(self.tapped.reply, command, refused.response)
            except TransportError as error:
                return self._feed(self.tapped.failed, command, error)
            except GradioTransportError as error:  # the login that a refusal asked for was refused
                return self._feed(self.tapped.abandon, call.exchange, error) if call else ()
            self._live[channel] = socket
            try:
                await self.perform(self._feed(self.tapped.websocket_opened, channel))
                closed = await self._converse(channel, socket)
            finally:
                self._live.pop(channel, None)
                if self._scopes.get(channel) is scope:
                    del self._scopes[channel]
                await socket.abort()
        return await self._feed_end(channel, closed)

    async def _converse(self, channel: str, socket: AsyncWebSocket) -> Closed:
        while channel in self._live:
            wake = self._wakes.get(channel)
            text = await socket.receive(None if wake is None else max(0.0, wake.when - time.monotonic()))
            if isinstance(text, Closed):
                return text
            if text is None and wake is not None:
                del self._wakes[channel]
                await self.perform(self._feed(self.tapped.wake, channel))
            elif text is not None:
                await self.perform(self._feed(self.tapped.text_received, channel, text))
        return Closed(Ending.LOCAL)

    # --- faults and the end --------------------------------------------------------------------------

    async def drive(self, call: PendingCall, first: Begin) -> None:
        """Perform a call's commands in a task of its own, once its files are uploaded."""
        if isinstance(first, Generator):
            deadlines, credentials = call.deadlines, self._state.credentials
            invocation = None
            with anyio.CancelScope() as scope:
                call.add_done_callback(scope.cancel)  # a call that has ended needs no files
                try:
                    with add_elapsed():
                        invocation = await self._connection.run(
                            first, deadlines.timeouts, credentials, deadlines.total
                        )
                except GradioTransportError as error:
                    self._deliver(self.tapped.refuse(call.exchange, error))
            if invocation is None:
                return
            if not call.done() and not await call.end_if_expired():
                call.exchange.invocation = invocation
                first = self._deliver(self.tapped.start(call.exchange))
        if call.done() or await call.end_if_expired():  # nothing was sent yet: nothing to undo
            return
        assert not isinstance(first, Generator)
        await self.guard(self._perform_all, first)

    async def _perform_all(self, commands: Sequence[Command]) -> Sequence[Command]:
        await self.perform(commands)
        return ()

    async def guard(self, work: Callable[[Any], Any], argument: Any) -> None:
        """Do work in a task of the transport; a fault in it ends the session's calls, not the task group."""
        try:
            await self.perform(await work(argument))
        except Exception as error:
            if not self._closed:
                logger.exception("the session %s failed", self.tapped.number)
                self.fail(internal_error(error))

    def fail(self, error: GradioTransportError) -> None:
        """End every call under way with an error of its own."""
        for call in list(self._calls.values()):
            own = copy_error(error)
            for command in self._deliver(self.tapped.abandon(call.exchange, own)):
                if isinstance(command, DropStream | DropWebSocket):
                    self._drop(command.channel)
            if not call.done() and not call.waits_for_retry:  # its end had come, and could not be handed over
                own.adapter = self.tapped.adapter
                call.deliver(Failed(event_id=call.event_id, error=own), 0)

    def close(self, error: GradioTransportError) -> None:
        """Stop: end the calls under way with an error, and drop the streams."""
        already, self._closed = self._closed, True
        if not already:
            self.fail(error)
        for channel in list(self._scopes):
            self._drop(channel)

    async def wait_closed(self) -> None:
        """Wait until every stream and socket is closed; call `close` before."""
        for reader in list(self._readers):
            await reader.wait()
