# SPDX-License-Identifier: Apache-2.0
"""Requests through proxies of every kind that `routes` and `httpcore_common` know."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import anyio
import pytest
import trustme

from gradio_transport.engines.base import Patience
from gradio_transport.engines.httpcore_async import AsyncHTTPEngine
from gradio_transport.engines.httpcore_sync import HTTPEngine
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import ConnectError, Phase, TimeoutExpired
from gradio_transport.protocol.commands import Request, Response

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
AUTH = b"Basic " + base64.b64encode(b"me:p@ss")


def patience(**options: Any) -> Patience:
    return Patience(options.pop("connect", 5), 5, "join", Phase.JOIN, 1000, **options)


def read_head(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        data = connection.recv(1)
        if not data:
            return b""
        head += data
    return head


def relay(one: socket.socket, other: socket.socket) -> None:
    """Pass bytes on until one side ends."""

    def forward(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=forward, args=(other, one), daemon=True)
    back.start()
    forward(one, other)
    back.join(5)


class Servers:
    """A proxy of each kind, and a server with TLS behind them."""

    def __init__(self) -> None:
        authority = trustme.CA()
        self.server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self.server_context)
        self.verify = ssl.create_default_context()
        authority.configure_trust(self.verify)
        self.asked: list[bytes] = []
        self.refuses = False
        self.is_silent = threading.Event()
        self._listeners: list[socket.socket] = []
        self.target = self.listen(self.answer)
        self.ports = {
            "http": self.listen(self.tunnel),
            "https": self.listen(self.secure),
            "socks5": self.listen(self.socks),
        }

    def listen(self, serve: Any) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        self._listeners.append(listener)

        def handle(connection: socket.socket) -> None:
            with connection, suppress(OSError):
                connection.settimeout(10)
                serve(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    threading.Thread(target=handle, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return listener.getsockname()[1]

    def answer(self, connection: socket.socket) -> None:
        with self.server_context.wrap_socket(connection, server_side=True) as secure:
            while read_head(secure):
                secure.sendall(OK)

    def secure(self, connection: socket.socket) -> None:
        # The relay reads and writes at once, which one TLS socket of Python cannot: so it has a pair between.
        incoming, outgoing = socket.socketpair()
        with self.server_context.wrap_socket(connection, server_side=True) as secure, incoming, outgoing:
            threading.Thread(target=self.tunnel, args=(outgoing,), daemon=True).start()
            secure.settimeout(0.01)
            incoming.settimeout(0.01)
            while True:
                for source, sink in ((secure, incoming), (incoming, secure)):
                    with suppress(TimeoutError):
                        data = source.recv(65536)
                        if not data:
                            return
                        sink.sendall(data)

    def tunnel(self, connection: socket.socket) -> None:
        head = read_head(connection)
        self.asked.append(head)
        if self.is_silent.is_set():
            connection.recv(1)
        elif self.refuses:
            connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
        elif not head.startswith(b"CONNECT "):
            connection.sendall(OK)
        else:
            connection.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
            with socket.create_connection(("127.0.0.1", self.target)) as onward:
                relay(connection, onward)

    def socks(self, connection: socket.socket) -> None:
        connection.recv(100)
        connection.sendall(b"\5\2")
        self.asked.append(connection.recv(100))
        connection.sendall(b"\1\0")
        self.asked.append(connection.recv(300))
        connection.sendall(b"\5\0\0\1\0\0\0\0\0\0")
        with socket.create_connection(("127.0.0.1", self.target)) as onward:
            relay(connection, onward)

    def close(self) -> None:
        for listener in self._listeners:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()


@pytest.fixture
def servers() -> Iterator[Servers]:
    running = Servers()
    yield running
    running.close()


@pytest.fixture(params=["sync", "asyncio", "trio"])
def face(request) -> str:
    return request.param


def fetch(face: str, settings: HTTPSettings, url: str, bound: Patience, times: int = 1) -> Response:
    if face == "sync":
        engine = HTTPEngine(settings)
        try:
            return [engine.request(Request("GET", url), bound) for _ in range(times)][-1]
        finally:
            engine.close()

    async def main() -> Response:
        engine = AsyncHTTPEngine(settings)
        try:
            return [await engine.request(Request("GET", url), bound) for _ in range(times)][-1]
        finally:
            await engine.aclose()

    return anyio.run(main, backend=face)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
def test_a_server_with_tls_is_reached_through_every_kind(servers, face, kind, library):
    if kind == "socks5":
        pytest.importorskip("socksio")
    proxy = f"{kind}://me:p%40ss@localhost:{servers.ports[kind]}"
    settings = HTTPSettings(library=library, proxy=proxy, verify=servers.verify)
    reply = fetch(face, settings, f"https://localhost:{servers.target}/x", patience(), times=2)
    assert (reply.status, reply.body) == (200, b"ok")
    asked = b"".join(servers.asked)
    if kind == "socks5":
        assert b"me" in asked
        assert b"p@ss" in asked
    else:
        assert asked.count(b"CONNECT ") == 1
        assert AUTH in asked


def test_a_plain_request_is_passed_on_whole(servers, face):
    settings = HTTPSettings(proxy=f"http://me:p%40ss@localhost:{servers.ports['http']}")
    assert fetch(face, settings, "http://app.invalid:7860/x?y=1", patience()).body == b"ok"
    assert servers.asked[0].startswith(b"GET http://app.invalid:7860/x?y=1 HTTP/1.1\r\n")
    assert AUTH in servers.asked[0]


def test_a_proxy_that_refuses_is_no_connection(servers, face):
    servers.refuses = True
    settings = HTTPSettings(proxy=f"http://localhost:{servers.ports['http']}", verify=servers.verify)
    with pytest.raises(ConnectError, match="407"):
        fetch(face, settings, f"https://localhost:{servers.target}/", patience())


def test_a_proxy_that_does_not_answer_is_bounded_like_a_connection(servers, face):
    servers.is_silent.set()
    settings = HTTPSettings(proxy=f"http://localhost:{servers.ports['http']}", verify=servers.verify)
    with pytest.raises(TimeoutExpired) as caught:
        fetch(face, settings, f"https://localhost:{servers.target}/", patience(connect=0.3))
    assert (caught.value.setting, caught.value.retryable) == ("connect", True)
