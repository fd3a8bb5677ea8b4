# SPDX-License-Identifier: Apache-2.0
"""How many calls of its own the library makes for one call: counted, because a count is the same everywhere."""

from __future__ import annotations

import gc
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scripted import CONFIG, Reply, completed, scripted

import gradio_transport as gt
from gradio_transport.calls.mailbox import Mailbox
from gradio_transport.files import outputs

CORE = str(Path(gt.__file__).parent)

FRAMES_TO_MAILBOX = 8
"""Functions between the loop that reads a stream and the mailbox, both included in the count but the loop."""

CALLS_OF_SUBMIT = 260
"""Calls of own functions, comprehensions and generators included, for a submission over sse_v3."""


@pytest.fixture
def app() -> Iterator[gt.Transport]:
    with scripted() as server, gt.connect(server.url) as connected:
        connected.call("/hello", "warm")  # the first call of a session does what the others need not
        yield connected


def test_few_functions_lie_between_the_loop_that_reads_and_the_mailbox(
    app: gt.Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    depths: list[int] = []
    put = Mailbox.put

    def measured(mailbox: Mailbox, event: Any, size: int) -> None:
        names: list[str] = []
        for frame, _ in traceback.walk_stack(sys._getframe(1)):
            if frame.f_code.co_filename.startswith(CORE):
                if (Path(frame.f_code.co_filename).name, frame.f_code.co_name) == ("connection.py", "_run"):
                    break
                names.append(frame.f_code.co_name)
        depths.append(len(names) + 1)
        put(mailbox, event, size)

    monkeypatch.setattr(Mailbox, "put", measured)
    app.call("/count", "x")
    assert len(depths) >= 4
    assert max(depths) <= FRAMES_TO_MAILBOX


def test_a_submission_makes_few_calls(app: gt.Transport) -> None:
    count = 0

    def count_calls(frame: Any, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_filename.startswith(CORE)

    before = sys.getprofile()
    gc.collect()  # finalizers of what earlier tests left are no part of a submission
    gc.disable()
    sys.setprofile(count_calls)
    try:
        call = app.submit("/hello", "x")
    finally:
        sys.setprofile(before)
        gc.enable()
    call.result(20)
    assert count <= CALLS_OF_SUBMIT


def chat(reply: Reply, rows: int, messages: int) -> None:
    """Stream a conversation whose last row grows."""
    reply.stream()
    edits = [[["append", [rows - 1, "content"], "+"]]]
    for data in [[[{"role": "user", "content": "a"}] * rows], *[edits] * messages]:
        output = {"data": data, "is_generating": True}
        reply.send({"msg": "process_generating", "output": output, "success": True, "event_id": "event1"})
    reply.send({**completed("done"), "event_id": "event1"}, {"msg": "close_stream", "event_id": None})
    reply.end()


def test_a_message_of_a_long_conversation_compares_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[Any] = []

    def is_not(one: Any, other: Any) -> bool:
        compared.append(one)
        return one is not other

    monkeypatch.setattr(outputs, "is_not", is_not)
    config = {**CONFIG, "components": [{"id": 1, "type": "textbox"}, {"id": 2, "type": "chatbot"}]}
    with scripted() as server:
        server.config = config
        server.scripts["/gradio_api/queue/data"] = lambda reply: chat(reply, rows=200, messages=5)
        with gt.connect(server.url) as app:
            frames = [event for event in app.submit("/count", "x") if isinstance(event, gt.ProcessGenerating)]
    assert [frame.data[0][-1]["content"] for frame in frames] == ["a" + "+" * count for count in range(6)]
    assert compared == []
