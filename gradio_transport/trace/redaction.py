# SPDX-License-Identifier: Apache-2.0
"""Removes secrets from frames before they are written, so that traces can be shared.

Only harmless headers are written. The caller's secrets are removed everywhere, and so are values that look
like secrets by their name or form (`gradio_transport.protocol.secret_forms`). A session hash, which gives
access to its session, becomes an alias that is the same everywhere in a trace.

Why on texts in requests and replies alike, not by field: a replay gets the redacted replies, so its requests
differ from the original in the same places as the redacted requests.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any, cast

from ..protocol.headers import HARMLESS_HEADERS
from ..protocol.known_secrets import LONGEST_SECRET, REDACTED, KnownSecrets, Span, replace_spans
from ..protocol.secret_forms import SHORTEST_HASH, is_secret_in_request
from ..protocol.secret_search import redacted_number, take_out

DESCRIPTION = (
    "headers", "cookies", "tokens", "passwords", "session hashes", "upload bodies",
    "secrets of the caller", "values named as secrets", "user and password of URLs",
)  # fmt: skip
"""The kinds of removed values, for the meta line."""

LONGEST_LINE = 256 * 1024
"""Bytes of a line that wait for its end."""

_SHORTEST_SENT = 6
"""Secrets of requests from this length on are removed from replies too. Shorter ones may be words."""

_APPS = 16
"""The most apps whose secrets one writer keeps, the newest."""

_CONTENTS = ("<bytes>", "<bytearray>", "<InputFile>")

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class Redactor:
    """A rewriter of the payloads of one trace's frames.

    Args:
        secrets: The caller's texts that must not be written.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._given = KnownSecrets((text.strip() for text in secrets if text.strip()), shortest=1)
        self._sent = KnownSecrets(shortest=_SHORTEST_SENT)
        self._of_apps: deque[KnownSecrets] = deque(maxlen=_APPS)
        self._aliases: dict[str, str] = {}

    def know(self, secrets: KnownSecrets) -> None:
        """Also remove the secrets of an app's caller from now on."""
        if not any(known is secrets for known in self._of_apps):
            self._of_apps.append(secrets)

    def add_session(self, session_hash: str) -> None:
        """Give a session hash an alias."""
        if len(session_hash) >= SHORTEST_HASH and session_hash not in self._aliases:
            self._aliases[session_hash] = f"session-{len(self._aliases) + 1}"

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        return take_out(self._known_taken_out(text))[0]

    def _known_taken_out(self, text: str) -> str:
        for secrets in (self._given, *self._of_apps, self._sent):
            if secrets:
                text = replace_spans(text, (_keep_number(text, span) for span in secrets.spans(text)))
        for session_hash, alias in self._aliases.items():
            if session_hash in text:
                text = text.replace(session_hash, alias)
        return text

    def request_text(self, text: str) -> str:
        """Return a sent text without secrets. Its secrets are removed from later texts too."""
        shown, found = take_out(self._known_taken_out(text), is_secret_in_request)
        self._sent.add_passing(*(_unescape(one.text) for one in found if one.replacement))
        # Again, because the text may have them elsewhere too, as any later one.
        return self._known_taken_out(shown)

    def call(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments of a call without secrets, so that they match its redacted request."""
        text = self.request_text(json.dumps(payload, separators=(",", ":"), default=placeholder))
        try:
            return cast("dict[str, Any]", json.loads(text))
        except ValueError:  # a secret of the caller's that is a part of JSON's syntax
            return cast("dict[str, Any]", self.value(payload))

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.value(item) for item in cast("list[Any]", value)]
        if isinstance(value, Mapping):
            return {str(key): self.value(item) for key, item in cast("Mapping[Any, Any]", value).items()}
        return value

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the headers. Only harmless ones keep their values."""
        return {
            name: self.text(value) if name.lower() in HARMLESS_HEADERS else REDACTED
            for name, value in headers.items()
        }

    def data(self, data: bytes, *, outgoing: bool = False) -> bytes:
        """Return bytes without secrets. They need not be valid text."""
        text = data.decode("utf-8", "surrogateescape")
        return (self.request_text(text) if outgoing else self.text(text)).encode("utf-8", "surrogateescape")

    def request_body(self, body: bytes, content_type: str) -> bytes:
        """Return a request's body without secrets; forms (logins) and uploads are removed in full."""
        kind = content_type.lower()
        if kind.startswith("multipart/"):
            return f"{REDACTED} ({len(body)} bytes of multipart)".encode()
        if kind.startswith("application/x-www-form-urlencoded"):
            return REDACTED.encode()
        return self.data(body, outgoing=True)


class StreamRedactor:
    """A rewriter of the bytes of one stream, line by line, so that no secret is split.

    Why not as they come: no server acts on a part of a line, and neither does a machine, so a trace loses
    nothing; and what may be the beginning of a secret need not be guessed. A line that is very long comes in
    parts.
    """

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._held: list[bytes] = []
        self._size = 0
        self._dropping = False

    def feed(self, data: bytes) -> bytes:
        """Process bytes, and return those that can be written now."""
        if self._dropping:
            end = _first_line_end(data)
            self._dropping, data = end < 0, data[end:] if end >= 0 else b""
        self._held.append(data)
        self._size += len(data)
        if self._size <= LONGEST_LINE and _line_end(data) == 0:
            return b""
        held = self._take()
        complete = self._complete_length(held)
        if len(held) - complete > LONGEST_LINE:
            return self._write_part(held)
        self._hold(held[complete:])
        return self._redactor.data(held[:complete])

    def flush(self) -> bytes:
        """Return the incomplete line."""
        return self._redactor.data(self._take())

    def _hold(self, data: bytes) -> None:
        self._held, self._size = [data], len(data)

    def _take(self) -> bytes:
        held = b"".join(self._held)
        self._held, self._size = [], 0
        return held

    def _complete_length(self, data: bytes) -> int:
        """Return the length of the lines that are complete, but for those that go on in the next."""
        end = _line_end(data)
        tail = data[max(0, end - LONGEST_SECRET) : end]
        begun = tail.rfind(b"-----BEGIN")
        if begun < 0 or b"-----END" in tail[begun:]:
            lines = tail.rstrip()
            if not lines.endswith((b'":', b"':")):
                return end
            begun = len(lines)  # a key, whose value is in the next line
        start = end - len(tail)
        line = start + _line_end(tail[:begun])
        return end if line == start > 0 else line  # of a line that is longer, the rest is looked at by itself

    def _write_part(self, data: bytes) -> bytes:
        """Return the beginning of a line that is too long to wait for, and hold the end of it.

        It is parted where both parts are redacted as the whole is: no secret goes across.
        """
        whole = self._redactor.data(data)
        for more in (0, 1024):
            place = len(data) - LONGEST_SECRET - more
            first = self._redactor.data(data[:place])
            if first + self._redactor.data(data[place:]) == whole:
                self._hold(data[place:])
                return first
        # All of it is a secret, or made to look so. What is left of the line is not written at all.
        self._dropping = True
        return whole


def _line_end(data: bytes) -> int:
    """Return where the last complete line ends; 0: there is none."""
    return max(data.rfind(b"\n"), data.rfind(b"\r")) + 1


def _first_line_end(data: bytes) -> int:
    """Return where the first line ends, without its end; -1: it does not."""
    places = [place for mark in (b"\n", b"\r") if (place := data.find(mark)) >= 0]
    return min(places, default=-1)


def _keep_number(text: str, span: Span) -> Span:
    """Return a replacement that is a number where a number is replaced: the text may be JSON."""
    hidden = text[span.start : span.end]
    return span._replace(replacement=redacted_number(hidden)) if _NUMBER.fullmatch(hidden) else span


def _unescape(text: str) -> str:
    """Return what a text is as the content of a JSON string, or the text."""
    try:
        value = json.loads(f'"{text}"')
    except ValueError:
        return text
    return str(value)


def placeholder(value: object) -> str:
    """Return the replacement for a value that JSON cannot represent."""
    return f"<{type(value).__name__}>"


def lacks_content(value: object) -> bool:
    """Return whether a recorded argument has a `placeholder` where the content of a file was."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += cast("list[object]", value)
        elif isinstance(value, dict):
            waiting += cast("dict[str, object]", value).values()
        elif value in _CONTENTS:
            return True
    return False
