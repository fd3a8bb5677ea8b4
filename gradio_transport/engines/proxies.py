# SPDX-License-Identifier: Apache-2.0
"""A proxy: its URL, its source, and errors that name it without its password."""

from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote_to_bytes, urlsplit

import attrs

from ..errors import ConnectError
from ..protocol.urls import shown_url
from .base import Patience

PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""Scheme -> default port."""

SCHEMES = ("http", "https", "socks5", "socks5h")
"""The schemes of proxies."""


class ProxyRefusedError(Exception):
    """A proxy refuses a request.

    Attributes:
        retryable: False if the proxy would refuse it again, else None.
        status: Status of its HTTP reply, or None.
    """

    def __init__(self, why: str, retryable: bool | None = None, status: int | None = None) -> None:
        super().__init__(why)
        self.retryable = retryable
        self.status = status

    @classmethod
    def from_status(cls, status: int) -> ProxyRefusedError:
        """Return the error for the status of a reply to CONNECT."""
        login = ": check the user and password in its URL" if status == 407 else ""
        return cls(f"HTTP {status}{login}", False if status < 500 else None, status)


@attrs.frozen
class Proxy:
    """A proxy.

    Its text for errors is ``http://host:port (of http_proxy)``.

    Attributes:
        host: A name or an address, without brackets.
        login: User and password, percent-decoded, or None.
        given_by: Its source: ``proxy=``, or an environment variable.
    """

    scheme: str
    host: str
    port: int
    login: tuple[bytes, bytes] | None = attrs.field(repr=False)
    given_by: str = "proxy="

    @classmethod
    def parse(cls, url: str, given_by: str = "proxy=") -> Proxy:
        """Return the proxy of a URL.

        Raises:
            ValueError: The URL has no host, or a scheme or port that is not known. The message has no part of
                it, because a password with a slash is parsed as a port.
        """
        try:
            parts = urlsplit(url)
            host, port = ascii_host(parts.hostname or ""), parts.port
        except ValueError:
            host, port, parts = "", None, urlsplit("")
        if parts.scheme not in SCHEMES or not host:
            raise ValueError(
                "the URL of the proxy, which is not shown, has no host, a wrong port, or a scheme other than "
                f"{', '.join(SCHEMES)}"
            )
        login = None
        if parts.username is not None:
            login = unquote_to_bytes(parts.username), unquote_to_bytes(parts.password or "")
        return cls(parts.scheme, host, port or PORTS[parts.scheme], login, given_by)

    def __str__(self) -> str:
        return f"{self.name} (of {self.given_by})"

    @property
    def name(self) -> str:
        """Its URL without user and password."""
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"

    @property
    def authorization(self) -> str | None:
        """The header of its login, or None."""
        return None if self.login is None else f"Basic {b64encode(b':'.join(self.login)).decode()}"

    @property
    def is_socks(self) -> bool:
        """Whether it is a SOCKS proxy."""
        return self.scheme.startswith("socks")


def ascii_host(host: str) -> str:
    """Return a host in the form for name servers.

    Raises:
        ValueError: It cannot be a host.
    """
    return host if host.isascii() else host.encode("idna").decode()


def bracketed(host: str) -> str:
    """Return a host in the form before a port."""
    return f"[{host}]" if ":" in host else host


def describe_way(url: str, proxy: Proxy | None, *, reached: bool = True) -> str:
    """Return the destination of a request for errors, with the proxy.

    Args:
        url: That of the request.
        proxy: The proxy, or None.
        reached: False if there is no connection to the proxy itself.
    """
    where = shown_url(url)
    if proxy is None:
        return where
    return f"{where} through the proxy {proxy}" if reached else f"the proxy {proxy} on the way to {where}"


def add_proxy(reason: str, proxy: Proxy | None) -> str:
    """Return the reason of a connection's end, with the proxy that may have ended it."""
    return reason if proxy is None else f"{reason}; it went through the proxy {proxy}"


def refusal_error(
    url: str, proxy: Proxy | None, error: ProxyRefusedError, patience: Patience
) -> ConnectError:
    """Return the error for a proxy that refuses a request."""
    return ConnectError(
        f"The proxy {proxy} refused the way to {shown_url(url)}: {error}.",
        phase=patience.phase,
        status=error.status,
        retryable=error.retryable,
    )


def find_refusal(status: int, url: str, proxy: Proxy | None, patience: Patience) -> ConnectError | None:
    """Return the error for a reply in which a proxy requires a login, else None.

    Any other status may be the app's as well; see `Response.proxy`.
    """
    if status != 407 or proxy is None:
        return None
    return refusal_error(url, proxy, ProxyRefusedError.from_status(status), patience)
