# SPDX-License-Identifier: Apache-2.0
"""Export of a trace as a HAR file (HTTP Archive 1.2), for browsers and other tools.

Streams are stored twice: as the full text of the reply, and as timed messages in Chrome's
``_eventSourceMessages``. Websockets have ``_webSocketMessages``. Data of calls that is not HTTP is in
comments. Redacted values stay redacted.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from importlib import metadata
from itertools import islice
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

import attrs

from ...errors import EventTooLarge
from ...protocol.commands import Ending
from ...protocol.frames import Direction, Frame, Kind
from ...protocol.sse import SSEDecoder
from ..reader import Trace

ENDINGS: Mapping[Ending, str] = {
    Ending.LOCAL: "net::ERR_ABORTED",
    Ending.RESET: "net::ERR_CONNECTION_RESET",
    Ending.IDLE: "net::ERR_TIMED_OUT",
    Ending.TOO_LARGE: "net::ERR_MSG_TOO_BIG",
}
"""Chrome's error text for each ending of a request."""

OWN = "_gradioTransport"
"""Field of the log with what a trace says of itself."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_NOT_RECORDED = "not recorded"

_MOST_TRIED = 100
"""Requests of one channel that a reply is compared with, the oldest."""


@attrs.define(eq=False)
class _Exchange:
    """A request or a websocket, and its outcome."""

    frame: Frame
    endpoint: str
    head: Frame | None = None
    error: Frame | None = None
    body: bytes | None = None
    pieces: list[Frame] = attrs.field(factory=list[Frame])
    ending: Ending | None = None
    end: float | None = None
    closing: Mapping[str, Any] | None = None
    is_stream: bool = False

    @property
    def is_socket(self) -> bool:
        return self.frame.kind is Kind.WS_OPEN

    @property
    def last(self) -> float:
        """When it ended, or the last thing that is known of it."""
        times = [self.frame.t, *(frame.t for frame in (self.head, self.error) if frame is not None)]
        return max([*times, *(frame.t for frame in self.pieces[-1:]), self.end or 0.0])


def har_of(trace: Trace) -> dict[str, Any]:
    """Return a trace as the JSON of a HAR file."""
    made: dict[str, Any] = json.loads(write_har(trace))
    return made


def write_har(trace: Trace) -> str:
    """Return a trace as the text of a HAR file."""
    return "".join(har_parts(trace.frames, trace.meta, find_start(trace.frames)))


def har_parts(frames: Iterable[Frame], meta: Mapping[str, Any], started: datetime) -> Iterator[str]:
    """Yield a trace as the text of a HAR file, which is ASCII, with one entry a line.

    An entry is yielded when it and those before it have ended, so that a long trace need not be in memory.

    Args:
        frames: The frames, taken one by one.
        meta: The values of the meta lines. It is read last, so that reading the frames may fill it.
        started: The time of the first frame; see `find_start`.
    """
    creator = {"name": "gradio-transport", "version": metadata.version("gradio-transport")}
    yield f'{{"log": {{\n"version": "1.2",\n"creator": {json.dumps(creator)},\n"pages": [],\n"entries": ['
    separator = "\n"
    pairing = _Pairing()
    for exchange in itertools.chain.from_iterable(map(pairing.take, frames)):
        yield separator + json.dumps(_entry(exchange, started))
        separator = ",\n"
    for exchange in pairing.rest():
        yield separator + json.dumps(_entry(exchange, started))
        separator = ",\n"
    own = {
        key: meta[key]
        for key in ("recorder", "library", "gradio", "adapter", "source", "redacted")
        if key in meta
    }
    yield f"\n],\n{json.dumps(OWN)}: {json.dumps(own)}\n}}}}"


def find_start(frames: Iterable[Frame]) -> datetime:
    """Return the time of the first frame, as the first reply with a date says it; else the epoch."""
    for frame in frames:
        date = _header(frame.payload.get("headers"), "date") if frame.direction is Direction.IN else ""
        if date:
            try:
                return parsedate_to_datetime(date) - timedelta(seconds=frame.t)
            except (ValueError, TypeError, OverflowError):
                continue
    return _EPOCH


class _Pairing:
    """Finds which reply belongs to which request."""

    def __init__(self) -> None:
        self._exchanges: deque[_Exchange] = deque()
        self._open: dict[tuple[int, str], deque[_Exchange]] = {}
        self._endpoints: dict[tuple[int, str], str] = {}

    def take(self, frame: Frame) -> Iterator[_Exchange]:
        """Process the next frame, and yield the complete exchanges, in the order of their start."""
        self._add_frame(frame)
        while self._exchanges and self._exchanges[0].end is not None:
            yield self._exchanges.popleft()

    def rest(self) -> Iterator[_Exchange]:
        """Yield those that are left when the trace ends."""
        yield from self._exchanges

    def _add_frame(self, frame: Frame) -> None:
        place = frame.session, frame.channel
        match frame.kind:
            case Kind.CALL:
                name = frame.payload.get("endpoint") or f"fn_index {frame.payload.get('fn_index')}"
                self._endpoints[place] = str(name)
            case Kind.REQUEST | Kind.WS_OPEN:
                key = frame.channel.partition(".")[0]
                exchange = _Exchange(frame, self._endpoints.get((frame.session, key), ""))
                self._exchanges.append(exchange)
                self._open.setdefault(place, deque()).append(exchange)
            case _ if frame.direction is not Direction.LOCAL:
                waiting = self._open.get(place)
                if waiting:
                    self._add(waiting, self._choose(waiting, frame), frame)
            case _:
                pass

    @staticmethod
    def _choose(waiting: deque[_Exchange], frame: Frame) -> _Exchange:
        """Return the exchange that a frame is part of; several downloads share a channel."""
        if frame.kind in (Kind.RESPONSE, Kind.RESPONSE_HEAD, Kind.ERROR):
            first = list(islice(waiting, _MOST_TRIED))
            unanswered = [one for one in first if one.head is None] or first
            url = frame.payload.get("url")
            return next((one for one in unanswered if one.frame.payload.get("url") == url), unanswered[0])
        return next((one for one in islice(waiting, _MOST_TRIED) if one.head is not None), waiting[0])

    @staticmethod
    def _add(waiting: deque[_Exchange], exchange: _Exchange, frame: Frame) -> None:
        payload = frame.payload
        is_over = True
        match frame.kind:
            case Kind.RESPONSE:
                exchange.head, exchange.ending = frame, Ending.CLEAN
                exchange.body = payload.get("body") or b""
            case Kind.RESPONSE_HEAD:
                exchange.head, exchange.is_stream, is_over = frame, True, False
            case Kind.WS_ACCEPT:
                exchange.head, is_over = frame, False
            case Kind.CHUNK | Kind.WS_TEXT:
                exchange.pieces.append(frame)
                is_over = False
            case Kind.ERROR:
                exchange.error = frame
            case Kind.STREAM_CLOSE | Kind.WS_CLOSE:
                exchange.ending = Ending.LOCAL
            case Kind.END:
                exchange.ending, exchange.closing = Ending(payload["ending"]), payload
            case _:
                is_over = False
        if is_over:
            exchange.end = frame.t
            waiting.remove(exchange)


def _entry(exchange: _Exchange, started: datetime) -> dict[str, Any]:
    begin = exchange.frame.t
    head = exchange.head or exchange.error
    wait = (head.t if head is not None else exchange.last) - begin
    receive = exchange.last - begin - wait
    entry: dict[str, Any] = {
        "startedDateTime": _iso(started, begin),
        "time": _milliseconds(wait + receive),
        "request": _request(exchange),
        "response": _response(exchange),
        "cache": {},
        "timings": {
            "blocked": -1,
            "dns": -1,
            "ssl": -1,
            "connect": -1,
            "send": 0,
            "wait": _milliseconds(wait),
            "receive": _milliseconds(receive),
        },
        "_resourceType": "websocket" if exchange.is_socket else "fetch",
        "comment": _comment(exchange),
    }
    if exchange.end is None:
        entry["_pending"] = True
    origin = started.timestamp()
    if exchange.is_socket:
        entry["_webSocketMessages"] = [
            {
                "type": "send" if frame.direction is Direction.OUT else "receive",
                "time": origin + frame.t,
                "opcode": 1,
                "data": frame.payload["text"],
            }
            for frame in exchange.pieces
        ]
        if exchange.end is not None and exchange.error is None and exchange.body is None:
            entry["_webSocketClosed"] = _closing(exchange, origin)
    elif exchange.is_stream and "event-stream" in _content_type(exchange):
        entry["_eventSourceMessages"] = _messages(exchange.pieces, origin)
    return entry


def _closing(exchange: _Exchange, origin: float) -> dict[str, Any]:
    """Return how a websocket ended, which no browser writes."""
    closing = exchange.closing or {}
    ending = exchange.ending or Ending.RESET
    return {
        "time": origin + (exchange.end or 0.0),
        "ending": ending.value,
        "code": closing.get("code"),
        "reason": str(closing.get("reason") or ""),
    }


def _messages(pieces: Sequence[Frame], origin: float) -> list[dict[str, Any]]:
    decoder = SSEDecoder()
    messages: list[dict[str, Any]] = []
    for frame in pieces:
        try:
            events = decoder.feed(frame.payload["data"])
        except EventTooLarge:
            break
        messages += [
            {"time": origin + frame.t, "eventName": event.event, "eventId": event.id, "data": event.data}
            for event in events
        ]
    return messages


def _request(exchange: _Exchange) -> dict[str, Any]:
    payload = exchange.frame.payload
    url = str(payload["url"])
    body: bytes | None = payload.get("body")
    request: dict[str, Any] = {
        "method": payload.get("method", "GET"),
        "url": url,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(payload.get("headers")),
        "queryString": [
            {"name": name, "value": value}
            for name, value in parse_qsl(urlsplit(url).query, keep_blank_values=True)
        ],
        "headersSize": -1,
        "bodySize": len(body) if body is not None else 0,
    }
    files: object = payload.get("files")
    if isinstance(files, list) and files:
        request["bodySize"] = -1
        request["postData"] = {
            "mimeType": "multipart/form-data",
            "params": [
                {"name": "files", "fileName": str(cast("dict[str, Any]", file).get("name"))}
                for file in cast("list[Any]", files)
                if isinstance(file, dict)
            ],
            "comment": _NOT_RECORDED,
        }
    elif body:
        request["postData"] = {"mimeType": _header(payload.get("headers"), "content-type"), **_text(body)}
    return request


def _response(exchange: _Exchange) -> dict[str, Any]:
    head = exchange.head
    status = 101 if head is not None and head.kind is Kind.WS_ACCEPT else 0
    headers: Mapping[str, str] | None = None
    if head is not None and head.kind is not Kind.WS_ACCEPT:
        status, headers = int(head.payload["status"]), head.payload.get("headers")
    response: dict[str, Any] = {
        "status": status,
        "statusText": _phrase(status),
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _headers(headers),
        "content": {"size": 0, "mimeType": _header(headers, "content-type") or "x-unknown"},
        "redirectURL": _header(headers, "location"),
        "headersSize": -1,
        "bodySize": -1,
    }
    body = exchange.body
    if exchange.is_stream:
        body = b"".join(frame.payload["data"] for frame in exchange.pieces)
    if body is not None:
        response["content"] |= {"size": len(body), **_text(body)}
        response["bodySize"] = len(body)
    if exchange.error is not None:
        response["_error"] = f"{exchange.error.payload['error']}: {exchange.error.payload['message']}"
    elif not exchange.is_socket and exchange.ending is not None and exchange.ending in ENDINGS:
        response["_error"] = ENDINGS[exchange.ending]
    return response


def _comment(exchange: _Exchange) -> str:
    frame = exchange.frame
    parts = [f"session {frame.session}" if frame.session else "", exchange.endpoint, frame.channel]
    if frame.retried:
        parts.append(f"attempt {frame.payload['attempt']}")
    if exchange.closing is not None and exchange.closing.get("reason"):
        parts.append(f"ended: {exchange.closing['reason']}")
    if exchange.end is None:
        parts.append("had not ended at the end of the trace")
    return ", ".join(part for part in parts if part)


def _text(body: bytes) -> dict[str, Any]:
    try:
        return {"text": body.decode("utf-8", "surrogatepass")}
    except UnicodeDecodeError:
        return {"text": base64.b64encode(body).decode("ascii"), "encoding": "base64"}


def _headers(headers: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"name": name, "value": str(value)} for name, value in (headers or {}).items()]


def _header(headers: Mapping[str, str] | None, wanted: str) -> str:
    found = (value for name, value in (headers or {}).items() if name.lower() == wanted)
    return str(next(found, ""))


def _content_type(exchange: _Exchange) -> str:
    return _header(exchange.head.payload.get("headers"), "content-type") if exchange.head is not None else ""


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _iso(started: datetime, seconds: float) -> str:
    return (started + timedelta(seconds=seconds)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _milliseconds(seconds: float) -> float:
    return round(max(seconds, 0.0) * 1000, 3)


__all__ = ["ENDINGS", "OWN", "find_start", "har_of", "har_parts", "write_har"]
