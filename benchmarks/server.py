# SPDX-License-Identifier: Apache-2.0
"""A scripted Gradio in a process of its own, written to be no bottleneck: bytes in, prepared bytes out.

It speaks sse_v3 below ``/`` and the websocket of 3.6 to 3.50 (dialect C) below ``/ws``, and answers at once:
what is measured is the client.  ``GET /bench/seen?path=...`` tells when (on the monotonic clock, which all
processes of a machine share) a path was last asked for.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from . import app

FILE_BYTES = 200_000_000
"""Size of the file that ``/gradio_api/file=big.bin`` answers."""

_BLOCK = b"\0" * (1 << 20)
_HEARTBEAT = b"data: ALIVE\n\n"
_PIECE = "ten chars "


class Session:
    """One ``session_hash``: messages that wait for its stream, and the stream, if there is one."""

    def __init__(self) -> None:
        self.waiting: deque[bytes] = deque()
        self.stream: Connection | None = None
        self.pending: set[str] = set()

    def say(self, event_id: str, message: str, *, last: bool = False) -> None:
        """Send a message of a call (JSON without its braces); end the stream after the last one of all."""
        self.put(f'data: {{{message},"event_id":"{event_id}"}}\n\n'.encode())
        if last:
            self.pending.discard(event_id)
            if not self.pending:
                self.end()

    def put(self, data: bytes) -> None:
        if self.stream is None:
            self.waiting.append(data)
        else:
            self.stream.chunk(data)

    def end(self) -> None:
        if self.stream is not None:
            self.stream.chunk(b'data: {"msg":"close_stream","event_id":null}\n\n')
            self.stream.end()
            self.stream = None

    def attach(self, stream: Connection) -> None:
        self.stream = stream
        if not self.waiting:
            return  # of a session that is known: it stays open until some call is complete
        while self.waiting:
            stream.chunk(self.waiting.popleft())
        if not self.pending:
            self.end()


_ESTIMATION = '"msg":"estimation","rank":0,"queue_size":1,"rank_eta":0.1'
_STARTS = '"msg":"process_starts","eta":0.1'


def _generating(value: str) -> str:
    return (
        '"msg":"process_generating","output":{"data":[' + value + '],"is_generating":true,"duration":0.1,'
        '"average_duration":0.1,"render_config":null,"changed_state_ids":[]},"success":true,"time_limit":null'
    )


def _completed(value: str) -> str:
    return (
        '"msg":"process_completed","output":{"data":[' + value + '],"is_generating":false,"duration":0.1,'
        '"average_duration":0.1,"render_config":null,"changed_state_ids":[]},"success":true,"title":null'
    )


class Server:
    """What all connections share."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.numbers = itertools.count(1)
        self.sessions: dict[str, Session] = {}
        self.seen: dict[str, int] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.fixed: dict[str, bytes] = {}
        self.file = ""

    def start(self, origin: str) -> None:
        said = {
            "/config": app.config("6.31.0", "sse_v3", "/gradio_api", origin),
            "/gradio_api/info": app.info(),
            "/gradio_api/app_id": {"app_id": app.APP_ID},
            "/ws/config": app.config("3.50.2", None, "", f"{origin}/ws"),
            "/ws/info": app.info(),
            "/ws/app_id": {"app_id": app.APP_ID},
        }
        self.file = json.dumps(
            {
                "path": "/tmp/gradio/0/big.bin",
                "url": f"{origin}/gradio_api/file=/tmp/gradio/0/big.bin",
                "size": FILE_BYTES,
                "orig_name": "big.bin",
                "mime_type": "application/octet-stream",
                "is_stream": False,
                "meta": {"_type": "gradio.FileData"},
            }
        )
        self.fixed = {path: json.dumps(value).encode() for path, value in said.items()}

    def join(self, body: Any) -> str:
        """Start a call."""
        event_id = f"{next(self.numbers):032x}"
        session = self.sessions.setdefault(body["session_hash"], Session())
        session.pending.add(event_id)
        # After the reply to the join, as a real server does it.
        self.loop.call_soon(self.run, session, event_id, body["fn_index"], body["data"])
        return event_id

    def run(self, session: Session, event_id: str, number: int, data: Any) -> None:
        session.say(event_id, _ESTIMATION)
        session.say(event_id, _STARTS)
        if number == app.GROW:
            self.pace(session, event_id, self.growing(*map(int, data[0].split())))
        elif number == app.STAMPS:
            self.pace(session, event_id, self.stamps(*map(int, data[0].split())))
        elif number == app.FOREVER:
            session.say(event_id, _generating('"on and on"'))
        elif number == app.GIVE_FILE:
            session.say(event_id, _completed(self.file), last=True)
        elif number == app.TAKE_FILE:
            session.say(event_id, _completed('"taken"'), last=True)
        else:
            session.say(event_id, _completed(json.dumps(data[0])), last=True)

    def pace(self, session: Session, event_id: str, messages: Iterator[tuple[float, str]]) -> None:
        """Send messages at their times, in seconds from now."""
        begun = self.loop.time()

        def step() -> None:
            for when, message in messages:
                if event_id not in session.pending:
                    return  # it was cancelled
                session.say(event_id, message, last=message.startswith('"msg":"process_completed"'))
                ahead = begun + when - self.loop.time()
                if ahead > 0:
                    self.loop.call_later(ahead, step)
                    return

        step()

    @staticmethod
    def growing(count: int, microseconds: int, length: int = 20) -> Iterator[tuple[float, str]]:
        """A chat of so many rows, whose last one grows by ten characters with each message."""
        rows = [
            {"role": "assistant", "content": _PIECE, "metadata": {"title": None}, "options": []}
            for _ in range(length)
        ]
        yield microseconds / 1e6, _generating(json.dumps(rows))
        edit = _generating(json.dumps([["append", [length - 1, "content"], _PIECE]]))
        for number in range(2, count + 1):
            yield number * microseconds / 1e6, edit
        rows[-1]["content"] = _PIECE * count
        yield 0, _completed(json.dumps(rows))

    @staticmethod
    def stamps(count: int, microseconds: int) -> Iterator[tuple[float, str]]:
        """The time at which each message leaves."""
        yield microseconds / 1e6, _generating(f'"{time.monotonic_ns()}"')
        for number in range(2, count + 1):
            yield number * microseconds / 1e6, _generating(f'[["replace",[],"{time.monotonic_ns()}"]]')
        yield 0, _completed('"done"')

    def cancel(self, body: Any) -> None:
        session = self.sessions.get(body["session_hash"])
        if session is not None and body["event_id"] in session.pending:
            session.say(body["event_id"], '"msg":"process_completed","output":{},"success":true', last=True)


class Connection(asyncio.Protocol):
    """One connection: requests in a row, or a stream, or a websocket."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.buffer = bytearray()
        self.skip = 0
        self.after: Callable[[], None] = lambda: None
        self.socket: WebSocketTalk | None = None
        self.session: Session | None = None
        self.writable = asyncio.Event()
        self.writable.set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.writable.set()
        if self.session is not None and self.session.stream is self:
            self.session.stream = None

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        if self.skip:
            taken = min(self.skip, len(data))
            self.skip -= taken
            data = data[taken:]
            if self.skip:
                return
            self.after()
        self.buffer += data
        if self.socket is not None:
            self.socket.feed(self.buffer)
            return
        while self.request():
            pass

    def request(self) -> bool:
        """Take one request from the buffer, if it is there."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.buffer[:end])
        lower = head.lower()
        place = lower.find(b"\r\ncontent-length:")
        length = int(lower[place + 17 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        line = head.split(b"\r\n", 1)[0].decode("latin-1")
        method, target, _ = line.split(" ", 2)
        if "/upload" in target:
            arrived = len(self.buffer) - end - 4
            del self.buffer[: end + 4 + length]
            self.skip = max(0, length - arrived)
            self.after = lambda: self.reply(b'["/tmp/gradio/0/big.bin"]')
            if not self.skip:
                self.after()
            return True
        if len(self.buffer) < end + 4 + length:
            return False
        body = bytes(self.buffer[end + 4 : end + 4 + length])
        del self.buffer[: end + 4 + length]
        self.answer(method, target, body, head)
        return True

    def answer(self, method: str, target: str, body: bytes, head: bytes) -> None:
        server = self.server
        path = target.partition("?")[0]
        server.seen[path] = time.monotonic_ns()
        if path == "/gradio_api/queue/join":
            self.reply(b'{"event_id":"' + server.join(json.loads(body)).encode() + b'"}')
        elif path == "/gradio_api/queue/data":
            self.begin(b"text/event-stream")
            name = parse_qs(urlsplit(target).query)["session_hash"][0]
            self.session = server.sessions.setdefault(name, Session())
            self.session.attach(self)
        elif path in server.fixed:
            self.reply(server.fixed[path])
        elif path == "/ws/queue/join":
            self.socket = WebSocketTalk(self, head)
        elif path in ("/gradio_api/cancel", "/ws/reset"):
            self.reply(b'{"success":true}')
            if body:
                server.cancel(json.loads(body))
        elif path.startswith("/gradio_api/heartbeat/"):
            self.begin(b"text/event-stream")
            self.chunk(_HEARTBEAT)
        elif path.startswith("/gradio_api/file="):
            server.tasks.add(task := server.loop.create_task(self.file(method)))
            task.add_done_callback(server.tasks.discard)
        elif path == "/bench/seen":
            wanted = unquote(parse_qs(urlsplit(target).query)["path"][0])
            self.reply(json.dumps(server.seen.get(wanted, 0)).encode())
        else:
            self.reply(b'{"detail":"Not Found"}', b"404 Not Found")

    def reply(self, body: bytes, status: bytes = b"200 OK") -> None:
        self.transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (status, len(body), body)
        )

    def begin(self, kind: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: %b; charset=utf-8\r\ncache-control: no-store\r\n"
            b"transfer-encoding: chunked\r\n\r\n" % kind
        )

    def chunk(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end(self) -> None:
        self.session = None
        self.transport.write(b"0\r\n\r\n")

    async def file(self, method: str) -> None:
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: %d\r\n"
            b'content-disposition: attachment; filename="big.bin"\r\n\r\n' % FILE_BYTES
        )
        left = 0 if method == "HEAD" else FILE_BYTES
        while left and not self.transport.is_closing():
            await self.writable.wait()
            self.transport.write(_BLOCK[: min(left, len(_BLOCK))])
            left -= min(left, len(_BLOCK))


class WebSocketTalk:
    """One call over a websocket of dialect C (docs/wire.md §3): hash, data, messages, close."""

    def __init__(self, connection: Connection, head: bytes) -> None:
        self.transport = connection.transport
        fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        key = next(value for name, value in fields.items() if name.lower() == b"sec-websocket-key")
        digest = hashlib.sha1(key.strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + base64.b64encode(digest) + b"\r\n\r\n"
        )
        self.say('{"msg":"send_hash"}')

    def say(self, text: str) -> None:
        data = text.encode()
        size = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
        self.transport.write(b"\x81" + size + data)

    def feed(self, buffer: bytearray) -> None:
        """Take masked frames, each of less than 64 KiB."""
        while len(buffer) >= 6:
            size, place = buffer[1] & 0x7F, 2
            if size == 126:
                size, place = int.from_bytes(buffer[2:4], "big"), 4
            if len(buffer) < place + 4 + size:
                return
            mask = buffer[place : place + 4]
            data = bytes(
                byte ^ mask[index & 3] for index, byte in enumerate(buffer[place + 4 : place + 4 + size])
            )
            text = (buffer[0] & 0x0F) == 1
            del buffer[: place + 4 + size]
            if text:
                self.told(json.loads(data))

    def told(self, message: Any) -> None:
        if "data" not in message:
            self.say("{" + _ESTIMATION + "}")
            self.say('{"msg":"send_data"}')
            return
        self.say("{" + _STARTS + "}")
        self.say("{" + _completed(json.dumps(message["data"][0])) + "}")
        self.transport.write(b"\x88\x02\x03\xe8")


async def serve() -> None:
    """Serve until the standard input ends; the first line of output is the URL."""
    server = Server()
    listening = await server.loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=4096)
    origin = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    server.start(origin)
    gc.freeze()
    print(origin, flush=True)
    ended = asyncio.Event()
    server.loop.add_reader(sys.stdin.fileno(), lambda: sys.stdin.buffer.read1(1) or ended.set())
    await ended.wait()


def main() -> None:
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.install()
    asyncio.run(serve())


if __name__ == "__main__":
    main()
