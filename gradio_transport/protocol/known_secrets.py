# SPDX-License-Identifier: Apache-2.0
"""`KnownSecrets`: finds the caller's secrets in texts that a server made from them.

A server can echo secrets, for example in a refusal that quotes the headers, or a prefilled login form. Such
texts go into errors, logs and traces, so the secrets are removed there, in each encoding.
"""

from __future__ import annotations

import binascii
import html
import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from .headers import HARMLESS_HEADERS, value_problem

REDACTED = "REDACTED"
"""The replacement of a secret."""

SHORTEST_SECRET = 6
"""The shortest secret that is searched for: shorter ones are ordinary words (``admin``, ``1``)."""

SHORTEST_COOKIE = 12
"""The shortest cookie of a server that is searched for: shorter ones are settings (``dark-mode``)."""

LONGEST_SECRET = 16_384
"""The longest secret of a call that is searched for: longer ones are content."""

PASSING_SECRETS = 256
"""The most secrets of single calls that are kept, the newest: errors quote the last messages of a session."""

COOKIES = 64
"""The most cookies of a server that are kept, the newest."""

LONGEST_COOKIE = 8192
"""The most bytes of a cookie's name and value. A larger one is never sent, so it is not a secret."""

COOKIE_SPELLINGS = 128
"""The most encodings of a server's cookies that are searched for.

The search time grows with their number, which a server controls: a cookie of letters has 2, a crafted one
about 80.
"""

_CUTS = ("…", "...")
"""Marks of a cut in a text. A part of a secret may be next to one."""

_CUTS_READ = 32
"""The most cut marks that are checked, from the end: earlier ones come from the server."""

_TRIES = 16
"""The most places next to a cut that are compared with one secret. A text with more is an attack on speed."""

_ENCODED = re.compile(r"%[0-9A-F]{2}")
_HIDDEN = re.compile(rb"\x01+")
_DOTNET = re.compile(r"""\\(?:u[0-9a-f]{4}|["\\/bfnrt])|[&'+<>`\x7f]""")


class Span(NamedTuple):
    """A part of a text to replace."""

    start: int
    end: int
    replacement: str


class KnownSecrets:
    """Texts that must not be shown. Adding one is cheap: its encodings are computed on demand.

    Args:
        texts: Initial secrets.
        shortest: Characters of the shortest text that is searched for.
    """

    def __init__(self, texts: Iterable[str] = (), *, shortest: int = SHORTEST_SECRET) -> None:
        self._shortest = shortest
        self._lasting: dict[tuple[str, str], None] = {}
        self._passing: deque[tuple[str, str]] = deque(maxlen=PASSING_SECRETS)
        # Separate, because a server that sets many would evict the others.
        self._cookies: deque[tuple[str, str]] = deque(maxlen=COOKIES)
        self._found: tuple[Sequence[tuple[str, str]], Sequence[str]] = ((), ())
        self._spelled: dict[str, frozenset[str]] = {}
        self.add(*texts)

    def __bool__(self) -> bool:
        return bool(self._lasting or self._passing or self._cookies)

    def __reduce__(self) -> tuple[type[KnownSecrets], tuple[()]]:
        # A pickle, such as one of a frame that names them, contains no secrets.
        return KnownSecrets, ()

    def add(self, *texts: str) -> None:
        """Add secrets."""
        self._lasting |= {("", text): None for text in texts if len(text) >= self._shortest}

    def add_headers(self, headers: Mapping[str, str]) -> None:
        """Add the values of headers, except those that are known to be harmless."""
        self._lasting |= {
            (name.lower(), value): None for name, value in headers.items() if self._may_be_one(name, value)
        }

    def add_passing(self, *texts: str) -> None:
        """Add secrets of one call; the newest `PASSING_SECRETS` are kept."""
        for text in texts:
            if len(text) >= self._shortest:
                _append(self._passing, "", text)

    def add_passing_headers(self, headers: Mapping[str, str]) -> None:
        """Add the headers of one call, as `add_passing` does."""
        for name, value in headers.items():
            if self._may_be_one(name, value):
                _append(self._passing, name.lower(), value)

    def _may_be_one(self, name: str, value: str) -> bool:
        return len(value) >= self._shortest and name.lower() not in HARMLESS_HEADERS

    def add_set_cookies(self, lines: Iterable[str]) -> None:
        """Add the values of ``Set-Cookie`` headers; the newest `COOKIES` are kept."""
        for line in lines:
            pair = line.partition(";")[0].strip()
            value = pair.partition("=")[2]
            secret = value.strip().strip('"')
            is_taken = len(pair) <= LONGEST_COOKIE and value_problem(value) is None
            if is_taken and len(secret) >= SHORTEST_COOKIE:
                _append(self._cookies, "", secret)

    @property
    def spellings(self) -> Sequence[str]:
        """All texts to search for; the same object until another secret is added."""
        cookies = self._cookies.copy()
        given = (*self._lasting.copy(), *self._passing.copy(), *cookies)
        if given != self._found[0]:
            known = self._spelled
            spelled: dict[str, frozenset[str]] = {}
            for name, value in given[: len(given) - len(cookies)]:
                for text in secret_parts(name, value):
                    if len(text) >= self._shortest:
                        spelled[text] = known.get(text) or _spellings(text, self._shortest)
            left = COOKIE_SPELLINGS
            for _, text in reversed(cookies):
                spellings = known.get(text) or _spellings(text, self._shortest)
                left -= len(spellings)
                if left < 0:
                    break
                spelled[text] = spellings
            self._spelled = spelled
            # The longest first, because one secret may be a part of another.
            found = frozenset[str]().union(*spelled.values())
            self._found = given, tuple(sorted(found, key=lambda spelling: (-len(spelling), spelling)))
        return self._found[1]

    def spans(self, text: str) -> list[Span]:
        """Return the spans of secrets in a text, in order and without overlaps."""
        # Why a mark for each character instead of a list of spans: a server can make many overlapping spans.
        marks = bytearray()
        for spelling in self.spellings:
            mark = b"\x01" * len(spelling)
            start = text.find(spelling)
            while start >= 0:
                marks = marks or bytearray(len(text))
                end = start + len(spelling)
                marks[start:end] = mark
                start = text.find(spelling, end)
        return [Span(*found.span(), REDACTED) for found in _HIDDEN.finditer(marks)]

    def hide(self, text: str) -> str:
        """Return a text without secrets, and without parts of them at cuts."""
        if not self:
            return text
        return self._hide_at_cuts(replace_spans(text, self.spans(text)))

    def hide_all(self, texts: Sequence[str]) -> list[str]:
        """Return consecutive texts without secrets, including those that span several texts."""
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
        """Return the lengths of the start and the end of a secret before and after a cut."""
        before = after = 0
        for spelling in self.spellings:
            most = len(spelling) - 1
            before = max(before, _begun(text[max(0, start - most) : start], spelling, self._shortest))
            after = max(after, _ended(text[end : end + most], spelling, self._shortest))
        return before, after


def _append(secrets: deque[tuple[str, str]], name: str, text: str) -> None:
    # A copy, because other threads continue.
    if len(text) <= LONGEST_SECRET and (name, text) not in secrets.copy():
        secrets.append((name, text))


def replace_spans(text: str, spans: Iterable[Span]) -> str:
    """Return a text with ordered spans replaced."""
    parts: list[str] = []
    done = 0
    for span in spans:
        parts += text[done : span.start], span.replacement
        done = span.end
    return "".join((*parts, text[done:])) if parts else text


def _begun(text: str, secret: str, shortest: int) -> int:
    """Return the length of the longest start of a secret at the end of a text, if it is long enough.

    If a text repeats the first characters of the secret more often than `_TRIES`, everything from the first
    one on counts. That bounds the time, and shows no part of the secret.
    """
    head = secret[:shortest]
    first = start = text.find(head)
    for _ in range(_TRIES):
        if start < 0:
            return 0
        if secret.startswith(text[start:]):
            return len(text) - start
        start = text.find(head, start + 1)
    return len(text) - first


def _ended(text: str, secret: str, shortest: int) -> int:
    """Return the length of the longest end of a secret at the start of a text, as `_begun` does."""
    tail = secret[-shortest:]
    last = start = text.rfind(tail)
    for _ in range(_TRIES):
        if start < 0:
            return 0
        if secret.endswith(text[: start + shortest]):
            return start + shortest
        start = text.rfind(tail, 0, start + shortest - 1)
    return last + shortest


def secret_parts(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in the value of a header, or the text itself without a name.

    For cookies these are the values. For ``Bearer X`` and ``Basic X`` these are also ``X`` alone, and the
    password in it.
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


def _json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _json_in_utf8(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _json_for_pages(text: str, characters: str, *, ascii_only: bool = False) -> str:
    """Return JSON for a web page, with special characters escaped."""
    escapes = {ord(character): f"\\u{ord(character):04x}" for character in characters}
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1].translate(escapes)


def _json_of_dotnet(text: str) -> str:
    def escape(found: re.Match[str]) -> str:
        one = found[0]
        if one.startswith("\\u"):
            return "\\u" + one[2:].upper()
        return one if one.startswith("\\") and one != '\\"' else f"\\u{ord(one[-1]):04X}"

    return _DOTNET.sub(escape, _json(text))


def _html(text: str, double: str, single: str) -> str:
    return html.escape(text, quote=False).replace('"', double).replace("'", single)


def _lower(write: Callable[[str], str], text: str) -> str:
    return _ENCODED.sub(lambda found: found[0].lower(), write(text))


def _in_base64(encode: Callable[[bytes], bytes], text: str) -> str:
    if len(text) < SHORTEST_SECRET:
        return text  # its two or three letters stand in every text
    # Without the padding, which is not always written.
    return encode(_utf8(text)).rstrip(b"=").decode()


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


_FOR_URLS: tuple[Callable[[str], str], ...] = (
    partial(quote, safe="", errors="replace"),
    partial(quote, errors="replace"),
    partial(quote, safe="!*'()", errors="replace"),  # encodeURIComponent of browsers
    partial(quote_plus, errors="replace"),
    partial(quote_plus, safe="*", errors="replace"),  # forms of browsers
    partial(quote_plus, safe="!*()", errors="replace"),  # .NET
)

_SPELLINGS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: " ".join(text.split()),
    lambda text: repr(text)[1:-1],
    lambda text: repr(_utf8(text))[2:-1],
    lambda text: _utf8(text).decode("latin-1"),
    _json,
    _json_in_utf8,
    lambda text: _json(text).replace("/", r"\/"),  # PHP
    partial(_json_for_pages, characters="<>&"),  # Go, Rails
    partial(_json_for_pages, characters="<>&'"),  # gradio's page
    partial(_json_for_pages, characters="<>&'", ascii_only=True),  # Jinja
    _json_of_dotnet,
    lambda text: _json(_json(text)),
    lambda text: _json_in_utf8(_json_in_utf8(text)),
    *_FOR_URLS,
    *(partial(_lower, write) for write in _FOR_URLS),
    lambda text: quote(quote(text, safe="", errors="replace"), safe=""),
    lambda text: quote(quote(text, safe="!*'()", errors="replace"), safe="!*'()"),
    partial(_html, double='"', single="'"),
    partial(_html, double="&quot;", single="'"),
    partial(_html, double="&quot;", single="&#x27;"),  # Python
    partial(_html, double="&quot;", single="&#39;"),  # JavaScript
    partial(_html, double="&quot;", single="&#039;"),  # PHP
    partial(_html, double="&#34;", single="&#39;"),  # Jinja, Go
    partial(_in_base64, b64encode),
    partial(_in_base64, urlsafe_b64encode),
)  # fmt: skip
"""The encodings of a text in texts, JSON, URLs, web pages and Python. Most are usually the same."""


def _spellings(secret: str, shortest: int) -> frozenset[str]:
    """Return the encodings of a secret, also inside JSON, as in a text that an app made from a message."""
    written = {spell(secret) for spell in _SPELLINGS}
    written |= {escape(text) for text in written for escape in (_json, _json_in_utf8)}
    return frozenset(text for text in written if len(text) >= shortest)


__all__ = [
    "COOKIES", "COOKIE_SPELLINGS", "LONGEST_COOKIE", "LONGEST_SECRET", "PASSING_SECRETS", "REDACTED",
    "SHORTEST_COOKIE", "SHORTEST_SECRET", "KnownSecrets", "Span", "replace_spans", "secret_parts",
]  # fmt: skip
