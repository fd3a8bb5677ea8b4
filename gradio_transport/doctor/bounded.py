# SPDX-License-Identifier: Apache-2.0
"""Calls that the OS does not bound in time, such as a look-up of a name, bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Exception):
    """The call was not over in time."""


class Running(Generic[T]):
    """A call in a daemon thread of its own. One that hangs is left behind: a thread cannot be stopped."""

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
            Late: It is not over in time.
        """
        self._thread.join(max(0.0, seconds))
        if self._error is not None:
            raise self._error
        if not self._value:
            raise Late
        return self._value[0]


def bounded(call: Callable[[], T], seconds: float, name: str = "doctor") -> T:
    """Return what a call returns within some seconds.

    Raises:
        Late: It was not over in time.
    """
    return Running(call, name).result(seconds)
