# SPDX-License-Identifier: Apache-2.0
"""Delays between attempts, as numbers; the driver waits."""

from __future__ import annotations

import random
from collections.abc import Iterator

from ..policy import RetryPolicy


def delays(policy: RetryPolicy, rng: random.Random | None = None) -> Iterator[float]:
    """Yield the seconds to wait before each further attempt: exponential, full jitter, within the budget."""
    rng = rng or random.Random()  # noqa: S311 - jitter needs no secrecy
    left = policy.budget
    for attempt in range(policy.attempts - 1):
        # Full jitter from 0, so that clients that failed together do not retry together; 2.0**64 bounds the
        # exponent, which would overflow a float.
        delay = rng.uniform(0, min(policy.cap, policy.base * 2.0 ** min(attempt, 64)))
        if delay > left:
            return
        left -= delay
        yield delay
