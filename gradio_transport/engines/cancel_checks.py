# SPDX-License-Identifier: Apache-2.0
"""When a task that always has something to read checks whether it is cancelled."""

from __future__ import annotations

import itertools
from collections.abc import Callable

WAITS_PER_CHECK = 16
"""Waits of a reader from one check for a cancellation to the next."""


def cancel_checks() -> Callable[[], bool]:
    """Return a function for one reader that tells before each wait whether to check for a cancellation.

    On asyncio, anyio does not cancel a task whose wait has just ended, so never one that always has data.
    Such a task calls ``anyio.lowlevel.checkpoint_if_cancelled`` itself. Why not at each wait: that takes a
    fifth of the time of a short message.
    """
    return itertools.cycle([False] * (WAITS_PER_CHECK - 1) + [True]).__next__
