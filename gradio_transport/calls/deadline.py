# SPDX-License-Identifier: Apache-2.0
"""Deadlines: of a whole call, of the first message, and of one blocking method."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import attrs

from ..errors import (
    Phase,
    TimeoutExpired,
)
from ..policy import Timeouts


def seconds_left(until: float | None, timeouts: Timeouts, phase: Phase) -> float | None:
    """Return the seconds that a call has left for its next request; None: there is no bound.

    Args:
        until: When its time is over, by `time.monotonic`.
        timeouts: Of the call.
        phase: Of what comes next.

    Raises:
        TimeoutExpired: None is left.
    """
    if until is None:
        return None
    rest = until - time.monotonic()
    if rest <= 0:
        raise total_timeout_error(timeouts, phase)
    return rest


def total_timeout_error(timeouts: Timeouts, phase: Phase) -> TimeoutExpired:
    """Return the error for a call whose time is over before a request of it was sent."""
    return TimeoutExpired(
        f"The {timeouts.total} s for the whole call were over before the request was sent ({phase.value}). "
        "Raise Timeouts(total=) if it may take longer.",
        setting="total",
        seconds=timeouts.total,
        phase=phase,
        retryable=True,
    )


def timeout_error(what: str, seconds: float | None, phase: Phase) -> TimeoutExpired:
    """Return the error for an expired ``timeout=`` of one method."""
    return TimeoutExpired(
        f"{what} was not there within timeout={seconds} s.", setting="timeout", seconds=seconds, phase=phase
    )


class Allowance:
    """The seconds that a caller allows one blocking method: ``with Allowance(timeout, ...) as allowed``.

    A `TimeoutExpired` that leaves the block once they are over names ``timeout`` as its setting.
    """

    def __init__(self, seconds: float | None, what: str, phase: Phase, *, may_have_run: bool = False) -> None:
        self._may_have_run = may_have_run
        self._seconds = seconds
        self._what = what
        self._phase = phase
        self._end = None if seconds is None else time.monotonic() + seconds

    @property
    def remaining(self) -> float | None:
        """Seconds that are left, or None if there is no bound."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def until(self, other: float | None) -> float | None:
        """Return when they are over, or another time of `time.monotonic` that comes before."""
        return min((when for when in (self._end, other) if when is not None), default=None)

    def check(self) -> None:
        """Raise if they are over.

        Raises:
            TimeoutExpired: They are.
        """
        if self.remaining == 0.0:
            raise timeout_error(self._what, self._seconds, self._phase)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Why not `remaining == 0.0`: a timer may fire a little early.
        remaining = self.remaining
        if isinstance(error, TimeoutExpired) and remaining is not None and remaining < 0.01:
            late = timeout_error(self._what, self._seconds, self._phase)
            late.may_have_run = self._may_have_run
            raise late from error


@attrs.define
class Deadlines:
    """The deadlines of one call, in seconds of the driver's clock."""

    timeouts: Timeouts
    clock: Callable[[], float]
    total: float | None = attrs.field(init=False, default=None)
    first: float | None = attrs.field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        if self.timeouts.total is not None:
            self.total = self.clock() + self.timeouts.total

    def accepted(self) -> None:
        """Begin to wait for the first message."""
        if self.timeouts.first_message is not None:
            self.first = self.clock() + self.timeouts.first_message

    def heard(self) -> None:
        """Take note that a message came."""
        self.first = None

    @property
    def next(self) -> float | None:
        """The earliest deadline."""
        return min((when for when in (self.total, self.first) if when is not None), default=None)

    @property
    def need_timer(self) -> bool:
        """Whether they need a waiter with a timer, because the bound on silence alone would come too late."""
        first, idle = self.timeouts.first_message, self.timeouts.idle
        return self.total is not None or (first is not None and (idle is None or first < idle))

    @property
    def remaining(self) -> float | None:
        """Seconds until the total deadline."""
        return None if self.total is None else self.total - self.clock()

    def setting(self) -> tuple[str, float | None] | None:
        """Return the setting that has expired, with its value, or None."""
        now = self.clock()
        if self.total is not None and now >= self.total:
            return "total", self.timeouts.total
        if self.first is not None and now >= self.first:
            return "first_message", self.timeouts.first_message
        return None
