# SPDX-License-Identifier: Apache-2.0
"""Keeps a session's ``/heartbeat`` open, by a thread."""

from __future__ import annotations

import threading

from ..calls.heartbeat import Heartbeat
from ..calls.session_state import SessionState
from ..engines.base import Interruption
from .connection import Connection


class HeartbeatThread(threading.Thread, Heartbeat):
    """A heartbeat in a thread of its own."""

    def __init__(self, connection: Connection, state: SessionState, owner: object) -> None:
        self._owner = owner  # is not collected as long as this runs, and so is found when all is closed
        self._interruption = Interruption()
        Heartbeat.__init__(self, state, self._interruption)
        name = f"gradio-transport-heartbeat-{state.session_hash[:4]}"
        threading.Thread.__init__(self, name=name, daemon=True)
        self._connection = connection
        self._woken = threading.Event()

    def run(self) -> None:
        """Open it, read it, and open it again when it broke."""
        self._connection.run(self.steps(self._woken))

    def stop(self) -> None:
        """End the heartbeat and wake its thread, without waiting for it."""
        self.stopped = True
        self._woken.set()
        self._interruption.interrupt()
        stream = self.live
        if stream is not None:
            stream.abort()
