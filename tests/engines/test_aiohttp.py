# SPDX-License-Identifier: Apache-2.0
"""What the engine over aiohttp does otherwise than aiohttp by itself, and that it says where it cannot run."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import aiohttp
import anyio
import attrs
import pytest

import gradio_transport as gt
from gradio_transport.engines.aiohttp_async import AiohttpEngine
from gradio_transport.engines.base import HandshakeRefused, Patience, StreamEnded
from gradio_transport.engines.replies import shut_down_socket
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import Phase
from gradio_transport.protocol.commands import Closed, Ending, Request
from gradio_transport_conformance.faults.certificates import authority_pem, server_context

PATIENCE = Patience(connect=5, silence=5, setting="join", phase=Phase.JOIN, max_bytes=1_000_000)
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

Answer = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

LoopFactory = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    if request.param == "asyncio":
        return asyncio.SelectorEventLoop
    factory: LoopFactory = pytest.importorskip("uvloop").new_event_loop
    return factory


def run_on(loop_factory: LoopFactory, work: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(work)


class Served:
    """What a server of a test saw."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.heads: list[bytes] = []
        self.asked = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/x"


@contextlib.asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Served]:
    """Answer every request by a function that is told the number of its connection."""
    served = Served()
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.connections += 1
        number = served.connections
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while not writer.is_closing():
                served.heads.append(await reader.readuntil(b"\r\n\r\n"))
                served.asked.set()
                await answer(number, reader, writer)
                await writer.drain()

    async def talking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(talk(reader, writer))
        talks.add(task)
        await asyncio.wait([task])
        writer.transport.abort()

    async with await asyncio.start_server(talking, "127.0.0.1", 0) as server:
        served.port = server.sockets[0].getsockname()[1]
        yield served
        for task in talks:
            task.cancel()
        await asyncio.wait([*talks])
        await asyncio.sleep(0.01)  # the transports are told of their end


@contextlib.asynccontextmanager
async def engine(**settings: Any) -> AsyncIterator[AiohttpEngine]:
    opened = AiohttpEngine(HTTPSettings(**settings))
    try:
        yield opened
    finally:
        await opened.aclose()


def saying(data: bytes, *, then: Callable[[asyncio.StreamWriter], object] = lambda writer: None) -> Answer:
    async def answer(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        then(writer)

    return answer


def reset(writer: asyncio.StreamWriter) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()


# --- requests -------------------------------------------------------------------------------------------


def test_a_get_is_never_sent_twice() -> None:
    async def main() -> None:
        async def once_only(number: int, reader: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(OK) if len(served.heads) == 1 else reset(writer)

        async with serving(once_only) as served, engine() as http:
            await http.request(Request.get(served.url), PATIENCE)
            with pytest.raises(gt.StreamLost):
                await http.request(Request.get(served.url), PATIENCE)
            assert len(served.heads) == 2

    asyncio.run(main())


@pytest.mark.parametrize(("status", "connections"), [(200, 1), (404, 1), (500, 3)])
@pytest.mark.parametrize("parts", [(b"ok",), (b"o", b"k"), ()])
def test_a_connection_is_used_again_but_for_one_that_an_error_has_spoiled(status, connections, parts) -> None:
    async def reply(number: int, reader: Any, writer: asyncio.StreamWriter) -> None:
        length = len(b"".join(parts))
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n".encode())
        for part in parts if len(parts) > 1 else ():
            await asyncio.sleep(0.01)  # the body comes after its head, in pieces
            writer.write(part)
        if len(parts) == 1:
            writer.write(parts[0])

    async def main() -> None:
        async with serving(reply) as served, engine() as http:
            assert (await http.request(Request.get(served.url), PATIENCE)).status == status
            first = await http.stream(Request.get(served.url), PATIENCE)
            assert await first.read() == b"".join(parts)
            # Before `aclose`: another task may send as soon as the body has ended.
            assert (await http.request(Request.get(served.url), PATIENCE)).status == status
            await first.aclose()
            assert served.connections == connections

    asyncio.run(main())


def test_a_connection_that_is_used_again_holds_no_body_of_before() -> None:
    async def main() -> None:
        async def chunked(number: int, reader: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
            await asyncio.sleep(0.005)
            writer.write(b"0\r\n\r\n")

        def bodies() -> int:
            gc.collect()
            return sum(type(one) is aiohttp.StreamReader for one in gc.get_objects())

        others = bodies()  # of programs that ran before in this process
        async with serving(chunked) as served, engine() as http:
            for _ in range(20):
                await http.request(Request.get(served.url), PATIENCE)
            assert served.connections == 1
            assert bodies() - others < 4

    asyncio.run(main())


def test_a_connection_that_is_lost_after_its_reply_is_no_error_in_the_log() -> None:
    async def main() -> None:
        async def reset_at_last(number: int, reader: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n")
            await asyncio.sleep(0.005)
            writer.write(b"0\r\n\r\n")
            if number == 1:
                await complete.wait()
                reset(writer)
                lost.set()

        logged: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
        complete, lost = asyncio.Event(), asyncio.Event()
        async with serving(reset_at_last) as served, engine() as http:
            assert (await http.request(Request.get(served.url), PATIENCE)).body == b"ok"
            complete.set()
            await lost.wait()
            await asyncio.sleep(0.02)  # aiohttp is told
            await http.request(Request.get(served.url), PATIENCE)  # its pool forgets the first connection
            gc.collect()
            assert served.connections == 2
            assert logged == []

    asyncio.run(main())


def test_a_body_with_an_invalid_chunk_size_ends() -> None:
    async def main() -> None:
        async def broken(number: int, reader: Any, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n")
            await asyncio.sleep(0.02)
            writer.write(b"what?\r\n")

        async with serving(broken) as served, engine() as http:
            stream = await http.stream(Request.get(served.url), PATIENCE)
            chunks = stream.chunks()
            assert await anext(chunks) == b"first"
            with pytest.raises(StreamEnded) as caught:
                await asyncio.wait_for(anext(chunks), 4)
            assert caught.value.closed.ending is Ending.RESET
            await stream.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("header", [{"x-user": "bob\r\nx-admin: yes"}, {"x-user": "☃"}, {"x\nuser": "bob"}])
def test_headers_that_http_does_not_allow_are_refused_before_anything_is_sent(header) -> None:
    async def main() -> None:
        async with serving(saying(OK)) as served, engine() as http:
            with pytest.raises(gt.errors.LocalProtocolError, match="Nothing was sent"):
                await http.request(Request("GET", served.url, header, None), PATIENCE)
            with pytest.raises(gt.errors.LocalProtocolError, match="Nothing was sent"):
                await http.websocket(served.url.replace("http:", "ws:"), header, PATIENCE, 1000)
            assert (await http.request(Request.get(served.url), PATIENCE)).body == b"ok"  # its slot is free
            assert served.connections == 1

    asyncio.run(main())


def test_redirects_are_told_and_cookies_are_not_kept() -> None:
    async def main() -> None:
        reply = (
            b"HTTP/1.1 302 Found\r\nlocation: /y\r\nset-cookie: a=1\r\nset-cookie: b=2; Path=/\r\n"
            b"content-length: 0\r\n\r\n"
        )
        async with serving(saying(reply)) as served, engine() as http:
            for _ in range(2):
                response = await http.request(Request.get(served.url), PATIENCE)
            assert response.status == 302
            assert response.headers["location"] == "/y"
            assert response.set_cookie == ("a=1", "b=2; Path=/")
            assert not any(b"cookie" in head.lower() for head in served.heads)

    asyncio.run(main())


def test_urls_are_sent_as_they_were_made() -> None:
    async def main() -> None:
        async with serving(saying(OK)) as served, engine() as http:
            await http.request(Request.get(served.url + "=/tmp/a%2Fb%7Ec?q=%2B+x"), PATIENCE)
            await http.request(Request.get(served.url + "/a b"), PATIENCE)
        lines = [head.split(b"\r\n")[0] for head in served.heads]
        assert lines == [b"GET /x=/tmp/a%2Fb%7Ec?q=%2B+x HTTP/1.1", b"GET /x/a%20b HTTP/1.1"]

    asyncio.run(main())


def test_long_headers_are_taken() -> None:
    async def main() -> None:
        reply = OK.replace(b"\r\n\r\n", b"\r\nset-cookie: " + b"x" * 50_000 + b"\r\n\r\n")
        async with serving(saying(reply)) as served, engine() as http:
            assert (await http.request(Request.get(served.url), PATIENCE)).body == b"ok"

    asyncio.run(main())


def test_what_came_before_a_reset_is_not_lost_with_it() -> None:
    async def main() -> None:
        chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n"
        async with serving(saying(chunked, then=reset)) as served, engine() as http:
            stream = await http.stream(Request.get(served.url), PATIENCE)
            await asyncio.sleep(0.1)  # both the data and the reset are there before anybody reads
            chunks = stream.chunks()
            assert await anext(chunks) == b"first"
            with pytest.raises(StreamEnded) as caught:
                await anext(chunks)
            assert caught.value.closed.ending is Ending.RESET
            await stream.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("broken", [False, True])
def test_a_body_that_ends_with_its_connection_is_whole_only_without_a_reset(broken: bool) -> None:
    async def main() -> None:
        head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall"
        end = reset if broken else asyncio.StreamWriter.close
        async with serving(saying(head, then=end)) as served, engine() as http:
            if broken:
                with pytest.raises(gt.StreamLost):
                    await http.request(Request.get(served.url), PATIENCE)
            else:
                assert (await http.request(Request.get(served.url), PATIENCE)).body == b"all"

    asyncio.run(main())


def test_compressed_replies_are_unpacked() -> None:
    import gzip

    async def main() -> None:
        body = gzip.compress(b"plain")
        head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(body)}\r\n\r\n"
        async with serving(saying(head.encode() + body)) as served, engine() as http:
            assert (await http.request(Request.get(served.url), PATIENCE)).body == b"plain"

    asyncio.run(main())


def test_a_long_body_that_nobody_reads_is_given_up() -> None:
    async def main() -> None:
        async def deaf(number: int, reader: Any, writer: Any) -> None:
            await asyncio.sleep(10)

        patience = Patience(connect=5, silence=0.3, setting="upload", phase=Phase.UPLOAD, max_bytes=1000)
        async with serving(deaf) as served, engine() as http:
            request = Request("POST", served.url, {}, b"x" * 50_000_000)
            with pytest.raises(gt.TimeoutExpired) as caught:
                await http.request(request, patience)
            assert caught.value.setting == "upload"

    asyncio.run(main())


def test_the_connection_of_a_failed_long_body_is_dropped(loop_factory: LoopFactory) -> None:
    async def main() -> None:
        async def deaf(number: int, reader: Any, writer: Any) -> None:
            await asyncio.sleep(10)

        patience = Patience(connect=5, silence=0.3, setting="upload", phase=Phase.UPLOAD, max_bytes=1000)
        async with serving(deaf) as served, engine() as http:
            with pytest.raises(gt.TimeoutExpired):
                await http.request(Request("POST", served.url, {}, b"x" * 50_000_000), patience)
            async with asyncio.timeout(5):
                while http.connections.have_one_since(served.url, time.monotonic()):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)

    run_on(loop_factory, main())


def test_a_long_body_arrives_whole_and_with_its_length() -> None:
    async def main() -> None:
        came: list[bytes] = []

        async def read(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.append(await reader.readexactly(1_000_000))
            writer.write(OK)

        async with serving(read) as served, engine() as http:
            await http.request(Request("POST", served.url, {}, b"ab" * 500_000), PATIENCE)
            assert came == [b"ab" * 500_000]
            assert b"content-length: 1000000" in served.heads[0].lower()

    asyncio.run(main())


def test_waiting_for_a_turn_is_bounded_and_no_part_of_connecting() -> None:
    async def main() -> None:
        async def silent(number: int, reader: Any, writer: Any) -> None:
            await asyncio.sleep(10)

        async with serving(silent) as served, engine(connections=1) as http:
            first = asyncio.create_task(http.request(Request.get(served.url), PATIENCE))
            await served.asked.wait()
            patience = Patience(connect=0.1, silence=0.4, setting="join", phase=Phase.JOIN, max_bytes=1000)
            with pytest.raises(gt.TimeoutExpired) as caught:
                await http.request(Request.get(served.url), patience)
            assert (caught.value.setting, caught.value.retryable) == ("join", True)
            first.cancel()
            await asyncio.wait([first])
            with pytest.raises(gt.TimeoutExpired):  # the turn was given back, so this one is under way
                await http.request(Request.get(served.url), attrs.evolve(patience, connect=5))
            assert served.connections == 2

    asyncio.run(main())


def test_a_proxy_of_the_environment_is_used_and_netrc_is_not_read(tmp_path, monkeypatch) -> None:
    async def main() -> None:
        async with serving(saying(OK)) as proxy, engine() as http:
            monkeypatch.setenv("http_proxy", f"127.0.0.1:{proxy.port}")
            monkeypatch.delenv("no_proxy", raising=False)
            monkeypatch.delenv("NO_PROXY", raising=False)
            await http.request(Request.get("http://somewhere.invalid/x"), PATIENCE)
            assert proxy.heads[0].startswith(b"GET http://somewhere.invalid/x HTTP/1.1")
            assert b"authorization" not in proxy.heads[0].lower()

    (tmp_path / "netrc").write_text("machine somewhere.invalid login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    asyncio.run(main())


@pytest.mark.parametrize("scheme", ["https", "wss"])
@pytest.mark.parametrize(
    ("status", "hint", "retryable"),
    [(403, "HTTP 403", False), (407, "HTTP 407: check the user", False), (502, "HTTP 502", True)],
)
def test_a_proxy_that_refuses_is_named_without_its_password(scheme, status, hint, retryable) -> None:
    async def main() -> None:
        refusal = saying(f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n".encode())
        async with serving(refusal) as proxy:
            async with engine(proxy=f"http://me:secret@127.0.0.1:{proxy.port}") as http:
                wss = http.websocket("wss://app.example/x", {}, PATIENCE, 1000)
                https = http.request(Request.get("https://app.example/x"), PATIENCE)
                asked, other = (wss, https) if scheme == "wss" else (https, wss)
                other.close()
                with pytest.raises(gt.errors.ConnectError, match=hint) as caught:
                    await asked
            assert f"http://127.0.0.1:{proxy.port} " in str(caught.value)
            assert "secret" not in str(caught.value)
            assert caught.value.retryable is retryable

    asyncio.run(main())


@pytest.mark.parametrize("proxy", ["ftp://me:secret@host:1", "http://me:secret/x@host"])
def test_a_proxy_that_is_none_is_an_error_without_its_password(proxy) -> None:
    async def main() -> None:
        async with engine(proxy=proxy) as http:
            with pytest.raises(gt.errors.ConnectError) as caught:
                await http.request(Request.get("http://app.example/x"), PATIENCE)
        assert "secret" not in str(caught.value)

    asyncio.run(main())


def test_a_proxy_of_socks_is_refused_with_the_engine_that_can_use_it() -> None:
    async def main() -> None:
        async with engine(proxy="socks5://me:secret@127.0.0.1:9") as http:
            with pytest.raises(gt.errors.UnsupportedProtocol, match="engine='httpx'") as caught:
                await http.request(Request.get("http://app.example/x"), PATIENCE)
            assert "secret" not in str(caught.value)

    asyncio.run(main())


def test_the_error_of_a_bad_reply_has_no_query() -> None:
    async def main() -> None:
        async with serving(saying(b"nothing of HTTP\r\n\r\n")) as served, engine() as http:
            with pytest.raises(gt.StreamLost) as caught:
                await http.request(Request.get(served.url + "?session_hash=abc"), PATIENCE)
            assert "abc" not in str(caught.value)

    asyncio.run(main())


# --- websockets -----------------------------------------------------------------------------------------


def accepting(*frames: bytes, then: Callable[[asyncio.StreamWriter], object] = lambda writer: None) -> Answer:
    """Accept a handshake, send frames, and echo what comes as bytes."""

    async def answer(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        key = next(line for line in heads[-1].split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
        digest = hashlib.sha1(key.partition(b": ")[2] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"sec-websocket-accept: " + base64.b64encode(digest) + b"\r\n\r\n" + b"".join(frames)
        )
        await writer.drain()
        then(writer)
        came.put_nowait(await reader.read(1000))
        while await reader.read(1000):
            pass

    heads: list[bytes] = []
    came: asyncio.Queue[bytes] = asyncio.Queue()
    answer.heads, answer.came = heads, came  # type: ignore[attr-defined]
    return answer


def frame(opcode: int, data: bytes) -> bytes:
    size = bytes([len(data)]) if len(data) < 126 else bytes([126]) + struct.pack(">H", len(data))
    return bytes([0x80 | opcode]) + size + data


async def converse(
    answer: Any, *, timeout: float | None = None, most: int = 1000, times: int = 1
) -> list[Any]:
    patience = Patience(connect=5, silence=0.5, setting="idle", phase=Phase.STREAM, max_bytes=1000)
    async with serving(answer) as served, engine() as http:
        served.heads = answer.heads
        threads = threading.active_count()
        opened = await http.websocket(served.url.replace("http:", "ws:"), {"x-key": "k"}, patience, most)
        said = [await opened.receive(timeout) for _ in range(times)]
        assert await opened.send("hello") is None or isinstance(said[-1], Closed)
        assert threading.active_count() == threads
        await opened.abort()
        assert b"x-key: k" in served.heads[0]
    return said


def test_a_websocket_leaves_the_kept_connection_of_requests_open() -> None:
    async def answer(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            writer.write(OK)
        else:
            await accept(number, reader, writer)

    async def main() -> None:
        async with serving(answer) as served, engine() as http:
            served.heads = accept.heads
            await http.request(Request.get(served.url), PATIENCE)
            kept = time.monotonic()
            opened = await http.websocket(served.url.replace("http:", "ws:"), {}, PATIENCE, 1000)
            await opened.abort()
            assert http.connections.have_one_since(served.url, kept)
            assert served.connections == 2

    accept: Any = accepting()
    asyncio.run(main())


def test_texts_are_received_and_pings_answered_without_a_thread() -> None:
    answer = accepting(frame(1, b"one"), frame(9, b"ping"), frame(1, "zwei 😀".encode()))
    assert asyncio.run(converse(answer, times=2)) == ["one", "zwei 😀"]
    assert answer.came.get_nowait()[0] == 0x8A


def test_bytes_that_are_no_utf8_are_replaced() -> None:
    assert asyncio.run(converse(accepting(frame(1, b"a\xffb")))) == ["a\ufffdb"]


def test_a_wait_for_a_text_may_be_given_up() -> None:
    assert asyncio.run(converse(accepting(), timeout=0.05)) == [None]


@pytest.mark.parametrize(
    ("answer", "ending", "code"),
    [
        (accepting(frame(8, struct.pack(">H", 1000))), Ending.CLEAN, 1000),
        (accepting(frame(8, b"")), Ending.CLEAN, None),
        (accepting(frame(8, struct.pack(">H", 1011) + b"oh")), Ending.RESET, 1011),
        (accepting(then=reset), Ending.RESET, None),
        (accepting(then=asyncio.StreamWriter.close), Ending.RESET, None),
        (accepting(frame(1, b"x" * 1001)), Ending.TOO_LARGE, None),
        (accepting(b"\xff\xff\xff"), Ending.RESET, None),
        (accepting(), Ending.IDLE, None),
    ],
)
def test_the_end_of_a_socket_says_how(answer: Answer, ending: Ending, code: int | None) -> None:
    (closed,) = asyncio.run(converse(answer))
    assert (closed.ending, closed.code) == (ending, code)


def test_a_refused_handshake_is_told_with_its_reason_and_not_followed() -> None:
    async def main(reply: bytes) -> HandshakeRefused:
        async with serving(saying(reply)) as served, engine() as http:
            with pytest.raises(HandshakeRefused) as caught:
                await http.websocket(served.url.replace("http:", "ws:"), {}, PATIENCE, 1000)
            assert len(served.heads) == 1
            return caught.value

    refused = asyncio.run(main(b"HTTP/1.1 403 No\r\ncontent-length: 3\r\n\r\nwhy"))
    assert (refused.response.status, refused.response.body) == (403, b"why")
    moved = b"HTTP/1.1 307 X\r\nlocation: ws://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n"
    assert asyncio.run(main(moved)).response.status == 307


def test_a_socket_that_is_aborted_is_gone_for_the_server_without_a_goodbye() -> None:
    async def main() -> bytes:
        answer: Any = accepting()
        async with serving(answer) as served, engine() as http:
            served.heads = answer.heads
            opened = await http.websocket(served.url.replace("http:", "ws:"), {}, PATIENCE, 1000)
            await opened.abort()
            await opened.abort()
            assert isinstance(await opened.receive(), Closed)
            assert isinstance(await opened.send("x"), Closed)
            return await answer.came.get()

    assert asyncio.run(main()) == b""


# --- where it cannot run --------------------------------------------------------------------------------


def test_on_trio_the_other_engine_is_named() -> None:
    async def main() -> None:
        with pytest.raises(gt.errors.LocalProtocolError, match="asyncio only"):
            async with gt.connect_async("http://127.0.0.1:9", engine="aiohttp"):
                pass

    anyio.run(main, backend="trio")


def test_the_sync_face_says_that_it_is_not_for_it() -> None:
    with pytest.raises(gt.errors.LocalProtocolError, match="connect_async"):
        gt.connect("http://127.0.0.1:9", engine="aiohttp")  # type: ignore[arg-type]


def test_a_socket_of_uvloop_is_shut_down_although_it_cannot_do_so_itself() -> None:
    class PseudoSocket:
        def fileno(self) -> int:
            return ours.fileno()

        def shutdown(self, how: int) -> None:
            raise TypeError("transport sockets do not support shutdown() method")

    ours, theirs = socket.socketpair()
    with ours, theirs:
        shut_down_socket(PseudoSocket())
        theirs.settimeout(5)
        assert theirs.recv(1) == b""
        assert ours.fileno() >= 0


def test_a_missing_aiohttp_is_named_with_its_extra() -> None:
    program = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "import gradio_transport as gt\n"
        "try: gt.connect_async('http://127.0.0.1:9', engine='aiohttp')\n"
        "except gt.errors.UnsupportedProtocol as error: print(error)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert "gradio-transport[aiohttp]" in done.stdout


def test_a_closed_engine_does_not_wait_for_the_goodbye_of_tls(loop_factory: LoopFactory) -> None:
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        accepted, _ = listener.accept()
        accepted.settimeout(10)
        with server_context("proper").wrap_socket(accepted, server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")
            with contextlib.suppress(ConnectionError):
                while socket.socket.recv(connection, 65536):  # encrypted: the client's goodbye gets no reply
                    pass
            ended.set()

    async def main(port: int) -> None:
        verify = ssl.create_default_context(cadata=authority_pem().decode())
        http = AiohttpEngine(HTTPSettings(verify=verify))
        await http.request(Request.get(f"https://127.0.0.1:{port}/"), PATIENCE)
        await http.aclose()
        assert await asyncio.to_thread(ended.wait, 5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        try:
            run_on(loop_factory, main(listener.getsockname()[1]))
        finally:
            server.join(15)


def test_connections_over_tls_that_ended_are_forgotten(loop_factory: LoopFactory) -> None:
    def serve(listener: socket.socket) -> None:
        for _ in range(3):
            accepted, _ = listener.accept()
            accepted.settimeout(10)
            with server_context("proper").wrap_socket(accepted, server_side=True) as connection:
                connection.recv(65536)
                connection.sendall(OK.replace(b"\r\n", b"\r\nconnection: close\r\n", 1))
                connection.unwrap().close()

    async def main(port: int) -> None:
        verify = ssl.create_default_context(cadata=authority_pem().decode())
        http = AiohttpEngine(HTTPSettings(verify=verify))
        for _ in range(3):
            await http.request(Request.get(f"https://127.0.0.1:{port}/"), PATIENCE)
        async with asyncio.timeout(5):
            while http._tls_transports:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
        await http.aclose()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        try:
            run_on(loop_factory, main(listener.getsockname()[1]))
        finally:
            server.join(15)
