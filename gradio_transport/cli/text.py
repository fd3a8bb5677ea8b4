# SPDX-License-Identifier: Apache-2.0
"""Values and events as text, for pipes, JSON lines and people. Pure, and without colours."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import attrs
from rich.cells import cell_len, set_cell_size

from .. import events as e
from ..errors import STEERING, GradioTransportError, visible
from ..errors import one_line as on_one_line
from ..events import UNKNOWN_OUTPUT
from ..files.outputs import ServerFile

INDENT = "  "
"""The indent of the second and further lines of a text."""

LONGEST_MESSAGE = 4000
"""Characters of a message, error or note. A Python traceback is usually shorter."""

SHOWN_UNITS = 6
"""The most progress bars. An app usually has one or two, nested."""

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")
_WIRE_NAMES: Mapping[type[e.Event], str] = {e.QueueFullMessage: "queue_full"}
_ERROR_FIELDS = (
    "phase",
    "adapter",
    "status",
    "retryable",
    "may_have_run",
    "title",
    "retry_after",
    "problems",
)


def printable(text: str) -> str:
    """Return text of several lines for a terminal: `visible`, and indented from its second line on.

    So no line of it looks like a line of this program, or like another output.
    """
    return visible(text.replace("\r\n", "\n")).replace("\n", "\n" + INDENT)


def one_line(text: str, width: int) -> str:
    """Return text for a single line of at most `width` columns."""
    # Cut first, because outputs can be megabytes.
    line = on_one_line(text[: 4 * width])
    return line if cell_len(line) <= width else set_cell_size(line, max(width - 1, 0)).rstrip() + "…"


def shorten(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """Return a message of at most `longest` characters, with the full length if it was cut."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text):,} characters in all)"


def to_json(value: Any, indent: int | None = None) -> str:
    """Return valid JSON on one line. NaN and infinities, which Gradio 3.x sends, become null.

    Terminal control characters are written as JSON escapes, in a pipe too; a parser gets the same value.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_encode_special, indent=indent)
    except ValueError:
        text = json.dumps(
            _replace_non_finite(value), ensure_ascii=False, default=_encode_special, indent=indent
        )
    return STEERING.sub(_json_escape, text)


def _json_escape(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _encode_special(value: object) -> Any:
    if isinstance(value, ServerFile):
        return value.raw
    if isinstance(value, Path):
        return str(value)
    if value is not UNKNOWN_OUTPUT:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return None


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _replace_non_finite(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [_replace_non_finite(item) for item in cast("Sequence[Any]", value)]
    return value


def plain_text(value: Any) -> str:
    """Return an output value for a pipe: a string as it is, anything else as JSON."""
    if isinstance(value, ServerFile):
        return value.url or f"{value.name} ({value.size} bytes inside the reply; -o DIR saves it)"
    return str(value) if isinstance(value, str | Path) else to_json(value)


def wire_name(event: e.Event) -> str:
    """Return the wire name of an event, such as ``"process_generating"``."""
    return _WIRE_NAMES.get(type(event)) or _CAPITAL.sub("_", type(event).__name__).lower()


def event_object(event: e.Event, seconds: float) -> dict[str, Any]:
    """Return an event for a JSON line."""
    fields = {
        field.name: getattr(event, field.name)
        for field in attrs.fields(type(event))
        if field.repr or isinstance(event, e.UnknownMessage)  # the large fields have no repr
    }
    if isinstance(event, e.Progress):
        fields["units"] = [attrs.asdict(unit) for unit in event.units]
    error = fields.get("error")
    if isinstance(error, GradioTransportError):
        fields["error"] = error_object(error)
    return {"event": wire_name(event), "seconds": round(seconds, 3), **fields}


def error_object(error: GradioTransportError) -> dict[str, Any]:
    """Return an error for a JSON line."""
    fields = {name: getattr(error, name) for name in _ERROR_FIELDS if getattr(error, name, None) is not None}
    return {"type": type(error).__name__, "message": error.message, **fields}


def duration(seconds: float) -> str:
    """Return ``"0.42 s"``, ``"12 s"`` or ``"3 min 20 s"``; for less, ``"under 0.01 s"``."""
    if 0 < seconds < 0.01:
        return "under 0.01 s"
    if seconds < 10:
        return f"{max(seconds, 0.0):.2g} s" if seconds < 1 else f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def queue_position(event: e.Estimation) -> str:
    """Return a call's position in the queue."""
    where = "in the queue"
    if event.rank is not None:
        of = f" of {event.queue_size}" if event.queue_size else ""
        where = f"place {event.rank + 1}{of} in the queue"
    if not event.rank_eta:
        return where
    about = "" if event.rank_eta < 0.01 else "about "
    return f"{where}, result in {about}{duration(event.rank_eta)}"


def progress_text(unit: e.ProgressUnit) -> str:
    """Return the progress of one bar, such as ``"3/8 steps"`` or ``"40 %"``."""
    if unit.index is not None:
        length = f"/{unit.length:g}" if unit.length else ""
        return f"{unit.index:g}{length} {unit.unit or ''}".strip()
    return "" if unit.fraction is None else f"{unit.fraction:.0%}".replace("%", " %")


def hidden_units(units: Sequence[e.ProgressUnit]) -> str:
    """Return the number of progress bars that are not drawn, as text; empty if none."""
    more = len(units) - SHOWN_UNITS
    return f"and {more:,} more" if more > 0 else ""


def log_line(event: e.Log) -> str:
    """Return a log message of the app as a line."""
    # The server's default title, such as "Info", only repeats the level.
    title = event.title if event.title and event.title.lower() != event.level else ""
    return ": ".join(part for part in (event.level, title, event.message) if part)


def describe(event: e.Event, width: int = 60) -> str:
    """Return an event as one line for people."""
    return one_line(_description(event, width), width)


def _description(event: e.Event, width: int) -> str:
    match event:
        case e.Joined():
            return "the server accepted the call"
        case e.Estimation():
            return queue_position(event)
        case e.ProcessStarts():
            return "the function runs" + (f", usually {duration(event.eta)}" if event.eta else "")
        case e.Progress():
            more = hidden_units(event.units)
            return " · ".join([*map(_unit, event.units[:SHOWN_UNITS]), *([more] if more else [])])
        case e.Log():
            return log_line(event)
        case e.ProcessGenerating() | e.ProcessStreaming():
            return preview(event.data, width)
        case e.ProcessCompleted():
            return _completion(event, width)
        case e.UnexpectedError():
            return event.message
        case e.Cancelled():
            return f"on the server: {event.achieved.value}"
        case e.Failed():
            return f"{type(event.error).__name__}: {event.error.message}"
        case e.UnknownMessage():
            return event.msg
        case _:
            return ""


def _unit(unit: e.ProgressUnit) -> str:
    filled = None if unit.fraction is None else round(10 * min(max(unit.fraction, 0.0), 1.0))
    bar = "" if filled is None else "━" * filled + "╌" * (10 - filled)
    return " ".join(part for part in (bar, progress_text(unit), unit.desc or "") if part)


def _completion(event: e.ProcessCompleted, width: int) -> str:
    if event.error is not None:
        return f"failed: {event.error.message}"
    took = "" if event.duration is None else f" after {duration(event.duration)}"
    return f"done{took}: {preview(event.data, width)}"


def preview(data: Sequence[Any], width: int) -> str:
    """Return the ends of output values on one line."""
    return " | ".join(tail(value, width) for value in data)


def tail(value: Any, width: int) -> str:
    """Return the end of a value on one line, because text and chats grow at the end."""
    if value is UNKNOWN_OUTPUT:
        return "…"
    message = _last_message(value)
    text = plain_text(value) if message is None else message
    return one_line(text if len(text) <= width else "…" + text[1 - width :], width)


def _last_message(value: Any) -> str | None:
    """Return the last message of a chat (a list of messages, or of pairs before 5.0), or None."""
    if not isinstance(value, list) or not value:
        return None
    last: Any = cast("list[Any]", value)[-1]
    if isinstance(last, dict) and "role" in last:
        message = cast("dict[str, Any]", last)
        return f"{plain_text(message['role'])}: {_message_text(message.get('content'))}"
    if isinstance(last, list) and len(cast("list[Any]", last)) == 2 and isinstance(last[1], str):
        return cast("list[str]", last)[1]
    return None


def _message_text(content: Any) -> str:
    """Return the text of a message: a string, or the text parts of a list (6.0+)."""
    if isinstance(content, list):
        parts = [
            cast("dict[str, Any]", part) for part in cast("list[Any]", content) if isinstance(part, dict)
        ]
        return " ".join(plain_text(part["text"]) for part in parts if "text" in part)
    return plain_text(content)
