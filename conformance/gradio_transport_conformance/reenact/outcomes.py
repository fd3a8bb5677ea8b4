# SPDX-License-Identifier: Apache-2.0
"""The outcome of each recorded call as messages of the flow, whatever its protocol. Pure."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import attrs

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.protocol.sse import SSEDecoder
from gradio_transport.trace import Trace


class Way(enum.StrEnum):
    """The kind of conversation in which a call was recorded, or is made."""

    STREAM = "the queue's stream"
    WEBSOCKET = "the queue's websocket"
    POLLING = "the polling queue"
    DIRECT = "direct HTTP"
    CALL = "/call"


@attrs.frozen
class Reply:
    """A recorded reply, as it is."""

    status: int
    content_type: str
    body: bytes


@attrs.frozen(kw_only=True)
class Outcome:
    """The outcome of one call.

    Attributes:
        name: Name of the trace.
        session: Number of its session in the trace.
        alias: The ``session_hash`` of that session, which messages may contain.
        body: The client's ``data``, ``fn_index``, ``event_data``; for /call/v2 the named arguments.
        api_name: The name in the path, if it was called by name.
        messages: Messages of the flow, without ``event_id``; of direct HTTP the reply's object, as a
            completion.
        before_data: The number of messages before the server requested the data.
        gates: The chunks that the client sent: the number of messages before, and the chunk; None for the
            end.
        refusal: The reply to a call that got no event.
        cancelled: Whether the client cancelled it after the messages.
        ending: How its own stream or socket ended; None if the client dropped it. For a shared stream, that
            it broke before the call was complete, else None.
        status: The status of the reply of direct HTTP.
        states: The states of the polling queue before the last reply.
        position: Its first place in the polling queue.
        seconds: The minimum time before its last message.
    """

    name: str
    session: int
    alias: str
    way: Way
    adapter: str
    body: Mapping[str, Any]
    api_name: str | None = None
    messages: tuple[Mapping[str, Any], ...] = ()
    before_data: int = 0
    gates: tuple[tuple[int, Any], ...] = ()
    refusal: Reply | None = None
    cancelled: bool = False
    ending: Ending | None = None
    status: int | None = None
    states: tuple[Mapping[str, Any], ...] = ()
    position: int | None = None
    seconds: float = 0.0

    @property
    def fn_index(self) -> int | None:
        """Number of the function, if the call has it."""
        found = self.body.get("fn_index")
        return found if isinstance(found, int) else None

    @property
    def duration(self) -> float:
        """Seconds that the function ran, according to the last message; 0 if it does not say so."""
        output = self.messages[-1].get("output") if self.messages else None
        found = cast("dict[str, Any]", output).get("duration") if isinstance(output, dict) else None
        return float(found) if isinstance(found, int | float) else 0.0

    @property
    def complete(self) -> bool:
        """Whether the last message ends the call."""
        return bool(self.messages) and is_last(self.messages[-1])


def is_last(message: Mapping[str, Any]) -> bool:
    """Return whether a message ends its call."""
    return message.get("msg") in ("process_completed", "queue_full", "unexpected_error", "server_stopped")


_STREAM_END = ("close_stream", "heartbeat", "alive?")
_HANDSHAKE = ("send_hash", "send_data")


@attrs.define
class _Call:
    """A recorded call while its frames are read."""

    adapter: str
    way: Way = Way.STREAM
    body: dict[str, Any] = attrs.field(factory=dict[str, Any])
    api_name: str | None = None
    event_id: str | None = None
    messages: list[Mapping[str, Any]] = attrs.field(factory=list[Mapping[str, Any]])
    before_data: int | None = None
    gates: list[tuple[int, Any]] = attrs.field(factory=list[tuple[int, Any]])
    refusal: Reply | None = None
    cancelled_at: int | None = None
    ending: Ending | None = None
    status: int | None = None
    states: list[Mapping[str, Any]] = attrs.field(factory=list[Mapping[str, Any]])
    position: int | None = None
    asked: bool = False

    def take(self, message: Mapping[str, Any]) -> None:
        name = message.get("msg")
        if name == "send_data":
            self.before_data = len(self.messages)
        if name in _STREAM_END or name in _HANDSHAKE:
            return
        self.messages.append({key: value for key, value in message.items() if key != "event_id"})

    def outcome(self, name: str, session: int, alias: str) -> Outcome | None:
        if not self.asked:
            return None
        messages = self.messages if self.cancelled_at is None else self.messages[: self.cancelled_at]
        ends = [place for place, one in enumerate(messages) if is_last(one)]
        return Outcome(
            name=name,
            session=session,
            alias=alias,
            way=self.way,
            adapter=self.adapter,
            body=self.body,
            api_name=self.api_name,
            messages=tuple(messages[: ends[0] + 1] if ends else messages),
            before_data=self.before_data or 0,
            gates=tuple(self.gates),
            refusal=self.refusal,
            cancelled=self.cancelled_at is not None and not ends,
            ending=self.ending,
            status=self.status,
            states=tuple(self.states),
            position=self.position,
        )


@attrs.define
class _Reader:
    """Reads the frames of one session.

    Attributes:
        early: Messages that arrived before the reply to the join of their call, by event id.
    """

    adapter: str = ""
    alias: str = ""
    calls: dict[str, _Call] = attrs.field(factory=dict[str, _Call])
    decoders: dict[str, SSEDecoder] = attrs.field(factory=dict[str, SSEDecoder])
    early: dict[str, list[Mapping[str, Any]]] = attrs.field(factory=dict[str, list[Mapping[str, Any]]])

    def take(self, frame: Frame) -> None:
        key, _, part = frame.channel.partition(".")
        call = self.calls.get(key)
        match frame.kind, frame.direction:
            case Kind.SESSION, _:
                self.adapter = str(frame.payload["adapter"])
                self.alias = str(frame.payload["session_hash"])
            case Kind.CALL, _:
                self.calls[key] = _Call(self.adapter)
            case Kind.CANCEL, _ if call is not None:
                call.cancelled_at = len(call.messages)
            case Kind.CHUNK, _:
                self._take_chunk(frame, call)
            case (Kind.REQUEST, _) if call is not None:
                self._take_request(call, part, frame)
            case (Kind.RESPONSE, _) if call is not None:
                self._take_reply(call, part, frame)
            case (Kind.WS_TEXT, _) if call is not None:
                self._take_text(call, frame)
            case (Kind.WS_OPEN, _) if call is not None:
                call.way, call.asked = Way.WEBSOCKET, True
            case (Kind.END, _) if call is not None and part in ("stream", "socket"):
                ending = Ending(frame.payload["ending"])
                call.ending = ending if ending in (Ending.CLEAN, Ending.RESET) else None
            case (Kind.END, _) if call is None and frame.payload["ending"] == Ending.RESET:
                self._break_stream(frame.channel)
            case _:
                pass

    def _take_chunk(self, frame: Frame, call: _Call | None) -> None:
        decoder = self.decoders.setdefault(frame.channel, SSEDecoder())
        for event in decoder.feed(frame.payload["data"]):
            if call is not None and call.way is Way.CALL:
                _take_named(call, event.event, event.data)
                continue
            message = _object(event.data)
            event_id = message.get("event_id")
            found = call or self._named(event_id)
            if found is not None:
                found.take(message)
            elif event_id:
                # The stream arrived before the reply to the join.
                self.early.setdefault(str(event_id), []).append(message)

    def _break_stream(self, channel: str) -> None:
        """Note the calls that a broken stream of the session leaves without an end."""
        if channel != "stream":
            return
        for call in self.calls.values():
            if call.way is Way.STREAM and call.event_id and not any(map(is_last, call.messages)):
                call.ending = Ending.RESET

    def _named(self, event_id: Any) -> _Call | None:
        return next((one for one in self.calls.values() if one.event_id == event_id and event_id), None)

    def _take_request(self, call: _Call, part: str, frame: Frame) -> None:
        url = urlsplit(str(frame.payload["url"]))
        body = _object(frame.payload.get("body") or b"")
        if part.startswith("send-"):
            closes = url.path.endswith("/close")
            call.gates.append((len(call.messages), None if closes else body.get("data")))
            return
        way = _WAYS.get(part)
        if way is None:
            return
        call.asked = True
        if "/call/" in url.path:
            call.way = Way.CALL
            if part == "join":
                call.api_name = url.path.partition("/call/")[2]
                call.body = body
        elif part == "stream":  # the join of sse v0
            query = parse_qs(url.query)
            call.body |= {"fn_index": int(query["fn_index"][0])} if "fn_index" in query else {}
            self.decoders.pop(frame.channel, None)
        else:
            call.way, call.body = way, call.body | body
            if part == "run":
                call.api_name = url.path.rstrip("/").rpartition("/")[2]

    def _take_reply(self, call: _Call, part: str, frame: Frame) -> None:
        status, body = int(frame.payload["status"]), frame.payload.get("body") or b""
        value = _object(body)
        if part == "run":
            call.status = status
            call.messages.append(completion(value, success=status == 200))
            if not value:
                call.refusal = _refusal(frame)
        elif part == "status" and value.get("status") in ("COMPLETE", "FAILED"):
            data = value.get("data")
            text = data if isinstance(data, str) else ""
            found = cast("dict[str, Any]", data) if isinstance(data, dict) else _object(text)
            call.messages.append(completion(found, success=value["status"] == "COMPLETE"))
        elif part == "status" and status == 200:
            call.states.append(value)
        elif part == "push" and status == 200:
            call.position = value.get("queue_position")
        elif part in ("join", "push", "stream", "socket", "data") and status != 200:
            call.refusal = _refusal(frame)
        elif part == "join":
            call.event_id = str(value.get("event_id"))
            for message in self.early.pop(call.event_id, ()):
                call.take(message)

    def _take_text(self, call: _Call, frame: Frame) -> None:
        message = _object(str(frame.payload["text"]))
        if frame.direction is Direction.IN:
            call.take(message)
        else:
            call.body |= message


_WAYS = {
    "join": Way.STREAM, "stream": Way.STREAM, "data": Way.STREAM, "run": Way.DIRECT, "push": Way.POLLING,
}  # fmt: skip


def _take_named(call: _Call, event: str, data: str) -> None:
    """Process an event of /call."""
    try:
        value = json.loads(data)
    except ValueError:
        value = None
    if event == "generating":
        output = {"data": value, "is_generating": True}
        call.messages.append({"msg": "process_generating", "output": output, "success": True})
    elif event == "complete":
        call.messages.append(completion({} if value is None else {"data": value}, success=True))
    elif event == "error":
        error = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
        call.messages.append(completion(error, success=False))


def completion(output: Mapping[str, Any], *, success: bool) -> dict[str, Any]:
    """Return a message that completes a call."""
    return {"msg": "process_completed", "output": dict(output), "success": success}


def _refusal(frame: Frame) -> Reply:
    headers = {str(key).lower(): str(value) for key, value in frame.payload.get("headers", {}).items()}
    kind = headers.get("content-type", "application/json")
    return Reply(int(frame.payload["status"]), kind, frame.payload.get("body") or b"")


def _object(text: bytes | str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def outcomes(trace: Trace, name: str) -> Sequence[Outcome]:
    """Return the outcome of each call of a trace, in the order in which they were started."""
    readers: dict[int, _Reader] = {}
    for frame in trace.frames:
        if frame.session:
            readers.setdefault(frame.session, _Reader()).take(frame)
    found = [
        call.outcome(name, number, one.alias)
        for number, one in readers.items()
        for call in one.calls.values()
    ]
    return [one for one in found if one is not None]


__all__ = ["Outcome", "Reply", "Way", "completion", "is_last", "outcomes"]
