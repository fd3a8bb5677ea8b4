# SPDX-License-Identifier: Apache-2.0
"""A call that is given up while its stream or socket is being opened leaves neither behind."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from faces import FACES, with_app
from scripted import Reply, Scripted, scripted

import gradio_transport as gt

STREAM = "/gradio_api/call/hello/event1"
SECONDS = 10.0


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.mark.parametrize("face", FACES)
def test_a_stream_that_opens_after_its_call_was_cancelled_is_dropped(server: Scripted, face: str) -> None:
    go, left = threading.Event(), queue.SimpleQueue[bool]()

    def opens_late(reply: Reply) -> None:
        go.wait(SECONDS)
        with contextlib.suppress(OSError):
            reply.stream()
            while not reply.server.released.wait(0.02):
                reply.chunk(b"event: heartbeat\ndata: null\n\n")
            left.put(False)
            return
        left.put(True)

    server.scripts = {
        "/gradio_api/call/hello": lambda reply: reply.json({"event_id": "event1"}),
        STREAM: opens_late,
    }

    async def use(app: Any, wait: Callable[[Any], Any]) -> bool:
        call = app.submit("/hello", "x", options=gt.CallOptions(protocol="call"))
        if wait.__name__ == "_itself":
            assert server.wait_for(STREAM)
            call.cancel()
            go.set()
            return left.get(timeout=SECONDS)
        assert await anyio.to_thread.run_sync(server.wait_for, STREAM)
        await call.cancel()
        go.set()
        return await anyio.to_thread.run_sync(lambda: left.get(timeout=SECONDS))

    assert with_app(face, server.url, use)
