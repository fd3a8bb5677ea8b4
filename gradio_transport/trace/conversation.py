# SPDX-License-Identifier: Apache-2.0
"""What was said in a trace, decoded and sorted by call: the level at which people compare and read traces.

No machine takes part in this, so it also shows what an adapter would not understand.
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
"""The key of what was said before any call."""


@attrs.frozen
class Said:
    """One thing that was said.

    Attributes:
        frame: Number of the frame that completed it.
        out: Whether we said it.
        what: What it is: ``"POST /queue/join"``, ``"reply 200"``, ``"process_completed"``, ``"end"`` ...
        value: Its decoded JSON; the text where it is none; None where there is nothing.
        message: Whether it is a message of the flow.
    """

    frame: int
    out: bool
    what: str
    value: Any = attrs.field(default=None, repr=False)
    message: bool = False


@attrs.define
class Conversation:
    """What was said in one call, in order.

    Attributes:
        session: Number of its session; 0 for the discovery.
        key: Key of the call in its session; ``""`` for the discovery, and for what belongs to no call.
        endpoint: What was called.
    """

    session: int
    key: str
    endpoint: str = ""
    said: list[Said] = attrs.field(factory=list[Said])

    @property
    def title(self) -> str:
        """What it is, for people."""
        if not self.session:
            return self.key or "discovery"
        if not self.key:
            return f"session {self.session}"
        return f"call {self.key} of session {self.session}, {self.endpoint}"

    @property
    def messages(self) -> list[Said]:
        """The messages of the flow."""
        return [one for one in self.said if one.message]


def conversations(trace: Trace) -> list[Conversation]:
    """Return what was said in a trace: the discovery first, then the calls in the order they were started.

    Messages of a shared stream go to the call that their event_id names, wherever in the trace the reply to
    its join is; those that name none belong to the session.
    """
    return _Listener(trace.frames).listen()


class _Listener:
    def __init__(self, frames: Sequence[Frame]) -> None:
        self._frames = frames
        self._found: dict[tuple[int, str], Conversation] = {DISCOVERY: Conversation(*DISCOVERY)}
        self._owners = _owners(frames)
        self._decoders: dict[tuple[int, str], SSEDecoder] = {}

    def listen(self) -> list[Conversation]:
        for number, frame in enumerate(self._frames):
            self._take(number, frame)
        return [one for one in self._found.values() if one.said]

    def _of(self, session: int, key: str) -> Conversation:
        return self._found.setdefault((session, key), Conversation(session, key))

    def _take(self, number: int, frame: Frame) -> None:
        place = frame.session, frame.channel
        # Channels of a call are named by it; the shared stream has a name without a number.
        key = frame.channel.partition(".")[0] if frame.channel[:1].isdigit() else ""
        if not frame.session and frame.channel not in DISCOVERY_CHANNELS:
            key = frame.channel  # uploads, files, heartbeats: no machine's, and no messages of the flow
        conversation = self._of(frame.session, key)
        out = frame.direction is not Direction.IN
        payload = frame.payload
        match frame.kind:
            case Kind.SESSION:
                conversation.said.append(Said(number, out, f"adapter {payload.get('adapter')}"))
            case Kind.CALL:
                conversation.endpoint = str(payload.get("endpoint") or f"fn_index {payload.get('fn_index')}")
                conversation.said.append(Said(number, out, "call", payload.get("data")))
            case Kind.REQUEST:
                what = f"{payload['method']} {_target(str(payload['url']))}"
                conversation.said.append(Said(number, out, what, _decoded(payload.get("body"))))
            case Kind.RESPONSE:
                what = f"reply {payload['status']}"
                conversation.said.append(Said(number, out, what, _decoded(payload.get("body"))))
            case Kind.RESPONSE_HEAD:
                self._decoders[place] = SSEDecoder()
                conversation.said.append(Said(number, out, f"stream {payload['status']}"))
            case Kind.CHUNK if frame.session:
                for event in self._decoders.setdefault(place, SSEDecoder()).feed(payload["data"]):
                    self._message(number, frame.session, key, event.data, event.event)
            case Kind.WS_OPEN:
                conversation.said.append(Said(number, out, f"open {_target(str(payload['url']))}"))
            case Kind.WS_TEXT if out:
                conversation.said.append(
                    Said(number, out, "send", _decoded(str(payload["text"]).encode("utf-8", "replace")))
                )
            case Kind.WS_TEXT:
                self._message(number, frame.session, key, str(payload["text"]), "message")
            case Kind.END:
                code = payload.get("code")
                what = f"end {payload['ending']}" + (f" {code}" if code is not None else "")
                conversation.said.append(Said(number, out, what))
            case Kind.ERROR:
                conversation.said.append(Said(number, out, f"error {payload['error']}", payload["message"]))
            case _:
                conversation.said.append(Said(number, out, frame.kind.value))

    def _message(self, number: int, session: int, key: str, text: str, event: str) -> None:
        value = _decoded(text.encode("utf-8", "replace"))
        what = event
        if isinstance(value, dict):
            message = cast("dict[str, Any]", value)
            what = str(message["msg"]) if event == "message" and "msg" in message else event
            key = self._owners.get((session, str(message.get("event_id"))), key)
        self._of(session, key).said.append(Said(number, False, what, value, message=True))


def _owners(frames: Sequence[Frame]) -> Mapping[tuple[int, str], str]:
    """Return which call each event_id of a session names, by the replies to the joins."""
    owners: dict[tuple[int, str], str] = {}
    for frame in frames:
        if frame.kind is Kind.RESPONSE and frame.session and frame.channel.endswith(".join"):
            value = _decoded(frame.payload.get("body"))
            if isinstance(value, dict) and "event_id" in value:
                owners[frame.session, str(cast("dict[str, Any]", value)["event_id"])] = (
                    frame.channel.partition(".")[0]
                )
    return owners


def _target(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _decoded(body: bytes | None) -> Any:
    if not body:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


__all__ = ["DISCOVERY", "Conversation", "Said", "conversations"]
