# SPDX-License-Identifier: Apache-2.0
"""`Deadline`: the deadline of a call, or of one blocking method."""

from __future__ import annotations

import math
import time
from typing import Final

import attrs

from ..errors import Phase, TimeoutExpired


@attrs.frozen
class Deadline:
    """A deadline, and the setting that it comes from.

    Attributes:
        at: A time of `time.monotonic`; infinite if there is no bound.
        setting: The field of `Timeouts` that the bound comes from, or ``"timeout"`` for one of a method.
        seconds: The value of that setting.
    """

    at: float = math.inf
    setting: str = ""
    seconds: float | None = None

    @classmethod
    def after(cls, seconds: float | None, setting: str) -> Deadline:
        """Return the deadline some seconds from now; `NEVER` for None."""
        return NEVER if seconds is None else cls(time.monotonic() + seconds, setting, seconds)

    @property
    def remaining(self) -> float | None:
        """Remaining seconds, never negative; None if there is no bound."""
        return None if self.at == math.inf else max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return time.monotonic() >= self.at

    def sooner(self, other: Deadline) -> Deadline:
        """Return the earlier deadline."""
        return self if self.at <= other.at else other

    def check(self, phase: Phase) -> None:
        """Raise if the deadline has passed.

        Raises:
            TimeoutExpired: It has passed.
        """
        if self.at != math.inf and time.monotonic() >= self.at:
            raise self.error(phase)

    def error(self, phase: Phase) -> TimeoutExpired:
        """Return the error for a request that was not sent because the deadline of its call had passed."""
        return TimeoutExpired(
            f"The {self.seconds} s for the whole call were over before the request was sent ({phase.value}). "
            f"Raise Timeouts({self.setting}=) if it may take longer.",
            setting=self.setting,
            seconds=self.seconds,
            phase=phase,
            retryable=True,
        )


NEVER: Final = Deadline()
"""The deadline that never passes."""
