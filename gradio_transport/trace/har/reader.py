# SPDX-License-Identifier: Apache-2.0
"""Reading and checking of HAR files (HTTP Archive 1.2) from untrusted browsers and proxies.

Chrome, Firefox, Safari, mitmproxy and Charles write the same fields in somewhat different ways: bodies as
text or as base64 or not at all, times with or without a zone, websockets with or without their messages.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

import attrs

from ..reader import TraceError
from ..writer import FORMAT

MOST_ENTRIES = 1_000_000

LARGEST_FILE = 4 * 1024**3
"""Bytes of a file that is read: it has to be in memory, several times over."""

_LONGEST_URL = 1_000_000

_MOST_SECONDS = 10 * 365 * 86_400.0
"""The longest duration of an entry. A longer one is a mistake, or a wrong date."""


class HarError(TraceError):
    """A file is not a HAR, or cannot be imported. The message names the entry, counted from 1."""


@attrs.frozen
class HarMessage:
    """One message of a websocket, or of a stream of events.

    Attributes:
        time: Seconds since the epoch; None if the file has no time of it.
        out: Whether it went to the server.
        data: Its text; None if the file leaves it out, as for an export without sensitive data.
        event: Name of an event of a stream.
        event_id: Id of an event of a stream.
        is_text: Whether it is a text message of a websocket.
    """

    time: float | None
    out: bool
    data: str | None = attrs.field(repr=False)
    event: str = "message"
    event_id: str = ""
    is_text: bool = True


@attrs.frozen
class HarEntry:
    """One request of a HAR file, or one websocket.

    Attributes:
        number: Its number in the file, from 1.
        start: Seconds since the epoch.
        wait: Seconds until the reply began.
        duration: Seconds until it was complete.
        status: 0 if there was no reply.
        body: The reply's; None if the file does not have it.
        body_size: The size of the reply that the file names; -1 if none.
        error: What a browser says of a failure.
        messages: Of a websocket.
        events: Of a stream of events.
        closing: How a websocket ended, where this library has written the file.
        is_pending: It had not ended when the trace did, where this library has written the file.
    """

    number: int
    start: float
    wait: float
    duration: float
    method: str
    url: str
    request_headers: Mapping[str, str] = attrs.field(repr=False)
    request_body: bytes | None = attrs.field(repr=False)
    files: Sequence[Mapping[str, Any]]
    status: int
    response_headers: Mapping[str, str] = attrs.field(repr=False)
    body: bytes | None = attrs.field(repr=False)
    body_size: int
    error: str
    messages: Sequence[HarMessage] | None = attrs.field(repr=False)
    events: Sequence[HarMessage] | None = attrs.field(repr=False)
    closing: Mapping[str, Any] | None
    is_pending: bool = False

    @property
    def is_socket(self) -> bool:
        """Whether it is a websocket."""
        return self.messages is not None or self.url.startswith(("ws://", "wss://"))

    @property
    def title(self) -> str:
        """Its number, method and path, for messages."""
        path = self.url.partition("?")[0].partition("://")[2].partition("/")[2]
        return f"entry {self.number} ({self.method} /{path[:100]})"


@attrs.frozen
class Har:
    """A HAR file.

    Attributes:
        name: Of the file.
        creator: What has written it, such as ``"WebInspector 537.36"``.
        own: What this library has written of the trace it was.
        entries: The requests, in the order of their start.
        ignored: How many entries have URLs of other kinds, such as ``data:``.
    """

    name: str
    creator: str
    own: Mapping[str, Any]
    entries: Sequence[HarEntry] = attrs.field(repr=False)
    ignored: int = 0


def read_har(source: str | os.PathLike[str] | IO[str] | IO[bytes]) -> Har:
    """Read a HAR file.

    Args:
        source: Its path, or a file.

    Raises:
        HarError: It is not a HAR file. The message names the invalid entry.
        OSError: It cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.stat().st_size > LARGEST_FILE:
            raise HarError(f"{path.name} is larger than {LARGEST_FILE} bytes. Export fewer requests.")
        return _Reader(path.name).read(path.read_bytes())
    data = source.read()
    name = str(getattr(source, "name", "the HAR file"))
    return _Reader(name).read(data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data)


class _Reader:
    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0

    def read(self, data: bytes) -> Har:
        if f'"format":"{FORMAT}"'.encode() in data.partition(b"\n")[0]:
            raise HarError(
                f"{self._name} is not a HAR file: it is already a trace. Show it with gradio-transport "
                f"trace show; gradio-transport trace har makes a HAR file of it."
            )
        try:
            root = json.loads(data.decode("utf-8-sig", "replace"))
        except RecursionError:
            raise HarError(f"{self._name} is not a HAR file: it is nested too deeply.") from None
        except ValueError as error:
            raise HarError(f"{self._name} is not a HAR file: it is not JSON ({error}).") from None
        log = _object(_object(root).get("log"))
        entries = log.get("entries")
        if not isinstance(entries, list):
            raise HarError(
                f"{self._name} is not a HAR file: it has no log.entries. Export it from the network panel of "
                "a browser, or from a proxy."
            )
        listed = cast("list[Any]", entries)
        if len(listed) > MOST_ENTRIES:
            raise HarError(f"{self._name} has {len(listed)} entries; the limit is {MOST_ENTRIES}.")
        creator = _object(log.get("creator"))
        found: list[HarEntry] = []
        for number, raw in enumerate(listed, 1):
            self._number = number
            entry = self._entry(raw)
            if entry is not None:
                found.append(entry)
        found.sort(key=lambda entry: entry.start)
        named = " ".join(str(creator.get(key, ""))[:100] for key in ("name", "version")).strip()
        return Har(self._name, named, _object(log.get("_gradioTransport")), found, len(listed) - len(found))

    def _wrong(self, what: str) -> HarError:
        return HarError(f"Entry {self._number} of {self._name} {what}.")

    def _entry(self, raw: Any) -> HarEntry | None:
        if not isinstance(raw, dict):
            raise self._wrong("is not a JSON object")
        entry = cast("dict[str, Any]", raw)
        request, response = self._part(entry, "request"), self._part(entry, "response", needed=False)
        url, method = request.get("url"), request.get("method")
        if not isinstance(url, str) or not isinstance(method, str):
            raise self._wrong("has no text as request.url and request.method")
        if len(url) > _LONGEST_URL:
            raise self._wrong(f"has a URL of more than {_LONGEST_URL} characters")
        if not url.lower().startswith(("http://", "https://", "ws://", "wss://")):
            return None  # data:, blob:, of an extension
        timings = _object(entry.get("timings"))
        duration = self._seconds(entry.get("time"))
        receive = min(self._seconds(timings.get("receive")), duration)
        content = self._part(response, "content", needed=False)
        post = self._part(request, "postData", needed=False)
        sockets = entry.get("_webSocketMessages")
        return HarEntry(
            number=self._number,
            start=self._start(entry),
            wait=duration - receive,
            duration=duration,
            method=method,
            url=url,
            request_headers=self._headers(request),
            request_body=self._request_body(post),
            files=_files(post),
            status=self._status(response),
            response_headers=self._headers(response),
            body=self._body(content),
            body_size=_size(content),
            error=_text(response.get("_error")) or _text(response.get("_errorMessage")),
            messages=None if sockets is None else self._socket_messages(sockets),
            events=self._events(entry.get("_eventSourceMessages")),
            closing=_object(entry.get("_webSocketClosed")) or None,
            is_pending=entry.get("_pending") is True,
        )

    def _part(self, of: Mapping[str, Any], name: str, *, needed: bool = True) -> dict[str, Any]:
        value = of.get(name)
        if value is None and not needed:
            return {}
        if not isinstance(value, dict):
            raise self._wrong(f"has no JSON object as {name}")
        return cast("dict[str, Any]", value)

    def _start(self, entry: Mapping[str, Any]) -> float:
        text = entry.get("startedDateTime")
        try:
            moment = datetime.fromisoformat(str(text)[:64])
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return moment.timestamp()
        except (ValueError, OverflowError):
            raise self._wrong(f"has no time as startedDateTime ({str(text)[:40]!r})") from None

    def _seconds(self, value: Any) -> float:
        """Return milliseconds as seconds; -1, null and what is absurd as 0."""
        number = _number(value)
        if number is None:
            return 0.0
        seconds = number / 1000
        if seconds > _MOST_SECONDS:
            raise self._wrong(f"took {seconds:.0f} s, which is years")
        return max(seconds, 0.0)

    def _headers(self, part: Mapping[str, Any]) -> dict[str, str]:
        listed = part.get("headers")
        if listed is None:
            return {}
        if not isinstance(listed, list):
            raise self._wrong("has headers that are not a list")
        headers: dict[str, str] = {}
        for one in cast("list[Any]", listed):
            name, value = _object(one).get("name"), _object(one).get("value")
            if not isinstance(name, str) or name.startswith(":"):  # a pseudo header of HTTP/2
                continue
            lower, text = name.lower(), "" if value is None else str(value)
            many = lower == "set-cookie" and lower in headers
            headers[lower] = f"{headers[lower]}\n{text}" if many else text
        return headers

    def _status(self, response: Mapping[str, Any]) -> int:
        status = response.get("status", 0)
        if isinstance(status, str) and status.isdecimal() and len(status) < 5:
            status = int(status)
        if isinstance(status, bool) or not isinstance(status, int) or not 0 <= status <= 999:
            raise self._wrong(f"has the status {str(status)[:40]!r}, which is none")
        return status

    def _request_body(self, post: Mapping[str, Any]) -> bytes | None:
        text = post.get("text")
        if isinstance(text, str):
            if post.get("encoding") == "base64":
                return self._decoded(text)
            return text.encode("utf-8", "surrogatepass")
        return None

    def _body(self, content: Mapping[str, Any]) -> bytes | None:
        text = content.get("text")
        if not isinstance(text, str):
            return None
        if content.get("encoding") == "base64":
            return self._decoded(text)
        return text.encode("utf-8", "surrogatepass")

    def _decoded(self, text: str) -> bytes:
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (ValueError, binascii.Error):
            raise self._wrong("has a body that is not base64") from None

    def _socket_messages(self, value: Any) -> list[HarMessage]:
        if not isinstance(value, list):
            raise self._wrong("has _webSocketMessages that are not a list")
        messages: list[HarMessage] = []
        for one in cast("list[Any]", value):
            fields = _object(one)
            kind, data = fields.get("type"), fields.get("data")
            if kind not in ("send", "receive"):
                continue
            is_text = fields.get("opcode", 1) in (1, None)
            text = data if isinstance(data, str) else None
            messages.append(HarMessage(_moment(fields.get("time")), kind == "send", text, is_text=is_text))
        return messages

    def _events(self, value: Any) -> list[HarMessage] | None:
        if value is None:
            return None
        if not isinstance(value, list):
            raise self._wrong("has _eventSourceMessages that are not a list")
        events: list[HarMessage] = []
        for one in cast("list[Any]", value):
            fields = _object(one)
            data = fields.get("data")
            events.append(
                HarMessage(
                    _moment(fields.get("time")),
                    False,
                    data if isinstance(data, str) else None,
                    _text(fields.get("eventName")) or "message",
                    _text(fields.get("eventId")),
                )
            )
        return events


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _size(content: Mapping[str, Any]) -> int:
    size = content.get("size")
    return size if isinstance(size, int) and not isinstance(size, bool) else -1


def _moment(value: Any) -> float | None:
    """Return a time in seconds since the epoch; None for anything else."""
    number = _number(value)
    if number is None or number <= 0:
        return None
    return number / 1000 if number > 1e11 else number  # milliseconds, as some tools write


def _number(value: Any) -> float | None:
    """Return a number of JSON, or None for what is none: an integer may be larger than any float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _files(post: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the names of uploaded files, where a form has parameters in place of a text."""
    params = post.get("params")
    listed = cast("list[Any]", params) if isinstance(params, list) else []
    names = (_text(_object(one).get("fileName")) for one in listed)
    return [{"name": name} for name in names if name]


__all__ = ["Har", "HarEntry", "HarError", "HarMessage", "read_har"]
