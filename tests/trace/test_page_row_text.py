# SPDX-License-Identifier: Apache-2.0
"""The texts of a page's rows: short, on one line, and of what a reader looks for in a message."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace.page.row_text import frame_text, row_name, row_text
from gradio_transport.trace.page.text import brief, brief_list, cut, cut_body, json_text, plain_text
from gradio_transport.trace.timeline.reading import Step, StepKind, Stream


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"msg": "estimation", "rank": 1, "queue_size": 3}, "place 2 of 3"),
        ({"msg": "log", "level": "warning", "log": "slow"}, "warning: slow"),
        ({"msg": "process_completed", "output": {"data": ["a", 1]}}, '"a", 1'),
        ({"msg": "process_completed", "output": {"error": "x"}}, '{"error": "x"}'),
        ({"msg": "process_starts", "event_id": "e", "eta": 0.5, "rank": None}, '{"eta": 0.5}'),
        ({"msg": "close_stream", "event_id": "e"}, ""),
        ("text", '"text"'),
    ],
)
def test_the_row_of_a_message_says_what_it_brings(message: object, text: str) -> None:
    assert row_text(Step(0.0, StepKind.EVENT, "x", 0, text=json.dumps(message))) == text


@pytest.mark.parametrize(
    ("step", "name", "text"),
    [
        (
            Step(0.0, StepKind.REQUEST, "POST", 0, url="http://a.example/run/x?y=1", text=b'{\n"data": []}'),
            "POST /run/x?y=1",
            '{ "data": []}',
        ),
        (
            Step(0.0, StepKind.REQUEST, "POST", 0, url="/upload", files=[{"name": "a.txt", "size": 5}]),
            "POST /upload",
            "a.txt (5 B)",
        ),
        (
            Step(0.0, StepKind.END, "reset", 0, stream=Stream(code=1006, reason="gone", cut=7)),
            "end reset",
            "1006 gone in the middle of an event, after 7 bytes of it",
        ),
        (Step(0.0, StepKind.LOCAL, "call", 0, given=["Ada"]), "call", '["Ada"]'),
        (Step(0.0, StepKind.LOCAL, "cancel", 0), "cancel", ""),
        (
            Step(0.0, StepKind.REQUEST, "GET", 0, url="/config", error="ConnectFailed", message="refused"),
            "GET /config",
            "ConnectFailed: refused",
        ),
    ],
)
def test_each_kind_of_step_has_a_name_and_a_text(step: Step, name: str, text: str) -> None:
    assert (row_name(step), row_text(step)) == (name, text)


@pytest.mark.parametrize(
    ("kind", "payload", "text"),
    [
        (Kind.REQUEST, {"method": "GET", "url": "http://a.example/config"}, "GET /config"),
        (Kind.RESPONSE, {"status": 200, "url": "http://a.example/config"}, "/config"),
        (Kind.CHUNK, {"data": b'data: {"msg": "log", "log": ""}'}, "log"),
        (Kind.CHUNK, {"data": b"event: complete\ndata: [1]\n\n"}, "event: complete data: [1]"),
        (Kind.WS_TEXT, {"text": '{"msg":"send_hash"}'}, "send_hash"),
        (Kind.END, {"ending": "clean"}, "clean"),
        (Kind.ERROR, {"error": "ConnectFailed", "message": "refused"}, "ConnectFailed refused"),
        (Kind.CALL, {"endpoint": "/x", "data": [1]}, "/x [1]"),
    ],
)
def test_each_kind_of_frame_has_a_text(kind: Kind, payload: dict[str, Any], text: str) -> None:
    assert frame_text(Frame(0.0, Direction.IN, kind, "1", payload, 1)) == text


def test_long_texts_are_cut_and_lines_are_joined() -> None:
    assert cut("a\n\t b") == "a b"
    assert cut("x" * 121) == "x" * 120 + "…"
    assert cut(" " * 1000) == "…"
    assert cut_body(b"\xff" + b"x" * 1000) == "\ufffd" + "x" * 119 + "…"
    assert cut_body(None) == ""


class Endless(list[int]):
    """A list that is read no further than its row shows."""

    read = 0

    def __iter__(self) -> Iterator[int]:
        while True:
            self.read += 1
            yield self.read


def test_no_more_of_a_value_is_read_than_is_shown() -> None:
    values = Endless()
    assert brief(values).startswith("[1, 2, 3,")
    assert values.read < 200


def test_deep_values_and_bytes_are_not_written_out() -> None:
    deep: object = "x"
    for _ in range(2000):
        deep = [deep]
    assert brief(deep) == "[[[[[[…]]]]]]"
    assert brief({"file": b"abc"}) == '{"file": 3 bytes}'
    assert brief_list(["a", None]) == '"a", null'
    assert brief_list({"a": 1}) == '{"a": 1}'


def test_a_value_as_text_is_json_unless_it_is_a_text() -> None:
    assert [plain_text(value) for value in ("a", None, 1.5, ["é"])] == ["a", "", "1.5", '["é"]']
    assert json_text(float("nan")) == "NaN"
