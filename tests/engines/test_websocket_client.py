# SPDX-License-Identifier: Apache-2.0
"""websocket-client with our bounds: of the handshake's size and time, of messages, and of how a socket ends."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest

from gradio_transport.engines.base import HandshakeRefused, Patience
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.engines.websocket_client import open_websocket, open_websocket_async
from gradio_transport.errors import ConnectError, Phase, StreamLost, TimeoutExpired
from gradio_transport.protocol.commands import Closed, Ending

SCRIPT = Callable[[socket.socket, str], Any]
PATIENCE = Patience(5, 5, "stream", Phase.STREAM, 1000)
MAX_MESSAGE_BYTES = 1000


@contextlib.contextmanager
def serving(script: SCRIPT) -> Iterator[str]:
    """Serve one connection: the script gets its socket and the head of its request."""

    def serve() -> None:
        accepted, _ = listener.accept()
        with accepted, contextlib.suppress(OSError):  # the client may drop it at any moment
            head = b""
            while b"\r\n\r\n" not in head:
                head += accepted.recv(65536)
            script(accepted, head.decode())
            while accepted.recv(65536):  # until the client has gone
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        served = pool.submit(serve)
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}/queue/join"
        served.result(10)


def accept(connection: socket.socket, head: str, behind: bytes = b"") -> None:
    found = re.search(r"(?i)sec-websocket-key: (\S+)", head)
    assert found is not None
    digest = hashlib.sha1(found[1].encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    lines = "HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"
    answer = "\r\n".join([*lines, f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}", "", ""])
    connection.sendall(answer.encode() + behind)


def frame(opcode: int, data: bytes, final: bool = True) -> bytes:
    size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
    return bytes([opcode | (0x80 if final else 0)]) + size + data


def connect(url: str, patience: Patience = PATIENCE) -> Any:
    return open_websocket(url, {}, patience, MAX_MESSAGE_BYTES, HTTPSettings())


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
