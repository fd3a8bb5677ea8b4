# SPDX-License-Identifier: Apache-2.0
"""Secrets bound to an origin: they are added to requests for that origin, and to no other.

A server's redirects, absolute URLs and ``root`` can name any host; what decides whether a header or cookie
goes along is only the origin it was bound to (scheme, host, port).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import attrs

from .urls import origin

_COOKIE_LIMIT = 300
"""Cookies kept for one origin; a hostile server may set any number."""


@attrs.frozen
class _Cookie:
    value: str
    path: str


@attrs.define
class Credentials:
    """What may be shown to an app's own origin.

    Attributes:
        origin: The origin that everything here is bound to.
        headers: Headers of the caller and tokens; names in lower case.
    """

    origin: str
    headers: dict[str, str] = attrs.field(factory=dict[str, str], repr=False)
    _cookies: dict[str, _Cookie] = attrs.field(factory=dict[str, _Cookie], init=False, repr=False)

    @classmethod
    def bound_to(cls, url: str, headers: Mapping[str, str] | None = None) -> Credentials:
        """Return credentials for the origin of a URL. The caller's mapping is copied."""
        lowered = {name.lower(): value for name, value in (headers or {}).items()}
        return cls(origin(url), lowered)

    def rebind(self, url: str) -> None:
        """Follow an upgrade of the same host from http to https; any other move drops what is held.

        Cookies are dropped in both cases: they belong to the origin that set them.
        """
        new = origin(url)
        if new == self.origin:
            return
        before, after = urlsplit(self.origin), urlsplit(new)
        upgrade = (before.scheme, before.port, after.scheme, after.port) == ("http", 80, "https", 443)
        self._cookies.clear()
        if not (upgrade and before.hostname == after.hostname):
            self.headers.clear()
        self.origin = new

    def store(self, url: str, set_cookie: Sequence[str]) -> None:
        """Take the ``Set-Cookie`` values of a reply, verbatim.

        ``Secure`` is not honoured on purpose: 3.17 to 3.24 mark the login cookie so even over plain http
        (atlas §12.1), and it never leaves the origin that set it.  ``Domain`` is never widened.
        """
        if not set_cookie or origin(url) != self.origin:
            return
        for line in set_cookie:
            pair, *attributes = (part.strip() for part in line.split(";"))
            name, separator, value = pair.partition("=")
            if not separator or not name:
                continue
            options = {key.lower(): text for key, _, text in (one.partition("=") for one in attributes)}
            if options.get("max-age", "").strip().startswith(("0", "-")):
                self._cookies.pop(name, None)
            elif len(self._cookies) < _COOKIE_LIMIT or name in self._cookies:
                path = options.get("path", "/")
                self._cookies[name] = _Cookie(value, path if path.startswith("/") else "/")

    def for_url(self, url: str, own: Mapping[str, str]) -> dict[str, str]:
        """Return the headers of a request: its own, plus what is bound to its origin.

        The caller's headers win over the request's; cookies never overwrite one that the caller set.
        """
        headers = {name.lower(): value for name, value in own.items()}
        if origin(url) != self.origin:
            return headers
        headers |= self.headers
        path = urlsplit(url).path or "/"
        cookies = {name: one.value for name, one in self._cookies.items() if _covers(one.path, path)}
        given = headers.get("cookie", "")
        present = {pair.partition("=")[0].strip() for pair in given.split(";")}
        ours = "; ".join(f"{name}={value}" for name, value in cookies.items() if name not in present)
        if ours:
            headers["cookie"] = f"{given}; {ours}" if given else ours
        return headers


def _covers(cookie_path: str, path: str) -> bool:
    """Return whether a cookie's path covers a request's path (RFC 6265 §5.1.4)."""
    return path == cookie_path or path.startswith(
        cookie_path if cookie_path.endswith("/") else cookie_path + "/"
    )
