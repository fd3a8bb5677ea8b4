# SPDX-License-Identifier: Apache-2.0
"""The messages of a recorded trace, each with the name of its schema."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import attrs

from gradio_transport.protocol.sse import SSEDecoder

Named: TypeAlias = tuple[str, Any]
"""A message: the name of its schema, and its value."""

ROUTES = {
    r"POST /api/queue/push/": ("push", "push_reply"),
    r"POST /api/queue/status/": ("status", "status_reply"),
    r"POST /(api|run)/[^/]+/?": ("direct", "direct_reply"),
    r"POST /queue/join": ("join", "join_reply"),
    r"POST /queue/data": ("v0_data", "v0_data_reply"),
    r"POST /call/v2/[^/]+": ("call_v2", "call_reply"),
    r"POST /call/[^/]+": ("call", "call_reply"),
    r"POST /cancel": ("cancel", "cancel_reply"),
    r"POST /reset": ("reset", "reset_reply"),
    r"POST /stream/[^/]+": ("stream_chunk", "stream_reply"),
    r"POST /stream/[^/]+/close": ("stream_close", "stream_reply"),
    r"POST /component_server/": ("component_call", ""),
    r"POST /upload": ("", "upload_reply"),
    r"POST /login": ("", "login_reply"),
    r"GET /queue/join": ("v0_stream", ""),
    r"GET /queue/data": ("session_stream", ""),
    r"GET /config/?": ("", "config"),
    r"GET /info": ("", "info"),
    r"GET /app_id": ("", "app_id"),
    r"GET /(call|heartbeat|file=?|stream)/?.*": ("", ""),
}
"""What is sent in the request and in the reply of each route. Empty: it is redacted, or the app's own."""


class UnknownRoute(ValueError):
    """A request that no entry of `ROUTES` describes."""


def route(method: str, url: str) -> tuple[str, str]:
    """Return the schemas of a request and of its reply."""
    path = re.sub(r"^(/behind/app)?(/gradio_api)?", "", urlsplit(url).path)
    found = [both for pattern, both in ROUTES.items() if re.fullmatch(pattern, f"{method} {path}")]
    if not found:
        raise UnknownRoute(f"{method} {path}")
    return found[0]


@attrs.define
class _Channel:
    """A request, stream or socket under way."""

    method: str = "GET"
    url: str = ""
    decoder: SSEDecoder = attrs.field(factory=SSEDecoder)
    last: str = ""


class TraceMessages:
    """Reads the messages of the traces of one Gradio version. Bodies that traces share are read once."""

    def __init__(self, version: str) -> None:
        self.legacy = version.startswith("2.")
        self._known: set[Path] = set()

    def of(self, path: Path) -> Iterator[Named]:
        """Yield the messages of a trace in their order."""
        channels: dict[tuple[Any, Any], _Channel] = {}
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                frame = json.loads(line)
                key = (frame.get("session"), frame.get("channel"))
                match frame["kind"]:
                    case "request":
                        channels[key] = _Channel(frame["method"], frame["url"])
                        yield from self._request(frame)
                    case "response":
                        yield from self._reply(frame, channels[key].method, path.parent)
                    case "chunk":
                        yield from _events(channels[key], frame["data"])
                    case "ws-text":
                        yield _text(channels.setdefault(key, _Channel()), frame)
                    case _:
                        pass

    def _request(self, frame: dict[str, Any]) -> Iterator[Named]:
        name, _ = route(frame["method"], frame["url"])
        if name and frame["method"] == "GET":
            yield name, dict(parse_qsl(urlsplit(frame["url"]).query))
        elif name:
            yield "predict_2x" if name == "direct" and self.legacy else name, json.loads(frame["body"])

    def _reply(self, frame: dict[str, Any], method: str, folder: Path) -> Iterator[Named]:
        """Yield a reply. Those that do not say that they are JSON are pages and texts for people."""
        if "application/json" not in frame["headers"].get("content-type", ""):
            return
        _, name = route(method, frame["url"])
        body: Any = frame.get("body")
        if isinstance(body, dict) and "file" in body:
            file = folder / body["file"]
            if file in self._known:
                return
            self._known.add(file)
            body = file.read_text("utf-8")
        value = json.loads(body)
        if frame["status"] != 200:
            yield "direct_failure" if name == "direct_reply" and "error" in value else "refusal", value
        elif name:
            yield self._named(name, value), value

    def _named(self, name: str, value: Any) -> str:
        if name == "config" and "dependencies" not in value:
            return "login_stub" if "auth_required" in value else "config_2x"
        return "predict_2x_reply" if name == "direct_reply" and self.legacy else name


def _events(channel: _Channel, data: Any) -> Iterator[Named]:
    path = urlsplit(channel.url).path
    if "/file=" in path or "/file/" in path or "/stream/" in path:
        return  # a file
    for event in channel.decoder.feed(data.encode()):
        if "/heartbeat/" in path:
            yield "session_heartbeat", event.data
        elif "/call/" in path:
            yield f"call_{event.event}", json.loads(event.data)
        else:
            yield _named(json.loads(event.data))


def _text(channel: _Channel, frame: dict[str, Any]) -> Named:
    value = json.loads(frame["text"])
    if frame["dir"] == "in":
        channel.last = value["msg"]
        return _named(value)
    if not channel.last:
        return "ws_hash", value
    return "ws_session" if channel.last == "send_hash" else "ws_data", value


def _named(message: dict[str, Any]) -> Named:
    return {"alive?": "alive"}.get(message["msg"], message["msg"]), message


def shape_of(value: Any, depth: int = 4) -> Any:
    """Return what messages that a schema judges alike have in common: types, short texts, signs of numbers.

    Values of components (lists named ``data``) are the app's own: of those only the type counts.
    """
    match value:
        case dict() if depth:
            return tuple(
                (key, shape_of(one, 0 if key == "data" and isinstance(one, list) else depth - 1))
                for key, one in sorted(value.items())
            )
        case list() if depth:
            return ("[]", *sorted({repr(shape_of(one, depth - 1)) for one in value}))
        case str() if len(value) <= 16:
            return value
        case bool() | None:
            return value
        case int() | float():
            return type(value).__name__, value < 0
        case _:
            return type(value).__name__
