# SPDX-License-Identifier: Apache-2.0
"""One notion of the time that is left."""

from __future__ import annotations

import time

import pytest

from gradio_transport.engines.deadline import NEVER, Deadline
from gradio_transport.errors import Phase, TimeoutExpired


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_what_remains_is_never_negative(clock: list[float]) -> None:
    deadline = Deadline.after(5, "total")
    assert (deadline.at, deadline.remaining, deadline.expired) == (105.0, 5.0, False)
    clock[0] = 104.5
    assert deadline.remaining == 0.5
    clock[0] = 105.0
    assert (deadline.remaining, deadline.expired) == (0.0, True)
    clock[0] = 200.0
    assert deadline.remaining == 0.0


def test_no_bound_never_expires(clock: list[float]) -> None:
    assert Deadline.after(None, "total") is NEVER
    clock[0] = 1e12
    NEVER.check(Phase.JOIN)
    assert (NEVER.remaining, NEVER.expired) == (None, False)


@pytest.mark.usefixtures("clock")
def test_the_sooner_one_counts() -> None:
    first, second = Deadline.after(1, "first_message"), Deadline.after(2, "total")
    assert first.sooner(second) is first
    assert second.sooner(first) is first
    assert first.sooner(NEVER) is first
    assert NEVER.sooner(NEVER) is NEVER


def test_what_is_over_says_by_which_setting(clock: list[float]) -> None:
    deadline = Deadline.after(3, "total")
    deadline.check(Phase.JOIN)
    clock[0] += 3
    with pytest.raises(TimeoutExpired) as caught:
        deadline.check(Phase.UPLOAD)
    error = caught.value
    assert (error.setting, error.seconds, error.phase, error.retryable) == ("total", 3, Phase.UPLOAD, True)
    assert "Raise Timeouts(total=)" in error.message
