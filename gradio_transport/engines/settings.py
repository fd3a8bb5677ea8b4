# SPDX-License-Identifier: Apache-2.0
"""The connection settings of an engine: HTTP library, TLS, proxy, connections."""

from __future__ import annotations

import ssl
from typing import Literal, TypeAlias

import attrs

Verify: TypeAlias = bool | str | ssl.SSLContext


@attrs.frozen(kw_only=True)
class HTTPSettings:
    """The connection settings of an engine.

    Attributes:
        library: ``"httpx"``, or ``"httpx2"`` from the extra of that name.
        verify: True, False, the path of a CA bundle, or an `ssl.SSLContext`.
        proxy: URL of a proxy, or None for those of the environment.
        connections: The most open connections.
        trust_env: Whether the environment's proxies and CAs (``SSL_CERT_FILE``) apply.
        client_adds_headers: Whether the HTTP client is the caller's, and adds its own headers, cookies, login
            or parameters to each request.
    """

    library: Literal["httpx", "httpx2"] = "httpx"
    verify: Verify = True
    proxy: str | None = attrs.field(default=None, repr=False)
    connections: int = 1100
    trust_env: bool = True
    client_adds_headers: bool = False
