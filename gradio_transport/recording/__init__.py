# SPDX-License-Identifier: Apache-2.0
"""A recording reverse proxy for one app: the traffic of any client becomes a trace."""

from __future__ import annotations

from .blocking import Recording, record
from .server import RecordingOptions, RecordingServer, default_path

__all__ = ["Recording", "RecordingOptions", "RecordingServer", "default_path", "record"]
