# SPDX-License-Identifier: Apache-2.0
"""The replies of the fault bench's server to requests: proper replies, and the faulty one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import attrs

from .connection import ECHO_CHARACTERS, Connection, Request, ServerState
from .listener import ConnectionDone
from .payloads import compress, expand_repeats, iter_pieces, payload_bytes
from .protocols import COOKIE, EVENT_ID, FILE_PHASES, GIVEN_NAME, MESSAGES
from .streams import StreamWriter

_TLS_HANDSHAKE = b"\x16"
"""The first byte of a client that uses TLS."""


class RequestHandler:
    """Answers the requests of one connection."""

    def __init__(self, state: ServerState, connection: Connection) -> None:
        self._state = state
        self._cell = state.cell
        self._protocol = state.cell.protocol
        self._connection = connection
        self._file = connection.file

    def serve(self) -> None:
        """Answer requests until the client closes the connection.

        Raises:
            ConnectionDone: The server must close it.
            OSError: The client broke the connection.
        """
        try:
            while (request := self._read_request()) is not None:
                self._answer(request)
        finally:
            self._file.close()

    def _read_request(self) -> Request | None:
        first = self._file.read(1)
        if first == _TLS_HANDSHAKE:  # it has no lines; real servers send this reply too
            self._send(400, "Invalid HTTP request received.", {"length": False})
        line = first + self._file.readline(65536)
        if not line.strip():
            return None
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers: dict[str, str] = {}
        while (line := self._file.readline(65536)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        request = Request(method, urlsplit(target).path, headers, b"")
        self._connection.path = request.path
        length = int(headers.get("content-length", "0"))
        if (self._cell.fault.reply or {}).get("eager") and self._phase(request) == self._cell.phase:
            self._hear(request, target)
            self._answer(request)
            self._file.read(length)
            return self._read_request()
        request = attrs.evolve(request, body=self._file.read(length))
        self._hear(request, target)
        return request

    def _hear(self, request: Request, target: str) -> None:
        if self._connection.tape is not None:
            self._connection.tape.asked(request.method, target, request.headers, request.body)

    def _phase(self, request: Request) -> str | None:
        phase = self._protocol.phase(request.method, request.path)
        return self._cell.phase if phase == "download" and self._cell.phase in FILE_PHASES else phase

    def _answer(self, request: Request) -> None:
        phase, fault, state = self._phase(request), self._cell.fault, self._state
        state.phases.append(phase)
        if phase not in ("info", "heartbeat"):  # which arrive at any time
            state.said = f"{request.said}\n{state.said}"[:ECHO_CHARACTERS]
        if phase == "heartbeat":
            state.heartbeat_received.set()
        if phase == "join":
            state.joins += 1
        state.listener.prepare_next(phase)
        is_struck = phase == self._cell.phase and (state.is_faulty_call or not fault.after)
        if self._needs_login(request, phase):
            status, value = self._protocol.login_required()
            self._send(403 if request.is_upgrade else status, json.dumps(value))
        elif phase is not None and is_struck and fault.reply is not None:
            self._send_faulty(fault.reply, phase)
        elif request.is_upgrade:
            self._stream().serve_websocket(request)
        elif self._wants_stream(request, phase):
            self._stream().write_stream()
        else:
            self._send_proper(phase)

    def _stream(self) -> StreamWriter:
        return StreamWriter(self._state, self._connection)

    def _wants_stream(self, request: Request, phase: str | None) -> bool:
        if self._protocol.kind == "chat":
            return phase == "join" and bool(json.loads(request.body)["stream"])
        return phase == "stream" and self._protocol.kind != "polling"

    def _needs_login(self, request: Request, phase: str | None) -> bool:
        if self._cell.phase != "login" or phase in ("login", None):
            return False
        expired = self._cell.fault.expires and phase == "join" and self._state.joins == 1
        return expired or COOKIE not in request.headers.get("cookie", "")

    # --- proper replies --------------------------------------------------------------------------------

    def _proper_reply(self, phase: str | None) -> tuple[int, str, Mapping[str, str]]:
        """Return the status, body and headers of a proper server's reply."""
        if phase == "login":
            status, value, headers = self._protocol.login_accepted()
            return status, json.dumps(value), headers
        if phase is None:
            return 404, '{"detail":"Not Found"}', {}
        if phase in FILE_PHASES:
            return 200, self._cell.content, {"content-type": "application/octet-stream"}
        return 200, self._proper_body(phase), {}

    def _proper_body(self, phase: str) -> str:
        protocol = self._protocol
        if phase == "data":
            self._state.data_received.set()
            return "null"
        if phase == "join" and protocol.kind == "direct":
            return self._output_json()
        if phase == "stream":
            return self._polled_status()
        value: Any = {"success": True}
        if phase == "config":
            value = protocol.config(self._cell.phase) | dict(self._cell.fault.config)
        elif phase == "info":
            value = protocol.info()
        elif phase == "join":
            value = protocol.join_reply()
        elif phase == "upload":
            value = [f"/tmp/gradio/2/{GIVEN_NAME}"]  # noqa: S108 - a path on the server
        return json.dumps(value).replace(EVENT_ID, self._state.event_id)

    def _output_json(self) -> str:
        replaced = self._state.output_json(self._connection.path)
        return replaced or json.dumps(MESSAGES["done"]["output"])

    def _polled_status(self) -> str:
        """Return the next status of a polled call."""
        steps = self._cell.fault.stream
        if steps is None:
            return '{"status":"COMPLETE","data":' + self._output_json() + "}"
        step = steps[min(next(self._state.attempts), len(steps) - 1)]
        return str(step["text"])

    def _send_proper(self, phase: str | None) -> None:
        status, body, headers = self._proper_reply(phase)
        self._send(status, body, {"headers": headers})

    # --- the faulty reply ------------------------------------------------------------------------------

    def _send_faulty(self, reply: Mapping[str, Any], phase: str) -> None:
        number, first = next(self._state.attempts), int(reply.get("after", 0))
        if not first <= number < first + int(reply.get("times", number + 1)):
            self._send_proper(phase)
            return
        if reply.get("read") is False:
            self._end_faulty(reply)
        if "bytes" in reply:
            self._connection.write(payload_bytes(reply.get("first", "")))
            for piece in iter_pieces(reply["bytes"]):
                if b"{echo" in piece:
                    piece = self._state.echo(piece.decode()).encode()
                self._connection.write(piece, reply.get("drip"))
        else:
            self._send_described(reply, phase)
        self._end_faulty(reply)

    def _send_described(self, reply: Mapping[str, Any], phase: str) -> None:
        """Send the reply that a fault describes by status, headers and body."""
        status, body, headers = int(reply.get("status", 200)), "", cast("Mapping[str, str]", {})
        if reply.get("proper"):
            status, body, headers = self._proper_reply(phase)
        if "body" in reply:
            body = expand_repeats(payload_bytes(reply["body"]).decode())
        elif "json" in reply:
            body = json.dumps(reply["json"])
        body = self._state.echo(body)
        self._send(status, body, {**reply, "headers": {**headers, **reply.get("headers", {})}})

    def _end_faulty(self, reply: Mapping[str, Any]) -> None:
        match reply.get("then"):
            case "reset":
                self._connection.reset()
            case "cut":
                raise ConnectionDone
            case "hold":
                self._connection.hold()
            case "flood":
                while not self._state.stopped.is_set():
                    self._connection.write(payload_bytes(reply["bytes"])[-10000:])
                raise ConnectionDone
            case _:
                return

    # --- the bytes -------------------------------------------------------------------------------------

    def _send(self, status: int, body: str, how: Mapping[str, Any] = {}) -> None:
        """Send a reply; ``how`` has the fields of a fault's ``reply``."""
        data = compress(body.encode("utf-8", "surrogatepass"), how.get("encoding"))
        headers = {"content-type": "application/json", **how.get("headers", {})}
        if how.get("encoding"):
            headers.setdefault("content-encoding", how["encoding"])
        if how.get("length", True) is True and how.get("http") != "1.0" and status != 204:
            headers["content-length"] = str(len(data))
        elif how.get("length") not in (None, True, False):
            headers["content-length"] = str(how["length"])
        # The affected request needs a new connection, so a faulty listener keeps none open.
        one_request = bool(self._state.listener.fault)
        if one_request:
            headers["connection"] = "close"
        lines = [f"HTTP/{how.get('http', '1.1')} {status} Said"]
        lines += [
            f"{name}: {self._state.fill_in(str(value), self._connection.path)}"
            for name, value in headers.items()
        ]
        head = how.get("early", "").encode() + "\r\n".join([*lines, "", ""]).encode()
        self._connection.write(head + data, how.get("drip"))
        if how.get("http") == "1.0" or how.get("length") is False or one_request:
            raise ConnectionDone


__all__ = ["RequestHandler"]
