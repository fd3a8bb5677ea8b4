# SPDX-License-Identifier: Apache-2.0
"""`Waiters`: the tasks that wait for a change, which a plain function announces."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import anyio


def runs_on_asyncio() -> bool:
    """Return whether this is a task of asyncio.

    In trio's guest mode there is a loop of asyncio too, but no task.
    """
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


class Waiters:
    """The tasks that wait for a change.

    Why not anyio's events and time limits on asyncio: a short call would spend a tenth of its time in them.
    """

    def __init__(self, on_asyncio: bool) -> None:
        self._on_asyncio = on_asyncio
        self._waiting: list[Any] = []

    def wake(self) -> None:
        """End every wait, after a change."""
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            for one in waiting:
                if not self._on_asyncio:
                    one.set()
                elif not one.done():
                    one.set_result(None)

    async def wait(self, seconds: float | None = None) -> None:
        """Wait for the next change, at most for some seconds.

        Check the state just before, without an ``await`` in between.
        """
        if not self._on_asyncio:
            event = anyio.Event()
            self._waiting.append(event)
            try:
                with anyio.move_on_after(seconds):
                    await event.wait()
            finally:
                self._forget(event)
            return
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._waiting.append(future)
        timer = None if seconds is None else loop.call_later(seconds, _end_wait, future)
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            self._forget(future)

    def _forget(self, waiting: Any) -> None:
        if self._waiting:
            with suppress(ValueError):
                self._waiting.remove(waiting)


def _end_wait(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
