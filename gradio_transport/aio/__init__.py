# SPDX-License-Identifier: Apache-2.0
"""The async face: `AsyncTransport`, `AsyncSession`, `AsyncCall`, `AsyncRemoteFile`, on asyncio and trio.

Structured: every task belongs to the transport's task group, so leaving its ``async with`` block leaves
nothing behind. No threads, but for legacy websockets, which have one each while they live.
"""

from __future__ import annotations

from .call import AsyncCall
from .files import AsyncRemoteFile
from .session import AsyncSession
from .transport import AsyncTransport

__all__ = ["AsyncCall", "AsyncRemoteFile", "AsyncSession", "AsyncTransport"]
