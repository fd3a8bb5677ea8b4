# SPDX-License-Identifier: Apache-2.0
"""The address of the proxy, and the requests that it serves.

A page of any website can send requests to a server on loopback, and a website can give its own name a
loopback address (DNS rebinding). The proxy may add a token to requests. So it serves a request only if the
``Host`` is one of its own names, and a request of a browser only for a page of its own origin.

A page of another port of this machine belongs to another program. Gradio itself lets such pages call an app
on the same machine. So if the proxy adds nothing to requests, it forwards them to such an app, which then
decides.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

import attrs

LOOPBACK = "127.0.0.1"

_UNSPECIFIED = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound

_ROUTES = frozenset(
    {
        "api", "call", "cancel", "component_server", "gradio_api", "heartbeat", "login", "logout", "predict",
        "queue", "reset", "run", "stream", "upload",
    }
)  # fmt: skip
"""Names in paths of routes that are not pages."""


@attrs.frozen
class Front:
    """The address that the proxy listens at.

    Attributes:
        host: The given host to bind to: an address or a name.
        port: The port.
        names: More names of this machine, for a proxy that other machines can reach.
        serves_local_pages: Whether pages of other ports of this machine are served.
    """

    host: str
    port: int
    names: Collection[str] = ()
    serves_local_pages: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether only programs of this machine can reach it."""
        return _is_loopback(self.host)

    @property
    def authority(self) -> str:
        """Host and port of the URL for a client on this machine."""
        host = LOOPBACK if self.host in _UNSPECIFIED else self.host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def owns(self, authority: str) -> bool:
        """Return whether the value of a ``Host`` header names this proxy.

        Any port is accepted: a port may be mapped or tunnelled, and a website cannot choose it.
        """
        host = _host_of(authority)
        if host is None:
            return False
        if _is_loopback(host) or host == self.host.lower():
            return True
        if self.is_loopback:
            return False
        return _is_address(host) or host in {name.lower() for name in self.names}

    def refusal(self, headers: Mapping[str, str], *, is_page: bool = True) -> str | None:
        """Return why a request is not served, or None if it is.

        Args:
            headers: Headers of the request, with lower-case names.
            is_page: Whether it is for a page of the app, not for a route of its API.
        """
        host = headers.get("host", "")
        if not self.owns(host):
            return (
                f"The Host of this request is {host[:100]!r}, which is not a name of this proxy. Use "
                f"http://{self.authority}."
            )
        origin = headers.get("origin")
        if origin is None:
            # A browser sends "same-site" for another port of the same host.
            if headers.get("sec-fetch-site", "") not in ("cross-site", "same-site"):
                return None
            # A link that opens the page is served, but not in a frame of another site, and not for an API
            # route.
            if headers.get("sec-fetch-dest") == "document" and is_page:
                return None
            origin = headers.get("referer", "")
        if self._serves(urlsplit_netloc(origin), host):
            return None
        return (
            f"A page of {origin[:100]!r} sent this request. This proxy serves only pages of its own origin, "
            f"because it may add your token or login to requests."
        )

    def _serves(self, page: str, host: str) -> bool:
        """Return whether a page is served, by its authority and the ``Host`` of its request."""
        if page.lower() == host.lower():
            return True
        if not self.owns(page):
            return False
        where = urlsplit(f"//{page}")
        if where.port == self.port:  # the proxy by another of its names
            return True
        return self.serves_local_pages and _is_loopback(where.hostname or "")


def is_page(path: str) -> bool:
    """Return whether a path is that of a page, not of a route: in 4.0 to 4.8 a GET may call a function."""
    return _ROUTES.isdisjoint(path.lower().split("/"))


def urlsplit_netloc(url: str) -> str:
    """Return host and port of an http(s) URL, or an empty string for any other text."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return parts.netloc if parts.scheme in ("http", "https") and "@" not in parts.netloc else ""


def is_loopback_url(url: str) -> bool:
    """Return whether a URL points to this machine."""
    return _is_loopback(urlsplit(url).hostname or "")


def _host_of(authority: str) -> str | None:
    """Return the host of an authority in lower case, or None if it is invalid."""
    if not authority or any(mark in authority for mark in "@/?#\\ \t"):
        return None
    try:
        parts = urlsplit(f"//{authority}")
        _ = parts.port  # raises for invalid input
    except ValueError:
        return None
    return (parts.hostname or "").removesuffix(".") or None


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    host = host.lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


__all__ = ["LOOPBACK", "Front", "is_page", "is_loopback_url", "urlsplit_netloc"]
