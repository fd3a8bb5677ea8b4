# SPDX-License-Identifier: Apache-2.0
"""Per-call buffering between the reader of a stream and the caller: bounded, never blocking the reader.

A shared stream has no per-call flow control, and one caller that does not read must not stall the others.
So above a byte high-water mark adjacent `ProcessGenerating` frames are merged into the newest (their data
are always complete, `skipped` counts the merged ones); nothing else is ever dropped.
"""

from __future__ import annotations

from collections import deque

import attrs

from .errors import SlowConsumer
from .events import Event, Failed, Heartbeat, ProcessGenerating
from .policy import MailboxPolicy


class Mailbox:
    """A queue of events with a byte budget. Not thread-safe: the drivers lock."""

    def __init__(self, high_water: int, policy: MailboxPolicy = "conflate") -> None:
        self._items: deque[tuple[Event, int]] = deque()
        self._high_water = high_water
        self._policy: MailboxPolicy = policy
        self._overflowed = False
        self.size = 0
        """Bytes of the wire that the waiting events stand for."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, event: Event, size: int) -> None:
        """Add an event that took `size` bytes on the wire."""
        if self._overflowed:
            return
        if self.size + size > self._high_water and self._items:
            if isinstance(event, Heartbeat):
                return
            if self._policy == "fail":
                self._overflow()
                return
            event, size = self._merge(event, size)
        self._items.append((event, size))
        self.size += size

    def _merge(self, event: Event, size: int) -> tuple[Event, int]:
        last, last_size = self._items[-1]
        if isinstance(event, ProcessGenerating) and isinstance(last, ProcessGenerating):
            self._items.pop()
            self.size -= last_size
            event = attrs.evolve(event, skipped=event.skipped + last.skipped + 1)
        return event, size

    def _overflow(self) -> None:
        self._overflowed = True
        error = SlowConsumer(
            f"The call was read too slowly: more than {self._high_water} bytes wait. Read faster, raise "
            f"Limits(mailbox_bytes=), or use Limits(mailbox_policy='conflate').",
            may_have_run=True,
        )
        self._items.append((Failed(error=error), 0))

    @property
    def overflowed(self) -> bool:
        """Whether the policy ``"fail"`` struck: the call is over for its reader."""
        return self._overflowed

    def get(self) -> Event | None:
        """Take the oldest event, or None when there is none."""
        if not self._items:
            return None
        event, size = self._items.popleft()
        self.size -= size
        return event
