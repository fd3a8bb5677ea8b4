# SPDX-License-Identifier: Apache-2.0
"""Connections below websockets: direct, or through an HTTP or SOCKS5 proxy.

The route is that of HTTP requests (`Routes`), so http, https, ws and wss use the same settings and
environment variables. One deadline bounds everything: all addresses, the proxy, TLS.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from ..errors import GradioTransportError
from .base import Patience
from .bounds import Bounds, BrokenError, LateError, Wait
from .libraries import load_core
from .proxies import (
    PORTS,
    Proxy,
    ProxyRefusedError,
    ascii_host,
    bracketed,
    describe_way,
    refusal_error,
)
from .replies import connect_error, connect_timeout
from .routes import Routes
from .settings import HTTPSettings
from .sockets import SocketBackend
from .socks import route_backend
from .tls import ssl_context


def open_connection(
    url: str,
    settings: HTTPSettings,
    patience: Patience,
    bounds: Bounds,
    backend: SocketBackend,
    routes: Routes,
) -> Any:
    """Open the connection below a websocket, encrypted if its URL is of ``wss``.

    Args:
        url: URL of the websocket.
        settings: Settings with the proxy, if it is not from the environment, and the trusted CAs.
        patience: Its phase and settings are for the errors.
        bounds: Bounds of the connection; its time to connect bounds the opening.
        backend: Opens TCP connections.
        routes: Routes of the engine, which has read the environment.

    Returns:
        A ``NetworkStream`` of httpcore.

    Raises:
        ConnectError: The connection failed, or the proxy refused; the message names the proxy.
        TimeoutExpired: The connection was not open in time.
        UnsupportedProtocol: The proxy needs a package that is not installed.
    """
    route = routes.find(url)
    with _translate_errors(url, settings, route.proxy, patience, bounds):
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError("the URL has no host")
        host, port = ascii_host(parts.hostname), parts.port or PORTS.get(parts.scheme, 0)
        if route.proxy is None or route.proxy.is_socks:
            stream = route_backend(backend, route).connect_tcp(host, port, Wait(bounds))
        else:
            target = f"{bracketed(host)}:{port}"
            stream = _open_by_connect(route.proxy, target, settings, bounds, backend)
        if parts.scheme != "wss":
            return stream
        try:
            return stream.start_tls(ssl_context(settings, "https"), host, Wait(bounds))
        except BaseException:
            stream.close()
            raise


def _open_by_connect(
    proxy: Proxy, target: str, settings: HTTPSettings, bounds: Bounds, backend: SocketBackend
) -> Any:
    """Open a tunnel through an HTTP proxy (RFC 9110 §9.3.6)."""
    core = load_core(settings.library)
    headers = [(b"host", target.encode())]
    if proxy.authorization is not None:
        headers.append((b"proxy-authorization", proxy.authorization.encode()))
    context = ssl_context(settings, "https") if proxy.scheme == "https" else None
    pool = core.ConnectionPool(ssl_context=context, network_backend=backend)
    wait = Wait(bounds)
    extensions = {
        "target": target.encode(),
        "timeout": {"connect": wait, "read": wait, "write": wait},
    }
    try:
        request = core.Request("CONNECT", proxy.name, headers=headers, extensions=extensions)
        response = pool.handle_request(request)
        if 200 <= response.status < 300:
            # The pool is dropped without `close`, which would close the tunnel that the stream now owns.
            return response.extensions["network_stream"]
        raise ProxyRefusedError.from_status(response.status)
    except BaseException:
        pool.close()
        raise


@contextmanager
def _translate_errors(
    url: str, settings: HTTPSettings, proxy: Proxy | None, patience: Patience, bounds: Bounds
) -> Generator[None, None, None]:
    """Translate the errors of connections, sockets, TLS and httpcore."""
    core = load_core(settings.library)
    try:
        yield
    except LateError as error:
        raise connect_timeout(describe_way(url, proxy, reached=bounds.reached), patience) from error
    except ProxyRefusedError as error:
        raise refusal_error(url, proxy, error, patience) from error
    except GradioTransportError:
        raise
    except BrokenError as error:
        way = describe_way(url, proxy, reached=bounds.reached)
        raise connect_error(way, error.error, patience) from error.error
    except (core.NetworkError, core.ProtocolError, OSError, ValueError) as error:
        raise connect_error(describe_way(url, proxy), error, patience) from error
