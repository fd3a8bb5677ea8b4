# SPDX-License-Identifier: Apache-2.0
"""Secrets bound to an origin: they are added to requests for that origin, and to no other.

A server's redirects, absolute URLs and ``root`` can name any host; what decides whether a header or cookie
goes along is only the origin it was bound to (scheme, host, port).

An app may redirect its discovery to another origin. What the caller gave was given for the origin that the
caller named, so the move is refused if something was given, and what is given later is not sent. The rule is
`Credentials.follow` and `Credentials.check_given`, and nowhere else.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import attrs

from ..errors import LocalProtocolError, Phase, RemoteProtocolError, UntrustedRedirect, excerpt
from ..protocol.access import LOGIN_ELSEWHERE
from ..protocol.addresses import AddressRule
from ..protocol.headers import is_header_name, value_problem
from ..protocol.known_secrets import LONGEST_COOKIE
from ..protocol.urls import add_query, https_origin, is_hugging_face, is_internal, origin, shown_url

T = TypeVar("T")

MAX_COOKIES = 300
"""Cookies kept for one origin; a hostile server may set any number, and what is beyond is not taken."""

MAX_COOKIE_BYTES = LONGEST_COOKIE
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
    setter: str | None = None
    """The origin that set it and alone gets it; None: the caller gave it, and it goes where headers go."""


@attrs.define
class Credentials:
    """What may be shown to an app's own origin.

    Attributes:
        headers: Headers of the caller; names in lower case.
        token: Hugging Face token, shown to the origin only if it is Hugging Face's or was named for it.
        token_origin: Where the caller wants the token to go besides.
        parent: Credentials of the app, where these are a session's: what it holds goes along too.
        query: Query of the app's URL, percent-encoded; it may hold a signature.
        trust_redirects: Whether what was given may follow the app to an origin that was not named.
        are_given: Whether the caller gave anything that goes to the app.
    """

    _origin: str
    headers: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)
    token: str | None = attrs.field(default=None, repr=False)
    token_origin: str | None = None
    parent: Credentials | None = None
    query: str = attrs.field(default="", repr=False)
    trust_redirects: bool = False
    are_given: bool = False
    _named: str = attrs.field(default=attrs.Factory(lambda made: made._origin, takes_self=True), init=False)
    _found: str = attrs.field(default="", init=False)
    """Where the app was found, if it was."""
    moved: bool = attrs.field(default=False, init=False)
    """Whether redirects have led to an origin that was not named, and are not trusted."""
    addresses: AddressRule = attrs.field(default=AddressRule.ANY, init=False)
    """Which addresses the app's host may have, by who named it."""
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
        trust_redirects: bool = False,
        are_given: bool = False,
    ) -> Credentials:
        """Return credentials for the origin of a URL. The caller's mappings are copied.

        `are_given` says whether the caller gave any header, a login, or something else that is not kept here.

        Raises:
            TokenWithheldError: The token would go to a host that is neither Hugging Face's nor the one named.
        """
        named = origin(token_origin) if token_origin else None
        are_given = are_given or token is not None or bool(cookies) or bool(query)
        made = cls(
            origin(url),
            _lower_names(headers),
            token,
            named,
            query=query,
            trust_redirects=trust_redirects,
            are_given=are_given,
        )
        if token is not None and not made._may_see_token(made.origin):
            raise TokenWithheldError(
                f"The token would go to {made.origin}, which is no host of Hugging Face. If it is meant to, "
                f"pass token_origin={made.origin!r}; a secret of the app's own goes into headers=.",
                phase=Phase.DISCOVER,
            )
        made._cookies = {name: _Cookie(value, "/") for name, value in (cookies or {}).items()}
        return made

    def child(self, headers: Mapping[str, str] | None = None) -> Credentials:
        """Return credentials of a session: cookies of its own over those of the app."""
        return Credentials(self.origin, _lower_names(headers), parent=self, query=self.query)

    @property
    def origin(self) -> str:
        """The origin that everything here is bound to."""
        return self.parent.origin if self.parent is not None else self._origin

    def _may_see_token(self, where: str) -> bool:
        named = self.token_origin
        return is_hugging_face(where) or (named is not None and where in (named, https_origin(named)))

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies, names to values, those of the app among them."""
        return {name: cookie.value for name, cookie in self._cookie_jar(self.origin).items()}

    def set_header(self, name: str, value: str | None) -> None:
        """Set a header of the caller's, or remove it if the value is None. Its name is in lower case.

        Raises:
            UntrustedRedirect: As `check_given`.
        """
        self._give(value)
        # Replaced whole, as the cookies are: other threads may be reading.
        self.headers = _with(self.headers, name, value)

    def set_cookie(self, name: str, value: str | None) -> None:
        """Set a cookie of the caller's, or remove one if the value is None.

        Raises:
            UntrustedRedirect: As `check_given`.
        """
        self._give(value)
        self._cookies = _with(self._cookies, name, None if value is None else _Cookie(value, "/"))

    def _give(self, value: str | None) -> None:
        self.check_given(value)
        self.are_given = self.are_given or value is not None

    def follow(self, url: str) -> None:
        """Follow the app to where its discovery leads, before a request is sent there.

        An upgrade of the named host to https is always followed. Any other origin is followed if the caller
        trusts redirects, or if nothing was given and the app was not found yet: once it was, its sessions and
        what was given for them belong to that origin.

        Raises:
            UntrustedRedirect: What was given would go to an origin that was not named for it.
            RemoteProtocolError: It is an address inside a machine or cloud.
        """
        where = origin(url)
        if where == self._origin:
            return
        if where != self._found and not self._is_named(where):
            if is_internal(urlsplit(where).hostname or ""):
                raise RemoteProtocolError(
                    f"The app at {self._origin} redirects to {excerpt(shown_url(url))!r}, an address inside "
                    "a machine or cloud, which is never followed.",
                    phase=Phase.DISCOVER,
                )
            trusted = self.trust_redirects and (self.token is None or self._may_see_token(where))
            if not trusted and (self.are_given or self._found):
                raise self._redirect_error(url)
        self._origin = where
        is_named = self._is_named(where)
        self.moved = not self.trust_redirects and not is_named
        # Not PUBLIC: apps on one network redirect to each other.
        self.addresses = AddressRule.ANY if is_named else AddressRule.NAMED

    def settle(self, url: str) -> None:
        """Bind to where the app was found, as `follow` does; from now on it is not followed elsewhere.

        Raises:
            UntrustedRedirect: As `follow`.
            RemoteProtocolError: As `follow`.
        """
        self.follow(url)
        self._found = self._origin

    def _is_named(self, where: str) -> bool:
        return where in (self._named, https_origin(self._named))

    def _redirect_error(self, url: str) -> UntrustedRedirect:
        target, address = origin(url), excerpt(shown_url(url).rstrip("/").removesuffix("/config"))
        remedy = f"connect to {address!r} itself, or pass trust_redirects=True"
        if self.token is not None and not self._may_see_token(target):
            remedy = f"connect to {address!r} itself with token_origin={target!r}"
        elif not self.are_given:
            remedy = "connect again, or pass trust_redirects=True"
        given = f" What you gave is for {self._origin} alone." if self.are_given else ""
        login = "" if urlsplit(url).path.rstrip("/").endswith("/config") else f" {LOGIN_ELSEWHERE}"
        return UntrustedRedirect(
            f"The app at {self._origin} redirects to another origin, {target}. Nothing was sent there."
            f"{given} If the other origin is the app's, {remedy}.{login}",
            origin=self._origin,
            target=target,
            phase=Phase.DISCOVER,
        )

    def check_given(self, *given: object) -> None:
        """Refuse what is given for a session or call, if a redirect has moved the app to an unnamed origin.

        Args:
            *given: Headers or a token of a call; empty ones and None count as not given.

        Raises:
            UntrustedRedirect: One is given, or the session has headers.
        """
        app = self.parent or self
        if app.moved and (any(given) or (app is not self and self.headers)):
            raise UntrustedRedirect(
                f"The app at {app._named} has redirected to another origin, {app._origin}. Headers and "
                "tokens of a session, of a call or of forward() are not sent there, and nothing was called. "
                f"If that is the app's origin, connect to {app._origin!r}, or pass trust_redirects=True.",
                origin=app._named,
                target=app._origin,
                phase=Phase.JOIN,
            )

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
        kept = self._cookies_of(self.origin)  # replaced whole: other threads may be reading
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
                kept[name] = _Cookie(value, path if path.startswith("/") else "/", setter=self.origin)
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

        Raises:
            UntrustedRedirect: See `check_given`.
        """
        headers = _lower_names(own)
        where = origin(url)
        if where != self.origin:
            return headers
        if (self.parent or self).moved:
            self.check_given(extra)
        headers |= self._bound_headers() | _lower_names(extra)
        jar = self._cookie_jar(where)
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
        if self.token is None or not self._may_see_token(self.origin):
            return {}
        # Hugging Face's proxy reads a header of its own, and leaves `authorization` to the app.
        name = "x-hf-authorization" if is_hugging_face(self.origin) else "authorization"
        return {name: f"Bearer {self.token}"}

    def _cookies_of(self, where: str) -> dict[str, _Cookie]:
        return {name: cookie for name, cookie in self._cookies.items() if cookie.setter in (None, where)}

    def _cookie_jar(self, where: str) -> Mapping[str, _Cookie]:
        own = self._cookies_of(where) if self._cookies else {}
        if self.parent is None:
            return own
        above = self.parent._cookie_jar(where)
        if not own:
            return above
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
