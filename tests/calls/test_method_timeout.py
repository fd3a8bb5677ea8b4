# SPDX-License-Identifier: Apache-2.0
"""The ``timeout=`` of one method."""

from __future__ import annotations

import time

import pytest

from gradio_transport.calls.method_timeout import bounded
from gradio_transport.errors import Phase, TimeoutExpired


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_timeout_of_a_method_is_named_once_it_is_over(clock: list[float]) -> None:
    late = TimeoutExpired("No answer.", setting="join", seconds=9, phase=Phase.JOIN)

    def work() -> None:
        with bounded(2, "The answer", Phase.STREAM, may_have_run=True):
            clock[0] += 1.995
            raise late

    with pytest.raises(TimeoutExpired) as caught:
        work()
    error = caught.value
    assert (error.setting, error.seconds, error.phase, error.may_have_run) == (
        "timeout",
        2,
        Phase.STREAM,
        True,
    )
    assert error.__cause__ is late


@pytest.mark.parametrize("timeout", [2.0, None])
def test_another_timeout_keeps_its_name(clock: list[float], timeout: float | None) -> None:
    late = TimeoutExpired("No answer.", setting="join", seconds=1, phase=Phase.JOIN)

    def work() -> None:
        with bounded(timeout, "The answer", Phase.STREAM) as deadline:
            assert deadline.remaining == timeout
            clock[0] += 1
            raise late

    with pytest.raises(TimeoutExpired) as caught:
        work()
    assert caught.value is late
