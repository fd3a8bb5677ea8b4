# SPDX-License-Identifier: Apache-2.0
"""Opens the connection below a websocket: directly, or through an HTTP or SOCKS5 proxy.

The route is the one of HTTP requests (`Routes`), so that http, https, ws and wss obey the same settings and
environment variables. One deadline bounds everything: all addresses, the proxy, TLS.
"""

from __future__ import annotations

from base64 import b64encode
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
    proxy_name,
    refusal_error,
)
from .replies import connect_error, connect_timeout
from .routes import Routes
from .settings import HTTPSettings
from .sockets import SocketBackend
from .socks import open_tunnel
from .tls import ssl_context


def open_connection(
    url: str,
    settings: HTTPSettings,
    patience: Patience,
    bounds: Bounds,
    backend: SocketBackend,
    routes: Routes | None = None,
) -> Any:
    """Open the connection below a websocket, encrypted if its URL is of ``wss``.

    Args:
        url: That of the websocket.
        settings: They have the proxy, if it is not in the environment, and the trusted CAs.
        patience: Its phase and settings are for the errors.
        bounds: Those of the connection; its time to connect bounds the opening.
        backend: What opens TCP connections.
        routes: Those of the engine, which has read the environment; read anew if None.

    Returns:
        A ``NetworkStream`` of httpcore.

    Raises:
        ConnectError: It cannot be opened, or the proxy refuses; the message names the proxy.
        TimeoutExpired: It was not open in time.
        UnsupportedProtocol: The proxy needs a package that is not installed.
    """
    proxy_url = (routes or Routes(settings)).find(url).proxy
    with _translate_errors(url, settings, proxy_url, patience):
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError("the URL has no host")
        host, port = ascii_host(parts.hostname), parts.port or PORTS.get(parts.scheme, 0)
        stream = _open_stream(host, port, proxy_url, settings, bounds, backend)
        if parts.scheme != "wss":
            return stream
        try:
            return stream.start_tls(ssl_context(settings, "https"), host, Wait(bounds))
        except BaseException:
            stream.close()
            raise


def _open_stream(
    host: str,
    port: int,
    proxy_url: str | None,
    settings: HTTPSettings,
    bounds: Bounds,
    backend: SocketBackend,
) -> Any:
    if proxy_url is None:
        return backend.connect_tcp(host, port, Wait(bounds))
    proxy = Proxy.parse(proxy_url)
    if proxy.is_socks:
        return _open_by_socks(proxy, host, port, bounds, backend)
    return _open_by_connect(proxy, f"{bracketed(host)}:{port}", settings, bounds, backend)


def _open_by_connect(
    proxy: Proxy, target: str, settings: HTTPSettings, bounds: Bounds, backend: SocketBackend
) -> Any:
    """Open a tunnel through an HTTP proxy (RFC 9110 §9.3.6)."""
    core = load_core(settings.library)
    headers = [(b"host", target.encode())]
    if proxy.login is not None:
        headers.append((b"proxy-authorization", b"Basic " + b64encode(b":".join(proxy.login))))
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
            # The pool is dropped without `close`, which would close the tunnel: that is the stream's now.
            return response.extensions["network_stream"]
        raise ProxyRefusedError.from_status(response.status)
    except BaseException:
        pool.close()
        raise


def _open_by_socks(proxy: Proxy, host: str, port: int, bounds: Bounds, backend: SocketBackend) -> Any:
    stream = backend.connect_tcp(proxy.host, proxy.port, Wait(bounds))
    try:
        open_tunnel(stream, proxy.login, host, port)
    except BaseException:
        stream.close()
        raise
    return stream


@contextmanager
def _translate_errors(
    url: str, settings: HTTPSettings, proxy_url: str | None, patience: Patience
) -> Generator[None, None, None]:
    """Turn the errors of connections, of sockets and TLS, and of httpcore into ours."""
    where = url.partition("?")[0]
    through = f"{where} through the proxy {proxy_name(proxy_url)}" if proxy_url else where
    core = load_core(settings.library)
    try:
        yield
    except LateError as error:
        raise connect_timeout(through, patience) from error
    except ProxyRefusedError as error:
        raise refusal_error(where, proxy_url, error, patience) from error
    except GradioTransportError:
        raise
    except BrokenError as error:
        raise connect_error(through, error.error, patience) from error.error
    except (core.NetworkError, core.ProtocolError, OSError, ValueError) as error:
        raise connect_error(through, error, patience) from error
