# SPDX-License-Identifier: Apache-2.0
"""Calls that are joined now and fetched later, here or in another process."""

from __future__ import annotations

import json
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import attrs
import pytest
from faces import FACES, with_app
from scripted import Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.trace import TraceWriter, read_trace, replay

JOIN = "/gradio_api/queue/join"
DATA = "/gradio_api/queue/data"
LATE = gt.CallOptions(attach="late", own_session=True)

each_face = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def asked(server: Scripted, path: str) -> int:
    return sum(one == path for one, _ in server.seen)


block = time.sleep


async def until(ready, wait) -> None:
    """Wait by either face until something is so."""
    deadline = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < deadline
        await pause(wait)


async def pause(wait, seconds: float = 0.01) -> None:
    if wait.__name__ == "_itself":
        block(seconds)
    else:
        await anyio.sleep(seconds)


async def accepted(call, wait) -> None:
    await until(lambda: call.event_id is not None, wait)


@each_face
def test_a_late_call_opens_no_stream_until_it_is_asked(server: Scripted, face: str) -> None:
    async def use(app, wait):
        call = app.submit("/hello", "x", options=LATE)
        await accepted(call, wait)
        before = asked(server, DATA)
        return before, call.status, await wait(call.result(timeout=10)), asked(server, DATA)

    assert with_app(face, server.url, use) == (0, gt.State.QUEUED, ["Hello, x!"], 1)


@each_face
def test_call_fetches_at_once_because_it_asks(server: Scripted, face: str) -> None:
    async def use(app, wait):
        return await wait(app.call("/count", 2, options=LATE))

    assert with_app(face, server.url, use) == ["0 1"]


@each_face
def test_a_late_call_is_fetched_at_its_time_and_not_before(server: Scripted, face: str) -> None:
    opened: list[float] = []

    def data(reply: Reply) -> None:
        opened.append(time.monotonic())
        server.data(reply)

    server.scripts = {DATA: data}
    options = attrs.evolve(LATE, fetch_after=0.3)

    async def use(app, wait):
        begun = time.monotonic()
        result = await wait(app.submit("/hello", "x", options=options).result(timeout=10))
        return begun, result

    begun, result = with_app(face, server.url, use)
    assert result == ["Hello, x!"]
    assert len(opened) == 1
    assert opened[0] - begun >= 0.3


@each_face
def test_a_late_call_is_fetched_at_its_time_though_nobody_asks(server: Scripted, face: str) -> None:
    async def use(app, wait):
        call = app.submit("/hello", "x", options=attrs.evolve(LATE, fetch_after=0.05))
        await until(call.done, wait)
        return await wait(call.result(timeout=0))

    assert with_app(face, server.url, use) == ["Hello, x!"]


@each_face
def test_the_first_message_is_waited_for_from_the_fetch_on(server: Scripted, face: str) -> None:
    server.scripts = {DATA: lambda reply: (reply.stream(), reply.hold())}
    timeouts = gt.Timeouts(first_message=0.2)

    async def use(app, wait):
        call = app.submit("/hello", "x", options=LATE)
        await accepted(call, wait)
        await pause(wait, 0.3)
        begun = time.monotonic()
        with pytest.raises(gt.TimeoutExpired) as caught:
            await wait(call.result(timeout=10))
        return caught.value.setting, time.monotonic() - begun

    setting, waited = with_app(face, server.url, use, timeouts=timeouts)
    assert setting == "first_message"
    assert waited >= 0.15


@each_face
def test_a_late_call_hears_what_the_stream_of_another_call_carries(server: Scripted, face: str) -> None:
    async def use(app, wait):
        late = app.submit("/hello", "late", options=gt.CallOptions(attach="late"))
        await accepted(late, wait)
        assert await wait(app.call("/hello", "now")) == ["Hello, now!"]
        return await wait(late.result(timeout=10)), asked(server, DATA)

    result, streams = with_app(face, server.url, use)
    assert result == ["Hello, late!"]
    assert streams <= 2


@each_face
def test_a_handle_gives_the_result_to_another_transport(server: Scripted, face: str) -> None:
    async def submit(app, wait):
        call = app.submit("/count", 2, options=LATE)
        await accepted(call, wait)
        return call.handle()

    async def attach(app, wait):
        call = app.attach(handle)
        assert call.session_hash == handle.session_hash
        return await wait(call.result(timeout=10))

    handle = with_app(face, server.url, submit)
    handle = gt.Handle.from_json(handle.to_json())
    assert with_app(face, server.url, attach) == ["0 1"]
    assert asked(server, JOIN) == 1
    assert asked(server, "/gradio_api/cancel") == 0


@each_face
def test_a_second_fetch_hears_nothing_and_says_so(server: Scripted, face: str) -> None:
    async def use(app, wait):
        call = app.submit("/hello", "x", options=LATE)
        await accepted(call, wait)
        handle = call.handle()
        assert await wait(app.attach(handle).result(timeout=10)) == ["Hello, x!"]
        again = app.attach(handle, options=gt.CallOptions(timeouts=gt.Timeouts(first_message=0.2)))
        with pytest.raises(gt.TimeoutExpired) as caught:
            await wait(again.result(timeout=10))
        return caught.value.setting

    assert with_app(face, server.url, use) == "first_message"


@each_face
def test_only_a_call_without_a_stream_and_with_a_session_of_its_own_has_a_handle(
    server: Scripted, face: str
) -> None:
    async def use(app, wait):
        usual = app.submit("/forever", "x")
        late = app.submit("/hello", "x", options=gt.CallOptions(attach="late"))
        await accepted(usual, wait)
        await accepted(late, wait)
        with pytest.raises(gt.errors.LocalProtocolError, match="stream in this process"):
            usual.handle()
        await until(late.done, wait)
        with pytest.raises(gt.errors.LocalProtocolError, match="is over"):
            late.handle()
        session = app.session()
        two = [session.submit("/hello", "x", options=gt.CallOptions(attach="late")) for _ in range(2)]
        for call in two:
            await accepted(call, wait)
        with pytest.raises(gt.errors.LocalProtocolError, match="own_session"):
            two[0].handle()
        await wait(usual.cancel())
        with pytest.raises(gt.errors.LocalProtocolError, match="is over"):
            usual.handle()

    with_app(face, server.url, use)


@each_face
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"url": "http://127.0.0.1:1"}, gt.errors.LocalProtocolError),
        ({"fn_index": 99}, gt.errors.LocalProtocolError),
        ({"endpoint": "/other"}, gt.errors.LocalProtocolError),
        ({"protocol": "sse_v9"}, gt.errors.UnsupportedProtocol),
        ({"protocol": "ws"}, gt.errors.UnsupportedProtocol),
    ],
)
def test_a_handle_of_something_else_is_refused(server: Scripted, face: str, change, error) -> None:
    handle = attrs.evolve(a_handle(server.url), **change)

    async def use(app, wait):
        with pytest.raises(error):
            app.attach(handle)

    with_app(face, server.url, use)
    assert asked(server, DATA) == 0


def a_handle(url: str) -> gt.Handle:
    return gt.Handle(
        url=url,
        session_hash="abcdefgh",
        event_id="event1",
        fn_index=0,
        endpoint="/hello",
        protocol="sse_v3",
        gradio_version="6.31.0",
    )


def test_a_handle_survives_json_and_pickle() -> None:
    handle = a_handle("http://127.0.0.1:1")
    assert gt.Handle.from_json(handle.to_json()) == handle
    assert pickle.loads(pickle.dumps(handle)) == handle
    assert gt.Handle.from_json(json.dumps({**json.loads(handle.to_json()), "newer": 1})) == handle


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": 1}', "[" * 100_000, b"\xff"])
def test_what_is_no_handle_is_refused(text) -> None:
    with pytest.raises(gt.errors.LocalProtocolError):
        gt.Handle.from_json(text)


@pytest.mark.parametrize("field", ["url", "session_hash", "event_id", "fn_index", "endpoint"])
def test_a_handle_of_wrong_types_is_refused(field: str) -> None:
    value = json.loads(a_handle("http://127.0.0.1:1").to_json()) | {field: []}
    with pytest.raises(gt.errors.LocalProtocolError, match=field):
        gt.Handle.from_json(json.dumps(value))


@each_face
def test_the_options_of_late_attach_are_checked(server: Scripted, face: str) -> None:
    async def use(app, wait):
        with pytest.raises(gt.errors.LocalProtocolError, match="fetch_after"):
            app.submit("/hello", "x", options=gt.CallOptions(fetch_after=1))
        with pytest.raises(gt.errors.UnsupportedProtocol, match="later"):
            app.submit("/direct", "x", options=LATE)

    with_app(face, server.url, use)
    with pytest.raises(gt.errors.LocalProtocolError):
        gt.CallOptions(attach="never")  # type: ignore[arg-type]
    assert asked(server, JOIN) == 0


@each_face
def test_cancelling_a_late_call_tells_the_server_and_claims_nothing(server: Scripted, face: str) -> None:
    async def use(app, wait):
        call = app.submit("/forever", "x", options=LATE)
        await accepted(call, wait)
        return await wait(call.cancel(timeout=5))

    assert with_app(face, server.url, use) is gt.events.Achieved.UNKNOWN
    assert asked(server, "/gradio_api/cancel") == 1
    assert asked(server, DATA) == 0


@each_face
def test_what_was_fetched_late_or_elsewhere_replays_exactly(
    server: Scripted, face: str, tmp_path: Path
) -> None:
    path = tmp_path / "trace.jsonl"

    async def use(app, wait):
        first = app.submit("/count", 2, options=LATE)
        await accepted(first, wait)
        second = app.submit("/hello", "x", options=LATE)
        await accepted(second, wait)
        handle = second.handle()
        assert await wait(first.result(timeout=10)) == ["0 1"]
        assert await wait(app.attach(handle).result(timeout=10)) == ["Hello, x!"]

    with TraceWriter(path) as tap:
        with_app(face, server.url, use, tap=tap)
    replayed = replay(read_trace(path))
    replayed.check()
    ends = [events[-1] for events in replayed.events.values()]
    completed = [event.data for event in ends if isinstance(event, gt.ProcessCompleted)]
    assert sorted(completed) == [["0 1"], ["Hello, x!"]]


@each_face
def test_the_simple_api_is_fetched_late_and_elsewhere(server: Scripted, face: str) -> None:
    def stream(reply: Reply) -> None:
        reply.stream()
        reply.chunk(b'event: complete\ndata: ["done"]\n\n')
        reply.end()

    server.scripts = {
        "/gradio_api/call/hello": lambda reply: reply.json({"event_id": "e1"}),
        "/gradio_api/call/hello/e1": stream,
    }
    options = attrs.evolve(LATE, protocol="call")

    async def use(app, wait):
        call = app.submit("/hello", "x", options=options)
        await accepted(call, wait)
        opened = asked(server, "/gradio_api/call/hello/e1")
        handle = call.handle()
        mine = await wait(call.result(timeout=10))
        other = await wait(app.attach(handle).result(timeout=10))
        return opened, mine, other, asked(server, "/gradio_api/call/hello")

    assert with_app(face, server.url, use) == (0, ["done"], ["done"], 1)


def test_the_average_run_time_of_an_earlier_call_is_when_a_late_one_is_fetched(server: Scripted) -> None:
    def data(reply: Reply) -> None:
        stream = server.messages(reply.query["session_hash"])
        reply.stream()
        while (message := stream.get()) is not None:
            if message["msg"] == "process_completed":
                message["output"]["average_duration"] = 0.05
            reply.send(message)
            if message["msg"] == "process_completed":
                break
        reply.send({"msg": "close_stream", "event_id": None})
        reply.end()

    server.scripts = {DATA: data}
    with gt.connect(server.url) as app:
        app.call("/hello", "x")
        call = app.submit("/hello", "y", options=LATE)
        assert call._pending.wait(10)
        assert call.result() == ["Hello, y!"]
