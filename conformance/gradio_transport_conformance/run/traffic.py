# SPDX-License-Identifier: Apache-2.0
"""The traffic of a server, as a trace with its calls."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Frame, Kind
from gradio_transport.trace import Trace, TraceWriter
from gradio_transport.trace.traffic.inference import Inference


def with_calls(trace: Trace) -> Trace:
    """Return the frames of a server as frames of sessions and calls, inferred as by a recording proxy.

    The frames must not be redacted: the session hash connects streams and calls. A trace that has sessions is
    returned unchanged.
    """
    if any(frame.kind is Kind.SESSION for frame in trace.frames):
        return trace
    apps: dict[str, list[Frame]] = {}
    app_of: dict[str, str] = {}
    for frame in trace.frames:
        if frame.kind in (Kind.REQUEST, Kind.WS_OPEN):
            app_of[frame.channel] = "/".join(str(frame.payload["url"]).split("/", 3)[:3])
        apps.setdefault(app_of.get(frame.channel, ""), []).append(frame)
    found: list[Frame] = []
    for app, frames in apps.items():
        before = max((frame.session for frame in found), default=0)
        found += [
            attrs.evolve(frame, session=frame.session + before) if frame.session else frame
            for frame in _infer(app, frames)
        ]
    return Trace(trace.meta, tuple(sorted(found, key=lambda frame: frame.t)))


def _infer(app: str, frames: Sequence[Frame]) -> list[Frame]:
    found: list[Frame] = []
    inference = Inference(app, found.append, keep_other=True)
    numbers: dict[str, int] = {}
    for frame in frames:
        _tell(inference, numbers.setdefault(frame.channel, len(numbers)), frame)
    inference.close()
    return found


def _tell(inference: Inference, number: int, frame: Frame) -> None:
    t, payload = frame.t, frame.payload
    match frame.kind:
        case Kind.REQUEST:
            body = payload["body"] or None
            inference.request(number, t, payload["method"], payload["url"], payload["headers"], body)
        case Kind.RESPONSE:
            inference.response(number, t, payload["status"], payload["headers"])
            inference.data(number, t, payload["body"] or b"")
            inference.end(number, t)
        case Kind.RESPONSE_HEAD:
            inference.response(number, t, payload["status"], payload["headers"])
        case Kind.CHUNK:
            inference.data(number, t, payload["data"])
        case Kind.END:
            inference.end(number, t, Ending(payload["ending"]))
        case Kind.WS_OPEN:
            inference.websocket_opened(number, t, payload["url"], payload["headers"])
        case Kind.WS_ACCEPT:
            inference.websocket_accepted(number, t)
        case Kind.WS_TEXT:
            inference.websocket_text(number, t, frame.direction, payload["text"])
        case Kind.WS_CLOSE:
            inference.websocket_closed(number, t)
        case _:
            pass


def trace_text(trace: Trace) -> str:
    """Return a trace as a trace file, redacted."""
    with TemporaryDirectory(prefix="conformance-") as folder:
        path = Path(folder, "trace.jsonl")
        with TraceWriter(path, meta=dict(trace.meta)) as write:
            for frame in trace.frames:
                write(frame)
        return path.read_text("utf-8")


__all__ = ["trace_text", "with_calls"]
