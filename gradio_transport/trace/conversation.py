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
        # Channels of a call are named by it; the shared stream has a name without a number.
        key = frame.channel.partition(".")[0] if frame.channel[:1].isdigit() else ""
        if not frame.session and frame.channel not in DISCOVERY_CHANNELS:
            key = frame.channel  # uploads, files, heartbeats: of no call, and no messages of the flow
        conversation = self._conversation(frame.session, key)
        out = frame.direction is not Direction.IN
        payload = frame.payload
        match frame.kind:
            case Kind.SESSION:
                conversation.entries.append(Entry(number, out, f"adapter {payload.get('adapter')}"))
            case Kind.CALL:
                conversation.endpoint = str(payload.get("endpoint") or f"fn_index {payload.get('fn_index')}")
                conversation.entries.append(Entry(number, out, "call", payload.get("data")))
            case Kind.REQUEST:
                what = f"{payload['method']} {_target(str(payload['url']))}"
                conversation.entries.append(Entry(number, out, what, _decode(payload.get("body"))))
            case Kind.RESPONSE:
                what = f"reply {payload['status']}"
                conversation.entries.append(Entry(number, out, what, _decode(payload.get("body"))))
            case Kind.RESPONSE_HEAD:
                self._decoders[place] = SSEDecoder()
                conversation.entries.append(Entry(number, out, f"stream {payload['status']}"))
            case Kind.CHUNK if frame.session:
                for event in self._decoders.setdefault(place, SSEDecoder()).feed(payload["data"]):
                    self._add_message(number, frame.session, key, event.data, event.event)
            case Kind.WS_OPEN:
                conversation.entries.append(Entry(number, out, f"open {_target(str(payload['url']))}"))
            case Kind.WS_TEXT if out:
                conversation.entries.append(
                    Entry(number, out, "send", _decode(str(payload["text"]).encode("utf-8", "replace")))
                )
            case Kind.WS_TEXT:
                self._add_message(number, frame.session, key, str(payload["text"]), "message")
            case Kind.END:
                code = payload.get("code")
                what = f"end {payload['ending']}" + (f" {code}" if code is not None else "")
                conversation.entries.append(Entry(number, out, what))
            case Kind.ERROR:
                conversation.entries.append(
                    Entry(number, out, f"error {payload['error']}", payload["message"])
                )
            case _:
                conversation.entries.append(Entry(number, out, frame.kind.value))

    def _add_message(self, number: int, session: int, key: str, text: str, event: str) -> None:
        value = _decode(text.encode("utf-8", "replace"))
        what = event
        if isinstance(value, dict):
            message = cast("dict[str, Any]", value)
            what = str(message["msg"]) if event == "message" and "msg" in message else event
            key = self._owners.get((session, str(message.get("event_id"))), key)
        self._conversation(session, key).entries.append(Entry(number, False, what, value, message=True))


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


__all__ = ["DISCOVERY", "Conversation", "Entry", "conversations"]
