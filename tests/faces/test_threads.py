# SPDX-License-Identifier: Apache-2.0
"""Many threads on one transport: each call gets what it asked for, whatever protocol it goes by."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from scripted import Reply, Script, Scripted, scripted

import gradio_transport as gt

THREADS = 64
ROUNDS = 4


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A server that answers ``/call`` too: with what it was sent, in three events."""
    numbers, sent = itertools.count(1), dict[str, Any]()
    with scripted() as running:
        default = running.default

        def join(reply: Reply) -> None:
            event_id = f"event{next(numbers)}"
            sent[event_id] = reply.body["data"][0]
            reply.json({"event_id": event_id})

        def stream(reply: Reply) -> None:
            text = sent.pop(reply.path.rpartition("/")[2])
            reply.stream()
            for name, data in (("heartbeat", None), ("generating", [f"{text}?"]), ("complete", [f"{text}!"])):
                reply.chunk(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
            reply.end()

        def found(path: str) -> Script:
            if path == "/gradio_api/call/hello":
                return join
            return stream if path.startswith("/gradio_api/call/hello/") else default(path)

        running.default = found  # type: ignore[method-assign]
        yield running


def called(app: Any, text: str) -> list[Any]:
    return app.call("/hello", text)


def submitted(app: Any, text: str) -> list[Any]:
    return app.submit("/hello", text).result(20)


def iterated(app: Any, text: str) -> list[Any]:
    return list(app.submit("/hello", text))[-1].data


def apart(app: Any, text: str) -> list[Any]:
    return app.call("/hello", text, options=gt.CallOptions(own_session=True))


def simple(app: Any, text: str) -> list[Any]:
    return app.call("/hello", text, options=gt.CallOptions(protocol="call"))


def simple_submitted(app: Any, text: str) -> list[Any]:
    events = list(app.submit("/hello", text, options=gt.CallOptions(protocol="call")))
    assert [event.data for event in events if isinstance(event, gt.ProcessGenerating)] == [[f"{text}?"]]
    return events[-1].data


def direct(app: Any, text: str) -> list[Any]:
    return app.call("/direct", text)


WAYS = {
    called: "Hello, {}!", submitted: "Hello, {}!", iterated: "Hello, {}!", apart: "Hello, {}!",
    simple: "{}!", simple_submitted: "{}!", direct: "{}",
}  # fmt: skip


def test_sixty_four_threads_get_each_their_own(server: Scripted) -> None:
    together = threading.Barrier(THREADS)

    def use(app: gt.Transport, number: int) -> list[tuple[str, Any]]:
        together.wait(20)
        said = []
        for turn, (way, text) in itertools.product(range(ROUNDS), WAYS.items()):
            asked = f"{number}.{turn}"
            said.append((text.format(asked), way(app, asked)))
        return said

    with gt.connect(server.url) as app, ThreadPoolExecutor(THREADS) as pool:
        for said in pool.map(lambda number: use(app, number), range(THREADS)):
            assert [[expected] for expected, _ in said] == [given for _, given in said]
