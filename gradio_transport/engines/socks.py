# SPDX-License-Identifier: Apache-2.0
"""Asks a SOCKS5 proxy for a tunnel (RFC 1928, RFC 1929). The package socksio makes and reads the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ..errors import UnsupportedProtocol
from .proxies import ProxyRefusedError

if TYPE_CHECKING:
    import socksio

_ADDRESS_BYTES = {1: 4, 4: 16}
"""Length of an address in a reply, by its type. A name, type 3, has its length before it."""

_FIELD_BYTES = 255
"""The longest host, user or password that a message has room for."""


def open_tunnel(stream: Any, login: tuple[bytes, bytes] | None, host: str, port: int) -> None:
    """Make the proxy at the other end of a stream connect the stream to a host.

    The proxy resolves the name, for ``socks5`` as for ``socks5h``: so does httpx.

    Raises:
        ProxyRefusedError: The proxy does not connect, or its reply is not of SOCKS5.
        UnsupportedProtocol: socksio is not installed.
    """
    try:
        import socksio
    except ImportError:
        raise UnsupportedProtocol(
            "A SOCKS proxy needs the package socksio: pip install 'gradio-transport[socks]'."
        ) from None
    if max(map(len, (host, *(login or ())))) > _FIELD_BYTES:
        raise ProxyRefusedError(f"SOCKS5 has no room for a field over {_FIELD_BYTES} bytes", False)
    connection = socksio.socks5.SOCKS5Connection()
    try:
        _log_in(stream, connection, login)
        _connect(stream, connection, (host, port))
    except socksio.ProtocolError as error:
        raise ProxyRefusedError("its reply is not of SOCKS5") from error


def _log_in(
    stream: Any,
    connection: socksio.socks5.SOCKS5Connection,
    login: tuple[bytes, bytes] | None,
) -> None:
    from socksio import socks5

    methods = socks5.SOCKS5AuthMethod
    method = methods.NO_AUTH_REQUIRED if login is None else methods.USERNAME_PASSWORD
    _send(stream, connection, socks5.SOCKS5AuthMethodsRequest([method]))
    chosen = connection.receive_data(_read_exactly(stream, 2))
    if not isinstance(chosen, socks5.SOCKS5AuthReply) or chosen.method is not method:
        raise ProxyRefusedError(
            "it wants a user and password in its URL" if login is None else "it takes no user and password",
            False,
        )
    if login is not None:
        _send(stream, connection, socks5.SOCKS5UsernamePasswordRequest(*login))
        accepted = connection.receive_data(_read_exactly(stream, 2))
        if not isinstance(accepted, socks5.SOCKS5UsernamePasswordReply) or not accepted.success:
            raise ProxyRefusedError("check the user and password in its URL", False)


def _connect(stream: Any, connection: socksio.socks5.SOCKS5Connection, target: tuple[str, int]) -> None:
    from socksio import socks5

    command = socks5.SOCKS5CommandRequest.from_address(socks5.SOCKS5Command.CONNECT, target)
    _send(stream, connection, command)
    reply = connection.receive_data(_read_reply(stream))
    code = reply.reply_code if isinstance(reply, socks5.SOCKS5Reply) else None
    if code is not socks5.SOCKS5ReplyCode.SUCCEEDED:
        raise ProxyRefusedError("no reply" if code is None else code.name.replace("_", " ").lower())


def _send(stream: Any, connection: socksio.socks5.SOCKS5Connection, message: Any) -> None:
    cast("Any", connection).send(message)  # its decorator has types that pyright does not accept
    stream.write(connection.data_to_send())


def _read_reply(stream: Any) -> bytes:
    """Return the reply to a command, and no byte of what the host behind the proxy sends."""
    head = _read_exactly(stream, 4)
    size = _ADDRESS_BYTES.get(head[3])
    if head[3] == 3:
        head += _read_exactly(stream, 1)
        size = head[-1]
    return head if size is None else head + _read_exactly(stream, size + 2)


def _read_exactly(stream: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        block = stream.read(size - len(data))
        if not block:
            raise OSError("the proxy closed the connection")
        data += block
    return data
