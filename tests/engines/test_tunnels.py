# SPDX-License-Identifier: Apache-2.0
"""The connection below a websocket: which route it takes, how long it may take, and what its errors say."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import httpcore
import pytest
from proxies import connect_proxy, socks_proxy

from gradio_transport.engines.base import Patience
from gradio_transport.engines.bounds import Bounds
from gradio_transport.engines.routes import Routes
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.engines.sockets import SocketBackend, SocketStream
from gradio_transport.engines.tunnels import open_connection
from gradio_transport.errors import ConnectError, Phase, TimeoutExpired
from gradio_transport_conformance.faults.certificates import authority_pem, server_context

PATIENCE = Patience(5, 5, "stream", Phase.STREAM, 1000)


@pytest.fixture(autouse=True)
def no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@contextlib.contextmanager
def echoing(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Send one connection's bytes back to it."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            accepted, _ = listener.accept()
            talk = context.wrap_socket(accepted, server_side=True) if context else accepted
            with talk:
                while data := talk.recv(1000):
                    talk.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def trusting(**settings: Any) -> HTTPSettings:
    return HTTPSettings(verify=ssl.create_default_context(cadata=authority_pem().decode()), **settings)


def opened(
    url: str,
    settings: HTTPSettings,
    patience: Patience = PATIENCE,
    backend: SocketBackend | None = None,
) -> Any:
    bounds = Bounds(patience)
    backend = backend or SocketBackend(httpcore.WriteError)
    stream = open_connection(url, settings, patience, bounds, backend, Routes(settings))
    bounds.begin_upgraded()
    bounds.limit_wait(5)
    return stream


def echo(url: str, settings: HTTPSettings) -> bytes:
    stream = opened(url, settings)
    try:
        stream.write(b"hello")
        data: bytes = stream.read(5, 5)
        return data
    finally:
        stream.close()


# --- routes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_directly(scheme: str) -> None:
    with echoing(server_context("proper") if scheme == "wss" else None) as port:
        assert echo(f"{scheme}://localhost:{port}/x", trusting()) == b"hello"


@pytest.mark.parametrize("secure_proxy", [False, True])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_through_an_http_proxy_with_a_login(scheme: str, secure_proxy: bool) -> None:
    context = server_context("proper")
    with (
        echoing(context if scheme == "wss" else None) as port,
        connect_proxy("me:p:ss word", context=context if secure_proxy else None) as proxy,
    ):
        url = f"{'https' if secure_proxy else 'http'}://me:p%3Ass%20word@127.0.0.1:{proxy.port}"
        assert echo(f"{scheme}://127.0.0.1:{port}/x", trusting(proxy=url)) == b"hello"
        assert proxy.targets == [("127.0.0.1", port)]
        assert f"\r\nhost: 127.0.0.1:{port}\r\n" in proxy.heads[0].lower()


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("socks", ["socks5", "socks5h"])
def test_through_a_socks_proxy_with_a_login(scheme: str, socks: str, named: bool) -> None:
    with (
        echoing(server_context("proper") if scheme == "wss" else None) as port,
        socks_proxy("me:p:ss", named=named) as proxy,
    ):
        url = f"{socks}://me:p%3Ass@127.0.0.1:{proxy.port}"
        assert echo(f"{scheme}://localhost:{port}/x", trusting(proxy=url)) == b"hello"
        assert proxy.targets == [("localhost", port)]  # the proxy resolves it


def test_an_ipv6_address_and_a_name_outside_ascii_are_written_as_a_proxy_reads_them() -> None:
    with echoing() as port, connect_proxy(target=("127.0.0.1", port)) as proxy:
        settings = HTTPSettings(proxy=f"http://127.0.0.1:{proxy.port}")
        opened("ws://[::1]:1234/", settings).close()
        assert proxy.targets == [("[::1]", 1234)]
    with echoing() as port, socks_proxy(target=("127.0.0.1", port)) as proxy:
        opened("ws://bücher.example/", HTTPSettings(proxy=f"socks5://127.0.0.1:{proxy.port}")).close()
        assert proxy.targets == [("xn--bcher-kva.example", 80)]


def test_the_proxy_of_the_environment_is_that_of_http_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    with echoing() as port, connect_proxy(target=("127.0.0.1", port)) as proxy:
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
        monkeypatch.setenv("https_proxy", "127.0.0.1:9")
        assert echo("ws://somewhere.invalid/x", HTTPSettings()) == b"hello"
        with pytest.raises(ConnectError, match=r"proxy http://127\.0\.0\.1:9"):
            opened("wss://somewhere.invalid/x", HTTPSettings())
    with echoing() as port:
        monkeypatch.setenv("http_proxy", "127.0.0.1:9")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert echo(f"ws://127.0.0.1:{port}/", HTTPSettings()) == b"hello"


def test_a_backend_of_the_callers_opens_the_connection() -> None:
    class Backend(SocketBackend):
        def __init__(self) -> None:
            super().__init__(httpcore.WriteError)
            self.asked: list[tuple[str, int]] = []

        def connect_tcp(self, host: str, port: int, *args: Any, **more: Any) -> SocketStream:
            self.asked.append((host, port))
            return super().connect_tcp(host, port, *args, **more)

    with echoing() as port, connect_proxy() as proxy:
        settings = HTTPSettings(proxy=f"http://127.0.0.1:{proxy.port}")
        backend = Backend()
        opened(f"ws://127.0.0.1:{port}/", settings, backend=backend).close()
        opened(f"ws://127.0.0.1:{proxy.port}/", HTTPSettings(), backend=backend).close()
        assert backend.asked == [("127.0.0.1", proxy.port)] * 2


# --- refusals -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("refusal", "text", "retryable"),
    [
        (b"HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno", "HTTP 403", False),
        (b"HTTP/1.1 407 Login\r\ncontent-length: 0\r\n\r\n", "HTTP 407: check the user and password", False),
        (b"HTTP/1.1 502 Bad\r\nconnection: close\r\n\r\nno", "HTTP 502", True),
    ],
)
def test_an_http_proxy_that_refuses_is_named_with_its_status(
    refusal: bytes, text: str, retryable: bool
) -> None:
    with connect_proxy(refusal=refusal) as proxy, pytest.raises(ConnectError, match=text) as caught:
        opened("ws://app.example/", HTTPSettings(proxy=f"http://me:secret@127.0.0.1:{proxy.port}"))
    assert f"http://127.0.0.1:{proxy.port} " in str(caught.value)
    assert "secret" not in str(caught.value)
    assert caught.value.retryable is retryable


@pytest.mark.parametrize(
    ("login", "wanted", "code", "text"),
    [
        ("", "me:other", 0, "requires a user and password"),
        ("me:secret@", "", 0, "does not accept a user and password"),
        ("me:secret@", "me:other", 0, "check the user and password"),
        ("", "", 5, "connection refused"),
        ("", "", 2, "connection not allowed by ruleset"),
    ],
)
def test_a_socks_proxy_that_refuses_is_named_with_the_reason(
    login: str, wanted: str, code: int, text: str
) -> None:
    with socks_proxy(wanted, code) as proxy, pytest.raises(ConnectError, match=text) as caught:
        opened("ws://app.example/", HTTPSettings(proxy=f"socks5://{login}127.0.0.1:{proxy.port}"))
    assert f"socks5://127.0.0.1:{proxy.port} " in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_hangs_up_is_named(scheme: str) -> None:
    def hang_up() -> None:
        listener.accept()[0].close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hang_up)
        thread.start()
        name = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(ConnectError, match=f"through the proxy {name} .of proxy=.: "):
            opened("ws://app.example/", HTTPSettings(proxy=name))
        thread.join(5)


@pytest.mark.parametrize("proxy", ["ftp://me:secret@host:1", "http://me:secret/x@host"])
def test_a_proxy_that_is_none_is_an_error_without_its_password(proxy: str) -> None:
    with pytest.raises(ConnectError) as caught:
        opened("ws://app.example/", HTTPSettings(proxy=proxy))
    assert "secret" not in str(caught.value)


def test_a_certificate_that_does_not_hold_is_not_retryable() -> None:
    with echoing(server_context("unknown")) as port, pytest.raises(ConnectError) as caught:
        opened(f"wss://127.0.0.1:{port}/", trusting())
    assert not caught.value.retryable


def test_nobody_listens_and_a_host_that_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for url in (f"ws://127.0.0.1:{port}/", "ws:///x", f"ws://{'x' * 70}é/"):
        with pytest.raises(ConnectError) as caught:
            opened(url, HTTPSettings())
    assert caught.value.phase is Phase.STREAM


# --- deadlines ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "proxy", "drop"),
    [
        ("ws", "http", b"HTTP/1.1 200 Connected\r\nx: y" + b"z" * 100),
        ("ws", "socks5", b"\x05\0\x05\0\0\x03\xff" + b"z" * 100),
        ("wss", "", b"\x16\x03\x03\x40\x00" + b"z" * 100),
    ],
)
def test_byte_by_byte_nothing_is_prolonged(scheme: str, proxy: str, drop: bytes) -> None:
    def drip() -> None:
        accepted, _ = listener.accept()
        with accepted, contextlib.suppress(OSError):
            for byte in drop:
                accepted.sendall(bytes([byte]))
                if over.wait(0.05):
                    return

    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip)
        thread.start()
        host = f"127.0.0.1:{listener.getsockname()[1]}"
        settings = HTTPSettings(proxy=f"{proxy}://{host}" if proxy else None)
        try:
            with pytest.raises(TimeoutExpired) as caught:
                opened(f"{scheme}://{host}/", settings, Patience(0.3, 5, "x", Phase.STREAM, 1000))
            assert caught.value.setting == "connect"
        finally:
            over.set()
            thread.join(5)
