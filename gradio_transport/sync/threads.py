# SPDX-License-Identifier: Apache-2.0
"""What the threads of the library have in common: how they start, what their jobs may raise, a flag."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

from ..engines.interruptions import check_interpreter, is_foreign
from ..errors import LocalProtocolError

logger = logging.getLogger(__name__)


_PREFIX = "gradio-transport-"


def make_thread(name: str, work: Callable[[], object]) -> threading.Thread:
    """Return a thread of the library, not started: it never keeps the interpreter from exiting."""
    return threading.Thread(target=work, name=_PREFIX + name, daemon=True)


def is_own_thread() -> bool:
    """Return whether this is a thread of the library."""
    return threading.current_thread().name.startswith(_PREFIX)


def start(thread: threading.Thread) -> None:
    """Start a thread. Hold no lock meanwhile: starting waits, and a signal handler may run in that time.

    Raises:
        LocalProtocolError: The system has no thread left, or the interpreter is ending.
    """
    check_interpreter()  # the new thread would never run, and starting would wait for it
    try:
        thread.start()
    except RuntimeError as error:
        if is_foreign(error):
            raise
        raise LocalProtocolError(
            f"The thread {thread.name} could not be started ({error}). Close transports and sessions that "
            "are not used, or raise the limit of threads of this process."
        ) from error


class LazyThread:
    """A thread that is started when it is first needed.

    Attributes:
        thread: None as long as it has not been started.
    """

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self._name = name
        self._work = work
        self._lock = threading.RLock()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Start it, unless it has been started.

        Raises:
            LocalProtocolError: The system has no thread left.
        """
        if self.thread is not None:
            return
        thread = make_thread(self._name, self._work)
        try:
            with self._lock:
                if self.thread is not None:
                    return
                self.thread = thread
            start(thread)
        except BaseException:  # an interrupt too: else no thread would ever be started
            if self.thread is thread and not thread.is_alive():
                self.thread = None
            raise


def run_job(job: Callable[..., object], *arguments: Any) -> None:
    """Run a job of a thread that has others to run after it; log what the job raises."""
    try:
        job(*arguments)
    except BaseException:  # SystemExit too: in a thread it would end nothing but the thread
        logger.exception("a job in the thread %s failed", threading.current_thread().name)


class Change:
    """What threads wait on for a change. Without a lock: a signal handler may run, or raise, at any moment.

    Why not `threading.Condition`: an exception in the moment after it has released its lock leaves the lock
    released, which the ``with`` statement around it then does again.
    """

    def __init__(self) -> None:
        self._waiters: list[Waiter] = []

    def notify(self) -> None:
        """Wake every waiter, after the change."""
        for waiter in self._waiters.copy():
            waiter.wake()

    def wait(self) -> Waiter:
        """Return a waiter, to be used in a ``with`` block in which the state is looked at."""
        return Waiter(self._waiters)


class Waiter:
    """One thread that waits for changes: none that comes within its ``with`` block is missed."""

    def __init__(self, waiters: list[Waiter]) -> None:
        self._waiters = waiters
        self._asleep = threading.Lock()
        self._asleep.acquire()

    def __enter__(self) -> Self:
        self._waiters.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiters.remove(self)

    def wake(self) -> None:
        """End its sleep, or the next one."""
        with suppress(RuntimeError):  # it is awake
            self._asleep.release()

    def sleep(self, seconds: float | None) -> bool:
        """Wait for a change, some seconds at most; return whether there was one."""
        return self._asleep.acquire(timeout=-1 if seconds is None else max(0.0, seconds))


class Flag:
    """An event that may be set by a signal handler, in the middle of being set or waited for.

    Why not `threading.Event`: its lock is not reentrant, and see `Change`.
    """

    def __init__(self) -> None:
        self._changed = Change()
        self._is_set = False

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set it, and end every wait for it."""
        self._is_set = True
        self._changed.notify()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until it is set, some seconds at most; return whether it is."""
        with self._changed.wait() as waiter:
            if not self._is_set:
                waiter.sleep(seconds)
            return self._is_set


__all__ = ["Change", "Flag", "LazyThread", "is_own_thread", "make_thread", "run_job", "start"]
