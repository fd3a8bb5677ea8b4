# SPDX-License-Identifier: Apache-2.0
"""Signal handlers that use the library, or raise, while the library is working.

Python runs a signal handler in the main thread, between any two instructions. An exception of the handler
comes out of the running function: of the library, of an adapter, or of an HTTP library. A handler that waits
for a lock that the interrupted function holds waits forever.
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
"""Whether a function of the library is `holding`, by the id of its code."""


def holding(function: F) -> F:
    """Mark a function that holds a lock or calls an engine: meanwhile its thread must not wait for others."""
    _holds[id(function.__code__)] = True
    return function


def not_holding(function: F) -> F:
    """Mark a function that may be called within a `holding` one, but may wait itself."""
    _holds[id(function.__code__)] = False
    return function


def is_held(depth: int = 1) -> bool:
    """Return whether this thread is inside a `holding` function.

    A signal handler has interrupted it there, or that function calls a tap or listener. Why inspect the
    stack: it costs time here, but none in the calls of the functions.

    Args:
        depth: The number of functions to skip, starting with the caller.
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
    """Raise if the interpreter is ending, because other threads do not run any more.

    Raises:
        LocalProtocolError: It is ending.
    """
    if sys.is_finalizing():
        raise LocalProtocolError(
            "The interpreter is ending, and with it the threads of the transport. Make calls earlier, "
            "for example in a function registered with atexit."
        )


def check_may_wait() -> None:
    """Refuse a wait that would be a deadlock.

    Raises:
        LocalProtocolError: A signal handler, tap or listener waits, or the interpreter is ending.
    """
    if sys.is_finalizing():
        check_interpreter()
    if is_held(3):
        raise LocalProtocolError(
            "This would wait forever: the signal handler, tap or listener interrupts the code that it waits "
            "for. Use submit() there, and wait for the result elsewhere."
        )


def is_foreign(error: BaseException) -> bool:
    """Return whether an exception comes from outside the library and its callees.

    These are Ctrl-C, the exit of the program, a cancelled task, and exceptions of signal handlers.
    """
    if not isinstance(error, Exception):
        return True
    return _in_main_thread() and _is_raised_by(error, _handlers())


def find_foreign(error: BaseException) -> BaseException | None:
    """Return the exception of a signal handler in the chain of another, or the exception itself.

    HTTP libraries mistake a `TimeoutError` of a handler for one of the socket.
    """
    if not _in_main_thread():
        return None
    handlers, seen = _handlers(), set[int]()
    following: BaseException | None = error
    while following is not None and id(following) not in seen:  # libraries make circular chains
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
    """Return the code of every signal handler in Python."""
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
