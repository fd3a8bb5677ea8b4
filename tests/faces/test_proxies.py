# SPDX-License-Identifier: Apache-2.0
"""A failure that went through a proxy names the proxy and what named it, by every face."""

from __future__ import annotations

import contextlib
import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from faces import FACES, with_app
from proxies import connect_proxy
from scripted import CONFIG, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.errors import ConnectError, ServerRefused, UnsupportedProtocol

faces = pytest.mark.parametrize("face", FACES)


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A server that is a proxy too: it takes requests for any host."""
    with scripted() as running:
        yield running


async def say_hello(app: Any, wait: Any) -> Any:
    return await wait(app.call("/hello", "x"))


def failure(face: str, url: str = "http://app.invalid:7860", **arguments: Any) -> gt.GradioTransportError:
    with pytest.raises(gt.GradioTransportError) as caught:
        with_app(face, url, say_hello, timeouts=5, **arguments)
    return caught.value


@contextlib.contextmanager
def answering(data: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Send the same to each connection, and give what each sent first."""
    got: list[bytes] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                accepted, _ = listener.accept()
                with accepted:
                    got.append(accepted.recv(1000))
                    accepted.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], got
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@faces
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_reached(face: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for named, arguments in ((f"{scheme}_proxy", {}), ("proxy=", {"proxy": f"http://127.0.0.1:{port}"})):
        monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{port}")
        error = failure(face, f"{scheme}://app.invalid:7860", **arguments)
        assert isinstance(error, ConnectError)
        way = (
            f"the proxy http://127.0.0.1:{port} (of {named}) on the way to {scheme}://app.invalid:7860/config"
        )
        assert str(error).startswith(f"Cannot connect to {way}: ")
        assert error.retryable


@faces
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_wants_a_login(face: str, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect_proxy("ann:right") as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        error = failure(face, f"{scheme}://app.invalid:7860")
    assert isinstance(error, ConnectError)
    assert f"The proxy http://127.0.0.1:{proxy.port} (of ALL_PROXY) refused the way to {scheme}" in str(error)
    assert "HTTP 407: check the user and password in its URL" in str(error)
    assert (error.status, error.retryable, error.may_have_run) == (407, False, False)


@faces
def test_a_login_of_a_proxy_is_sent_to_it(server: Scripted, face: str) -> None:
    url = server.url.replace("://", "://ann:p%40ss@")
    assert with_app(face, "http://app.invalid:7860", say_hello, proxy=url) == ["Hello, x!"]
    assert {headers.get("proxy-authorization") for _, headers in server.asked} == {"Basic YW5uOnBAc3M="}


@faces
@pytest.mark.parametrize("path", ["/config", "/gradio_api/queue/join"])
@pytest.mark.parametrize("status", [403, 502, 503])
def test_a_page_that_may_be_the_proxys_is_not_said_to_be_the_apps(
    server: Scripted, face: str, path: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.scripts[path] = lambda reply: reply.text("<h1>no</h1>", status)
    monkeypatch.setenv("http_proxy", server.url)
    error = failure(face)
    assert isinstance(error, ServerRefused)
    assert f"or the proxy {server.url} (of http_proxy) in front of it, answered: " in str(error)
    monkeypatch.delenv("http_proxy")
    assert "or the proxy" not in str(failure(face, server.url))


@faces
def test_a_websocket_that_a_proxy_refuses(
    server: Scripted, face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.scripts["/config"] = lambda reply: reply.json(
        CONFIG | {"version": "3.50.2", "protocol": None, "api_prefix": "", "enable_queue": True}
    )
    server.scripts["/queue/join"] = lambda reply: reply.text("no", 407)  # aiohttp asks for no tunnel here
    monkeypatch.setenv("http_proxy", server.url)
    error = failure(face)
    assert isinstance(error, ConnectError)
    refused = f"The proxy {server.url} (of http_proxy) refused the way to ws://app.invalid:7860/queue/join"
    assert str(error).startswith(f"{refused}: HTTP ")
    assert error.status == (407 if face.endswith("aiohttp") else 501)
    assert not error.may_have_run


@faces
def test_a_stream_that_is_cut_names_the_proxy(
    server: Scripted, face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(reply: Reply) -> None:
        reply.stream()
        reply.cut()

    server.scripts["/gradio_api/queue/data"] = cut
    monkeypatch.setenv("http_proxy", server.url)
    assert f"it went through the proxy {server.url} (of http_proxy)" in str(failure(face))


@faces
def test_a_server_that_is_no_socks_proxy(face: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as (port, got):
        monkeypatch.setenv("all_proxy", f"socks5://127.0.0.1:{port}")
        error = failure(face)
    named = f"proxy socks5://127.0.0.1:{port} (of all_proxy)"
    if face.endswith("aiohttp"):
        assert isinstance(error, UnsupportedProtocol)
        assert f"cannot use the {named}" in str(error)
        assert "pip install 'gradio-transport[socks]'" in str(error)
        assert got == []
    else:
        assert isinstance(error, ConnectError)
        way = "http://app.invalid:7860/config"
        assert f"The {named} refused the way to {way}: its reply is not SOCKS5" in str(error)
    assert not error.may_have_run


@faces
def test_a_proxy_of_socks_without_its_package(face: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)
    with answering(b"") as (port, got):
        monkeypatch.setenv("all_proxy", f"socks5://127.0.0.1:{port}")
        error = failure(face)
    assert isinstance(error, UnsupportedProtocol)
    assert f"socks5://127.0.0.1:{port} (of all_proxy)" in str(error)
    assert "pip install 'gradio-transport[socks]'" in str(error)
    assert (error.retryable, got) == (False, [])


@faces
def test_a_network_of_no_proxy_is_reached_directly(
    server: Scripted, face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8, 127.0.0.0/8")
    assert with_app(face, server.url, say_hello) == ["Hello, x!"]
