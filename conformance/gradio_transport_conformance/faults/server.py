# SPDX-License-Identifier: Apache-2.0
"""A Gradio on the loopback that does one thing wrong: it plays a `Cell` to any client in any language.

It writes to the socket itself, since many faults lie below HTTP: resets, missing last chunks, bad frames.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import json
import re
import socket
import ssl
import struct
import threading
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, cast
from urllib.parse import urlsplit

import attrs

from .cases import Cell
from .connections import Door, Over, reset
from .frames import Frames
from .protocols import COOKIE, EVENT_ID, FILE_PHASES, GIVEN_NAME, MESSAGES

HOLD_SECONDS = 30.0
"""How long a connection that is told to be silent lives at most."""

BEAT_SECONDS = 0.05

_PIECE_BYTES = 1024 * 1024
"""What is larger is not held, but written piece by piece."""

SERVER_THREADS = ("fault-server", "fault-connection")
"""Names of the server's own threads, so that a client's can be told from them."""

_TLS_HANDSHAKE = b"\x16"
"""How a client begins that speaks TLS."""

_WEBSOCKET_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@attrs.frozen
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def upgrades(self) -> bool:
        """Whether it asks for a websocket."""
        return "websocket" in self.headers.get("upgrade", "").lower()


class FaultServer:
    """Plays one cell. `seen` lists the phases of the requests that came."""

    def __init__(self, cell: Cell, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.cell = cell
        self.door = Door(cell, host, tls)
        self.seen: list[str | None] = []
        self.released = threading.Event()
        self.data_came = threading.Event()
        self.beat_came = threading.Event()
        self.tries = itertools.count()
        self.joins = 0
        self.numbers = itertools.count()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.door.open(self._came, SERVER_THREADS[0])

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.door.address[1])

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self.door.scheme}://{self.door.host}:{self.port}"

    @property
    def struck(self) -> bool:
        """Whether the call under way is the one that the fault strikes."""
        return self.joins > self.cell.fault.after

    @property
    def event_id(self) -> str:
        """The name of the call that joined last; those that go well have names of their own."""
        names = self.cell.fault.ids
        if names:
            return names[min(self.joins, len(names)) - 1]
        return EVENT_ID if self.struck or not self.cell.fault.after else f"well{self.joins}"

    def _came(self, connection: socket.socket) -> bool:
        with self._lock:
            if self.released.is_set():
                connection.close()
                return False
            self._connections.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), name=SERVER_THREADS[1])
            self._threads.append(thread)
            thread.start()
        return True

    def _serve(self, connection: socket.socket) -> None:
        plain = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = self.door.meet(connection, lambda: self.released.wait(HOLD_SECONDS))
            with self._lock:
                self._connections.add(connection)
            _Connection(self, connection).serve()
        except (Over, OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._connections -= {plain, connection}
            connection.close()

    def stop(self) -> None:
        """Break every connection and wait for the threads."""
        self.released.set()
        self.data_came.set()
        self.door.close()
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)


class _Connection:
    def __init__(self, server: FaultServer, connection: socket.socket) -> None:
        self._server = server
        self._cell = server.cell
        self._protocol = server.cell.protocol
        self._socket = connection
        self._file: BinaryIO = connection.makefile("rb")
        self._frames: Frames | None = None
        self._chunked = False
        self._place = ""

    def serve(self) -> None:
        try:
            while (asked := self._read()) is not None:
                self._answer(asked)
        finally:
            self._file.close()

    def _read(self) -> Asked | None:
        first = self._file.read(1)
        if first == _TLS_HANDSHAKE:  # it has no lines; real servers answer it so as well
            self._send(400, "Invalid HTTP request received.", {"length": False})
        line = first + self._file.readline(65536)
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := self._file.readline(65536)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        asked = Asked(method, urlsplit(target).path, headers, b"")
        self._place = asked.path
        length = int(headers.get("content-length", "0"))
        if (self._cell.fault.reply or {}).get("eager") and self._phase(asked) == self._cell.phase:
            self._answer(asked)
            self._file.read(length)
            return self._read()
        return attrs.evolve(asked, body=self._file.read(length))

    # --- one request -----------------------------------------------------------------------------------

    def _phase(self, asked: Asked) -> str | None:
        phase = self._protocol.phase(asked.method, asked.path)
        return self._cell.phase if phase == "download" and self._cell.phase in FILE_PHASES else phase

    def _answer(self, asked: Asked) -> None:
        phase, fault = self._phase(asked), self._cell.fault
        self._server.seen.append(phase)
        if phase == "heartbeat":
            self._server.beat_came.set()
        if phase == "join":
            self._server.joins += 1
        self._server.door.about_to_answer(phase)
        struck = phase == self._cell.phase and (self._server.struck or not fault.after)
        if self._keeps_out(asked, phase):
            status, value = self._protocol.login_wanted()
            self._send(403 if asked.upgrades else status, json.dumps(value))
        elif phase is not None and struck and fault.reply is not None:
            self._spoil(fault.reply, phase)
        elif asked.upgrades:
            self._websocket(asked)
        elif self._wants_stream(asked, phase):
            self._stream()
        else:
            self._send_right(phase)

    def _wants_stream(self, asked: Asked, phase: str | None) -> bool:
        if self._protocol.kind == "chat":
            return phase == "join" and bool(json.loads(asked.body)["stream"])
        return phase == "stream" and self._protocol.kind != "polling"

    def _keeps_out(self, asked: Asked, phase: str | None) -> bool:
        """Return whether a request is refused for want of a login."""
        if self._cell.phase != "login" or phase in ("login", None):
            return False
        expired = self._cell.fault.expires and phase == "join" and self._server.joins == 1
        return expired or COOKIE not in asked.headers.get("cookie", "")

    def _right(self, phase: str | None) -> tuple[int, str, Mapping[str, str]]:
        """Return the status, body and headers of the reply that a proper server gives."""
        if phase == "login":
            status, value, headers = self._protocol.logged_in()
            return status, json.dumps(value), headers
        if phase is None:
            return 404, '{"detail":"Not Found"}', {}
        if phase in FILE_PHASES:
            return 200, self._cell.content, {"content-type": "application/octet-stream"}
        return 200, self._right_body(phase), {}

    def _right_body(self, phase: str) -> str:
        protocol = self._protocol
        if phase == "data":
            self._server.data_came.set()
            return "null"
        if phase == "join" and protocol.kind == "direct":
            return self._output
        if phase == "stream":
            return self._polled()
        value: Any = {"success": True}
        if phase == "config":
            value = protocol.config(self._cell.phase) | dict(self._cell.fault.config)
        elif phase == "info":
            value = protocol.info()
        elif phase == "join":
            value = protocol.accepted()
        elif phase == "upload":
            value = [f"/tmp/gradio/2/{GIVEN_NAME}"]  # noqa: S108 - a path on the server
        return json.dumps(value).replace(EVENT_ID, self._server.event_id)

    def _send_right(self, phase: str | None) -> None:
        status, body, headers = self._right(phase)
        self._send(status, body, {"headers": headers})

    @property
    def _output(self) -> str:
        return self._replaced or json.dumps(MESSAGES["done"]["output"])

    @property
    def _replaced(self) -> str | None:
        output = self._cell.fault.output
        if output is None and self._cell.phase in FILE_PHASES:
            output = json.dumps({"data": [self._protocol.made_file()]})
        return None if output is None else self._filled(written_out(output))

    def _polled(self) -> str:
        """Return the next status of a polled call."""
        steps = self._cell.fault.stream
        if steps is None:
            return '{"status":"COMPLETE","data":' + self._output + "}"
        step = steps[min(next(self._server.tries), len(steps) - 1)]
        return str(step["text"])

    def _spoil(self, reply: Mapping[str, Any], phase: str) -> None:
        """Answer a request wrongly."""
        number, first = next(self._server.tries), int(reply.get("after", 0))
        if not first <= number < first + int(reply.get("times", number + 1)):
            self._send_right(phase)
            return
        if reply.get("read") is False:
            self._finish(reply)
        if "bytes" in reply:
            self._write(_raw(reply.get("first", "")))
            for piece in _pieces(reply["bytes"]):
                self._write(piece, reply.get("drip"))
        else:
            status, body, more = int(reply.get("status", 200)), "", cast("Mapping[str, str]", {})
            if reply.get("proper"):
                status, body, more = self._right(phase)
            if "body" in reply or "json" in reply:
                body = (
                    written_out(_raw(reply["body"]).decode())
                    if "body" in reply
                    else json.dumps(reply["json"])
                )
            self._send(status, body, {**reply, "headers": {**more, **reply.get("headers", {})}})
        self._finish(reply)

    def _finish(self, reply: Mapping[str, Any]) -> None:
        match reply.get("then"):
            case "reset":
                self._reset()
            case "cut":
                raise Over
            case "hold":
                self._hold()
            case "flood":
                while not self._server.released.is_set():
                    self._write(_raw(reply["bytes"])[-10000:])
                raise Over
            case _:
                return

    def _send(self, status: int, body: str, how: Mapping[str, Any] = {}) -> None:
        data = _encoded(body.encode("utf-8", "surrogatepass"), how.get("encoding"))
        headers = {"content-type": "application/json", **how.get("headers", {})}
        if how.get("encoding"):
            headers.setdefault("content-encoding", how["encoding"])
        if how.get("length", True) is True and how.get("http") != "1.0" and status != 204:
            headers["content-length"] = str(len(data))
        elif how.get("length") not in (None, True, False):
            headers["content-length"] = str(how["length"])
        if self._server.door.met:
            headers["connection"] = "close"
        lines = [f"HTTP/{how.get('http', '1.1')} {status} Said"]
        lines += [f"{name}: {self._filled(str(value))}" for name, value in headers.items()]
        self._write(
            how.get("early", "").encode() + "\r\n".join([*lines, "", ""]).encode() + data, how.get("drip")
        )
        if how.get("http") == "1.0" or how.get("length") is False or self._server.door.met:
            raise Over

    def _filled(self, value: str) -> str:
        """Return a header with what only the server knows: where it is, what was asked for, a number."""
        plain = self._server.url.replace("https:", "http:")
        value = value.replace("{origin}", self._server.url).replace("{plain}", plain)
        value = value.replace("{place}", self._place)
        return value.replace("{number}", str(next(self._server.numbers))) if "{number}" in value else value

    # --- streams ---------------------------------------------------------------------------------------

    def _stream(self) -> None:
        """Say what the call's stream says, wrongly if it is to be."""
        framing = self._cell.fault.framing
        if not self._server.seen.count("join") and self._protocol.kind != "own":
            raise Over
        old = framing.get("http") == "1.0" or framing.get("length") is False
        self._chunked = not old
        head = [f"HTTP/{framing.get('http', '1.1')} 200 OK"]
        head.append(f"content-type: {framing.get('type', 'text/event-stream; charset=utf-8')}")
        claimed = framing.get("claims", framing.get("encoding"))
        head += [f"content-encoding: {claimed}"] if claimed else []
        head += ["transfer-encoding: chunked"] * self._chunked
        self._write("\r\n".join([*head, "", ""]).encode())
        if self._protocol.kind == "own":
            self._part(self._protocol.frame('{"msg":"estimation","rank":0,"queue_size":1}'))
            self._part(self._protocol.frame(json.dumps({"msg": "send_data", "event_id": EVENT_ID})))
            self._server.data_came.wait(HOLD_SECONDS)
        if self._cell.phase == "heartbeat":
            self._server.beat_came.wait(HOLD_SECONDS)
        if self._cell.phase == "cancel":
            self._steps(("estimation", "start", "first", "hold"))
        if framing:
            self._framed(framing)
        else:
            self._steps(self._script)
            self._close_stream()
        self._end()

    @property
    def _script(self) -> tuple[Any, ...]:
        struck = self._cell.phase in ("join", "stream") and self._cell.fault.stream is not None
        if self._cell.fault.after and not self._server.struck:
            return self._protocol.happy
        return cast("tuple[Any, ...]", self._cell.fault.stream) if struck else self._protocol.happy

    def _framed(self, framing: Mapping[str, Any]) -> None:
        """Write a whole stream in an odd but lawful way."""
        if self._protocol.kind != "own" and framing.get("whole"):
            self._server.released.wait(float(framing["whole"]))
        script = (
            *self._script,
            *(
                ["close_stream"]
                if self._protocol.says == "sse_v3" and self._protocol.kind == "shared"
                else []
            ),
        )
        said = b"".join(self._protocol.frame(*reversed(self._told(step))) for step in script)
        said = str(framing.get("before", "")).encode() + said
        said = said.replace(b"\n", str(framing.get("newline", "\n")).encode())
        said = _encoded(said, framing.get("encoding"))
        size = int(framing.get("chunk", len(said)))
        for start in range(0, len(said), size):
            self._part(said[start : start + size])

    def _told(self, step: Any) -> tuple[str, str]:
        """Return the event name and text of a step that says something."""
        if isinstance(step, str):
            name, text = self._protocol.named(step, self._replaced if step == "done" else None)
            return name, text.replace(EVENT_ID, self._server.event_id) if self._cell.fault.after else text
        if "say" in step:
            return self._protocol.told(step["say"])
        return str(step.get("event", "")), _raw(step["text"]).decode("utf-8", "surrogateescape")

    def _steps(self, steps: Iterable[Any]) -> None:
        for step in steps if self._frames is None else _expanded(steps):
            self._step(step)

    def _step(self, step: Any) -> None:
        match step:
            case "reset":
                self._reset()
            case "cut":
                raise Over
            case "end":
                self._end()
                raise Over
            case "hold":
                self._hold()
            case "beats":
                self._beats()
            case {"repeat": count, "of": {"bytes": raw}} if self._frames is None:
                self._part(_raw(raw) * int(count))
            case {"repeat": count, "of": same} if self._frames is None:
                name, text = self._told(same)  # at once, as a busy server's small messages come
                self._part(self._protocol.frame(text, name) * int(count))
            case {"bytes": raw}:
                self._part(_raw(raw))
            case {"text": text, **more} if _size(text) > _PIECE_BYTES:
                self._long(text, str(more.get("event", "")))
            case {"wire": raw}:
                self._write(_raw(raw))
            case {"close": code, **more}:
                self._close(int(code), str(more.get("reason", "")))
            case {"frame": frame}:
                self._odd_frame(frame)
            case _:
                name, text = self._told(step)
                if self._frames is not None:
                    self._frames.send(1, text.encode("utf-8", "surrogateescape"))
                else:
                    self._part(self._protocol.frame(text, name))

    def _long(self, text: Any, name: str) -> None:
        """Say a text that is too large to be held, piece by piece."""
        if self._frames is not None:
            self._frames.begin(1, _size(text))
            for piece in _pieces(text):
                self._write(piece)
            return
        before, _, after = self._protocol.frame("@", name).partition(b"@")
        for piece in (before, *_pieces(text), after):
            self._part(piece)

    def _beats(self) -> None:
        while not self._server.released.wait(BEAT_SECONDS):
            self._step("beat")
        raise Over

    def _close_stream(self) -> None:
        if self._protocol.kind == "shared" and self._protocol.says == "sse_v3":
            self._step("close_stream")

    def _part(self, data: bytes) -> None:
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def _end(self) -> None:
        if self._frames is not None:
            self._close(1000, "")
        if not self._chunked:
            raise Over
        self._write(b"0\r\n\r\n")

    def _write(self, data: bytes, drip: float | None = None) -> None:
        if drip is None:
            self._socket.sendall(data)
            return
        for byte in data:
            self._socket.sendall(bytes([byte]))
            if self._server.released.wait(drip):
                raise Over

    def _reset(self) -> None:
        reset(self._socket)
        raise Over

    def _hold(self) -> None:
        self._server.released.wait(HOLD_SECONDS)
        raise Over

    # --- websockets ------------------------------------------------------------------------------------

    def _websocket(self, asked: Asked) -> None:
        accept = hashlib.sha1(asked.headers["sec-websocket-key"].encode() + _WEBSOCKET_MAGIC)  # noqa: S324 - RFC 6455
        self._write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + base64.b64encode(accept.digest()) + b"\r\n\r\n"
        )
        self._frames = Frames(self._socket, self._file)
        self._greet(self._frames)
        self._steps(self._script)
        self._close(1000, "")

    def _greet(self, frames: Frames) -> None:
        """Come to have the data of the call, as each dialect does (docs/wire.md §3.1)."""
        if not self._protocol.at_least(3, 2):
            frames.receive()
        elif self._protocol.at_least(3, 6):
            frames.send(1, b'{"msg":"send_hash"}')
            frames.receive()
        frames.send(1, b'{"msg":"estimation","rank":0,"queue_size":1}')
        frames.send(1, b'{"msg":"send_data"}')
        frames.receive()

    def _odd_frame(self, frame: Mapping[str, Any]) -> None:
        frames = cast("Frames", self._frames)
        payload = _raw(frame.get("payload", ""))
        if "message" in frame:
            payload = self._told(frame["message"])[1].encode()
            start, stop = (int(len(payload) * part) for part in frame.get("part", (0, 1)))
            payload = payload[start:stop]
        frames.send(
            int(frame.get("opcode", 1)),
            payload,
            fin=bool(frame.get("fin", True)),
            masked=bool(frame.get("masked", False)),
            length=frame.get("length"),
            reserved=int(frame.get("reserved", 0)),
        )

    def _close(self, code: int, reason: str) -> None:
        cast("Frames", self._frames).send(8, struct.pack(">H", code) + reason.encode())
        raise Over


def _expanded(steps: Iterable[Any]) -> Iterator[Any]:
    for step in steps:
        if isinstance(step, dict) and "repeat" in step:
            for _ in range(int(cast("dict[str, Any]", step)["repeat"])):
                yield step["of"]
        else:
            yield step


def _raw(value: Any) -> bytes:
    """Return the bytes that data describe: a text, ``{times: n, text: t}``, ``{base64: t}``, or a list."""
    if isinstance(value, list):
        return b"".join(_raw(one) for one in cast("list[Any]", value))
    if isinstance(value, dict):
        described = cast("dict[str, Any]", value)
        if "base64" in described:
            return base64.b64decode(described["base64"])
        return _raw(described["text"]) * int(described["times"])
    return str(value).encode("utf-8")


def _size(value: Any) -> int:
    """Return how many bytes data describe."""
    if isinstance(value, list):
        return sum(_size(one) for one in cast("list[Any]", value))
    if isinstance(value, dict) and "times" in value:
        described = cast("dict[str, Any]", value)
        return _size(described["text"]) * int(described["times"])
    return len(_raw(value))


def _pieces(value: Any) -> Iterator[bytes]:
    """Yield the bytes that data describe, in pieces of a bounded size."""
    if _size(value) <= _PIECE_BYTES:
        yield _raw(value)
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from _pieces(one)
    else:
        described = cast("dict[str, Any]", value)
        text, left = _raw(described["text"]), int(described["times"])
        at_once = max(1, _PIECE_BYTES // len(text))
        for start in range(0, left, at_once):
            yield text * min(at_once, left - start)


def _encoded(data: bytes, encoding: Any) -> bytes:
    match encoding:
        case None:
            return data
        case "gzip":
            return gzip.compress(data)
        case "deflate":
            return zlib.compress(data)
        case _:
            raise ValueError(f"no such encoding: {encoding}")


def written_out(text: str) -> str:
    """Return JSON text with ``<character>*count`` written out, so that data stay readable."""
    return re.sub(r"<(.)>\*(\d+)", lambda found: found[1] * int(found[2]), text)


@contextmanager
def serve_fault(
    cell: Cell, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Generator[FaultServer, None, None]:
    """Play a cell as a server, and stop it."""
    server = FaultServer(cell, host=host, tls=tls)
    try:
        yield server
    finally:
        server.stop()


__all__ = ["FaultServer", "serve_fault"]
