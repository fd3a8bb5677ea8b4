# SPDX-License-Identifier: Apache-2.0
"""The event streams and websockets of the fault bench's server: a call's messages, and the fault."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from .connection import HOLD_SECONDS, Connection, Request, ServerState
from .frames import Frames
from .listener import ConnectionDone
from .payloads import PIECE_BYTES, compress, iter_pieces, payload_bytes, payload_size
from .protocols import EVENT_ID

HEARTBEAT_SECONDS = 0.05
"""The pause between heartbeats that a fault repeats forever."""

_REASON_BYTES = 123
"""The longest reason that a websocket can be closed with (RFC 6455 §5.5)."""

_WEBSOCKET_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What RFC 6455 appends to the key of a handshake."""


class StreamWriter:
    """Writes the messages of one call to a connection."""

    def __init__(self, state: ServerState, connection: Connection) -> None:
        self._state = state
        self._cell = state.cell
        self._protocol = state.cell.protocol
        self._connection = connection
        self._frames: Frames | None = None
        self._chunked = False

    # --- event streams ---------------------------------------------------------------------------------

    def write_stream(self) -> None:
        """Write the call's event stream, with the fault of the cell.

        Raises:
            ConnectionDone: The connection must be closed.
        """
        framing, state = self._cell.fault.framing, self._state
        if not state.phases.count("join") and self._protocol.kind != "own":
            raise ConnectionDone
        self._write_head(framing)
        if self._protocol.kind == "own":
            self._write_part(self._protocol.frame('{"msg":"estimation","rank":0,"queue_size":1}'))
            self._write_part(self._protocol.frame(json.dumps({"msg": "send_data", "event_id": EVENT_ID})))
            state.data_received.wait(HOLD_SECONDS)
        if self._cell.phase == "heartbeat":
            state.heartbeat_received.wait(HOLD_SECONDS)
        if self._cell.phase == "cancel":
            self._play(("estimation", "start", "first", "hold"))
        if framing:
            self._write_framed(framing)
        else:
            self._play(self._script)
            if self._ends_with_close_stream:
                self._play_step("close_stream")
        self._end()

    def _write_head(self, framing: Mapping[str, Any]) -> None:
        self._chunked = framing.get("http") != "1.0" and framing.get("length") is not False
        head = [f"HTTP/{framing.get('http', '1.1')} 200 OK"]
        head.append(f"content-type: {framing.get('type', 'text/event-stream; charset=utf-8')}")
        claimed = framing.get("claims", framing.get("encoding"))
        head += [f"content-encoding: {claimed}"] if claimed else []
        head += ["transfer-encoding: chunked"] * self._chunked
        self._connection.write("\r\n".join([*head, "", ""]).encode())

    @property
    def _script(self) -> tuple[Any, ...]:
        is_struck = self._cell.phase in ("join", "stream") and self._cell.fault.stream is not None
        if self._cell.fault.after and not self._state.is_faulty_call:
            return self._protocol.proper_script
        return cast("tuple[Any, ...]", self._cell.fault.stream) if is_struck else self._protocol.proper_script

    @property
    def _ends_with_close_stream(self) -> bool:
        return self._protocol.kind == "shared" and self._protocol.says == "sse_v3"

    def _write_framed(self, framing: Mapping[str, Any]) -> None:
        """Write a whole stream in an unusual but valid framing."""
        if self._protocol.kind != "own" and framing.get("whole"):
            self._state.stopped.wait(float(framing["whole"]))
        script = (*self._script, *(["close_stream"] if self._ends_with_close_stream else []))
        stream = b"".join(self._protocol.frame(*reversed(self._message(step))) for step in script)
        stream = str(framing.get("before", "")).encode() + stream
        stream = stream.replace(b"\n", str(framing.get("newline", "\n")).encode())
        stream = compress(stream, framing.get("encoding"))
        size = int(framing.get("chunk", len(stream)))
        for start in range(0, len(stream), size):
            self._write_part(stream[start : start + size])

    def _write_part(self, data: bytes) -> None:
        self._connection.write(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def _end(self) -> None:
        if self._frames is not None:
            self._close(1000, "")
        if not self._chunked:
            raise ConnectionDone
        self._connection.write(b"0\r\n\r\n")

    # --- steps -----------------------------------------------------------------------------------------

    def _message(self, step: Any) -> tuple[str, str]:
        """Return the event name and the text of a step that is a message."""
        if isinstance(step, str):
            output = self._state.output_json(self._connection.path) if step == "done" else None
            name, text = self._protocol.named_message(step, output)
            return name, text.replace(EVENT_ID, self._state.event_id) if self._cell.fault.after else text
        if "say" in step:
            name, text = self._protocol.message(step["say"])
        else:
            name = str(step.get("event", ""))
            text = payload_bytes(step["text"]).decode("utf-8", "surrogateescape")
        return name, self._state.echo(text)

    def _play(self, steps: Iterable[Any]) -> None:
        for step in steps if self._frames is None else _unroll_repeats(steps):
            self._play_step(step)

    def _play_step(self, step: Any) -> None:
        match step:
            case "reset":
                self._connection.reset()
            case "cut":
                raise ConnectionDone
            case "end":
                self._end()
                raise ConnectionDone
            case "hold":
                self._connection.hold()
            case "beats":
                self._write_heartbeats()
            case {"repeat": count, "of": {"bytes": raw}} if self._frames is None:
                self._write_part(payload_bytes(raw) * int(count))
            case {"repeat": count, "of": same} if self._frames is None:
                name, text = self._message(same)  # in one write, as a busy server's small messages arrive
                self._write_part(self._protocol.frame(text, name) * int(count))
            case {"bytes": raw}:
                self._write_part(payload_bytes(raw))
            case {"text": text, **more} if payload_size(text) > PIECE_BYTES:
                self._write_large(text, str(more.get("event", "")))
            case {"wire": raw}:
                self._connection.write(payload_bytes(raw))
            case {"close": code, **more}:
                self._close(int(code), self._state.echo(str(more.get("reason", ""))))
            case {"frame": frame}:
                self._send_odd_frame(frame)
            case _:
                self._write_message(step)

    def _write_message(self, step: Any) -> None:
        name, text = self._message(step)
        if self._frames is not None:
            self._frames.send(1, text.encode("utf-8", "surrogateescape"))
        else:
            self._write_part(self._protocol.frame(text, name))

    def _write_large(self, text: Any, name: str) -> None:
        """Write a message in pieces that is too large to keep in memory."""
        if self._frames is not None:
            self._frames.send_head(1, payload_size(text))
            for piece in iter_pieces(text):
                self._connection.write(piece)
            return
        before, _, after = self._protocol.frame("@", name).partition(b"@")
        for piece in (before, *iter_pieces(text), after):
            self._write_part(piece)

    def _write_heartbeats(self) -> None:
        while not self._state.stopped.wait(HEARTBEAT_SECONDS):
            self._play_step("beat")
        raise ConnectionDone

    # --- websockets ------------------------------------------------------------------------------------

    def serve_websocket(self, request: Request) -> None:
        """Accept a websocket and write the call's messages to it, with the fault of the cell.

        Raises:
            ConnectionDone: The connection must be closed.
        """
        key = request.headers["sec-websocket-key"].encode()
        accept = hashlib.sha1(key + _WEBSOCKET_MAGIC)  # noqa: S324 - RFC 6455
        self._connection.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
            b"sec-websocket-accept: " + base64.b64encode(accept.digest()) + b"\r\n\r\n"
        )
        self._frames = Frames(self._connection.socket, self._connection.file, self._connection.tape)
        self._receive_data(self._frames)
        self._play(self._script)
        self._close(1000, "")

    def _receive_data(self, frames: Frames) -> None:
        """Receive the data of the call, as each dialect does (docs/wire.md §3.1)."""
        if not self._protocol.at_least(3, 2):
            frames.receive()
        elif self._protocol.at_least(3, 6):
            frames.send(1, b'{"msg":"send_hash"}')
            frames.receive()
        frames.send(1, b'{"msg":"estimation","rank":0,"queue_size":1}')
        frames.send(1, b'{"msg":"send_data"}')
        frames.receive()

    def _send_odd_frame(self, frame: Mapping[str, Any]) -> None:
        frames = cast("Frames", self._frames)
        payload = payload_bytes(frame.get("payload", ""))
        if "message" in frame:
            payload = self._message(frame["message"])[1].encode()
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
        frames = cast("Frames", self._frames)
        frames.send(8, struct.pack(">H", code) + reason.encode()[:_REASON_BYTES])
        frames.wait_for_close()


def _unroll_repeats(steps: Iterable[Any]) -> Iterator[Any]:
    for step in steps:
        if isinstance(step, dict) and "repeat" in step:
            for _ in range(int(cast("dict[str, Any]", step)["repeat"])):
                yield step["of"]
        else:
            yield step


__all__ = ["HEARTBEAT_SECONDS", "StreamWriter"]
