# SPDX-License-Identifier: Apache-2.0
"""Holds a session's ``/heartbeat`` open, by a task."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

import anyio

from ..calls.requests import is_event_stream
from ..calls.session_state import SessionState, heartbeat_pauses
from ..engines.base import StreamEnded
from ..errors import GradioTransportError

if TYPE_CHECKING:
    from .core import Core

logger = logging.getLogger(__name__)


class HeartbeatTask:
    """Holds a session's ``/heartbeat`` open, so that the server keeps what it has (docs/wire.md §9)."""

    def __init__(self, core: Core, state: SessionState) -> None:
        self.session_hash = state.session_hash
        self._core = core
        self._credentials = state.credentials
        self._command = state.heartbeat()
        self._scope = anyio.CancelScope()

    async def run(self) -> None:
        """Open it, read it, and open it again when it broke."""
        with self._scope:
            for pause in heartbeat_pauses():
                try:
                    if not await self._beat():
                        return
                except GradioTransportError as error:
                    logger.debug("the heartbeat of session %s broke: %s", self.session_hash, error)
                await anyio.sleep(pause)

    async def _beat(self) -> bool:
        """Read the heartbeat to its end; return whether it makes sense to open it again."""
        app = self._core.app
        patience = app.patience(self._command, app.options.timeouts)
        request = app.dressed(self._command.request, self._credentials)
        app.taps.command(self._command, 0)
        stream = await self._core.engine.stream(request, patience)
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
        """End it."""
        self._scope.cancel()
