# SPDX-License-Identifier: Apache-2.0
"""What every engine does the same way, whatever its library would do by itself."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from faces import with_app
from scripted import CONFIG, Reply, Scripted, scripted

from gradio_transport.engines.base import DeferredClose, Patience
from gradio_transport.engines.content_coding import Unpacker
from gradio_transport.engines.httpx_sync import HTTPXEngine
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import Phase, StreamLost
from gradio_transport.protocol.commands import Request, Response

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


class TestClosing:
    """A socket's number belongs to another one as soon as it is closed, so nobody closes it under a reader."""

    def test_what_nobody_uses_is_closed_at_once(self):
        done = []
        DeferredClose(lambda: done.append("woken"), lambda: done.append("closed")).close()
        assert done == ["closed"]

    def test_what_is_in_use_is_woken_and_closed_by_its_last_user(self):
        done = []
        closing = DeferredClose(lambda: done.append("woken"), lambda: done.append("closed"))
        with closing:
            with closing:
                closing.close()
                assert done == ["woken"]
            assert done == ["woken"]
        assert done == ["woken", "closed"]

    def test_the_pool_does_not_close_a_connection_under_its_reader(self, monkeypatch):
        real, closed_by = socket.socket.close, []

        def close(one):
            closed_by.append((one, threading.current_thread()))
            real(one)

        monkeypatch.setattr(socket.socket, "close", close)
        with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
            engine = HTTPXEngine(HTTPSettings())
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            patience = Patience(5, 20, "join", Phase.JOIN, 1000)
            asked = pool.submit(engine.request, Request("POST", url), patience)
            accepted, _ = listener.accept()
            with accepted:
                while b"\r\n\r\n" not in accepted.recv(65536):
                    pass
                (connected,) = list(engine._sockets)
                begun = time.monotonic()
                engine.close()
                with pytest.raises(StreamLost):
                    asked.result(10)
            assert time.monotonic() - begun < 5
            assert {thread for one, thread in closed_by if one is connected} == pool._threads


def packed(name: str, data: bytes) -> bytes:
    if name == "raw deflate":
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        return packer.compress(data) + packer.flush()
    return gzip.compress(data) if name == "gzip" else zlib.compress(data)


class TestUnpacking:
    @pytest.mark.parametrize("size", [1, 7, 100_000])
    @pytest.mark.parametrize("name", ["gzip", "deflate", "raw deflate"])
    def test_what_was_packed_comes_out_however_it_is_cut(self, name, size):
        data = bytes(range(256)) * 50
        unpacker = Unpacker(Response(200, {"content-encoding": name.split()[-1]}))
        whole = packed(name, data)
        pieces = [whole[start : start + size] for start in range(0, len(whole), size)]
        assert b"".join(chunk for piece in pieces for chunk in unpacker.feed(piece)) == data
        assert unpacker.failure is None

    def test_bodies_of_several_members_and_what_follows_them(self):
        unpacker = Unpacker(Response(200, {"content-encoding": "gzip"}))
        body = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0nothing of it"
        assert b"".join(unpacker.feed(body)) == b"one two"
        assert unpacker.failure is None

    def test_what_was_packed_twice(self):
        unpacker = Unpacker(Response(200, {"content-encoding": "deflate, gzip"}))
        assert b"".join(unpacker.feed(gzip.compress(zlib.compress(b"x" * 1000)))) == b"x" * 1000

    def test_a_bomb_goes_off_in_small_pieces(self):
        unpacker = Unpacker(Response(200, {"content-encoding": "gzip"}))
        bomb = gzip.compress(b"\0" * 50_000_000)
        sizes = [len(chunk) for chunk in unpacker.feed(bomb)]
        assert sum(sizes) == 50_000_000
        assert max(sizes) <= 256 * 1024

    def test_nothing_comes_after_what_does_not_hold(self):
        unpacker = Unpacker(Response(200, {"content-encoding": "gzip"}))
        assert list(unpacker.feed(b"no gzip at all")) == []
        assert unpacker.failure is not None
        assert list(unpacker.feed(gzip.compress(b"late"))) == []


@faces
def test_only_what_can_be_unpacked_is_asked_for(server, face) -> None:
    seen: list[Any] = []

    def config(reply: Reply) -> None:
        seen.append(reply.headers.get("accept-encoding"))
        reply.json(CONFIG)

    server.scripts = {"/config": config}
    with_app(face, server.url, hello)
    assert seen == ["gzip, deflate"]
