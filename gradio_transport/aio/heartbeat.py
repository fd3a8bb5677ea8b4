# SPDX-License-Identifier: Apache-2.0
"""Keeps a session's ``/heartbeat`` open, by a task."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import cast

import anyio

from ..calls.requests import is_event_stream
from ..calls.session_state import SessionState, heartbeat_pauses
from ..engines.base import StreamEnded
from ..errors import GradioTransportError
from .connection import Connection

logger = logging.getLogger(__name__)


class HeartbeatTask:
    """Keeps a session's ``/heartbeat`` open, so that the server keeps its state (docs/wire.md §9)."""

    def __init__(self, connection: Connection, state: SessionState) -> None:
        self.session_hash = state.session_hash
        self._connection = connection
        self._credentials = state.credentials
        self._command = state.heartbeat_command()
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Open it, read it, and open it again when it broke."""
        with self._scope:
            for pause in heartbeat_pauses():
                try:
                    if not await self._read_once():
                        return
                except GradioTransportError as error:
                    logger.debug("the heartbeat of session %s… broke: %s", self.session_hash[:4], error)
                await anyio.sleep(pause)

    async def _read_once(self) -> bool:
        """Read the heartbeat to its end; return whether it makes sense to open it again."""
        app = self._connection.app
        patience = app.patience(self._command, app.options.timeouts)
        request = app.with_headers(self._command.request, self._credentials)
        app.taps.command(self._command, 0)
        stream = await self._connection.engine.stream(request, patience)
        app.taps.response("heartbeat", 0, stream.head, head=True)
        try:
            if not is_event_stream(stream.head):
                return False  # a server that has none
            async with aclosing(cast("AsyncGenerator[bytes, None]", stream.chunks())) as chunks:
                async for chunk in chunks:
                    app.taps.chunk("heartbeat", chunk)
        except StreamEnded as ended:
            app.taps.end("heartbeat", ended.closed)
        finally:
            await stream.aclose()
        return True

    def stop(self) -> None:
        """End the heartbeat."""
        self._scope.cancel()
