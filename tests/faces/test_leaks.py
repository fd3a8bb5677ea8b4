# SPDX-License-Identifier: Apache-2.0
"""Many transports with many calls leave nothing behind: 200 of them, and 2,000 calls, by each face."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from faces import FACES
from scripted import Scripted, scripted

import gradio_transport as gt

TRANSPORTS = 200
CALLS = 10  # of each transport
WARM = 100  # of them before anything is counted: whoever keeps a cache has filled it by then

GROWTH_BLOCKS = 15 * TRANSPORTS
"""Of Python's memory, after so many transports: libraries' caches of URLs may fill a little further. One call
of each transport that is kept would cost several times as many."""

DESCRIPTORS = Path("/proc/self/fd")


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def by_threads(url: str, transports: int) -> None:
    for number in range(transports):
        with gt.connect(url) as app, app.session() as session:
            calls = [app.submit("/hello", "x"), app.submit("/hello", "x"), session.submit("/count", "x")]
            for _ in range(CALLS - 5):
                assert app.call("/direct", "x") == ["x"]
            assert [call.result(20) for call in calls] == [["Hello, x!"], ["Hello, x!"], ["0 1"]]
            endless = session.submit("/forever", "x")
            if number % 2:
                endless.cancel()
            app.submit("/forever", "x")  # closed under way


async def by_tasks(url: str, transports: int, **arguments: Any) -> None:
    for number in range(transports):
        async with gt.connect_async(url, **arguments) as app, app.session() as session:
            calls = [app.submit("/hello", "x"), app.submit("/hello", "x"), session.submit("/count", "x")]
            for _ in range(CALLS - 5):
                assert await app.call("/direct", "x") == ["x"]
            assert [await call.result(20) for call in calls] == [["Hello, x!"], ["Hello, x!"], ["0 1"]]
            endless = session.submit("/forever", "x")
            if number % 2:
                await endless.cancel()
            app.submit("/forever", "x")
            for _ in range(number % 20):  # closed while it connects, sends, waits
                await anyio.lowlevel.checkpoint()


def held(server: Scripted, others: set[threading.Thread]) -> tuple[int, int, int, int]:
    """Return how many threads, descriptors, tasks and blocks of memory there are but for the server's."""
    settled(server, others)
    gc.collect()
    threads = [one for one in threading.enumerate() if "process_request" not in one.name]
    return len(threads), len(os.listdir(DESCRIPTORS)), len(tasks()), sys.getallocatedblocks()


def tasks() -> list[Any]:
    """Return the tasks of asyncio of which anybody holds any part; trio fails by itself if any is left."""
    return [one for one in gc.get_objects() if isinstance(one, asyncio.Task)]


def settled(server: Scripted, others: set[threading.Thread]) -> None:
    """Wait until the server's own threads, one for each connection, have seen that nobody is there any more.

    Args:
        server: The server.
        others: Threads that were there before the test, such as those of clients that a test left to the end.
    """
    for stream in list(server._sessions.values()):
        stream.put(None)
    for thread in threading.enumerate():
        if "process_request" in thread.name and thread not in others:
            thread.join(20)
    server._sessions.clear()
    server.seen.clear()
    server.asked.clear()
    server.queries.clear()


@pytest.mark.skipif(not DESCRIPTORS.exists(), reason="the system does not list its descriptors")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("face", FACES)
def test_nothing_grows(server: Scripted, face: str) -> None:
    counts: list[tuple[int, int, int, int]] = []
    others = set(threading.enumerate())

    if face == "sync":
        for transports in (WARM, TRANSPORTS):
            by_threads(server.url, transports)
            counts.append(held(server, others))
    else:
        backend, _, engine = face.partition("+")
        arguments = {"engine": engine} if engine else {}

        async def main() -> None:
            for transports in (WARM, TRANSPORTS):
                await by_tasks(server.url, transports, **arguments)
                counts.append(held(server, others))

        anyio.run(main, backend=backend)
    before, after = counts
    assert after[:3] <= before[:3]
    assert after[3] - before[3] < GROWTH_BLOCKS
