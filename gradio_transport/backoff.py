# SPDX-License-Identifier: Apache-2.0
"""Delays between tries: pure numbers, the waiting is the driver's."""

from __future__ import annotations

import random
from collections.abc import Iterator

from .policy import RetryPolicy


def delays(policy: RetryPolicy, rng: random.Random | None = None) -> Iterator[float]:
    """Yield the seconds to wait before each further try: exponential, full jitter, within the budget."""
    rng = rng or random.Random()  # noqa: S311 - jitter needs no secrecy
    left = policy.budget
    for attempt in range(policy.attempts - 1):
        delay = rng.uniform(0, min(policy.cap, policy.base * 2.0 ** min(attempt, 64)))
        if delay > left:
            return
        left -= delay
        yield delay


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds of a ``Retry-After`` header (RFC 9110 §10.2.3), or None if there is none.

    Args:
        value: Seconds, or an HTTP date.
        now: The current time, in seconds since the epoch, to make a date relative.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    from email.utils import parsedate_to_datetime  # dear to load, and seldom needed

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None
