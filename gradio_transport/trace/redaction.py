# SPDX-License-Identifier: Apache-2.0
"""Removes secrets from frames before they are written, so that traces can be shared.

Only allowed headers are written. Tokens, passwords, cookies and signatures are removed wherever they occur.
A session hash, which gives access to its session, becomes an alias that is the same everywhere in a trace.

Why text by text in requests and replies alike, and not by field: a replay is fed the redacted replies, so
its requests differ from the original in the same places as the redacted requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import quote, quote_plus

REDACTED = "REDACTED"

ALLOWED_HEADERS = frozenset(
    {
        "accept", "cache-control", "connection", "content-disposition", "content-encoding", "content-length",
        "content-type", "date", "location", "retry-after", "server", "transfer-encoding", "x-gradio-user",
    }
)  # fmt: skip
"""Headers whose values are written; of all others only the names are."""

SECRET_KEYS = ("oauth_token", "access_token", "password")
"""Keys of JSON objects whose text is removed everywhere."""

REQUEST_KEYS = ("token",)
"""Keys whose text is removed from requests only; replies use them for other things (gr.HighlightedText)."""

DESCRIPTION = ("headers", "cookies", "tokens", "passwords", "session hashes", "upload bodies")
"""What was removed, for the meta line."""

LONGEST_SECRET = 16_384
"""Bound of the bytes at the end of a chunk that wait for the rest of a secret. No token is that long."""

_SHORTEST_HASH = 8
"""A shorter hash was chosen by a program. It is no secret, and may be a word that the protocol uses."""

_SHORTEST_PASSWORD = 6
"""Passwords of requests from this length on are removed from replies too. Shorter ones may be words."""


def _key_patterns(keys: Iterable[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of a JSON member with such a key: plain, and inside another JSON string."""
    names = "|".join(keys)
    plain = rf'(?i)("(?:{names})"\s*:\s*")((?:[^"\\]|\\.)*)'
    quoted = rf'(?i)(\\"(?:{names})\\"\s*:\s*\\")([^"\\]*)'
    return re.compile(plain), re.compile(quoted)


def _prefixes(word: str) -> str:
    """Return a pattern of every proper beginning of a word."""
    return "|".join(re.escape(word[:length]) for length in range(len(word) - 1, 0, -1))


_TOKEN = re.compile(r"hf_[A-Za-z0-9]{8,}")
_SIGNATURE = re.compile(r"(__sign=)[^&\s\"'\\]+")
_JWT = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")
_USER_INFO = re.compile(r"(://)[^/@\s\"'\\]+@")
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (_TOKEN, REDACTED),
    (_SIGNATURE, rf"\1{REDACTED}"),
    (_JWT, REDACTED),
    (_USER_INFO, r"\1"),
    *((pattern, rf"\1{REDACTED}") for pattern in _key_patterns(SECRET_KEYS)),
)
_REQUEST_PATTERNS = _key_patterns((*SECRET_KEYS, *REQUEST_KEYS))

_UNFINISHED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?:hf_[A-Za-z0-9]*|{_prefixes('hf_')})\Z",
        rf"(?:__sign=[^&\s\"'\\]*|{_prefixes('__sign=')})\Z",
        rf"(?:eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){{0,2}}|{_prefixes('eyJ')})\Z",
        r":(?:/|//[^/@\s\"'\\]*)?\Z",
        rf'(?i)(?:\\|\\?"(?:{"|".join(_prefixes(key + chr(34)) for key in SECRET_KEYS)})?\\?)\Z',
        rf'(?i)"(?:{"|".join(SECRET_KEYS)})"[ \t]*(?::[ \t]*(?:"(?:[^"\\]|\\.)*\\?)?)?\Z',
        rf'(?i)\\"(?:{"|".join(SECRET_KEYS)})\\"[ \t]*(?::[ \t]*(?:\\(?:"[^"\\]*)?)?)?\Z',
    )
)
"""Patterns of the end of a chunk in which a secret may continue in the next chunk."""


class Redactor:
    """Rewrites the payloads of one trace's frames.

    Args:
        secrets: Texts of the caller's own that must not be written.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._replacements: dict[str, str] = {}
        self._aliases: dict[str, str] = {}
        for secret in secrets:
            self._add_secret(secret.strip())

    def add_session(self, session_hash: str) -> None:
        """Give a session hash an alias."""
        if len(session_hash) >= _SHORTEST_HASH and session_hash not in self._aliases:
            self._aliases[session_hash] = f"session-{len(self._aliases) + 1}"

    def _add_secret(self, secret: str) -> None:
        """Remove a secret from now on, in the spellings that JSON and URLs give it."""
        spellings = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        spellings |= {quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
        # A number becomes a number, because the text may be JSON and must stay that.
        replacement = "9" * len(secret) if secret.isdigit() else REDACTED
        self._replacements |= {spelling: replacement for spelling in spellings if spelling}
        # The longest first, because a secret may be a part of another.
        self._replacements = dict(sorted(self._replacements.items(), key=lambda item: -len(item[0])))

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for secrets in (self._replacements, self._aliases):
            for secret, replacement in secrets.items():
                if secret in text:
                    text = text.replace(secret, replacement)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def request_text(self, text: str) -> str:
        """Return a text that we send without secrets; passwords in it are removed from later texts too."""
        for pattern in _REQUEST_PATTERNS:
            text = pattern.sub(self._replace_member, text)
        return self.text(text)

    def _replace_member(self, found: re.Match[str]) -> str:
        if len(found[2]) >= _SHORTEST_PASSWORD and found[2] != REDACTED:
            self._add_secret(found[2])
        return found[1] + REDACTED

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
        """Return headers; only the allowed ones keep their values."""
        return {
            name: self.text(value) if name.lower() in ALLOWED_HEADERS else REDACTED
            for name, value in headers.items()
        }

    def data(self, data: bytes, *, outgoing: bool = False) -> bytes:
        """Return bytes without secrets. They need not be valid text."""
        text = data.decode("utf-8", "surrogateescape")
        return (self.request_text(text) if outgoing else self.text(text)).encode("utf-8", "surrogateescape")

    def request_body(self, body: bytes, content_type: str) -> bytes:
        """Return a request's body without secrets; forms, which are logins, and uploads are removed whole."""
        kind = content_type.lower()
        if kind.startswith("multipart/"):
            return f"{REDACTED} ({len(body)} bytes of multipart)".encode()
        if kind.startswith("application/x-www-form-urlencoded"):
            return REDACTED.encode()
        return self.data(body, outgoing=True)

    def unfinished_length(self, data: bytes) -> int:
        """Return how many bytes at the end of a chunk may be the beginning of a secret."""
        text = data[-LONGEST_SECRET:].decode("utf-8", "surrogateescape")
        starts = [found.start() for pattern in _UNFINISHED if (found := pattern.search(text))]
        held = len(text[min(starts, default=len(text)) :].encode("utf-8", "surrogateescape"))
        secrets = (*self._replacements, *self._aliases)
        return max([held, *(_partial_length(secret.encode("utf-8", "replace"), data) for secret in secrets)])


def _partial_length(secret: bytes, data: bytes) -> int:
    """Return the length of the longest beginning of a secret that some bytes end with."""
    lengths = range(min(len(secret) - 1, len(data)), 0, -1)
    return next((length for length in lengths if data.endswith(secret[:length])), 0)


def placeholder(value: object) -> str:
    """Return what is written for a value that JSON cannot represent."""
    return f"<{type(value).__name__}>"
