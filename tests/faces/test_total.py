# SPDX-License-Identifier: Apache-2.0
"""``Timeouts(total=)`` is one deadline from the submission to the end, whatever the call is doing meanwhile."""

from __future__ import annotations

import inspect
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import anyio
import pytest
from faces import FACES, with_app
from scripted import CONFIG, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.calls.app import App
from gradio_transport.calls.options import Options
from gradio_transport.engines.aiohttp_async import AiohttpEngine
from gradio_transport.engines.base import Patience
from gradio_transport.engines.deadline import NEVER, Deadline
from gradio_transport.engines.httpcore_async import AsyncHTTPEngine
from gradio_transport.engines.httpcore_sync import HTTPEngine
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.protocol.commands import Request, SendRequest
from gradio_transport.sync.files import RemoteFile

TOTAL = 0.4
SLACK = 3.0
UPLOAD, JOIN, DATA = "/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/queue/data"
TIMEOUTS = gt.Timeouts(total=TOTAL)  # all other deadlines are far away

each_face = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def asked(server: Scripted, path: str) -> int:
    return sum(one == path for one, _ in server.seen)


async def called(app: Any, wait: Callable[[Any], Any], value: Any, **options: Any) -> None:
    await wait(app.call("/hello", value, options=gt.CallOptions(**options)))


async def submitted(app: Any, wait: Callable[[Any], Any], value: Any, **options: Any) -> None:
    await wait(app.submit("/hello", value, options=gt.CallOptions(**options)).result(timeout=20))


WAYS = {"call": called, "submit": submitted}

each_way = pytest.mark.parametrize("way", WAYS)


def expired(face: str, server: Scripted, way: str, value: Any, **options: Any) -> gt.TimeoutExpired:
    """Return the error of a call whose whole time is over, which must be in time."""

    async def use(app: Any, wait: Callable[[Any], Any]) -> tuple[float, Any]:
        begun = time.monotonic()
        with pytest.raises(gt.TimeoutExpired) as caught:
            await WAYS[way](app, wait, value, **options)
        return time.monotonic() - begun, caught.value

    seconds, error = with_app(face, server.url, use, timeouts=TIMEOUTS)
    assert TOTAL * 0.9 <= seconds < TOTAL + SLACK
    assert (error.setting, error.seconds) == ("total", TOTAL)
    assert "total=" in error.message
    assert error.elapsed is not None
    assert error.adapter is not None
    return error


@each_face
@each_way
def test_it_bounds_an_upload_that_is_never_answered(server: Scripted, face: str, way: str) -> None:
    server.scripts[UPLOAD] = Reply.hold
    error = expired(face, server, way, gt.handle_file(b"content", name="a.txt"))
    assert (error.phase, error.may_have_run) == (gt.errors.Phase.UPLOAD, False)
    assert asked(server, JOIN) == 0


@each_face
@each_way
def test_it_bounds_an_upload_that_is_taken_bit_by_bit(server: Scripted, face: str, way: str) -> None:
    server.sipping.add(UPLOAD)
    error = expired(face, server, way, gt.handle_file(bytes(64 * 1024 * 1024), name="large.bin"))
    assert (error.phase, error.may_have_run) == (gt.errors.Phase.UPLOAD, False)
    assert asked(server, JOIN) == 0
    assert server.sipped.get(timeout=10) < 64 * 1024 * 1024


@each_face
@each_way
def test_what_the_upload_takes_is_taken_from_the_join(server: Scripted, face: str, way: str) -> None:
    def slow(reply: Reply) -> None:
        reply.server.released.wait(TOTAL * 0.6)
        reply.json(["/tmp/a.txt"])

    server.scripts = {UPLOAD: slow, JOIN: Reply.hold}
    error = expired(face, server, way, gt.handle_file(b"content", name="a.txt"))
    assert (error.phase, error.may_have_run) == (gt.errors.Phase.JOIN, True)


@each_face
@each_way
@pytest.mark.parametrize("protocol", ["sse_v3", "call"])
def test_it_bounds_a_join_that_is_never_answered(
    server: Scripted, face: str, way: str, protocol: str
) -> None:
    server.scripts = {JOIN: Reply.hold, "/gradio_api/call/hello": Reply.hold}
    error = expired(face, server, way, "x", protocol=protocol)
    assert (error.phase, error.may_have_run) == (gt.errors.Phase.JOIN, True)


def drips(reply: Reply) -> None:
    """Answer so slowly that the reply is never complete, without ever being silent."""
    reply.stream("application/json")
    while not reply.server.released.wait(0.02):
        reply.chunk(b" ")


@each_face
@pytest.mark.parametrize("endpoint", ["/hello", "/direct"])
def test_it_bounds_a_reply_that_drips(server: Scripted, face: str, endpoint: str) -> None:
    server.scripts = {JOIN: drips, "/gradio_api/run/direct": drips}

    async def use(app: Any, wait: Callable[[Any], Any]) -> Any:
        with pytest.raises(gt.TimeoutExpired) as caught:
            await wait(app.call(endpoint, "x"))
        return caught.value

    error = with_app(face, server.url, use, timeouts=gt.Timeouts(total=TOTAL, join=None, idle=None))
    assert error.setting == "total"


def test_submitting_returns_in_time_on_the_callers_thread(server: Scripted) -> None:
    server.scripts[JOIN] = Reply.hold
    with gt.connect(server.url, timeouts=TIMEOUTS) as app:
        begun = time.monotonic()
        call = app.submit("/hello", "x")
        assert time.monotonic() - begun < TOTAL + SLACK
        with pytest.raises(gt.TimeoutExpired, match="total="):
            call.result(timeout=0)


@each_face
def test_it_bounds_a_login_on_the_way(server: Scripted, face: str) -> None:
    """What was refused for an expired login has not run, whatever comes of the new one."""
    logins = iter((True, False))

    def login(reply: Reply) -> None:
        if next(logins, False):
            reply.json({"success": True})
        else:
            reply.hold()

    config = server.default("/config")
    asks = iter((True, False))
    server.scripts = {
        "/config": lambda reply: (
            reply.json({"detail": "Not authenticated"}, 401) if next(asks, False) else config(reply)
        ),
        "/login": login,
        JOIN: lambda reply: reply.json({"detail": "Not authenticated"}, 401),
    }

    async def use(app: Any, wait: Callable[[Any], Any]) -> Any:
        begun = time.monotonic()
        with pytest.raises(gt.TimeoutExpired) as caught:
            await wait(app.submit("/hello", "x").result(timeout=20))
        return time.monotonic() - begun, caught.value

    seconds, error = with_app(face, server.url, use, timeouts=TIMEOUTS, auth=("user", "password"))
    assert seconds < TOTAL + SLACK
    assert error.setting == "total"


@pytest.mark.parametrize("face", [one for one in FACES if one != "sync"])
def test_a_call_that_waits_for_its_turn_sends_nothing_once_it_is_over(server: Scripted, face: str) -> None:
    """Joins take turns; one whose time is over before its own comes has not run."""
    server.scripts[JOIN] = Reply.hold
    patient = gt.CallOptions(timeouts=gt.Timeouts(join=TOTAL * 4))

    def all_joins() -> None:
        with server.changed:
            assert server.changed.wait_for(lambda: asked(server, JOIN) == 32, 10)

    async def use(app: Any, wait: Callable[[Any], Any]) -> Any:
        others = [app.submit("/hello", str(number), options=patient) for number in range(32)]
        await anyio.to_thread.run_sync(all_joins)
        with pytest.raises(gt.TimeoutExpired) as caught:
            await app.submit("/hello", "late").result()
        for other in others:
            with pytest.raises(gt.TimeoutExpired):
                await other.result(timeout=20)
        return caught.value

    error = with_app(face, server.url, use, timeouts=TIMEOUTS)
    assert (error.setting, error.phase, error.may_have_run) == ("total", gt.errors.Phase.JOIN, False)
    assert asked(server, JOIN) == 32


def test_a_call_that_waits_for_a_thread_sends_nothing_once_it_is_over(server: Scripted) -> None:
    path = "/gradio_api/call/hello"
    server.scripts[path] = Reply.hold
    simple = gt.CallOptions(protocol="call")
    patient = gt.CallOptions(protocol="call", timeouts=gt.Timeouts(join=TOTAL * 4))
    with gt.connect(server.url, timeouts=TIMEOUTS, limits=gt.Limits(workers=1)) as app:
        first = app.submit("/hello", "x", options=patient)
        assert server.wait_for(path)
        second = app.submit("/hello", "y", options=simple)
        with pytest.raises(gt.TimeoutExpired) as caught:
            second.result(timeout=20)
        forgotten = app.submit("/hello", "z", options=simple)  # nobody looks at its clock
        with pytest.raises(gt.TimeoutExpired):
            first.result(timeout=20)
        app.call("/direct", "x", options=gt.CallOptions(timeouts=gt.Timeouts()))
        with pytest.raises(gt.TimeoutExpired):
            forgotten.result(timeout=20)
    error = caught.value
    assert (error.setting, error.phase, error.may_have_run) == ("total", gt.errors.Phase.JOIN, False)
    assert asked(server, path) == 1


@pytest.mark.parametrize("face", [one for one in FACES if one != "sync"])
def test_the_upload_of_a_call_that_is_cancelled_ends_with_it(server: Scripted, face: str) -> None:
    server.sipping.add(UPLOAD)
    began = anyio.Event()

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        options = gt.CallOptions(upload_progress=told)
        file = gt.handle_file(bytes(64 * 1024 * 1024), name="large.bin")
        call = app.submit("/hello", file, options=options)
        with anyio.fail_after(10):
            await began.wait()
        await call.cancel()
        taken = await anyio.to_thread.run_sync(lambda: server.sipped.get(timeout=10))
        assert taken < 64 * 1024 * 1024

    def told(sent: int, total: int) -> None:
        if sent > 1024 * 1024:  # the beginning is with the server
            anyio.from_thread.run_sync(began.set)  # files are read in a worker thread

    with_app(face, server.url, use)
    assert asked(server, JOIN) == 0


def test_a_second_try_that_fails_does_not_hide_the_first(server: Scripted) -> None:
    """The stream of the first try was lost, so its function may have run."""

    def lost(reply: Reply) -> None:
        reply.stream()
        server.scripts[JOIN] = lambda reply: reply.json({"detail": "Queue is full."}, 503)
        reply.reset()

    server.scripts[DATA] = lost
    retry = gt.RetryPolicy(attempts=2, base=0.01, cap=0.02)
    with gt.connect(server.url, retry=retry) as app, pytest.raises(gt.errors.QueueFull) as caught:
        app.call("/hello", "x", options=gt.CallOptions(repeatable=True))
    assert caught.value.may_have_run


# --- what a request may take --------------------------------------------------------------------------

POST = Request.post_json("http://app/join", {})


def patience(command: Any, timeouts: gt.Timeouts, remaining: float | None) -> Patience:
    deadline = NEVER
    if remaining is not None:
        deadline = Deadline(time.monotonic() + remaining, "total", timeouts.total)
    return App("http://app", Options()).patience(command, timeouts, deadline)


def test_what_is_left_of_a_call_bounds_every_part_of_a_request() -> None:
    upload = SendRequest("upload", POST, gt.errors.Phase.UPLOAD)
    bound = patience(upload, gt.Timeouts(total=100), 5)
    for seconds in (bound.connect_seconds, bound.silence_seconds, bound.whole_seconds, bound.wait_seconds):
        assert seconds == pytest.approx(5, abs=1)


def test_what_is_nearer_than_the_end_of_the_call_stays() -> None:
    upload = SendRequest("upload", POST, gt.errors.Phase.UPLOAD)
    bound = patience(upload, gt.Timeouts(total=500), 400)
    assert (bound.connect_seconds, bound.silence_seconds, bound.wait_seconds) == (10, 60, 60)
    assert bound.exceeded() == ("upload", 60)
    assert bound.exceeded_connecting() == ("connect", 10)
    assert patience(upload, gt.Timeouts(), None).whole_seconds is None


def test_the_setting_that_is_over_is_named_with_its_value() -> None:
    join = SendRequest("join", POST, gt.errors.Phase.JOIN)
    assert patience(join, gt.Timeouts(join=60), None).exceeded() == ("join", 60)
    late = patience(join, gt.Timeouts(join=60, total=100), -1)
    assert late.exceeded() == late.exceeded_connecting() == ("total", 100)
    assert "100 s for the whole call" in late.timeout_error("http://app/join").message


def by_a_thread(request: Request, bound: Patience) -> None:
    made = HTTPEngine(HTTPSettings())
    try:
        made.request(request, bound)
    finally:
        made.close()


async def by_a_task(kind: Any, request: Request, bound: Patience) -> None:
    made = kind(HTTPSettings())
    try:
        await made.request(request, bound)
    finally:
        await made.aclose()


ENGINES: dict[str, Callable[[Request, Patience], None]] = {
    "httpx": by_a_thread,
    "httpx, async": partial(anyio.run, by_a_task, AsyncHTTPEngine),
    "aiohttp": partial(anyio.run, by_a_task, AiohttpEngine),
}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_connection_that_is_not_there_in_time_names_the_call(engine: str) -> None:
    deadline = Deadline(time.monotonic() + 0.2, "total", 7)
    bound = Patience(5, 5, "join", gt.errors.Phase.JOIN, 1000, whole=5, deadline=deadline)

    with socket.socket() as full:  # takes no connection: its backlog is full at once
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        others = [socket.socket() for _ in range(3)]
        for other in others:
            other.setblocking(False)
            other.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        try:
            with pytest.raises(gt.TimeoutExpired) as caught:
                ENGINES[engine](Request("GET", url), bound)
        finally:
            for other in others:
                other.close()
    error = caught.value
    assert (error.setting, error.seconds) == ("total", 7)
    assert (error.retryable, error.may_have_run) == (True, False)


# --- timeout= of single methods -----------------------------------------------------------------------


@each_face
@pytest.mark.parametrize("end", [False, True], ids=["chunk", "end"])
def test_further_input_can_be_waited_for_with_a_bound(server: Scripted, face: str, end: bool) -> None:
    streaming = [one | {"connection": "stream"} for one in CONFIG["dependencies"]]
    server.scripts = {
        "/config": lambda reply: reply.json(CONFIG | {"dependencies": streaming}),
        "/gradio_api/stream/event1": Reply.hold,
        "/gradio_api/stream/event1/close": Reply.hold,
    }

    async def use(app: Any, wait: Callable[[Any], Any]) -> tuple[Any, bool]:
        call = app.submit("/forever", "x")
        events = call.events(timeout=10)
        while call.event_id is None:
            _ = next(events) if face == "sync" else await anext(events)
        with pytest.raises(gt.TimeoutExpired) as caught:
            await wait(call.finish(timeout=TOTAL) if end else call.send("y", timeout=TOTAL))
        return caught.value, call.done()

    begun = time.monotonic()
    error, done = with_app(face, server.url, use)
    assert time.monotonic() - begun < TOTAL + SLACK
    assert (error.setting, error.seconds, error.may_have_run) == ("timeout", TOTAL, True)
    assert not done


@each_face
def test_a_reader_can_be_told_how_much_silence_it_takes(server: Scripted, face: str) -> None:
    config = CONFIG | {"components": [{"id": number, "type": "file", "props": {}} for number in (1, 2)]}
    file = {
        "path": "/tmp/a.txt",
        "url": f"{server.url}/gradio_api/file=/tmp/a.txt",
        "meta": {"_type": "gradio.FileData"},
    }

    def stalls(reply: Reply) -> None:
        reply.stream("application/octet-stream")
        reply.chunk(b"x" * 10)
        reply.hold()

    server.scripts = {
        "/config": lambda reply: reply.json(config),
        "/gradio_api/run/direct": lambda reply: reply.json({"data": [file]}),
        "/gradio_api/file=/tmp/a.txt": stalls,
    }

    async def use(app: Any, wait: Callable[[Any], Any]) -> None:
        (output,) = await wait(app.call("/direct", "x"))
        if face == "sync":
            with output.open(timeout=TOTAL) as reader:
                reader.read()
        else:
            async with output.open(timeout=TOTAL) as reader:
                await reader.read()

    begun = time.monotonic()
    with pytest.raises(gt.TimeoutExpired) as caught:
        with_app(face, server.url, use)
    assert time.monotonic() - begun < TOTAL + SLACK
    assert caught.value.seconds == TOTAL


def test_a_reset_waits_no_longer_than_it_is_told_to(server: Scripted) -> None:
    server.scripts[DATA] = Reply.hold
    with gt.connect(server.url) as app:
        call = app.submit("/hello", "x")
        assert server.wait_for(DATA)
        begun = time.monotonic()
        app.reset(timeout=0.1)
        assert time.monotonic() - begun < 2
        assert call.done()


BLOCKING: dict[type, tuple[str, ...]] = {
    gt.Transport: ("close", "reset", "component_server"),
    gt.Session: ("close", "reset", "component_server"),
    gt.Call: ("result", "events", "send", "finish", "cancel"),
    gt.AsyncTransport: ("aclose", "component_server"),
    gt.AsyncSession: ("aclose", "component_server"),
    gt.AsyncCall: ("result", "events", "send", "finish", "cancel"),
    RemoteFile: ("read", "open", "download"),
}
UNBOUNDED = {
    # Their keywords are the endpoint's: CallOptions(timeouts=) bounds them.
    "call", "submit",
    # These do not wait for anything.
    "attach", "session", "explain", "fetch", "handle", "done", "add_done_callback",
}  # fmt: skip


@pytest.mark.parametrize("kind", BLOCKING, ids=lambda kind: kind.__name__)
def test_every_method_that_waits_takes_a_timeout(kind: type) -> None:
    public = {
        name: member
        for name, member in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_") and name not in UNBOUNDED
    }
    bounded = {name for name, member in public.items() if "timeout" in inspect.signature(member).parameters}
    assert set(BLOCKING[kind]) == bounded
    for name in set(public) - bounded:
        waits = inspect.iscoroutinefunction(public[name])
        assert kind.__name__.startswith("Async"), name
        assert not waits, f"{kind.__name__}.{name} waits without a bound"
