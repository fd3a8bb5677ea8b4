# SPDX-License-Identifier: Apache-2.0
"""Every deadline ends what it bounds, in time, and is named by the error."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faces import FACES, with_app
from scripted import CONFIG, Reply, Scripted, scripted

import gradio_transport as gt

SHORT = 0.3
JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
CANCEL = "/gradio_api/cancel"

each_face = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def silent(reply: Reply) -> None:
    """Open a stream, and say nothing on it."""
    reply.stream()
    reply.chunk(b": open\n\n")
    reply.hold()


def babble(reply: Reply) -> None:
    """Say something all the time, but never the end."""
    event_id = "event1"
    reply.stream()
    reply.send({"msg": "estimation", "rank": 0, "event_id": event_id})
    while not reply.server.released.wait(0.02):
        reply.send({"msg": "progress", "progress_data": [], "event_id": event_id})


def stalled(reply: Reply) -> None:
    reply._handler.send_response(200)
    reply._handler.send_header("content-length", "10")
    reply._handler.end_headers()
    reply._handler.wfile.write(b"abc")
    reply.hold()


async def call(app: Any, wait: Callable[[Any], Any]) -> None:
    await wait(app.call("/hello", "x"))


async def submit(app: Any, wait: Callable[[Any], Any]) -> None:
    await wait(app.submit("/hello", "x").result(timeout=20))


async def call_simple(app: Any, wait: Callable[[Any], Any]) -> None:
    await wait(app.call("/hello", "x", options=gt.CallOptions(protocol="call")))


async def submit_simple(app: Any, wait: Callable[[Any], Any]) -> None:
    await wait(app.submit("/hello", "x", options=gt.CallOptions(protocol="call")).result(timeout=20))


async def read(app: Any, wait: Callable[[Any], Any]) -> None:
    submitted = app.submit("/hello", "x")
    events = submitted.events()
    while True:
        if wait.__name__ == "_itself":
            next(events)
        else:
            await anext(events)


async def direct(app: Any, wait: Callable[[Any], Any]) -> None:
    await wait(app.call("/direct", "x"))


async def nothing(app: Any, wait: Callable[[Any], Any]) -> None:
    pass


SIMPLE = {"/gradio_api/call/hello": lambda r: r.json({"event_id": "event1"})}


def simple_babble(reply: Reply) -> None:
    reply.stream()
    while not reply.server.released.wait(0.02):
        reply.chunk(b'event: generating\ndata: ["x"]\n\n')


TABLE: dict[str, tuple[str, dict[str, Any], Any]] = {
    "discover": ("discover", {"/config": Reply.hold}, nothing),
    "login": ("login", {"/config": lambda r: r.json({"detail": "Not authenticated"}, 401), "/login": Reply.hold}, nothing),
    "join": ("join", {JOIN: Reply.hold}, call),
    "join, submitted": ("join", {JOIN: Reply.hold}, submit),
    "join, simple": ("join", {"/gradio_api/call/hello": Reply.hold}, call_simple),
    "first_message": ("first_message", {DATA: silent}, call),
    "first_message, submitted": ("first_message", {DATA: silent}, submit),
    "first_message, read": ("first_message", {DATA: silent}, read),
    "first_message, simple": ("first_message", {**SIMPLE, "/gradio_api/call/hello/event1": silent}, call_simple),
    "first_message, simple, submitted": (
        "first_message", {**SIMPLE, "/gradio_api/call/hello/event1": silent}, submit_simple,
    ),
    "idle": ("idle", {DATA: silent}, call),
    "idle, read": ("idle", {DATA: silent}, read),
    "idle, simple": ("idle", {**SIMPLE, "/gradio_api/call/hello/event1": silent}, call_simple),
    "total": ("total", {DATA: babble}, call),
    "total, submitted": ("total", {DATA: babble}, submit),
    "total, read": ("total", {DATA: babble}, read),
    "total, silent": ("total", {DATA: silent}, call),
    "total, at the join": ("total", {JOIN: Reply.hold}, call),
    "total, simple": ("total", {**SIMPLE, "/gradio_api/call/hello/event1": simple_babble}, call_simple),
    "total, simple, submitted": (
        "total", {**SIMPLE, "/gradio_api/call/hello/event1": simple_babble}, submit_simple,
    ),
    "total, simple, silent": ("total", {**SIMPLE, "/gradio_api/call/hello/event1": silent}, call_simple),
    "total, direct": ("total", {"/gradio_api/run/direct": Reply.hold}, direct),
}  # fmt: skip
"""Name -> the setting, what the server does, what is done."""


@each_face
@pytest.mark.parametrize("case", TABLE)
def test_a_deadline_ends_what_it_bounds_and_is_named(server: Scripted, face: str, case: str) -> None:
    setting, server.scripts, use = TABLE[case]
    timeouts = gt.Timeouts(**{setting: SHORT})  # type: ignore[arg-type]
    auth = ("user", "password") if setting == "login" else None
    begun = time.monotonic()
    with pytest.raises(gt.TimeoutExpired) as caught:
        with_app(face, server.url, use, timeouts=timeouts, auth=auth)
    assert caught.value.setting == setting
    assert f"{setting}=" in caught.value.message
    assert SHORT * 0.9 <= time.monotonic() - begun < 6


@each_face
def test_upload_bounds_the_silence_while_a_file_is_sent(server: Scripted, face: str, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("content")
    server.scripts = {"/gradio_api/upload": Reply.hold}

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        await wait(app.call("/hello", gt.handle_file(path)))

    with pytest.raises(gt.TimeoutExpired) as caught:
        with_app(face, server.url, use, timeouts=gt.Timeouts(upload=SHORT))
    assert caught.value.setting == "upload"
    assert "upload=" in caught.value.message


@each_face
def test_connect_bounds_the_opening_of_a_connection(face: str) -> None:
    import socket

    with socket.socket() as full:  # takes no connection: its backlog is full at once
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(3)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        try:
            url = f"http://127.0.0.1:{full.getsockname()[1]}"
            with pytest.raises(gt.TransportError) as caught:
                with_app(face, url, nothing, timeouts=gt.Timeouts(connect=SHORT, discover=5))
        finally:
            for other in others:
                other.close()
    assert getattr(caught.value, "setting", None) == "connect"
    assert "connect=" in caught.value.message


@each_face
@pytest.mark.parametrize("wanted", [True, False])
def test_the_server_is_told_of_an_expiry_unless_that_is_not_wanted(
    server: Scripted, face: str, wanted: bool
) -> None:
    server.scripts = {DATA: silent}
    timeouts = gt.Timeouts(total=SHORT, cancel_on_expiry=wanted)

    async def use(app: Any, wait: Callable[[Any], Any]) -> Any:
        called = app.submit("/hello", "x")
        with pytest.raises(gt.TimeoutExpired):
            await wait(called.result(timeout=20))
        if wanted:
            deadline = time.monotonic() + 5
            while CANCEL not in [path for path, _ in server.seen]:
                assert time.monotonic() < deadline
                await wait(app.call("/direct", "x"))
        return called.session_hash

    session_hash = with_app(face, server.url, use, timeouts=timeouts)
    told = [body for path, body in server.seen if path == CANCEL]
    expected = {"event_id": "event1", "session_hash": session_hash, "fn_index": 0}
    assert told == ([expected] if wanted else [])


@each_face
def test_a_server_that_does_not_answer_the_cancellation_delays_nobody(server: Scripted, face: str) -> None:
    server.scripts = {DATA: silent, CANCEL: Reply.hold}

    async def use(app: Any, wait: Callable[[Any], Any]) -> float:
        begun = time.monotonic()
        with pytest.raises(gt.TimeoutExpired):
            await wait(app.call("/hello", "x"))
        return time.monotonic() - begun

    assert with_app(face, server.url, use, timeouts=gt.Timeouts(total=SHORT)) < 3


@each_face
def test_each_event_can_be_waited_for_with_a_bound(server: Scripted, face: str) -> None:
    async def use(app: Any, wait: Callable[[Any], Any]) -> tuple[list[Any], bool]:
        called = app.submit("/forever", "x")
        events = called.events(timeout=SHORT)
        seen: list[Any] = []

        async def read_on() -> None:
            while True:
                seen.append(next(events) if wait.__name__ == "_itself" else await anext(events))

        with pytest.raises(gt.TimeoutExpired) as caught:
            await read_on()
        assert caught.value.setting == "timeout"
        return seen, called.done()

    seen, done = with_app(face, server.url, use)
    assert isinstance(seen[-1], gt.ProcessGenerating)
    assert not done


@each_face
def test_cancel_waits_no_longer_than_it_is_told_to(server: Scripted, face: str) -> None:
    server.scripts = {CANCEL: Reply.hold}

    async def use(app: Any, wait: Callable[[Any], Any]) -> tuple[bool, float]:
        called = app.submit("/forever", "x")
        events = called.events(timeout=10)
        while not isinstance(
            next(events) if wait.__name__ == "_itself" else await anext(events), gt.ProcessGenerating
        ):
            pass
        begun = time.monotonic()
        await wait(called.cancel(timeout=SHORT))
        return called.done(), time.monotonic() - begun

    done, seconds = with_app(face, server.url, use)
    assert done
    assert seconds < 3


@each_face
def test_a_component_function_can_be_waited_for_with_a_bound(server: Scripted, face: str) -> None:
    server.scripts = {"/gradio_api/component_server/": Reply.hold}

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        await wait(app.component_server(1, "ls", [], timeout=SHORT))

    with pytest.raises(gt.TimeoutExpired) as caught:
        with_app(face, server.url, use)
    assert caught.value.setting == "timeout"


def a_file(server: Scripted) -> dict[str, Any]:
    return {
        "path": "/tmp/a.txt",
        "url": f"{server.url}/gradio_api/file=/tmp/a.txt",
        "orig_name": "a.txt",
        "meta": {"_type": "gradio.FileData"},
    }


def drips(reply: Reply) -> None:
    """Send a file so slowly that it never ends, without ever being silent."""
    reply.stream("application/octet-stream")
    while not reply.server.released.wait(0.02):
        reply.chunk(b"x")


@each_face
@pytest.mark.parametrize("script", [Reply.hold, stalled, drips], ids=["silent", "stalled", "slow"])
@pytest.mark.parametrize("saved", [False, True])
def test_a_file_can_be_waited_for_with_a_bound(
    files: Scripted, face: str, script: Callable[[Reply], None], saved: bool, tmp_path: Path
) -> None:
    files.scripts["/gradio_api/file=/tmp/a.txt"] = script

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        (file,) = await wait(app.call("/direct", "x"))
        if saved:
            await wait(file.download(tmp_path, timeout=SHORT))
        else:
            await wait(file.read(timeout=SHORT))

    begun = time.monotonic()
    with pytest.raises(gt.TimeoutExpired) as caught:
        with_app(face, files.url, use)
    assert caught.value.setting == "timeout"
    assert time.monotonic() - begun < 6
    assert list(tmp_path.iterdir()) == []


@each_face
@pytest.mark.parametrize("script", [Reply.hold, stalled], ids=["silent", "stalled"])
def test_download_stall_bounds_the_silence_of_a_file(
    files: Scripted, face: str, script: Callable[[Reply], None]
) -> None:
    files.scripts["/gradio_api/file=/tmp/a.txt"] = script

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        (file,) = await wait(app.call("/direct", "x"))
        await wait(file.read())

    with pytest.raises(gt.TimeoutExpired) as caught:
        with_app(face, files.url, use, timeouts=gt.Timeouts(download_stall=SHORT))
    assert caught.value.setting == "download_stall"
    assert "download_stall=" in caught.value.message


@pytest.fixture
def files(server: Scripted) -> Scripted:
    config = copy.deepcopy(CONFIG)
    for component in config["components"]:
        component["type"] = "file"
    server.scripts = {
        "/config": lambda reply: reply.json(config),
        "/gradio_api/run/direct": lambda reply: reply.json({"data": [a_file(server)]}),
    }
    return server


@each_face
def test_closing_waits_no_longer_than_it_is_told_to(server: Scripted, face: str) -> None:
    server.scripts = {DATA: Reply.hold}  # not even the head of the stream comes

    async def use(app: Any, wait: Callable[[Any], Any]) -> float:
        called = app.submit("/hello", "x")
        while DATA not in [path for path, _ in server.seen]:
            await wait(app.call("/direct", "x"))
        begun = time.monotonic()
        if wait.__name__ == "_itself":
            app.close(timeout=SHORT)
        else:
            await app.aclose(timeout=SHORT)
        assert called.done()
        return time.monotonic() - begun

    assert with_app(face, server.url, use) < 2
