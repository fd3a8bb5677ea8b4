# SPDX-License-Identifier: Apache-2.0
"""Timelines of calls that a test plays, writes by hand, or takes from the kit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tracing import Program

import gradio_transport_conformance
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Timeline, Trace, read_trace, timeline
from gradio_transport.trace.timeline.reading import CallTimeline

KIT = Path(gradio_transport_conformance.__file__).parent / "traces"


def line_of(made: Program, **meta: Any) -> Timeline:
    return timeline(Trace(meta, tuple(made.frames)))


def call_of(made: Program, **meta: Any) -> CallTimeline:
    (call,) = line_of(made, **meta).calls
    return call


def kit_call(name: str) -> CallTimeline:
    return timeline(read_trace(KIT / f"{name}.jsonl")).calls[0]


def names(call: CallTimeline) -> list[str]:
    return [step.name for step in call.steps]


class Script:
    """Frames by hand, a second after each other unless told otherwise."""

    def __init__(self, adapter: str = "sse_v3") -> None:
        self.t = 0.0
        self.frames: list[Frame] = []
        self.add(Direction.LOCAL, Kind.SESSION, "", adapter=adapter, session_hash="s", source="http://h")

    def add(
        self,
        direction: Direction,
        kind: Kind,
        channel: str,
        *,
        after: float = 1.0,
        session: int = 1,
        **payload: Any,
    ) -> Script:
        self.t += after
        self.frames.append(Frame(self.t, direction, kind, channel, payload, session))
        return self

    def call(self, *data: Any, key: str = "1") -> Script:
        return self.add(Direction.LOCAL, Kind.CALL, key, endpoint="/f", fn_index=0, data=list(data))

    def ask(self, channel: str, body: Any = None, phase: str = "join", **more: Any) -> Script:
        raw = None if body is None else json.dumps(body).encode()
        url = f"http://h/{channel}"
        return self.add(
            Direction.OUT, Kind.REQUEST, channel, method="POST", url=url, body=raw, phase=phase, **more
        )

    def answer(self, channel: str, body: Any = None, status: int = 200, **more: Any) -> Script:
        raw = json.dumps(body).encode()
        return self.add(Direction.IN, Kind.RESPONSE, channel, status=status, body=raw, headers={}, **more)

    def open(self, channel: str) -> Script:
        self.ask(channel, phase="stream", stream=True)
        return self.add(Direction.IN, Kind.RESPONSE_HEAD, channel, status=200, headers={})

    def chunk(self, channel: str, data: bytes, after: float = 1.0) -> Script:
        return self.add(Direction.IN, Kind.CHUNK, channel, data=data, after=after)

    def end(self, channel: str, ending: str = "clean", reason: str = "") -> Script:
        return self.add(Direction.IN, Kind.END, channel, ending=ending, code=None, reason=reason)

    @property
    def timeline(self) -> Timeline:
        return timeline(Trace({}, tuple(self.frames)))

    @property
    def only(self) -> CallTimeline:
        (call,) = self.timeline.calls
        return call
