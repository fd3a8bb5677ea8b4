# SPDX-License-Identifier: Apache-2.0
"""Traces that come from a stranger."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from growth import check_growth
from tracing import program

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, TraceError, TraceWriter, diagnose, lint_trace, read_trace, replay

HEADER = {"kind": "meta", "format": "gradio-transport-trace", "version": 1}
REPLY = {"t": 0, "dir": "in", "kind": "response", "channel": "discover", "status": 200, "headers": {}}


def trace_with_body(folder: Path, name: str, times: int = 1) -> Path:
    path = folder / "trace.jsonl"
    line = json.dumps({**REPLY, "body": {"file": name}})
    path.write_text("\n".join([json.dumps(HEADER), *[line] * times, ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "name",
    [
        ".env", "sub/.env", "bodies/../.env", "trace.jsonl", "/etc/passwd", "../0123456789abcdef.body",
        ".ssh/0123456789abcdef.body", "bodies/0123456789abcdef.body/x", "bodies/0123456789ABCDEF.body",
        "bodies\\0123456789abcdef.body", "bodies/0123456789abcdef.body\n",
    ],
)  # fmt: skip
def test_a_body_is_read_from_no_other_file(name: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("KEY=secret", encoding="utf-8")
    with pytest.raises(TraceError, match="is not the name of a body file"):
        read_trace(trace_with_body(tmp_path, name))


@pytest.mark.parametrize("kind", ["link", "pipe", "directory", "missing"])
def test_a_body_is_a_regular_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / "bodies").mkdir()
    place = tmp_path / "bodies" / "0123456789abcdef.body"
    (tmp_path / "secret").write_text("KEY=secret", encoding="utf-8")
    if kind == "link":
        place.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    with pytest.raises(TraceError, match="not a regular file"):
        read_trace(trace_with_body(tmp_path, "bodies/0123456789abcdef.body"))


def test_a_body_that_many_frames_name_is_held_once(tmp_path: Path) -> None:
    (tmp_path / "bodies").mkdir()
    (tmp_path / "bodies" / "0123456789abcdef.body").write_bytes(b"x" * 10_000)
    trace = read_trace(trace_with_body(tmp_path, "bodies/0123456789abcdef.body", 100))
    assert len({id(frame.payload["body"]) for frame in trace.frames}) == 1


def test_many_requests_that_fail_are_diagnosed_in_linear_time() -> None:
    def requests(count: int) -> Trace:
        frames: list[Frame] = []
        for number in range(count):
            url = f"http://127.0.0.1:7860/{number}"
            frames.append(Frame(number, Direction.OUT, Kind.REQUEST, "file", {"method": "GET", "url": url}))
            reply = {"status": 401, "headers": {}, "body": b"{}"}
            frames.append(Frame(number, Direction.IN, Kind.RESPONSE, "file", reply))
        return Trace({}, frames)

    check_growth(diagnose, requests(500), requests(2000))


def test_a_trace_that_ends_between_two_lines_is_no_fault_of_the_library(tmp_path: Path) -> None:
    """A program that crashes after a reply and before the request that follows leaves such a trace."""
    whole = program().frames
    cut = next(number for number, frame in enumerate(whole) if frame.kind is Kind.RESPONSE_HEAD)
    last_reply = max(number for number, frame in enumerate(whole[:cut]) if frame.kind is Kind.RESPONSE)
    with TraceWriter(tmp_path / "trace.jsonl") as writer:
        for frame in whole[: last_reply + 1]:
            writer(frame)
    trace = read_trace(tmp_path / "trace.jsonl")
    assert replay(trace).mismatches == []
    assert [one for one in lint_trace(trace) if one.severity.value == "error"] == []
