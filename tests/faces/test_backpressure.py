# SPDX-License-Identifier: Apache-2.0
"""A caller that reads late, slowly, or no more, costs bounded memory and no other call anything."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from faces import FACES, with_app
from scripted import Reply, Scripted, completed, generating, scripted

import gradio_transport as gt

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
FRAMES = 1000
FRAME_BYTES = 40_000
MAILBOX_BYTES = 200_000
BOUND_BYTES = 13_000_000
"""Of all that is alive at any time; the frames are 40 MB, and the server is in this process."""
OTHERS = 100


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def flood(server: Scripted) -> None:
    """The first call makes far more than anybody keeps; a hundred others complete in the midst of it."""

    def data(reply: Reply) -> None:
        reply.stream()
        server.wait_for(DATA)
        with server.changed:
            server.changed.wait_for(
                lambda: [path for path, _ in server.seen].count(JOIN) > OTHERS, timeout=20
            )
        reply.send({"msg": "process_starts", "event_id": "event1"})
        for number in range(FRAMES):
            frame = generating(f"{number:05d}" + "x" * FRAME_BYTES)
            frame["output"]["data"] = (
                [[["replace", [], frame["output"]["data"][0]]]] if number else frame["output"]["data"]
            )
            reply.send({**frame, "event_id": "event1"})
            if number % (FRAMES // OTHERS) == 0:
                other = number // (FRAMES // OTHERS) + 2
                reply.send({**completed(f"other {other}"), "event_id": f"event{other}"})
        reply.send({**completed("done"), "event_id": "event1"}, {"msg": "close_stream"})
        reply.end()

    names = iter(range(1, 1000))
    server.scripts = {DATA: data, JOIN: lambda reply: reply.json({"event_id": f"event{next(names)}"})}


async def joined(app: Any, wait: Any) -> Any:
    """Begin the call that will flood."""
    call = app.submit("/forever", "x")
    if not isinstance(app, gt.Transport):
        while call.event_id is None:  # noqa: ASYNC110
            await anyio.sleep(0.005)
    return call


async def check_others(app: Any, wait: Any) -> None:
    others = [app.submit("/hello", "x") for _ in range(OTHERS)]
    results = [(await wait(other.result(20)))[0] for other in others]
    assert sorted(results) == sorted(f"other {number}" for number in range(2, OTHERS + 2))


@pytest.mark.parametrize("face", FACES)
def test_a_consumer_that_never_reads_costs_bounded_memory_and_nobody_else(
    server: Scripted, face: str
) -> None:
    flood(server)

    async def use(app: Any, wait: Any) -> None:
        call = await joined(app, wait)
        await check_others(app, wait)
        assert await wait(call.result(20)) == ["done"]
        assert call._pending.mailbox.size <= MAILBOX_BYTES + 2 * FRAME_BYTES

    tracemalloc.start()
    try:
        with_app(face, server.url, use, limits=gt.Limits(mailbox_bytes=MAILBOX_BYTES))
        assert tracemalloc.get_traced_memory()[1] < BOUND_BYTES
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("face", FACES)
def test_a_slow_consumer_gets_the_newest_frame_and_the_count_of_what_was_merged(
    server: Scripted, face: str
) -> None:
    flood(server)

    async def use(app: Any, wait: Any) -> list[gt.Event]:
        call = await joined(app, wait)
        await check_others(app, wait)
        if isinstance(app, gt.Transport):
            events = []
            for event in call:
                events.append(event)
                time.sleep(0.001)  # noqa: ASYNC251
            return events
        events = []
        async for event in call:
            events.append(event)
            await anyio.sleep(0.001)
        return events

    events = with_app(face, server.url, use, limits=gt.Limits(mailbox_bytes=MAILBOX_BYTES))
    frames = [event for event in events if isinstance(event, gt.ProcessGenerating)]
    assert sum(1 + frame.skipped for frame in frames) == FRAMES
    assert len(frames) < FRAMES
    assert frames[-1].data[0].startswith(f"{FRAMES - 1:05d}")
    assert isinstance(events[-1], gt.ProcessCompleted)


@pytest.mark.parametrize("face", FACES)
def test_a_consumer_that_stops_in_the_middle_hurts_nobody(server: Scripted, face: str) -> None:
    flood(server)

    async def use(app: Any, wait: Any) -> None:
        call = await joined(app, wait)
        others = [app.submit("/hello", "x") for _ in range(OTHERS)]
        if isinstance(app, gt.Transport):
            for event in call:
                if isinstance(event, gt.ProcessGenerating):
                    break
        else:
            async for event in call:
                if isinstance(event, gt.ProcessGenerating):
                    break
        for other in others:
            assert (await wait(other.result(20)))[0].startswith("other")
        assert await wait(call.result(20)) == ["done"]
        assert call._pending.mailbox.size <= MAILBOX_BYTES + 2 * FRAME_BYTES

    with_app(face, server.url, use, limits=gt.Limits(mailbox_bytes=MAILBOX_BYTES))


@pytest.mark.parametrize("face", FACES)
def test_the_policy_to_fail_ends_the_slow_call_only(server: Scripted, face: str) -> None:
    flood(server)

    async def use(app: Any, wait: Any) -> None:
        call = await joined(app, wait)
        await check_others(app, wait)
        with pytest.raises(gt.errors.SlowConsumer, match="mailbox_bytes"):
            await wait(call.result(20))

    with_app(face, server.url, use, limits=gt.Limits(mailbox_bytes=MAILBOX_BYTES, mailbox_policy="fail"))


LOGS = 2000


def chatter(server: Scripted) -> None:
    """Tell far more than a mailbox holds of what cannot be merged."""

    def data(reply: Reply) -> None:
        reply.stream()
        reply.send({"msg": "process_starts", "event_id": "event1"})
        for number in range(LOGS):
            reply.send({"msg": "log", "log": f"{number}" + "x" * 100, "level": "info", "event_id": "event1"})
        reply.send({**completed("done"), "event_id": "event1"}, {"msg": "close_stream"})
        reply.end()

    server.scripts = {DATA: data, JOIN: lambda reply: reply.json({"event_id": "event1"})}


@pytest.mark.parametrize("verb", ["call", "result", "listener"])
@pytest.mark.parametrize("face", FACES)
def test_a_call_whose_events_nobody_reads_is_not_ended_for_them(
    server: Scripted, face: str, verb: str
) -> None:
    chatter(server)
    heard: list[gt.Event] = []

    async def use(app: Any, wait: Any) -> Any:
        match verb:
            case "call":
                return await wait(app.call("/hello", "x"))
            case "result":
                return await wait(app.submit("/hello", "x").result(20))
            case _:
                options = gt.CallOptions(listener=heard.append)
                return await wait(app.submit("/hello", "x", options=options).result(20))

    limits = gt.Limits(mailbox_bytes=1000)
    assert with_app(face, server.url, use, limits=limits) == ["done"]
    assert verb != "listener" or sum(isinstance(event, gt.Log) for event in heard) == LOGS
