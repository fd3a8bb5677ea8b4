# SPDX-License-Identifier: Apache-2.0
"""Calls that are being played, and the sessions that they belong to."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, cast

import attrs

from gradio_transport.protocol.commands import Ending

from .likeness import CallKey, Uploads, likeness
from .outcomes import Outcome, is_last

TICK_SECONDS = 0.002
"""Pause before each message, so that a client can do something between two."""

PATIENCE_SECONDS = 10.0
"""Seconds that the end of a cancelled recording waits for the client to cancel too."""


END_IS_MISSING = "the recording has no end"
"""The start of the off-tape text if a client asked without effect that a call end."""


class OffTape(Exception):
    """The client did something for which the recording has no reply."""


def new_id() -> str:
    """Return an id in the format of the servers."""
    return uuid.uuid4().hex


@attrs.define(eq=False)
class Event:
    """A call that is being played.

    Attributes:
        messages: Its messages, without ids.
        stopped: Set when the client cancels it, or disconnects.
        ended: Whether its last message was sent.
        goes_on: Whether a reset did not end it, because its function does not yield.
        silenced: Whether another function has cancelled it: then it sends no more messages.
        chunks: The data that the client sent to it since; None for the end.
    """

    id: str
    fn_index: int
    session_hash: str
    outcome: Outcome
    uploads: Uploads
    stopped: asyncio.Event = attrs.field(factory=asyncio.Event)
    chunks: asyncio.Queue[Any] = attrs.field(factory=asyncio.Queue[Any])
    started: bool = False
    ended: bool = False
    silenced: bool = False
    goes_on: bool = False
    restarts: int = 0
    task: asyncio.Task[None] | None = None

    @property
    def breaks(self) -> bool:
        """Whether its stream or socket must break now, because the recorded one broke after its messages."""
        return self.outcome.ending is Ending.RESET and not (self.ended or self.outcome.cancelled)

    async def play(self, first: int = 0) -> AsyncIterator[Mapping[str, Any]]:
        """Yield the messages at their times, until the last one or until it is stopped.

        Raises:
            OffTape: The client continues where the recorded one cancelled, or sent another chunk.
        """
        place, restarts, began = first, self.restarts, time.monotonic()
        gates = deque(self.outcome.gates)
        while place < len(self.outcome.messages):
            while gates and gates[0][0] <= place:
                await self._pass_gate(gates.popleft()[1])
            if await self.wait_for_stop(TICK_SECONDS):
                return
            if self.silenced:
                await self.stopped.wait()
                return
            if restarts != self.restarts:
                place, restarts = self._first_yield(), self.restarts
            message = self.outcome.messages[place]
            rest = self.outcome.seconds - (time.monotonic() - began)
            if is_last(message) and rest > 0 and await self.wait_for_stop(rest):
                return
            place += 1
            self.started = self.started or message.get("msg") != "estimation"
            self.ended = is_last(message)
            yield self._named(message)
        if not self.ended:
            await self._hold()

    def _named(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a message with the client's session hash in the place of the recorded one."""
        alias = self.outcome.alias
        if not alias or not self.session_hash:
            return message
        text = json.dumps(message)
        if f'"{alias}"' not in text:
            return message
        named = json.loads(text.replace(f'"{alias}"', json.dumps(self.session_hash)))
        return cast("Mapping[str, Any]", named)

    async def _pass_gate(self, expected: Any) -> None:
        waiting = asyncio.ensure_future(self.chunks.get())
        stopping = asyncio.ensure_future(self.stopped.wait())
        await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not waiting.done():
            waiting.cancel()
            return
        given = waiting.result()
        if likeness(given, self.uploads) != likeness(expected, self.uploads):
            raise OffTape(f"sends the chunk {given!r:.80} where {expected!r:.80} was recorded")

    async def _hold(self) -> None:
        """Wait where the recording ends before the call does."""
        if self.outcome.ending is Ending.CLEAN or self.breaks:
            return
        # Otherwise the server sent no more messages while the client listened.
        if self.outcome.cancelled and not await self.wait_for_stop(PATIENCE_SECONDS) and not self.silenced:
            if self.goes_on:
                raise OffTape(
                    f"{END_IS_MISSING} of {self.outcome.name!r}, which a reset does not bring about"
                )
            count = len(self.outcome.messages)
            raise OffTape(f"does not cancel the call of {self.outcome.name!r} after {count} messages")
        await self.stopped.wait()

    def _first_yield(self) -> int:
        return next(
            (place for place, one in enumerate(self.outcome.messages) if one["msg"] == "process_generating"),
            0,
        )

    async def wait_for_stop(self, seconds: float) -> bool:
        """Wait at most this long; return whether it was stopped."""
        try:
            await asyncio.wait_for(self.stopped.wait(), seconds)
        except TimeoutError:
            return False
        return True


@attrs.define(eq=False)
class Waiting:
    """A call of 4.0 to 4.8 whose data the server has requested."""

    id: str
    data: asyncio.Future[Mapping[str, Any]]


@attrs.define(eq=False)
class Session:
    """One ``session_hash``.

    Attributes:
        events: Its calls by id.
        pending: Ids of calls whose last message the client has not received.
        box: The first messages of the next stream: event (None for the session) and message.
        done: For each function, the data of its calls so far.
        opened: Whether a stream of it was ever opened.
        streams: The number of open streams.
        rendered: Numbers of the functions that ``gr.render`` made for it.
    """

    session_hash: str
    events: dict[str, Event] = attrs.field(factory=dict[str, Event])
    pending: set[str] = attrs.field(factory=set[str])
    box: asyncio.Queue[tuple[str | None, Mapping[str, Any] | None]] = attrs.field(
        factory=asyncio.Queue[tuple[str | None, "Mapping[str, Any] | None"]]
    )
    known: bool = False
    opened: bool = False
    done: dict[int, list[str]] = attrs.field(factory=dict[int, list[str]])
    streams: int = 0
    rendered: set[int] = attrs.field(factory=set[int])

    def history(self, key: CallKey) -> list[str]:
        """Return the data of the earlier calls of a function, and add this one."""
        past = self.done.setdefault(key.fn_index, [])
        before = list(past)
        past.append(key.data)
        return before

    def give_up(self) -> None:
        """Stop every call: the stream was dropped. Their ids stay pending, as on real servers."""
        for event in self.events.values():
            event.stopped.set()
        self.known = False
        self.box = asyncio.Queue()


@attrs.define(eq=False)
class Sessions:
    """All sessions of a server."""

    _sessions: dict[str, Session] = attrs.field(factory=dict[str, Session])

    def get(self, session_hash: str) -> Session:
        """Return a session; create it if it is new."""
        return self._sessions.setdefault(session_hash, Session(session_hash))

    def find(self, session_hash: str) -> Session | None:
        """Return a session that has had a call and was not abandoned, or None."""
        found = self._sessions.get(session_hash)
        return found if found is not None and found.known else None

    def under_way(self) -> int:
        """Return the number of calls that run or wait."""
        every = (event for one in self._sessions.values() for event in one.events.values())
        return sum(not (one.ended or one.silenced or one.stopped.is_set()) for one in every)

    def event(self, event_id: str) -> Event | None:
        """Return a call by its id, or None."""
        return next((one.events[event_id] for one in self._sessions.values() if event_id in one.events), None)

    def every(self) -> list[Session]:
        """Return all of them."""
        return list(self._sessions.values())


Report = Callable[[str], None]
"""Records a finding, or a request that is off tape."""

__all__ = [
    "END_IS_MISSING",
    "PATIENCE_SECONDS",
    "TICK_SECONDS",
    "Event",
    "OffTape",
    "Report",
    "Session",
    "Sessions",
    "Waiting",
    "new_id",
]
