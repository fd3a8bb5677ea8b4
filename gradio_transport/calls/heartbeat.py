# SPDX-License-Identifier: Apache-2.0
"""A session's open ``/heartbeat``, so that the server keeps the state (docs/wire.md §9)."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from typing import Any

from ..engines.base import Interruption
from ..protocol.commands import Closed, Response
from .request_sequence import Live, Requests
from .session_state import SessionState
from .steps import Pause, Read, Steps, Use

logger = logging.getLogger(__name__)

_PAUSES = (1.0, 2.0, 5.0, 10.0)


def pauses() -> Iterator[float]:
    """Yield the seconds to wait before a broken heartbeat is opened again, endlessly."""
    return itertools.chain(_PAUSES, itertools.repeat(30.0))


class Heartbeat:
    """The heartbeat of a session: opened, read, and opened again after a break.

    Attributes:
        session_hash: Hash of the session.
        stopped: Whether it must end. The API sets it, and then ends the reader of `live`.
        live: The open stream, or None.
    """

    def __init__(self, state: SessionState, interruption: Interruption | None = None) -> None:
        self.session_hash = state.session_hash
        self.stopped = False
        self.live: Live | None = None
        self._app = state.app
        self._command = state.heartbeat_command()
        self._requests = Requests(
            app=state.app,
            credentials=state.credentials,
            timeouts=state.app.options.timeouts,
            interruption=interruption,
        )

    def start(self) -> None:
        """Keep the heartbeat open in the background. The API implements this and `stop`."""
        raise NotImplementedError

    def stop(self) -> None:
        """End the heartbeat, without waiting."""
        raise NotImplementedError

    def steps(self, waiter: Any = None) -> Steps[None]:
        """Return the steps that keep it open. The end of `waiter` ends a pause, see `Pause`."""
        for pause in pauses():
            try:
                outcome = yield from self._requests.perform(self._command)
                if isinstance(outcome, Response):  # a server without heartbeats
                    return
                chunks = outcome.chunks()
                yield Use(outcome, self._read(outcome, chunks), chunks)
            except Exception as error:  # noqa: BLE001 - of a tap, for one: the session keeps its heartbeat
                shown = self._app.secrets.hide(str(error))
                logger.debug("the heartbeat of session %s… broke: %s", self.session_hash[:4], shown)
            self._app.identity.doubt()
            if self.stopped or not (yield Pause(pause, waiter)):
                return

    def _read(self, stream: Live, chunks: Any) -> Steps[None]:
        self.live = stream
        read = Read(chunks)
        # Checked after `live` is set, so either `stop` finds the stream or this code sees the flag.
        while not self.stopped:
            data = yield read
            if isinstance(data, Closed):
                self._app.taps.end("heartbeat", data)
                break
            self._app.taps.chunk("heartbeat", data)
        self.live = None
