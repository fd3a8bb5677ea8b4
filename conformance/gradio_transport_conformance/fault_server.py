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

from .fault_cases import Cell
from .fault_protocols import EVENT_ID, HAPPY, MESSAGES

HOLD_SECONDS = 30.0
"""How long a connection that is told to be silent lives at most."""

BEAT_SECONDS = 0.05

SERVER_THREADS = ("fault-server", "fault-connection")
"""Names of the server's own threads, so that a client's can be told from them."""

_WEBSOCKET_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class _Over(Exception):
    """The connection is at its end."""


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
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=64)
        self._scheme = "https" if tls else "http"
        self._host = f"[{host}]" if ":" in host else host
        self.tls = tls
        self.cell = cell
        self.seen: list[str | None] = []
        self.released = threading.Event()
        self.data_came = threading.Event()
        self.tries = itertools.count()
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, name=SERVER_THREADS[0])]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{self._scheme}://{self._host}:{self.port}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                if self.released.is_set():
                    connection.close()
                    return
                self._connections.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), name=SERVER_THREADS[1])
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        plain = connection
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._connections.add(connection)
            _Connection(self, connection).serve()
        except (_Over, OSError, ValueError):
            pass
        finally:
            with self._lock:
                self._connections -= {plain, connection}
            connection.close()

    def stop(self) -> None:
        """Break every connection and wait for the threads."""
        self.released.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
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
        self._frames: _Frames | None = None
        self._chunked = False

    def serve(self) -> None:
        try:
            while (asked := self._read()) is not None:
                self._answer(asked)
        finally:
            self._file.close()

    def _read(self) -> Asked | None:
        line = self._file.readline(65536)
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := self._file.readline(65536)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        body = self._file.read(int(headers.get("content-length", "0")))
        return Asked(method, urlsplit(target).path, headers, body)

    # --- one request -----------------------------------------------------------------------------------

    def _answer(self, asked: Asked) -> None:
        phase = self._protocol.phase(asked.method, asked.path)
        self._server.seen.append(phase)
        struck = phase == self._cell.phase
        if struck and self._cell.fault.reply is not None:
            self._spoil(self._cell.fault.reply, phase, asked)
        elif asked.upgrades:
            self._websocket(asked)
        elif phase == "stream" and self._protocol.kind != "polling":
            self._stream()
        else:
            self._send(*self._right(phase))

    def _right(self, phase: str | None) -> tuple[int, str]:
        """Return the status and body of the reply that a proper server gives."""
        protocol = self._protocol
        if phase is None:
            return 404, '{"detail":"Not Found"}'
        if phase == "data":
            self._server.data_came.set()
            return 200, "null"
        if phase == "join" and protocol.kind == "direct":
            return 200, self._output
        if phase == "stream":
            return 200, self._polled()
        value: Any = {"config": protocol.config, "info": protocol.info, "join": protocol.accepted}.get(
            phase, lambda: {"success": True}
        )()
        return 200, json.dumps(value)

    @property
    def _output(self) -> str:
        return self._replaced or json.dumps(MESSAGES["done"]["output"])

    @property
    def _replaced(self) -> str | None:
        output = self._cell.fault.output
        return None if output is None else written_out(output)

    def _polled(self) -> str:
        """Return the next status of a polled call."""
        steps = self._cell.fault.stream
        if steps is None:
            return '{"status":"COMPLETE","data":' + self._output + "}"
        step = steps[min(next(self._server.tries), len(steps) - 1)]
        return str(step["text"])

    def _spoil(self, reply: Mapping[str, Any], phase: str | None, asked: Asked) -> None:
        """Answer a request wrongly."""
        if "times" in reply and next(self._server.tries) >= int(reply["times"]):
            self._send(*self._right(phase))
            return
        if reply.get("read") is False:
            self._finish(reply)
        if "bytes" in reply:
            self._write(_raw(reply["bytes"]), reply.get("drip"))
        else:
            status, body = self._right(phase) if reply.get("proper") else (int(reply.get("status", 200)), "")
            if "body" in reply or "json" in reply:
                body = str(reply["body"]) if "body" in reply else json.dumps(reply["json"])
            self._send(status, body, reply)
        self._finish(reply)

    def _finish(self, reply: Mapping[str, Any]) -> None:
        match reply.get("then"):
            case "reset":
                self._reset()
            case "cut":
                raise _Over
            case "hold":
                self._hold()
            case _:
                return

    def _send(self, status: int, body: str, how: Mapping[str, Any] = {}) -> None:
        data = _encoded(body.encode("utf-8", "surrogatepass"), how.get("encoding"))
        headers = {"content-type": "application/json", **how.get("headers", {})}
        if how.get("encoding"):
            headers["content-encoding"] = how["encoding"]
        if how.get("length", True) is True and how.get("http") != "1.0" and status != 204:
            headers["content-length"] = str(len(data))
        elif how.get("length") not in (None, True, False):
            headers["content-length"] = str(how["length"])
        lines = [f"HTTP/{how.get('http', '1.1')} {status} Said"]
        lines += [f"{name}: {self._filled(str(value))}" for name, value in headers.items()]
        self._write(
            how.get("early", "").encode() + "\r\n".join([*lines, "", ""]).encode() + data, how.get("drip")
        )
        if how.get("http") == "1.0" or how.get("length") is False:
            raise _Over

    def _filled(self, value: str) -> str:
        return value.replace("{origin}", self._server.url)

    # --- streams ---------------------------------------------------------------------------------------

    def _stream(self) -> None:
        """Say what the call's stream says, wrongly if it is to be."""
        framing = self._cell.fault.framing
        if not self._server.seen.count("join") and self._protocol.kind != "own":
            raise _Over
        old = framing.get("http") == "1.0" or framing.get("length") is False
        self._chunked = not old
        head = [f"HTTP/{framing.get('http', '1.1')} 200 OK"]
        head.append(f"content-type: {framing.get('type', 'text/event-stream; charset=utf-8')}")
        if "encoding" in framing:
            head.append(f"content-encoding: {framing['encoding']}")
        head += ["transfer-encoding: chunked"] * self._chunked
        self._write("\r\n".join([*head, "", ""]).encode())
        if self._protocol.kind == "own":
            self._part(self._protocol.frame('{"msg":"estimation","rank":0,"queue_size":1}'))
            self._part(self._protocol.frame(json.dumps({"msg": "send_data", "event_id": EVENT_ID})))
            self._server.data_came.wait(HOLD_SECONDS)
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
        struck = self._cell.phase == "stream" and self._cell.fault.stream is not None
        return cast("tuple[Any, ...]", self._cell.fault.stream) if struck else HAPPY

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
            return self._protocol.told(MESSAGES[step], self._replaced if step == "done" else None)
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
                raise _Over
            case "end":
                self._end()
                raise _Over
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

    def _beats(self) -> None:
        while not self._server.released.wait(BEAT_SECONDS):
            self._step("beat")
        raise _Over

    def _close_stream(self) -> None:
        if self._protocol.kind == "shared" and self._protocol.says == "sse_v3":
            self._step("close_stream")

    def _part(self, data: bytes) -> None:
        self._write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def _end(self) -> None:
        if self._frames is not None:
            self._close(1000, "")
        if not self._chunked:
            raise _Over
        self._write(b"0\r\n\r\n")

    def _write(self, data: bytes, drip: float | None = None) -> None:
        if drip is None:
            self._socket.sendall(data)
            return
        for byte in data:
            self._socket.sendall(bytes([byte]))
            if self._server.released.wait(drip):
                raise _Over

    def _reset(self) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _Over

    def _hold(self) -> None:
        self._server.released.wait(HOLD_SECONDS)
        raise _Over

    # --- websockets ------------------------------------------------------------------------------------

    def _websocket(self, asked: Asked) -> None:
        accept = hashlib.sha1(asked.headers["sec-websocket-key"].encode() + _WEBSOCKET_MAGIC)  # noqa: S324 - RFC 6455
        self._write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + base64.b64encode(accept.digest()) + b"\r\n\r\n"
        )
        self._frames = _Frames(self._socket, self._file)
        self._greet(self._frames)
        self._steps(self._script)
        self._close(1000, "")

    def _greet(self, frames: _Frames) -> None:
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
        frames = cast("_Frames", self._frames)
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
        cast("_Frames", self._frames).send(8, struct.pack(">H", code) + reason.encode())
        raise _Over


class _Frames:
    """Websocket frames of a server (RFC 6455 §5.2)."""

    def __init__(self, connection: socket.socket, file: BinaryIO) -> None:
        self._socket = connection
        self._file = file

    def send(
        self,
        opcode: int,
        payload: bytes,
        *,
        fin: bool = True,
        masked: bool = False,
        length: int | None = None,
        reserved: int = 0,
    ) -> None:
        size = len(payload) if length is None else length
        head = bytes([(0x80 if fin else 0) | (reserved << 4) | opcode])
        mask = 0x80 if masked else 0
        if size < 126:
            head += bytes([mask | size])
        elif size < 65536:
            head += bytes([mask | 126]) + struct.pack(">H", size)
        else:
            head += bytes([mask | 127]) + struct.pack(">Q", size)
        if masked:
            key = b"\x01\x02\x03\x04"
            payload = key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))
        self._socket.sendall(head + payload)

    def receive(self) -> bytes:
        first, second = self._exactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._exactly(8))
        key = self._exactly(4) if second & 0x80 else b"\0" * 4
        payload = bytes(byte ^ key[place % 4] for place, byte in enumerate(self._exactly(size)))
        if first & 0x0F == 8:
            raise _Over
        return payload

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise _Over
        return data


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


def _encoded(data: bytes, encoding: Any) -> bytes:
    match encoding:
        case None:
            return data
        case "gzip":
            return gzip.compress(data)
        case "deflate":
            return zlib.compress(data)
        case _:
            return data  # a lie: the header names it, the bytes do not follow it


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
