# SPDX-License-Identifier: Apache-2.0
"""Servers that close a kept connection just when the next request arrives: no call is joined twice."""

from __future__ import annotations

import random
import select
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from faces import FACES, with_app
from scripted import Reply, Scripted, scripted

import gradio_transport as gt

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
SIMPLE, ITS_STREAM = "/gradio_api/call/hello", "/gradio_api/call/hello/e1"
TIMEOUTS = gt.Timeouts(connect=5, join=5, first_message=5, idle=5, total=10)

faces = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def asked(server: Scripted, path: str) -> int:
    return sum(one == path for one, _ in server.seen)


def after_reading_it(reply: Reply) -> None:
    """Close the connection of a request that was read, without an answer."""
    reply._handler.close_connection = True


def when_the_next_arrives(usual: Callable[[Reply], None], end: Callable[[Reply], None]) -> Any:
    """Answer, and close the connection when the next request is there, of which nothing is read."""

    def run(reply: Reply) -> None:
        usual(reply)
        reply._handler.wfile.flush()
        readable, _, _ = select.select([reply._handler.connection], [], [], 5)
        assert readable
        end(reply)

    return run


ENDS = {"orderly": after_reading_it, "abruptly": Reply.reset}


def call(face: str, url: str, protocol: str = "auto") -> Any:
    async def use(app: Any, wait: Any) -> Any:
        return await wait(app.call("/hello", "x", options=gt.CallOptions(protocol=protocol)))

    return with_app(face, url, use, timeouts=TIMEOUTS)


def once(script: Callable[[Reply], None], then: Callable[[Reply], None]) -> Callable[[Reply], None]:
    left = [script]
    return lambda reply: (left.pop() if left else then)(reply)


@faces
@pytest.mark.parametrize("end", ENDS)
def test_a_stream_that_was_not_read_is_asked_for_again(server: Scripted, face: str, end: str) -> None:
    server.scripts[JOIN] = when_the_next_arrives(server.join, ENDS[end])
    assert call(face, server.url) == ["Hello, x!"]
    assert (asked(server, JOIN), asked(server, DATA)) == (1, 1)


@faces
@pytest.mark.parametrize("end", ENDS)
def test_a_stream_that_was_read_but_not_answered_too(server: Scripted, face: str, end: str) -> None:
    server.scripts[DATA] = once(ENDS[end], server.data)
    assert call(face, server.url) == ["Hello, x!"]
    assert (asked(server, JOIN), asked(server, DATA)) == (1, 2)


@faces
def test_the_stream_of_the_simple_api_too(server: Scripted, face: str) -> None:
    def result(reply: Reply) -> None:
        reply.stream()
        reply.chunk(b'event: complete\ndata: ["Hello, x!"]\n\n')
        reply.end()

    server.scripts[SIMPLE] = when_the_next_arrives(
        lambda reply: reply.json({"event_id": "e1"}), after_reading_it
    )
    server.scripts[ITS_STREAM] = result
    assert call(face, server.url, "call") == ["Hello, x!"]
    assert (asked(server, SIMPLE), asked(server, ITS_STREAM)) == (1, 1)


@faces
def test_a_stream_that_is_closed_on_a_fresh_connection_too_is_lost(server: Scripted, face: str) -> None:
    server.scripts[DATA] = after_reading_it
    with pytest.raises(gt.StreamLost) as caught:
        call(face, server.url)
    assert (caught.value.may_have_run, caught.value.retryable) == (True, False)
    assert (asked(server, JOIN), asked(server, DATA)) == (1, 2)


@faces
def test_a_stream_of_which_a_byte_has_come_is_lost(server: Scripted, face: str) -> None:
    def half(reply: Reply) -> None:
        reply._handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/ev")
        reply._handler.wfile.flush()
        time.sleep(0.05)  # so that it arrives by itself
        reply._handler.close_connection = True

    server.scripts[DATA] = half
    with pytest.raises(gt.StreamLost):
        call(face, server.url)
    assert asked(server, DATA) == 1


@faces
@pytest.mark.parametrize("end", ENDS)
def test_a_join_is_never_sent_again(server: Scripted, face: str, end: str) -> None:
    info = server.default("/gradio_api/info")
    server.scripts["/gradio_api/info"] = when_the_next_arrives(info, ENDS[end])
    with pytest.raises(gt.StreamLost) as caught:
        call(face, server.url)
    assert (caught.value.may_have_run, caught.value.retryable) == (True, False)
    assert asked(server, JOIN) == 0

    server.scripts = {JOIN: ENDS[end]}
    with pytest.raises(gt.StreamLost) as caught:
        call(face, server.url)
    assert (caught.value.may_have_run, caught.value.retryable) == (True, False)
    assert asked(server, JOIN) == 1


@faces
def test_of_many_calls_to_a_server_that_closes_each_connection_none_is_lost(
    server: Scripted, face: str
) -> None:
    """Each connection is closed 0 to 4 ms after its reply; only the first of all joins may meet that."""
    rng = random.Random(1)

    def closing(usual: Callable[[Reply], None]) -> Callable[[Reply], None]:
        def run(reply: Reply) -> None:
            usual(reply)
            reply._handler.wfile.flush()
            time.sleep(rng.uniform(0, 0.004))
            reply._handler.close_connection = True

        return run

    server.scripts = {JOIN: closing(server.join), DATA: closing(server.data)}
    calls = 60

    async def use(app: Any, wait: Any) -> list[Any]:
        outcomes: list[Any] = []
        for _ in range(calls):
            try:
                outcomes.append(await wait(app.call("/hello", "x")))
            except gt.StreamLost as error:
                outcomes.append(error.may_have_run)
        return outcomes

    outcomes = with_app(face, server.url, use, timeouts=TIMEOUTS)
    assert outcomes.count(["Hello, x!"]) >= calls - 1
    assert all(outcome in (["Hello, x!"], True) for outcome in outcomes)
    assert asked(server, JOIN) <= calls


def test_a_host_that_closes_connections_is_asked_on_fresh_ones(server: Scripted) -> None:
    places: list[Any] = []

    def noting(usual: Callable[[Reply], None]) -> Callable[[Reply], None]:
        def run(reply: Reply) -> None:
            places.append(reply._handler.client_address)
            usual(reply)

        return run

    def both(face: str) -> None:
        places.clear()
        server.scripts = {JOIN: noting(server.join), DATA: once(after_reading_it, noting(server.data))}

        async def use(app: Any, wait: Any) -> None:
            for _ in range(2):
                await wait(app.call("/hello", "x"))

        with_app(face, server.url, use, timeouts=TIMEOUTS)

    for face in FACES:
        both(face)
        assert len(places) == len(set(places)) == 4, face
