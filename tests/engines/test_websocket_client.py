# SPDX-License-Identifier: Apache-2.0
"""websocket-client with our bounds: of the handshake's size and time, of messages, and of how a socket ends."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpcore
import pytest
from proxies import connect_proxy

from gradio_transport.engines.base import HandshakeRefused, Patience
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.engines.sockets import SocketBackend, SocketStream
from gradio_transport.engines.websocket_client import open_websocket, open_websocket_async
from gradio_transport.errors import ConnectError, LocalProtocolError, Phase, StreamLost, TimeoutExpired
from gradio_transport.protocol.commands import Closed, Ending
from gradio_transport_conformance.faults.certificates import authority_pem, server_context

SCRIPT = Callable[[socket.socket, str], Any]
PATIENCE = Patience(5, 5, "stream", Phase.STREAM, 1000)
MAX_MESSAGE_BYTES = 1000


@contextlib.contextmanager
def serving(script: SCRIPT, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve one connection: the script gets its socket and the head of its request."""

    def serve() -> None:
        accepted, _ = listener.accept()
        talk = context.wrap_socket(accepted, server_side=True) if context else accepted
        with talk, contextlib.suppress(OSError):  # the client may drop it at any moment
            head = b""
            while b"\r\n\r\n" not in head:
                head += talk.recv(65536)
            script(talk, head.decode())
            while talk.recv(65536):  # until the client has gone
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve)
        yield f"{'wss' if context else 'ws'}://127.0.0.1:{listener.getsockname()[1]}/queue/join"
        served.result(10)


def accept(connection: socket.socket, head: str, behind: bytes = b"", *headers: str) -> None:
    found = re.search(r"(?i)sec-websocket-key: (\S+)", head)
    assert found is not None
    digest = hashlib.sha1(found[1].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"
    answer = "\r\n".join(
        [*lines, *headers, f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}", "", ""]
    )
    connection.sendall(answer.encode() + behind)


def frame(opcode: int, data: bytes, final: bool = True) -> bytes:
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
    return bytes([opcode | (0x80 if final else 0)]) + size + data


def connect(url: str, patience: Patience = PATIENCE, **settings: Any) -> Any:
    return open_websocket(url, {}, patience, MAX_MESSAGE_BYTES, HTTPSettings(**settings))


def received(behind: bytes, count: int = 1) -> list[Any]:
    with serving(lambda connection, head: accept(connection, head, behind)) as url:
        opened = connect(url)
        try:
            return [opened.receive(5) for _ in range(count)]
        finally:
            opened.abort()


def test_messages_that_came_with_the_handshake_are_kept() -> None:
    both = frame(1, "é".encode()) + frame(2, b'{"msg": "two"}')
    assert received(both, 2) == ["é", '{"msg": "two"}']


def test_a_ping_is_no_message() -> None:
    assert received(frame(9, b"are you there") + frame(1, b"text")) == ["text"]


def test_invalid_utf_8_is_replaced_and_not_an_error() -> None:
    assert received(frame(1, b"a\xffb")) == ["a�b"]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", Closed(Ending.CLEAN)),
        ((1000).to_bytes(2, "big") + b"bye", Closed(Ending.CLEAN, 1000, "bye")),
        ((1001).to_bytes(2, "big"), Closed(Ending.CLEAN, 1001, "")),
        ((1011).to_bytes(2, "big") + b"failed", Closed(Ending.RESET, 1011, "failed")),
    ],
)
def test_only_these_codes_are_a_clean_end(data: bytes, expected: Closed) -> None:
    assert received(frame(8, data)) == [expected]


@pytest.mark.parametrize(
    "too_large",
    [
        frame(1, b"x" * (MAX_MESSAGE_BYTES + 1)),
        frame(1, b"x" * 600, final=False) + frame(0, b"x" * 600),
        b"\x81\x7e" + (60_000).to_bytes(2, "big"),  # announced, and never sent
    ],
)
def test_a_message_over_the_bound_ends_the_socket_before_it_is_read(too_large: bytes) -> None:
    (closed,) = received(too_large)
    assert closed.ending is Ending.TOO_LARGE


def test_a_message_at_the_bound_passes() -> None:
    assert received(frame(1, b"x" * MAX_MESSAGE_BYTES)) == ["x" * MAX_MESSAGE_BYTES]


def test_a_ping_between_the_fragments_of_a_message_at_the_bound_is_no_part_of_it() -> None:
    fragments = frame(1, b"x" * (MAX_MESSAGE_BYTES - 1), final=False), frame(9, b"p" * 125), frame(0, b"x")
    assert received(b"".join(fragments)) == ["x" * MAX_MESSAGE_BYTES]


def test_a_ping_that_cannot_be_answered_loses_no_message() -> None:
    def script(connection: socket.socket, head: str) -> None:
        accept(connection, head, frame(9, b"there?") + frame(1, b"last"))
        connection.shutdown(socket.SHUT_RDWR)

    with serving(script) as url:
        opened = connect(url)
        assert opened.receive(5) == "last"
        assert opened.receive(5).ending is Ending.RESET
        opened.abort()


def test_pings_do_not_prolong_a_wait_that_has_an_end() -> None:
    def script(connection: socket.socket, head: str) -> None:
        accept(connection, head)
        while not over.wait(0.02):
            connection.sendall(frame(9, b""))

    over = threading.Event()
    with serving(script) as url:
        opened = connect(url)
        began = time.monotonic()
        try:
            assert opened.receive(0.2) is None
        finally:
            over.set()
            opened.abort()
        assert time.monotonic() - began < 2


def test_no_message_in_time_is_none_and_silence_is_an_end() -> None:
    with serving(accept) as url:
        opened = connect(url, Patience(5, 0.05, "stream", Phase.STREAM, 1000))
        assert opened.receive(0.05) is None
        assert opened.receive() == Closed(Ending.IDLE, reason="silent for 0.05 s")
        opened.abort()
        assert opened.receive(5).ending is Ending.RESET
        assert opened.send("late").ending is Ending.RESET


def test_abort_wakes_a_reader_in_another_thread() -> None:
    with serving(accept) as url, ThreadPoolExecutor(1) as pool:
        opened = connect(url)
        waiting = pool.submit(opened.receive, None)
        opened.abort()
        assert waiting.result(4).ending is Ending.RESET


class Watched(SocketBackend):
    """A backend whose connections tell when they are read and when their sockets are closed.

    Attributes:
        sockets: Those that were opened.
        reads: How many reads are under way.
        closed: For each socket that was closed whether that came between reads.
    """

    def __init__(self) -> None:
        super().__init__(httpcore.WriteError)
        self.sockets: list[Any] = []
        self.reads = 0
        self.closed: list[bool] = []

    def connect_tcp(self, *args: Any, **more: Any) -> SocketStream:
        stream = super().connect_tcp(*args, **more)
        sock, layer = stream.get_extra_info("socket"), stream._layer
        self.sockets.append(sock)
        receive, close = layer.receive, sock.close

        def watched_receive(*args: Any) -> bytes:
            self.reads += 1
            try:
                return receive(*args)
            finally:
                self.reads -= 1

        def watched_close() -> None:
            self.closed.append(self.reads == 0)
            close()

        layer.receive = watched_receive  # type: ignore[method-assign]
        stream._in_use._close = watched_close
        return stream


def connect_watched(url: str) -> tuple[Any, Watched]:
    verify = ssl.create_default_context(cadata=authority_pem().decode())
    watch, settings = Watched(), HTTPSettings(verify=verify)
    return open_websocket(url, {}, PATIENCE, MAX_MESSAGE_BYTES, settings, backend=watch), watch


@pytest.mark.parametrize("secure", [False, True])
def test_no_socket_is_closed_under_a_thread_that_reads_it(secure: bool) -> None:
    context = server_context("proper") if secure else None
    with serving(accept, context) as url, ThreadPoolExecutor(1) as pool:
        opened, watch = connect_watched(url)
        waiting = pool.submit(opened.receive, None)
        until = time.monotonic() + 5
        while watch.reads == 0 and time.monotonic() < until:
            time.sleep(0.005)
        opened.abort()
        assert waiting.result(4).ending is Ending.RESET
        opened.abort()
        assert all(watch.closed)
        assert [sock.fileno() for sock in watch.sockets] == [-1] * len(watch.sockets)


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_of_fork_closes_its_descriptor_and_not_the_connection() -> None:
    def script(connection: socket.socket, head: str) -> None:
        accept(connection, head)
        forked.wait(5)
        connection.sendall(frame(1, b"still here"))

    forked = threading.Event()
    with serving(script) as url:
        opened, watch = connect_watched(url)
        child = os.fork()
        if child == 0:
            opened.close_descriptor()
            os._exit(0 if watch.sockets[0].fileno() == -1 else 1)
        assert os.waitpid(child, 0)[1] == 0
        forked.set()
        assert opened.receive(5) == "still here"
        opened.abort()


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nno access", 403, b"no access"),
        (b"HTTP/1.1 302 Found\r\nLocation: ws://elsewhere/\r\nContent-Length: 0\r\n\r\n", 302, b""),
    ],
)
def test_a_refusal_has_status_and_body_and_no_redirect_is_followed(
    answer: bytes, status: int, body: bytes
) -> None:
    with (
        serving(lambda connection, _: connection.sendall(answer)) as url,
        pytest.raises(HandshakeRefused) as caught,
    ):
        connect(url)
    assert (caught.value.response.status, caught.value.response.body) == (status, body)


def test_a_reply_without_end_is_cut_at_its_bound() -> None:
    def flood(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nX-Filler: " + b"x" * 200_000)

    with serving(flood) as url, pytest.raises(StreamLost, match="more than 102400 bytes"):
        connect(url)


def test_the_body_of_a_refusal_is_cut_at_its_bound() -> None:
    def flood(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 403 No\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 2_000_000)

    with serving(flood) as url, pytest.raises((StreamLost, HandshakeRefused)) as caught:
        connect(url)
    if isinstance(caught.value, HandshakeRefused):  # websocket-client before 1.9 reads one block of it
        assert len(caught.value.response.body) <= 65536
    else:
        assert "more than 1048576 bytes" in str(caught.value)


def test_cookies_count_for_the_bound_of_the_head() -> None:
    def flood(connection: socket.socket, _: str) -> None:
        connection.sendall(b"HTTP/1.1 101 X\r\n" + b"Set-Cookie: a=b\r\n" * 10_000)

    with serving(flood) as url, pytest.raises(StreamLost, match="more than 102400 bytes"):
        connect(url)


@pytest.mark.parametrize("answer", [b"\r\n\r\n", b"HTTP/1.1 9999 X\r\n\r\n", b"nothing of HTTP\r\n\r\n", b""])
def test_a_reply_that_is_none_is_a_lost_stream(answer: bytes) -> None:
    def script(connection: socket.socket, _: str) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    with serving(script) as url, pytest.raises(StreamLost, match="handshake"):
        connect(url)


def test_a_reply_byte_by_byte_is_late_like_any_other() -> None:
    def drip(connection: socket.socket, _: str) -> None:
        while not over.wait(0.02):
            connection.sendall(b"H")

    over = threading.Event()
    with serving(drip) as url:
        try:
            with pytest.raises(TimeoutExpired) as caught:
                connect(url, Patience(0.2, 5, "stream", Phase.STREAM, 1000))
        finally:
            over.set()
    assert caught.value.setting == "connect"


def test_cookies_of_a_reply_are_told_with_a_refusal_and_kept_from_other_sockets() -> None:
    cookies = "Set-Cookie: a=1; Domain=127.0.0.1", "\u00a0set-cookie: b=2; Domain=127.0.0.1"
    seen: list[str] = []

    def script(connection: socket.socket, head: str) -> None:
        seen.append(head.lower())
        accept(connection, head, frame(1, b"text"), *cookies)

    def refuse(connection: socket.socket, _: str) -> None:
        lines = "HTTP/1.1 302 Found", "Location: /", *cookies, "Content-Length: 0", "", ""
        connection.sendall("\r\n".join(lines).encode())

    with serving(refuse) as url, pytest.raises(HandshakeRefused) as caught:
        connect(url)
    assert caught.value.response.set_cookie == ("a=1; Domain=127.0.0.1", "b=2; Domain=127.0.0.1")
    assert "set-cookie" not in caught.value.response.headers
    for _ in range(2):
        with serving(script) as url:
            opened = connect(url)
            assert opened.receive(5) == "text"
            opened.abort()
    assert not any("cookie" in head for head in seen)


@pytest.mark.parametrize("header", [{"x-user": "bob\r\nx-admin: yes"}, {"x-user": "☃"}, {"x\nuser": "bob"}])
def test_headers_that_http_does_not_allow_are_refused_before_anything_is_sent(header: dict[str, str]) -> None:
    with pytest.raises(LocalProtocolError, match="Nothing was sent"):
        open_websocket("ws://127.0.0.1:9/", header, PATIENCE, MAX_MESSAGE_BYTES, HTTPSettings())


@pytest.mark.parametrize("secure", [False, True])
def test_through_a_proxy(secure: bool) -> None:
    verify = ssl.create_default_context(cadata=authority_pem().decode())
    script = lambda connection, head: accept(connection, head, frame(1, b"text"))  # noqa: E731
    with serving(script, server_context("proper") if secure else None) as url, connect_proxy("me:p") as proxy:
        opened = connect(url, proxy=f"http://me:p@127.0.0.1:{proxy.port}", verify=verify)
        assert opened.receive(5) == "text"
        opened.abort()
        assert len(proxy.targets) == 1


def test_a_handshake_that_is_never_answered_is_late_by_the_setting_of_connecting() -> None:
    with serving(lambda *_: None) as url, pytest.raises(TimeoutExpired) as caught:
        connect(url, Patience(0.05, 5, "stream", Phase.STREAM, 1000))
    assert (caught.value.setting, caught.value.seconds) == ("connect", 0.05)


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ConnectError):
        connect(f"ws://127.0.0.1:{port}/")


def test_headers_and_cookies_are_sent_and_no_origin() -> None:
    seen: list[str] = []

    def script(connection: socket.socket, head: str) -> None:
        seen.append(head.lower())
        accept(connection, head)

    with serving(script) as url:
        headers = {"x-own": "1", "cookie": "a=b"}
        open_websocket(url, headers, PATIENCE, MAX_MESSAGE_BYTES, HTTPSettings()).abort()
    assert "x-own: 1\r\n" in seen[0]
    assert seen[0].count("cookie: a=b") == 1
    assert "origin:" not in seen[0]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_an_async_wait_drops_the_socket(backend: str) -> None:
    ended: list[Any] = []

    async def use(url: str) -> None:
        opened = await open_websocket_async(url, {}, PATIENCE, MAX_MESSAGE_BYTES, HTTPSettings())
        assert await opened.receive(5) == "first"
        with anyio.move_on_after(0.05):
            await opened.receive()
        ended.append(await opened.receive(5))

    with serving(lambda connection, head: accept(connection, head, frame(1, b"first"))) as url:
        anyio.run(use, url, backend=backend)
    assert ended[0].ending is Ending.RESET


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cancelling_the_handshake_leaves_no_socket(backend: str) -> None:
    def script(connection: socket.socket, head: str) -> None:
        asked.set()
        answered.wait(5)
        accept(connection, head)
        ended.append(connection.recv(1000))

    asked, answered, ended = threading.Event(), threading.Event(), []

    async def use(url: str) -> None:
        async def cancel_once_asked() -> None:
            await anyio.to_thread.run_sync(asked.wait, 5)
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(cancel_once_asked)
            await open_websocket_async(url, {}, PATIENCE, MAX_MESSAGE_BYTES, HTTPSettings())
        answered.set()

    with serving(script) as url:
        anyio.run(use, url, backend=backend)
    assert ended == [b""]
