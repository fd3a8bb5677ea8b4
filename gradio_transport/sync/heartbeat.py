# SPDX-License-Identifier: Apache-2.0
"""Keeps a session's ``/heartbeat`` open, by a thread."""

from __future__ import annotations

import logging
import threading

import attrs

from ..calls.requests import is_event_stream
from ..calls.session_state import SessionState, heartbeat_pauses
from ..engines.base import Interruption, ResponseStream, StreamEnded
from ..errors import GradioTransportError
from .connection import Connection

logger = logging.getLogger(__name__)


class HeartbeatThread(threading.Thread):
    """Keeps a session's ``/heartbeat`` open, so that the server keeps its state (docs/wire.md §9)."""

    def __init__(self, connection: Connection, state: SessionState) -> None:
        super().__init__(name=f"gradio-transport-heartbeat-{state.session_hash[:4]}", daemon=True)
        self.session_hash = state.session_hash
        self._connection = connection
        self._credentials = state.credentials
        self._command = state.heartbeat_command()
        self._stopped = threading.Event()
        self._interruption = Interruption()
        self._stream: ResponseStream | None = None
        self._lock = threading.Lock()

    def run(self) -> None:
        """Open it, read it, and open it again when it broke."""
        for pause in heartbeat_pauses():
            try:
                if not self._read_once():
                    return
            except GradioTransportError as error:
                logger.debug("the heartbeat of session %s… broke: %s", self.session_hash[:4], error)
            if self._stopped.wait(pause):
                return

    def _read_once(self) -> bool:
        """Read the heartbeat to its end; return whether it makes sense to open it again."""
        app = self._connection.app
        patience = app.patience(self._command, app.options.timeouts)
        patience = attrs.evolve(patience, interruption=self._interruption)
        request = app.with_headers(self._command.request, self._credentials)
        app.taps.command(self._command, 0)
        stream = self._connection.engine.stream(request, patience)
        app.taps.response("heartbeat", 0, stream.head, head=True)
        try:
            # Under the lock of `stop`, which either finds the stream or is seen here: else it would be read
            # on.
            with self._lock:
                self._stream = stream
                if self._stopped.is_set():
                    return False
            if not is_event_stream(stream.head):
                return False  # a server that has none
            for chunk in stream.chunks():
                app.taps.chunk("heartbeat", chunk)
        except StreamEnded as ended:
            app.taps.end("heartbeat", ended.closed)
        finally:
            self._stream = None
            stream.close()
        return True

    def stop(self) -> None:
        """End the heartbeat and wake its thread, without waiting for it."""
        with self._lock:
            self._stopped.set()
            stream = self._stream
        self._interruption.interrupt()
        if stream is not None:
            stream.abort()
