# SPDX-License-Identifier: Apache-2.0
"""Who cancels a call is free at once, whatever the server does; the server is told aside, for a short time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any, Self

import anyio
import pytest
from faces import FACES, with_app
from scripted import CONFIG, Reply, Scripted, completed, scripted

import gradio_transport as gt
import gradio_transport.aio.connection
import gradio_transport.sync.connection
from gradio_transport_conformance.faults.cases import load_cells
from gradio_transport_conformance.faults.server import serve_fault

CANCEL, DATA, JOIN = "/gradio_api/cancel", "/gradio_api/queue/data", "/gradio_api/queue/join"
AT_ONCE = 0.5
TELL_SECONDS = 0.3
CLOSED = TELL_SECONDS + 1


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        running.scripts = {CANCEL: Reply.hold}
        yield running


@pytest.fixture(autouse=True)
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let closing wait for a shorter time."""
    monkeypatch.setattr(gradio_transport.sync.connection, "TELL_SECONDS", TELL_SECONDS)
    monkeypatch.setattr(gradio_transport.aio.connection, "TELL_SECONDS", TELL_SECONDS)


class Timed:
    def __enter__(self) -> Self:
        self._began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.monotonic() - self._began


async def to_generating(face: str, call: Any) -> None:
    """Read on to the first output."""
    if face == "sync":
        for event in call:
            if isinstance(event, gt.ProcessGenerating):
                return
    async for event in call:
        if isinstance(event, gt.ProcessGenerating):
            return


async def cancel(call: Any, wait: Callable[[Any], Any]) -> None:
    with Timed() as timed:
        await wait(call.cancel())
    assert timed.seconds < AT_ONCE
    with pytest.raises(CancelledError):
        await wait(call.result())


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("protocol", ["sse_v3", "sse_v2", "sse_v1", "sse", "websocket C", "call"])
def test_cancelling_waits_for_no_server(face: str, protocol: str) -> None:
    name = f"{protocol} | stream | silence in mid-call"
    cell = next(cell for cell in load_cells() if cell.name == name)

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        call = app.submit(0, "x")
        await to_generating(face, call)
        await cancel(call, wait)

    with serve_fault(cell) as server, Timed() as timed:
        with_app(face, server.url, use, protocol=cell.protocol.adapter)
    assert timed.seconds < CLOSED


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("version", ["6.31.0", "4.20.0"])
def test_cancelling_does_not_wait_for_a_cancel_or_reset_that_is_never_answered(
    server: Scripted, face: str, version: str
) -> None:
    server.scripts |= {
        "/config": lambda reply: reply.json({**CONFIG, "version": version}),
        "/gradio_api/reset": Reply.hold,
    }

    async def use(app: Any, wait: Callable[[Any], Any]) -> Timed:
        call = app.submit("/forever", "x")
        await to_generating(face, call)
        await cancel(call, wait)
        timed = Timed()
        timed.__enter__()
        return timed

    timed = with_app(face, server.url, use)
    timed.__exit__()
    assert timed.seconds < CLOSED
    assert server.wait_for("/gradio_api/reset" if version == "4.20.0" else CANCEL)


@pytest.mark.parametrize("face", FACES)
def test_closing_waits_for_it_no_longer_than_it_may(server: Scripted, face: str) -> None:
    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        call = app.submit("/forever", "x")
        await to_generating(face, call)
        await cancel(call, wait)
        with Timed() as timed:
            await wait((app.close if face == "sync" else app.aclose)(timeout=0.1))
        assert timed.seconds < 1

    with_app(face, server.url, use)


@pytest.mark.parametrize("face", FACES)
def test_a_timeout_for_the_cancellation_waits_for_the_answer_so_long(server: Scripted, face: str) -> None:
    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        call = app.submit("/forever", "x")
        await to_generating(face, call)
        with Timed() as timed:
            assert await wait(call.cancel(timeout=0.2)) is gt.events.Achieved.STOPPING
        assert 0.2 <= timed.seconds < 1
        server.scripts = {}
        again = app.submit("/forever", "x")
        await to_generating(face, again)
        with Timed() as timed:
            await wait(again.cancel(timeout=5))
        assert timed.seconds < 1

    with_app(face, server.url, use)


@pytest.mark.parametrize("face", FACES)
def test_the_server_is_told_of_a_cancellation_just_before_the_end(server: Scripted, face: str) -> None:
    server.scripts = {}

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        call = app.submit("/forever", "x")
        await to_generating(face, call)
        await cancel(call, wait)

    with_app(face, server.url, use)
    assert CANCEL in [path for path, _ in server.seen]


@pytest.mark.parametrize(
    "way", ["call.cancel()", "call.cancel(); sys.exit()", "call.cancel(); raise OSError"]
)
def test_a_program_that_ends_after_a_cancellation_has_told_the_server(server: Scripted, way: str) -> None:
    server.scripts = {}
    program = (
        "import sys, gradio_transport as gt\n"
        f"app = gt.connect({server.url!r})\n"
        "call = app.submit('/forever', 'x')\n"
        "for event in call:\n"
        "    if isinstance(event, gt.ProcessGenerating): break\n"
        f"{way}\n"
    )
    subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert CANCEL in [path for path, _ in server.seen]


def test_a_program_that_ends_does_not_wait_long_for_the_server(server: Scripted) -> None:
    program = (
        "import time, gradio_transport as gt\n"
        f"app = gt.connect({server.url!r})\n"
        "call = app.submit('/forever', 'x')\n"
        "for event in call:\n"
        "    if isinstance(event, gt.ProcessGenerating): break\n"
        "call.cancel()\n"
        "print(time.time())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert time.time() - float(done.stdout) < 4


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_cancelled_task_is_free_at_once(server: Scripted, backend: str) -> None:
    async def main() -> None:
        async with gt.connect_async(server.url) as app:
            with Timed() as timed:
                with anyio.move_on_after(0.2) as scope:
                    await app.call("/forever", "x")
            assert scope.cancelled_caught
            assert timed.seconds < 0.2 + AT_ONCE
            await anyio.to_thread.run_sync(server.wait_for, CANCEL)
            assert await app.call("/hello", "y") == ["Hello, y!"]

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("endpoint", ["/forever", "/direct"])
def test_an_interrupted_caller_is_free_at_once(server: Scripted, endpoint: str) -> None:
    server.scripts["/gradio_api/run/direct"] = Reply.hold
    with gt.connect(server.url) as app:
        app.call("/hello", "warm")
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with Timed() as timed, pytest.raises(KeyboardInterrupt):
            app.call(endpoint, "x", options=gt.CallOptions(timeouts=30) if endpoint == "/direct" else None)
        assert timed.seconds < 0.3 + AT_ONCE
        assert app.call("/hello", "y") == ["Hello, y!"]


@pytest.mark.parametrize("face", FACES)
def test_a_deadline_that_expires_waits_for_no_server(server: Scripted, face: str) -> None:
    options = gt.CallOptions(timeouts=gt.Timeouts(total=0.3, cancel_on_expiry=True))

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        with Timed() as timed, pytest.raises(gt.TimeoutExpired):
            await wait(app.call("/forever", "x", options=options))
        assert timed.seconds < 0.3 + AT_ONCE

    with_app(face, server.url, use)
    assert server.wait_for(CANCEL)


@pytest.mark.parametrize("face", FACES)
def test_the_stream_is_read_on_while_the_server_is_told_late(server: Scripted, face: str) -> None:
    """A cancelled call has a sibling, after whose end the reader of the stream sends the cancellation."""

    def join(reply: Reply) -> None:
        text = reply.body["data"][0]
        stream = server.messages(reply.body["session_hash"])
        stream.put({"msg": "estimation", "rank": 0, "event_id": text})
        reply.json({"event_id": text})

    server.scripts[JOIN] = join

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        first, second, other = (
            app.submit("/count", "a"),
            app.submit("/count", "b"),
            app.submit("/hello", "c"),
        )
        if face != "sync":
            for call in (first, second, other):
                while not isinstance(await anext(call), gt.events.Joined):
                    pass
        assert await wait(first.cancel()) is gt.events.Achieved.RUNS_ON
        stream = server.messages(app.session_hash)
        stream.put({**completed("b"), "event_id": "b"})
        stream.put({**completed("c"), "event_id": "c"})
        assert await wait(second.result(5)) == ["b"]
        with Timed() as timed:
            assert await wait(other.result(5)) == ["c"]
        assert timed.seconds < AT_ONCE

    with_app(face, server.url, use)
    assert [body["event_id"] for path, body in server.seen if path == CANCEL] == ["a"]


@pytest.mark.parametrize("face", FACES)
def test_leaving_an_iteration_neither_waits_nor_cancels(server: Scripted, face: str) -> None:
    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        call = app.submit("/forever", "x")
        with Timed() as timed:
            await to_generating(face, call)
            with pytest.raises(gt.TimeoutExpired):
                await wait(call.result(timeout=0.05))
        assert timed.seconds < 1
        assert not call.done()

    with_app(face, server.url, use)
    assert CANCEL not in [path for path, _ in server.seen]


@pytest.mark.parametrize("face", FACES)
def test_a_reset_waits_for_no_server(server: Scripted, face: str) -> None:
    default = server.default
    server.default = lambda path: Reply.hold if "/heartbeat/" in path else default(path)  # type: ignore[method-assign]
    server.scripts["/config"] = lambda reply: reply.json({**CONFIG, "connect_heartbeat": True})

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        call = app.submit("/forever", "x")
        await to_generating(face, call)
        await cancel(call, wait)
        with Timed() as timed:
            await wait(app.reset())
        assert timed.seconds < AT_ONCE

    with_app(face, server.url, use)
