# SPDX-License-Identifier: Apache-2.0
"""Per-call buffering between the reader of a stream and the caller: bounded, never blocking the reader.

A shared stream has no per-call flow control, and one caller that does not read must not stall the others.
So above a byte high-water mark a `ProcessGenerating` takes the place of the one before it (their data are
always complete, `skipped` counts the merged ones), and a `Progress` that of one right before it.  Nothing
else is dropped for a reader: a server that floods a call with other events ends it, at some multiple of the
mark.  Of a call whose events are not read, because its result is all that is waited for, the oldest are
dropped instead.
"""

from __future__ import annotations

from collections import deque

import attrs

from ..errors import Phase, SlowConsumer
from ..events import Event, Heartbeat, ProcessGenerating, Progress
from ..policy import MailboxPolicy

FLOOD = 4
"""How many times the high-water mark of what cannot be merged is too much."""


class Mailbox:
    """A queue of events with a byte budget. Not thread-safe: the drivers lock."""

    def __init__(self, high_water: int, policy: MailboxPolicy = "conflate") -> None:
        self._items: deque[tuple[Event, int]] = deque()
        self._high_water = high_water
        self._policy: MailboxPolicy = policy
        self.size = 0
        """Bytes of memory that the waiting events take, as far as they were counted."""
        self.overflow: SlowConsumer | None = None
        """Set once the policy ``"fail"`` has struck: only the end of the call is taken from then on."""
        self.unread = False
        """Whether the caller does not read the events."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, event: Event, size: int) -> None:
        """Add an event that takes `size` bytes of memory; see `held_bytes`."""
        if self.overflow is not None and not event.terminal:
            return
        if self.size + size > self._high_water and self._items and not event.terminal:
            if isinstance(event, Heartbeat):  # tells a late reader nothing, and comes for ever
                return
            if self.unread and self._policy == "conflate":
                self._make_room(size)
            earlier = self._find_replaced(event)
            is_frame = isinstance(event, ProcessGenerating)
            flooded = earlier is None and not is_frame and self.size > FLOOD * self._high_water
            if self._policy == "fail" or flooded:
                self.overflow = self._overflow()
                return
            if earlier is not None:
                event = self._replace(earlier, event)
        self._items.append((event, size))
        self.size += size

    def _make_room(self, size: int) -> None:
        while self._items and self.size + size > self._high_water:
            self.get()

    def _find_replaced(self, event: Event) -> int | None:
        """Return the place of the event that this one replaces, or None."""
        if isinstance(event, Progress):
            last = len(self._items) - 1
            return last if last >= 0 and isinstance(self._items[last][0], Progress) else None
        if isinstance(event, ProcessGenerating):
            # From the newest backwards: progress and logs may stand between two frames of a generator.
            for place in range(len(self._items) - 1, -1, -1):
                if isinstance(self._items[place][0], ProcessGenerating):
                    return place
        return None

    def _replace(self, place: int, event: Event) -> Event:
        earlier, size = self._items[place]
        del self._items[place]
        self.size -= size
        if isinstance(event, ProcessGenerating) and isinstance(earlier, ProcessGenerating):
            return attrs.evolve(event, skipped=event.skipped + earlier.skipped + 1)
        return event

    def _overflow(self) -> SlowConsumer:
        return SlowConsumer(
            f"The call was read too slowly: the events that wait take {self.size:,} bytes of memory. Read "
            "faster, wait for result() alone, or raise Limits(mailbox_bytes=).",
            phase=Phase.STREAM,
            may_have_run=True,
        )

    def get(self) -> Event | None:
        """Take the oldest event, or None when there is none."""
        if not self._items:
            return None
        event, size = self._items.popleft()
        self.size -= size
        return event
