# SPDX-License-Identifier: Apache-2.0
"""The contents of frames in a page: what is stored of a frame, and what apart from it."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace.page.blocks import Blocks
from gradio_transport.trace.page.contents import Contents
from gradio_transport.trace.timeline.reading import Step, StepKind

MESSAGE = '{"msg":"log","log":"é"}'
EVENT = f"data: {MESSAGE}\n\n".encode()


def records(blocks: Blocks) -> list[Any]:
    made: list[Any] = []
    for text in blocks.encoded:
        made += json.loads(zlib.decompress(base64.b64decode(text)))
    return made


def reply(body: bytes) -> Frame:
    return Frame(0.0, Direction.IN, Kind.RESPONSE, "file", {"status": 200, "body": body})


def test_bytes_that_are_no_text_and_halves_of_surrogates_keep() -> None:
    contents = Contents()
    assert [contents.add(reply(body)) for body in (b"\xff\x00\xfe", b"\xed\xa0\x80 half")] == [3, 8]
    first, second = records(contents.finish()[0])
    assert base64.b64decode(first["base64"]) == b"\xff\x00\xfe"
    assert second["body"] == "\ud800 half"


def test_nan_of_old_servers_stays_what_it_is() -> None:
    contents = Contents()
    call = Frame(0.0, Direction.LOCAL, Kind.CALL, "1", {"endpoint": "/x", "data": [float("nan")]}, 1)
    assert contents.add(call) is None
    (record,) = records(contents.finish()[0])
    assert record == {"kind": "call", "fields": {"endpoint": "/x"}, "json": {"data": "[NaN]"}}


def test_a_large_body_is_stored_apart_and_once() -> None:
    contents = Contents()
    for _ in range(2):
        contents.add(reply(b"x" * 2048))
    contents.add(reply(b"x" * 2047))
    frames, bodies = map(records, contents.finish())
    assert bodies == ["x" * 2048]
    assert [record["body"] for record in frames] == [0, 0, "x" * 2047]


@pytest.mark.parametrize(
    ("data", "number"),
    [
        (EVENT, None),
        (b"id: 1\n" + EVENT, None),
        (EVENT[:20], 0),
        (EVENT + EVENT, 0),
        (EVENT[:-2] + b"\r\n\r\n", 0),
        (EVENT[-1:] + EVENT, 0),
    ],
)
def test_a_message_that_is_not_exactly_its_frame_is_stored_apart(data: bytes, number: int | None) -> None:
    contents = Contents()
    frame = Frame(0.0, Direction.IN, Kind.CHUNK, "stream", {"data": data}, 1)
    step = Step(0.0, StepKind.EVENT, "log", 0, text=MESSAGE)
    assert contents.own_message(frame, step) == number
    assert records(contents.finish()[1]) == ([] if number is None else [MESSAGE])


def test_a_request_has_no_message_apart_from_its_frame() -> None:
    assert Contents().own_message(reply(b""), Step(0.0, StepKind.REQUEST, "POST", 0, text="x")) is None
