# SPDX-License-Identifier: Apache-2.0
"""Signal handlers that use the library, or raise, in the middle of what the library does.

Python runs a signal handler in the main thread, between any two instructions. What the handler raises comes
out of the function that runs at that moment: of the library, of an adapter, or of an HTTP library. And a
handler that waits there for what that function holds, such as a lock of the HTTP library, waits for ever.
"""

from __future__ import annotations

import functools
import inspect
import signal
import sys
import threading
from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

from ..errors import LocalProtocolError

F = TypeVar("F", bound=Callable[..., Any])

_SIGNALS = tuple(signal.valid_signals())

_holds: dict[int, bool] = {}
"""Whether a function of the library holds something, by the id of its code."""


def holding(function: F) -> F:
    """Mark a function that holds a lock or calls an engine: meanwhile its thread must not wait for others."""
    _holds[id(function.__code__)] = True
    return function


def not_holding(function: F) -> F:
    """Mark a function that may be called within a `holding` one, but itself calls what may wait."""
    _holds[id(function.__code__)] = False
    return function


def is_held(depth: int = 1) -> bool:
    """Return whether this thread is in the middle of a `holding` function.

    It has been interrupted there by a signal handler, or that function calls a tap or listener. Looking at
    the stack costs something here, and nothing where the functions are called.

    Args:
        depth: How many functions, the caller being the first, are not looked at.
    """
    frame = inspect.currentframe()
    for _ in range(depth):
        frame = frame and frame.f_back
    while frame is not None:
        held = _holds.get(id(frame.f_code))
        if held is not None:
            return held
        frame = frame.f_back
    return False


def check_interpreter() -> None:
    """Refuse what needs other threads while the interpreter ends, because none of them runs any more.

    Raises:
        LocalProtocolError: It is ending.
    """
    if sys.is_finalizing():
        raise LocalProtocolError(
            "The interpreter is ending, and with it the threads of the transport. Make calls before that, "
            "for example in a function registered with atexit."
        )


def check_may_wait() -> None:
    """Refuse to wait for what cannot come before this thread goes on, or can never come.

    Raises:
        LocalProtocolError: A signal handler, tap or listener waits, or the interpreter is ending.
    """
    if sys.is_finalizing():
        check_interpreter()
    if is_held(3):
        raise LocalProtocolError(
            "This would wait for ever: a signal handler, tap or listener interrupts what has to go on first. "
            "Use submit() there, and wait for the result elsewhere."
        )


def is_foreign(error: BaseException) -> bool:
    """Return whether an exception was raised neither by the library nor by what it calls.

    That is Ctrl-C, the end of the program, a cancelled task, and anything that a signal handler raises.
    """
    if not isinstance(error, Exception):
        return True
    return _in_main_thread() and _is_raised_by(error, _handlers())


def find_foreign(error: BaseException) -> BaseException | None:
    """Return the exception of a signal handler that another one was made of, or the exception itself.

    HTTP libraries take a `TimeoutError` of a handler for one of the socket.
    """
    if not _in_main_thread():
        return None
    handlers, seen = _handlers(), set[int]()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:  # libraries make chains that are circles
        if _is_raised_by(following, handlers):
            return following
        seen.add(id(following))
        following = following.__cause__ or following.__context__
    return None


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _is_raised_by(error: BaseException, codes: set[CodeType]) -> bool:
    traceback = error.__traceback__
    while traceback is not None:
        if traceback.tb_frame.f_code in codes:
            return True
        traceback = traceback.tb_next
    return False


def _handlers() -> set[CodeType]:
    """Return the code of every signal handler that is written in Python."""
    found = set[CodeType]()
    for number in _SIGNALS:
        handler: Any = signal.getsignal(number)
        while isinstance(handler, functools.partial):
            handler = handler.func
        if callable(handler):
            function = handler if hasattr(handler, "__code__") else type(handler).__call__
            code = getattr(function, "__code__", None)
            if isinstance(code, CodeType):
                found.add(code)
    return found


__all__ = [
    "check_interpreter",
    "check_may_wait",
    "find_foreign",
    "holding",
    "is_foreign",
    "is_held",
    "not_holding",
]
