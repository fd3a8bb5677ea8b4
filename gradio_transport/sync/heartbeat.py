# SPDX-License-Identifier: Apache-2.0
"""Keep a session's ``/heartbeat`` open in a thread."""

from __future__ import annotations

from ..calls.heartbeat import Heartbeat
from ..calls.session_state import SessionState
from ..engines.base import Interruption
from .connection import Connection
from .threads import Flag, make_thread, run_job, start


class HeartbeatThread(Heartbeat):
    """A heartbeat in its own thread."""

    def __init__(self, connection: Connection, state: SessionState, owner: object) -> None:
        self._owner = owner  # not garbage-collected while this runs, so closing finds it
        self._interruption = Interruption()
        super().__init__(state, self._interruption)
        self._connection = connection
        self._woken = Flag()
        self.thread = make_thread(f"heartbeat-{state.session_hash[:4]}", self._run)

    def start(self) -> None:
        """Keep the heartbeat open in its thread."""
        start(self.thread)

    def _run(self) -> None:
        run_job(self._connection.run, self.steps(self._woken))

    def stop(self) -> None:
        """End the heartbeat and wake its thread, without waiting for it."""
        self.stopped = True
        self._woken.set()
        self._interruption.interrupt()
        stream = self.live
        if stream is not None:
            stream.abort()
