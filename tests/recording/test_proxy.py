# SPDX-License-Identifier: Apache-2.0
"""HTTP through the proxy: nothing is buffered, and what breaks breaks the same way."""

from __future__ import annotations

import asyncio
import errno
import gzip
import io
import socket
import struct

import aiohttp
import pytest
from aiohttp import web
from proxied import SECONDS, exchange, proxied, proxied_to, raw_server
from yarl import URL

from gradio_transport.protocol.commands import Ending
from gradio_transport.recording.recorder import UPLOAD_BYTES

pytestmark = pytest.mark.anyio

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}


def client(**arguments):
    return aiohttp.ClientSession(auto_decompress=False, **arguments)


async def test_a_request_passes_as_it_is():
    seen = {}

    async def handle(request):
        seen.update(target=request._message.path, body=await request.read(), headers=request.headers.copy())
        response = web.Response(status=207, body=b"[1]", headers=JSON)
        response.headers.add("Set-Cookie", "a=1")
        response.headers.add("Set-Cookie", "b=2; Domain=127.0.0.1")
        return response

    async with proxied(handle) as made, client() as session:
        url = URL(f"{made.url}/a%2Fb%20c?d=%26&e=+", encoded=True)
        async with session.post(url, data=b'{"data":[]}', headers={**JSON, "X-Mine": "x"}) as reply:
            assert (reply.status, await reply.read()) == (207, b"[1]")
            assert reply.headers.getall("set-cookie") == ["a=1", "b=2"]
        assert seen["target"] == "/a%2Fb%20c?d=%26&e=+"
        assert seen["body"] == b'{"data":[]}'
        assert seen["headers"]["host"] == made.origin.removeprefix("http://")
        assert seen["headers"]["x-forwarded-host"] == made.authority
        assert seen["headers"]["x-mine"] == "x"
        notes = made.recorded()
    ((method, url, headers, body, files),) = notes.named("request")
    assert (method, url, body, files) == (
        "POST", f"{made.origin}/a%2Fb%20c?d=%26&e=+", b'{"data":[]}', None,
    )  # fmt: skip
    assert headers["x-mine"] == "x"
    ((status, received),) = notes.named("response")
    assert (status, received["set-cookie"]) == (207, "a=1\nb=2; Domain=127.0.0.1")
    assert notes.body == b"[1]"
    assert notes.named("end") == [[Ending.CLEAN, ""]]


async def test_events_pass_one_by_one():
    next_event = asyncio.Event()

    async def handle(request):
        response = web.StreamResponse(headers=EVENTS)
        await response.prepare(request)
        for number in range(5):
            await next_event.wait()
            next_event.clear()
            await response.write(b"data: %d\n\n" % number)
        return response

    async with proxied(handle) as made, client() as session, session.get(made.url) as reply:
        # The head came although there is no event, and each event comes although there is no next one.
        for number in range(5):
            next_event.set()
            assert await reply.content.readany() == b"data: %d\n\n" % number
        assert await reply.content.read() == b""
        assert made.recorded().body == b"".join(b"data: %d\n\n" % number for number in range(5))


async def test_an_upload_passes_while_it_is_sent():
    received = asyncio.Queue()

    async def handle(request):
        async for piece in request.content.iter_any():
            received.put_nowait(piece)
        return web.Response(body=b"[]", headers=JSON)

    async def body():
        for number in range(3):
            yield b"%d" % number * 1000
            assert await asyncio.wait_for(received.get(), SECONDS) == b"%d" % number * 1000

    async with proxied(handle) as made, client() as session:
        async with session.post(
            made.url, data=body(), headers={"content-type": "multipart/form-data"}
        ) as reply:
            assert reply.status == 200
        ((_, _, headers, _, _),) = made.recorded().named("request")
        assert "transfer-encoding" not in headers


async def test_expect_is_answered_by_the_proxy():
    async def handle(request):
        return web.Response(body=await request.read())

    async with proxied(handle) as made:
        host, _, port = made.authority.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        writer.write(head)
        assert (
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS) == b"HTTP/1.1 100 Continue\r\n\r\n"
        )
        writer.write(b"hi")
        assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SECONDS)).startswith(b"HTTP/1.1 200")
        assert await asyncio.wait_for(reader.readexactly(2), SECONDS) == b"hi"
        writer.close()


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [UPLOAD_BYTES // 4, 2 * UPLOAD_BYTES])
async def test_an_upload_is_recorded_by_its_files(size, chunked):
    async def handle(request):
        return web.json_response(sum([len(piece) async for piece in request.content.iter_any()]))

    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="some text.txt"\r\n\r\n'
    form = part + b"x" * size + b"\r\n--x--\r\n"

    async def pieces():
        yield form

    kind = {"content-type": "multipart/form-data; boundary=x"}
    async with proxied(handle) as made, client() as session:
        data = pieces() if chunked else io.BytesIO(form)
        async with session.post(f"{made.url}/upload", data=data, headers=kind) as reply:
            assert await reply.json() == len(form)
        ((_, _, _, body, files),) = made.recorded().named("request")
    if size > UPLOAD_BYTES:
        assert body is None
        assert files == [{"name": "some text.txt", "size": len(form)}]
    else:
        assert body == form
        assert files is None


async def test_a_content_coding_passes_and_is_decoded_for_the_record():
    packed = gzip.compress(b'{"data": "' + b"x" * 5000 + b'"}')
    asked = []

    async def handle(request):
        asked.append(request.headers["accept-encoding"])
        return web.Response(body=packed, headers={**JSON, "content-encoding": "gzip"})

    async with proxied(handle) as made, client() as session:
        async with session.get(made.url, headers={"accept-encoding": "gzip, br"}) as reply:
            assert await reply.read() == packed
            assert reply.headers["content-encoding"] == "gzip"
            assert reply.headers["content-length"] == str(len(packed))
        assert made.recorded().body == gzip.decompress(packed)
    assert asked == ["gzip"]


async def test_other_methods_and_ranges():
    async def handle(request):
        if request.method == "OPTIONS":
            return web.Response(
                status=204, headers={"access-control-allow-origin": request.headers["origin"]}
            )
        if request.method == "HEAD":
            return web.Response(headers={"content-length": "1234"})
        assert request.headers["range"] == "bytes=2-3"
        return web.Response(status=206, body=b"cd", headers={"content-range": "bytes 2-3/26"})

    async with proxied(handle) as made, client() as session:
        async with session.head(made.url) as reply:
            assert (reply.status, reply.headers["content-length"], await reply.read()) == (200, "1234", b"")
        async with session.options(made.url, headers={"origin": made.url}) as reply:
            assert (reply.status, reply.headers["access-control-allow-origin"]) == (204, made.origin)
        async with session.get(made.url, headers={"range": "bytes=2-3"}) as reply:
            assert (reply.status, await reply.read()) == (206, b"cd")
            assert reply.headers["content-range"] == "bytes 2-3/26"


async def test_an_old_client_gets_a_body_that_ends_with_the_connection():
    async def handle(request):
        response = web.StreamResponse(headers=EVENTS)
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        return response

    async with proxied(handle) as made:
        reply = await exchange(made.authority, b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    head, _, body = reply.partition(b"\r\n\r\n")
    assert b"chunked" not in head.lower()
    assert body == b"data: 1\n\n"


async def test_connections_of_clients_are_kept():
    async def handle(request):
        return web.Response(body=b"x")

    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with proxied(handle) as made:
        last = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        reply = await exchange(made.authority, request + request + last)
    assert reply.count(b"HTTP/1.1 200") == 3


async def test_a_slow_reader_slows_the_app_and_nothing_piles_up():
    written = 0

    async def handle(request):
        nonlocal written
        response = web.StreamResponse(headers={"content-type": "application/octet-stream"})
        await response.prepare(request)
        for _ in range(2000):
            await response.write(bytes(100_000))
            written += 100_000
        return response

    async with proxied(handle) as made:
        host, _, port = made.authority.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1000)
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while before != written:  # until nothing more moves
            before = written
            await asyncio.sleep(0.3)
        assert written < 60_000_000  # the buffers of two connections of the system
        writer.transport.abort()


# --- what ends early ------------------------------------------------------------------------------------


async def test_a_client_that_leaves_cancels_the_request():
    left = asyncio.Event()

    async def handle(request):
        response = web.StreamResponse(headers=EVENTS)
        await response.prepare(request)
        await response.write(b"data: 1\n\n")
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return response

    async with proxied(handle) as made:
        async with client() as session, session.get(made.url) as reply:
            assert await reply.content.readany() == b"data: 1\n\n"
            reply.close()
        await asyncio.wait_for(left.wait(), SECONDS)
        notes = made.recorded()
    assert notes.named("end") == [[Ending.LOCAL, ""]]


async def test_a_client_that_leaves_before_a_reply_cancels_the_request():
    come, left = asyncio.Event(), asyncio.Event()

    async def handle(request):
        come.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return web.Response()

    async with proxied(handle) as made:
        async with client() as session:
            asking = asyncio.create_task(session.get(made.url))
            await asyncio.wait_for(come.wait(), SECONDS)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        await asyncio.wait_for(left.wait(), SECONDS)
        notes = made.recorded()
    assert [kind for kind, *_ in notes.all] == ["request", "end"]
    assert notes.named("end") == [[Ending.LOCAL, ""]]


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
SIZED = HEAD + b"Content-Length: 100\r\n\r\ndata: 1\n\n"
UNSIZED = HEAD + b"Connection: close\r\n\r\ndata: 1\n\n"


def reset(writer):
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


@pytest.mark.parametrize(
    ("reply", "how"),
    [(CHUNKED, "closed"), (SIZED, "closed"), (CHUNKED, "reset"), (SIZED, "reset"), (UNSIZED, "reset")],
)
async def test_an_app_that_breaks_off_breaks_off_for_the_client(reply, how):
    may_end = asyncio.Event()

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        await may_end.wait()
        reset(writer) if how == "reset" else writer.close()

    async with raw_server(talk) as origin, proxied_to(origin) as made:
        async with client() as session, session.get(made.url) as incoming:
            assert await asyncio.wait_for(incoming.content.readany(), SECONDS) == b"data: 1\n\n"
            may_end.set()
            with pytest.raises(
                (aiohttp.ClientPayloadError, aiohttp.ClientOSError, ConnectionResetError)
            ) as caught:
                await asyncio.wait_for(incoming.content.read(), SECONDS)
        notes = made.recorded()
    assert notes.named("end") == [[Ending.RESET, ""]]
    assert notes.body == b"data: 1\n\n"
    was_reset = (
        "ConnectionReset" in repr(caught.value) or getattr(caught.value, "errno", None) == errno.ECONNRESET
    )
    assert was_reset is (how == "reset")


async def test_what_came_before_the_break_reaches_an_old_client():
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        await writer.drain()
        writer.close()

    async with raw_server(talk) as origin, proxied_to(origin) as made:
        reply = await exchange(made.authority, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert reply.endswith(b"9\r\ndata: 1\n\n\r\n")  # and no chunk of length 0


async def test_an_app_that_closes_without_a_reply_is_asked_once():
    asked = []

    async def talk(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()

    async with raw_server(talk) as origin, proxied_to(origin) as made:
        request = b"GET /queue/join?fn_index=0 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert await exchange(made.authority, request) == b""
        notes = made.recorded()
    assert len(asked) == 1
    ((error, message),) = notes.named("failed")
    assert error == "StreamLost"
    assert "before a reply arrived" in message


async def test_a_kept_connection_that_the_app_has_closed_is_no_failure():
    asked = []

    async def talk(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()
        if len(asked) == 1:  # close it when the next request comes, as a server whose patience just ended
            await reader.read(1)
        writer.close()

    async with raw_server(talk) as origin, proxied_to(origin) as made, client() as session:
        for _ in range(2):
            async with session.get(made.url) as reply:
                assert await reply.read() == b"ok"
    assert len(asked) == 2


async def test_an_app_that_is_gone():
    async def handle(request):
        return web.Response()

    free = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{free.getsockname()[1]}"
    free.close()
    async with proxied_to(origin) as made, client() as session:
        async with session.get(made.url) as reply:
            assert reply.status == 502
            assert f"cannot reach {origin}" in (await reply.json())["detail"]
        assert made.recorded().named("failed")[0][0] == "ConnectError"


REPLY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"no HTTP\r\n\r\n", "Bad status line"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "Bad status line"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "its status is 101"),
        (REPLY + b"Content-Length: 3\r\n\r\nok", "Content-Length"),
        (REPLY + b"X: " + b"y" * 70_000 + b"\r\n\r\nok", "Got more than"),
        (REPLY + b"X: y\r\n" * 600 + b"\r\nok", "Too many headers"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "Transfer-Encoding is not chunked"),
    ],
)  # fmt: skip
async def test_a_reply_that_is_not_valid_is_a_502_that_says_why(head, why):
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        await writer.drain()
        await reader.read()
        writer.close()

    async with raw_server(talk) as origin, proxied_to(origin) as made:
        async with client() as session, session.get(f"{made.url}/queue/join") as reply:
            assert reply.status == 502
            detail = (await reply.json())["detail"]
        ((error, message),) = made.recorded().named("failed")
    assert f"{origin} sent a reply that is not valid HTTP, or cannot be forwarded: " in detail
    assert why in detail
    assert (error, message in detail) == ("StreamLost", True)


async def test_a_websocket_whose_handshake_is_not_valid_is_a_502():
    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n")
        writer.write(b"Sec-WebSocket-Accept: wrong\r\n\r\n")
        await reader.read()
        writer.close()

    async with raw_server(talk) as origin, proxied_to(origin) as made, client() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"{made.url}/queue/join")
        assert caught.value.status == 502
        assert "Invalid challenge response" in made.recorded().named("failed")[0][1]


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 2\r\n\r\nok", b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]
)
async def test_bytes_of_a_head_that_are_not_utf8_pass_unchanged(framing):
    name = b'Content-Disposition: attachment; filename="d\xe9j\xe0 vu.txt"'

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 d\xe9j\xe0\r\nX-Other: d\xc3\xa9j\xc3\xa0\r\n" + name + b"\r\n" + framing)
        await writer.drain()
        writer.close()

    async with raw_server(talk) as origin, proxied_to(origin) as made:
        request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        reply = await exchange(made.authority, request)
        ((_, recorded),) = made.recorded().named("response")
    assert reply.startswith(b"HTTP/1.1 200 d\xe9j\xe0\r\n")
    assert b"\r\n" + name + b"\r\n" in reply
    assert b"\r\nX-Other: d\xc3\xa9j\xc3\xa0\r\n" in reply
    assert reply.endswith(framing.partition(b"\r\n\r\n")[2])
    assert recorded["content-disposition"] == 'attachment; filename="déjà vu.txt"'
    assert recorded["x-other"] == "déjà"


# --- redirects and addresses ----------------------------------------------------------------------------


async def test_redirects_are_passed_on_and_never_followed():
    asked = []

    async def handle(request):
        asked.append(request.path)
        if request.path == "/login":
            return web.Response(status=302, headers={"location": f"http://{request.host}/home"})
        return web.Response(status=302, headers={"location": "https://huggingface.co/oauth"})

    async with proxied(handle) as made, client() as session:
        async with session.get(f"{made.url}/login", allow_redirects=False) as reply:
            assert reply.headers["location"] == f"{made.url}/home"
        async with session.get(f"{made.url}/oauth", allow_redirects=False) as reply:
            assert reply.headers["location"] == "https://huggingface.co/oauth"
    assert asked == ["/login", "/oauth"]


async def test_addresses_that_lead_past_the_proxy_are_moved_and_recorded_as_they_were():
    sent = b'data: {"url": "https://public.example/app/file=/x"}\n\n'
    packed = []

    async def handle(request):
        packed.append(request.headers["accept-encoding"])
        if request.path.endswith(".js"):
            return web.Response(
                body=b'"https://public.example/app"', headers={"content-type": "text/javascript"}
            )
        return web.Response(body=sent, headers=EVENTS)

    moves = {"https://public.example/app": "/app"}
    async with proxied(handle, moves=moves) as made, client() as session:
        async with session.get(f"{made.url}/events", headers={"accept-encoding": "gzip"}) as reply:
            assert await reply.read() == f'data: {{"url": "{made.url}/app/file=/x"}}\n\n'.encode()
        port = made.authority.rpartition(":")[2]
        async with session.get(f"http://localhost:{port}/events", headers={"accept-encoding": "x"}) as reply:
            assert f"http://localhost:{port}/app/file=/x".encode() in await reply.read()
        async with session.get(f"{made.url}/x.js") as reply:
            assert await reply.read() == b'"https://public.example/app"'
        assert made.recorded().body == sent + sent
    assert packed[:2] == ["identity", "identity"]


@pytest.mark.parametrize(
    ("request_line", "headers", "status", "said"),
    [
        (b"GET / HTTP/1.1", b"Host: evil.example", 403, b"not a name of this proxy"),
        (b"GET / HTTP/1.0", b"X: y", 403, b"not a name of this proxy"),
        (
            b"GET / HTTP/1.1",
            b"Host: localhost\r\nOrigin: https://evil.example",
            403,
            b"only pages of its own origin",
        ),
        (b"GET http://evil.example/x HTTP/1.1", b"Host: localhost", 200, b"/x"),
        (b"CONNECT evil.example:443 HTTP/1.1", b"Host: localhost", 405, b"not forward CONNECT"),
        (b"TRACE / HTTP/1.1", b"Host: localhost", 405, b"not forward TRACE"),
        (b"GET / HTTP/1.1", b"Host: localhost\r\nX-Name: d\xe9j\xe0", 400, b"X-Name is not UTF-8"),
        (b"OPTIONS * HTTP/1.1", b"Host: localhost", 400, b"not a path"),
        (b"GET / HTTP/1.1", b"Host: localhost\r\nX: " + b"y" * 70_000, 400, b""),
        (b"POST / HTTP/1.1", b"Host: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked", 400, b""),
        (b"POST / HTTP/1.1", b"Host: localhost\r\nContent-Length: 1\r\nContent-Length: 2", 400, b""),
    ],
)
async def test_requests_that_are_refused(request_line, headers, status, said):
    asked = []

    async def handle(request):
        asked.append(request.path)
        return web.Response(text=request.path)

    async with proxied(handle) as made:
        reply = await exchange(
            made.authority, request_line + b"\r\n" + headers + b"\r\nConnection: close\r\n\r\n"
        )
        made.recorded()
    assert reply.split(b" ", 2)[1] == b"%d" % status, reply
    assert said in reply
    assert asked == (["/x"] if status == 200 else [])


async def test_a_transfer_coding_that_would_be_lost_is_refused():
    asked = []

    async def handle(request):
        asked.append(request.path)
        return web.Response()

    head = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\nConnection: close\r\n\r\n"
    )
    async with proxied(handle) as made:
        reply = await exchange(made.authority, head + b"2\r\nxx\r\n0\r\n\r\n")
    assert reply.startswith(b"HTTP/1.1 501 ")
    assert b"only forwards the Transfer-Encoding chunked" in reply
    assert asked == []


async def test_what_the_user_gave_goes_to_the_app():
    seen = []

    async def handle(request):
        seen.append(request.headers.get("authorization"))
        return web.Response()

    async with proxied(handle, headers={"authorization": "Bearer mine"}) as made, client() as session:
        for headers in ({}, {"authorization": "Bearer theirs"}):
            async with session.get(made.url, headers=headers) as reply:
                assert reply.status == 200
    assert seen == ["Bearer mine", "Bearer theirs"]
