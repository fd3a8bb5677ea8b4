# SPDX-License-Identifier: Apache-2.0
"""What the sync and the async driver decide in the same way: options, deadlines, headers, outcomes.

No I/O here; `sync` and `aio` hold only what differs, which is how to wait.
"""

from .app import App, Description
from .calls import (
    Allowance,
    CallState,
    Deadlines,
    closed_under_way,
    given_up,
    internal_failure,
    lost_under_way,
)
from .options import CallOptions, Options
from .requests import (
    REASON_SECONDS,
    Retries,
    check_addresses,
    component_reply,
    component_request,
    input_content,
    input_request,
    is_event_stream,
    left,
    renewable,
    timed,
    too_late,
)
from .sessions import SessionState, heartbeat_pauses

__all__ = [
    "Allowance",
    "App",
    "CallOptions",
    "CallState",
    "Deadlines",
    "Description",
    "Options",
    "REASON_SECONDS",
    "Retries",
    "SessionState",
    "check_addresses",
    "closed_under_way",
    "component_reply",
    "component_request",
    "given_up",
    "heartbeat_pauses",
    "input_content",
    "input_request",
    "internal_failure",
    "is_event_stream",
    "left",
    "lost_under_way",
    "renewable",
    "timed",
    "too_late",
]
