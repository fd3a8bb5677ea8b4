# SPDX-License-Identifier: Apache-2.0
"""Drives one session: its commands become steps, and what comes of them is fed to it: `SessionDriver`.

No I/O here. A face adds who performs the steps, and when: a thread, a task, at once or in the background.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any, Generic, TypeVar

import attrs

from ..adapter.session import Turn
from ..engines.base import Interruption
from ..engines.deadline import Deadline
from ..errors import GradioTransportError, LocalProtocolError, Phase, SessionNotFound, TransportError
from ..events import Failed
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
from .failures import copy_error, internal_error
from .method_timeout import bounded
from .request_sequence import Live, Requests
from .requests import add_elapsed
from .session_state import SessionState
from .steps import Droppable, Pause, Read, Receive, SendOn, Steps, Use
from .tap import TappedSession

logger = logging.getLogger(__name__)

C = TypeVar("C", bound=CallState)


def requests_of(
    state: SessionState, call: CallState | None, deadline: Deadline | None = None, session: int = 0
) -> Requests:
    """Return the requests of a call of a session, or of the session itself; see `Requests`."""
    if call is None:
        timeouts = state.app.options.timeouts
        return Requests(app=state.app, credentials=state.credentials, timeouts=timeouts, session=session)
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
    """Drives one session: performs its commands and feeds it the replies.

    The lock is held while the session takes input and its events are delivered, never while a step is
    performed: a read or a request may take as long as it likes, and closing has to get in between.
    """

    def __init__(self, state: SessionState, tapped: TappedSession, resubmit: Callable[[C], object]) -> None:
        self._state = state
        self._resubmit = resubmit
        self.tapped = tapped
        self._calls: dict[str, C] = {}
        self._ended: list[C] = []
        self._retries: list[tuple[C, float]] = []
        self._live: dict[str, Live] = {}
        self._wakes: dict[str, WakeAt] = {}
        self._closed = False
        self._left_to_parent = False
        self._lock: AbstractContextManager[Any] = nullcontext()
        self._interruption: Interruption | None = None
        self._reader_waiter: Any = None
        """What a pause before the shared stream is opened again waits on; see `Pause`."""

    # --- what a face adds ------------------------------------------------------------------------------

    def start(self, steps: Steps[Any]) -> None:
        """Perform steps in the background."""
        raise NotImplementedError

    def start_reading(self, command: OpenStream) -> None:
        """Read the shared stream of the session in the background, by `read_shared`."""
        raise NotImplementedError

    def start_at(self, when: float, call: C, job: Callable[[], object]) -> None:
        """Run a short job at a time of `time.monotonic`, unless the call has ended before."""
        raise NotImplementedError

    def drop(self, channel: str) -> None:
        """Drop a stream or socket now, if it is open, and end the steps that read it."""
        raise NotImplementedError

    # --- calls -----------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """Whether it takes new calls."""
        return self.tapped.session.usable and not self._closed

    @property
    def call_count(self) -> int:
        """How many calls are under way."""
        return len(self._calls)

    def begin(self, call: C) -> Sequence[Command]:
        """Open and start a call, or its next try; return the first commands. `settle` has to follow.

        Raises:
            LocalProtocolError: The session is closed.
        """
        with self._lock:
            if self._closed:  # by another thread, after the session returned this driver
                raise LocalProtocolError("The session is closed.")
            exchange = call.open(self, self.tapped)
            if exchange is None:
                return ()
            # Registered before it starts, and under one lock: events of the start are delivered by its key.
            self._calls[exchange.key] = call
            commands = self._deliver(self.tapped.start(exchange))
        when = call.fetch_time()
        if when is not None:
            self.start_at(when, call, partial(self._fetch_try, call, exchange.key))
        return commands

    def _fetch_try(self, call: C, key: str) -> None:
        if call.exchange.key == key and call.tapped is self.tapped:  # still the same try
            self.fetch(call)

    def fetch(self, call: C) -> None:
        """Open the stream of a call that was joined without one; never waits."""
        if not self._is_under_way(call) or call.exchange.fetched:
            return
        commands = self.feed(self.tapped.fetch, call.exchange)
        call.start_listening()
        if commands:
            self.start(self.perform(commands))

    def _is_under_way(self, call: C) -> bool:
        return call.opened and self._calls.get(call.exchange.key) is call

    def cancel(self, call: C) -> Steps[None]:
        """Cancel a call now, and return the steps that tell the server."""
        return self.perform(self.feed(self.tapped.cancel, call.exchange))

    def expire(self, call: C, error: GradioTransportError) -> None:
        """End a call whose deadline is over, and tell the server in the background where that is wanted."""
        tell = call.timeouts.cancel_on_expiry
        commands = self.feed(lambda: self.tapped.abandon(call.exchange, error, tell=tell))
        self._drop_all(commands)
        rest = [command for command in commands if not isinstance(command, DropStream | DropWebSocket)]
        if rest:
            self.start(self.perform(rest))

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
        """Tell the server that no further chunk will come.

        Raises:
            GradioTransportError: See `Call.finish`.
        """
        with self._bounded(call, timeout, "the end of the input") as allowed:
            yield from self._send_all(self.feed(self.tapped.finish_input, call.exchange), allowed)
            call.check_sent()

    @contextmanager
    def _bounded(self, call: C, timeout: float | None, what: str) -> Generator[Deadline, None, None]:
        what = f"The answer to {what}"
        with bounded(timeout, what, Phase.STREAM, may_have_run=call.accepted) as allowed:
            yield allowed.sooner(call.total)

    def _send_all(self, commands: Sequence[Command], deadline: Deadline) -> Steps[None]:
        for command in commands:
            assert isinstance(command, SendRequest)
            yield from self.perform((yield from self._request(command, deadline))[1])

    # --- feeding ---------------------------------------------------------------------------------------

    def feed(self, step: Callable[..., Turn], *arguments: Any) -> Sequence[Command]:
        """Feed the session one input, deliver its events, and return its commands."""
        if self._left_to_parent:  # in a child of `fork`, whose thread may have been in the middle of a read
            return ()
        with self._lock:
            commands = self._deliver(step(*arguments))
        if self._ended or self._retries:  # as for few messages
            self.settle()
        return commands

    def _deliver(self, turn: Turn) -> list[Command]:
        """Hand events to their calls, and return the commands."""
        commands = turn.commands
        for delivery in turn.deliveries:
            exchange, event = delivery.exchange, delivery.event
            call = self._calls.get(exchange.key)
            if call is None:  # this side has ended it; what the server still sends is dropped
                continue
            self._state.add_rendered(event)
            if isinstance(event, Failed) and not self._closed:
                if isinstance(event.error, TransportError | SessionNotFound):
                    self._state.app.identity.doubt()
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

    def settle(self) -> None:
        """Run the callbacks of calls that have ended, and arrange the next tries of others.

        Without the lock: a callback may call anything, and wait for another thread.
        """
        with self._lock:
            ended, self._ended = self._ended, []
            retries, self._retries = self._retries, []
        for call in ended:
            call.run_callbacks()
        for call, pause in retries:
            self.start_at(time.monotonic() + pause, call, partial(self._resubmit, call))

    # --- commands --------------------------------------------------------------------------------------

    def perform(self, commands: Iterable[Command]) -> Steps[None]:
        """Perform commands, and those that come of them, until none is left."""
        waiting = deque(commands)
        while waiting:
            waiting.extend((yield from self._perform(waiting.popleft())))

    def _perform(self, command: Command) -> Steps[Sequence[Command]]:
        match command:
            case SendRequest():
                return (yield from self._request(command))[1]
            case OpenStream() if self.tapped.session.shared:
                self.start_reading(command)
            case OpenStream() | OpenWebSocket():
                return (yield from self._follow(command))
            case SendText():
                socket = self._live.get(command.channel)
                if socket is not None:
                    yield SendOn(socket, command.text)
            case DropStream() | DropWebSocket():
                self.drop(command.channel)
            case WakeAt():
                return (yield from self._sleep(command))
        return ()

    def _drop_all(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, DropStream | DropWebSocket):
                self.drop(command.channel)

    def _request(
        self, command: SendRequest | OpenStream | OpenWebSocket, deadline: Deadline | None = None
    ) -> Steps[tuple[Live | None, Sequence[Command]]]:
        """Send a request; return what is open now, or the commands that come of its end."""
        call = self._call(command.channel)
        try:
            outcome = yield from self._requests(call, deadline, command).perform(command)
        except TransportError as error:
            return None, self.feed(self.tapped.failed, command, error)
        except GradioTransportError as error:  # the login that a reply asked for was refused
            return None, self.feed(self.tapped.abandon, call.exchange, error) if call else ()
        if isinstance(outcome, Response):
            return None, self.feed(self.tapped.reply, command, outcome)
        return outcome, ()

    def _requests(self, call: C | None, deadline: Deadline | None, command: Command) -> Requests:
        made = requests_of(self._state, call, deadline, self.tapped.number)
        if isinstance(command, OpenStream) and self.tapped.session.shared:
            made = attrs.evolve(made, waiter=self._reader_waiter, interruption=self._interruption)
        return made

    def _call(self, channel: str) -> C | None:
        return self._calls.get(channel.partition(".")[0])

    def _sleep(self, command: WakeAt) -> Steps[Sequence[Command]]:
        """Wait for the time of a wake, or the end of its call, whichever comes first."""
        call = self._call(command.channel)
        if call is None:
            return ()
        if command.channel in self._live:
            # Why not sleep here: who performs this reads the socket, and would not meanwhile. `_converse`
            # wakes it.
            self._wakes[command.channel] = command
            return ()
        if not (yield Pause(max(0.0, command.when - time.monotonic()), call)):
            return ()
        return self.feed(self.tapped.wake, command.channel)

    # --- streams and sockets ---------------------------------------------------------------------------

    def read_shared(self, command: OpenStream) -> Steps[None]:
        """Read the shared stream of the session, and perform what comes of its end."""
        yield from self.perform((yield from self._follow(command)))

    def _follow(self, command: OpenStream | OpenWebSocket) -> Steps[Sequence[Command]]:
        """Open a stream or socket and feed it to its end, performing what comes of it on the way."""
        channel = command.channel
        opened: list[Live] = []
        result = yield Droppable(self, channel, self._open_and_read(command, opened))
        if not opened:  # refused, or dropped while it was being opened
            return result or ()
        closed = Closed(Ending.LOCAL) if result is None else result
        if closed.ending is Ending.LOCAL and self._closed:  # `close` says why, to each of the calls
            return ()
        call = self._call(channel)
        overdue = call.expiry if call is not None and closed.ending is Ending.IDLE else None
        if call is not None and overdue is not None:  # silence up to a deadline of the call is that expiry
            self.expire(call, overdue)
        return self.feed(self.tapped.closed, channel, closed)

    def _open_and_read(
        self, command: OpenStream | OpenWebSocket, opened: list[Live]
    ) -> Steps[Sequence[Command] | Closed]:
        live, commands = yield from self._request(command)
        return commands if live is None else (yield Use(live, self._read(command, live, opened)))

    def _read(
        self, command: OpenStream | OpenWebSocket, live: Live, opened: list[Live]
    ) -> Steps[Sequence[Command] | Closed]:
        channel = command.channel
        self._live[channel] = live
        try:
            if self._is_unwanted(channel):
                return ()
            opened.append(live)
            if isinstance(command, OpenStream):
                yield from self.perform(self.feed(self.tapped.stream_opened, channel, live.head))
                return (yield from self._read_stream(channel, live))
            yield from self.perform(self.feed(self.tapped.websocket_opened, channel))
            return (yield from self._converse(channel, live))
        finally:
            if self._live.get(channel) is live:
                del self._live[channel]

    def _is_unwanted(self, channel: str) -> bool:
        """Return whether a stream was dropped while it was being opened, when `drop` could not find it."""
        return self._closed or (not self.tapped.session.shared and self._call(channel) is None)

    def _read_stream(self, channel: str, stream: Live) -> Steps[Closed]:
        read = Read(stream.chunks())
        while True:
            # Never left early: a stream that was dropped ends at its next read, and the generators of the
            # HTTP library end with it.
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

    # --- faults and the end ----------------------------------------------------------------------------

    def report(self, error: Exception) -> None:
        """End the session's calls for a fault in what a thread or task of the library did for it."""
        if not self._closed:
            logger.error("the session %s failed", self.tapped.number, exc_info=error)
            self.fail(internal_error(error))

    def fail(self, error: GradioTransportError) -> None:
        """End every call under way with an error of its own."""
        for call in list(self._calls.values()):
            own = copy_error(error)
            self._drop_all(self.feed(self.tapped.abandon, call.exchange, own))
            if not call.done() and not call.waits_for_retry:  # its end had come, and could not be handed over
                own.adapter = self.tapped.adapter
                call.end(Failed(event_id=call.event_id, error=own))

    def close(self, error: GradioTransportError) -> None:
        """End the calls under way with an error, and drop the streams."""
        with self._lock:
            already, self._closed = self._closed, True
        if not already:
            self.fail(error)
        for channel in list(self._live):
            self.drop(channel)

    def drive(self, call: C, commands: Sequence[Command]) -> Steps[None]:
        """Perform a call's commands, unless it was cancelled or has expired while it waited for its turn."""
        if not call.done() and not call.end_if_expired():
            yield from self.perform(commands)


__all__ = ["SessionDriver"]
