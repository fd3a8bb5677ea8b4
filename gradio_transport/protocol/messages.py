# SPDX-License-Identifier: Apache-2.0
"""Decoding of one JSON message to one `Event`, tolerant of every version (docs/wire.md §3.2, §5.3).

A server's message never raises here: a message of an unknown kind is `UnknownMessage`, a field of the wrong
type counts as missing, and an invalid completion contains an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, cast

from .. import events as e
from ..errors import MalformedMessage, Phase, excerpt
from .json import JSON_ARRAY, JSON_OBJECT
from .refusals import app_error

Message = Mapping[str, Any]

_LARGEST = sys.float_info.max

_STOPPED = "Server stopped unexpectedly."
"""The text of a server that shuts down (4.10+). Gradio's client checks only this text, not ``msg``."""


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def event_id_of(message: Any) -> str | None:
    """Return the event id of a message or of the reply to a join, or None.

    Gradio's ids are texts. A number is also accepted as text, as in Gradio's own clients.
    """
    value = _mapping(message).get("event_id")
    if isinstance(value, str):
        return value or None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    if not isinstance(value, float) and (not isinstance(value, int) or isinstance(value, bool)):
        return None
    # NaN, Infinity and integers beyond float range cannot be shown or counted.
    return value if -_LARGEST <= value <= _LARGEST else None


def _integer(value: Any) -> int | None:
    number = _number(value)
    return None if number is None else int(number)


def _mapping(value: Any) -> Message:
    return value if isinstance(value, JSON_OBJECT) else {}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, JSON_ARRAY) else []


def _estimation(raw: Message, event_id: str | None) -> e.Event:
    return e.Estimation(
        event_id=event_id,
        raw=raw,
        rank=_integer(raw.get("rank")),
        queue_size=_integer(raw.get("queue_size")),
        rank_eta=_number(raw.get("rank_eta")),
    )


def _process_starts(raw: Message, event_id: str | None) -> e.Event:
    return e.ProcessStarts(event_id=event_id, raw=raw, eta=_number(raw.get("eta")))


def _progress(raw: Message, event_id: str | None) -> e.Event:
    units = tuple(_unit(_mapping(unit)) for unit in _items(raw.get("progress_data")))
    return e.Progress(event_id=event_id, raw=raw, units=units)


def _unit(raw: Message) -> e.ProgressUnit:
    return e.ProgressUnit(
        index=_number(raw.get("index")),
        length=_number(raw.get("length")),
        unit=_text(raw.get("unit")),
        progress=_number(raw.get("progress")),
        desc=_text(raw.get("desc")),
    )


def _log(raw: Message, event_id: str | None) -> e.Event:
    return e.Log(
        event_id=event_id,
        raw=raw,
        message=_text(raw.get("log")) or "",
        level=_text(raw.get("level")) or "info",
        title=_text(raw.get("title")),
        duration=_number(raw.get("duration")),
        visible=raw.get("visible") is not False,
    )


def decode_generating(
    raw: Message, event_id: str | None, full: Callable[[list[Any]], list[Any]] | None = None
) -> e.ProcessGenerating:
    """Return the event of a ``process_generating``.

    Args:
        raw: The message.
        event_id: The call's id.
        full: Returns full values for its data, if the wire carries edits.
    """
    output = _mapping(raw.get("output"))
    data = _items(output.get("data"))
    return e.ProcessGenerating(
        event_id=event_id,
        raw=raw,
        data=data if full is None else full(data),
        duration=_number(output.get("duration")),
        render_config=_mapping(output.get("render_config")) or None,
    )


def _process_streaming(raw: Message, event_id: str | None) -> e.Event:
    return e.ProcessStreaming(
        event_id=event_id,
        raw=raw,
        data=_items(_mapping(raw.get("output")).get("data")),
        time_limit=_number(raw.get("time_limit")),
    )


def _simple(kind: type[e.Event]) -> Callable[[Message, str | None], e.Event]:
    return lambda raw, event_id: kind(event_id=event_id, raw=raw)


def _unexpected_error(raw: Message, event_id: str | None) -> e.Event:
    text = _text(raw.get("message")) or ""
    missing = raw.get("session_not_found") is True or text.startswith("404: ")
    return e.UnexpectedError(event_id=event_id, raw=raw, message=text, session_not_found=missing)


_DECODERS: Mapping[str, Callable[[Message, str | None], e.Event]] = MappingProxyType(
    {
        "send_hash": _simple(e.SendHash),
        "send_data": _simple(e.SendData),
        "estimation": _estimation,
        "queue_full": _simple(e.QueueFullMessage),
        "process_starts": _process_starts,
        "progress": _progress,
        "log": _log,
        "process_generating": decode_generating,
        "process_streaming": _process_streaming,
        "heartbeat": _simple(e.Heartbeat),
        "alive?": _simple(e.Heartbeat),
        "close_stream": _simple(e.CloseStream),
        "server_stopped": _simple(e.ServerStopped),
        "unexpected_error": _unexpected_error,
    }
)


def decode(raw: Message, *, quoted_errors: bool = False, cancellable: bool = False) -> e.Event:
    """Return the event of one message.

    Args:
        raw: The decoded JSON object.
        quoted_errors: The server sends the repr of a ``gr.Error`` (3.1.7 to 5.1).
        cancellable: The server completes a cancelled call with an empty output (4.31+).
    """
    kind = raw.get("msg")
    event_id = event_id_of(raw)
    if kind == "process_completed":
        return decode_completed(raw, event_id, quoted_errors=quoted_errors, cancellable=cancellable)
    decoder = _DECODERS.get(kind) if isinstance(kind, str) else None
    if decoder is None and raw.get("message") == _STOPPED:
        return _unexpected_error(raw, event_id)
    if decoder is None:
        name = kind[:100] if isinstance(kind, str) else excerpt(kind)
        return e.UnknownMessage(event_id=event_id, raw=raw, msg=name)
    return decoder(raw, event_id)


def decode_completed(
    raw: Message, event_id: str | None = None, *, quoted_errors: bool = False, cancellable: bool = False
) -> e.Event:
    """Return the event of a ``process_completed``.

    ``output: {}`` with success is what servers with a cancel route send for a cancelled call (docs/wire.md
    §8). From any other server it is a lost result.
    """
    output = raw.get("output")
    if cancellable and output == {} and raw.get("success") is not False:
        return e.Cancelled(event_id=event_id, raw=raw, achieved=e.Achieved.STOPPING)
    if not isinstance(output, dict):
        return _malformed_completion(raw, event_id)
    return decode_output(
        cast("Message", output),
        success=raw.get("success"),
        title=_text(raw.get("title")),
        raw=raw,
        event_id=event_id,
        quoted_errors=quoted_errors,
    )


def decode_output(
    output: Message,
    *,
    success: Any = None,
    title: str | None = None,
    raw: Message | None = None,
    event_id: str | None = None,
    quoted_errors: bool = False,
) -> e.ProcessCompleted:
    """Return the completion for an ``output`` object (or the reply of direct HTTP).

    Args:
        output: ``{"data": [...], ...}`` or ``{"error": ...}``.
        success: The message's flag; None (3.1.5 to 3.1.6, direct HTTP) means: decide by the error key.
        title: Heading at message level.
        raw: The full message, if it is more than `output`.
        event_id: The call's id.
        quoted_errors: See `decode`.
    """
    raw = output if raw is None else raw
    failed = success is False or ("error" in output and "data" not in output)
    if failed:
        error = app_error(output, quoted=quoted_errors, title=title)
        return e.ProcessCompleted(event_id=event_id, raw=raw, success=False, error=error)
    if not isinstance(output.get("data"), list):
        return _malformed_completion(raw, event_id)
    states = _items(output.get("changed_state_ids"))
    return e.ProcessCompleted(
        event_id=event_id,
        raw=raw,
        data=_items(output.get("data")),
        duration=_number(output.get("duration")),
        average_duration=_number(output.get("average_duration")),
        used_cache=_text(output.get("used_cache")) or _text(raw.get("used_cache")),
        changed_state_ids=tuple(state_id for state_id in states if isinstance(state_id, int)),
        render_config=_mapping(output.get("render_config")) or None,
    )


def _malformed_completion(raw: Message, event_id: str | None) -> e.ProcessCompleted:
    error = MalformedMessage(
        f"The call is complete, but the server's message lists no outputs: {excerpt(dict(raw))}.",
        phase=Phase.COMPLETE,
        may_have_run=True,
    )
    return e.ProcessCompleted(event_id=event_id, raw=raw, success=False, error=error)
