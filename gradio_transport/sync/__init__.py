# SPDX-License-Identifier: Apache-2.0
"""The sync API: `Transport`, `Session`, `Call`, `RemoteFile`. It uses threads, and no event loop."""

from __future__ import annotations

from .call import Call
from .files import RemoteFile
from .session import Session
from .transport import Transport

__all__ = ["Call", "RemoteFile", "Session", "Transport"]
