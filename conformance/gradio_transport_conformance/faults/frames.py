# SPDX-License-Identifier: Apache-2.0
"""Websocket frames of a server that can be wrong in every part (RFC 6455 §5.2)."""

from __future__ import annotations

import socket
import struct
from typing import BinaryIO

from gradio_transport.protocol.frames import Direction

from .listener import ConnectionDone
from .tape import ConnectionTape

_CONTROL = 8
"""The first opcode of control frames."""


class Frames:
    """The frames of one websocket connection, written and read by the server."""

    def __init__(self, connection: socket.socket, file: BinaryIO, tape: ConnectionTape | None = None) -> None:
        self._socket = connection
        self._file = file
        self._tape = tape

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
        """Send a frame; `length` replaces the true payload length in its header."""
        if self._tape is not None and opcode < _CONTROL:
            self._tape.text(Direction.IN, payload)
        size = len(payload) if length is None else length
        head = self._head((0x80 if fin else 0) | (reserved << 4) | opcode, size, 0x80 if masked else 0)
        if masked:
            key = b"\x01\x02\x03\x04"
            payload = key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))
        self._socket.sendall(head + payload)

    def send_head(self, opcode: int, size: int) -> None:
        """Send the head of a whole message; the caller writes the payload."""
        self._socket.sendall(self._head(0x80 | opcode, size, 0))

    def _head(self, first: int, size: int, mask: int) -> bytes:
        head = bytes([first])
        if size < 126:
            head += bytes([mask | size])
        elif size < 65536:
            head += bytes([mask | 126]) + struct.pack(">H", size)
        else:
            head += bytes([mask | 127]) + struct.pack(">Q", size)
        return head

    def receive(self) -> bytes:
        """Return the payload of the next frame.

        Raises:
            ConnectionDone: The client closed the connection.
        """
        first, second = self._read_exactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self._read_exactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._read_exactly(8))
        key = self._read_exactly(4) if second & 0x80 else b"\0" * 4
        payload = bytes(byte ^ key[place % 4] for place, byte in enumerate(self._read_exactly(size)))
        if first & 0x0F == 8:
            raise ConnectionDone
        if self._tape is not None and first & 0x0F < _CONTROL:
            self._tape.text(Direction.OUT, payload)
        return payload

    def wait_for_close(self) -> None:
        """Read until the client's close frame, or until it closes the connection.

        Closing a socket that holds unread data, such as the answer to a ping, sends a reset. The reset can
        overtake the messages that the client has not read yet, which would be another fault than the cell's.

        Raises:
            ConnectionDone: The client closed.
        """
        while True:
            self.receive()

    def _read_exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise ConnectionDone
        return data


__all__ = ["Frames"]
