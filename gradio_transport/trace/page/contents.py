# SPDX-License-Identifier: Apache-2.0
"""The contents of the frames of a trace. Each large text is stored once, apart from them."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, cast

from ...protocol.frames import Frame, Kind
from ..timeline.reading import Step, StepKind
from .blocks import Blocks
from .text import json_text, plain_text

_BODY_CHARACTERS: Final = 2048
"""Texts from this size on are stored apart, each once: a config is in a trace for each discovery."""

CONTENT_FIELDS: Final[Mapping[Kind, str]] = {
    Kind.REQUEST: "body",
    Kind.RESPONSE: "body",
    Kind.CHUNK: "data",
    Kind.WS_TEXT: "text",
}
"""The payload field with a frame's content."""


class Contents:
    """The contents of the frames of a trace, and its bodies: large texts, to which others refer by number."""

    def __init__(self) -> None:
        self._frames = Blocks()
        self._bodies = Blocks()
        self._body_numbers: dict[str, int] = {}

    def add(self, frame: Frame) -> int | None:
        """Add the content of the next frame, and return the size of its body in bytes, if it has one."""
        record, size = self._record(frame)
        self._frames.add(record)
        return size

    def finish(self) -> tuple[Blocks, Blocks]:
        """End the blocks, and return those of the frames and of the bodies."""
        self._frames.flush()
        self._bodies.flush()
        return self._frames, self._bodies

    def stored(self, text: str) -> str | int:
        """Return a text, or the number of it among the bodies if it is large."""
        return text if len(text) < _BODY_CHARACTERS else self._body(text)

    def _body(self, text: str) -> int:
        number = self._body_numbers.get(text)
        if number is None:
            number = self._body_numbers[text] = self._bodies.add(text)
        return number

    def _record(self, frame: Frame) -> tuple[dict[str, Any], int | None]:
        """Return the content of a frame, and the size of its body."""
        record: dict[str, Any] = {"kind": frame.kind.value}
        size: int | None = None
        body = CONTENT_FIELDS.get(frame.kind)
        fields: dict[str, str] = {}
        texts: dict[str, str] = {}
        for name, value in frame.payload.items():
            if name == body:
                size = self._add_body(record, value)
            elif name == "headers" and isinstance(value, Mapping):
                headers = cast("Mapping[object, object]", value)
                record["headers"] = {str(header): plain_text(one) for header, one in headers.items()}
            elif value is None or (
                isinstance(value, str | int | float) and len(plain_text(value)) < _BODY_CHARACTERS
            ):
                fields[name] = "" if value is None else plain_text(value)
            else:
                texts[name] = json_text(value)
        record |= {"fields": fields} if fields else {}
        record |= {"json": {name: self.stored(text) for name, text in texts.items()}} if texts else {}
        return record, size

    def _add_body(self, record: dict[str, Any], value: object) -> int | None:
        if isinstance(value, str):
            record["body"] = self.stored(value)
            return len(value.encode("utf-8", "surrogatepass"))
        if not isinstance(value, bytes):
            return None
        try:
            record["body"] = self.stored(value.decode("utf-8", "surrogatepass"))
        except UnicodeDecodeError:
            record["base64"] = self.stored(base64.b64encode(value).decode("ascii"))
        return len(value)

    def own_message(self, frame: Frame, step: Step) -> int | None:
        """Return the number of the text of a message that its frame alone does not give, or None.

        Args:
            frame: The frame of the message.
            step: The message as a step of a call.
        """
        if step.kind not in (StepKind.EVENT, StepKind.SENT):
            return None
        text = _decode(step.text) if isinstance(step.text, bytes) else step.text
        if text is None:
            text = json_text(step.given)
        content = frame.payload.get(CONTENT_FIELDS.get(frame.kind, ""))
        if frame.kind is Kind.CHUNK:
            same = _is_one_event(cast("bytes", content), text)
        else:
            same = content == text or (isinstance(content, bytes) and _decode(content) == text)
        return None if same else self._body(text)


def _is_one_event(data: bytes, text: str) -> bool:
    """Return whether a chunk is one event with this data and nothing else."""
    if b"\r" in data or not data.endswith(b"\n\n") or data.count(b"\n\n") != 1 or data.startswith(b"\n"):
        return False
    lines = (line for line in data.split(b"\n") if line.startswith(b"data:"))
    own = b"\n".join(line[5:].removeprefix(b" ") for line in lines)
    return own == text.encode("utf-8", "surrogatepass") and _is_text(data)


def _is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _decode(body: bytes) -> str:
    return body.decode("utf-8", "replace")


__all__ = ["CONTENT_FIELDS", "Contents"]
