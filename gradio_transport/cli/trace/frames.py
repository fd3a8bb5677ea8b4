# SPDX-License-Identifier: Apache-2.0
"""Every frame of a trace as lines: headers, and bodies as pretty JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from ...protocol.frames import Direction, Frame, Kind
from ...trace import Timeline, Trace
from ...trace.timeline.model import decode_body
from .brief import pretty
from .lines import IN, LOCAL, OUT, Line, offset
from .selection import Selection, channel_name

LONGEST_BODY = 20_000
"""The most characters shown of a body; the config of an app is longer. ``--json --discovery`` prints all."""

_ARROWS: Mapping[Direction, tuple[str, str]] = {
    Direction.OUT: (OUT, "cyan"),
    Direction.IN: (IN, "green"),
    Direction.LOCAL: (LOCAL, ""),
}
_BODIES = frozenset({"body", "data", "text"})


def frame_lines(trace: Trace, line: Timeline, selection: Selection) -> Iterator[list[Line]]:
    """Yield the lines of each selected frame."""
    numbers = _selected(line, selection)
    keys = {(call.session, call.key) for call in line.calls if selection.has_call(call)}
    for number, frame in enumerate(trace.frames):
        if numbers is not None and number not in numbers and (frame.session, _key(frame)) not in keys:
            continue
        name = channel_name(frame.channel)
        if selection.only and name not in selection.only and frame.payload.get("phase") not in selection.only:
            continue
        if selection.events and (
            frame.direction is not Direction.IN or frame.kind not in (Kind.CHUNK, Kind.WS_TEXT)
        ):
            continue
        yield list(_lines(number, frame))


def _selected(line: Timeline, selection: Selection) -> set[int] | None:
    """Return the frames of the selected calls, including those on a shared stream; None for all."""
    if not selection.calls:
        return None
    numbers: set[int] = set()
    for call in line.calls:
        if selection.has_call(call):
            for step in call.steps:
                numbers.update(step.frames)
                if step.stream is not None and step.stream.end_frame is not None:
                    numbers.add(step.stream.end_frame)
    return numbers


def _key(frame: Frame) -> str:
    return frame.channel.partition(".")[0]


def _lines(number: int, frame: Frame) -> Iterator[Line]:
    arrow, style = _ARROWS[frame.direction]
    where = f"  {frame.channel}" if frame.channel else ""
    session = f"  session {frame.session}" if frame.session else ""
    yield Line(
        [
            offset(frame.t),
            (f"  {arrow} ", style),
            (frame.kind.value, "bold"),
            (where + session, ""),
            (f"  frame {number}", "dim"),
        ]
    )
    for name, value in frame.payload.items():
        if name == "headers" and isinstance(value, dict):
            for header, text in cast("dict[Any, Any]", value).items():
                yield _indented(f"{header}: {text}", "dim")
        elif name in _BODIES:
            yield from _body_lines(frame, value)
        elif value is not None and value != "":
            yield from _field_lines(name, value)


def _field_lines(name: str, value: Any) -> Iterator[Line]:
    first, *rest = pretty(value, LONGEST_BODY)
    yield _indented(f"{name} {first}", "")
    yield from (_indented(f"  {line}", "") for line in rest)


def _body_lines(frame: Frame, value: Any) -> Iterator[Line]:
    if value is None:
        return
    if frame.kind is Kind.CHUNK:
        for text in value.decode("utf-8", "replace").splitlines():
            field, colon, data = text.partition(":")
            decoded = decode_body(data) if colon and field == "data" else None
            if isinstance(decoded, dict | list):
                first, *rest = pretty(decoded, LONGEST_BODY)
                yield _indented(f"data: {first}", "cyan")
                yield from (_indented(f"      {line}", "cyan") for line in rest)
            elif text:
                yield _indented(text, "cyan")
        return
    body = decode_body(value) if isinstance(value, str | bytes) else value
    for line in pretty(body, LONGEST_BODY):
        yield _indented(line, "cyan")


def _indented(text: str, style: str) -> Line:
    # The indent of JSON is a separate part, because the text of a part is put on one line.
    blanks = len(text) - len(text.lstrip(" "))
    return Line([(" " * (12 + blanks), ""), (text[blanks:], style)])


__all__ = ["LONGEST_BODY", "frame_lines"]
