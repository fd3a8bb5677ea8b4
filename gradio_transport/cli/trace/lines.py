# SPDX-License-Identifier: Apache-2.0
"""Steps of a timeline as lines for people, for a terminal of any width and for a pipe."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import attrs

from ...errors import one_line as on_one_line
from ...protocol.messages import decode
from ...trace.timeline.reading import CallTimeline, Outcome, Step, StepKind, Stream
from ..terminal import Part
from ..text import describe, shorten
from .brief import arguments, brief, columns, count, fit, newest, pick, size, took

OUT, IN, LOCAL, WRONG, SILENT, CLUE = "→", "←", "•", "✗", "┆", "!"

_OFFSET = 8
"""Columns of a time."""

_INSET = _OFFSET + 4
"""Columns before the text of a step: the time and the arrow."""

_NAME = 21
"""Columns of the name of an event, before its values."""

_LARGE_EVENT = 10_000
"""Size in bytes from which an event is shown with its size."""

MOST_TEXT_LINES = 20
"""The most lines of a server's text, such as an error."""

SHORTEST_PHASE = 0.0005
"""The shortest phase that is shown, in seconds."""

_ENVELOPE = frozenset({"msg", "event_id", "id", "object", "created", "model", "system_fingerprint"})
"""Fields of messages and chat chunks that are not content."""

_SESSION_HASH = re.compile(r"(?<=[?&])session_hash=[^&]*&?")

_OUTCOMES: Mapping[Outcome, tuple[str, str]] = {
    Outcome.COMPLETED: ("completed in {}", "green"),
    Outcome.FAILED: ("{} after {}", "red"),
    Outcome.CANCELLED: ("cancelled after {}", "yellow"),
    Outcome.ABANDONED: ("{} after {}", "red"),
    Outcome.REFUSED: ("refused here: {}", "red"),
    Outcome.UNFINISHED: ("unfinished after {}", "yellow"),
}


@attrs.frozen
class Line:
    """A line.

    Attributes:
        left: The parts at the left.
        right: The parts at the right margin.
        whole: Whether it must not be cut.
    """

    left: Sequence[Part]
    right: Sequence[Part] = ()
    whole: bool = False


def fit_parts(line: Line, width: int) -> list[Part]:
    """Return the parts of a line within a number of columns. The left part is cut if needed."""
    margin = sum(columns(text) for text, _ in line.right)
    room = max(width - margin - (2 if margin else 0), 1)
    parts: list[Part] = []
    for text, style in line.left:
        if room <= 0:
            break
        part = _fit_exactly(text, room)
        parts.append((part, style))
        room -= columns(part)
    if margin:
        parts += [(" " * (max(room, 0) + 2), ""), *line.right]
    return parts


def _fit_exactly(text: str, width: int) -> str:
    """Return `fit` text with its leading and trailing spaces, which align columns."""
    inner = text.strip(" ")
    before = text[: len(text) - len(text.lstrip(" "))]
    if not inner or len(before) >= width:
        return text[:width] if not inner else before[:width]
    after = text[len(text.rstrip(" ")) :]
    cut = before + fit(inner, width - len(before))
    return cut + after[: max(width - columns(cut), 0)]


def offset(t: float) -> Part:
    """Return a time as the beginning of a line."""
    return f"{t:{_OFFSET}.3f}", "dim"


def header(call: CallTimeline, sessions: int, width: int) -> Line:
    """Return the title of a call, with its outcome at the right margin."""
    outcome, style = outcome_text(call)
    where = f"call {call.number}"
    if sessions > 1 and call.session:
        where = f"{where}, session {call.session}"
    room = max(width - len(outcome) - len(where) - 6, 10)
    name = fit(call.display_name, room)
    given = f"({arguments(call.arguments, max(room - columns(name) - 2, 4))})"
    if call.arguments is None:  # the trace does not have those of a refused call
        given = ""
    return Line(
        [(f"{where}  ", "bold"), (name, "bold cyan"), (given, "")],
        [(fit(outcome, max(width // 2, 10)), style)],
    )


def outcome_text(call: CallTimeline) -> Part:
    """Return how a call ended."""
    pattern, style = _OUTCOMES[call.outcome]
    error = call.error or ("abandoned" if call.outcome is Outcome.ABANDONED else "failed")
    values = [error, took(call.seconds)]
    if call.outcome is Outcome.REFUSED:
        return pattern.format(error), style
    return pattern.format(*values[2 - pattern.count("{}") :]), style


def error_lines(call: CallTimeline, width: int | None) -> Iterator[Line]:
    """Yield the full text of a call's error, wrapped to a width or with its own line ends only."""
    if call.message:
        phase = f" (phase {call.error_phase})" if call.error_phase else ""
        yield from text_lines(f"{WRONG} ", call.message + phase, width, "red", indent=_OFFSET + 2)


def text_lines(mark: str, text: str, width: int | None, style: str, *, indent: int = 0) -> Iterator[Line]:
    """Yield a full text after a mark, wrapped to a width if given.

    Args:
        mark: The text before the first line.
        text: The text, which may have several lines.
        width: Columns; None for a pipe, which gets only its own line ends.
        style: Its style.
        indent: Columns before the mark.
    """
    inset = indent + columns(mark)
    lines = shorten(text).splitlines()
    for number, line in enumerate(lines[:MOST_TEXT_LINES]):
        room = max(len(line), 1) * 8 if width is None else max(width - inset, 20)
        for place, part in enumerate(textwrap.wrap(on_one_line(line), room) or [""]):
            first = not number and not place
            head: Part = (" " * indent + mark, style or "bold") if first else (" " * inset, "")
            yield Line([head, (part, style)], whole=True)
    if len(lines) > MOST_TEXT_LINES:
        yield Line([(" " * inset, ""), (f"and {count(len(lines) - MOST_TEXT_LINES, 'line')} more", "dim")])


def phases(call: CallTimeline) -> Line | None:
    """Return the duration of each phase of a call, without phases that took no time."""
    parts = [f"{span.name} {took(span.seconds)}" for span in call.phases if span.seconds >= SHORTEST_PHASE]
    return Line([(" " * _INSET, ""), (", ".join(parts), "dim")]) if parts else None


def step_lines(step: Step, width: int, nth: int = 0, *, wrap: int | None = None) -> Iterator[Line]:
    """Yield the lines of a step.

    Args:
        step: The step.
        width: Columns of a line.
        nth: The number of the event's values within its call, from 1; 0 to show none.
        wrap: Columns to which texts of errors are wrapped; None for a pipe.
    """
    match step.kind:
        case StepKind.REQUEST:
            yield from _request_lines(step, width, wrap)
        case StepKind.EVENT:
            yield from _event_lines(step, width, nth)
        case StepKind.SENT:
            body = brief(_without_session(step.value), width)
            yield _line(step, OUT, [("send".ljust(_NAME), ""), (f"  {body}", "dim")], _gap(step))
        case StepKind.END:
            yield _end_line(step)
        case StepKind.LOCAL:
            line = _local_line(step, width)
            if line is not None:
                yield line


def silence_line(seconds: float, heartbeats: int) -> Line:
    """Return the mark of a silence."""
    what = f"nothing for {took(seconds)}, not even a heartbeat"
    if heartbeats:
        what = f"nothing but {count(heartbeats, 'heartbeat')} for {took(seconds)}"
    return note(SILENT, what, "yellow")


def note(mark: str, text: str, style: str) -> Line:
    """Return a line about the step above it."""
    return Line([(" " * (_OFFSET + 2), ""), (f"{mark} {text}", style)])


def _line(step: Step, arrow: str, parts: Sequence[Part], right: Sequence[Part] = ()) -> Line:
    style = {OUT: "cyan", IN: "green", WRONG: "red"}.get(arrow, "")
    return Line([offset(step.t), ("  ", ""), (f"{arrow} ", style), *parts], right)


def _detail(text: str, style: str = "dim") -> Line:
    return Line([(" " * (_INSET + 5), ""), (text, style)])


# --- requests ----------------------------------------------------------------------------------------------


def _request_lines(step: Step, width: int, wrap: int | None) -> Iterator[Line]:
    target = _SESSION_HASH.sub("", step.target).rstrip("?&") or "/"
    parts: list[Part] = [(f"{step.name:<4} ", "bold"), (target, "")]
    if step.attempt > 1:
        parts.append((f" (try {step.attempt})", "yellow"))
    yield _line(step, OUT, parts, _reply_parts(step))
    body = _without_session(step.value)
    if body is not None:
        yield _detail(brief(body, width))
    for file in step.files[:10]:
        name, length = pick(file, "name").get("name"), pick(file, "size").get("size")
        yield _detail(f"file {brief(name, 60)}" + (f", {size(length)}" if isinstance(length, int) else ""))
    if step.error:
        yield from text_lines("", f"{step.error}: {step.message}", wrap, "red", indent=_INSET + 5)
    elif step.failed and step.reply_body:
        yield _detail(brief(step.reply, width), "red")
    if step.retried:
        yield _detail("sent again by the library", "yellow")


def _reply_parts(step: Step) -> Sequence[Part]:
    if step.reply_frame is None:
        return [("no reply", "yellow")]
    if step.error:
        return [("no reply", "red"), (f"  {took(step.seconds or 0.0):>8}", "dim")]
    status = step.status or 0
    style = "green" if status < 300 else "yellow" if status < 400 else "red"
    stream, seconds = step.stream, step.seconds or 0.0
    length = size(step.reply_size)
    if stream is not None and step.channel == "file":
        length = size(stream.size)
        seconds += (stream.end or step.end) - step.end
    elif stream is not None:
        length = "socket" if stream.is_socket else "stream"
    return [(str(status), style), (f"  {length:>7}  {took(seconds):>8}", "dim")]


def _without_session(value: Any) -> Any:
    """Return a body without the session hash, which the trace has changed and every call has."""
    if not isinstance(value, dict):
        return value
    body = cast("dict[str, Any]", value)
    return {name: item for name, item in body.items() if name != "session_hash" or len(body) == 1}


# --- events ------------------------------------------------------------------------------------------------


def _event_lines(step: Step, width: int, nth: int) -> Iterator[Line]:
    name = f"{step.name} {nth}" if nth else step.name
    room = max(width - _INSET - max(_NAME, len(name)) - 14, 12)
    wrong = bool(step.error)
    text = f"{step.error}: {step.message}" if wrong else _event_text(step, room)
    parts: list[Part] = [(name.ljust(_NAME), ""), (f"  {text}" if text else "", "red" if wrong else "")]
    yield _line(step, IN, parts, _gap(step))


def _event_text(step: Step, room: int) -> str:
    if step.data is not None:
        return newest(step.data, room) if step.event == "process_generating" else brief(step.data, room)
    value = step.value
    if not step.kept:  # the full values were omitted, but not those of the wire
        change = pick(pick(value, "output").get("output"), "data").get("data", value)
        return brief(change, room) if not step.edited else f"edit {brief(change, max(room - 5, 1))}"
    if step.event == "process_starts" and not step.derived:
        eta = pick(value, "eta").get("eta")
        return f"usually {took(eta)}" if isinstance(eta, int | float) and 0 < eta < 1e9 else ""
    if step.event in ("estimation", "progress", "log") and not step.derived:
        message = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        return describe(decode(message), room).removesuffix(" in the queue")
    if step.message:
        growth = step.event == "process_generating"  # of a chat, including spaces and line ends
        return brief(step.message, room) if growth else fit(step.message, room)
    if step.event in ("process_starts", "close_stream", "send_hash", "send_data"):
        return ""
    more = {key: item for key, item in pick(value, *_names(value)).items() if key not in _ENVELOPE}
    return brief(more or (value if not isinstance(value, dict) else {}), room) if more or value else ""


def _names(value: Any) -> Sequence[str]:
    return list(cast("dict[str, Any]", value))[:50] if isinstance(value, dict) else ()


def _gap(step: Step) -> Sequence[Part]:
    large = f"{size(step.size)}  " if step.size is not None and step.size >= _LARGE_EVENT else ""
    return [(f"{large}+{took(step.gap)}", "dim")]


# --- the rest ----------------------------------------------------------------------------------------------


def _end_line(step: Step) -> Line:
    stream = step.stream or Stream()
    what = "socket" if stream.is_socket else "stream"
    cut = f" in the middle of an event ({size(stream.cut)} of it came)" if stream.cut else ""
    why = f": {step.message}" if step.message else ""
    if stream.code is not None:
        why = f" with code {stream.code}{why}"
    match step.name:
        case "clean":
            text = f"the {what} ended{cut}{why}"
        case "local":
            text = f"{what} closed here{why}"
        case "idle":
            text = f"{what} closed here{why or ': nothing came any more'}"
        case "too large":
            text = f"{what} closed here, because a message is larger than the limit{why}"
        case _:
            text = f"the connection broke{cut}{why}"
    wrong = step.name not in ("clean", "local") or (bool(cut) and step.name == "clean")
    amount = f"{count(stream.events, 'event')}  {size(stream.size):>7}  " if stream.size else ""
    right: list[Part] = [(f"{amount}+{took(step.gap)}", "dim")]
    return _line(step, WRONG if wrong else LOCAL, [(text, "red" if wrong else "dim")], right)


def _local_line(step: Step, width: int) -> Line | None:
    match step.name:
        case "cancel":
            return _line(step, LOCAL, [("the caller cancels", "yellow")], _gap(step))
        case "fetch":
            return _line(step, LOCAL, [("the caller fetches the outputs", "")], _gap(step))
        case "send":
            return _line(step, LOCAL, [("input  ", ""), (brief(step.given, width), "dim")], _gap(step))
        case "finish":
            return _line(step, LOCAL, [("end of the input", "")], _gap(step))
        case "refused":
            return _line(step, WRONG, [("refused here, nothing was sent", "red")])
        case "error" if step.channel == "discover":
            return _line(step, WRONG, [(f"{step.error}: {step.message}", "red")])
        case "error":
            return _line(step, WRONG, [(f"abandoned: {step.error}: {step.message}", "red")], _gap(step))
        case "session" | "call" | "wake":
            return None
        case _:
            return _line(step, LOCAL, [(step.name, ""), (f"  {step.error} {step.message}".rstrip(), "")])


__all__ = [
    "CLUE", "IN", "LOCAL", "OUT", "SILENT", "WRONG", "Line", "error_lines", "fit_parts", "header", "note",
    "offset", "outcome_text", "phases", "silence_line", "step_lines", "text_lines",
]  # fmt: skip
