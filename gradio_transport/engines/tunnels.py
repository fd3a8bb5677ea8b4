# SPDX-License-Identifier: Apache-2.0
"""Opens the connection below a websocket: directly, or through an HTTP or SOCKS5 proxy.

The route is the one of HTTP requests (`Routes`), so that http, https, ws and wss obey the same settings and
environment variables. One deadline bounds everything: all addresses, the proxy, TLS.
"""

from __future__ import annotations

import math
import socket
import time
from base64 import b64encode
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit

import httpcore

from ..errors import GradioTransportError
from .base import Patience
from .httpx_common import Routes, connect_error, connect_timeout, ssl_context
from .proxies import (
    PORTS,
    Proxy,
    ProxyRefusedError,
    ascii_host,
    bracketed,
    proxy_name,
    refusal_error,
)
from .settings import HTTPSettings
from .socks import open_tunnel

SocketOption: TypeAlias = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)


class Deadline:
    """The end of the time for opening a connection."""

    def __init__(self, seconds: float | None) -> None:
        self._ends = math.inf if seconds is None else time.monotonic() + seconds

    def remaining(self, timeout: float | None = None) -> float | None:
        """Return how many seconds a wait may take that has a timeout of its own.

        Raises:
            TimeoutError: The deadline has passed.
        """
        if self._ends == math.inf:
            return timeout
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        return left if timeout is None else min(timeout, left)

    def lift(self) -> None:
        """Remove the deadline, once the connection is open."""
        self._ends = math.inf


class _TimedStream(httpcore.NetworkStream):
    """A stream whose waits end at a deadline: a server that sends byte by byte could else prolong it."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.remaining(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.remaining(timeout))
        return _TimedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _TimedBackend(httpcore.NetworkBackend):
    """A backend that opens timed streams."""

    def __init__(self, inner: httpcore.NetworkBackend, deadline: Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address of a host that accepts.

        Why not by the host's name: the backend would allow each of its addresses the whole time. Here each
        has an equal share of what is left, so one that never answers leaves time for the others.
        """
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        error: Exception | None = None
        for index, (*_, address) in enumerate(found):
            left = self._deadline.remaining(timeout)
            share = None if left is None else left / (len(found) - index)
            try:
                numeric, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
                inner = self._inner.connect_tcp(numeric, port, share, local_address, socket_options)
                return _TimedStream(inner, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as caught:
                error = caught
        raise error or httpcore.ConnectError(f"{host} has no address")


def open_connection(
    url: str,
    settings: HTTPSettings,
    patience: Patience,
    deadline: Deadline,
    backend: httpcore.NetworkBackend | None = None,
) -> httpcore.NetworkStream:
    """Open the connection below a websocket, encrypted if its URL is of ``wss``.

    Args:
        url: That of the websocket.
        settings: They have the proxy, if it is not in the environment, and the trusted CAs.
        patience: Its phase and settings are for the errors.
        deadline: Bounds the opening, and all reads and writes until it is lifted.
        backend: What opens TCP connections: that of httpcore, or a replacement.

    Raises:
        ConnectError: It cannot be opened, or the proxy refuses; the message names the proxy.
        TimeoutExpired: It was not open in time.
        UnsupportedProtocol: The proxy needs a package that is not installed.
    """
    timed = _TimedBackend(httpcore.SyncBackend() if backend is None else backend, deadline)
    proxy_url = Routes(settings).find(url).proxy
    with _translate_errors(url, proxy_url, patience):
        parts = urlsplit(url)
        if not parts.hostname:
            raise ValueError("the URL has no host")
        host, port = ascii_host(parts.hostname), parts.port or PORTS.get(parts.scheme, 0)
        stream = _open_stream(host, port, proxy_url, settings, timed)
        if parts.scheme != "wss":
            return stream
        try:
            return stream.start_tls(ssl_context(settings, "https"), host, deadline.remaining())
        except BaseException:
            stream.close()
            raise


def _open_stream(
    host: str, port: int, proxy_url: str | None, settings: HTTPSettings, backend: httpcore.NetworkBackend
) -> httpcore.NetworkStream:
    if proxy_url is None:
        return backend.connect_tcp(host, port)
    proxy = Proxy.parse(proxy_url)
    if proxy.is_socks:
        return _open_by_socks(proxy, host, port, backend)
    return _open_by_connect(proxy, f"{bracketed(host)}:{port}", settings, backend)


def _open_by_connect(
    proxy: Proxy, target: str, settings: HTTPSettings, backend: httpcore.NetworkBackend
) -> httpcore.NetworkStream:
    """Open a tunnel through an HTTP proxy (RFC 9110 §9.3.6)."""
    headers = [(b"host", target.encode())]
    if proxy.login is not None:
        headers.append((b"proxy-authorization", b"Basic " + b64encode(b":".join(proxy.login))))
    context = ssl_context(settings, "https") if proxy.scheme == "https" else None
    pool = httpcore.ConnectionPool(ssl_context=context, network_backend=backend)
    try:
        request = httpcore.Request(
            "CONNECT", proxy.name, headers=headers, extensions={"target": target.encode()}
        )
        response = pool.handle_request(request)
        if 200 <= response.status < 300:
            # The pool is dropped without `close`, which would close the tunnel: that is the stream's now.
            extensions = cast("dict[str, Any]", response.extensions)  # pyright: ignore[reportUnknownMemberType]
            return cast("httpcore.NetworkStream", extensions["network_stream"])
        raise ProxyRefusedError.from_status(response.status)
    except BaseException:
        pool.close()
        raise


def _open_by_socks(
    proxy: Proxy, host: str, port: int, backend: httpcore.NetworkBackend
) -> httpcore.NetworkStream:
    stream = backend.connect_tcp(proxy.host, proxy.port)
    try:
        open_tunnel(stream, proxy.login, host, port)
    except BaseException:
        stream.close()
        raise
    return stream


@contextmanager
def _translate_errors(url: str, proxy_url: str | None, patience: Patience) -> Generator[None, None, None]:
    """Turn httpcore's exceptions, and those of sockets and TLS, into ours."""
    where = url.partition("?")[0]
    through = f"{where} through the proxy {proxy_name(proxy_url)}" if proxy_url else where
    try:
        yield
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise connect_timeout(through, patience) from error
    except ProxyRefusedError as error:
        raise refusal_error(where, proxy_url, error, patience) from error
    except GradioTransportError:
        raise
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError, ValueError) as error:
        raise connect_error(through, error, patience) from error
