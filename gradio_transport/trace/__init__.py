# SPDX-License-Identifier: Apache-2.0
"""Traces: the frames of a program's traffic, written as they happen, read back, replayed and compared."""

from __future__ import annotations

from ..protocol.frames import Direction, Frame, Kind, Tap
from ..protocol.known_secrets import KnownSecrets
from .compare import diff_traces
from .conversation import Conversation, Entry, conversations
from .environment import environment_tap
from .lint import Finding, Severity, lint_trace
from .mismatch import Mismatch, ReplayMismatch
from .reader import Trace, TraceError, read_trace
from .replay import replay
from .replay_result import Replay, describe, differences
from .timeline import CallTimeline, Outcome, Step, StepKind, Timeline, TimelineBuilder, timeline
from .writer import TraceWriter

__all__ = [
    "CallTimeline", "Conversation", "Entry", "Finding", "Mismatch", "Outcome", "Replay", "ReplayMismatch",
    "Severity", "Step", "StepKind", "Timeline", "TimelineBuilder", "Trace", "TraceError", "TraceWriter",
    "conversations", "describe", "diff_traces", "differences", "environment_tap", "lint_trace", "read_trace",
    "replay", "timeline",
    "Direction", "Frame", "Kind", "KnownSecrets", "Tap",
]  # fmt: skip
