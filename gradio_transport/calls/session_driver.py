# SPDX-License-Identifier: Apache-2.0
"""`SessionDriver`: turns the commands of one session into steps, and feeds it the results.

No I/O here. The sync and async APIs perform the steps, in a thread or a task, at once or in the background.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

from ..adapter.session import Turn
from ..engines.base import Interruption
from ..engines.deadline import NEVER, Deadline
from ..engines.interruptions import holding, is_foreign
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    Phase,
    SessionNotFound,
    TransportError,
    UnsupportedProtocol,
)
from ..events import Achieved, Cancelled, Failed
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
from .call_state import CallState
from .failures import adapter_error, copy_error, hide_secrets, internal_error
from .method_timeout import bounded
from .request_sequence import Live, Requests
from .requests import add_elapsed
from .session_state import SessionState
from .steps import Droppable, Pause, Read, Receive, SendOn, Steps, Use
from .tap import TappedSession

logger = logging.getLogger(__name__)

C = TypeVar("C", bound=CallState)

TELL_SECONDS = 10.0
"""The most seconds for a cancel request, if ``Timeouts(connect=)`` has no bound."""


def requests_of(
    state: SessionState, call: CallState | None, deadline: Deadline | None = None, session: int = 0
) -> Requests:
    """Return the requests of a session or one of its calls; see `Requests`."""
    if call is None:
        timeouts = state.app.options.timeouts
        return Requests(
            app=state.app,
            credentials=state.credentials,
            timeouts=timeouts,
            deadline=deadline or NEVER,
            session=session,
        )
    return Requests(
        app=state.app,
        credentials=state.credentials,
        timeouts=call.timeouts,
        deadline=deadline or call.total,
        extra=call.headers if session else None,
        session=session,
        on_send=call.record_request if session else None,
        waiter=call,
    )


class SessionDriver(Generic[C]):
    """A driver of one session: it performs the commands and feeds the session the replies.

    The lock is held while the session processes input and its events are delivered, but never during a step:
    a read or a request may take any time, and closing must be possible meanwhile.

    Input to the state machine of the session and its decisions are atomic, or the driver is abandoned: see
    `_give_up`. The session then makes another one.
    """

    def __init__(self, state: SessionState, tapped: TappedSession, resubmit: Callable[[C], object]) -> None:
        self._state = state
        self._resubmit = resubmit
        self.tapped = tapped
        self._calls: dict[str, C] = {}
        self._ended: list[C] = []
        self._timers: list[tuple[float, C, Callable[[], object]]] = []
        self._live: dict[str, Live] = {}
        self._wakes: dict[str, WakeAt] = {}
        self._closed = False
        self._fault: GradioTransportError | None = None
        self._left_to_parent = False
        self._lock = threading.RLock()
        self._interruption: Interruption | None = None
        self._reader_waiter: Any = None
        """The object that a pause before reopening the shared stream waits on; see `Pause`."""

    # --- implemented by the sync and async APIs
    # ------------------------------------------------------------------------------

    def start(self, steps: Steps[Any], call: C) -> None:
        """Perform steps of a call in the background.

        Raises:
            LocalProtocolError: No thread or task can perform them.
        """
        raise NotImplementedError

    def tell(self, steps: Steps[Any]) -> Any:
        """Perform the steps that send a cancellation, in the background. Return an object to wait on.

        Only closing waits for them, for a short time.
        """
        raise NotImplementedError

    def prepare_reading(self) -> None:
        """Make sure that `start_reading` cannot fail, if possible.

        Raises:
            LocalProtocolError: It would fail.
        """

    def start_reading(self, command: OpenStream) -> None:
        """Read the shared stream of the session in the background, by `read_shared`."""
        raise NotImplementedError

    def start_at(self, when: float, call: C, job: Callable[[], object]) -> None:
        """Run a short job at a time of `time.monotonic`, unless the call ends before."""
        raise NotImplementedError

    def drop(self, channel: str) -> None:
        """Drop a stream or socket now, if it is open, and end the steps that read it."""
        raise NotImplementedError

    # --- calls -----------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether it accepts new calls."""
        return self.tapped.session.usable and not self._closed and self._fault is None

    @property
    def fault(self) -> GradioTransportError | None:
        """The error for which it was abandoned, or None."""
        return self._fault

    @property
    def call_count(self) -> int:
        """Number of calls in progress."""
        return len(self._calls)

    def begin(self, call: C) -> Sequence[Command]:
        """Open and start a call or its next attempt. Return the first commands.

        Raises:
            LocalProtocolError: The session is closed, or no thread could read its stream.
        """
        if self.tapped.session.shared and not call.invocation.late:
            self.prepare_reading()
        return self.feed(self._start, call)

    def _start(self, call: C) -> Turn:
        # Since the session returned this driver, another thread may have closed or broken it.
        if self._closed:
            raise LocalProtocolError("The session was closed or reset before the call could start.")
        if self._fault is not None:
            raise copy_error(self._fault)
        exchange = call.open(self, self.tapped)
        if exchange is None:
            return Turn()
        # Registered before the start, under the same lock, because events of the start are delivered by its
        # key.
        self._calls[exchange.key] = call
        turn = self.tapped.start(exchange)
        when = call.fetch_time()
        if when is not None:
            self._timers.append((when, call, partial(self._fetch_try, call, exchange.key)))
        return turn

    def _fetch_try(self, call: C, key: str) -> None:
        if call.exchange.key == key and call.tapped is self.tapped:  # still the same attempt
            try:
                self.fetch(call)
            except Exception as error:  # noqa: BLE001 - whatever it is, the call is told
                self.report(error, call)

    def fetch(self, call: C) -> None:
        """Open the stream of a call that was joined without one, without waiting."""
        if not self._is_under_way(call) or call.exchange.fetched:
            return
        if self.tapped.session.shared:
            self.prepare_reading()
        commands = self.feed(self.tapped.fetch, call.exchange)
        call.start_listening()
        if commands:
            self.start(self.perform(commands), call)

    def _is_under_way(self, call: C) -> bool:
        return call.opened and self._calls.get(call.exchange.key) is call

    def cancel(self, call: C) -> list[Any]:
        """Cancel a call now, and tell the server in the background; return an object to wait on."""
        told = self._carry_out(self.feed(self.tapped.cancel, call.exchange), call)
        if not call.done():  # an interrupt prevented its registration
            call.end(Cancelled(event_id=call.event_id, achieved=Achieved.UNKNOWN))
        return told

    def abandon(self, call: C, error: GradioTransportError, *, tell: bool = False) -> None:
        """End a call with an error of the client. With `tell`, send the server a cancellation."""
        commands = self.feed(lambda: self.tapped.abandon(call.exchange, error, tell=tell))
        self._carry_out(commands, call)
        if not call.done():
            call.fail(error)

    def _carry_out(self, commands: Iterable[Command], call: C) -> list[Any]:
        """Perform the commands of a call's end without waiting, so that its caller is free at once."""
        told, rest = list[Any](), list[Command]()
        for command in commands:
            match command:
                case DropStream() | DropWebSocket():
                    self._drop(command.channel)
                case SendRequest(phase=Phase.CANCEL):
                    told.append(self._tell(command))
                case _:
                    rest.append(command)
        if rest:
            self.start(self.perform(rest), call)
        return told

    def _drop(self, channel: str) -> None:
        # First, because the connection may be the only one that proves the app to be the same.
        self._state.app.identity.is_certain()
        self.drop(channel)

    def _tell(self, command: SendRequest) -> Any:
        seconds = self._state.app.options.timeouts.connect or TELL_SECONDS
        return self.tell(self._request(command, Deadline.after(seconds, "connect")))

    def send(self, call: C, arguments: Sequence[Any], timeout: float | None) -> Steps[None]:
        """Send the next chunk of a call's streaming input, its files first.

        Raises:
            GradioTransportError: See `Call.send`.
        """
        chunk = call.next_chunk(arguments)
        with self._bounded(call, timeout, "the chunk") as allowed:
            sequence = self._state.app.place_files(chunk)
            if sequence is not None:
                with add_elapsed(call.adapter):
                    chunk = yield from requests_of(self._state, call, allowed).run(sequence)
            commands = self.feed(self.tapped.send, call.exchange, chunk.data)
            yield from self._send_all(commands, allowed)
            call.check_sent()

    def finish_input(self, call: C, timeout: float | None) -> Steps[None]:
        """Tell the server that the streaming input has ended.

        Raises:
            GradioTransportError: See `Call.finish`.
        """
        with self._bounded(call, timeout, "the end of the input") as allowed:
            yield from self._send_all(self.feed(self.tapped.finish_input, call.exchange), allowed)
            call.check_sent()

    @contextmanager
    def _bounded(self, call: C, timeout: float | None, what: str) -> Generator[Deadline, None, None]:
        what = f"The reply to {what}"
        with bounded(timeout, what, Phase.STREAM, may_have_run=call.accepted) as allowed:
            yield allowed.sooner(call.total)

    def _send_all(self, commands: Sequence[Command], deadline: Deadline) -> Steps[None]:
        for command in commands:
            assert isinstance(command, SendRequest)
            yield from self.perform((yield from self._request(command, deadline))[1])

    # --- feeding ---------------------------------------------------------------------------------------

    @holding
    def feed(self, step: Callable[..., Turn], *arguments: Any) -> Sequence[Command]:
        """Feed the session one input, deliver its events, and return its commands.

        Raises:
            GradioTransportError: An exception, after which the driver is abandoned.
        """
        if self._left_to_parent:  # in a child of `fork`, whose thread may have been reading
            return ()
        with self._lock:
            turn = None
            try:
                turn = step(*arguments)
                commands = self._deliver(turn)
            except UnsupportedProtocol:  # raised before any change
                raise
            except BaseException as error:
                fault = (adapter_error if turn is None else internal_error)(error)
                self._give_up(fault)
                if error is fault or is_foreign(error):
                    raise
                raise copy_error(fault) from error
        if self._ended or self._timers:  # as for few messages
            self.settle()
        return commands

    def _deliver(self, turn: Turn) -> list[Command]:
        """Deliver events to their calls, and return the commands."""
        commands = turn.commands
        for delivery in turn.deliveries:
            exchange, event = delivery.exchange, delivery.event
            call = self._calls.get(exchange.key)
            if call is None:  # the client has ended it, so later messages of the server are dropped
                continue
            self._state.add_rendered(event)
            if isinstance(event, Failed) and not self._closed:
                if isinstance(event.error, TransportError | SessionNotFound):
                    self._state.app.identity.doubt()
                pause = call.retry_pause(event)
                if pause is not None:
                    del self._calls[exchange.key]
                    call.deliver(call.start_retry(event.error), 0)
                    self._timers.append((time.monotonic() + pause, call, partial(self._resubmit, call)))
                    continue
            refused = call.deliver(event, delivery.size, delivery.copies)
            if event.terminal:
                self._ended.append(self._calls.pop(exchange.key))
            elif refused is not None:
                commands = [*commands, *self._deliver(self.tapped.abandon(exchange, refused))]
        if commands and self.tapped.session.shared:
            commands = self._read_streams(commands)
        return commands

    def _read_streams(self, commands: list[Command]) -> list[Command]:
        """Start to read the shared stream if requested, and return the other commands.

        Why here, under the lock: the state machine treats the stream as open from now on. If the command got
        lost, every later call would wait forever.
        """
        for command in commands:
            if isinstance(command, OpenStream):
                self.start_reading(command)
        return [command for command in commands if not isinstance(command, OpenStream)]

    def settle(self) -> None:
        """Run the callbacks of calls that have ended, and set the timers of others.

        Without the lock, because a callback may call anything, and wait for another thread.
        """
        with self._lock:
            ended, self._ended = self._ended, []
            timers, self._timers = self._timers, []
        with ExitStack() as stack:  # an exception of one must not prevent the others
            for when, call, job in timers:
                stack.callback(self._set_timer, when, call, job)
            for call in reversed(ended):
                stack.callback(call.run_callbacks)

    def _set_timer(self, when: float, call: C, job: Callable[[], object]) -> None:
        try:
            self.start_at(when, call, job)
        except GradioTransportError as error:
            call.abandon(error)

    # --- commands --------------------------------------------------------------------------------------

    def perform(self, commands: Iterable[Command]) -> Steps[None]:
        """Perform commands, and the resulting ones, until none is left."""
        waiting = deque(commands)
        while waiting:
            waiting.extend((yield from self._perform(waiting.popleft())))

    def _perform(self, command: Command) -> Steps[Sequence[Command]]:
        match command:
            case SendRequest(phase=Phase.CANCEL):
                self._tell(command)  # this may run in the reader of a stream that others wait for
            case SendRequest():
                return (yield from self._request(command))[1]
            case OpenStream() | OpenWebSocket():
                return (yield from self._follow(command))
            case SendText():
                socket = self._live.get(command.channel)
                if socket is not None:
                    yield SendOn(socket, command.text)
            case DropStream() | DropWebSocket():
                self._drop(command.channel)
            case WakeAt():
                return (yield from self._sleep(command))
        return ()

    def _request(
        self, command: SendRequest | OpenStream | OpenWebSocket, deadline: Deadline | None = None
    ) -> Steps[tuple[Live | None, Sequence[Command]]]:
        """Send a request. Return the open stream, or the commands that result from its end."""
        call = self._call(command.channel)
        try:
            outcome = yield from self._requests(call, deadline, command).perform(command)
        except TransportError as error:
            return None, self.feed(self.tapped.failed, command, error)
        except GradioTransportError as error:  # the login that a reply requested was refused
            return None, self.feed(self.tapped.abandon, call.exchange, error) if call else ()
        if isinstance(outcome, Response):
            return None, self.feed(self.tapped.reply, command, outcome)
        return outcome, ()

    def _requests(self, call: C | None, deadline: Deadline | None, command: Command) -> Requests:
        made = requests_of(self._state, call, deadline, self.tapped.number)
        if isinstance(command, OpenStream) and self.tapped.session.shared:
            made.waiter, made.interruption = self._reader_waiter, self._interruption
        return made

    def _call(self, channel: str) -> C | None:
        return self._calls.get(channel.partition(".")[0])

    def _sleep(self, command: WakeAt) -> Steps[Sequence[Command]]:
        """Wait for the time of a wake or the end of its call, whichever is first."""
        call = self._call(command.channel)
        if call is None:
            return ()
        if command.channel in self._live:
            # Why not sleep here: this thread or task also reads the socket. `_converse` wakes the session.
            self._wakes[command.channel] = command
            return ()
        if not (yield Pause(max(0.0, command.when - time.monotonic()), call)):
            return ()
        return self.feed(self.tapped.wake, command.channel)

    # --- streams and sockets ---------------------------------------------------------------------------

    def read_shared(self, command: OpenStream) -> Steps[None]:
        """Read the shared stream of the session, and perform the commands of its end."""
        yield from self.perform((yield from self._follow(command)))

    def _follow(self, command: OpenStream | OpenWebSocket) -> Steps[Sequence[Command]]:
        """Open a stream or socket, feed the session from it until its end, and perform the commands."""
        channel = command.channel
        opened: list[Live] = []
        result = yield Droppable(self, channel, self._open_and_read(command, opened))
        if not opened:  # refused, or dropped while opening
            return result or ()
        closed = Closed(Ending.LOCAL) if result is None else result
        if closed.ending is Ending.LOCAL and self._closed:  # `close` gives each call the reason
            return ()
        call = self._call(channel)
        overdue = call.expiry if call is not None and closed.ending is Ending.IDLE else None
        if call is not None and overdue is not None:  # silence until a deadline of the call is its expiry
            self.abandon(call, overdue, tell=call.timeouts.cancel_on_expiry)
        return self.feed(self.tapped.closed, channel, closed)

    def _open_and_read(
        self, command: OpenStream | OpenWebSocket, opened: list[Live]
    ) -> Steps[Sequence[Command] | Closed]:
        live, commands = yield from self._request(command)
        if live is None:
            return commands
        chunks = live.chunks() if isinstance(command, OpenStream) else None
        ended: Sequence[Command] | Closed = yield Use(live, self._read(command, live, chunks, opened), chunks)
        return ended

    def _read(
        self, command: OpenStream | OpenWebSocket, live: Live, chunks: Any, opened: list[Live]
    ) -> Steps[Sequence[Command] | Closed]:
        channel = command.channel
        self._live[channel] = live
        try:
            if self._is_unwanted(channel):
                return ()
            opened.append(live)
            if isinstance(command, OpenStream):
                yield from self.perform(self.feed(self.tapped.stream_opened, channel, live.head))
                return (yield from self._read_stream(channel, live, chunks))
            yield from self.perform(self.feed(self.tapped.websocket_opened, channel))
            return (yield from self._converse(channel, live))
        finally:
            if self._live.get(channel) is live:
                del self._live[channel]

    def _is_unwanted(self, channel: str) -> bool:
        """Return whether a stream was dropped while opening, when `drop` could not find it."""
        return self._closed or (not self.tapped.session.shared and self._call(channel) is None)

    def _read_stream(self, channel: str, stream: Live, chunks: Any) -> Steps[Closed]:
        read = Read(chunks)
        while True:
            # Why not leave the loop early: a dropped stream ends at its next read, and only that ends the
            # generators of the HTTP library.
            data = yield read
            dropped = self._live.get(channel) is not stream
            if isinstance(data, Closed):
                return Closed(Ending.LOCAL) if dropped else data
            if dropped:
                continue
            commands = self.feed(self.tapped.data_received, channel, data)
            if commands:
                yield from self.perform(commands)

    def _converse(self, channel: str, socket: Live) -> Steps[Closed]:
        receive = Receive(socket)
        while self._live.get(channel) is socket:
            wake = self._wakes.get(channel)
            receive.timeout = None if wake is None else max(0.0, wake.when - time.monotonic())
            text = yield receive
            if isinstance(text, Closed):
                return text if self._live.get(channel) is socket else Closed(Ending.LOCAL)
            if text is not None:
                commands = self.feed(self.tapped.text_received, channel, text)
                if commands:
                    yield from self.perform(commands)
            elif wake is not None:
                del self._wakes[channel]
                yield from self.perform(self.feed(self.tapped.wake, channel))
        return Closed(Ending.LOCAL)

    # --- exceptions and the end ----------------------------------------------------------------------------

    def report(self, error: BaseException, call: C | None = None) -> None:
        """End a call, or all calls of the session, because an exception ended the steps."""
        if self._closed or self._fault is not None:
            return
        fault = internal_error(error)
        if call is None:
            with self._lock:
                self._give_up(fault)
            self.settle()
        elif not call.done():
            self._log(fault)
            with suppress(Exception):  # a second exception, which ends the call and abandons the driver
                call.abandon(copy_error(fault))

    def _log(self, fault: GradioTransportError) -> None:
        hide_secrets(fault, self._state.app.secrets)
        cause = fault.__cause__
        if cause is not None and not is_foreign(cause):
            logger.error("the session %s failed", self.tapped.number, exc_info=cause)

    def _give_up(self, fault: GradioTransportError) -> None:
        """End the calls in progress, and accept no others, because the state of the machine is unknown.

        So the machine is not used any more. The lock is held. Call `settle` afterwards.
        """
        if self._fault is not None:
            return
        self._log(fault)
        self._fault = fault
        calls, self._calls = self._calls, {}
        self._ended += calls.values()
        for call in calls.values():
            own = copy_error(fault)
            own.may_have_run = call.accepted
            failed = Failed(event_id=call.event_id, error=own)
            self.tapped.complete_error(call.exchange, failed)
            call.deliver(failed, 0)
        for channel in list(self._live):
            self.drop(channel)

    def fail(self, error: GradioTransportError) -> None:
        """End every call in progress with its own error."""
        with ExitStack() as stack:  # an exception of one must not keep the others open
            for call in reversed(list(self._calls.values())):
                stack.callback(self._fail_one, call, error)

    def _fail_one(self, call: C, error: GradioTransportError) -> None:
        if not call.done():
            with suppress(Exception):  # an exception, which abandons the driver and ends every call
                self.abandon(call, copy_error(error))

    def close(self, error: GradioTransportError) -> None:
        """End the calls in progress with an error, and drop the streams."""
        with self._lock:
            self._closed = True
        try:
            self.fail(error)
        finally:
            for channel in list(self._live):
                self.drop(channel)

    def drive(self, call: C, commands: Sequence[Command]) -> Steps[None]:
        """Perform a call's commands, unless it was cancelled or expired while it waited for its turn."""
        if not call.done() and not call.end_if_expired():
            yield from self.perform(commands)


__all__ = ["SessionDriver"]
