# SPDX-License-Identifier: Apache-2.0
"""Makes the calls of a trace again on another server, and compares their outcomes.

Calls of one recorded session run in one session, and a call that began after another had ended waits for that
one; calls that ran at once run at once. A cancelled call is cancelled after as many values as then.
"""

from .planned import EarlierFile, Inputs, PlannedCall, Result, Status
from .planning import plan
from .recorded import RecordedCall, recorded_calls
from .running import rerun

__all__ = [
    "EarlierFile", "Inputs", "PlannedCall", "RecordedCall", "Result", "Status", "plan", "recorded_calls",
    "rerun",
]  # fmt: skip
