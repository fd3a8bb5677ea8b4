# SPDX-License-Identifier: Apache-2.0
"""A Gradio of the sse_v3 generation on loopback that can be told to misbehave, request by request."""

from __future__ import annotations

import contextlib
import itertools
import json
import queue
import socket
import struct
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

HOLD_SECONDS = 20.0
"""How long a handler that is told to be silent lives at most."""

SIP_BYTES = 64 * 1024
"""How much a path of `Scripted.sipping` takes of a body each hundredth of a second."""

NAMES = ("hello", "count", "forever", "direct", "raise_error")

CONFIG: dict[str, Any] = {
    "version": "6.31.0",
    "protocol": "sse_v3",
    "api_prefix": "/gradio_api",
    "app_id": 1,
    "components": [{"id": number, "type": "textbox", "props": {}} for number in (1, 2)],
    "dependencies": [
        {
            "id": number,
            "api_name": name,
            "inputs": [1],
            "outputs": [2],
            "queue": name != "direct",
            "types": {"generator": name in ("count", "forever")},
        }
        for number, name in enumerate(NAMES)
    ],
}
INFO: dict[str, Any] = {
    "named_endpoints": {
        f"/{name}": {
            "parameters": [{"parameter_name": "text", "type": {"type": "string"}}],
            "returns": [{"label": "out"}],
        }
        for name in NAMES
    },
    "unnamed_endpoints": {},
}


class Reply:
    """What a script can do with one request."""

    def __init__(self, handler: BaseHTTPRequestHandler, server: Scripted, body: Any) -> None:
        self._handler = handler
        self.server = server
        self.body = body
        self.path = handler.path
        self.query = {key: values[0] for key, values in parse_qs(urlsplit(handler.path).query).items()}
        self.headers = {name.lower(): value for name, value in handler.headers.items()}

    def json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.text(json.dumps(value), status, "application/json", **headers)

    def text(self, text: str, status: int = 200, kind: str = "text/html", **headers: str) -> None:
        data = text.encode()
        self._handler.send_response(status)
        self._handler.send_header("content-type", kind)
        self._handler.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.end_headers()
        self._handler.wfile.write(data)

    def announce(self, size: int, kind: str) -> None:
        """Send the head of a body of some bytes."""
        self._handler.send_response(200)
        self._handler.send_header("content-type", kind)
        self._handler.send_header("content-length", str(size))
        self._handler.end_headers()

    def send_raw(self, data: bytes) -> None:
        self._handler.wfile.write(data)

    def stream(self, kind: str = "text/event-stream") -> None:
        self._handler.send_response(200)
        self._handler.send_header("content-type", kind)
        self._handler.send_header("transfer-encoding", "chunked")
        self._handler.end_headers()

    def send(self, *messages: dict[str, Any]) -> None:
        for message in messages:
            self.chunk(b"data: " + json.dumps(message).encode() + b"\n\n")

    def chunk(self, data: bytes) -> None:
        self._handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self._handler.wfile.flush()

    def end(self) -> None:
        self._handler.wfile.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """Close the connection without the last chunk."""
        self._handler.close_connection = True

    def reset(self) -> None:
        """Break the connection so that the client reads a reset."""
        self._handler.wfile.flush()
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.close_connection = True
        self._handler.connection.close()

    def hold(self) -> None:
        """Say nothing more until the server is closed."""
        self._handler.wfile.flush()
        self._handler.close_connection = True
        self.server.released.wait(HOLD_SECONDS)


Script = Callable[[Reply], None]


class Scripted(ThreadingHTTPServer):
    """The server. `scripts` overrides what a path does, `below` what all paths that begin so do, `answers` what
    functions return; `seen` is what was asked."""

    daemon_threads = True
    request_queue_size = 2048

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.scripts: dict[str, Script] = {}
        self.below: dict[str, Script] = {}
        self.seen: list[tuple[str, Any]] = []
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.queries: list[tuple[str, str]] = []
        self.sipping: set[str] = set()
        self.sipped: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.released = threading.Event()
        self.changed = threading.Condition()
        self.names = NAMES
        self.answers: dict[str, Any] = {}
        self.config = CONFIG
        self._connections: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._numbers = itertools.count(1)
        self._sessions: dict[str, queue.SimpleQueue[dict[str, Any] | None]] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def wait_for(self, path: str) -> bool:
        """Wait until a path was asked for."""
        with self.changed:
            return self.changed.wait_for(lambda: any(one == path for one, _ in self.seen), HOLD_SECONDS)

    def messages(self, session_hash: str) -> queue.SimpleQueue[dict[str, Any] | None]:
        with self.changed:
            return self._sessions.setdefault(session_hash, queue.SimpleQueue())

    def default(self, path: str) -> Script:
        return {
            "/config": lambda reply: reply.json(self.config),
            "/gradio_api/app_id": lambda reply: reply.json({"app_id": self.config["app_id"]}),
            "/gradio_api/info": lambda reply: reply.json(INFO),
            "/gradio_api/queue/join": self.join,
            "/gradio_api/queue/data": self.data,
            "/gradio_api/cancel": lambda reply: reply.json({"success": True}),
            "/gradio_api/run/direct": lambda reply: reply.json({"data": reply.body["data"]}),
        }.get(path, lambda reply: reply.json({"detail": "Not Found"}, 404))

    def join(self, reply: Reply) -> None:
        event_id = f"event{next(self._numbers)}"
        stream = self.messages(reply.body["session_hash"])
        name = self.names[reply.body["fn_index"]]
        messages = (
            [completed(self.answers[name])] if name in self.answers else told(name, reply.body["data"][0])
        )
        for message in messages:
            stream.put({**message, "event_id": event_id})
        reply.json({"event_id": event_id})

    def data(self, reply: Reply) -> None:
        """Send what there is, and close the stream whenever a call is complete and nothing waits."""
        stream = self.messages(reply.query["session_hash"])
        reply.stream()
        pending = 0
        while (message := stream.get()) is not None:
            pending += message["msg"] == "estimation"
            pending -= message["msg"] == "process_completed"
            reply.send(message)
            if not pending and stream.empty():
                reply.send({"msg": "close_stream", "event_id": None})
                reply.end()
                return
        reply.cut()

    def restart(self, config: dict[str, Any], names: Sequence[str] = NAMES) -> None:
        """Break every connection, and go on as another app at the same address."""
        self.config, self.names = config, tuple(names)
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that have left."""

    def stop(self) -> None:
        self.released.set()
        for stream in list(self._sessions.values()):
            stream.put(None)
        self.shutdown()
        self.server_close()


def told(name: str, text: Any) -> list[dict[str, Any]]:
    """Return what the server says of a call."""
    begin = [{"msg": "estimation", "rank": 0, "queue_size": 1}, {"msg": "process_starts", "eta": None}]
    if name == "hello":
        return [*begin, completed(f"Hello, {text}!")]
    if name == "count":
        return [*begin, generating("0"), generating([["append", [], " 1"]]), completed("0 1")]
    if name == "raise_error":
        error = {"error": "why", "title": "Error"}
        return [*begin, {"msg": "process_completed", "success": False, "output": error}]
    return [*begin, generating("on and on")]


def generating(value: Any) -> dict[str, Any]:
    return {"msg": "process_generating", "success": True, "output": {"data": [value], "is_generating": True}}


def completed(value: Any) -> dict[str, Any]:
    return {"msg": "process_completed", "success": True, "output": {"data": [value], "duration": 0.1}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Scripted

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if self.path in self.server.sipping:
            self._sip(length)
            return
        raw = self.rfile.read(length)
        try:
            body = json.loads(raw)
        except ValueError:
            body = raw
        self._answer(body)

    def _sip(self, length: int) -> None:
        """Take a body so slowly that it does not come to its end in time, without ever being silent."""
        taken = 0
        with contextlib.suppress(OSError):  # a client that leaves may reset the connection
            while not self.server.released.wait(0.01) and taken < length:
                block = self.rfile.read1(SIP_BYTES)
                if not block:
                    break
                taken += len(block)
        self.server.sipped.put(taken)
        self.close_connection = True

    def _answer(self, body: Any) -> None:
        path = urlsplit(self.path).path
        below = (script for start, script in self.server.below.items() if path.startswith(start))
        script = self.server.scripts.get(path) or next(below, None) or self.server.default(path)
        with self.server.changed:
            self.server.seen.append((path, body))
            self.server.queries.append((path, urlsplit(self.path).query))
            self.server.asked.append((path, {name.lower(): one for name, one in self.headers.items()}))
            self.server.changed.notify_all()
        with contextlib.suppress(OSError):
            script(Reply(self, self.server, body))
            self.wfile.flush()

    def log_message(self, *args: Any) -> None:
        """Write nothing to stderr."""


@contextlib.contextmanager
def scripted() -> Iterator[Scripted]:
    server = Scripted()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(5)
