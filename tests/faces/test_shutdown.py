# SPDX-License-Identifier: Apache-2.0
"""Closing: complete, from anywhere, at any moment; and what garbage collection and interpreters do instead."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest
from faces import FACES, with_app
from scripted import CONFIG, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.engines.client_sync import ClientEngine
from gradio_transport.engines.httpcore_sync import HTTPEngine
from gradio_transport.engines.layers import Plain
from gradio_transport.engines.settings import HTTPSettings

JOIN, DATA, RUN = "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/run/direct"
HEARTBEAT = "/gradio_api/heartbeat/"
FILE = "/gradio_api/file=/slow"
OURS = "gradio-transport"


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(OURS)]


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running
    assert ours() == []


def paths(server: Scripted) -> list[str]:
    return [path for path, _ in server.seen]


def wait_until(ready: Any, seconds: float = 5.0) -> None:
    ends = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < ends
        time.sleep(0.005)


def answer_heartbeats(server: Scripted, beat: Any) -> None:
    """Answer heartbeats so, whatever the session's hash."""
    default = server.default
    server.default = lambda path: beat if path.startswith(HEARTBEAT) else default(path)  # type: ignore[method-assign]


def streaming(reply: Reply) -> None:
    reply.stream()
    reply.hold()


def test_closing_ends_what_every_thread_waits_for(server: Scripted) -> None:
    """One joins, one calls directly, one reads a stream, one a file, and a heartbeat is on its way."""
    answer_heartbeats(server, Reply.hold)
    files = [{"id": 1, "type": "textbox", "props": {}}, {"id": 2, "type": "file", "props": {}}]
    config = {**CONFIG, "components": files, "connect_heartbeat": True}
    found = {"path": "/slow", "url": f"{server.url}{FILE}", "meta": {"_type": "gradio.FileData"}}
    server.scripts = {
        "/config": lambda reply: reply.json(config),
        RUN: lambda reply: reply.json({"data": [found]}),
        FILE: streaming,
    }
    app = gt.connect(server.url)
    session = app.session()
    [file] = app.call("/direct", "x")
    joined = session.submit("/forever", "x")
    server.wait_for(DATA)
    server.scripts |= {JOIN: Reply.hold, RUN: Reply.hold}
    works = [
        lambda: app.call("/hello", "x"),
        lambda: app.call("/direct", "x"),
        lambda: list(joined),
        joined.result,
        file.read,
    ]
    with ThreadPoolExecutor(len(works)) as pool:
        doing = [pool.submit(work) for work in works]
        wait_until(lambda: paths(server).count(JOIN) == 2 and paths(server).count(RUN) == 2)
        server.wait_for(FILE)
        began = time.monotonic()
        app.close()
        errors = [one.exception(5) for one in doing]
        assert time.monotonic() - began < 2
    assert [type(error) for error in errors] == [gt.errors.LocalProtocolError] * 4 + [gt.StreamLost]
    assert ours() == []


@pytest.mark.parametrize("end", [gt.Session.close, gt.Session.reset])
def test_a_session_ends_at_once_while_its_stream_and_its_heartbeat_have_no_head(
    server: Scripted, end: Callable[[gt.Session], None]
) -> None:
    answer_heartbeats(server, Reply.hold)
    server.scripts = {"/config": lambda reply: reply.json({**CONFIG, "connect_heartbeat": True})}
    with gt.connect(server.url) as app:
        assert app.call("/hello", "x") == ["Hello, x!"]
        session = app.session()
        server.scripts[DATA] = Reply.hold
        call = session.submit("/hello", "x")
        wait_until(lambda: paths(server).count(DATA) == 2)
        wait_until(lambda: sum(path.startswith(HEARTBEAT) for path in paths(server)) == 2)
        began = time.monotonic()
        end(session)
        assert time.monotonic() - began < 2
        assert len([name for name in ours() if "heartbeat" in name or "stream" in name]) == 2  # the app's
        with pytest.raises(gt.errors.LocalProtocolError):
            call.result(1)
        del server.scripts[DATA]
        assert app.call("/hello", "y") == ["Hello, y!"]


def test_many_threads_may_close_at_once(server: Scripted) -> None:
    app = gt.connect(server.url)
    calls = [app.submit("/forever", str(number)) for number in range(20)]
    with ThreadPoolExecutor(16) as pool:
        for closed in [pool.submit(app.close) for _ in range(16)]:
            closed.result(5)
    for call in calls:
        with pytest.raises(gt.errors.LocalProtocolError, match="closed"):
            call.result(1)


@pytest.mark.parametrize("attempt", range(5))
def test_a_call_begun_while_the_transport_closes_ends_too(server: Scripted, attempt: int) -> None:
    app = gt.connect(server.url)
    calls: list[gt.Call] = []
    started = threading.Barrier(9)

    def submit() -> None:
        started.wait(5)
        while True:
            try:
                calls.append(app.submit("/forever", "x"))
            except gt.errors.LocalProtocolError:
                return

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    started.wait(5)
    time.sleep(0.01 * attempt)  # any moment will do
    app.close()
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()
    for call in calls:
        with pytest.raises(gt.errors.LocalProtocolError):
            call.result(1)


def test_a_done_callback_may_close_and_call(server: Scripted) -> None:
    said: list[str] = []
    with gt.connect(server.url) as app:
        session = app.session()

        def ended(_: gt.Call) -> None:
            session.close()
            try:
                session.submit("/hello", "x")
            except gt.errors.LocalProtocolError as error:
                said.append(str(error))

        session.submit("/forever", "x").add_done_callback(ended)
        session.close()
    assert said == ["The session is closed."]


def test_the_done_callback_of_a_reset_may_call_again(server: Scripted) -> None:
    again: list[gt.Call] = []
    with gt.connect(server.url) as app:
        before = app.session_hash
        app.submit("/forever", "x").add_done_callback(lambda _: again.append(app.submit("/hello", "again")))
        app.reset()
        assert again[0].result(5) == ["Hello, again!"]
        assert again[0].session_hash == app.session_hash != before


def test_submits_that_wait_for_a_thread_are_never_sent_once_given_up(server: Scripted) -> None:
    server.scripts[RUN] = Reply.hold
    with gt.connect(server.url, limits=gt.Limits(workers=1)) as app:
        app.submit("/direct", "first")
        server.wait_for(RUN)
        waiting = [app.submit("/direct", "waiting") for _ in range(5)]
        for call in waiting:
            call.cancel()
            with pytest.raises(CancelledError):
                call.result(1)
    assert paths(server).count(RUN) == 1


def test_a_stream_that_opens_after_its_session_was_closed_is_not_read(server: Scripted) -> None:
    opened = threading.Event()

    def late(reply: Reply) -> None:
        opened.wait(10)
        reply.stream()
        while not reply.server.released.wait(0.01):
            reply.send({"msg": "heartbeat"})

    server.scripts[DATA] = late
    with gt.connect(server.url) as app:
        session = app.session()
        session.submit("/forever", "x")
        server.wait_for(DATA)
        closing = threading.Thread(target=session.close)
        closing.start()
        time.sleep(0.1)  # it waits for the reader now
        opened.set()
        closing.join(4)
        assert not closing.is_alive()
        assert ours() == []


def test_collecting_a_cycle_closes_what_is_in_it(server: Scripted) -> None:
    class Holder:
        pass

    holder: Any = Holder()
    holder.app = gt.connect(server.url)
    holder.call = holder.app.submit("/forever", "x")
    holder.itself = holder
    server.wait_for(DATA)
    del holder
    with pytest.warns(ResourceWarning, match="not closed"):
        gc.collect()
    assert ours() == []


def test_a_session_outlives_its_transport_only_to_say_so(server: Scripted) -> None:
    session = None
    with gt.connect(server.url) as app:
        session = app.session()
    with pytest.raises(gt.errors.LocalProtocolError, match="closed"):
        session.submit("/hello", "x")
    session.close()


def test_sixty_four_threads_share_a_transport_and_a_session(server: Scripted) -> None:
    with gt.connect(server.url) as app, app.session() as session:

        def use(number: int) -> list[Any]:
            whose = session if number % 2 else app
            return [whose.call(name, str(number))[0] for name in ("/hello", "/direct", "/count")]

        with ThreadPoolExecutor(64) as pool:
            results = list(pool.map(use, range(256)))
    assert results == [[f"Hello, {number}!", str(number), "0 1"] for number in range(256)]


def test_the_sync_face_works_in_the_thread_of_a_running_loop(server: Scripted) -> None:
    """As in a notebook."""

    async def cell() -> list[Any]:
        with gt.connect(server.url) as app:
            return [*app.call("/hello", "x"), *app.submit("/direct", "y").result(5)]

    assert anyio.run(cell) == ["Hello, x!", "y"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_aclose_ends_the_tasks_and_leaves_the_block_alone(server: Scripted, backend: str) -> None:
    async def main() -> str:
        async with gt.connect_async(server.url) as app:
            call = app.submit("/forever", "x")
            async for event in call:
                if isinstance(event, gt.ProcessGenerating):
                    break
            await app.aclose()
            await app.aclose()
            assert app._sessions.connection.tasks is not None
            await anyio.lowlevel.checkpoint()  # would raise the cancellation of the block
            with pytest.raises(gt.errors.LocalProtocolError, match="closed"):
                await call
            with pytest.raises(gt.errors.LocalProtocolError, match="closed"):
                await app.call("/hello", "x")
            return "went on"

    assert anyio.run(main, backend=backend) == "went on"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_aclose_by_another_task_ends_what_others_wait_for(server: Scripted, backend: str) -> None:
    server.scripts[RUN] = Reply.hold
    errors: list[BaseException] = []

    async def main() -> None:
        async with gt.connect_async(server.url) as app:
            call = app.submit("/forever", "x")

            async def wait(work: Any) -> None:
                try:
                    await work()
                except gt.GradioTransportError as error:
                    errors.append(error)

            async with anyio.create_task_group() as group:
                group.start_soon(wait, call.result)
                group.start_soon(wait, lambda: app.call("/direct", "x"))
                await anyio.to_thread.run_sync(server.wait_for, RUN)
                with anyio.fail_after(2):
                    await app.aclose()

    began = time.monotonic()
    anyio.run(main, backend=backend)
    assert time.monotonic() - began < 5
    assert [type(error) for error in errors] == [gt.errors.LocalProtocolError] * 2


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_the_task_cancels_its_call_upstream_and_closes(server: Scripted, backend: str) -> None:
    async def main() -> None:
        with anyio.move_on_after(0.5) as scope:
            async with gt.connect_async(server.url) as app:
                await app.call("/forever", "x")
        assert scope.cancelled_caught

    anyio.run(main, backend=backend)
    assert "/gradio_api/cancel" in paths(server)


@pytest.mark.parametrize("face", FACES)
def test_the_error_of_the_block_comes_out_as_it_is(server: Scripted, face: str) -> None:
    async def use(app: Any, wait: Any) -> None:
        app.submit("/forever", "x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        with_app(face, server.url, use)


def test_an_engine_closes_while_others_open(server: Scripted) -> None:
    """The set of its sockets may change while it is being closed."""
    for _ in range(5):
        engine = HTTPEngine(HTTPSettings())
        app = gt.connect(server.url, engine=engine)
        with ThreadPoolExecutor(32) as pool:
            doing = [pool.submit(app.call, "/direct", "x") for _ in range(64)]
            app.close()
            for one in doing:
                assert one.exception(5) is None or isinstance(one.exception(), gt.GradioTransportError)


def test_no_socket_is_closed_under_a_thread_that_reads_it(
    server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number would be the next socket's, and the thread would read what is meant for somebody else."""
    server.scripts[RUN] = Reply.hold
    reading: set[socket.socket] = set()
    read: set[socket.socket] = set()
    closed: dict[socket.socket, bool] = {}
    receive, close = Plain.receive, socket.socket.close

    def counted(self: Plain, *arguments: Any) -> bytes:
        read.add(self._sock)
        reading.add(self._sock)
        try:
            return receive(self, *arguments)
        finally:
            reading.discard(self._sock)

    def noted(one: socket.socket) -> None:
        closed.setdefault(one, one in reading)
        close(one)

    monkeypatch.setattr(Plain, "receive", counted)
    monkeypatch.setattr(socket.socket, "close", noted)
    app = gt.connect(server.url)
    read.clear()
    with ThreadPoolExecutor(4) as threads:
        doing = [threads.submit(app.call, "/direct", "x") for _ in range(4)]
        wait_until(lambda: len(read) == 4)
        app.close()
        assert all(isinstance(one.exception(5), gt.GradioTransportError) for one in doing)
    assert {one: closed[one] for one in read} == dict.fromkeys(read, False)


def test_the_connections_of_a_client_that_was_given_live_on(server: Scripted) -> None:
    with httpx.Client() as client:
        with gt.connect(server.url, engine=ClientEngine(HTTPSettings(), client)) as app:
            assert app.call("/direct", "x") == ["x"]
        assert client.get(f"{server.url}/config").json() == CONFIG


@pytest.mark.parametrize("face", FACES)
def test_a_call_whose_end_cannot_be_handed_over_ends_all_the_same(server: Scripted, face: str) -> None:
    def listener(event: gt.Event) -> None:
        if isinstance(event, gt.ProcessCompleted):
            raise ZeroDivisionError

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        call = app.submit("/hello", "x", options=gt.CallOptions(listener=listener))
        with pytest.raises(gt.errors.LocalProtocolError, match=r"listener .* raised ZeroDivisionError"):
            await wait(call.result())

    with_app(face, server.url, use)
