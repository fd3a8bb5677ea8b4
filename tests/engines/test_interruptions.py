# SPDX-License-Identifier: Apache-2.0
"""Which exceptions come from a signal handler, and where a handler must not wait."""

from __future__ import annotations

import functools
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gradio_transport.engines import interruptions
from gradio_transport.engines.interruptions import check_may_wait, find_foreign, is_foreign, is_held
from gradio_transport.errors import LocalProtocolError


@contextmanager
def handled(handler: Any) -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def raising(number: int, frame: Any) -> None:
    raise TimeoutError("of the handler")


class Raising:
    def __call__(self, number: int, frame: Any) -> None:
        raise TimeoutError("of the handler")

    method = __call__


HANDLERS: dict[str, Callable[..., None]] = {
    "a function": raising,
    "a lambda": lambda number, frame: raising(number, frame),
    "a partial": functools.partial(raising),
    "a method": Raising().method,
    "an object": Raising(),
}


@pytest.mark.parametrize("name", HANDLERS)
def test_what_a_signal_handler_raises_is_foreign(name: str) -> None:
    with handled(HANDLERS[name]):
        with pytest.raises(TimeoutError) as caught:
            signal.raise_signal(signal.SIGUSR1)
        assert is_foreign(caught.value)
        assert find_foreign(caught.value) is caught.value


def test_an_exception_made_of_one_of_a_handler_leads_to_it() -> None:
    def read() -> None:
        try:
            signal.raise_signal(signal.SIGUSR1)
        except OSError as error:
            raise ConnectionError("broken") from error

    with handled(raising):
        with pytest.raises(ConnectionError) as caught:
            read()
        assert find_foreign(caught.value) is caught.value.__cause__


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_what_ends_the_program_is_foreign(error: BaseException) -> None:
    assert is_foreign(error)


def test_other_exceptions_are_not_foreign() -> None:
    with handled(raising), pytest.raises(TimeoutError) as caught:
        raise TimeoutError
    assert not is_foreign(caught.value)
    assert find_foreign(caught.value) is None


def test_other_threads_run_no_signal_handlers() -> None:
    found: list[Any] = []

    def work() -> None:
        try:
            raising(0, None)
        except TimeoutError as error:
            found.extend([is_foreign(error), find_foreign(error)])

    with handled(raising):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(5)
    assert found == [False, None]


@interruptions.holding
def holding(inner: Callable[[], Any]) -> Any:
    return inner()


@interruptions.not_holding
def not_holding(inner: Callable[[], Any]) -> Any:
    return inner()


def test_the_innermost_marked_function_decides_whether_something_is_held() -> None:
    assert not is_held()
    assert holding(is_held)
    assert not holding(lambda: not_holding(is_held))
    assert holding(lambda: not_holding(lambda: holding(is_held)))


def test_waiting_is_refused_where_it_would_last_for_ever() -> None:
    def wait() -> None:
        check_may_wait()

    wait()
    with pytest.raises(LocalProtocolError, match="would wait forever"):
        holding(wait)


def test_waiting_is_refused_while_the_interpreter_ends() -> None:
    program = (
        "from gradio_transport.engines.interruptions import check_may_wait\n"
        "class Last:\n"
        "    def __del__(self, check=check_may_wait):\n"
        "        try:\n"
        "            check()\n"
        "        except Exception as error:\n"
        "            print(error)\n"
        "last = Last()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.startswith("The interpreter is ending")


def test_a_chain_of_exceptions_that_is_a_circle_ends() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__context__ = second, first
    assert find_foreign(first) is None
