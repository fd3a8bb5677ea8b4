# SPDX-License-Identifier: Apache-2.0
"""Traces: every frame of a program's traffic, written as it happens, read back, replayed, compared."""

from __future__ import annotations

from .reader import Trace, TraceError, read_trace
from .replay import Mismatch, Replay, ReplayMismatch, describe, differences, replay
from .writer import TraceWriter, environment_tap

__all__ = [
    "Mismatch", "Replay", "ReplayMismatch", "Trace", "TraceError", "TraceWriter", "describe",
    "differences",
    "environment_tap", "read_trace", "replay",
]  # fmt: skip
