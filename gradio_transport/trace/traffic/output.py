# SPDX-License-Identifier: Apache-2.0
"""The frames that are made of other clients' traffic, in the order of the traffic.

Which session and call a frame belongs to may be known only a moment after it crossed the line: a websocket
names neither before its first messages. Frames wait for that in their place, and those after them behind
them, so that a trace is in order. Numbers are given when a frame leaves, so they count in that order too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ...protocol.frames import Direction, Frame, Kind, Tap
from ...protocol.known_secrets import KnownSecrets

LONGEST_WAIT_SECONDS = 2.0
"""The most seconds that frames wait for earlier ones."""

MOST_WAITING_FRAMES = 2000
"""The most frames that wait."""


@attrs.define(eq=False)
class FoundSession:
    """A session that was found in the traffic.

    Attributes:
        number: Its number in the trace; 0 until its first frame left.
        lost: The stream broke under its calls. A machine takes no further calls then, so those that come
            are of another session with the same hash.
        open_calls: The calls that are not over, by their `id`.
        pending: Those of them that the server has named, by event id.
    """

    adapter: str
    session_hash: str
    number: int = 0
    calls: int = 0
    lost: bool = False
    open_calls: dict[int, FoundCall] = attrs.field(factory=dict[int, "FoundCall"])
    pending: dict[str, FoundCall] = attrs.field(factory=dict[str, "FoundCall"])


@attrs.define(eq=False)
class FoundCall:
    """A call that was found in the traffic.

    Attributes:
        key: Its key in the session; empty until its first frame left.
        over: It has come to its end, or was cancelled.
        fetched: Its own stream was opened.
        inputs: Requests with further input that were sent.
    """

    session: FoundSession
    endpoint: str | None
    fn_index: int | None
    key: str = ""
    event_id: str | None = None
    over: bool = False
    fetched: bool = False
    inputs: int = 0


@attrs.frozen
class Draft:
    """A frame whose numbers are not given yet.

    Attributes:
        channel: Of a call's frame without the call's key.
    """

    t: float
    direction: Direction
    kind: Kind
    channel: str
    payload: Mapping[str, Any]
    session: FoundSession | None = None
    call: FoundCall | None = None


@attrs.define(eq=False)
class Slot:
    """A frame's place in the order.

    Attributes:
        drafts: The frame, and those that were put before it.
        ready: Whether it is known what the frame belongs to.
        passed: Whether later frames were shown, because it took too long.
    """

    t: float
    drafts: list[Draft]
    ready: bool = True
    passed: bool = False


class OrderedOutput:
    """Makes frames of drafts, and shows them to a tap in order.

    Args:
        tap: Is called with each frame.
        source: The app's URL, for the frames of sessions.
        secrets: What the frames name as secrets.
    """

    def __init__(self, tap: Tap, source: str, secrets: KnownSecrets) -> None:
        self._tap = tap
        self._source = source
        self._secrets = secrets
        self._slots: deque[Slot] = deque()
        self._sessions = 0

    def add(self, draft: Draft) -> None:
        """Show a frame, after those that came before it."""
        if not self._slots:
            self._show(draft)
            return
        self._slots.append(Slot(draft.t, [draft]))
        self.advance(draft.t)

    def hold(self, draft: Draft) -> Slot:
        """Keep the place of a frame until it is known what it belongs to."""
        slot = Slot(draft.t, [draft], ready=False)
        self._slots.append(slot)
        self.advance(draft.t)
        return slot

    def resolve(self, slots: Sequence[Slot], drafts: Sequence[Sequence[Draft]]) -> None:
        """Show frames that were held, now that they are complete; none for those that are left out."""
        late = any(slot.passed for slot in slots)  # then all of them come now, to keep their own order
        for slot, complete in zip(slots, drafts, strict=True):
            slot.drafts, slot.ready = ([] if late else list(complete)), True
        for draft in (draft for complete in drafts for draft in complete) if late else ():
            self.add(draft)
        self._release()

    def advance(self, t: float) -> None:
        """Let go what has waited too long, or is too much."""
        self._release()
        while self._slots and (
            t - self._slots[0].t > LONGEST_WAIT_SECONDS or len(self._slots) > MOST_WAITING_FRAMES
        ):
            self._pop()
            self._release()

    def close(self) -> None:
        """Let go everything."""
        while self._slots:
            self._pop()

    def _release(self) -> None:
        while self._slots and self._slots[0].ready:
            self._pop()

    def _pop(self) -> None:
        slot = self._slots.popleft()
        slot.passed = True
        for draft in slot.drafts if slot.ready else ():
            self._show(draft)

    def _show(self, draft: Draft) -> None:
        session, call, channel = draft.session, draft.call, draft.channel
        if session is not None and not session.number:
            self._sessions += 1
            session.number = self._sessions
            payload = {
                "adapter": session.adapter,
                "session_hash": session.session_hash,
                "source": self._source,
            }
            self._tap(
                Frame(draft.t, Direction.LOCAL, Kind.SESSION, "", payload, session.number, self._secrets)
            )
        if session is not None and call is not None:
            if draft.kind is Kind.CALL:
                session.calls += 1
                call.key = str(session.calls)
            channel = f"{call.key}.{channel}" if channel else call.key
        number = session.number if session is not None else 0
        self._tap(Frame(draft.t, draft.direction, draft.kind, channel, draft.payload, number, self._secrets))


__all__ = ["Draft", "FoundCall", "FoundSession", "OrderedOutput", "Slot"]
