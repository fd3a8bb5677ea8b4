# SPDX-License-Identifier: Apache-2.0
"""Performs a session's commands by threads, and feeds it the replies: `SessionDriver`.

Which thread waits for what:

* a shared stream (sse_v1+) has one reader thread for each session, started with its first call;
* a protocol whose calls have a channel of their own is pumped by the caller (`Session.call`), or by one of
  a bounded number of workers (`Session.submit`), because a legacy server drops a call whose client does not
  answer it within seconds;
* callers wait on their call's condition; nothing polls.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import attrs

from ..adapter.exchange import Invocation
from ..adapter.session import Turn
from ..calls.deadline import Deadlines, seconds_left
from ..calls.failures import copy_error, internal_error
from ..calls.options import CallOptions
from ..calls.retries import Retries
from ..calls.session_state import SessionState
from ..calls.tap import TappedSession
from ..engines.base import HandshakeRefused, Interruption, ResponseStream, StreamEnded, WebSocket
from ..errors import GradioTransportError, LocalProtocolError, TransportError
from ..events import Achieved, Cancelled, Failed
from ..policy import Timeouts
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
from .stream_reader import StreamReader

logger = logging.getLogger(__name__)

T = TypeVar("T")


class SessionDriver:
    """Drives one session: performs its commands and feeds it the replies.

    The lock is held while the session takes input and its events are delivered, never while a command is
    performed: a read or a request may take as long as it likes, and `close` has to get in between.
    """

    def __init__(self, connection: Connection, tapped: TappedSession, state: SessionState) -> None:
        self._connection = connection
        self._state = state
        self.tapped = tapped
        self._lock = threading.RLock()
        self._calls: dict[str, PendingCall] = {}
        self._ended: list[PendingCall] = []
        self._retries: list[tuple[PendingCall, float]] = []
        self._live: dict[str, ResponseStream | WebSocket] = {}
        self._wakes: dict[str, WakeAt] = {}
        self._reader = self._make_reader()
        self._interruption = Interruption()
        self._closed = False
        self._left_to_parent = False

    def _make_reader(self) -> StreamReader:
        return StreamReader(f"gradio-transport-stream-{self.tapped.number}", self._read_shared_stream)

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
    ) -> tuple[PendingCall, list[Command]]:
        """Open and start a call; return it with the first commands."""
        fetcher = Fetcher(self._connection, self._state.credentials)
        files = self._connection.app.file_reader(invocation.endpoint, fetcher.remote_file)
        with self._lock:
            if self._closed:  # by another thread, after the session returned this driver
                raise LocalProtocolError("The session is closed.")
            # Registered before it starts, and under one lock: events of the start are delivered by its key.
            exchange = self.tapped.open(invocation)
            call = PendingCall(self, self._connection.app, self.tapped, exchange, options, deadlines, files)
            self._calls[exchange.key] = call
            commands = self._deliver(self.tapped.start(exchange))
        self._schedule_fetch(call)
        return call, commands

    def retry(self, call: PendingCall) -> list[Command]:
        """Start another try of a call."""
        with self._lock:
            exchange = self.tapped.open(call.next_invocation)
            if not call.switch_driver(self, self.tapped, exchange):
                return self.tapped.session.abandon(
                    exchange, LocalProtocolError("The call has ended.")
                ).commands
            self._calls[exchange.key] = call
            commands = self._deliver(self.tapped.start(exchange))
        self._schedule_fetch(call)
        return commands

    def _schedule_fetch(self, call: PendingCall) -> None:
        when = call.fetch_time()
        if when is not None:
            self._connection.alarms.at(when, partial(self.fetch, call))

    def fetch(self, call: PendingCall) -> None:
        """Open the stream of a call that was joined without one; never waits."""
        exchange = call.exchange
        if exchange.fetched or self._calls.get(exchange.key) is not call:
            return
        commands = self._feed(self.tapped.fetch, exchange)
        call.start_listening()
        if self.tapped.session.shared:  # its reader does the waiting
            self.perform(commands)
        else:
            self.perform_in_background(commands)

    def perform_in_background(self, commands: Sequence[Command]) -> None:
        """Perform commands without waiting for what they take."""
        if commands:
            self._connection.workers.submit(lambda: self.guard(lambda: self.perform(commands)))

    def cancel(self, call: PendingCall, timeout: float | None = None) -> None:
        """Cancel a call and tell the server, waiting `timeout` seconds at most for its answer."""
        if call.waits_for_retry:
            call.end(Cancelled(event_id=call.event_id, achieved=Achieved.UNKNOWN))
            return
        commands = self._feed(self.tapped.cancel, call.exchange)
        if timeout is None:
            self.perform(commands)
            return
        # Why not here with a shorter timeout: closing the connection in the middle would leave open whether
        # the server got the request. It goes on in a worker.
        performed = threading.Event()

        def perform() -> None:
            self.guard(lambda: self.perform(commands))
            performed.set()

        self._connection.workers.submit(perform)
        performed.wait(timeout)

    def send(self, call: PendingCall, invocation: Invocation, until: float | None) -> None:
        """Send the next chunk of a call's streaming input."""
        timeouts, credentials = call.deadlines.timeouts, self._state.credentials
        invocation = self._connection.place_files(invocation, timeouts, credentials, until)
        self._send_all(self._feed(self.tapped.send, call.exchange, invocation.data), until)

    def finish_input(self, call: PendingCall, until: float | None) -> None:
        """Tell the server that no further chunk will come."""
        self._send_all(self._feed(self.tapped.finish_input, call.exchange), until)

    def _send_all(self, commands: Sequence[Command], until: float | None) -> None:
        for command in commands:
            assert isinstance(command, SendRequest)
            self.perform(self._send(command, until))

    def expire(self, call: PendingCall, error: GradioTransportError) -> None:
        """End a call whose deadline is over."""
        if call.waits_for_retry:
            call.end(Failed(event_id=call.event_id, error=error))
            return
        abandon = partial(self.tapped.abandon, tell=call.deadlines.timeouts.cancel_on_expiry)
        commands = self._feed(abandon, call.exchange, error)
        self.perform(command for command in commands if not isinstance(command, SendRequest))
        self.perform_in_background([command for command in commands if isinstance(command, SendRequest)])

    def _schedule_retry(self, call: PendingCall, pause: float) -> None:
        """Submit a call again after a pause."""
        connection, resubmit = self._connection, call.resubmit
        assert resubmit is not None

        def again() -> None:
            if connection.closed:
                resubmit(call)
            else:
                connection.workers.submit(lambda: resubmit(call))

        connection.alarms.at(time.monotonic() + pause, again)

    def _deliver(self, turn: Turn) -> list[Command]:
        """Hand events to their calls, and return the commands."""
        commands = turn.commands
        for delivery in turn.deliveries:
            exchange, event = delivery.exchange, delivery.event
            call = self._calls.get(exchange.key)
            if call is None:  # this side has ended it; what the server still sends is dropped
                continue
            self._state.add_rendered(event)
            if isinstance(event, Failed):
                pause = call.retry_pause(event)
                if pause is not None:
                    del self._calls[exchange.key]
                    call.deliver(call.start_retry(event.error), 0)
                    self._retries.append((call, pause))
                    continue
            overflow = call.deliver(event, delivery.size)
            if event.terminal:
                self._ended.append(self._calls.pop(exchange.key))
            elif overflow is not None:
                commands = [*commands, *self._deliver(self.tapped.abandon(exchange, overflow))]
        return commands

    # --- commands ------------------------------------------------------------------------------------

    def perform(self, commands: Iterable[Command]) -> None:
        """Perform commands, and those that come of them, until none is left."""
        waiting = deque(commands)
        while waiting:
            waiting.extend(self._perform(waiting.popleft()))

    def _perform(self, command: Command) -> Sequence[Command]:
        match command:
            case SendRequest():
                return self._send(command)
            case OpenStream():
                if self.tapped.session.shared:
                    self._reader.open(command)
                    return ()
                return self._read_stream(command)
            case OpenWebSocket():
                return self._read_websocket(command)
            case SendText():
                live = self._live.get(command.channel)
                if live is not None:
                    live.send(command.text)  # type: ignore[union-attr]  # a failure shows at receive
                return ()
            case DropStream() | DropWebSocket():
                self._drop(command.channel)
                return ()
            case WakeAt():
                return self._sleep(command)

    def _feed(self, step: Callable[..., Turn], *arguments: Any) -> Sequence[Command]:
        if self._left_to_parent:  # the thread that forked may be in the middle of a read
            return ()
        with self._lock:
            commands = self._deliver(step(*arguments))
            if not self._ended and not self._retries:  # as for nearly every message
                return commands
            ended, self._ended = self._ended, []
            retries, self._retries = self._retries, []
        for call in ended:  # without the lock: a callback may call anything, and wait for another thread
            call.run_callbacks()
        for call, pause in retries:
            self._schedule_retry(call, pause)
        return commands

    def _send(self, command: SendRequest, until: float | None = None) -> Sequence[Command]:
        until = until or self._start_request(command.channel)
        try:
            timeouts = self._timeouts(command.channel)
            response = self._connection.request(
                command,
                timeouts,
                seconds_left(until, timeouts, command.phase),
                credentials=self._state.credentials,
                extra=self._call_headers(command.channel),
            )
        except TransportError as error:
            return self._feed(self.tapped.failed, command, error)
        except GradioTransportError as error:
            return self._abandon(command.channel, error)
        return self._feed(self.tapped.reply, command, response)

    def _abandon(self, channel: str, error: GradioTransportError) -> Sequence[Command]:
        call = self._call(channel)
        return self._feed(self.tapped.abandon, call.exchange, error) if call is not None else ()

    def _call(self, channel: str) -> PendingCall | None:
        return self._calls.get(channel.partition(".")[0])

    def _timeouts(self, channel: str) -> Timeouts:
        call = self._call(channel)
        return call.deadlines.timeouts if call is not None else self._connection.app.options.timeouts

    def _start_request(self, channel: str) -> float | None:
        """Record that a request of a call is sent, and return when the call's time is over."""
        call = self._call(channel)
        if call is None:
            return None
        call.record_request()
        return call.deadlines.total

    def _remaining(self, channel: str) -> float | None:
        until = self._start_request(channel)
        return None if until is None else until - time.monotonic()

    def _call_headers(self, channel: str) -> Mapping[str, str] | None:
        """Return the headers that a call adds to its requests."""
        call = self._call(channel)
        return call.headers if call is not None else None

    def _sleep(self, command: WakeAt) -> Sequence[Command]:
        """Wait for the time of a wake, or the end of its call, whichever comes first."""
        call = self._call(command.channel)
        if call is None:
            return ()
        if command.channel in self._live:
            # Why not sleep here: this thread reads the socket, and would not meanwhile. `_converse` wakes it.
            self._wakes[command.channel] = command
            return ()
        delay = max(0.0, command.when - time.monotonic())
        if call.wait(delay):
            return ()
        return self._feed(self.tapped.wake, command.channel)

    # --- streams and sockets -------------------------------------------------------------------------

    def _is_unwanted(self, channel: str) -> bool:
        """Return whether a stream was dropped while it was being opened, when `_drop` could not find it."""
        return self._closed or (not self.tapped.session.shared and self._call(channel) is None)

    def _drop(self, channel: str) -> None:
        live = self._live.pop(channel, None)
        if live is not None:
            live.abort()

    def _read_stream(self, command: OpenStream) -> Sequence[Command]:
        """Open a stream and feed it to its end, performing what comes of it on the way."""
        channel = command.channel
        try:
            stream = self._open_with_retries(command, open_stream)
        except HandshakeRefused as refused:
            return self._feed(self.tapped.reply, command, refused.response)
        except TransportError as error:
            return self._feed(self.tapped.failed, command, error)
        except GradioTransportError as error:  # the login that a 401 asked for was refused
            return self._abandon(channel, error)
        try:
            self._live[channel] = stream
            if self._is_unwanted(channel):
                return ()
            self.perform(self._feed(self.tapped.stream_opened, channel, stream.head))
            closed = self._pump(channel, stream)
        finally:
            self._live.pop(channel, None)
            stream.close()
        return self._feed_end(channel, closed)

    def _feed_end(self, channel: str, closed: Closed) -> Sequence[Command]:
        """Feed the end of a stream or socket; silence up to a deadline of the call is that expiry."""
        if closed.ending is Ending.LOCAL and self._closed:  # `close` says why, to each of the calls
            return ()
        call = self._call(channel)
        overdue = call.expiry if call is not None and closed.ending is Ending.IDLE else None
        if call is not None and overdue is not None:
            self.expire(call, overdue)
        return self._feed(self.tapped.closed, channel, closed)

    def _open_with_retries(self, command: OpenStream | OpenWebSocket, open_once: Callable[..., T]) -> T:
        """Open a stream or socket; once more where the policy says so and nothing can have come of it."""
        connection, channel = self._connection, command.channel
        retries = Retries(connection.app.options.retry, command)
        while True:
            patience = connection.app.patience(command, self._timeouts(channel), self._remaining(channel))
            if self.tapped.session.shared:
                patience = attrs.evolve(patience, interruption=self._interruption)
            try:
                headers, until = self._call_headers(channel), self._start_request(channel)
                return open_once(connection, self._state.credentials, command, patience, headers, until)
            except (TransportError, HandshakeRefused) as error:
                outcome = error.response if isinstance(error, HandshakeRefused) else error
                pause = retries.pause(outcome, self._remaining(channel))
                if pause is None or not self._wait_for_retry(channel, pause):
                    raise

    def _wait_for_retry(self, channel: str, pause: float) -> bool:
        """Wait before another try, and return whether it is still wanted."""
        call = self._call(channel)
        if call is not None:
            return not call.wait(pause)
        return self._reader.sleep(pause)

    def _pump(self, channel: str, stream: ResponseStream) -> Closed:
        def take(data: bytes) -> bool:
            if channel in self._live:
                commands = self._feed(self.tapped.data_received, channel, data)
                if commands:
                    self.perform(commands)
            return channel in self._live

        try:
            stream.deliver(take)
        except StreamEnded as error:
            return Closed(Ending.LOCAL) if channel not in self._live else error.closed
        return Closed(Ending.LOCAL) if channel not in self._live else Closed(Ending.CLEAN)

    def _read_websocket(self, command: OpenWebSocket) -> Sequence[Command]:
        channel = command.channel
        try:
            socket = self._open_with_retries(command, open_websocket)
        except HandshakeRefused as refused:
            return self._feed(self.tapped.reply, command, refused.response)
        except TransportError as error:
            return self._feed(self.tapped.failed, command, error)
        except GradioTransportError as error:  # the login that a refusal asked for was refused
            return self._abandon(channel, error)
        self._live[channel] = socket
        try:
            if self._is_unwanted(channel):
                return ()
            self.perform(self._feed(self.tapped.websocket_opened, channel))
            closed = self._converse(channel, socket)
        finally:
            self._drop(channel)
        return self._feed_end(channel, closed)

    def _converse(self, channel: str, socket: WebSocket) -> Closed:
        while channel in self._live:
            wake = self._wakes.get(channel)
            text = socket.receive(None if wake is None else max(0.0, wake.when - time.monotonic()))
            if isinstance(text, Closed):
                return text if channel in self._live else Closed(Ending.LOCAL)
            if text is None and wake is not None:
                del self._wakes[channel]
                self.perform(self._feed(self.tapped.wake, channel))
            elif text is not None:
                self.perform(self._feed(self.tapped.text_received, channel, text))
        return Closed(Ending.LOCAL)

    # --- faults and the end --------------------------------------------------------------------------

    def _read_shared_stream(self, command: OpenStream) -> None:
        self.guard(lambda: self.perform(self._read_stream(command)))

    def drive(self, call: PendingCall, commands: Sequence[Command]) -> None:
        """Perform a call's commands, unless it was cancelled or has expired while it waited for a thread."""
        if not call.done() and not call.end_if_expired():
            self.guard(partial(self.perform, commands))

    def guard(self, work: Callable[[], None]) -> None:
        """Do work in a thread of the library; a fault in it ends the session's calls, not the thread."""
        try:
            work()
        except Exception as error:
            if not self._closed:
                logger.exception("the session %s failed", self.tapped.number)
                self.fail(internal_error(error))

    def fail(self, error: GradioTransportError) -> None:
        """End every call under way with an error of its own."""
        commands: list[Command] = []
        for call in list(self._calls.values()):
            own = copy_error(error)
            commands += self._feed(self.tapped.abandon, call.exchange, own)
            if not call.done() and not call.waits_for_retry:  # its end had come, and could not be handed over
                own.adapter = self.tapped.adapter
                call.end(Failed(event_id=call.event_id, error=own))
        self.perform(command for command in commands if isinstance(command, DropStream | DropWebSocket))

    def close(self, error: GradioTransportError) -> threading.Thread | None:
        """Stop: end the calls under way with an error, wake the reader, and return its thread."""
        with self._lock:
            already, self._closed = self._closed, True
        if not already:
            self.fail(error)
        for channel in list(self._live):
            self._drop(channel)
        reader = self._reader.close()
        # Last: it wakes a reader that is opening a stream, which nothing else can reach.
        self._interruption.interrupt()
        return reader

    def reset_after_fork(self) -> None:
        """Leave the session and its calls to the parent, in a child of ``fork``."""
        self._left_to_parent = self._closed = True
        self._lock = threading.RLock()
        self._reader = self._make_reader()
        self._interruption = Interruption()
        self._live.clear()
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.reset_after_fork()
