# SPDX-License-Identifier: Apache-2.0
"""How many calls of one app are under way at once, and when a late call is fetched: no clock, no I/O."""

from __future__ import annotations

import attrs

FIRST = 8
"""Calls at once before the server has said anything. The default of Gradio is to run one at a time."""

MOST = 64
"""Calls at once that a controller grows to."""

WAITING = 1
"""The rank that a call may have when it joins: one that waits keeps a server busy, more gain nothing."""


@attrs.define
class Controller:
    """Grows the number of calls at once until the queue grows: additive increase, multiplicative decrease.

    At first it doubles with each round of calls, as TCP does, until the queue has grown for the first time.

    Servers do not say how many calls they run at once, but most say a call's rank in the queue when it
    joins. A rank above `WAITING` means that the server has more than it can run, by this run or by others.
    """

    limit: float = FIRST
    most: int = MOST
    fixed: bool = False
    _has_fallen: bool = False
    _until_next: int = 0
    """Calls that end before the limit falls again: those under way joined under the old one."""

    @classmethod
    def of(cls, at_once: int | None) -> Controller:
        """Return a controller for a number that the caller has set, or for none."""
        return cls() if at_once is None else cls(limit=at_once, most=at_once, fixed=True)

    @property
    def allowed(self) -> int:
        """How many calls may be under way."""
        return max(1, int(self.limit))

    def joined(self, rank: int | None) -> None:
        """Take what the queue said of a call that ended well; None if it said nothing."""
        self._until_next -= 1
        if rank is None or self.fixed:
            return
        if rank > WAITING:
            self._fall(0.9)
        elif self._until_next <= 0:
            self.limit = min(self.limit + (1 / self.limit if self._has_fallen else 1), self.most)

    def refused(self) -> None:
        """Take that the server had no room for a call."""
        self._until_next -= 1
        if not self.fixed:
            self._fall(0.5)

    def _fall(self, factor: float) -> None:
        self._has_fallen = True
        if self._until_next <= 0:
            self.limit = max(1.0, self.limit * factor)
            self._until_next = self.allowed


LONG_SECONDS = 1.0
"""How long a function runs whose calls are fetched late: of shorter ones a killed process loses few."""

READY = 0.1
"""The part of a call's time within which its stream is over where the result was there when it was opened."""


@attrs.define
class FetchTime:
    """Estimates when the result of a late call will be there, in seconds after its submission.

    A stream that is opened too early is lost with the process; one that is opened too late costs time. The
    estimate rises towards calls that took longer, and falls slowly while results were there already.

    Attributes:
        seconds: The estimate; None before the first call has ended.
        run: How long the function runs, as the server says; None where it says nothing.
    """

    seconds: float | None = None
    run: float | None = None

    @property
    def is_long(self) -> bool:
        """Whether it is worth a connection for each call that it can outlive this process."""
        taken = self.seconds if self.run is None else self.run
        return taken is None or taken >= LONG_SECONDS

    def ended(self, elapsed: float, streamed: float, run: float | None) -> None:
        """Take a call that was made.

        Args:
            elapsed: Seconds from its submission to its end.
            streamed: Seconds of these from the first message of its stream on.
            run: Seconds that the function ran, if the server said so.
        """
        if run is not None:
            self.run = run if self.run is None else self.run + 0.3 * (run - self.run)
        if self.seconds is None:
            self.seconds = elapsed
        elif streamed > READY * elapsed:
            self.seconds += 0.3 * (elapsed - self.seconds)
        else:
            self.seconds *= 0.9
