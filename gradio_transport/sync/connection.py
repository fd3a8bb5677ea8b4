# SPDX-License-Identifier: Apache-2.0
"""The connection to one app by threads: performs steps, and has the workers and alarms."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..calls import steps
from ..calls.app import App
from ..calls.requests import addresses_of
from ..calls.steps import Step, Steps
from ..engines.base import Engine, HandshakeRefused, StreamEnded
from ..errors import GradioTransportError
from ..files.disk import read_upload
from ..files.upload import ReadFile
from ..protocol.commands import Closed, Ending
from .alarms import Alarms
from .workers import Workers

T = TypeVar("T")

_END = Closed(Ending.CLEAN)


class Connection:
    """Performs the steps of requests and sessions, each in the thread that asks for it."""

    def __init__(self, app: App, engine: Engine) -> None:
        self.app = app
        self.engine = engine
        if os.environ.get("GRADIO_TRANSPORT_TRACE"):  # the trace package is loaded only then
            from ..trace.environment import record_as_environment_says

            record_as_environment_says(app.taps)
        self.closing = threading.Event()
        self._start_without_threads()

    def _start_without_threads(self) -> None:
        self.workers = Workers(self.app.options.limits.workers)
        self.alarms = Alarms()
        self._exclusive = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether it is closed, or about to be."""
        return self.closing.is_set()

    def reset_after_fork(self) -> None:
        """Leave connections and threads to the parent, in a child of ``fork``."""
        self.closing = threading.Event()
        self._start_without_threads()
        reset: Callable[[], None] | None = getattr(self.engine, "reset_after_fork", None)
        if reset is None:  # an engine of the caller's, which would use the parent's sockets
            self.closing.set()
        else:
            reset()

    def run(self, sequence: Steps[T]) -> T:
        """Perform steps until the sequence ends, and return its result."""
        try:
            step = next(sequence)
            while True:
                try:
                    result = self._perform(step)
                except (GradioTransportError, HandshakeRefused) as error:
                    step = sequence.throw(error)
                else:
                    step = sequence.send(result)
        except StopIteration as stop:
            value: T = stop.value
            return value

    def _perform(self, step: Step) -> Any:
        match step:
            case steps.Read():
                return _read(step)
            case steps.Operation():
                return step.perform(self.engine)
            case steps.Send():
                return self.engine.request(step.request, step.begin())
            case steps.Pause():
                # Why not `time.sleep`: the end of the call, or of the transport, must not wait for it.
                return not (step.waiter or self.closing).wait(step.seconds)
            case steps.Use():
                try:
                    return self.run(step.steps)
                finally:
                    step.live.close()
            case steps.Droppable():
                return self.run(step.steps)
            case steps.Exclusive():
                return self._run_exclusively(step)
            case steps.Resolve():
                return resolve_host(step.url)
            case ReadFile():
                return read_upload(step.path)

    def _run_exclusively(self, step: steps.Exclusive) -> None:
        rest = step.deadline.remaining
        if not self._exclusive.acquire(timeout=-1 if rest is None else rest):
            raise step.deadline.error(step.phase)
        try:
            self.run(step.steps)
        finally:
            self._exclusive.release()

    def close(self) -> list[threading.Thread]:
        """Close every connection, and return the threads that end with them, to be joined."""
        self.closing.set()
        self.engine.close()
        alarms = self.alarms.close()
        return [*self.workers.close(), *([alarms] if alarms is not None else [])]


def _read(step: steps.Read) -> bytes | Closed:
    try:
        return next(step.chunks, _END)
    except StreamEnded as ended:
        return ended.closed


def resolve_host(url: str) -> list[str]:
    """Return the addresses of a URL's host; none if it has none (the request will then fail and say so)."""
    with suppress(OSError):
        return addresses_of(socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM))
    return []
