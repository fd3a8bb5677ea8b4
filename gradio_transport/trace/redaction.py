# SPDX-License-Identifier: Apache-2.0
"""Takes secrets out of frames before they are written. Traces are made to be shared.

Headers pass by an allow-list; tokens, passwords, cookies and signatures never do, wherever they stand; a
session hash (whoever knows one can read the session) becomes a stable alias, the same everywhere in a trace,
so that the trace still replays exactly.  Everything is replaced text by text, in requests and replies alike:
what the machine says in a replay therefore differs from the original in the same places.
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
"""Keys of JSON objects whose text is taken out everywhere."""

REQUEST_KEYS = ("token",)
"""Keys whose text is taken out of what we send; replies use them for other things (gr.HighlightedText)."""

DESCRIPTION = ("headers", "cookies", "tokens", "passwords", "session hashes", "upload bodies")
"""What the meta line says was taken out."""

LONGEST_HELD = 16_384
"""How many characters at the end of a chunk may wait for the rest of a secret. No token is that long."""

_SHORTEST_HASH = 8
"""A shorter one is somebody's own choice, no secret, and perhaps a word that the protocol itself uses."""

_SHORTEST_LEARNT = 6
"""Passwords of requests from this length on are looked for in replies too; shorter ones are words."""


def _key_patterns(keys: Iterable[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return the patterns of a JSON member with such a key: as it is, and inside another JSON string."""
    names = "|".join(keys)
    plain = rf'(?i)("(?:{names})"\s*:\s*")((?:[^"\\]|\\.)*)'
    quoted = rf'(?i)(\\"(?:{names})\\"\s*:\s*\\")([^"\\]*)'
    return re.compile(plain), re.compile(quoted)


def _beginnings(word: str) -> str:
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
        rf"(?:hf_[A-Za-z0-9]*|{_beginnings('hf_')})\Z",
        rf"(?:__sign=[^&\s\"'\\]*|{_beginnings('__sign=')})\Z",
        rf"(?:eyJ[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){{0,2}}|{_beginnings('eyJ')})\Z",
        r":(?:/|//[^/@\s\"'\\]*)?\Z",
        rf'(?i)(?:\\|\\?"(?:{"|".join(_beginnings(key + chr(34)) for key in SECRET_KEYS)})?\\?)\Z',
        rf'(?i)"(?:{"|".join(SECRET_KEYS)})"[ \t]*(?::[ \t]*(?:"(?:[^"\\]|\\.)*\\?)?)?\Z',
        rf'(?i)\\"(?:{"|".join(SECRET_KEYS)})\\"[ \t]*(?::[ \t]*(?:\\(?:"[^"\\]*)?)?)?\Z',
    )
)
"""What the end of a chunk looks like when one of the patterns may go on in the next."""


class Redactor:
    """Rewrites the payloads of one trace's frames.

    Args:
        secrets: Texts of the caller's own that must not be written.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._replacements: dict[str, str] = {}
        self._aliases: dict[str, str] = {}
        for secret in secrets:
            self._learn(secret.strip())

    def learn_session(self, session_hash: str) -> None:
        """Give a session hash an alias."""
        if len(session_hash) >= _SHORTEST_HASH and session_hash not in self._aliases:
            self._aliases[session_hash] = f"session-{len(self._aliases) + 1}"

    def _learn(self, secret: str) -> None:
        """Look for a secret from now on, in the spellings that JSON and URLs give it."""
        spellings = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
        spellings |= {quote(secret, safe="", errors="replace"), quote_plus(secret, errors="replace")}
        # A number stays a number, or JSON would be JSON no more.
        replacement = "9" * len(secret) if secret.isdigit() else REDACTED
        self._replacements |= {spelling: replacement for spelling in spellings if spelling}
        # The longest first: a secret may be a part of another.
        self._replacements = dict(sorted(self._replacements.items(), key=lambda one: -len(one[0])))

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for secrets in (self._replacements, self._aliases):
            for secret, replacement in secrets.items():
                if secret in text:
                    text = text.replace(secret, replacement)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def sent(self, text: str) -> str:
        """Return a text of ours without secrets; passwords that it holds are looked for from now on."""
        for pattern in _REQUEST_PATTERNS:
            text = pattern.sub(self._secret_member, text)
        return self.text(text)

    def _secret_member(self, found: re.Match[str]) -> str:
        if len(found[2]) >= _SHORTEST_LEARNT and found[2] != REDACTED:
            self._learn(found[2])
        return found[1] + REDACTED

    def call(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a call was made of without secrets, in the places where its request will lack them."""
        text = self.sent(json.dumps(payload, separators=(",", ":"), default=unwritable))
        try:
            return cast("dict[str, Any]", json.loads(text))
        except ValueError:  # a secret of the caller's own that is a part of JSON's syntax
            return cast("dict[str, Any]", self.value(payload))

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets in its texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.value(one) for one in cast("list[Any]", value)]
        if isinstance(value, Mapping):
            return {str(key): self.value(one) for key, one in cast("Mapping[Any, Any]", value).items()}
        return value

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers with the values of the allowed ones only."""
        return {
            name: self.text(value) if name.lower() in ALLOWED_HEADERS else REDACTED
            for name, value in headers.items()
        }

    def data(self, data: bytes, *, sent: bool = False) -> bytes:
        """Return bytes without secrets, whether they are text or not."""
        text = data.decode("utf-8", "surrogateescape")
        return (self.sent(text) if sent else self.text(text)).encode("utf-8", "surrogateescape")

    def request_body(self, body: bytes, content_type: str) -> bytes:
        """Return a request's body as it may be written: forms (logins) and uploads are not."""
        kind = content_type.lower()
        if kind.startswith("multipart/"):
            return f"{REDACTED} ({len(body)} bytes of multipart)".encode()
        if kind.startswith("application/x-www-form-urlencoded"):
            return REDACTED.encode()
        return self.data(body, sent=True)

    def unfinished(self, data: bytes) -> int:
        """Return how many bytes at the end of a chunk may be the beginning of a secret."""
        text = data[-LONGEST_HELD:].decode("utf-8", "surrogateescape")
        starts = [found.start() for pattern in _UNFINISHED if (found := pattern.search(text))]
        held = len(text[min(starts, default=len(text)) :].encode("utf-8", "surrogateescape"))
        secrets = (*self._replacements, *self._aliases)
        return max([held, *(_beginning(secret.encode("utf-8", "replace"), data) for secret in secrets)])


def _beginning(secret: bytes, data: bytes) -> int:
    """Return how much of a secret the end of some bytes may be the beginning of, cut characters included."""
    lengths = range(min(len(secret) - 1, len(data)), 0, -1)
    return next((length for length in lengths if data.endswith(secret[:length])), 0)


def unwritable(value: object) -> str:
    """Return what is written for a value that JSON cannot hold."""
    return f"<{type(value).__name__}>"
