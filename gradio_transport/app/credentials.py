# SPDX-License-Identifier: Apache-2.0
"""Credentials bound to an origin: they are added only to requests for that origin.

A server's redirects, absolute URLs and ``root`` can name any host. A header or cookie is sent only to the
origin that it was bound to (scheme, host, port).

An app may redirect its discovery to another origin. The caller's credentials are for the named origin, so the
redirect is refused if there are any, and later ones are not sent. Only `Credentials.follow` and
`Credentials.check_given` implement this rule.
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
"""The most cookies kept for one origin. A hostile server may set any number; others are rejected."""

MAX_COOKIE_BYTES = LONGEST_COOKIE
"""The most bytes of a cookie's name and value. As in browsers, larger cookies are rejected."""


_NAME_CHARACTERS = 64
"""The most characters of a cookie's name in a message, because a server may send any length."""


class TokenWithheldError(LocalProtocolError):
    """The token would be sent to a host that it is not for."""


@attrs.frozen
class RejectedCookie:
    """A rejected cookie.

    Attributes:
        name: Its name, shortened.
        why: The reason, one of a few texts.
    """

    name: str
    why: str


@attrs.frozen
class _Cookie:
    value: str
    path: str
    age: int = attrs.field(factory=itertools.count().__next__)
    """Higher is newer: a renewed login of the app takes precedence over an older cookie of a session."""
    setter: str | None = None
    """The origin that set it, and the only one that gets it. None for the caller's cookies."""


@attrs.define
class Credentials:
    """The credentials for an app's own origin.

    Attributes:
        headers: Headers of the caller, with lower-case names.
        token: Hugging Face token, sent to the origin only if it belongs to Hugging Face or is `token_origin`.
        token_origin: Another origin that the token may be sent to.
        parent: Credentials of the app, if these are a session's; they are sent too.
        query: Query of the app's URL, percent-encoded; it may contain a signature.
        trust_redirects: Whether the credentials may follow the app to an origin that the caller did not name.
        are_given: Whether the caller gave any credentials for the app.
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
    """The origin where the app was found, or None."""
    moved: bool = attrs.field(default=False, init=False)
    """Whether redirects led to an origin that the caller did not name, and are not trusted."""
    addresses: AddressRule = attrs.field(default=AddressRule.ANY, init=False)
    """The address rule of the app's host."""
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

        `are_given` is true if the caller gave a header, a login, or credentials that are stored elsewhere.

        Raises:
            TokenWithheldError: The token would be sent to a host that is neither Hugging Face's nor
                `token_origin`.
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
                f"The token would go to {made.origin}, which is not a host of Hugging Face. To allow that, "
                f"pass token_origin={made.origin!r}. Pass a secret of the app itself in headers=.",
                phase=Phase.DISCOVER,
            )
        made._cookies = {name: _Cookie(value, "/") for name, value in (cookies or {}).items()}
        return made

    def child(self, headers: Mapping[str, str] | None = None) -> Credentials:
        """Return the credentials of a session: its own cookies over those of the app."""
        return Credentials(self.origin, _lower_names(headers), parent=self, query=self.query)

    @property
    def origin(self) -> str:
        """The origin that these credentials are bound to."""
        return self.parent.origin if self.parent is not None else self._origin

    def _may_see_token(self, where: str) -> bool:
        named = self.token_origin
        return is_hugging_face(where) or (named is not None and where in (named, https_origin(named)))

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies, names to values, including those of the app."""
        return {name: cookie.value for name, cookie in self._cookie_jar(self.origin).items()}

    def set_header(self, name: str, value: str | None) -> None:
        """Set a header of the caller, or remove it if the value is None. Its name is in lower case.

        Raises:
            UntrustedRedirect: As `check_given`.
        """
        self._give(value)
        # The mapping is replaced, as that of cookies, because other threads may be reading.
        self.headers = _with(self.headers, name, value)

    def set_cookie(self, name: str, value: str | None) -> None:
        """Set a cookie of the caller, or remove it if the value is None.

        Raises:
            UntrustedRedirect: As `check_given`.
        """
        self._give(value)
        self._cookies = _with(self._cookies, name, None if value is None else _Cookie(value, "/"))

    def _give(self, value: str | None) -> None:
        self.check_given(value)
        self.are_given = self.are_given or value is not None

    def follow(self, url: str) -> None:
        """Follow the app to the target of its discovery, before a request is sent there.

        An upgrade of the named host to https is always followed. Any other origin is followed if the caller
        trusts redirects, or if there are no credentials and the app was not found yet. After that, its
        sessions and their credentials belong to its origin.

        Raises:
            UntrustedRedirect: Credentials would be sent to an origin that the caller did not name.
            RemoteProtocolError: The target is an address inside a machine or cloud.
        """
        where = origin(url)
        if where == self._origin:
            return
        if where != self._found and not self._is_named(where):
            if is_internal(urlsplit(where).hostname or ""):
                raise RemoteProtocolError(
                    f"The app at {self._origin} redirects to {excerpt(shown_url(url))!r}, an address inside "
                    f"a machine or cloud. Such a redirect is never followed.",
                    phase=Phase.DISCOVER,
                )
            trusted = self.trust_redirects and (self.token is None or self._may_see_token(where))
            if not trusted and (self.are_given or self._found):
                raise self._redirect_error(url)
        self._origin = where
        is_named = self._is_named(where)
        self.moved = not self.trust_redirects and not is_named
        # Why not PUBLIC: apps on one network redirect to each other.
        self.addresses = AddressRule.ANY if is_named else AddressRule.NAMED

    def settle(self, url: str) -> None:
        """Bind to the app's final origin, as `follow` does. From now on it is not followed elsewhere.

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
        given = f" Your credentials are only for {self._origin}." if self.are_given else ""
        login = "" if urlsplit(url).path.rstrip("/").endswith("/config") else f" {LOGIN_ELSEWHERE}"
        return UntrustedRedirect(
            f"The app at {self._origin} redirects to another origin, {target}. Nothing was sent there."
            f"{given} If the other origin belongs to the app, {remedy}.{login}",
            origin=self._origin,
            target=target,
            phase=Phase.DISCOVER,
        )

    def check_given(self, *given: object) -> None:
        """Refuse credentials of a session or call after a redirect to an origin that the caller did not name.

        Args:
            *given: Headers or a token of a call; empty ones and None do not count.

        Raises:
            UntrustedRedirect: There is one, or the session has headers.
        """
        app = self.parent or self
        if app.moved and (any(given) or (app is not self and self.headers)):
            raise UntrustedRedirect(
                f"The app at {app._named} has redirected to another origin, {app._origin}. Headers and "
                f"tokens of a session, of a call or of forward() are not sent there, so the function was "
                f"not called. If that origin belongs to the app, connect to {app._origin!r}, or pass "
                f"trust_redirects=True.",
                origin=app._named,
                target=app._origin,
                phase=Phase.JOIN,
            )

    def store(self, url: str, set_cookie: Sequence[str]) -> Sequence[RejectedCookie]:
        """Store the ``Set-Cookie`` values of a reply, verbatim, and return the rejected cookies.

        ``Secure`` is ignored on purpose: 3.17 to 3.24 set it on the login cookie even over plain http
        (docs/wire.md §12.1), and a cookie never leaves the origin that set it. ``Domain`` never widens that,
        and a cookie with a ``Domain`` of another host is rejected (RFC 6265 §5.3, step 6).
        """
        if not set_cookie:
            return ()
        if origin(url) != self.origin:
            why = "it comes from another origin than the app's"
            return [
                RejectedCookie(line.partition("=")[0].strip()[:_NAME_CHARACTERS], why) for line in set_cookie
            ]
        left_out: list[RejectedCookie] = []
        kept = self._cookies_of(self.origin)  # replaced, not changed: other threads may be reading
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
                left_out.append(RejectedCookie(name[:_NAME_CHARACTERS], "its Domain belongs to another host"))
            elif options.get("max-age", "").strip().startswith(("0", "-")):
                kept.pop(name, None)
            elif len(kept) < MAX_COOKIES or name in kept:
                path = options.get("path", "/")
                kept[name] = _Cookie(value, path if path.startswith("/") else "/", setter=self.origin)
            else:
                left_out.append(
                    RejectedCookie(name[:_NAME_CHARACTERS], f"the app has already set {MAX_COOKIES} others")
                )
        self._cookies = kept
        return left_out

    def url_to_send(self, url: str) -> str:
        """Return a URL with the query of the app's URL, if it has the app's origin."""
        return add_query(url, self.query) if self.query and origin(url) == self.origin else url

    def for_url(
        self, url: str, own: Mapping[str, str], extra: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """Return the headers of a request: its own, plus those bound to its origin.

        The most specific takes precedence: `extra` (of one call) over those of the session, of the app, and
        of the request itself. The server's cookies never overwrite the caller's.

        Raises:
            UntrustedRedirect: See `check_given`.
        """
        headers = dict(zip(map(str.lower, own), own.values(), strict=True))
        app = self.parent or self
        where = app._origin
        # Why not only the second: most requests go to the app, and its URLs begin with the origin as it is.
        if not url.startswith(f"{where}/") and origin(url) != where:
            return headers
        if app.moved:
            self.check_given(extra)
        if app.token is not None:
            headers |= app._token_headers()
        if app is not self:
            headers |= app.headers
        headers |= self.headers
        if extra:
            headers |= _lower_names(extra)
        if not self._cookies and not app._cookies:
            return headers
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

    def _token_headers(self) -> dict[str, str]:
        if self.token is None or not self._may_see_token(self.origin):
            return {}
        # Hugging Face's proxy reads its own header, and leaves `authorization` to the app.
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
