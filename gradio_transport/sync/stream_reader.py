# SPDX-License-Identifier: Apache-2.0
"""The thread that reads the shared stream of a session: `StreamReader`."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..protocol.commands import OpenStream
from .threads import LazyThread, run_job


class StreamReader:
    """A reader of the streams of a session, one after the other, in one thread.

    Why not a thread for each stream: the stream ends between two calls, and waking this thread is faster than
    starting another.
    """

    def __init__(self, name: str, read: Callable[[OpenStream], None]) -> None:
        self._lazy = LazyThread(name, self._run)
        self._read = read
        self._changed = threading.Condition()
        self._next: OpenStream | None = None
        self._closed = False

    def prepare(self) -> None:
        """Start the thread, unless it is running.

        Why not with the first stream: a call must not be sent if its messages cannot be read.

        Raises:
            LocalProtocolError: The thread cannot be started.
        """
        if not self._closed:
            self._lazy.start()

    @property
    def thread(self) -> threading.Thread | None:
        """Its thread, or None before the start."""
        return self._lazy.thread

    def open(self, command: OpenStream) -> None:
        """Open and read a stream, after the previous one has ended. After `close` it does nothing."""
        with self._changed:
            self._next = command
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._next is None and not self._closed:
                    self._changed.wait()
                command, self._next = self._next, None
                if self._closed or command is None:
                    return
            run_job(self._read, command)

    def wait(self, seconds: float) -> bool:
        """Wait before another attempt to open the stream. Return whether the reader was closed meanwhile."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, seconds)

    def close(self) -> None:
        """Let the thread end after its current stream, which the caller aborts."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
