# SPDX-License-Identifier: Apache-2.0
"""Which references keep a transport, and what the others say once it was collected."""

from __future__ import annotations

import gc
import queue
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from scripted import CONFIG, Reply, Scripted, scripted

import gradio_transport as gt

DATA = "/gradio_api/queue/data"
RUN = "/gradio_api/run/direct"
FILE = "/gradio_api/file=/a"
COLLECTED = "garbage-collected, because nothing referred to it any more"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running
    gc.collect()
    assert [one.name for one in threading.enumerate() if one.name.startswith("gradio-transport")] == []


def unclosed() -> Any:
    """Expect the warning of a transport that is collected without having been closed."""
    return pytest.warns(ResourceWarning, match="not closed")


class Watched:
    """A transport, and whether it is still there."""

    def __init__(self, server: Scripted) -> None:
        self.app: gt.Transport | None = gt.connect(server.url)
        self._connection = self.app._sessions.connection

    def taken(self) -> gt.Transport:
        """Return it, and hold it no more."""
        app, self.app = self.app, None
        assert app is not None
        return app

    def is_alive(self) -> bool:
        gc.collect()
        return not self._connection.closed

    def is_collected(self) -> bool:
        until = time.monotonic() + 5
        while self.is_alive() and time.monotonic() < until:
            time.sleep(0.01)  # the thread that gave the last reference up may be about to
        return not self.is_alive()


def test_a_call_that_is_held_alone_keeps_its_transport_until_its_end(server: Scripted) -> None:
    watched = Watched(server)
    server.scripts[DATA] = held = Held(server)
    with unclosed():
        call = watched.taken().submit("/count", "x")
        assert watched.is_alive()
        held.go.set()
        assert call.result(10) == ["0 1"]
        assert watched.is_collected()
    assert call.result() == ["0 1"]


def test_an_iteration_that_is_held_alone_keeps_the_transport(server: Scripted) -> None:
    watched = Watched(server)
    with unclosed():
        events = list(watched.taken().submit("/count", "x"))
        assert watched.is_collected()
    assert isinstance(events[-1], gt.ProcessCompleted)


def test_a_done_callback_keeps_the_transport_for_its_call(server: Scripted) -> None:
    watched, results = Watched(server), queue.SimpleQueue[list[Any]]()
    server.scripts[DATA] = held = Held(server)
    with unclosed():
        watched.taken().submit("/count", "x").add_done_callback(lambda call: results.put(call.result()))
        assert watched.is_alive()
        held.go.set()
        assert results.get(timeout=10) == ["0 1"]
        assert watched.is_collected()


def test_a_session_that_is_held_alone_keeps_its_transport(server: Scripted) -> None:
    watched = Watched(server)
    server.scripts[DATA] = held = Held(server)
    with unclosed():
        session = watched.taken().session()
        assert watched.is_alive()
        call = session.submit("/count", "x")
        del session
        assert watched.is_alive()
        held.go.set()
        assert call.result(10) == ["0 1"]
        assert watched.is_collected()


def test_a_call_that_has_ended_keeps_no_transport(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        call = app.submit("/hello", "x")
        call.result(10)
    alive = weakref.ref(app)
    del app
    gc.collect()
    assert alive() is None
    assert call.done()


def test_a_file_whose_transport_was_collected_says_so(server: Scripted) -> None:
    watched = Watched(with_files(server))
    with unclosed():
        [file] = watched.taken().call("/direct", "x")
        assert watched.is_collected()
    with pytest.raises(gt.errors.LocalProtocolError, match=COLLECTED):
        file.read()


def with_files(server: Scripted) -> Scripted:
    components = [{"id": 1, "type": "textbox", "props": {}}, {"id": 2, "type": "file", "props": {}}]
    found = {"path": "/a", "url": f"{server.url}{FILE}", "meta": {"_type": "gradio.FileData"}}
    server.scripts = {
        "/config": lambda reply: reply.json({**CONFIG, "components": components}),
        RUN: lambda reply: reply.json({"data": [found]}),
        FILE: lambda reply: reply.text("content"),
    }
    return server


def test_a_call_that_is_collected_together_with_its_transport_says_so(server: Scripted) -> None:
    server.scripts[DATA] = Reply.hold
    watched = Watched(server)
    with unclosed():
        pending, core = begin(watched.taken())
        assert watched.is_collected()
    with pytest.raises(gt.errors.LocalProtocolError, match=f"{COLLECTED}, during the call"):
        pending.result(10)
    with pytest.raises(gt.errors.LocalProtocolError, match=COLLECTED):
        core.submit("/hello", ["x"], {}, None)


def begin(app: gt.Transport) -> tuple[Any, Any]:
    """Begin a call, and return what threads hold of it and of its session."""
    return app.submit("/forever", "x")._pending, app._session._core


class Held:
    """Answers the stream once it may."""

    def __init__(self, server: Scripted) -> None:
        self.go = threading.Event()
        self._server = server

    def __call__(self, reply: Reply) -> None:
        self.go.wait(10)
        self._server.data(reply)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_async_calls_and_iterations_keep_their_transport(server: Scripted, backend: str) -> None:
    async def main() -> None:
        app = await gt.connect_async(server.url).__aenter__()
        alive = weakref.ref(app)
        call, events = app.submit("/count", "x"), aiter(app.submit("/count", "y"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the block is not left properly before the end
            tasks, connection = app._tasks, app._sessions.connection
            del app
            gc.collect()
            assert alive() is not None
            assert await call == ["0 1"]
            assert isinstance([event async for event in events][-1], gt.ProcessCompleted)
            del events
            gc.collect()
            assert alive() is None
        assert call.done()
        await connection.aclose()
        await tasks.__aexit__(None, None, None)

    anyio.run(main, backend=backend)
