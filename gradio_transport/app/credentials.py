# SPDX-License-Identifier: Apache-2.0
"""Secrets bound to an origin: they are added to requests for that origin, and to no other.

A server's redirects, absolute URLs and ``root`` can name any host; what decides whether a header or cookie
goes along is only the origin it was bound to (scheme, host, port).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import attrs

from ..errors import LocalProtocolError, Phase
from ..protocol.headers import is_header_name, value_problem
from ..protocol.urls import add_query, is_hugging_face, origin

T = TypeVar("T")

MAX_COOKIES = 300
"""Cookies kept for one origin; a hostile server may set any number, and what is beyond is not taken."""

MAX_COOKIE_BYTES = 8192
"""Bytes of one cookie's name and value; browsers take 4096, and leave out what is larger, as is done here."""


_NAME_CHARACTERS = 64
"""How much of the name of a cookie is told, which the server may have made of any length."""


class TokenWithheldError(LocalProtocolError):
    """The token would go to a host that it is not for."""


@attrs.frozen
class RejectedCookie:
    """A cookie that was not taken.

    Attributes:
        name: Its name, cut to a sane length.
        why: For people, one of few texts.
    """

    name: str
    why: str


@attrs.frozen
class _Cookie:
    value: str
    path: str
    age: int = attrs.field(factory=itertools.count().__next__)
    """The higher, the newer: a login renewed for the app counts over what a session was given before."""
    given: bool = False
    """Whether the caller gave it, so that it follows an upgrade to https as headers do."""


@attrs.define
class Credentials:
    """What may be shown to an app's own origin.

    Attributes:
        headers: Headers of the caller; names in lower case.
        token: Hugging Face token, shown to the origin only if it is Hugging Face's or was named for it.
        token_origin: Where the caller wants the token to go besides.
        parent: Credentials of the app, where these are a session's: what it holds goes along too.
        query: Query of the app's URL, percent-encoded; it may hold a signature.
    """

    _origin: str
    headers: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)
    token: str | None = attrs.field(default=None, repr=False)
    token_origin: str | None = None
    parent: Credentials | None = None
    query: str = attrs.field(default="", repr=False)
    _cookies: dict[str, _Cookie] = attrs.field(factory=dict[str, _Cookie], init=False, repr=False)

    @classmethod
    def bound_to(
        cls,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
        token_origin: str | None = None,
        cookies: Mapping[str, str] | None = None,
        query: str = "",
    ) -> Credentials:
        """Return credentials for the origin of a URL. The caller's mappings are copied.

        Raises:
            TokenWithheldError: The token would go to a host that is neither Hugging Face's nor the one named.
        """
        named = origin(token_origin) if token_origin else None
        made = cls(origin(url), _lower_names(headers), token, named, query=query)
        if token is not None and not made._may_see_token():
            raise TokenWithheldError(
                f"The token would go to {made.origin}, which is no host of Hugging Face. If it is meant to, "
                f"pass token_origin={made.origin!r}; a secret of the app's own goes into headers=.",
                phase=Phase.DISCOVER,
            )
        made._cookies = {name: _Cookie(value, "/", given=True) for name, value in (cookies or {}).items()}
        return made

    def child(self, headers: Mapping[str, str] | None = None) -> Credentials:
        """Return credentials of a session: cookies of its own over those of the app."""
        return Credentials(self.origin, _lower_names(headers), parent=self, query=self.query)

    @property
    def origin(self) -> str:
        """The origin that everything here is bound to."""
        return self.parent.origin if self.parent is not None else self._origin

    def _may_see_token(self) -> bool:
        return is_hugging_face(self.origin) or self.origin == self.token_origin

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies, names to values, those of the app among them."""
        return {name: cookie.value for name, cookie in self._cookie_jar().items()}

    def set_header(self, name: str, value: str | None) -> None:
        """Set a header of the caller's, or remove it if the value is None. Its name is in lower case."""
        # Replaced whole, as the cookies are: other threads may be reading.
        self.headers = _with(self.headers, name, value)

    def set_cookie(self, name: str, value: str | None) -> None:
        """Set a cookie of the caller's, or remove one if the value is None."""
        cookie = None if value is None else _Cookie(value, "/", given=True)
        self._cookies = _with(self._cookies, name, cookie)

    def rebind(self, url: str) -> None:
        """Follow an upgrade of the same host from http to https; any other move drops what is held.

        Cookies that a server set are dropped in both cases: they belong to the origin that set them.
        """
        new = origin(url)
        if new == self._origin:
            return
        before, after = urlsplit(self._origin), urlsplit(new)
        upgrade = (before.scheme, before.port, after.scheme, after.port) == ("http", 80, "https", 443)
        if upgrade and before.hostname == after.hostname:
            self._cookies = {name: cookie for name, cookie in self._cookies.items() if cookie.given}
            if self.token_origin == self._origin:
                self.token_origin = new
        else:
            self.headers, self.token, self._cookies, self.query = {}, None, {}, ""
        self._origin = new

    def store(self, url: str, set_cookie: Sequence[str]) -> Sequence[RejectedCookie]:
        """Take the ``Set-Cookie`` values of a reply, verbatim, and return the cookies that were left out.

        ``Secure`` is not honoured on purpose: 3.17 to 3.24 mark the login cookie so even over plain http
        (docs/wire.md §12.1), and it never leaves the origin that set it.  ``Domain`` never widens that, and a
        cookie whose ``Domain`` is not of the host is left out (RFC 6265 §5.3, step 6).
        """
        if not set_cookie:
            return ()
        if origin(url) != self.origin:
            why = "it comes from another origin than the app's"
            return [
                RejectedCookie(line.partition("=")[0].strip()[:_NAME_CHARACTERS], why) for line in set_cookie
            ]
        left_out: list[RejectedCookie] = []
        kept = dict(self._cookies)  # replaced whole: other threads may be reading
        for line in set_cookie:
            pair, *attributes = (part.strip() for part in line.split(";"))
            name, separator, value = pair.partition("=")
            if not separator or not name:
                continue
            if not is_header_name(name) or value_problem(value) is not None:
                why = "its name or value has characters that HTTP does not allow"
                left_out.append(RejectedCookie(name[:_NAME_CHARACTERS], why))
                continue
            if len(pair) > MAX_COOKIE_BYTES:
                why = f"its name and value are larger than {MAX_COOKIE_BYTES:,} bytes"
                left_out.append(RejectedCookie(name[:_NAME_CHARACTERS], why))
                continue
            options = {
                key.lower(): text for key, _, text in (attribute.partition("=") for attribute in attributes)
            }
            domain = options.get("domain", "").strip().lower().removeprefix(".")
            if domain and not _domain_matches(urlsplit(self.origin).hostname or "", domain):
                left_out.append(RejectedCookie(name[:_NAME_CHARACTERS], "its Domain is of another host"))
            elif options.get("max-age", "").strip().startswith(("0", "-")):
                kept.pop(name, None)
            elif len(kept) < MAX_COOKIES or name in kept:
                path = options.get("path", "/")
                kept[name] = _Cookie(value, path if path.startswith("/") else "/")
            else:
                left_out.append(
                    RejectedCookie(name[:_NAME_CHARACTERS], f"the app has set {MAX_COOKIES} others")
                )
        self._cookies = kept
        return left_out

    def url_to_send(self, url: str) -> str:
        """Return a URL with the query of the app's, if it is of the app's origin."""
        return add_query(url, self.query) if self.query and origin(url) == self.origin else url

    def for_url(
        self, url: str, own: Mapping[str, str], extra: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return the headers of a request: its own, plus what is bound to its origin.

        What is nearer to the caller wins: `extra` (of one call) over those of the session, of the app, and of
        the request itself.  Cookies never overwrite one that the caller set.
        """
        headers = _lower_names(own)
        if origin(url) != self.origin:
            return headers
        headers |= self._bound_headers() | _lower_names(extra)
        jar = self._cookie_jar()
        if not jar:
            return headers
        path = urlsplit(url).path or "/"
        cookies = {name: cookie.value for name, cookie in jar.items() if _path_covers(cookie.path, path)}
        given = headers.get("cookie", "")
        present = {pair.partition("=")[0].strip() for pair in given.split(";")}
        ours = "; ".join(f"{name}={value}" for name, value in cookies.items() if name not in present)
        if ours:
            headers["cookie"] = f"{given}; {ours}" if given else ours
        return headers

    def _bound_headers(self) -> dict[str, str]:
        above = self.parent._bound_headers() if self.parent is not None else {}
        return above | self._token_headers() | self.headers

    def _token_headers(self) -> dict[str, str]:
        if self.token is None or not self._may_see_token():
            return {}
        # Hugging Face's proxy reads a header of its own, and leaves `authorization` to the app.
        name = "x-hf-authorization" if is_hugging_face(self.origin) else "authorization"
        return {name: f"Bearer {self.token}"}

    def _cookie_jar(self) -> Mapping[str, _Cookie]:
        if self.parent is None:
            return self._cookies
        above, own = self.parent._cookie_jar(), self._cookies
        newer = {
            name: cookie for name, cookie in own.items() if name not in above or above[name].age < cookie.age
        }
        return {**above, **newer}


def _with(mapping: Mapping[str, T], name: str, value: T | None) -> dict[str, T]:
    """Return a copy with one value set, or removed if it is None."""
    others = {known: kept for known, kept in mapping.items() if known != name}
    return others if value is None else {**others, name: value}


def _lower_names(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()} if headers else {}


def _domain_matches(host: str, domain: str) -> bool:
    """Return whether a host is in a cookie's domain (RFC 6265 §5.1.3); a domain of one label is a suffix."""
    if host == domain:
        return True
    return "." in domain and host.endswith(f".{domain}") and not host.replace(".", "").isdecimal()


def _path_covers(cookie_path: str, path: str) -> bool:
    """Return whether a cookie's path covers a request's path (RFC 6265 §5.1.4)."""
    return path == cookie_path or path.startswith(
        cookie_path if cookie_path.endswith("/") else cookie_path + "/"
    )
