# SPDX-License-Identifier: Apache-2.0
"""Connections of the async engine, on asyncio (`sockets_asyncio`) and trio (`sockets_anyio`)."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import anyio
import anyio.to_thread
import httpcore
import pytest
import trustme

from gradio_transport.engines import sockets_asyncio
from gradio_transport.engines.base import Patience
from gradio_transport.engines.bounds import Bounds, BrokenError, LateError, NotSentError
from gradio_transport.engines.chunk_joining import ChunkJoiner
from gradio_transport.engines.httpcore_async import AsyncHTTPEngine
from gradio_transport.engines.replies import shut_down_socket
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.engines.sockets_anyio import AnyioStream
from gradio_transport.engines.sockets_async import AsyncSocketBackend
from gradio_transport.engines.sockets_asyncio import AsyncioStream
from gradio_transport.engines.stream_async import AsyncStream
from gradio_transport.engines.stream_state import BODY_BYTES
from gradio_transport.errors import Phase
from gradio_transport.protocol.commands import Request

GET = b"GET / HTTP/1.1\r\nhost: app\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
SLACK = 3.0


@pytest.fixture(params=["asyncio", "trio"])
def backend(request) -> str:
    return request.param


def bounds(connect: float | None = 5.0, silence: float | None = 5.0, **options: Any) -> Bounds:
    return Bounds(Patience(connect, silence, "join", Phase.JOIN, 1000), **options)


def wait(of: Bounds) -> Any:
    return of.timeouts()["read"]


async def connected(port: int, of: Bounds) -> AsyncStream:
    return await AsyncSocketBackend(httpcore.WriteError).connect_tcp("127.0.0.1", port, wait(of))


def play(
    backend: str, serve: Callable[[socket.socket], None], use: Callable[[int], Any], times: int = 1
) -> Any:
    """Run a coroutine function, given the port of a server of some connections, one after the other."""

    def accept(listener: socket.socket) -> None:
        for _ in range(times):
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(10)
                serve(connection)

    async def main() -> Any:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(anyio.to_thread.run_sync, accept, listener)
                return await use(listener.getsockname()[1])

    with anyio.from_thread.start_blocking_portal(backend) as portal:
        return portal.call(main)


def hold(connection: socket.socket) -> None:
    """Read a request and reply nothing."""
    connection.recv(65536)
    connection.recv(65536)


async def read_all(stream: AsyncStream, of: Bounds) -> bytes:
    data = b""
    while part := await stream.read(65536, wait(of)):
        data += part
    return data


def drip(connection: socket.socket) -> None:
    """Send a byte now and then until the client has left."""
    with suppress(OSError):
        while True:
            connection.sendall(b"H")
            time.sleep(0.01)


def test_each_event_loop_has_its_stream(backend):
    async def use(port: int) -> None:
        stream = await connected(port, bounds())
        assert isinstance(stream, AsyncioStream if backend == "asyncio" else AnyioStream)
        assert stream.get_extra_info("server_addr")[1] == port
        assert stream.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert stream.get_extra_info("ssl_object") is None
        await stream.aclose()

    play(backend, lambda connection: None, use)


def test_head_and_body_of_a_small_request_leave_together(backend):
    seen: list[bytes] = []

    def serve(connection: socket.socket) -> None:
        seen.append(connection.recv(65536))
        connection.sendall(OK)

    async def use(port: int) -> None:
        of = bounds()
        stream = await connected(port, of)
        for part in (b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\n", b"body", b""):
            await stream.write(part, wait(of))
        assert await stream.read(65536, wait(of)) == OK
        await stream.aclose()

    play(backend, serve, use)
    assert seen == [b"POST / HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody"]


def test_a_head_that_drips_has_one_deadline(backend):
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        drip(connection)

    async def use(port: int) -> None:
        of = bounds(silence=0.3)
        stream = await connected(port, of)
        began = time.monotonic()
        await stream.write(GET, wait(of))
        with pytest.raises(LateError):
            await read_all(stream, of)
        assert time.monotonic() - began < SLACK
        await stream.aclose()

    play(backend, serve, use)


def test_a_server_that_reads_nothing_is_not_sent_to_forever(backend):
    done = threading.Event()

    async def use(port: int) -> None:
        of = bounds(silence=0.3)
        stream = await connected(port, of)
        with pytest.raises(LateError):
            await stream.write(bytes(64 * 1024 * 1024), wait(of))
        await stream.aclose()
        done.set()

    play(backend, lambda connection: done.wait(10), use)


def test_a_connection_that_is_shut_down_wakes_its_reader_and_is_not_used_again(backend):
    async def use(port: int) -> None:
        of, other = bounds(silence=None), bounds()
        stream = await connected(port, of)
        await stream.write(GET, wait(of))

        async def shut_down() -> None:
            await anyio.sleep(0.1)
            of.shut_down()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(shut_down)
            with pytest.raises(BrokenError):
                await stream.read(65536, wait(of))
        assert stream.get_extra_info("is_readable")
        with pytest.raises(NotSentError):
            await stream.write(GET, wait(other))
        await stream.aclose()

    play(backend, hold, use)


def test_the_pool_drops_what_ended_or_has_bytes_that_nobody_wanted(backend):
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK)
        time.sleep(0.1)
        connection.sendall(b"more")
        connection.recv(1)

    async def use(port: int) -> None:
        of = bounds()
        stream = await connected(port, of)
        await stream.write(GET, wait(of))
        assert await stream.read(65536, wait(of)) == OK
        assert not stream.get_extra_info("is_readable")
        of.release()
        with anyio.fail_after(5):
            while not stream.get_extra_info("is_readable"):  # noqa: ASYNC110 - nothing announces it
                await anyio.sleep(0.01)
        of.begin_sending()
        shut_down_socket(stream.get_extra_info("socket"))
        assert stream.get_extra_info("is_readable")
        await stream.aclose()

    play(backend, serve, use)


def test_a_connection_that_was_closed_while_the_loop_was_busy_is_not_used_again(backend):
    closed = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_WR)
        closed.set()

    async def use(port: int) -> None:
        of = bounds()
        stream = await connected(port, of)
        await stream.write(GET, wait(of))
        assert await stream.read(65536, wait(of)) == OK
        closed.wait(5)  # blocks the loop
        of.release()
        assert stream.get_extra_info("is_readable")
        await stream.aclose()

    play(backend, serve, use)


def test_chunks_of_one_read_are_joined(backend):
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
        connection.sendall(head + b"1\r\na\r\n1\r\nb\r\n0")

    async def use(port: int) -> None:
        of = bounds(joiner=ChunkJoiner())
        stream = await connected(port, of)
        await stream.write(GET, wait(of))
        data = await read_all(stream, of)
        assert data.endswith(b"\r\n\r\n2\r\nab\r\n0")
        await stream.aclose()

    play(backend, serve, use)


def test_nothing_is_received_without_end_ahead_of_the_reader():
    size, sent = 16 * 1024 * 1024, []

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        view = memoryview(bytes(size))
        while view:
            view = view[connection.send(view[:65536]) :]
            sent.append(len(view))

    async def use(port: int) -> None:
        of = bounds()
        stream = await connected(port, of)
        stream.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        await stream.write(GET, wait(of))
        got = len(await stream.read(65536, wait(of)))
        of.begin_body()
        await anyio.sleep(0.2)
        assert sent[-1] > size // 4
        while part := await stream.read(65536, wait(of)):
            assert len(part) <= BODY_BYTES
            got += len(part)
        assert got == size
        await stream.aclose()

    play("asyncio", serve, use)


def test_a_body_comes_in_large_reads_whose_bytes_are_all_in_order():
    content = bytes(range(251)) * 40_000

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(content)

    async def use(port: int) -> None:
        of = bounds()
        stream = await connected(port, of)
        await stream.write(GET, wait(of))
        parts = [await stream.read(1000, wait(of))]
        of.begin_body()
        while part := await stream.read(1000, wait(of)):
            parts.append(part)
        assert len(parts[0]) <= 1000
        assert 65536 < max(map(len, parts)) <= BODY_BYTES
        assert b"".join(parts) == content
        await stream.aclose()

    play("asyncio", serve, use)


def test_a_reset_ends_a_body_behind_what_came_before_it(backend):
    gone = threading.Event()

    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nbefore")
        gone.wait(10)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    async def use(port: int) -> None:
        of = bounds()
        stream = await connected(port, of)
        await stream.write(GET, wait(of))
        assert (await stream.read(65536, wait(of))).endswith(b"before")
        of.begin_body()
        gone.set()
        with pytest.raises(BrokenError):
            await stream.read(65536, wait(of))
        await stream.aclose()

    play(backend, serve, use)


class TestConnecting:
    def test_an_address_that_does_not_answer_does_not_hold_the_next_one_up(self, monkeypatch):
        async def use(port: int) -> None:
            with socket.socket() as full:  # takes no connection: its backlog is full at once
                full.bind(("127.0.0.1", 0))
                full.listen(0)
                others = [socket.socket() for _ in range(3)]
                for other in others:
                    other.setblocking(False)
                    other.connect_ex(full.getsockname())
                targets = [full.getsockname(), full.getsockname(), ("127.0.0.1", port)]

                async def resolve(*_: Any) -> list[Any]:
                    return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", target) for target in targets]

                monkeypatch.setattr(sockets_asyncio, "_resolve", resolve)
                of = bounds()
                began = time.monotonic()
                stream = await connected(port, of)
                assert stream.get_extra_info("server_addr")[1] == port
                assert time.monotonic() - began < SLACK
                await stream.aclose()
                targets.pop()
                with pytest.raises(LateError):
                    await connected(port, bounds(0.4))
                for other in others:
                    other.close()

        play("asyncio", lambda connection: None, use)

    def test_no_address_that_takes_a_connection_is_an_error(self, backend):
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]

        async def main() -> None:
            with pytest.raises(BrokenError):
                await connected(port, bounds())

        anyio.run(main, backend=backend)

    def test_a_name_is_looked_up(self, monkeypatch):
        async def use(port: int) -> None:
            of = bounds()
            stream = await AsyncSocketBackend(httpcore.WriteError).connect_tcp("localhost", port, wait(of))
            await stream.aclose()

        play("asyncio", lambda connection: None, use)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


class TestTLS:
    def contexts(self, authority: trustme.CA) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
        authority.issue_cert("localhost").configure_cert(server)
        authority.configure_trust(client)
        return server, client

    def test_bytes_go_both_ways(self, authority, backend):
        server, client = self.contexts(authority)
        body = bytes(range(256)) * 1000

        def serve(connection: socket.socket) -> None:
            with server.wrap_socket(connection, server_side=True) as secure:
                got = b""
                while len(got) < len(body):
                    got += secure.recv(65536)
                secure.sendall(got)

        async def use(port: int) -> None:
            of = bounds()
            stream = await (await connected(port, of)).start_tls(client, "localhost", wait(of))
            assert stream.get_extra_info("ssl_object").version().startswith("TLS")
            await stream.write(body, wait(of))
            assert await read_all(stream, of) == body
            await stream.aclose()

        play(backend, serve, use)

    def test_a_certificate_that_is_not_valid_is_refused(self, authority, backend):
        server, _ = self.contexts(authority)

        def serve(connection: socket.socket) -> None:
            with suppress(OSError), server.wrap_socket(connection, server_side=True) as secure:
                secure.recv(1)

        async def use(port: int) -> None:
            of = bounds()
            with pytest.raises(BrokenError) as caught:
                await (await connected(port, of)).start_tls(
                    ssl.create_default_context(), "localhost", wait(of)
                )
            assert isinstance(caught.value.error, ssl.SSLCertVerificationError)

        play(backend, serve, use)

    def test_a_handshake_is_part_of_connecting(self, authority, backend):
        _, client = self.contexts(authority)

        async def use(port: int) -> None:
            of = bounds(connect=0.3, silence=None)
            began = time.monotonic()
            with pytest.raises(LateError):
                await (await connected(port, of)).start_tls(client, "localhost", wait(of))
            assert time.monotonic() - began < SLACK

        play(backend, hold, use)


class TestEngine:
    def streamed(self, backend: str, leave: Callable[[Any], Any]) -> None:
        """Have a consumer leave a stream in the middle; nothing may be left open."""

        def serve(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n")
            assert connection.recv(65536) == b""

        async def use(port: int) -> None:
            engine = AsyncHTTPEngine(HTTPSettings())
            patience = Patience(5, 5, "idle", Phase.STREAM, 1000)
            stream = await engine.stream(Request("GET", f"http://127.0.0.1:{port}/"), patience)
            try:
                await leave(stream)
            finally:
                await stream.aclose()
                await engine.aclose()

        play(backend, serve, use)

    def test_a_waiting_reader_may_be_cancelled(self, backend):
        async def leave(stream: Any) -> None:
            with anyio.move_on_after(0.1):
                async for _ in stream.chunks():
                    pass

        self.streamed(backend, leave)

    def test_a_request_that_was_not_sent_is_sent_on_another_connection(self, backend, monkeypatch):
        """The idle connection is shut down after the pool has looked at it."""
        asked = AsyncStream.get_extra_info
        shut: list[AsyncStream] = []
        engine = AsyncHTTPEngine(HTTPSettings())

        def get_extra_info(self: AsyncStream, info: str) -> Any:
            found = asked(self, info)
            if info == "is_readable" and not found and not shut:
                shut.append(self)
                self.shut_down()
            return found

        def serve(connection: socket.socket) -> None:
            if connection.recv(65536):
                connection.sendall(OK)
                if not shut:
                    connection.recv(65536)

        async def use(port: int) -> None:
            request = Request("POST", f"http://127.0.0.1:{port}/", body=b"{}")
            patience = partial(Patience, 5, 5, "join", Phase.JOIN, 1000)
            assert (await engine.request(request, patience())).body == b"ok"
            monkeypatch.setattr(AsyncStream, "get_extra_info", get_extra_info)
            assert (await engine.request(request, patience())).body == b"ok"
            await engine.aclose()

        play(backend, serve, use, times=2)
        assert len(shut) == 1


def test_on_uvloop_too():
    uvloop = pytest.importorskip("uvloop")

    async def main() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        engine = AsyncHTTPEngine(HTTPSettings())
        patience = Patience(5, 5, "join", Phase.JOIN, 1000)
        reply = await engine.request(Request("GET", f"http://127.0.0.1:{port}/"), patience)
        await engine.aclose()
        server.close()
        return reply.body

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) == b"ok"
