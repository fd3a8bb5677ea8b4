# SPDX-License-Identifier: Apache-2.0
"""The async API: `AsyncTransport`, `AsyncSession`, `AsyncCall`, `AsyncRemoteFile`, on asyncio and trio.

Structured concurrency: every task belongs to the transport's task group, so none survives its ``async with``
block. No threads, except one for each open legacy websocket.
"""

from __future__ import annotations

from .call import AsyncCall
from .files import AsyncRemoteFile
from .session import AsyncSession
from .transport import AsyncTransport

__all__ = ["AsyncCall", "AsyncRemoteFile", "AsyncSession", "AsyncTransport"]
