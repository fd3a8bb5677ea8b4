# SPDX-License-Identifier: Apache-2.0
"""Headers that HTTP does not allow: refused by every engine, for requests and websockets, before it connects."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Iterator
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from faces import FACES, with_app
from scripted import CONFIG, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.engines.aiohttp_async import AiohttpEngine
from gradio_transport.engines.base import Patience
from gradio_transport.engines.client_async import AsyncClientEngine
from gradio_transport.engines.client_sync import ClientEngine
from gradio_transport.engines.httpcore_async import AsyncHTTPEngine
from gradio_transport.engines.httpcore_sync import HTTPEngine
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import LocalProtocolError, Phase
from gradio_transport.protocol.commands import Request

HTTPX2 = HTTPSettings(library="httpx2")
ENGINES = {
    "httpx": lambda: HTTPEngine(HTTPSettings()),
    "httpx2": lambda: HTTPEngine(HTTPX2),
    "client of httpx": lambda: ClientEngine(HTTPSettings(), httpx.Client()),
    "client of httpx2": lambda: ClientEngine(HTTPX2, httpx2.Client()),
    "async httpx": lambda: AsyncHTTPEngine(HTTPSettings()),
    "async client of httpx": lambda: AsyncClientEngine(HTTPSettings(), httpx.AsyncClient()),
    "aiohttp": lambda: AiohttpEngine(HTTPSettings()),
}

BAD: list[dict[str, str]] = [
    {"x-user": "s3cret\r\nx-admin: yes"},
    {"x-user": "s3cret\nx-admin: yes"},
    {"x-user": "s3cret\0"},
    {"x-user": "s3creté"},
    {"x-user": " s3cret"},
    {"x-user: yes\r\nx-admin": "s3cret"},
    {"": "s3cret"},
    {"cookie": "a=s3cret\r\nx-admin: yes"},
    {"origin": "http://s3cret\r\nx-admin: yes"},
    {"sec-websocket-protocol": "s3cret\r\nx-admin: yes"},
]


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    """Listen, and fail if any byte came."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("kind", ["request", "stream", "websocket"])
def test_no_engine_sends_a_header_that_http_does_not_allow(
    name: str, kind: str, address: tuple[str, int]
) -> None:
    host, port = address
    patience = Patience(2.0, 2.0, "join", Phase.JOIN, 1000)

    async def send(engine: Any, headers: dict[str, str]) -> None:
        if kind == "websocket":
            sent = engine.websocket(f"ws://{host}:{port}/queue/join", headers, patience, 1000)
        else:
            sent = getattr(engine, kind)(Request("GET", f"http://{host}:{port}/x", headers), patience)
        if inspect.isawaitable(sent):
            await sent

    async def main() -> None:
        engine = ENGINES[name]()
        for headers in BAD:
            with pytest.raises(LocalProtocolError) as caught:
                await send(engine, headers)
            assert "s3cret" not in f"{caught.value!r} {caught.value.__cause__!r}"
            assert (caught.value.retryable, caught.value.may_have_run) == (False, False)
        client = getattr(engine, "_client", None)
        for one in (engine, client):
            closed = getattr(one, "aclose", getattr(one, "close", lambda: None))()
            if inspect.isawaitable(closed):
                await closed

    anyio.run(main)


@pytest.mark.parametrize("face", FACES)
def test_wherever_a_header_is_given_it_is_checked_then(face: str) -> None:
    bad = {"x-user": "s3cret\r\nx-admin: yes"}

    async def use(app: Any, wait: Any) -> None:
        for give in (
            lambda: app.session(headers=bad),
            lambda: gt.CallOptions(headers=bad),
            lambda: gt.CallOptions(oauth_token="s3cret\r\nx: y"),
            lambda: gt.forward({"x-ip-token": "s3cret\r\nx-admin: yes"}).__enter__(),
        ):
            with pytest.raises(LocalProtocolError) as caught:
                give()
            assert "s3cret" not in str(caught.value)

    with scripted() as server:
        with_app(face, server.url, use)
        for arguments in (
            {"headers": bad},
            {"cookies": {"a": "s3cret\r\nx: y"}},
            {"token": "s3cret\r\nx: y"},
        ):
            with pytest.raises(LocalProtocolError) as caught:
                with_app(face, server.url, use, **arguments)
            assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("face", FACES)
def test_such_a_cookie_does_not_keep_the_app_from_being_used(face: str) -> None:
    def config(reply: Reply) -> None:
        reply.json(CONFIG, set_cookie="name=b\u00e9; Path=/")

    async def use(app: Any, wait: Any) -> Any:
        return await wait(app.call("/direct", "x"))

    with scripted() as server:
        server.scripts["/config"] = config
        assert with_app(face, server.url, use) == ["x"]
        assert not any("cookie" in headers for _, headers in server.asked)


@pytest.mark.parametrize("library", ["httpx", "httpx2"])
def test_a_client_of_ones_own_with_such_a_header_is_named_without_it(library: str) -> None:
    module = {"httpx": httpx, "httpx2": httpx2}[library]
    with scripted() as server, module.Client(headers={"authorization": "Bearer s3cret\n"}) as client:
        with pytest.raises(LocalProtocolError, match="passed as engine= refused to send") as caught:
            gt.connect(server.url, engine=client)
        _check_hidden(caught.value, server)


def _check_hidden(error: BaseException, server: Scripted) -> None:
    assert "s3cret" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert server.seen == []
