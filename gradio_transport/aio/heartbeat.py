# SPDX-License-Identifier: Apache-2.0
"""Keeps a session's ``/heartbeat`` open, by a task."""

from __future__ import annotations

import anyio

from ..calls.heartbeat import Heartbeat
from ..calls.session_state import SessionState
from .connection import Connection


class HeartbeatTask(Heartbeat):
    """A heartbeat in a task of its own."""

    def __init__(self, connection: Connection, state: SessionState, owner: object) -> None:
        super().__init__(state)
        self._connection = connection
        self._scope = anyio.CancelScope()

    def start(self) -> None:
        """Keep it open in a task of the transport."""
        self._connection.spawn(self.run)

    async def run(self) -> None:
        """Open it, read it, and open it again when it broke."""
        with self._scope:
            await self._connection.run(self.steps())

    def stop(self) -> None:
        """End the heartbeat."""
        self._scope.cancel()
