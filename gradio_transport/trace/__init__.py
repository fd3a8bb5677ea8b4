# SPDX-License-Identifier: Apache-2.0
"""Traces: the frames of a program's traffic, written as they happen, read back, replayed and compared."""

from __future__ import annotations

from ..protocol.frames import Direction, Frame, Kind, Tap
from ..protocol.known_secrets import KnownSecrets
from .comparison.compare import compare_traces, diff_traces
from .comparison.difference import Difference, Layer
from .conversation import Conversation, Entry, conversations
from .diagnosis.diagnose import Diagnosis, diagnose
from .environment import environment_tap
from .lint import Finding, Severity, Source, lint_trace
from .placeholders import Counts
from .reader import Trace, TraceError, read_trace
from .replay.mismatch import Mismatch, ReplayMismatch
from .replay.replayer import replay
from .replay.result import Replay, describe, differences
from .sharing import Redaction, redact_trace
from .timeline.reading import (
    CallTimeline,
    Change,
    Outcome,
    SessionTimeline,
    Silence,
    Span,
    Step,
    StepKind,
    Stream,
    Timeline,
    TimelineBuilder,
    Update,
    timeline,
)
from .writer import TraceWriter

__all__ = [
    "CallTimeline", "Change", "Conversation", "Counts", "Diagnosis", "Difference", "Direction", "Entry",
    "Finding", "Frame", "Kind", "KnownSecrets", "Layer", "Mismatch", "Outcome", "Redaction", "Replay",
    "ReplayMismatch", "SessionTimeline", "Severity", "Silence", "Source", "Span", "Step", "StepKind",
    "Stream", "Tap", "Timeline", "TimelineBuilder", "Trace", "TraceError", "TraceWriter", "Update",
    "compare_traces",
    "conversations", "describe", "diagnose", "diff_traces", "differences", "environment_tap", "lint_trace",
    "read_trace", "redact_trace", "replay", "timeline",
]  # fmt: skip
