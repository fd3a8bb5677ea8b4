# SPDX-License-Identifier: Apache-2.0
"""Everything that crosses the line is tapped, and is the same on both faces."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from faces import FACES, with_app
from scripted import CONFIG, Reply, Script, Scripted, completed, scripted

import gradio_transport as gt
from gradio_transport.protocol.frames import Direction, Frame, Kind, Tap
from gradio_transport.trace import TraceWriter, conversations, read_trace, replay

JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"
COMPONENT = "/gradio_api/component_server/"
META = {"_type": "gradio.FileData"}
TIMEOUTS = gt.Timeouts(total=20)
REQUESTS = (Kind.REQUEST, Kind.WS_OPEN)

faces = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        eventful(running)
        yield running


def eventful(server: Scripted) -> None:
    """Let a server do all that makes the library ask again: it is full, forgets a login, redirects."""
    config = CONFIG | {
        "components": [{"id": number, "type": "file", "props": {}} for number in (1, 2)],
        "connect_heartbeat": True,
        "root": server.url,
    }
    default = server.default
    refusals = iter([(429, {"detail": "too many"}), (401, {"detail": "Not authenticated"})])

    def join(reply: Reply) -> None:
        refused = next(refusals, None)
        if refused is not None:
            reply.json(refused[1], refused[0])
            return
        made = {"path": "/tmp/made.txt", "orig_name": "made.txt", "meta": META}
        stream = server.messages(reply.body["session_hash"])
        stream.put({"msg": "estimation", "rank": 0, "queue_size": 1, "event_id": "e"})
        stream.put({**completed(made), "event_id": "e"})
        reply.json({"event_id": "e"})

    def beat(reply: Reply) -> None:
        reply.stream()
        reply.chunk(b"data: ALIVE\n\n")
        reply.hold()

    scripts: dict[str, Script] = {
        "/config": lambda reply: reply.json(config),
        "/login": lambda reply: reply.json({"success": True}, set_cookie="access-token=fresh"),
        UPLOAD: lambda reply: reply.json(["/tmp/up/x.txt"]),
        JOIN: join,
        COMPONENT: lambda reply: reply.json(["here"]),
        "/gradio_api/file=/tmp/made.txt": lambda reply: reply.text("", 302, location="/moved"),
        "/moved": lambda reply: reply.text("made", kind="text/plain"),
    }
    server.scripts |= scripts
    server.default = lambda path: beat if "/heartbeat/" in path else default(path)  # type: ignore[method-assign]


async def use(app: Any, wait: Any) -> None:
    """Do all that a session can: a file up, a call, a file down, a function of a component."""
    (made,) = await wait(app.call("/hello", gt.handle_file(b"mine", name="x.txt")))
    assert await wait(made.read()) == b"made"
    assert await wait(app.component_server(1, "ls")) == ["here"]


def record(face: str, server: Scripted, tap: Tap) -> None:
    with_app(
        face,
        server.url,
        use,
        tap=tap,
        auth=("user", "password"),
        retry=gt.RetryPolicy(attempts=2, base=0.01),
        timeouts=TIMEOUTS,
    )


@faces
def test_the_tap_sees_every_request_that_the_server_sees(server: Scripted, face: str) -> None:
    frames: list[Frame] = []
    record(face, server, frames.append)
    shown = Counter(
        urlsplit(frame.payload["url"]).path
        for frame in frames
        if frame.direction is Direction.OUT and frame.kind in REQUESTS
    )
    assert shown == Counter(path for path, _ in server.seen)
    assert (shown[JOIN], shown["/login"], shown["/moved"], shown[UPLOAD], shown[COMPONENT]) == (3, 1, 1, 1, 1)


@faces
def test_an_input_that_the_library_fetches_is_seen_too(server: Scripted, face: str) -> None:
    old = CONFIG | {"version": "3.4.1", "protocol": None, "api_prefix": "", "enable_queue": False}
    old["components"] = [{"id": number, "type": "file", "props": {}} for number in (1, 2)]
    server.scripts["/config"] = lambda reply: reply.json(old)
    server.scripts["/mine.txt"] = lambda reply: reply.text("", 302, location="/here.txt")
    server.scripts["/here.txt"] = lambda reply: reply.text("mine")
    server.scripts["/api/direct"] = lambda reply: reply.json({"data": ["done"]})
    frames: list[Frame] = []

    async def call(app: Any, wait: Any) -> None:
        await wait(app.call("/direct", gt.handle_file(f"{server.url}/mine.txt")))

    with_app(face, server.url, call, tap=frames.append, timeouts=TIMEOUTS)
    shown = Counter(
        urlsplit(frame.payload["url"]).path
        for frame in frames
        if frame.direction is Direction.OUT and frame.kind in REQUESTS
    )
    assert shown == Counter(path for path, _ in server.seen)
    assert (shown["/mine.txt"], shown["/here.txt"]) == (1, 1)


def comparable(frames: list[Frame], url: str) -> dict[str, list[Any]]:
    """Return the frames of each channel without what is another each time: times, hashes, the port.

    By channel, because it is chance which of two channels is heard first. How many bytes one read brings is
    chance too, so those of a stream are joined.
    """
    (opened,) = [frame for frame in frames if frame.kind is Kind.SESSION]
    hashed = opened.payload["session_hash"]
    channels: dict[str, list[Any]] = defaultdict(list)
    for frame in frames:
        payload = {key: value for key, value in frame.payload.items() if key not in ("headers", "engine")}
        if frame.kind is Kind.CHUNK and channels[frame.channel][-1][0] is Kind.CHUNK:
            channels[frame.channel][-1][2] += payload["data"]
            continue
        if frame.kind is Kind.CHUNK:
            channels[frame.channel].append([frame.kind, frame.direction, payload["data"]])
            continue
        text = json.dumps(payload, default=lambda held: held.decode("utf-8", "replace"), sort_keys=True)
        text = text.replace(hashed, "HASH").replace(url, "URL")
        channels[frame.channel].append([frame.kind, frame.direction, text])
    return channels


@faces
def test_a_trace_with_several_tries_replays(server: Scripted, face: str, tmp_path: Path) -> None:
    with TraceWriter(tmp_path / "trace.jsonl") as writer:
        record(face, server, writer)
    trace = read_trace(tmp_path / "trace.jsonl")
    replayed = replay(trace)
    assert replayed.mismatches == []
    assert [events[-1].terminal for events in replayed.events.values()] == [True]
    shown = [entry.what for conversation in conversations(trace) for entry in conversation.entries]
    assert "reply 429 (attempt 1)" in shown
    assert "POST /gradio_api/queue/join (attempt 3)" in shown


def test_both_faces_leave_the_same_trace() -> None:
    traces: list[dict[str, list[Any]]] = []
    for face in FACES:
        with scripted() as server:
            eventful(server)
            frames: list[Frame] = []
            record(face, server, frames.append)
            traces.append(comparable(frames, server.url))
    assert len(traces[0]) >= 8
    for trace in traces:
        trace.pop("heartbeat")  # how far it comes before all is closed is chance
        trace.pop("app_id", None)  # whether a connection has stayed open, so that it is not asked, is too
    assert traces[1:] == traces[:1] * 3
