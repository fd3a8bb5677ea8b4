# SPDX-License-Identifier: Apache-2.0
"""`PartWriter`: writes a download to disk while more of it arrives, without blocking the event loop."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from ..files.disk import PartFile
from .closing import Closing

T = TypeVar("T")

WRITE_BYTES = 1024 * 1024
"""Bytes of a file that are held back before its thread starts to write them."""

HELD_BYTES = 1536 * 1024
"""The most bytes of a file that are held back while its thread still writes the ones before.

A file of this size needs no thread of its own.
"""


class PartWriter(Closing):
    """A part file of a download, and a thread that writes to it while the next bytes arrive.

    Why not a worker thread of anyio for each write: to await one takes more CPU time than the write. Here the
    event loop only checks, before the next write, whether the last one has ended.

    Its methods raise `LocalProtocolError` if the system refuses a write, see `PartFile`.
    """

    def __init__(self, directory: Path) -> None:
        self._part = PartFile(directory)
        self._thread = ThreadPoolExecutor(1, "gradio-transport-download")  # starts with the first write
        self._writing: Future[None] = Future()
        self._writing.set_result(None)

    async def add(self, piece: bytes, total: int | None) -> int:
        """Append a piece, and return the bytes added so far.

        Args:
            piece: The piece.
            total: The expected bytes of the file, or None.
        """
        part = self._part
        is_small = total is not None and total <= HELD_BYTES
        if not (is_small or part.size):  # report an unusable directory before the rest is fetched
            await self._run(part.create)
        held = part.add(piece)
        if held > HELD_BYTES or (held > WRITE_BYTES and self._writing.done() and not is_small):
            await self._wait()
            self._writing.result()
            self._writing = self._thread.submit(part.take())
        return part.size

    async def restart(self) -> None:
        """Drop the content."""
        await self._run(self._part.restart)

    async def publish(self, name: str) -> Path:
        """Give the complete file its name; see `PartFile.publish`."""
        return await self._run(self._part.publish, name)

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do some work in a worker thread, after the write in progress."""

        def run() -> T:
            self._writing.result()
            return work(*arguments)

        return await anyio.to_thread.run_sync(run)

    async def _wait(self) -> None:
        """Wait for the end of the write in progress."""
        if not self._writing.done():
            await anyio.to_thread.run_sync(wait, [self._writing])

    async def aclose(self) -> None:
        """Remove an unpublished file, after the write in progress. Idempotent."""
        if not self._writing.done():  # else no event loop is needed, as in a coroutine that is dropped
            with anyio.CancelScope(shield=True):
                await self._wait()
        self._thread.shutdown(wait=False)
        self._part.discard()
