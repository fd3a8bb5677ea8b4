# SPDX-License-Identifier: Apache-2.0
"""Tunnels through SOCKS5 proxies (RFC 1928, RFC 1929). The package socksio encodes and parses the messages.

Why not httpcore's own: it treats one read as a full reply, raises socksio's errors and `AssertionError` for
replies that are not SOCKS5, and leaves the connection open after a refusal.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from ..errors import UnsupportedProtocol
from .bounds import BrokenError
from .proxies import Proxy, ProxyRefusedError
from .routes import Route

if TYPE_CHECKING:
    import socksio

_ADDRESS_BYTES = {1: 4, 4: 16}
"""Length of an address in a reply, by its type. A name, type 3, has a length prefix."""

_FIELD_BYTES = 255
"""The longest host, user or password in a message."""

Negotiation: TypeAlias = Generator[bytes | int, bytes, None]
"""Yields bytes to send, or the number of bytes to receive, which it gets."""


def route_backend(backend: Any, route: Route) -> Any:
    """Return the backend for a route: the engine's, wrapped for a SOCKS proxy.

    Raises:
        UnsupportedProtocol: socksio is not installed.
    """
    if route.proxy is None or not route.proxy.is_socks:
        return backend
    return SocksBackend(backend, route.proxy)


def async_route_backend(backend: Any, route: Route) -> Any:
    """Return the backend for a route of an async engine; see `route_backend`."""
    if route.proxy is None or not route.proxy.is_socks:
        return backend
    return AsyncSocksBackend(backend, route.proxy)


class SocksBackend:
    """A ``NetworkBackend`` of httpcore whose connections are tunnels of a proxy."""

    def __init__(self, backend: Any, proxy: Proxy) -> None:
        check_installed(proxy)
        self._backend = backend
        self._proxy = proxy

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Any:
        """Return a connection to a host.

        Raises:
            LateError: There was no connection in time.
            BrokenError: The proxy cannot be reached, or closed the connection.
            ProxyRefusedError: The proxy refuses to connect, or its reply is not SOCKS5.
        """
        stream = self._backend.connect_tcp(self._proxy.host, self._proxy.port, timeout)
        try:
            asked = negotiate(self._proxy.login, host, port)
            step = next(asked, None)
            while step is not None:
                if isinstance(step, bytes):
                    stream.write(step)
                    step = next(asked, None)
                else:
                    step = _next_step(asked, stream.read(step))
        except BaseException:
            stream.close()
            raise
        return stream


class AsyncSocksBackend:
    """`SocksBackend` for an async engine."""

    def __init__(self, backend: Any, proxy: Proxy) -> None:
        check_installed(proxy)
        self._backend = backend
        self._proxy = proxy

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> Any:
        """Return a connection to a host; see `SocksBackend.connect_tcp`."""
        stream = await self._backend.connect_tcp(self._proxy.host, self._proxy.port, timeout)
        try:
            asked = negotiate(self._proxy.login, host, port)
            step = next(asked, None)
            while step is not None:
                if isinstance(step, bytes):
                    await stream.write(step)
                    step = next(asked, None)
                else:
                    step = _next_step(asked, await stream.read(step))
        except BaseException:
            await stream.aclose()
            raise
        return stream


def _next_step(asked: Negotiation, received: bytes) -> bytes | int | None:
    try:
        return asked.send(received)
    except StopIteration:
        return None


def check_installed(proxy: Proxy) -> None:
    """Reject a SOCKS proxy if its package is not installed.

    Raises:
        UnsupportedProtocol: socksio is not installed.
    """
    if find_spec("socksio") is None:
        raise UnsupportedProtocol(
            f"The proxy {proxy} needs the package socksio: pip install 'gradio-transport[socks]'. Nothing "
            "was sent."
        )


def negotiate(login: tuple[bytes, bytes] | None, host: str, port: int) -> Negotiation:
    """Make the proxy connect to a host. The proxy resolves the name, for both ``socks5`` and ``socks5h``.

    Raises:
        BrokenError: The proxy closed the connection.
        ProxyRefusedError: The proxy refuses to connect, or its reply is not SOCKS5.
    """
    import socksio

    if max(map(len, (host, *(login or ())))) > _FIELD_BYTES:
        raise ProxyRefusedError(f"SOCKS5 has no room for a field over {_FIELD_BYTES} bytes", False)
    connection = socksio.socks5.SOCKS5Connection()
    try:
        yield from _log_in(connection, login)
        yield from _connect(connection, (host, port))
    except socksio.ProtocolError as error:
        raise ProxyRefusedError("its reply is not SOCKS5") from error


def _log_in(connection: socksio.socks5.SOCKS5Connection, login: tuple[bytes, bytes] | None) -> Negotiation:
    from socksio import socks5

    methods = socks5.SOCKS5AuthMethod
    method = methods.NO_AUTH_REQUIRED if login is None else methods.USERNAME_PASSWORD
    yield _message(connection, socks5.SOCKS5AuthMethodsRequest([method]))
    chosen = connection.receive_data((yield from _receive(2)))
    if not isinstance(chosen, socks5.SOCKS5AuthReply) or chosen.method is not method:
        raise ProxyRefusedError(
            "it requires a user and password in its URL"
            if login is None
            else "it does not accept a user and password",
            False,
        )
    if login is not None:
        yield _message(connection, socks5.SOCKS5UsernamePasswordRequest(*login))
        accepted = connection.receive_data((yield from _receive(2)))
        if not isinstance(accepted, socks5.SOCKS5UsernamePasswordReply) or not accepted.success:
            raise ProxyRefusedError("check the user and password in its URL", False)


def _connect(connection: socksio.socks5.SOCKS5Connection, target: tuple[str, int]) -> Negotiation:
    from socksio import socks5

    command = socks5.SOCKS5CommandRequest.from_address(socks5.SOCKS5Command.CONNECT, target)
    yield _message(connection, command)
    reply = connection.receive_data((yield from _receive_reply()))
    code = reply.reply_code if isinstance(reply, socks5.SOCKS5Reply) else None
    if code is not socks5.SOCKS5ReplyCode.SUCCEEDED:
        raise ProxyRefusedError("no reply" if code is None else code.name.replace("_", " ").lower())


def _message(connection: socksio.socks5.SOCKS5Connection, message: Any) -> bytes:
    cast("Any", connection).send(message)  # its decorator has types that pyright does not accept
    return connection.data_to_send()


def _receive_reply() -> Generator[int, bytes, bytes]:
    """Return the reply to a command, without reading data of the host behind the proxy."""
    head = yield from _receive(4)
    size = _ADDRESS_BYTES.get(head[3])
    if head[3] == 3:
        head += yield from _receive(1)
        size = head[-1]
    return head if size is None else head + (yield from _receive(size + 2))


def _receive(size: int) -> Generator[int, bytes, bytes]:
    data = b""
    while len(data) < size:
        block = yield size - len(data)
        if not block:
            raise BrokenError(ConnectionError("the proxy closed the connection"))
        data += block
    return data
