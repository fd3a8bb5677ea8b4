# SPDX-License-Identifier: Apache-2.0
"""The recording in a trace, sorted into sessions, requests with their replies, and websockets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast
from urllib.parse import unquote, urlsplit

import attrs

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace


@attrs.frozen
class Part:
    """Bytes of a reply.

    Attributes:
        delay: Seconds to wait before it, as recorded.
        after: Numbers of the session's requests that must arrive before.
    """

    delay: float
    data: bytes = attrs.field(repr=False)
    after: frozenset[int] = frozenset()


@attrs.define
class RecordedRequest:
    """One request of the trace, with its reply.

    Attributes:
        number: Its place among the requests of its session.
        status: None if there was no reply: the connection broke.
        files: Names and sizes of the files of an upload; a trace does not have their content.
        ending: How the reply ended; None if the trace does not say, because the client dropped it.
        stream: Whether the reply arrived in parts.
    """

    number: int
    method: str
    path: str
    query: str
    body: bytes | None
    t: float
    files: Sequence[Mapping[str, Any]] = ()
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    parts: list[Part] = attrs.field(factory=list[Part])
    ending: Ending | None = Ending.RESET
    stream: bool = False


@attrs.frozen
class Say:
    """A text of the server on a websocket."""

    delay: float
    text: str = attrs.field(repr=False)


@attrs.frozen
class Hear:
    """A text of the client on a websocket."""

    text: str = attrs.field(repr=False)


@attrs.define
class RecordedSocket:
    """One websocket of the trace.

    Attributes:
        refusal: Status of the reply to the handshake, if it was refused.
        closes: Whether the server ended it.
        code: The code of its close frame; None if the connection broke without one.
    """

    path: str
    alias: str
    t: float
    steps: list[Say | Hear] = attrs.field(factory=list[Say | Hear])
    refusal: int | None = None
    closes: bool = False
    code: int | None = None


@attrs.define
class RecordedSession:
    """One session of the trace, or (number 0) the discovery."""

    alias: str = ""
    requests: list[RecordedRequest] = attrs.field(factory=list[RecordedRequest])
    sockets: list[RecordedSocket] = attrs.field(factory=list[RecordedSocket])


class Recording:
    """The sessions of a trace, each with its requests and websockets.

    Attributes:
        base: The address of the app when it was recorded.
        shown: The address that the app sent as its own: that of the recording proxy, or empty.
        sessions: The sessions by number; 0 is the discovery.
    """

    def __init__(self, trace: Trace) -> None:
        self.base = _app_address(trace)
        self.sessions: dict[int, RecordedSession] = {0: RecordedSession()}
        self._requests: dict[tuple[int, str], RecordedRequest] = {}
        self._sockets: dict[tuple[int, str], RecordedSocket] = {}
        self._last: dict[int, float] = {}
        for frame in trace.frames:
            self._take(frame)
        self.shown = _shown_address(self.sessions[0])

    def _take(self, frame: Frame) -> None:
        session = self.sessions.setdefault(frame.session, RecordedSession())
        key = frame.session, frame.channel
        if frame.kind is Kind.SESSION:
            session.alias = str(frame.payload["session_hash"])
        elif frame.kind is Kind.REQUEST:
            self._sockets.pop(key, None)
            self._requests[key] = self._recorded_request(frame, len(session.requests))
            session.requests.append(self._requests[key])
        elif frame.kind is Kind.WS_OPEN:
            self._requests.pop(key, None)
            parts = urlsplit(str(frame.payload["url"]))
            self._sockets[key] = RecordedSocket(self._path(parts.path), session.alias, frame.t)
            session.sockets.append(self._sockets[key])
        elif key in self._sockets:
            self._take_websocket_frame(self._sockets[key], frame)
        elif key in self._requests:
            self._take_reply_frame(session, self._requests[key], frame)
        if frame.direction is not Direction.LOCAL:
            self._last[frame.session] = frame.t

    def _path(self, path: str) -> str:
        return unquote(path.removeprefix(urlsplit(self.base).path))

    def _recorded_request(self, frame: Frame, number: int) -> RecordedRequest:
        payload = frame.payload
        parts = urlsplit(str(payload["url"]))
        path, body = self._path(parts.path), payload.get("body")
        files = payload.get("files") or ()
        return RecordedRequest(number, str(payload["method"]), path, parts.query, body, frame.t, files)

    def _take_reply_frame(self, session: RecordedSession, request: RecordedRequest, frame: Frame) -> None:
        payload = frame.payload
        # A part is sent some time after the part before it, or after the request that caused it.
        delay = max(0.0, frame.t - max(self._last.get(frame.session, 0.0), request.t))
        # A request of no session (a file, a heartbeat) waits only for itself.
        after = frozenset(range(len(session.requests)) if frame.session else ())
        if frame.kind is Kind.RESPONSE:
            request.status, request.headers = payload["status"], payload.get("headers", {})
            request.parts = [Part(max(0.0, frame.t - request.t), payload.get("body") or b"")]
            request.ending = Ending.CLEAN
        elif frame.kind is Kind.RESPONSE_HEAD:
            request.status, request.headers = payload["status"], payload.get("headers", {})
            request.stream, request.ending = True, None
        elif frame.kind is Kind.CHUNK:
            request.parts.append(Part(delay, payload["data"], after))
        elif frame.kind is Kind.END:
            request.parts.append(Part(delay, b"", after))
            # A reply that the client ended would have continued.
            ending = Ending(payload["ending"])
            if ending is Ending.LOCAL and _is_over(request.parts):
                ending = Ending.CLEAN  # the server was about to end it too
            request.ending = ending if ending in (Ending.CLEAN, Ending.RESET) else None

    def _take_websocket_frame(self, recorded: RecordedSocket, frame: Frame) -> None:
        match frame.kind, frame.direction:
            case Kind.WS_TEXT, Direction.IN:
                delay = max(0.0, frame.t - max(self._last.get(frame.session, 0.0), recorded.t))
                recorded.steps.append(Say(delay, str(frame.payload["text"])))
            case Kind.WS_TEXT, _:
                recorded.steps.append(Hear(str(frame.payload["text"])))
            case Kind.RESPONSE, _:
                recorded.refusal = int(frame.payload["status"])
            case Kind.END, _:
                ending, code = frame.payload["ending"], frame.payload.get("code")
                recorded.closes = ending in (Ending.CLEAN, Ending.RESET)
                # 1006 says that there was no close frame. No peer may send it.
                broken = ending == Ending.RESET and code in (None, _NO_CLOSE_FRAME)
                recorded.code = code or _NORMAL_CLOSE if recorded.closes and not broken else None
            case _:
                pass


_NORMAL_CLOSE = 1000
_NO_CLOSE_FRAME = 1006

_LAST_EVENT = re.compile(
    rb'(?:"msg": ?"(?:process_completed|close_stream|queue_full)"|^event: (?:complete|error)$)', re.MULTILINE
)


def _is_over(parts: Sequence[Part]) -> bool:
    """Return whether the last event of a stream is one after which servers end it."""
    said = b"".join(part.data for part in parts[-8:]).rstrip()
    return _LAST_EVENT.search(said.rpartition(b"\n\n")[2]) is not None


def _app_address(trace: Trace) -> str:
    """Return the address of the app of a trace. Of several apps (before 3.0) only the first is played."""
    for frame in trace.frames:
        if frame.kind is Kind.SESSION and frame.payload.get("source"):
            return str(frame.payload["source"])
    urls = (str(frame.payload["url"]) for frame in trace.frames if frame.kind is Kind.REQUEST)
    return next(urls, "").partition("?")[0].removesuffix("/").removesuffix("/config")


def _shown_address(discovery: RecordedSession) -> str:
    """Return the address that an app's config names, or an empty string."""
    for request in discovery.requests:
        if request.path.endswith("/config") and request.status == 200:
            with suppress(ValueError):
                config = json.loads(b"".join(part.data for part in request.parts))
                root = cast("dict[str, Any]", config).get("root") if isinstance(config, dict) else None
                return root.rstrip("/") if isinstance(root, str) and "://" in root else ""
    return ""


__all__ = ["Hear", "Part", "RecordedRequest", "RecordedSession", "RecordedSocket", "Recording", "Say"]
