# SPDX-License-Identifier: Apache-2.0
"""The entries of a trace, decoded and sorted by call: the level at which people read and compare traces.

No adapter takes part in this, so it also shows messages that no adapter understands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from ..protocol.frames import Direction, Frame, Kind
from ..protocol.sse import SSEDecoder
from .discoveries import DISCOVERY_CHANNELS
from .reader import Trace

DISCOVERY = (0, "")
"""Session and key of the entries before any call."""


@attrs.frozen
class Entry:
    """A request, reply, message or event of a conversation.

    Attributes:
        frame: Number of the frame that completed it.
        out: Whether it went from us to the server.
        what: Its name: ``"POST /queue/join"``, ``"reply 200"``, ``"process_completed"``, ``"end"`` ...
        value: Its decoded JSON, the text if it is not JSON, or None if there is no body.
        message: Whether it is a message of the flow.
    """

    frame: int
    out: bool
    what: str
    value: Any = attrs.field(default=None, repr=False)
    message: bool = False


@attrs.define
class Conversation:
    """The entries of one call, in order.

    Attributes:
        session: Number of its session; 0 for the discovery.
        key: Key of the call in its session; ``""`` for the discovery, and for what belongs to no call.
        endpoint: The endpoint that was called.
    """

    session: int
    key: str
    endpoint: str = ""
    entries: list[Entry] = attrs.field(factory=list[Entry])

    @property
    def title(self) -> str:
        """A title to print."""
        if not self.session:
            return self.key or "discovery"
        if not self.key:
            return f"session {self.session}"
        return f"call {self.key} of session {self.session}, {self.endpoint}"

    @property
    def messages(self) -> list[Entry]:
        """The messages of the flow."""
        return [entry for entry in self.entries if entry.message]


def conversations(trace: Trace) -> list[Conversation]:
    """Return the conversations of a trace: the discovery first, then the calls in the order of their start.

    Messages of a shared stream go to the call that their event_id names, wherever in the trace the reply to
    its join is. Messages without an event_id belong to the session.
    """
    return _Builder(trace.frames).build()


class _Builder:
    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = frames
        self._conversations: dict[tuple[int, str], Conversation] = {DISCOVERY: Conversation(*DISCOVERY)}
        self._owners = _owners(frames)
        self._decoders: dict[tuple[int, str], SSEDecoder] = {}

    def build(self) -> list[Conversation]:
        for number, frame in enumerate(self._frames):
            self._add(number, frame)
        return [conversation for conversation in self._conversations.values() if conversation.entries]

    def _conversation(self, session: int, key: str) -> Conversation:
        return self._conversations.setdefault((session, key), Conversation(session, key))

    def _add(self, number: int, frame: Frame) -> None:
        place = frame.session, frame.channel
        key = call_key(frame)
        conversation = self._conversation(frame.session, key)
        payload = frame.payload
        match frame.kind:
            case Kind.CHUNK if frame.session:
                for event in self._decoders.setdefault(place, SSEDecoder()).feed(payload["data"]):
                    self._add_message(number, frame.session, key, event.data, event.event)
                return
            case Kind.WS_TEXT if frame.direction is Direction.IN:
                self._add_message(number, frame.session, key, str(payload["text"]), "message")
                return
            case Kind.CALL:
                conversation.endpoint = str(payload.get("endpoint") or f"fn_index {payload.get('fn_index')}")
            case Kind.RESPONSE_HEAD:
                self._decoders[place] = SSEDecoder()
            case _:
                pass
        what, value = _describe(frame.kind, payload)
        if frame.retried:
            what = f"{what} (attempt {payload['attempt']})"
        conversation.entries.append(Entry(number, frame.direction is not Direction.IN, what, value))

    def _add_message(self, number: int, session: int, key: str, text: str, event: str) -> None:
        value = _decode(text.encode("utf-8", "replace"))
        what = event
        if isinstance(value, dict):
            message = cast("dict[str, Any]", value)
            what = str(message["msg"]) if event == "message" and "msg" in message else event
            key = self._owners.get((session, str(message.get("event_id"))), key)
        self._conversation(session, key).entries.append(Entry(number, False, what, value, message=True))


def call_key(frame: Frame) -> str:
    """Return the key of the call that a frame belongs to; an empty text if it belongs to none.

    Of what belongs to no session it is the channel, but for the discovery.
    """
    if not frame.session and frame.channel not in DISCOVERY_CHANNELS:
        return frame.channel  # uploads, files, heartbeats: of no call, and no messages of the flow
    # Channels of a call begin with its key, a number; the shared stream has a name without one.
    return frame.channel.partition(".")[0] if frame.channel[:1].isdigit() else ""


def _describe(kind: Kind, payload: Mapping[str, Any]) -> tuple[str, Any]:
    """Return the name and the value of an entry that is not a message of the flow."""
    match kind:
        case Kind.SESSION:
            return f"adapter {payload.get('adapter')}", None
        case Kind.CALL:
            return "call", payload.get("data")
        case Kind.REQUEST:
            return f"{payload['method']} {_target(str(payload['url']))}", _decode(payload.get("body"))
        case Kind.RESPONSE:
            return f"reply {payload['status']}", _decode(payload.get("body"))
        case Kind.RESPONSE_HEAD:
            return f"stream {payload['status']}", None
        case Kind.WS_OPEN:
            return f"open {_target(str(payload['url']))}", None
        case Kind.WS_TEXT:
            return "send", _decode(str(payload["text"]).encode("utf-8", "replace"))
        case Kind.END:
            code = payload.get("code")
            return f"end {payload['ending']}" + (f" {code}" if code is not None else ""), None
        case Kind.ERROR:
            return f"error {payload['error']}", payload["message"]
        case _:
            return kind.value, None


def _owners(frames: Sequence[Frame]) -> Mapping[tuple[int, str], str]:
    """Return the key of the call that each event_id of a session belongs to, by the replies to the joins.

    In a pass of its own, because a message may precede the reply to its join.
    """
    owners: dict[tuple[int, str], str] = {}
    for frame in frames:
        if frame.kind is Kind.RESPONSE and frame.session and frame.channel.endswith(".join"):
            value = _decode(frame.payload.get("body"))
            if isinstance(value, dict) and "event_id" in value:
                owners[frame.session, str(cast("dict[str, Any]", value)["event_id"])] = (
                    frame.channel.partition(".")[0]
                )
    return owners


def _target(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _decode(body: bytes | None) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


__all__ = ["DISCOVERY", "Conversation", "Entry", "call_key", "conversations"]
