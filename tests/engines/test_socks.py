# SPDX-License-Identifier: Apache-2.0
"""What is said to a SOCKS5 proxy, and that nothing behind its replies is read. (Real sockets: test_tunnels.)"""

from __future__ import annotations

import sys
from typing import Any

import anyio
import httpcore
import pytest

from gradio_transport.engines.bounds import BrokenError
from gradio_transport.engines.proxies import Proxy, ProxyRefusedError
from gradio_transport.engines.routes import Route
from gradio_transport.engines.socks import AsyncSocksBackend, SocksBackend, async_route_backend, route_backend
from gradio_transport.errors import UnsupportedProtocol

OPENED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"


class Scripted(httpcore.NetworkStream):
    """A proxy that sends what it is given, at most three bytes a read."""

    def __init__(self, *replies: bytes) -> None:
        self.left = b"".join(replies)
        self.sent: list[bytes] = []
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        size = min(3, max_bytes)
        data, self.left = self.left[:size], self.left[size:]
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.sent.append(buffer)


class AsyncScripted(httpcore.AsyncNetworkStream):
    def __init__(self, stream: Scripted) -> None:
        self.stream = stream

    async def aclose(self) -> None:
        self.stream.close()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer)


@pytest.fixture(params=["sync", "async"])
def open_tunnel(request: pytest.FixtureRequest) -> Any:
    """Open a tunnel by the backend of either face, and check that the proxy itself was connected to."""

    class Backend:
        def __init__(self, stream: Scripted) -> None:
            self.stream = stream

        def connect_tcp(self, host: str, port: int, timeout: float | None = None) -> Scripted:
            assert (host, port) == ("proxy", 1080)
            return self.stream

    class AsyncBackend(Backend):
        async def connect_tcp(self, host: str, port: int, timeout: float | None = None) -> Any:  # type: ignore[override]
            return AsyncScripted(super().connect_tcp(host, port))

    def open_tunnel(stream: Scripted, login: tuple[bytes, bytes] | None, host: str, port: int) -> None:
        proxy = Proxy("socks5", "proxy", 1080, login)
        try:
            if request.param == "sync":
                SocksBackend(Backend(stream), proxy).connect_tcp(host, port)
            else:
                anyio.run(AsyncSocksBackend(AsyncBackend(stream), proxy).connect_tcp, host, port)
        except BaseException:
            assert stream.closed
            raise
        assert not stream.closed

    return open_tunnel


def test_only_a_proxy_of_socks_opens_tunnels() -> None:
    backend = object()
    for find in (route_backend, async_route_backend):
        for proxy in (None, Proxy.parse("http://proxy")):
            assert find(backend, Route("http", proxy)) is backend
        assert find(backend, Route("http", Proxy.parse("socks5h://proxy"))) is not backend


def test_a_name_is_sent_to_be_resolved_and_what_comes_behind_the_reply_is_left(open_tunnel: Any) -> None:
    stream = Scripted(b"\x05\x00", OPENED, b"early")
    open_tunnel(stream, None, "app.example", 80)
    assert stream.sent == [b"\x05\x01\x00", b"\x05\x01\x00\x03\x0bapp.example\x00\x50"]
    assert stream.left == b"early"


def test_a_login_is_sent(open_tunnel: Any) -> None:
    stream = Scripted(b"\x05\x02", b"\x01\x00", OPENED)
    open_tunnel(stream, (b"me", b"secret"), "127.0.0.1", 443)
    assert stream.sent[:2] == [b"\x05\x01\x02", b"\x01\x02me\x06secret"]
    assert stream.sent[2] == b"\x05\x01\x00\x01\x7f\x00\x00\x01\x01\xbb"


@pytest.mark.parametrize(
    ("replies", "why", "retryable"),
    [
        ((b"\x05\xff",), "requires a user", False),
        ((b"\x05\x09",), "not SOCKS5", None),
        ((b"HTTP/1.1 400 Bad Request\r\n",), "not SOCKS5", None),
        ((b"\x05\x00", b"\x05\x04\x00\x01\0\0\0\0\0\0"), "host unreachable", None),
        ((b"\x05\x00", b"\x04\x00\x00\x01\0\0\0\0\0\0"), "not SOCKS5", None),
        ((b"\x05\x00", b"\x05\x00\x00\x09\0\0\0\0\0\0"), "not SOCKS5", None),
        ((b"\x05\x00", b"\x05\x00\x00\x03\x01\xff\0\0"), "not SOCKS5", None),
    ],
)
def test_a_refusal_says_why(
    open_tunnel: Any, replies: tuple[bytes, ...], why: str, retryable: bool | None
) -> None:
    with pytest.raises(ProxyRefusedError, match=why) as caught:
        open_tunnel(Scripted(*replies), None, "app.example", 80)
    assert caught.value.retryable is retryable


def test_a_proxy_that_hangs_up_is_a_broken_connection(open_tunnel: Any) -> None:
    with pytest.raises(BrokenError, match="closed the connection"):
        open_tunnel(Scripted(b"\x05"), None, "app.example", 80)


def test_a_field_that_no_message_has_room_for_is_refused_before_anything_is_sent(
    open_tunnel: Any,
) -> None:
    stream = Scripted()
    for login, host in (((b"u" * 256, b""), "host"), ((b"", b"p" * 256), "host"), (None, "h" * 256)):
        with pytest.raises(ProxyRefusedError, match="no room"):
            open_tunnel(stream, login, host, 80)
    assert stream.sent == []


def test_without_socksio_the_proxy_and_the_extra_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    route = Route("http", Proxy.parse("socks5://me:secret@proxy", "all_proxy"))
    for find in (route_backend, async_route_backend):
        with pytest.raises(UnsupportedProtocol, match=r"gradio-transport\[socks\]") as caught:
            find(object(), route)
        assert "The proxy socks5://proxy:1080 (of all_proxy) needs" in str(caught.value)
        assert not caught.value.retryable
