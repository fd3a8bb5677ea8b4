# SPDX-License-Identifier: Apache-2.0
"""Every generation through the proxy, with this library as the client: outcome and trace are as without it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

import gradio_transport as gt
import gradio_transport_conformance
from gradio_transport.protocol.frames import Kind
from gradio_transport.recording import record
from gradio_transport.trace import TraceWriter, describe, lint_trace, read_trace, replay
from gradio_transport_conformance.httpserver import serve_with_websockets

TRACES = Path(str(resources.files(gradio_transport_conformance))) / "traces"

VERSIONS = (
    "2.9.4", "3.1.7", "3.4.1", "3.50.2", "4.8.0", "4.16.0", "4.20.1", "4.21.0", "4.44.1", "5.50.0", "6.31.0",
)  # fmt: skip
"""One of each protocol, as `.ci/run` boots them. The proxy passes bytes on, so more of a protocol show nothing more;
that the calls of other versions are found in their traffic is tested in `tests/trace/test_inference.py`."""

FAMILIES = ("3.1.7", "3.50.2", "4.8.0", "4.44.1", "6.31.0")

_OF_THE_RECORDER = frozenset({"headers", "engine", "timeouts", "limits"})
"""What a proxy cannot know, or sees otherwise."""

_LAST = re.compile(rb'data: ?\{"msg": ?"close_stream"[^\n]*\n\n')
"""The last event of a stream, which a client that has its result may read or not."""


def calls_of(path: Path) -> list[tuple[int, list[Any]]]:
    frames = [frame.payload for frame in read_trace(path).frames if frame.kind is Kind.CALL]
    return [(frame["fn_index"], frame["data"]) for frame in frames]


def outcomes(url: str, calls: list[tuple[int, list[Any]]], tap: Any = None) -> list[list[str]]:
    made = []
    with gt.connect(url, tap=tap) as app:
        for fn_index, data in calls:
            made.append([describe(event) for event in app.submit(fn_index, *data)])
    return made


def cases() -> Iterator[tuple[str, str]]:
    """One call of each generation, with several values where it can; and a failure of each family."""
    for version in VERSIONS:
        yield version, "count" if (TRACES / version / "count.jsonl").exists() else "hello"
    for version in FAMILIES:
        yield version, "raise_error"


def told(path: Path, authority: str) -> list[Any]:
    """Return what the frames of a trace's sessions say, without times and without the places of pieces.

    Frames of the clock are this library's own, and so is the end of what it drops itself.
    """
    found: list[Any] = []
    for frame in read_trace(path).frames:
        payload = {key: value for key, value in frame.payload.items() if key not in _OF_THE_RECORDER}
        text = repr(sorted(payload.items())).replace(authority, "HOST")
        if not frame.session or frame.kind in (Kind.WAKE, Kind.STREAM_CLOSE, Kind.WS_CLOSE, Kind.END):
            continue
        place = frame.session, frame.channel
        found.append((place, frame.kind, payload["data"] if frame.kind is Kind.CHUNK else text))
    found.sort(key=lambda one: (one[0], one[1] is not Kind.CALL))  # channels cross
    joined: list[Any] = []
    for place, kind, said in found:
        if kind is Kind.CHUNK:
            before = joined.pop()[2] if joined and joined[-1][:2] == (place, kind) else b""
            joined.append((place, kind, before + _LAST.sub(b"", said)))
        else:
            joined.append((place, kind, said))
    return joined


@pytest.mark.parametrize(("version", "case"), [*cases()])
def test_outcome_and_trace_are_as_without_the_proxy(version: str, case: str, tmp_path: Path) -> None:
    path, direct, through = TRACES / version / f"{case}.jsonl", tmp_path / "direct", tmp_path / "through"
    calls = calls_of(path)
    with serve_with_websockets(path) as server, TraceWriter(direct) as tap:
        expected = outcomes(server.url, calls, tap)
        direct_host = server.url.removeprefix("http://")
    with serve_with_websockets(path) as server, record(server.url, through) as recording:
        assert outcomes(recording.url, calls) == expected
    assert told(through, server.url.removeprefix("http://")) == told(direct, direct_host)
    trace = read_trace(through)
    result = replay(trace)
    assert result.mismatches == []
    assert [[describe(event) for event in events] for events in result.events.values()] == expected
    assert lint_trace(trace) == lint_trace(read_trace(direct))
    assert trace.meta["recorder"] == "proxy"
    assert trace.meta.get("gradio") == read_trace(direct).meta.get("gradio")
