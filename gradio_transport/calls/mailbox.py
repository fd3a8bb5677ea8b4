# SPDX-License-Identifier: Apache-2.0
"""The bounded buffer of a call between the reader of a stream and the caller. It never blocks the reader.

A shared stream has no per-call flow control, and one slow caller must not stall the others. So above a
high-water mark in bytes, a `ProcessGenerating` replaces the previous one (their data are always complete, and
`skipped` counts the merged ones), and a `Progress` replaces one right before it. No other event is dropped
for a reader: at a multiple of the mark the call ends. If the caller reads no events and only waits for the
result, the oldest events are dropped instead.
"""

from __future__ import annotations

from collections import deque

import attrs

from ..errors import Phase, SlowConsumer
from ..events import Event, Heartbeat, ProcessGenerating, Progress
from ..policy import MailboxPolicy

FLOOD = 4
"""The multiple of the high-water mark that events that cannot be merged may take."""


class Mailbox:
    """A queue of events with a byte budget. Not thread-safe: the drivers lock."""

    def __init__(self, high_water: int, policy: MailboxPolicy = "conflate") -> None:
        self._items: deque[tuple[Event, int]] = deque()
        self._high_water = high_water
        self._policy: MailboxPolicy = policy
        self.size = 0
        """Counted bytes of memory of the unread events."""
        self.overflow: SlowConsumer | None = None
        """Whether the policy ``"fail"`` has ended the call. After that, only the end is accepted."""
        self.unread = False
        """Whether the caller does not read the events."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, event: Event, size: int) -> None:
        """Add an event that takes `size` bytes of memory; see `held_bytes`."""
        if self.overflow is not None and not event.terminal:
            return
        if self.size + size > self._high_water and self._items and not event.terminal:
            if isinstance(event, Heartbeat):  # useless to a late reader, and endless
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
        """Return the index of the event that this one replaces, or None."""
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
            f"The call was read too slowly: its unread events take {self.size:,} bytes of memory. Read "
            "faster, wait for result() alone, or raise Limits(mailbox_bytes=).",
            phase=Phase.STREAM,
            may_have_run=True,
        )

    def get(self) -> Event | None:
        """Remove and return the oldest event, or None."""
        if not self._items:
            return None
        event, size = self._items.popleft()
        self.size -= size
        return event
