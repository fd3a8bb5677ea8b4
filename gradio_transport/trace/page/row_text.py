# SPDX-License-Identifier: Apache-2.0
"""What the rows of the page say: the name of a step, and the text of a step or a frame."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from ...protocol.frames import Frame, Kind
from ..timeline.model import url_target
from ..timeline.reading import Step, StepKind
from .contents import CONTENT_FIELDS
from .text import brief, brief_list, cut, cut_body, plain_text

_DECODED: Final = 100_000
"""Characters of a message that is decoded for its row; of a larger one the row shows the beginning."""

_MESSAGE: Final = re.compile(r'"msg"\s*:\s*"([^"\\]{1,60})"')
"""The name of a message, at its beginning."""

_ENVELOPE: Final = frozenset({"msg", "event_id"})

_NAMED: Final = 200
"""Characters in which the name of a message is looked for."""


def row_name(step: Step) -> str:
    """Return the name of a step."""
    if step.kind is StepKind.REQUEST:
        return f"{step.name} {step.target}"
    if step.kind is StepKind.END:
        return f"end {step.name}"
    return step.name


def row_text(step: Step) -> str:
    """Return what the row of a step says beside its name."""
    if step.error or (step.kind is StepKind.EVENT and step.message):
        return cut(": ".join(part for part in (step.error, step.message) if part))
    match step.kind:
        case StepKind.REQUEST:
            names = ", ".join(f"{one.get('name')} ({one.get('size')} B)" for one in step.files)
            return names or cut_body(step.text)
        case StepKind.EVENT:
            return cut(_event_text(step))
        case StepKind.END:
            stream = step.stream
            parts = [] if stream is None else [plain_text(stream.code or ""), stream.reason]
            if stream is not None and stream.cut:
                parts.append(f"in the middle of an event, after {stream.cut} bytes of it")
            return cut(" ".join(part for part in parts if part))
        case StepKind.LOCAL if step.text is None:
            return "" if step.given is None else brief(step.given)
        case _:
            return cut_body(step.text)


def _event_text(step: Step) -> str:
    """Return what a person wants to know of a message."""
    if step.text is None or len(step.text) > _DECODED:
        return cut_body(step.text)
    value = step.value
    if not isinstance(value, dict):
        return brief(value)
    message = cast("dict[str, Any]", value)
    if message.get("msg") == "estimation" and isinstance(message.get("rank"), int):
        return f"place {message['rank'] + 1} of {message.get('queue_size')}"
    if message.get("msg") == "log":
        return f"{message.get('level')}: {plain_text(message.get('log'))}"
    output = message.get("output")
    if isinstance(output, dict):
        return _output_text(cast("dict[str, Any]", output))
    rest = {key: value for key, value in message.items() if key not in _ENVELOPE and value is not None}
    return brief(rest) if rest else ""


def _output_text(output: Mapping[str, Any]) -> str:
    data = output.get("data")
    return brief(output) if data is None else brief_list(data)


def frame_text(frame: Frame) -> str:
    """Return what the row of a frame says: an address, the name of a message, or how it ended."""
    payload = frame.payload
    match frame.kind:
        case Kind.REQUEST | Kind.WS_OPEN:
            return cut(f"{payload.get('method', '')} {url_target(str(payload.get('url', '')))}".strip())
        case Kind.RESPONSE | Kind.RESPONSE_HEAD:
            return cut(url_target(str(payload.get("url", ""))))
        case Kind.CHUNK | Kind.WS_TEXT:
            body = payload[CONTENT_FIELDS[frame.kind]][:_NAMED]
            text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
            named = _MESSAGE.search(text)
            return named[1] if named else cut(text[:80])
        case Kind.END | Kind.WS_CLOSE:
            return _joined(payload, "ending", "code", "reason")
        case Kind.ERROR:
            return _joined(payload, "error", "message")
        case _:
            return _joined(payload, "adapter", "endpoint", "data", "error", "message")


def _joined(payload: Mapping[str, Any], *names: str) -> str:
    values = [payload[name] for name in names if payload.get(name) not in (None, "")]
    return cut(" ".join(value if isinstance(value, str) else brief(value) for value in values))


__all__ = ["frame_text", "row_name", "row_text"]
