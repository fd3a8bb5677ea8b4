# SPDX-License-Identifier: Apache-2.0
"""Time limits for calls that the OS does not bound, such as a name look-up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Exception):
    """The call did not end in time."""


class Running(Generic[T]):
    """A call in its own daemon thread. If it hangs, it is abandoned, because a thread cannot be stopped."""

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self._call = call
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=f"gradio-transport-{name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value.append(self._call())
        except BaseException as error:  # noqa: BLE001 - raised in the thread that waits
            self._error = error

    def result(self, seconds: float) -> T:
        """Wait for the call, and return its value or raise its error.

        Raises:
            Late: It did not end in time.
        """
        self._thread.join(max(0.0, seconds))
        if self._error is not None:
            raise self._error
        if not self._value:
            raise Late
        return self._value[0]


def bounded(call: Callable[[], T], seconds: float, name: str = "doctor") -> T:
    """Return the result of a call within a time limit.

    Raises:
        Late: It did not end in time.
    """
    return Running(call, name).result(seconds)
