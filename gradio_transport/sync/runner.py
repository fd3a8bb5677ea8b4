# SPDX-License-Identifier: Apache-2.0
"""Performs a session's commands by threads, and feeds back what comes of them.

Who waits where:

* a shared stream (sse_v1+) has one reader thread for each session, started with its first call;
* a protocol whose calls have a channel of their own is pumped by the caller (`Session.call`), or by one of
  a bounded number of workers (`Session.submit`), because a legacy server drops a call whose client does not
  answer it within seconds;
* callers wait on their call's condition. Nobody polls.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import attrs

from ..adapter.exchange import Invocation
from ..adapter.session import Turn
from ..calls.deadline import Deadlines, left
from ..calls.failures import internal_failure
from ..calls.options import CallOptions
from ..calls.requests import REASON_SECONDS, is_event_stream
from ..calls.retries import Retries
from ..calls.session_state import SessionState
from ..calls.tap import Wire
from ..engines.base import HandshakeRefused, Interruption, Patience, ResponseStream, StreamEnded, WebSocket
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
    Response,
    SendRequest,
    SendText,
    WakeAt,
)
from ..protocol.refusals import wants_login
from .call import Call
from .files import Fetcher

if TYPE_CHECKING:
    from .core import Core

logger = logging.getLogger(__name__)

T = TypeVar("T")


def _whole(stream: ResponseStream, command: OpenStream) -> Response:
    """Return a reply that is no stream. The reason of a refusal is waited for, but not for long.

    Raises:
        GradioTransportError: It is no refusal, and does not come to its end.
    """
    refused = stream.head.status != 200 or not command.or_whole
    try:
        body = stream.read(REASON_SECONDS if refused else None)
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
        self._lock = threading.RLock()
        self._wanted = threading.Condition(self._lock)
        self._calls: dict[str, Call] = {}
        self._ended: list[Call] = []
        self._repeats: list[tuple[Call, float]] = []
        self._live: dict[str, ResponseStream | WebSocket] = {}
        self._wakes: dict[str, WakeAt] = {}
        self._stream_wanted: OpenStream | None = None
        self._reader: threading.Thread | None = None
        self._interruption = Interruption()
        self._closed = False
        self._orphaned = False

    @property
    def usable(self) -> bool:
        """Whether it takes new calls."""
        return self.wire.machine.usable and not self._closed

    # --- calls ---------------------------------------------------------------------------------------

    def begin(
        self, invocation: Invocation, options: CallOptions, deadlines: Deadlines
    ) -> tuple[Call, list[Command]]:
        """Open and start a call; return it with the first commands."""
        fetcher = Fetcher(self._core, self._state.credentials)
        files = self._core.app.file_reader(invocation.endpoint, fetcher.file)
        with self._lock:
            if self._closed:  # by another thread, since the session gave this out
                raise LocalProtocolError("The session is closed.")
            exchange = self.wire.open(invocation)
            call = Call(self, exchange, options, deadlines, files)
            self._calls[exchange.key] = call
            commands = self._deliver(self.wire.start(exchange))
        self._plan_fetch(call)
        return call, commands

    def begin_again(self, call: Call) -> list[Command]:
        """Start another try of a call."""
        with self._lock:
            exchange = self.wire.open(call._invocation_again)
            if not call._again_by(self, exchange):
                return self.wire.machine.abandon(exchange, LocalProtocolError("given up")).commands
            self._calls[exchange.key] = call
            commands = self._deliver(self.wire.start(exchange))
        self._plan_fetch(call)
        return commands

    def _plan_fetch(self, call: Call) -> None:
        when = call._fetch_at()
        if when is not None:
            self._core.alarms.at(when, partial(self.fetch, call))

    def fetch(self, call: Call) -> None:
        """Open the stream of a call that was joined without one; never waits."""
        exchange = call._exchange
        if exchange.fetched or self._calls.get(exchange.key) is not call:
            return
        commands = self._feed(self.wire.fetch, exchange)
        call._listening()
        if self.wire.machine.shared:  # its reader does the waiting
            self.perform(commands)
        else:
            self._aside(commands)

    def _aside(self, commands: Sequence[Command]) -> None:
        """Perform commands without waiting for what they take."""
        if commands:
            self._core.workers.submit(lambda: self.guarded(lambda: self.perform(commands)))

    def cancel(self, call: Call, timeout: float | None = None) -> None:
        """Cancel a call and tell the server, waiting `timeout` seconds at most for its answer."""
        if call._between:
            call._end_between(Cancelled(event_id=call.event_id, achieved=Achieved.UNKNOWN))
            return
        commands = self._feed(self.wire.cancel, call._exchange)
        if timeout is None:
            self.perform(commands)
            return
        told = threading.Event()

        def tell() -> None:
            self.guarded(lambda: self.perform(commands))
            told.set()

        self._core.workers.submit(tell)
        told.wait(timeout)

    def send(self, call: Call, invocation: Invocation, until: float | None) -> None:
        """Send the next chunk of a call's streaming input."""
        timeouts, credentials = call._deadlines.timeouts, self._state.credentials
        invocation = self._core.place(invocation, CallOptions(), timeouts, credentials, until)
        self._send_all(self._feed(self.wire.send, call._exchange, invocation.data), until)

    def finish_input(self, call: Call, until: float | None) -> None:
        """Say that no further chunk will come."""
        self._send_all(self._feed(self.wire.finish_input, call._exchange), until)

    def _send_all(self, commands: Sequence[Command], until: float | None) -> None:
        for command in commands:
            assert isinstance(command, SendRequest)
            self.perform(self._send(command, until))

    def expire(self, call: Call, error: GradioTransportError) -> None:
        """End a call whose deadline is over."""
        if call._between:
            call._end_between(Failed(event_id=call.event_id, error=error))
            return
        abandon = partial(self.wire.abandon, tell=call._deadlines.timeouts.cancel_on_expiry)
        commands = self._feed(abandon, call._exchange, error)
        self.perform(command for command in commands if not isinstance(command, SendRequest))
        self._aside([command for command in commands if isinstance(command, SendRequest)])

    def _repeat(self, call: Call, pause: float) -> None:
        """Submit a call again after a pause."""
        core, resubmit = self._core, call._resubmit
        assert resubmit is not None

        def again() -> None:
            if core.closed:
                resubmit(call)
            else:
                core.workers.submit(lambda: resubmit(call))

        core.alarms.at(time.monotonic() + pause, again)

    def _deliver(self, turn: Turn) -> list[Command]:
        """Hand events to their calls, and return the commands."""
        commands = turn.commands
        for delivery in turn.deliveries:
            exchange, event = delivery.exchange, delivery.event
            call = self._calls.get(exchange.key)
            if call is None:
                continue
            self._state.rendered(event)
            if isinstance(event, Failed):
                pause = call._repeated_after(event)
                if pause is not None:
                    del self._calls[exchange.key]
                    call._deliver(call._between_tries(event.error), 0)
                    self._repeats.append((call, pause))
                    continue
            overflow = call._deliver(event, delivery.size)
            if event.terminal:
                self._ended.append(self._calls.pop(exchange.key))
            elif overflow is not None:
                commands = [*commands, *self._deliver(self.wire.abandon(exchange, overflow))]
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
                if self.wire.machine.shared:
                    self._want_stream(command)
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
        if self._orphaned:
            return ()
        with self._lock:
            commands = self._deliver(step(*arguments))
            if not self._ended and not self._repeats:  # as for nearly every message
                return commands
            ended, self._ended = self._ended, []
            repeats, self._repeats = self._repeats, []
        for call in ended:
            call._run_callbacks()
        for call, pause in repeats:
            self._repeat(call, pause)
        return commands

    def _send(self, command: SendRequest, until: float | None = None) -> Sequence[Command]:
        until = until or self._begun(command.channel)
        try:
            timeouts = self._timeouts(command.channel)
            response = self._core.request(
                command,
                timeouts,
                left(until, timeouts, command.phase),
                credentials=self._state.credentials,
                extra=self._extra(command.channel),
            )
        except TransportError as error:
            return self._feed(self.wire.failed, command, error)
        except GradioTransportError as error:
            return self._abandon(command.channel, error)
        return self._feed(self.wire.reply, command, response)

    def _abandon(self, channel: str, error: GradioTransportError) -> Sequence[Command]:
        call = self._call(channel)
        if call is None:
            return ()
        return self._feed(self.wire.abandon, call._exchange, error)

    def _call(self, channel: str) -> Call | None:
        return self._calls.get(channel.partition(".")[0])

    def _timeouts(self, channel: str) -> Timeouts:
        call = self._call(channel)
        return call._deadlines.timeouts if call is not None else self._core.app.options.timeouts

    def _begun(self, channel: str) -> float | None:
        """Take note that something is sent for a call, and return when the time of that is over."""
        call = self._call(channel)
        if call is None:
            return None
        call._begins()
        return call._deadlines.total

    def _remaining(self, channel: str) -> float | None:
        until = self._begun(channel)
        return None if until is None else until - time.monotonic()

    def _extra(self, channel: str) -> Mapping[str, str] | None:
        """Return the headers of a call that its requests have besides."""
        call = self._call(channel)
        return call.headers if call is not None else None

    def _sleep(self, command: WakeAt) -> Sequence[Command]:
        """Wait for the time of a wake, or the end of its call, whichever comes first."""
        call = self._call(command.channel)
        if call is None:
            return ()
        if command.channel in self._live:
            # Whoever reads the socket wakes it too: nothing may come unread meanwhile.
            self._wakes[command.channel] = command
            return ()
        delay = max(0.0, command.when - time.monotonic())
        if call._wait(delay):
            return ()
        return self._feed(self.wire.wake, command.channel)

    # --- streams and sockets -------------------------------------------------------------------------

    def _unwanted(self, channel: str) -> bool:
        """Return whether what is open now was given up while it was being opened: nobody found it to drop."""
        return self._closed or (not self.wire.machine.shared and self._call(channel) is None)

    def _drop(self, channel: str) -> None:
        live = self._live.pop(channel, None)
        if live is not None:
            live.abort()

    def _read_stream(self, command: OpenStream) -> Sequence[Command]:
        """Open a stream and feed it to its end, performing what comes of it on the way."""
        channel = command.channel
        try:
            stream = self._opened(command, partial(self._open_stream, command))
        except HandshakeRefused as refused:
            return self._feed(self.wire.reply, command, refused.response)
        except TransportError as error:
            return self._feed(self.wire.failed, command, error)
        except GradioTransportError as error:  # the login that a 401 asked for was refused
            return self._abandon(channel, error)
        try:
            self._live[channel] = stream
            if self._unwanted(channel):
                return ()
            self.perform(self._feed(self.wire.stream_opened, channel, stream.head))
            closed = self._pump(channel, stream)
        finally:
            self._live.pop(channel, None)
            stream.close()
        return self._closed_by(channel, closed)

    def _closed_by(self, channel: str, closed: Closed) -> Sequence[Command]:
        """Feed the end of a stream or socket; silence up to a deadline of the call is that expiry."""
        if closed.ending is Ending.LOCAL and self._closed:  # `close` says why, to each of the calls
            return ()
        call = self._call(channel)
        overdue = call._overdue if call is not None and closed.ending is Ending.IDLE else None
        if call is not None and overdue is not None:
            self.expire(call, overdue)
        return self._feed(self.wire.closed, channel, closed)

    def _open_stream(self, command: OpenStream, patience: Patience) -> ResponseStream:
        """Open a stream, logging in again if that is what the server wants."""
        core, credentials = self._core, self._state.credentials
        logins = core.app.logins
        while True:
            request = core.app.dressed(command.request, credentials, self._extra(command.channel))
            stream = core.engine.stream(request, patience)
            core.app.take_cookies(credentials, request.url, stream.head.set_cookie)
            if is_event_stream(stream.head):
                return stream
            try:
                wanted = wants_login(stream.head)
                if not wanted or not core.log_in_again(logins, self._begun(command.channel)):
                    raise HandshakeRefused(_whole(stream, command))
            finally:
                stream.close()
            logins = -1  # once

    def _opened(self, command: OpenStream | OpenWebSocket, opening: Callable[[Patience], T]) -> T:
        """Open a stream or socket; once more where the policy says so and nothing can have come of it."""
        app, channel = self._core.app, command.channel
        retries = Retries(app.options.retry, command)
        while True:
            patience = app.patience(command, self._timeouts(channel), self._remaining(channel))
            if self.wire.machine.shared:
                patience = attrs.evolve(patience, interruption=self._interruption)
            try:
                return opening(patience)
            except (TransportError, HandshakeRefused) as error:
                outcome = error.response if isinstance(error, HandshakeRefused) else error
                pause = retries.pause(outcome, self._remaining(channel))
                if pause is None or not self._still_wanted(channel, pause):
                    raise

    def _still_wanted(self, channel: str, pause: float) -> bool:
        """Wait before another try, and return whether anybody still wants it."""
        call = self._call(channel)
        if call is not None:
            return not call._wait(pause)
        with self._lock:
            return not self._wanted.wait_for(lambda: self._closed, pause)

    def _pump(self, channel: str, stream: ResponseStream) -> Closed:
        def take(data: bytes) -> bool:
            if channel in self._live:
                commands = self._feed(self.wire.data_received, channel, data)
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
            socket = self._opened(command, partial(self._open_websocket, command))
        except HandshakeRefused as refused:
            return self._feed(self.wire.reply, command, refused.response)
        except TransportError as error:
            return self._feed(self.wire.failed, command, error)
        except GradioTransportError as error:  # the login that a refusal asked for was refused
            return self._abandon(channel, error)
        self._live[channel] = socket
        try:
            if self._unwanted(channel):
                return ()
            self.perform(self._feed(self.wire.websocket_opened, channel))
            closed = self._converse(channel, socket)
        finally:
            self._drop(channel)
        return self._closed_by(channel, closed)

    def _open_websocket(self, command: OpenWebSocket, patience: Patience) -> WebSocket:
        """Open a websocket, logging in again if that is what the server wants."""
        core, most = self._core, self._core.app.options.limits.max_event_bytes
        logins = core.app.logins
        while True:
            extra = self._extra(command.channel)
            headers = self._state.credentials.for_url(command.url, command.headers, extra)
            try:
                return core.engine.websocket(command.url, headers, patience, most)
            except HandshakeRefused as refused:
                # A handshake without a valid cookie is closed before it is accepted: 403 (docs/wire.md §3.3).
                wanted = refused.response.status in (401, 403)
                if not wanted or not core.log_in_again(logins, self._begun(command.channel)):
                    raise
            logins = -1  # once

    def _converse(self, channel: str, socket: WebSocket) -> Closed:
        while channel in self._live:
            wake = self._wakes.get(channel)
            text = socket.receive(None if wake is None else max(0.0, wake.when - time.monotonic()))
            if isinstance(text, Closed):
                return text if channel in self._live else Closed(Ending.LOCAL)
            if text is None and wake is not None:
                del self._wakes[channel]
                self.perform(self._feed(self.wire.wake, channel))
            elif text is not None:
                self.perform(self._feed(self.wire.text_received, channel, text))
        return Closed(Ending.LOCAL)

    # --- the shared stream ---------------------------------------------------------------------------

    def _want_stream(self, command: OpenStream) -> None:
        with self._lock:
            self._stream_wanted = command
            if self._reader is None and not self._closed:
                name = f"gradio-transport-stream-{self.wire.number}"
                self._reader = threading.Thread(target=self._read_shared, name=name, daemon=True)
                self._reader.start()
            self._wanted.notify_all()

    def _read_shared(self) -> None:
        """Read the session's stream whenever there is one: the body of the reader thread."""
        while True:
            with self._lock:
                while self._stream_wanted is None and not self._closed:
                    self._wanted.wait()
                command, self._stream_wanted = self._stream_wanted, None
                if self._closed or command is None:
                    return
            self.guarded(partial(self._read_and_perform, command))

    def _read_and_perform(self, command: OpenStream) -> None:
        self.perform(self._read_stream(command))

    def drive(self, call: Call, commands: Sequence[Command]) -> None:
        """Perform a call's commands, unless it was given up while it waited for a thread."""
        if not call.done() and not call.end_if_late():
            self.guarded(partial(self.perform, commands))

    def guarded(self, work: Callable[[], None]) -> None:
        """Do work of a thread of ours; a fault in it ends the session's calls instead of the thread."""
        try:
            work()
        except Exception as error:
            if not self._closed:
                logger.exception("the session %s failed", self.wire.number)
                self.fail(internal_failure(error))

    def fail(self, error: GradioTransportError) -> None:
        """End every call under way with an error of its own."""
        commands: list[Command] = []
        for call in list(self._calls.values()):
            own = type(error)(error.message, phase=error.phase, may_have_run=error.may_have_run)
            own.__cause__ = error.__cause__
            commands += self._feed(self.wire.abandon, call._exchange, own)
            if not call.done() and not call._between:  # its end had come, and could not be handed over
                own.adapter = self.wire.adapter
                call._end_between(Failed(event_id=call.event_id, error=own))
        self.perform(command for command in commands if isinstance(command, DropStream | DropWebSocket))

    def close(self, error: GradioTransportError) -> threading.Thread | None:
        """Stop: end the calls under way with an error, wake the reader, and return its thread."""
        with self._lock:
            already, self._closed = self._closed, True
            self._wanted.notify_all()
        if not already:
            self.fail(error)
        for channel in list(self._live):
            self._drop(channel)
        self._interruption.interrupt()
        return self._reader

    def begin_anew(self) -> None:
        """In a child of ``fork``: let go of the session and its calls, which go on in the parent."""
        self._orphaned = self._closed = True
        self._lock = threading.RLock()
        self._wanted = threading.Condition(self._lock)
        self._reader = None
        self._interruption = Interruption()
        self._live.clear()
        calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.begin_anew()
