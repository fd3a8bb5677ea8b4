# SPDX-License-Identifier: Apache-2.0
"""Writing of a download beside the event loop."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from gradio_transport.aio.part_writer import HELD_BYTES, WRITE_BYTES, PartWriter
from gradio_transport.errors import LocalProtocolError

PIECE = bytes(range(256)) * 256


@pytest.fixture(params=["asyncio", "trio"])
def run(request: pytest.FixtureRequest) -> Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]:
    return lambda work: anyio.run(work, backend=request.param)


class Disk:
    """A disk that can stop, and counts its writes."""

    def __init__(self) -> None:
        self.ready, self.busy = threading.Event(), threading.Event()
        self.ready.set()
        self.error: OSError | None = None
        self._write = os.write

    def write(self, file: int, data: memoryview) -> int:
        if len(data) < len(PIECE):
            return self._write(file, data)
        self.busy.set()
        assert self.ready.wait(20)
        if self.error is not None:
            raise self.error
        return self._write(file, data)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    one = Disk()
    monkeypatch.setattr(os, "write", one.write)
    yield one
    one.ready.set()


def threads() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name.startswith("gradio-transport-download")]


def has_no_thread() -> bool:
    until = time.monotonic() + 5
    while threads() and time.monotonic() < until:
        time.sleep(0.01)
    return not threads()


@pytest.mark.parametrize("total", [None, 40 * len(PIECE)])
def test_a_large_file_arrives_whole_and_leaves_no_thread(tmp_path: Path, run: Any, total: int | None) -> None:
    async def main() -> Path:
        async with PartWriter(tmp_path) as writer:
            sizes = [await writer.add(PIECE, total) for _ in range(40)]
            assert sizes[-1] == 40 * len(PIECE)
            return await writer.publish("a.bin")

    assert run(main).read_bytes() == PIECE * 40
    assert has_no_thread()


def test_a_small_file_takes_no_thread_of_its_own(tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        async with PartWriter(tmp_path) as writer:
            for _ in range(HELD_BYTES // len(PIECE)):
                await writer.add(PIECE, HELD_BYTES)
            assert not threads()
            await writer.publish("a.bin")

    run(main)
    assert (tmp_path / "a.bin").stat().st_size == HELD_BYTES


def test_a_file_that_is_larger_than_announced_is_still_written_in_pieces(
    tmp_path: Path, disk: Disk, run: Any
) -> None:
    async def main() -> None:
        async with PartWriter(tmp_path) as writer:
            for _ in range(40):
                await writer.add(PIECE, 10)
            assert await anyio.to_thread.run_sync(disk.busy.wait, 10)
            await writer.publish("a.bin")

    run(main)
    assert (tmp_path / "a.bin").read_bytes() == PIECE * 40


def test_a_disk_that_stops_neither_blocks_the_event_loop_nor_fills_the_memory(
    tmp_path: Path, disk: Disk, run: Any
) -> None:
    async def main() -> None:
        added = 0

        async def receive(writer: PartWriter) -> None:
            nonlocal added
            for _ in range(200):
                added = await writer.add(PIECE, None)

        disk.ready.clear()
        async with PartWriter(tmp_path) as writer:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(receive, writer)
                with anyio.fail_after(10):
                    while added < HELD_BYTES:  # noqa: ASYNC110 - nothing announces it
                        await anyio.sleep(0.01)
                    await anyio.sleep(0.1)
                assert added <= WRITE_BYTES + HELD_BYTES + 2 * len(PIECE)
                disk.ready.set()
            await writer.publish("a.bin")

    run(main)
    assert (tmp_path / "a.bin").read_bytes() == PIECE * 200


def test_a_cancelled_download_waits_for_its_write_and_leaves_nothing(
    tmp_path: Path, disk: Disk, run: Any
) -> None:
    async def main() -> None:
        disk.ready.clear()
        async with anyio.create_task_group() as tasks:

            async def receive() -> None:
                async with PartWriter(tmp_path) as writer:
                    while True:
                        await writer.add(PIECE, None)

            tasks.start_soon(receive)
            await anyio.to_thread.run_sync(disk.busy.wait)
            tasks.cancel_scope.cancel()
            threading.Timer(0.1, disk.ready.set).start()

    run(main)
    assert not list(tmp_path.iterdir())
    assert has_no_thread()


def test_a_full_disk_ends_the_download_with_one_clear_error(tmp_path: Path, disk: Disk, run: Any) -> None:
    disk.error = OSError(errno.ENOSPC, "full")

    async def main() -> None:
        async with PartWriter(tmp_path) as writer:
            for _ in range(100):
                await writer.add(PIECE, None)
            await writer.publish("a.bin")

    with pytest.raises(LocalProtocolError, match="disk is full"):
        run(main)
    assert not list(tmp_path.iterdir())


def test_the_last_write_is_checked_too(tmp_path: Path, disk: Disk, run: Any) -> None:
    async def main() -> None:
        async with PartWriter(tmp_path) as writer:
            for _ in range(HELD_BYTES // len(PIECE)):
                await writer.add(PIECE, None)
            assert await anyio.to_thread.run_sync(disk.busy.wait, 10)
            await writer.publish("a.bin")

    disk.error = OSError(errno.EIO, "broken")
    with pytest.raises(LocalProtocolError, match="broken"):
        run(main)
    assert not list(tmp_path.iterdir())


def test_a_restart_drops_what_was_written(tmp_path: Path, run: Any) -> None:
    async def main() -> None:
        async with PartWriter(tmp_path) as writer:
            for _ in range(30):
                await writer.add(PIECE, None)
            await writer.restart()
            assert await writer.add(b"new", None) == 3
            await writer.publish("a.bin")

    run(main)
    assert (tmp_path / "a.bin").read_bytes() == b"new"
