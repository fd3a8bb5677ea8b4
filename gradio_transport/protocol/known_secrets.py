# SPDX-License-Identifier: Apache-2.0
"""Secrets that the caller gave, found again in texts that a server made of them: `KnownSecrets`.

A server can echo what it was sent: a refusal that quotes the headers, a login form that is filled in again.
Such texts go into errors, logs and traces, so the secrets are taken out there, in each spelling in which
they return.
"""

from __future__ import annotations

import binascii
import html
import json
import re
from base64 import b64decode
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from .headers import HARMLESS_HEADERS

REDACTED = "REDACTED"
"""What stands in the place of a secret."""

SHORTEST_SECRET = 6
"""Shorter texts are not looked for: they are words or numbers that stand in every text (``admin``, ``1``)."""

SHORTEST_COOKIE = 12
"""Characters of the shortest cookie of a server that is looked for: shorter ones are settings
(``dark-mode``)."""

LONGEST_SECRET = 16_384
"""Longer texts of a call are not looked for: they are texts, and would be kept long after the call."""

PASSING_SECRETS = 256
"""How many secrets of single calls are remembered, the newest: errors quote the last messages of a
session."""

_CUTS = ("…", "...")
"""Marks of a text that was cut. Beside one may be a part of a secret."""

_CUTS_READ = 32
"""How many marks of a text are looked at, the last ones: those before them are of the server."""


_ENCODED = re.compile(r"%[0-9A-F]{2}")


class Span(NamedTuple):
    """A part of a text that is replaced."""

    start: int
    end: int
    replacement: str


class KnownSecrets:
    """Texts that must not be shown. Adding one costs little: its spellings are computed when they are needed.

    Args:
        texts: Secrets to know from the beginning.
        shortest: Characters of the shortest text that is looked for.
    """

    def __init__(self, texts: Iterable[str] = (), *, shortest: int = SHORTEST_SECRET) -> None:
        self._shortest = shortest
        self._lasting: dict[tuple[str, str], None] = {}
        self._passing: deque[tuple[str, str]] = deque(maxlen=PASSING_SECRETS)
        # Apart, or a server that sets many would drive out the others.
        self._cookies: deque[tuple[str, str]] = deque(maxlen=PASSING_SECRETS)
        self._found: tuple[Sequence[tuple[str, str]], Sequence[str]] = ((), ())
        self._spelled: dict[str, frozenset[str]] = {}
        self.add(*texts)

    def __bool__(self) -> bool:
        return bool(self._lasting or self._passing or self._cookies)

    def __reduce__(self) -> tuple[type[KnownSecrets], tuple[()]]:
        # A pickle, such as one of a frame that names them, holds none.
        return KnownSecrets, ()

    def add(self, *texts: str) -> None:
        """Know secrets from now on."""
        self._lasting |= {("", text): None for text in texts if len(text) >= self._shortest}

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Know the values of headers from now on, but for those that are known to be harmless."""
        self._lasting |= {
            (name.lower(), value): None for name, value in headers.items() if self._may_be_one(name, value)
        }

    def add_passing(self, *texts: str) -> None:
        """Know secrets of one call: the newest `PASSING_SECRETS` are known."""
        for text in texts:
            if len(text) >= self._shortest:
                _append(self._passing, "", text)

    def add_passing_headers(self, headers: Mapping[str, str]) -> None:
        """Know the headers of one call, as `add_passing`."""
        for name, value in headers.items():
            if self._may_be_one(name, value):
                _append(self._passing, name.lower(), value)

    def _may_be_one(self, name: str, value: str) -> bool:
        return len(value) >= self._shortest and name.lower() not in HARMLESS_HEADERS

    def add_set_cookies(self, lines: Iterable[str]) -> None:
        """Know the values of the newest cookies that a server sets by its ``Set-Cookie`` headers."""
        for line in lines:
            value = line.partition(";")[0].partition("=")[2].strip().strip('"')
            if len(value) >= SHORTEST_COOKIE:
                _append(self._cookies, "", value)

    @property
    def spellings(self) -> Sequence[str]:
        """All that is looked for; the same object until another secret is added."""
        given = (*self._lasting.copy(), *self._passing.copy(), *self._cookies.copy())
        if given != self._found[0]:
            texts = {text for name, value in given for text in secret_parts(name, value)}
            known = self._spelled
            self._spelled = {
                text: known.get(text) or _spellings(text) for text in texts if len(text) >= self._shortest
            }
            found = {
                spelling
                for spellings in self._spelled.values()
                for spelling in spellings
                if len(spelling) >= self._shortest
            }
            # The longest first, because a secret may be a part of another.
            self._found = given, tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))
        return self._found[1]

    def spans(self, text: str) -> list[Span]:
        """Return where secrets stand in a text, in order and apart from each other."""
        found: list[tuple[int, int]] = []
        for spelling in self.spellings:
            start = text.find(spelling)
            while start >= 0:
                found.append((start, start + len(spelling)))
                start = text.find(spelling, start + len(spelling))
        spans: list[Span] = []
        for start, end in sorted(found):
            if spans and start < spans[-1].end:
                spans[-1] = Span(spans[-1].start, max(end, spans[-1].end), REDACTED)
            else:
                spans.append(Span(start, end, REDACTED))
        return spans

    def hide(self, text: str) -> str:
        """Return a text without secrets, and without parts of them where it was cut."""
        if not self:
            return text
        return self._hide_at_cuts(replace_spans(text, self.spans(text)))

    def hide_all(self, texts: Sequence[str]) -> list[str]:
        """Return texts that follow one another without secrets, also without those that go across them."""
        if not self:
            return list(texts)
        spans = self.spans("".join(texts))
        shown: list[str] = []
        start = 0
        for text in texts:
            end = start + len(text)
            within = [
                Span(max(span.start, start) - start, min(span.end, end) - start, span.replacement)
                if span.start >= start
                else Span(0, min(span.end, end) - start, "")
                for span in spans
                if span.start < end and span.end > start
            ]
            shown.append(self._hide_at_cuts(replace_spans(text, within)))
            start = end
        return shown

    def _hide_at_cuts(self, text: str) -> str:
        for cut in _CUTS:
            end = len(text)
            for _ in range(_CUTS_READ):
                place = text.rfind(cut, 0, end)
                if place < 0:
                    break
                before, after = self._cut_lengths(text, place, place + len(cut))
                if after:
                    text = text[: place + len(cut)] + REDACTED + text[place + len(cut) + after :]
                if before:
                    text = text[: place - before] + REDACTED + text[place:]
                end = place - before
        return text

    def _cut_lengths(self, text: str, start: int, end: int) -> tuple[int, int]:
        """Return how many characters before and after a cut are the beginning and the end of a secret."""
        before = after = 0
        for spelling in self.spellings:
            most = len(spelling) - 1
            before = max(before, _overlap(text[max(0, start - most) : start], spelling, self._shortest))
            # The same, read backwards.
            after = max(after, _overlap(text[end : end + most][::-1], spelling[::-1], self._shortest))
        return before, after


def _append(secrets: deque[tuple[str, str]], name: str, text: str) -> None:
    # A copy, because other threads go on.
    if len(text) <= LONGEST_SECRET and (name, text) not in secrets.copy():
        secrets.append((name, text))


def replace_spans(text: str, spans: Iterable[Span]) -> str:
    """Return a text with parts of it replaced, which come in order."""
    parts: list[str] = []
    done = 0
    for span in spans:
        parts += text[done : span.start], span.replacement
        done = span.end
    return "".join((*parts, text[done:])) if parts else text


def _overlap(text: str, secret: str, shortest: int) -> int:
    """Return the length of the longest beginning of a secret that a text ends with, if it is long enough."""
    start = text.find(secret[:shortest])
    while start >= 0:
        if secret.startswith(text[start:]):
            return len(text) - start
        start = text.find(secret[:shortest], start + 1)
    return 0


def secret_parts(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in the value of a header; of a text without a name that text.

    Of cookies those are the values, and of ``Bearer X`` and ``Basic X`` also ``X`` alone, and the password
    in it.
    """
    yield value
    if not name:
        return
    if name == "cookie":
        yield from (pair.partition("=")[2].strip().strip('"') for pair in value.split(";"))
        return
    scheme, _, rest = value.partition(" ")
    if rest and scheme.isalpha() and " " not in rest.strip():
        yield rest.strip()
        if scheme.lower() == "basic":
            yield _password_of(rest.strip())


def _password_of(credentials: str) -> str:
    """Return the password of HTTP basic authentication, or a user without one, which may be a token."""
    try:
        user, _, password = b64decode(credentials, validate=True).decode().partition(":")
        return password or user
    except (binascii.Error, ValueError):
        return ""


def _spellings(secret: str) -> frozenset[str]:
    """Return how a secret is written in texts, JSON, URLs, web pages and Python."""
    plain = {secret, " ".join(secret.split()), repr(secret)[1:-1]}
    quoted = {
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret).replace("/", r"\/")[1:-1],
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
        _ENCODED.sub(lambda found: found[0].lower(), quote(secret, safe="", errors="replace")),
        html.escape(secret),
        html.escape(secret, quote=False),
    }
    # JSON inside of JSON, as in a text that an app made of a message.
    return frozenset(plain | quoted | {json.dumps(text)[1:-1] for text in (*plain, *quoted)})


__all__ = [
    "LONGEST_SECRET", "PASSING_SECRETS", "REDACTED", "SHORTEST_COOKIE", "SHORTEST_SECRET", "KnownSecrets",
    "Span", "replace_spans", "secret_parts",
]  # fmt: skip
