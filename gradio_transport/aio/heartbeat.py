# SPDX-License-Identifier: Apache-2.0
"""Keep a session's ``/heartbeat`` open in a task."""

from __future__ import annotations

import anyio

from ..calls.heartbeat import Heartbeat
from ..calls.session_state import SessionState
from .connection import Connection


class HeartbeatTask(Heartbeat):
    """A heartbeat in its own task."""

    def __init__(self, connection: Connection, state: SessionState, owner: object) -> None:
        super().__init__(state)
        self._connection = connection
        self._scope = anyio.CancelScope()

    def start(self) -> None:
        """Keep the heartbeat open in a task of the transport."""
        self._connection.spawn(self.run)

    async def run(self) -> None:
        """Open the heartbeat, read it, and open it again when it breaks."""
        with self._scope:
            await self._connection.run(self.steps())

    def stop(self) -> None:
        """End the heartbeat."""
        self._scope.cancel()
