# SPDX-License-Identifier: Apache-2.0
"""The URL of a proxy, and errors that name a proxy without its password."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes, urlsplit

import attrs

from ..errors import ConnectError
from .base import Patience

PORTS = {"ws": 80, "wss": 443, "http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
"""Scheme -> default port."""

SCHEMES = ("http", "https", "socks5", "socks5h")
"""The schemes of proxies."""


class ProxyRefusedError(Exception):
    """A proxy does not open a tunnel.

    Attributes:
        retryable: False if the proxy would refuse it again, else None.
    """

    def __init__(self, why: str, retryable: bool | None = None) -> None:
        super().__init__(why)
        self.retryable = retryable

    @classmethod
    def from_status(cls, status: int) -> ProxyRefusedError:
        """Return the error for a status that is the reply to CONNECT."""
        login = ": check the user and password in its URL" if status == 407 else ""
        return cls(f"HTTP {status}{login}", False if status < 500 else None)


@attrs.frozen
class Proxy:
    """A proxy.

    Attributes:
        host: A name or an address, without brackets.
        login: User and password, percent-decoded, or None.
    """

    scheme: str
    host: str
    port: int
    login: tuple[bytes, bytes] | None = attrs.field(repr=False)

    @classmethod
    def parse(cls, url: str) -> Proxy:
        """Return the proxy of a URL.

        Raises:
            ValueError: The URL has no host, or a scheme or port that is not known. The message has no part of
                it: a password with a slash in it is taken for a port.
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
        return cls(parts.scheme, host, port or PORTS[parts.scheme], login)

    @property
    def name(self) -> str:
        """Its URL without user and password."""
        return f"{self.scheme}://{bracketed(self.host)}:{self.port}"

    @property
    def is_socks(self) -> bool:
        """Whether it is one of SOCKS."""
        return self.scheme.startswith("socks")


def ascii_host(host: str) -> str:
    """Return a host as name servers know it.

    Raises:
        ValueError: It cannot be a host.
    """
    return host if host.isascii() else host.encode("idna").decode()


def bracketed(host: str) -> str:
    """Return a host as it stands before a port."""
    return f"[{host}]" if ":" in host else host


def proxy_name(url: str | None) -> str:
    """Return a proxy's name for errors: its URL without user and password."""
    try:
        return Proxy.parse(url or "").name
    except ValueError:
        return "of the settings or the environment"


def refusal_error(
    where: str, proxy_url: str | None, error: ProxyRefusedError, patience: Patience
) -> ConnectError:
    """Return the error for a proxy that does not open a tunnel."""
    return ConnectError(
        f"The proxy {proxy_name(proxy_url)} refused a tunnel to {where}: {error}.",
        phase=patience.phase,
        retryable=error.retryable,
    )
