# SPDX-License-Identifier: Apache-2.0
"""A request of other clients' traffic while it is under way, and what is read of its bodies and messages."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import attrs

from ...app.config import Endpoint
from ...protocol.commands import Ending
from ...protocol.json import decode_json
from ...protocol.messages import event_id_of
from ...protocol.sse import ServerSentEvent, SSEDecoder
from .output import FoundCall, FoundSession, Slot
from .routes import Route, Target

MOST_EXCHANGES = 10_000
"""Requests under way at a time, and sessions, calls and hashes that are remembered, the newest."""

LONGEST_HASH = 256
"""Characters of a session hash or an event id that is taken for one."""

_PEEKED = 65_536
"""Characters of a message that is read whole. Of a larger one only the beginning: it has outputs."""

_HEAD = re.compile(r'"(msg|event_id)"\s*:\s*"([^"\\]{1,256})"')

ENDS = frozenset({"process_completed", "queue_full", "unexpected_error", "server_stopped"})
"""Messages that end a call."""

_T = TypeVar("_T")


@attrs.define(eq=False)
class Flow:
    """One request, or one websocket, under way.

    Attributes:
        channel: Of its frames; without the key of the call, if there is one.
        streams: Whether a good reply is a stream of bytes, which are frames as they come.
        on_reply: Called with the whole body of a good reply.
        on_event: Called with each event of a stream.
        on_end: Called when a stream has ended.
        attempt: Of this request: redirects lead to further ones.
        detached: Nothing more of it is shown.
        slots: Frames that wait until their call is known; None after that.
    """

    target: Target
    method: str
    url: str
    channel: str
    session: FoundSession | None = None
    call: FoundCall | None = None
    streams: bool = False
    on_reply: Callable[[Flow, bytes], None] | None = None
    on_event: Callable[[Flow, ServerSentEvent], None] | None = None
    on_end: Callable[[Flow, Ending], None] | None = None
    attempt: int = 1
    detached: bool = False
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytearray = attrs.field(factory=bytearray)
    is_cut: bool = False
    decoder: SSEDecoder | None = None
    is_closing: bool = False
    slots: list[Slot] | None = None
    greeting: str = ""

    @property
    def is_open_stream(self) -> bool:
        """Whether the head of a stream has come."""
        return self.decoder is not None


WITH_JSON = frozenset(
    {
        Route.JOIN, Route.DATA, Route.PUSH, Route.STATUS, Route.DIRECT, Route.CALL, Route.CALL_V2,
        Route.INPUT, Route.CANCEL, Route.RESET,
    }
)  # fmt: skip

PHASES: Mapping[Route, str] = {
    Route.PAGE: "discover",
    Route.CONFIG: "discover",
    Route.INFO: "discover",
    Route.LOGIN: "login",
    Route.UPLOAD: "upload",
    Route.FILE: "download",
    Route.JOIN: "join",
    Route.DATA: "join",
    Route.PUSH: "join",
    Route.CALL: "join",
    Route.CALL_V2: "join",
    Route.STATUS: "stream",
    Route.INPUT: "stream",
    Route.INPUT_END: "stream",
    Route.CANCEL: "cancel",
    Route.RESET: "cancel",
}
"""The phase that this library would name for a request."""


def remember(where: OrderedDict[Any, _T], key: Any, value: _T) -> None:
    """Keep a value, and forget the oldest if there are too many."""
    where[key] = value
    where.move_to_end(key)
    if len(where) > MOST_EXCHANGES:
        where.popitem(last=False)


def json_object(body: bytes | None) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    if not body or body.lstrip()[:1] != b"{":
        return {}
    try:
        value = decode_json(body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def identifier(fields: Mapping[str, Any], name: str) -> str:
    """Return the value of a field that is an id; empty for anything else."""
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and len(value) <= LONGEST_HASH else ""


def header(headers: Mapping[str, str], wanted: str) -> str:
    """Return the value of a header, whose name is given in lower case; empty if there is none."""
    return next((value for name, value in headers.items() if name.lower() == wanted), "")


def peek(text: str) -> tuple[str | None, str | None]:
    """Return the name and the event id of a message."""
    if len(text) > _PEEKED:
        found = dict(_HEAD.findall(text[:1024]))
        return found.get("msg", ""), found.get("event_id")
    message = json_object(text.encode("utf-8", "replace"))
    kind = message.get("msg")
    return (kind if isinstance(kind, str) else None if not message else ""), event_id_of(message)


def kind_of_path(url: str, base: str) -> str:
    """Return the first part of a path, to count by; at most some letters."""
    path = url.partition("?")[0].removeprefix(base).removeprefix("/gradio_api").strip("/")
    return re.sub(r"[^\w.-].*", "", path, flags=re.DOTALL)[:40] or "/"


def has_state(endpoint: Endpoint) -> bool:
    """Return whether an endpoint reads or writes gr.State."""
    return any(slot.type in ("state", "variable") for slot in (*endpoint.inputs, *endpoint.outputs))


def named_data(endpoint: Endpoint | None, fields: Mapping[str, Any]) -> list[Any]:
    """Return the arguments of ``/call/v2``, which come by name, as those of the wire."""
    if endpoint is None:
        return list(fields.values())
    values = iter(
        [fields.get(one.name, one.default if one.has_default else None) for one in endpoint.parameters]
    )
    if not endpoint.inputs:
        return list(values)
    return [None if slot.skipped else next(values, None) for slot in endpoint.inputs]


__all__ = [
    "ENDS", "LONGEST_HASH", "MOST_EXCHANGES", "PHASES", "WITH_JSON", "Flow", "has_state", "header",
    "identifier", "json_object", "kind_of_path", "named_data", "peek", "remember",
]  # fmt: skip
