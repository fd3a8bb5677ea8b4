# SPDX-License-Identifier: Apache-2.0
"""Servers and proxies that misbehave: a value where it can be had, else the one error that says what happened."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from scripted import CONFIG, Reply, Scripted, completed, generating, scripted

import gradio_transport as gt

FACES = ("sync", "asyncio", "trio", "asyncio+aiohttp")
TIMEOUTS = gt.Timeouts(connect=2, discover=2, join=2, first_message=1, idle=1, total=6)
BOUND_SECONDS = 10.0

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def play(face: str, url: str, endpoint: str = "/count", **options: Any) -> tuple[list[gt.Event], Any]:
    """Call an endpoint by a face; return its events, and its outputs or the error."""
    face, _, engine = face.partition("+")
    options = {"timeouts": TIMEOUTS, "engine": engine or "httpx", **options}
    events: list[gt.Event] = []

    def by_threads() -> Any:
        with gt.connect(url, **options) as app:
            call = app.submit(endpoint, "x")
            events.extend(call)
            return call.result()

    async def by_tasks() -> Any:
        async with gt.connect_async(url, **options) as app:
            call = app.submit(endpoint, "x")
            async for event in call:
                events.append(event)
            return await call.result()

    began = time.monotonic()
    try:
        outcome = by_threads() if face == "sync" else anyio.run(by_tasks, backend=face)
    except gt.GradioTransportError as error:
        outcome = error
    assert time.monotonic() - began < BOUND_SECONDS
    return events, outcome


def join_then(*messages: dict[str, Any]) -> Callable[[Reply], None]:
    """Answer the stream with messages for the call, and go on as the test says."""

    def stream(reply: Reply) -> None:
        reply.stream()
        reply.send(*({**message, "event_id": "e1"} for message in messages))

    return stream


def accept(reply: Reply) -> None:
    reply.json({"event_id": "e1"})


def then(*steps: Callable[[Reply], None]) -> Callable[[Reply], None]:
    def run(reply: Reply) -> None:
        for step in steps:
            step(reply)

    return run


START = {"msg": "process_starts"}
BEGUN = join_then(START, generating("0"))

# What the stream does after the join was accepted -> the error, and whether the function may have run.
STREAMS: dict[str, tuple[Callable[[Reply], None], type[gt.GradioTransportError]]] = {
    "reset": (then(BEGUN, Reply.reset), gt.StreamLost),
    "no last chunk": (then(BEGUN, Reply.cut), gt.StreamLost),
    "clean end in mid-call": (then(BEGUN, Reply.end), gt.StreamLost),
    "cut inside a message": (
        then(BEGUN, lambda r: r.chunk(b'data: {"msg": "proc'), Reply.cut),
        gt.StreamLost,
    ),
    "silence": (then(BEGUN, Reply.hold), gt.TimeoutExpired),
    "silence from the start": (then(lambda r: r.stream(), Reply.hold), gt.TimeoutExpired),
    "no head": (Reply.hold, gt.TimeoutExpired),
    "html": (lambda r: r.text("<html>Bad gateway</html>"), gt.errors.RemoteProtocolError),
    "502 html": (lambda r: r.text("<html>Bad gateway</html>", 502), gt.ServerRefused),
    "404 json": (lambda r: r.json({"detail": "Session not found."}, 404), gt.errors.SessionNotFound),
    "401": (lambda r: r.json({"detail": "Not authenticated"}, 401), gt.AuthenticationRequired),
    "429": (lambda r: r.text("slow down", 429, retry_after="7"), gt.errors.RateLimited),
    "malformed json": (
        then(BEGUN, lambda r: r.chunk(b"data: {nonsense\n\n"), Reply.hold),
        gt.errors.MalformedMessage,
    ),
    "a list": (then(BEGUN, lambda r: r.chunk(b"data: [1]\n\n"), Reply.hold), gt.errors.MalformedMessage),
    "deep nesting": (
        then(BEGUN, lambda r: r.chunk(b"data: " + b"[" * 100_000 + b"\n\n"), Reply.hold),
        gt.errors.MalformedMessage,
    ),
    "unexpected error for all": (
        then(
            BEGUN,
            lambda r: r.send(
                {"msg": "unexpected_error", "message": "404: Session not found.", "event_id": None}
            ),
            Reply.hold,
        ),
        gt.errors.SessionNotFound,
    ),
    "unexpected error for one": (
        then(join_then(START, {"msg": "unexpected_error", "message": "oh"}), Reply.hold),
        gt.StreamLost,
    ),
    "server stopped": (then(BEGUN, lambda r: r.send({"msg": "server_stopped"}), Reply.hold), gt.StreamLost),
    "close_stream too early": (
        then(BEGUN, lambda r: r.send({"msg": "close_stream"}), Reply.end),
        gt.StreamLost,
    ),
    "completed with a text for outputs": (
        then(join_then({"msg": "process_completed", "success": True, "output": "x"}), Reply.hold),
        gt.errors.MalformedMessage,
    ),
    "completed without data": (
        then(join_then({"msg": "process_completed", "success": True, "output": {"data": None}}), Reply.hold),
        gt.errors.MalformedMessage,
    ),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_fails_says_how(server: Scripted, name: str, face: str) -> None:
    script, kind = STREAMS[name]
    server.scripts = {JOIN: accept, DATA: script}
    _, error = play(face, server.url)
    assert type(error) is kind, repr(error)
    assert error.phase in (gt.errors.Phase.STREAM, gt.errors.Phase.COMPLETE)
    assert error.may_have_run
    assert error.adapter == "sse_v3"
    assert error.elapsed is not None
    if isinstance(error, gt.TimeoutExpired):
        assert error.setting in ("idle", "first_message")
        assert error.setting in str(error)


JOINS: dict[str, tuple[Callable[[Reply], None], type[gt.GradioTransportError], bool]] = {
    "reset": (Reply.reset, gt.StreamLost, True),
    "silence": (Reply.hold, gt.TimeoutExpired, True),
    "500 text": (lambda r: r.text("Internal Server Error", 500), gt.ServerRefused, True),
    "queue full": (
        lambda r: r.json({"detail": "Queue is full. Max size is 1."}, 503),
        gt.errors.QueueFull,
        False,
    ),
    "502": (lambda r: r.text("<html>", 502), gt.ServerRefused, True),
    "429": (lambda r: r.text("", 429), gt.errors.RateLimited, False),
    "401": (
        lambda r: r.json({"detail": {"error": "Not authenticated"}}, 401),
        gt.AuthenticationRequired,
        False,
    ),
    "404": (lambda r: r.json({"detail": "Not Found"}, 404), gt.EndpointNotFound, False),
    "413": (lambda r: r.text("too large", 413), gt.errors.InvalidPayload, False),
    "422 of the schema": (
        lambda r: r.json(
            {"detail": [{"type": "missing", "loc": ["body", "data"], "msg": "Field required"}]}, 422
        ),
        gt.errors.InvalidPayload,
        False,
    ),
    "422 of a validator": (
        lambda r: r.json(
            {
                "detail": [
                    {"__type__": "validate", "is_valid": False, "message": "no", "parameter_name": "text"}
                ]
            },
            422,
        ),
        gt.ValidationFailed,
        False,
    ),
    "redirect": (
        lambda r: r.text("", 307, location="http://127.0.0.1:1/x"),
        gt.errors.RemoteProtocolError,
        False,
    ),
    "html": (lambda r: r.text("<html>"), gt.errors.MalformedMessage, True),
    "no event id": (lambda r: r.json({"ok": 1}), gt.errors.MalformedMessage, True),
    "204": (lambda r: r.text("", 204), gt.errors.RemoteProtocolError, True),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", JOINS)
def test_a_join_that_fails_says_how(server: Scripted, name: str, face: str) -> None:
    script, kind, may_have_run = JOINS[name]
    server.scripts = {JOIN: script}
    events, error = play(face, server.url)
    assert type(error) is kind, repr(error)
    assert error.phase is gt.errors.Phase.JOIN
    assert error.may_have_run is may_have_run
    assert events == []


CONFIGS: dict[str, tuple[Callable[[Reply], None], type[gt.GradioTransportError]]] = {
    "html": (lambda r: r.text("<html>hello</html>"), gt.errors.NotAGradioApp),
    "json of something else": (lambda r: r.json({"hello": "world"}), gt.errors.NotAGradioApp),
    "null": (lambda r: r.json(None), gt.errors.NotAGradioApp),
    "a list": (lambda r: r.json([1]), gt.errors.NotAGradioApp),
    "404": (lambda r: r.text("nothing here", 404), gt.errors.NotAGradioApp),
    "redirect loop": (lambda r: r.text("", 302, location="/config"), gt.errors.NotAGradioApp),
    "redirect to a file": (
        lambda r: r.text("", 302, location="file:///etc/passwd"),
        gt.errors.RemoteProtocolError,
    ),
    "401": (lambda r: r.json({"detail": "Not authenticated"}, 401), gt.AuthenticationRequired),
    "503 html": (lambda r: r.text("<html>building</html>", 503), gt.ServerRefused),
    "429": (lambda r: r.text("", 429, retry_after="3"), gt.errors.RateLimited),
    "silence": (Reply.hold, gt.TimeoutExpired),
    "reset": (Reply.reset, gt.StreamLost),
    "unknown protocol": (
        lambda r: r.json({**CONFIG, "protocol": "carrier_pigeon"}),
        gt.errors.UnsupportedProtocol,
    ),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", CONFIGS)
def test_a_discovery_that_fails_says_how(server: Scripted, name: str, face: str) -> None:
    script, kind = CONFIGS[name]
    server.scripts = {"/config": script}
    _, error = play(face, server.url)
    assert type(error) is kind, repr(error)
    assert error.phase is gt.errors.Phase.DISCOVER
    assert not error.may_have_run


def raw(*chunks: bytes) -> Callable[[Reply], None]:
    def stream(reply: Reply) -> None:
        reply.stream()
        for chunk in chunks:
            reply.chunk(chunk)
        reply.end()

    return stream


DONE = (
    b'data: {"msg": "process_completed", "event_id": "e1", "success": true, "output": {"data": ["0 1"]}}\n\n'
)

# What is odd, but hurts nobody.
HARMLESS: dict[str, Callable[[Reply], None]] = {
    "comments": raw(b": keep-alive\n\n", DONE),
    "crlf": raw(DONE.replace(b"\n", b"\r\n")),
    "cr": raw(DONE.replace(b"\n", b"\r")),
    "bom": raw(b"\xef\xbb\xbf" + DONE),
    "event, id and retry fields": raw(b"event: x\nid: 7\nretry: 100\n" + DONE),
    "byte by byte": raw(*(bytes([byte]) for byte in DONE)),
    "an unknown message": raw(b'data: {"msg": "brand_new", "event_id": "e1"}\n\n', DONE),
    "a message without msg": raw(b'data: {"event_id": "e1"}\n\n', DONE),
    "foreign calls": raw(b'data: {"msg": "process_starts", "event_id": "other"}\n\n', DONE),
    "heartbeats": raw(b'data: {"msg": "heartbeat"}\n\n' * 3, DONE),
    "the completion twice": raw(DONE, DONE),
    "messages after the completion": raw(DONE, b'data: {"msg": "process_starts", "event_id": "e1"}\n\n'),
    "a wrong edit": raw(
        b'data: {"msg": "process_generating", "event_id": "e1", "output": {"data": ["0"]}}\n\n',
        b'data: {"msg": "process_generating", "event_id": "e1", "output": {"data": [[["add", [9, "k"], 1]]]}}\n\n',
        DONE,
    ),
    "wrong types in every field": raw(
        b'data: {"msg": "estimation", "event_id": "e1", "rank": "first", "queue_size": [], "rank_eta": {}}\n\n',
        b'data: {"msg": "progress", "event_id": "e1", "progress_data": [7, null, {"index": "x"}]}\n\n',
        b'data: {"msg": "log", "event_id": "e1", "log": 5, "level": null, "duration": NaN}\n\n',
        DONE,
    ),
    "no completion of the stream": raw(DONE),
}


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_odd_but_harmless_costs_nothing(server: Scripted, name: str, face: str) -> None:
    server.scripts = {JOIN: accept, DATA: HARMLESS[name]}
    _, outcome = play(face, server.url)
    assert outcome == ["0 1"]


@pytest.mark.parametrize("face", FACES)
def test_an_edit_that_fits_nothing_makes_that_frame_unknown(server: Scripted, face: str) -> None:
    server.scripts = {JOIN: accept, DATA: HARMLESS["a wrong edit"]}
    events, outcome = play(face, server.url)
    frames = [event.data for event in events if isinstance(event, gt.ProcessGenerating)]
    assert frames == [["0"], [gt.events.UNKNOWN_OUTPUT]]
    assert outcome == ["0 1"]


@pytest.mark.parametrize("face", FACES)
def test_an_event_beyond_the_limit_names_the_setting(server: Scripted, face: str) -> None:
    server.scripts = {JOIN: accept, DATA: then(BEGUN, lambda r: r.chunk(b"data: " + b"x" * 5000), Reply.hold)}
    _, error = play(face, server.url, limits=gt.Limits(max_event_bytes=1000))
    assert type(error) is gt.errors.EventTooLarge
    assert "max_event_bytes" in str(error)


@pytest.mark.parametrize("face", FACES)
def test_a_config_beyond_the_limit_names_the_setting(server: Scripted, face: str) -> None:
    _, error = play(face, server.url, limits=gt.Limits(max_config_bytes=100))
    assert type(error) is gt.errors.EventTooLarge
    assert "max_config_bytes" in str(error)


@pytest.mark.parametrize("face", FACES)
def test_the_total_deadline_ends_a_call_that_goes_on(server: Scripted, face: str) -> None:
    def endless(reply: Reply) -> None:
        reply.stream()
        while not reply.server.released.wait(0.1):
            reply.send({"msg": "heartbeat"})

    server.scripts = {JOIN: accept, DATA: then(endless)}
    _, error = play(face, server.url, timeouts=gt.Timeouts(total=0.7))
    assert type(error) is gt.TimeoutExpired
    assert error.setting == "total"
    assert error.may_have_run


@pytest.mark.parametrize("face", FACES)
def test_messages_before_the_reply_to_the_join_are_kept(server: Scripted, face: str) -> None:
    """The stream is open for a first call; the second one is answered on it before its join is."""
    second = {"msg": "process_completed", "success": True, "output": {"data": ["early"]}, "event_id": "e2"}

    def join(reply: Reply) -> None:
        if reply.body["data"] == ["first"]:
            reply.json({"event_id": "e1"})
        else:
            reply.server.messages("stream").put(second)
            reply.server.wait_for("/told")
            reply.json({"event_id": "e2"})

    def data(reply: Reply) -> None:
        reply.stream()
        reply.send({**START, "event_id": "e1"})
        message = reply.server.messages("stream").get()
        assert message is not None
        reply.send(message)
        with reply.server.changed:
            reply.server.seen.append(("/told", None))
            reply.server.changed.notify_all()
        reply.send({**completed("first"), "event_id": "e1"}, {"msg": "close_stream"})
        reply.end()

    server.scripts = {JOIN: join, DATA: data}

    face, _, engine = face.partition("+")

    def by_threads() -> list[Any]:
        with gt.connect(server.url, timeouts=TIMEOUTS) as app:
            calls = [app.submit("/hello", "first"), app.submit("/hello", "second")]
            return [call.result() for call in calls]

    async def by_tasks() -> list[Any]:
        async with gt.connect_async(server.url, timeouts=TIMEOUTS, engine=engine or "httpx") as app:
            first = app.submit("/hello", "first")
            async for event in first:
                if isinstance(event, gt.events.ProcessStarts):
                    break
            second_call = app.submit("/hello", "second")
            return [await first, await second_call]

    results = by_threads() if face == "sync" else anyio.run(by_tasks, backend=face)
    assert results == [["first"], ["early"]]


@pytest.mark.parametrize("face", FACES)
def test_notes_on_errors_show_the_last_frames_and_no_secret(server: Scripted, face: str) -> None:
    server.scripts = {JOIN: accept, DATA: then(BEGUN, Reply.reset)}
    _, error = play(
        face, server.url, token="hf_abcdefghijklmnop", token_origin=server.url, headers={"x-key": "sesame"}
    )
    note = "\n".join(error.__notes__)
    assert "queue/join" in note
    assert "process_generating" in note
    assert "sesame" not in note
    assert "hf_abcdefghijklmnop" not in note


@pytest.mark.parametrize("face", FACES)
def test_surplus_outputs_are_dropped_with_a_warning(server, face, caplog) -> None:
    surplus = {**completed("0"), "output": {"data": ["0", "1", "2"]}}
    server.scripts[JOIN] = accept
    server.scripts[DATA] = then(join_then(START, surplus), Reply.end)
    events, outputs = play(face, server.url)
    assert outputs == ["0"]
    assert events[-1].raw["output"] == surplus["output"]
    (record,) = [one for one in caplog.records if one.levelname == "WARNING"]
    assert "/count: ProcessCompleted with 3 outputs, where /count declares 1" in record.getMessage()


@pytest.mark.parametrize("face", FACES)
def test_missing_outputs_are_an_error(server, face) -> None:
    server.scripts[JOIN] = accept
    server.scripts[DATA] = then(join_then(START, {**completed("0"), "output": {"data": []}}), Reply.end)
    _, error = play(face, server.url)
    assert type(error) is gt.errors.MalformedMessage
    assert error.may_have_run
