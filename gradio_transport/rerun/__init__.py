# SPDX-License-Identifier: Apache-2.0
"""Make the calls of a trace again on another server, and compare their outcomes.

Calls of one recorded session run in one session. A call that started after the end of another waits for it;
concurrent calls run concurrently. A cancelled call is cancelled after as many values as in the recording.
"""

from .planned import EarlierFile, Inputs, PlannedCall, Result, Status
from .planning import plan
from .recorded import RecordedCall, recorded_calls
from .running import rerun

__all__ = [
    "EarlierFile", "Inputs", "PlannedCall", "RecordedCall", "Result", "Status", "plan", "recorded_calls",
    "rerun",
]  # fmt: skip
