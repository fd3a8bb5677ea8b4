# SPDX-License-Identifier: Apache-2.0
"""The ``timeout=`` of one blocking method."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from ..engines.deadline import Deadline
from ..errors import LocalProtocolError, Phase, TimeoutExpired


def check_timeout(timeout: float | None) -> None:
    """Reject an invalid ``timeout=``. A negative one counts as expired, as in the standard library.

    Raises:
        LocalProtocolError: It is neither None nor a finite number.
    """
    if timeout is None:
        return
    is_number = isinstance(cast("object", timeout), int | float) and not isinstance(timeout, bool)
    if not is_number or not math.isfinite(timeout):
        raise LocalProtocolError(
            f"timeout= takes a number of seconds, or None for no bound; got {timeout!r}."
        )


def timeout_error(what: str, seconds: float | None, phase: Phase) -> TimeoutExpired:
    """Return the error for an expired ``timeout=`` of one method."""
    return TimeoutExpired(
        f"{what} was not ready within timeout={seconds} s.", setting="timeout", seconds=seconds, phase=phase
    )


@contextmanager
def bounded(
    timeout: float | None, what: str, phase: Phase, *, may_have_run: bool = False
) -> Generator[Deadline, None, None]:
    """Bound the time of one blocking method, which runs in the block.

    A `TimeoutExpired` that leaves the block after the deadline names ``timeout`` as its setting.
    """
    check_timeout(timeout)
    deadline = Deadline.after(timeout, "timeout")
    try:
        yield deadline
    except TimeoutExpired as error:
        # 10 ms of tolerance: a timer may fire a little early.
        if timeout is None or time.monotonic() < deadline.at - 0.01:
            raise
        late = timeout_error(what, timeout, phase)
        late.may_have_run = may_have_run or error.may_have_run
        raise late from error
