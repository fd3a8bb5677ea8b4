# SPDX-License-Identifier: Apache-2.0
"""How an engine reaches servers: HTTP library, TLS, proxy, connections."""

from __future__ import annotations

import ssl
from typing import Literal, TypeAlias

import attrs

Verify: TypeAlias = bool | str | ssl.SSLContext


@attrs.frozen(kw_only=True)
class HTTPSettings:
    """How to reach servers.

    Attributes:
        library: ``"httpx"``, or ``"httpx2"`` of the extra of that name.
        verify: True, False, a CA bundle's path, or an `ssl.SSLContext` of one's own.
        proxy: URL of a proxy, or None for those of the environment.
        connections: Bound of open connections.
        trust_env: Whether the environment's proxies, and its CAs (``SSL_CERT_FILE``), count.
        client_adds_headers: Whether the HTTP client is the caller's, and adds headers, cookies, a login or
            parameters of its own to each request.
    """

    library: Literal["httpx", "httpx2"] = "httpx"
    verify: Verify = True
    proxy: str | None = attrs.field(default=None, repr=False)
    connections: int = 1100
    trust_env: bool = True
    client_adds_headers: bool = False
