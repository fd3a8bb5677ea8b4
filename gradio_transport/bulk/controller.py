# SPDX-License-Identifier: Apache-2.0
"""The number of concurrent calls of one app, and the time to fetch a late call. No clock, no I/O."""

from __future__ import annotations

import attrs

FIRST = 8
"""Concurrent calls before the first message of the server. By default Gradio runs one at a time."""

MOST = 64
"""The most concurrent calls that a controller allows."""

WAITING = 1
"""The highest rank that a call may have when it joins: one waiting call keeps a server busy."""


@attrs.define
class Controller:
    """A controller of the number of concurrent calls: additive increase, multiplicative decrease.

    At first the number doubles with each round of calls, as in TCP, until the queue grows for the first time.

    Servers do not report how many calls they run at once, but most report a call's rank in the queue when it
    joins. A rank above `WAITING` means that the server has more calls than it can run, from this run or
    others.
    """

    limit: float = FIRST
    most: int = MOST
    fixed: bool = False
    _has_fallen: bool = False
    _until_next: int = 0
    """Calls that must end before the limit falls again, because running calls joined under the old limit."""

    @classmethod
    def of(cls, at_once: int | None) -> Controller:
        """Return a controller for a fixed number of calls, or for None."""
        return cls() if at_once is None else cls(limit=at_once, most=at_once, fixed=True)

    @property
    def allowed(self) -> int:
        """The most concurrent calls."""
        return max(1, int(self.limit))

    def joined(self, rank: int | None) -> None:
        """Record the rank of a call that succeeded; None if the server did not report it."""
        self._until_next -= 1
        if rank is None or self.fixed:
            return
        if rank > WAITING:
            self._fall(0.9)
        elif self._until_next <= 0:
            self.limit = min(self.limit + (1 / self.limit if self._has_fallen else 1), self.most)

    def refused(self) -> None:
        """Record that the server refused a call for lack of room."""
        self._until_next -= 1
        if not self.fixed:
            self._fall(0.5)

    def _fall(self, factor: float) -> None:
        self._has_fallen = True
        if self._until_next <= 0:
            self.limit = max(1.0, self.limit * factor)
            self._until_next = self.allowed


LONG_SECONDS = 1.0
"""The shortest run time, in seconds, for late fetching: of shorter calls a killed process loses few."""

READY = 0.1
"""If the stream takes less than this part of a call's time, the result was ready when the stream opened."""


@attrs.define
class FetchTime:
    """An estimate of the time when the result of a late call is ready, in seconds after its submission.

    A stream that is opened too early is lost if the process dies; one that is opened too late costs time. The
    estimate rises towards calls that took longer, and falls slowly while results are ready in time.

    Attributes:
        seconds: The estimate; None before the end of the first call.
        run: Run time of the function, as the server reports; None if it does not.
    """

    seconds: float | None = None
    run: float | None = None

    @property
    def is_long(self) -> bool:
        """Whether a call is long enough to spend a connection on it so that it can outlive this process."""
        taken = self.seconds if self.run is None else self.run
        return taken is None or taken >= LONG_SECONDS

    def ended(self, elapsed: float, streamed: float, run: float | None) -> None:
        """Record a completed call.

        Args:
            elapsed: Seconds from its submission to its end.
            streamed: Seconds of these since the first message of its stream.
            run: Seconds that the function ran, or None if the server did not report it.
        """
        if run is not None:
            self.run = run if self.run is None else self.run + 0.3 * (run - self.run)
        if self.seconds is None:
            self.seconds = elapsed
        elif streamed > READY * elapsed:
            self.seconds += 0.3 * (elapsed - self.seconds)
        else:
            self.seconds *= 0.9
