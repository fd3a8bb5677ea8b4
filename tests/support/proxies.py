# SPDX-License-Identifier: Apache-2.0
"""Proxies on the loopback: HTTP CONNECT and SOCKS5, each with or without a login."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

Negotiate = Callable[[Any], "tuple[str, int] | None"]
"""Speaks with a client until it has named a target, and returns that, or None after a refusal."""


class Running:
    """A proxy that listens.

    Attributes:
        heads: What clients of an HTTP proxy sent, in order.
        targets: The hosts and ports that were asked for, in order.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.heads: list[str] = []
        self.targets: list[tuple[str, int]] = []


@contextlib.contextmanager
def connect_proxy(
    login: str = "", refusal: bytes = b"", context: ssl.SSLContext | None = None, target: Any = None
) -> Iterator[Running]:
    """Serve CONNECT.

    Args:
        login: ``user:password`` that a client must send.
        refusal: A reply that every client gets.
        context: Makes the proxy speak TLS itself.
        target: Host and port to connect to, whatever was asked for.
    """

    def negotiate(client: Any) -> tuple[str, int] | None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += read(client, 1)
        running.heads.append(head.decode())
        wanted = "Basic " + base64.b64encode(login.encode()).decode()
        if refusal or (login and wanted not in head.decode()):
            client.sendall(refusal or b"HTTP/1.1 407 Login\r\ncontent-length: 0\r\n\r\n")
            return None
        host, _, port = head.decode().split(" ")[1].rpartition(":")
        running.targets.append((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        return target or (host.strip("[]"), int(port))

    with _serving(negotiate, context) as running:
        yield running


@contextlib.contextmanager
def socks_proxy(login: str = "", code: int = 0, named: bool = False, target: Any = None) -> Iterator[Running]:
    """Serve SOCKS5.

    Args:
        login: ``user:password`` that a client must send.
        code: The code of the reply: 0 is success.
        named: Whether the reply has a name and not an address.
        target: Host and port to connect to, whatever was asked for.
    """

    def negotiate(client: Any) -> tuple[str, int] | None:
        methods = read(client, read(client, 2)[1])
        wanted = 2 if login else 0
        client.sendall(bytes([5, wanted if wanted in methods else 255]))
        if wanted not in methods:
            return None
        if login:
            user = read(client, read(client, 2)[1])
            password = read(client, read(client, 1)[0])
            accepted = user + b":" + password == login.encode()
            client.sendall(bytes([1, 0 if accepted else 1]))
            if not accepted:
                return None
        kind = read(client, 4)[3]
        if kind == 3:
            host = read(client, read(client, 1)[0]).decode()
        else:
            family, size = (socket.AF_INET, 4) if kind == 1 else (socket.AF_INET6, 16)
            host = socket.inet_ntop(family, read(client, size))
        port = int.from_bytes(read(client, 2), "big")
        running.targets.append((host, port))
        address = b"\x03\x05where" if named else b"\x01\x7f\0\0\1"
        for byte in b"\x05" + bytes([code]) + b"\0" + address + b"\0\0":
            client.sendall(bytes([byte]))  # a reply may come in pieces
        return None if code else (target or (host, port))

    with _serving(negotiate, None) as running:
        yield running


def read(client: Any, size: int) -> bytes:
    data = b""
    while len(data) < size:
        block = client.recv(size - len(data))
        if not block:
            raise OSError("the client has gone")
        data += block
    return data


@contextlib.contextmanager
def _serving(negotiate: Negotiate, context: ssl.SSLContext | None) -> Iterator[Running]:
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []
    open_sockets: list[Any] = []

    def talk(client: Any) -> None:
        with contextlib.suppress(OSError):
            if context is not None:
                client = context.wrap_socket(client, server_side=True)
                open_sockets.append(client)
            target = negotiate(client)
            if target is None:
                client.close()
                return
            upstream = socket.create_connection(target, 5)
            upstream.settimeout(None)
            open_sockets.append(upstream)
            back = threading.Thread(target=copy, args=(upstream, client))
            threads.append(back)
            back.start()
            copy(client, upstream)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                open_sockets.append(client)
                thread = threading.Thread(target=talk, args=(client,))
                threads.append(thread)
                thread.start()

    running = Running(listener.getsockname()[1])
    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield running
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        accepting.join(5)
        listener.close()
        for opened in [*open_sockets]:
            with contextlib.suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
        for thread in [*threads]:
            thread.join(5)
        for opened in open_sockets:
            opened.close()


def copy(source: Any, sink: Any) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)
