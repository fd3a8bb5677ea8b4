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
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

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
from ..engines.base import Engine, HandshakeRefused, ResponseStream, StreamEnded, WebSocket
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    TransportError,
)
from ..policy import Timeouts
from ..wire import Wire
from .call import Call

logger = logging.getLogger(__name__)

JOIN_THREAD_SECONDS = 5.0
"""How long `close` waits for a thread that has been told to end."""


class Runner:
    """Drives one session: performs its commands and feeds what comes of them."""

    def __init__(self, core: Core, wire: Wire) -> None:
        self._core = core
        self.wire = wire
        self._lock = threading.RLock()
        self._wanted = threading.Condition(self._lock)
        self._calls: dict[str, Call] = {}
        self._ended: list[Call] = []
        self._live: dict[str, ResponseStream | WebSocket] = {}
        self._wakes: dict[str, WakeAt] = {}
        self._stream_wanted: OpenStream | None = None
        self._reader: threading.Thread | None = None
        self._closed = False

    @property
    def usable(self) -> bool:
        """Whether it takes new calls."""
        return self.wire.machine.usable and not self._closed

    # --- calls ---------------------------------------------------------------------------------------

    def begin(self, invocation: Invocation, timeouts: Timeouts) -> tuple[Call, list[Command]]:
        """Open and start a call; return it with the first commands."""
        with self._lock:
            exchange = self.wire.open(invocation)
            call = Call(self, exchange, timeouts)
            self._calls[exchange.key] = call
            commands = self._deliver(self.wire.start(exchange))
        return call, commands

    def cancel(self, call: Call) -> None:
        """Cancel a call and tell the server."""
        self.perform(self._feed(self.wire.cancel, call._exchange))

    def expire(self, call: Call, error: GradioTransportError) -> None:
        """End a call whose deadline is over."""
        self.perform(self._feed(self.wire.abandon, call._exchange, error))

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
            case CloseStream() | CloseWebSocket():
                self._drop(command.channel)
                return ()
            case WakeAt():
                return self._sleep(command)

    def _feed(self, step: Callable[..., Turn], *arguments: Any) -> Sequence[Command]:
        with self._lock:
            commands = self._deliver(step(*arguments))
            ended, self._ended = self._ended, []
        for call in ended:
            call._run_callbacks()
        return commands

    def _send(self, command: SendRequest) -> Sequence[Command]:
        try:
            response = self._core.request(
                command, self._timeouts(command.channel), self._remaining(command.channel)
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

    def _remaining(self, channel: str) -> float | None:
        call = self._call(channel)
        return call._deadlines.remaining if call is not None else None

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
        if call._wait(lambda: call._outcome is not None, delay):
            return ()
        return self._feed(self.wire.wake, command.channel)

    # --- streams and sockets -------------------------------------------------------------------------

    def _drop(self, channel: str) -> None:
        live = self._live.pop(channel, None)
        if live is not None:
            live.abort()

    def _read_stream(self, command: OpenStream) -> Sequence[Command]:
        """Open a stream and feed it to its end, performing what comes of it on the way."""
        channel = command.channel
        patience = self._core.app.patience(command, self._timeouts(channel), self._remaining(channel))
        request = self._core.app.dressed(command.request)
        try:
            stream = self._core.engine.stream(request, patience)
        except TransportError as error:
            return self._feed(self.wire.failed, command, error)
        try:
            self._core.app.credentials.store(request.url, stream.head.set_cookie)
            if not is_event_stream(stream.head):
                return self._refuse(command, stream)
            self._live[channel] = stream
            self.perform(self._feed(self.wire.stream_opened, channel, stream.head))
            closed = self._pump(channel, stream)
        finally:
            self._live.pop(channel, None)
            stream.close()
        return self._feed(self.wire.closed, channel, closed)

    def _refuse(self, command: OpenStream, stream: ResponseStream) -> Sequence[Command]:
        try:
            body = stream.read()
        except GradioTransportError as error:
            body = error.message.encode()
        head = stream.head
        return self._feed(
            self.wire.reply, command, Response(head.status, head.headers, body, head.url, head.set_cookie)
        )

    def _pump(self, channel: str, stream: ResponseStream) -> Closed:
        try:
            for chunk in stream.chunks():
                self.perform(self._feed(self.wire.data_received, channel, chunk))
                if channel not in self._live:
                    return Closed(Ending.LOCAL)
        except StreamEnded as error:
            return Closed(Ending.LOCAL) if channel not in self._live else error.closed
        return Closed(Ending.LOCAL) if channel not in self._live else Closed(Ending.CLEAN)

    def _read_websocket(self, command: OpenWebSocket) -> Sequence[Command]:
        channel, app = command.channel, self._core.app
        patience = app.patience(command, self._timeouts(channel), self._remaining(channel))
        headers = app.credentials.for_url(command.url, command.headers)
        try:
            socket = self._core.engine.websocket(
                command.url, headers, patience, app.options.limits.max_event_bytes
            )
        except HandshakeRefused as refused:
            return self._feed(self.wire.reply, command, refused.response)
        except TransportError as error:
            return self._feed(self.wire.failed, command, error)
        self._live[channel] = socket
        try:
            self.perform(self._feed(self.wire.websocket_opened, channel))
            closed = self._converse(channel, socket)
        finally:
            self._drop(channel)
        return self._feed(self.wire.closed, channel, closed)

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
        self.perform(command for command in commands if isinstance(command, CloseStream | CloseWebSocket))

    def close(self, reason: str) -> threading.Thread | None:
        """Stop: end the calls under way, wake the reader, and return its thread to be joined."""
        with self._lock:
            already, self._closed = self._closed, True
            self._wanted.notify_all()
        if not already:
            self.fail(LocalProtocolError(reason, may_have_run=True))
        for channel in list(self._live):
            self._drop(channel)
        return self._reader


class Workers:
    """A bounded number of daemon threads for calls that have a channel of their own.

    Not `concurrent.futures`: its threads keep the interpreter from exiting while a server is silent.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._lock = threading.Lock()

    def submit(self, job: Callable[[], None]) -> None:
        """Do a job in some thread, soon."""
        with self._lock:
            self._jobs.put(job)
            if self._idle:
                self._idle -= 1
            elif len(self._threads) < self._most:
                name = f"gradio-transport-worker-{len(self._threads) + 1}"
                thread = threading.Thread(target=self._work, name=name, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                if self._jobs.empty():
                    self._idle += 1

    def close(self) -> list[threading.Thread]:
        """Tell every thread to end after its job, and return them to be joined."""
        with self._lock:
            for _ in self._threads:
                self._jobs.put(None)
            threads, self._threads = self._threads, []
        return threads


class Core:
    """What all sessions of a transport share. Threads refer to this, never to the `Transport`."""

    def __init__(self, app: App, engine: Engine) -> None:
        self.app = app
        self.engine = engine
        self.workers = Workers(app.options.limits.workers)
        self._runners: set[Runner] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.closed = False

    def request(self, command: SendRequest, timeouts: Timeouts, remaining: float | None = None) -> Response:
        """Send one request with what its origin may see; repeat it where that is safe and wanted."""
        request = self.app.dressed(command.request)
        patience = self.app.patience(command, timeouts, remaining)
        retries = Retries(self.app.options.retry, command)
        while True:
            try:
                outcome: Response | TransportError = self.engine.request(request, patience)
            except TransportError as error:
                outcome = error
            pause = retries.pause(outcome)
            if pause is None or self._closing.wait(pause):
                break
        if isinstance(outcome, TransportError):
            raise outcome
        self.app.credentials.store(request.url, outcome.set_cookie)
        return outcome

    def discover(self) -> None:
        """Run the handshake."""
        sequence = self.app.handshake()
        try:
            command = next(sequence)
            while True:
                self.app.taps.command(command, 0)
                response = self.request(command, self.app.options.timeouts)
                self.app.taps.response(command.channel, 0, response)
                self.app.credentials.rebind(response.url or command.request.url)
                command = sequence.send(response)
        except StopIteration as stop:
            self.app.discovery = stop.value

    def runner(self, adapter: Adapter, session_hash: str) -> Runner:
        """Return a driver for a new session."""
        runner = Runner(self, self.app.wire(adapter, session_hash))
        with self._lock:
            if self.closed:
                raise LocalProtocolError("The transport is closed.")
            self._runners.add(runner)
        return runner

    def discard(self, runner: Runner) -> None:
        """Forget a session."""
        with self._lock:
            self._runners.discard(runner)

    def close(self) -> None:
        """Close everything, and leave no thread behind."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self._closing.set()
            runners = list(self._runners)
        readers = [
            runner.close("The transport was closed while the call was under way.") for runner in runners
        ]
        self.engine.close()
        for thread in [*readers, *self.workers.close()]:
            if thread is not None and thread is not threading.current_thread():
                thread.join(JOIN_THREAD_SECONDS)
