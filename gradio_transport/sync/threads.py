# SPDX-License-Identifier: Apache-2.0
"""Shared code of the library's threads: their start, exceptions of their jobs, and flags."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Self

from ..engines.interruptions import check_interpreter, is_foreign
from ..errors import LocalProtocolError

logger = logging.getLogger(__name__)


_PREFIX = "gradio-transport-"


def make_thread(name: str, work: Callable[[], object]) -> threading.Thread:
    """Return an unstarted daemon thread of the library."""
    return threading.Thread(target=work, name=_PREFIX + name, daemon=True)


def is_own_thread() -> bool:
    """Return whether this is a thread of the library."""
    return threading.current_thread().name.startswith(_PREFIX)


def start(thread: threading.Thread) -> None:
    """Start a thread. Hold no lock meanwhile: starting waits, and a signal handler may run during the wait.

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
            f"The thread {thread.name} could not be started ({error}). Close unused transports and "
            f"sessions, or raise the thread limit of this process."
        ) from error


class LazyThread:
    """A thread that starts on first use.

    Attributes:
        thread: The thread, or None before the start.
    """

    def __init__(self, name: str, work: Callable[[], object]) -> None:
        self._name = name
        self._work = work
        self._lock = threading.RLock()
        self.thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread, unless it was started.

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
        except BaseException:  # after an interrupt too: otherwise no thread would ever start
            if self.thread is thread and not thread.is_alive():
                self.thread = None
            raise


def run_job(job: Callable[..., object], *arguments: Any) -> None:
    """Run one of several jobs of a thread, and log its exception."""
    try:
        job(*arguments)
    except BaseException:  # SystemExit too, because in a thread it would end only the thread
        logger.exception("a job in the thread %s failed", threading.current_thread().name)


class Change:
    """A notification of changes. It has no lock, because a signal handler may run or raise at any moment.

    Why not `threading.Condition`: after an exception right after it released its lock, the ``with`` statement
    around it would release the lock a second time.
    """

    def __init__(self) -> None:
        self._waiters: list[Waiter] = []

    def notify(self) -> None:
        """Wake every waiter, after the change."""
        for waiter in self._waiters.copy():
            waiter.wake()

    def wait(self) -> Waiter:
        """Return a waiter for a ``with`` block that checks the state."""
        return Waiter(self._waiters)


class Waiter:
    """A thread that waits for changes. It misses no change within its ``with`` block."""

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
        try:  # noqa: SIM105 - `suppress` takes three calls, for each message
            self._asleep.release()
        except RuntimeError:  # already awake
            pass

    def sleep(self, seconds: float | None) -> bool:
        """Wait for a change, at most for some seconds. Return whether there was one."""
        return self._asleep.acquire(timeout=-1 if seconds is None else max(0.0, seconds))


class Flag:
    """An event that a signal handler may set, even during another `set` or `wait`.

    Why not `threading.Event`: its lock is not reentrant, and see `Change`.
    """

    def __init__(self) -> None:
        self._changed = Change()
        self._is_set = False

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self._is_set

    def set(self) -> None:
        """Set the flag, and end every wait for it."""
        self._is_set = True
        self._changed.notify()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the flag is set, at most for some seconds. Return whether it is set."""
        with self._changed.wait() as waiter:
            if not self._is_set:
                waiter.sleep(seconds)
            return self._is_set


__all__ = ["Change", "Flag", "LazyThread", "is_own_thread", "make_thread", "run_job", "start"]
