# SPDX-License-Identifier: Apache-2.0
"""The thread that reads the shared stream of a session: `StreamReader`."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..protocol.commands import OpenStream
from .threads import LazyThread, run_job


class StreamReader:
    """Reads the streams of a session, one after the other, in one thread.

    Why not a thread for each stream: calls follow each other, and the stream ends between two of them. Waking
    this thread is faster than starting another.
    """

    def __init__(self, name: str, read: Callable[[OpenStream], None]) -> None:
        self._lazy = LazyThread(name, self._run)
        self._read = read
        self._changed = threading.Condition()
        self._next: OpenStream | None = None
        self._closed = False

    def prepare(self) -> None:
        """Start the thread, unless it runs.

        Why not with the first stream: a call whose messages nothing can read must not be sent.

        Raises:
            LocalProtocolError: It cannot be started.
        """
        if not self._closed:
            self._lazy.start()

    @property
    def thread(self) -> threading.Thread | None:
        """Its thread, once that is started."""
        return self._lazy.thread

    def open(self, command: OpenStream) -> None:
        """Open and read a stream, once the one before has ended; nothing happens after `close`."""
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
        """Wait before another try to open the stream; return whether it was closed meanwhile."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, seconds)

    def close(self) -> None:
        """Let the thread end after the stream it reads, which the caller aborts."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
