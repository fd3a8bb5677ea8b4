# SPDX-License-Identifier: Apache-2.0
"""Websockets through the proxy."""

from __future__ import annotations

import asyncio
import struct

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from proxied import SECONDS, proxied, proxied_to

from gradio_transport.protocol.frames import Direction

LARGE = 10_000_000

pytestmark = pytest.mark.anyio


def with_socket(talk, **arguments):
    """Return a handler that talks on a websocket, and a list of what it found of its end."""
    seen = []

    async def handle(request):
        socket = web.WebSocketResponse(autoclose=False, **arguments)
        await socket.prepare(request)
        seen.append(request.headers.copy())
        try:
            await talk(socket, seen)
        finally:
            if socket._req is not None and socket._req.transport is not None:
                socket._req.transport.close()
        return socket

    return handle, seen


async def echo(socket, seen):
    while True:
        message = await socket.receive()
        seen.append((message.type, message.data, message.extra))
        match message.type:
            case WSMsgType.TEXT:
                await socket.send_str(message.data.upper())
            case WSMsgType.BINARY:
                await socket.send_bytes(message.data)
            case WSMsgType.CLOSE:
                await socket.send_frame(
                    struct.pack("!H", message.data) + b"bye" if message.data else b"", WSMsgType.CLOSE
                )
                return
            case _:
                return


def opened(made, path="/queue/join", **arguments):
    return aiohttp.ClientSession(), {"url": f"{made.url}{path}".replace("http", "ws", 1), **arguments}


async def test_messages_pass_both_ways_and_are_recorded():
    handle, seen = with_socket(echo, protocols=("gradio",), max_msg_size=LARGE)
    async with proxied(handle) as made:
        session, arguments = opened(
            made, protocols=("other", "gradio"), max_msg_size=LARGE, headers={"Origin": made.url}
        )
        async with session, session.ws_connect(**arguments) as socket:
            assert socket.protocol == "gradio"
            await socket.send_str("ü1")
            assert await socket.receive_str() == "Ü1"
            await socket.send_bytes(b"\x00\xff")
            assert await socket.receive_bytes() == b"\x00\xff"
            await socket.send_str("x" * 5_000_000)
            assert len(await socket.receive_str()) == 5_000_000
            await socket.close(code=4001, message=b"enough")
            assert socket.close_code == 4001
        notes = made.recorded()
    assert seen[0]["origin"] == made.origin
    assert notes.named("websocket_opened")[0][0] == made.origin.replace("http", "ws", 1) + "/queue/join"
    assert [kind for kind, *_ in notes.all][:2] == ["websocket_opened", "websocket_accepted"]
    assert notes.named("websocket_text")[:2] == [[Direction.OUT, "ü1"], [Direction.IN, "Ü1"]]
    assert notes.named("websocket_closed") == [[4001, "enough", Direction.OUT]]
    assert (WSMsgType.CLOSE, 4001, "enough") in seen


@pytest.mark.parametrize("code", [1000, 1011, 4444, None])
async def test_a_close_of_the_app_passes_with_its_code(code):
    answers = []

    async def talk(socket, _):
        await socket.send_str("hello")
        payload = b"" if code is None else struct.pack("!H", code) + b"why"
        await socket.send_frame(payload, WSMsgType.CLOSE)
        answers.append(await asyncio.wait_for(socket.receive(), SECONDS))

    handle, _ = with_socket(talk)
    async with proxied(handle) as made:
        session, arguments = opened(made, autoclose=False)
        async with session, session.ws_connect(**arguments) as socket:
            assert await socket.receive_str() == "hello"
            message = await asyncio.wait_for(socket.receive(), SECONDS)
            assert (message.type, message.data, message.extra) == (
                WSMsgType.CLOSE, code or 0, "why" if code else "",
            )  # fmt: skip
            await socket.close(code=code or 1000)
        notes = made.recorded()
    assert answers[0].type is WSMsgType.CLOSE
    assert notes.named("websocket_closed") == [[code or 1005, "why" if code else "", Direction.IN]]


async def test_an_app_that_drops_its_socket_drops_that_of_the_client():
    async def talk(socket, _):
        await socket.send_str("hello")

    handle, _ = with_socket(talk)
    async with proxied(handle) as made:
        session, arguments = opened(made)
        async with session, session.ws_connect(**arguments) as socket:
            assert await socket.receive_str() == "hello"
            message = await asyncio.wait_for(socket.receive(), SECONDS)
            assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR)  # no close frame came
            assert socket.close_code == 1006
        notes = made.recorded()
    assert notes.named("websocket_closed") == [[None, "", Direction.IN]]


async def test_a_client_that_drops_its_socket_drops_that_of_the_app():
    ended = asyncio.Event()

    async def talk(socket, seen):
        await socket.send_str("hello")
        try:
            seen.append((await socket.receive()).type)
        finally:  # cancelled, as the connection is lost
            ended.set()

    handle, seen = with_socket(talk)
    async with proxied(handle) as made:
        session, arguments = opened(made)
        async with session, session.ws_connect(**arguments) as socket:
            assert await socket.receive_str() == "hello"
            socket._response.close()
            await asyncio.wait_for(ended.wait(), SECONDS)
        notes = made.recorded()
    assert WSMsgType.CLOSE not in seen
    assert notes.named("websocket_closed")[0][0] is None
    assert notes.named("websocket_closed")[0][2] is Direction.OUT


async def test_pings_pass():
    pings = []

    async def talk(socket, _):
        await socket.ping(b"still there?")
        message = await asyncio.wait_for(socket.receive(), SECONDS)
        pings.append((message.type, bytes(message.data)))
        await socket.send_str("done")

    handle, _ = with_socket(talk, autoping=False)
    async with proxied(handle) as made:
        session, arguments = opened(made)
        async with session, session.ws_connect(**arguments) as socket:
            assert await asyncio.wait_for(socket.receive_str(), SECONDS) == "done"
    assert pings == [(WSMsgType.PONG, b"still there?")]


async def test_a_refused_handshake_passes_with_its_reason():
    async def handle(request):
        return web.Response(status=403, text="not you", headers={"set-cookie": "a=1; Domain=127.0.0.1"})

    async with proxied(handle) as made:
        session, arguments = opened(made)
        async with session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(**arguments)
            assert refused.value.status == 403
            assert refused.value.headers["set-cookie"] == "a=1"
        notes = made.recorded()
    assert notes.named("response")[0][0] == 403
    assert notes.body == b"not you"


async def test_an_app_that_is_gone():
    async with proxied_to("http://127.0.0.1:9") as made:
        session, arguments = opened(made)
        async with session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(**arguments)
            assert refused.value.status == 502
        assert made.recorded().named("failed")[0][0] == "ConnectError"


async def test_pages_of_other_sites_get_no_socket():
    handle, seen = with_socket(echo)
    async with proxied(handle) as made:
        session, arguments = opened(made, headers={"Origin": "https://evil.example"})
        async with session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(**arguments)
            assert refused.value.status == 403
    assert seen == []


async def test_addresses_in_texts_are_moved():
    async def talk(socket, _):
        await socket.send_str('{"url": "https://public.example/app/file=/x"}')

    handle, _ = with_socket(talk)
    async with proxied(handle, moves={"https://public.example/app": "/app"}) as made:
        session, arguments = opened(made)
        async with session, session.ws_connect(**arguments) as socket:
            assert await socket.receive_json() == {"url": f"{made.url}/app/file=/x"}
        notes = made.recorded()
    assert notes.named("websocket_text") == [[Direction.IN, '{"url": "https://public.example/app/file=/x"}']]
