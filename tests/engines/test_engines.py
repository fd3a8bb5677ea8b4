# SPDX-License-Identifier: Apache-2.0
"""What every engine does the same way, whatever its library would do by itself."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
from faces import with_app
from scripted import CONFIG, Reply, Scripted, scripted

FACES = ("sync", "asyncio", "trio", "asyncio+httpx2", "asyncio+aiohttp")

faces = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


async def hello(app, wait):
    return await wait(app.call("/direct", "x"))


@faces
def test_the_proxy_of_the_environment_is_used_but_for_what_it_excepts(server, face, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", server.url.removeprefix("http://"))
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert with_app(face, "http://somewhere.invalid", hello) == ["x"]
    monkeypatch.setenv("http_proxy", "127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert with_app(face, server.url, hello) == ["x"]


@faces
def test_a_proxy_of_ones_own_goes_before_that_of_the_environment(server, face, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", "127.0.0.1:9")
    assert with_app(face, "http://somewhere.invalid", hello, proxy=server.url) == ["x"]


@faces
def test_a_name_and_password_in_the_url_are_shown(server, face) -> None:
    seen: list[str | None] = []

    def config(reply: Reply) -> None:
        seen.append(reply.headers.get("authorization"))
        reply.json(CONFIG)

    server.scripts = {"/config": config}
    with_app(face, server.url.replace("http://", "http://me:p%40ss@"), hello)
    assert seen == ["Basic bWU6cEBzcw=="]  # me:p@ss


@faces
def test_cookies_are_those_of_the_core_and_come_once(server, face) -> None:
    seen: list[str | None] = []

    def config(reply: Reply) -> None:
        reply.json(CONFIG, set_cookie="a=1; Path=/")

    def run(reply: Reply) -> None:
        seen.append(reply.headers.get("cookie"))
        reply.json({"data": ["x"]})

    server.scripts = {"/config": config, "/gradio_api/run/direct": run}
    with_app(face, server.url, hello)
    assert seen == ["a=1"]


@faces
def test_compressed_replies_are_asked_for_and_unpacked(server, face) -> None:
    seen: list[str] = []

    def config(reply: Reply) -> None:
        seen.append(reply.headers.get("accept-encoding", ""))
        data = gzip.compress(json.dumps(CONFIG).encode())
        handler = reply._handler
        handler.send_response(200)
        for name, value in (("content-type", "application/json"), ("content-encoding", "gzip")):
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    server.scripts = {"/config": config}
    assert with_app(face, server.url, hello) == ["x"]
    assert all("gzip" in encodings for encodings in seen)


@faces
def test_only_what_can_be_unpacked_is_asked_for(server, face) -> None:
    seen: list[Any] = []

    def config(reply: Reply) -> None:
        seen.append(reply.headers.get("accept-encoding"))
        reply.json(CONFIG)

    server.scripts = {"/config": config}
    with_app(face, server.url, hello)
    assert seen == ["gzip, deflate"]
