# SPDX-License-Identifier: Apache-2.0
"""Takes secrets out of frames before they are written. Traces are made to be shared.

Headers pass by an allow-list; tokens, passwords, cookies and signatures never do, wherever they stand; a
session hash (whoever knows one can read the session) becomes a stable alias, the same everywhere in a trace,
so that the trace still replays exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

REDACTED = "REDACTED"

ALLOWED_HEADERS = frozenset(
    {
        "accept", "cache-control", "connection", "content-disposition", "content-encoding", "content-length",
        "content-type", "date", "location", "retry-after", "server", "transfer-encoding", "x-gradio-user",
    }
)  # fmt: skip
"""Headers whose values are written; of all others only the names are."""

PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"hf_[A-Za-z0-9]{8,}"), REDACTED),
    (re.compile(r"(__sign=)[^&\s\"']+"), rf"\1{REDACTED}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), REDACTED),
    (re.compile(r"(?i)(\"(?:oauth_token|access_token|password|token)\"\s*:\s*\")[^\"]*"), rf"\1{REDACTED}"),
    (re.compile(r"(//)[^/@\s\"']+@"), r"\1"),
)
"""What is recognised anywhere in a text: tokens, signatures, JWTs, secret keys of JSON, user info of URLs."""

DESCRIPTION = ("headers", "cookies", "tokens", "passwords", "session hashes", "upload bodies")
"""What the meta line says was taken out."""

_LONGEST_TAIL = 64
"""How far before the end of a chunk a secret may begin that the next chunk goes on with."""


class Redactor:
    """Rewrites the payloads of one trace's frames.

    Args:
        secrets: Texts of the caller's own that must not be written.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._replacements: dict[str, str] = {secret: REDACTED for secret in secrets if secret}
        self._sessions = 0

    def learn_session(self, session_hash: str) -> None:
        """Give a session hash an alias."""
        if session_hash and session_hash not in self._replacements:
            self._sessions += 1
            self._replacements[session_hash] = f"session-{self._sessions}"

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for secret, replacement in self._replacements.items():
            text = text.replace(secret, replacement)
        for pattern, replacement in PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def value(self, value: Any) -> Any:
        """Return a JSON value without secrets in its texts."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list | tuple):
            return [self.value(one) for one in value]
        if isinstance(value, Mapping):
            return {str(key): self.value(one) for key, one in value.items()}
        return value

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers with the values of the allowed ones only."""
        return {
            name: self.text(value) if name.lower() in ALLOWED_HEADERS else REDACTED
            for name, value in headers.items()
        }

    def tail(self, text: str) -> int:
        """Return how many characters at the end of a chunk may be the beginning of a secret."""
        for length in range(min(_LONGEST_TAIL, len(text)), 0, -1):
            end = text[-length:]
            if any(secret.startswith(end) and secret != end for secret in self._replacements):
                return length
            if end.startswith("hf_") and end.isascii() and end[3:].isalnum():
                return length
        return 0


def request_body(body: bytes, content_type: str) -> bytes | str:
    """Return a request's body as it may be written: forms (logins) and uploads are not."""
    if content_type.startswith("multipart/"):
        return f"{REDACTED} ({len(body)} bytes of multipart)"
    if content_type.startswith("application/x-www-form-urlencoded"):
        return REDACTED
    return body
