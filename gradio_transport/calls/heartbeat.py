# SPDX-License-Identifier: Apache-2.0
"""Keeps a session's ``/heartbeat`` open, so that the server keeps its state (docs/wire.md §9)."""

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
    """Yield the seconds to wait before a heartbeat that broke is opened again, without end."""
    return itertools.chain(_PAUSES, itertools.repeat(30.0))


class Heartbeat:
    """The heartbeat of a session: opened, read, and opened again when it broke.

    Attributes:
        session_hash: Of the session.
        stopped: Whether it is to end. A face sets it, and then ends what `live` reads.
        live: The stream that is open now, or None.
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
        """Keep it open in the background. For faces, as `stop`."""
        raise NotImplementedError

    def stop(self) -> None:
        """End it, without waiting for that."""
        raise NotImplementedError

    def steps(self, waiter: Any = None) -> Steps[None]:
        """Return the steps that keep it open; the end of `waiter` ends a pause, see `Pause`."""
        for pause in pauses():
            try:
                outcome = yield from self._requests.perform(self._command)
                if isinstance(outcome, Response):  # a server that has none
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
        # Asked after `live` is set: `stop` finds the stream, or is noticed here.
        while not self.stopped:
            data = yield read
            if isinstance(data, Closed):
                self._app.taps.end("heartbeat", data)
                break
            self._app.taps.chunk("heartbeat", data)
        self.live = None
