# SPDX-License-Identifier: Apache-2.0
"""Traces: every frame of a program's traffic, written as it happens, read back, replayed, compared."""

from __future__ import annotations

from ..protocol.frames import Direction, Frame, Kind, Tap
from .compare import diff_traces
from .conversation import Conversation, Said, conversations
from .environment import environment_tap
from .lint import Finding, Severity, lint_trace
from .reader import Trace, TraceError, read_trace
from .replay import Mismatch, Replay, ReplayMismatch, describe, differences, replay
from .writer import TraceWriter

__all__ = [
    "Conversation", "Finding", "Mismatch", "Replay", "ReplayMismatch", "Said", "Severity", "Trace",
    "TraceError", "TraceWriter", "conversations", "describe", "diff_traces", "differences", "environment_tap",
    "lint_trace", "read_trace", "replay",
    "Direction", "Frame", "Kind", "Tap",
]  # fmt: skip
