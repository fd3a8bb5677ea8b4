# SPDX-License-Identifier: Apache-2.0
"""Websocket frames of a server that can be wrong in every part (RFC 6455 §5.2)."""

from __future__ import annotations

import socket
import struct
from typing import BinaryIO

from .connections import Over


class Frames:
    """Writes frames to a client and reads its own."""

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
        """Send a frame; `length` is what it says of its length, where that is a lie."""
        size = len(payload) if length is None else length
        head = self._head((0x80 if fin else 0) | (reserved << 4) | opcode, size, 0x80 if masked else 0)
        if masked:
            key = b"\x01\x02\x03\x04"
            payload = key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))
        self._socket.sendall(head + payload)

    def begin(self, opcode: int, size: int) -> None:
        """Send the head of a whole message, whose payload is to follow."""
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
            Over: There is none.
        """
        first, second = self._exactly(2)
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack(">H", self._exactly(2))
        elif size == 127:
            (size,) = struct.unpack(">Q", self._exactly(8))
        key = self._exactly(4) if second & 0x80 else b"\0" * 4
        payload = bytes(byte ^ key[place % 4] for place, byte in enumerate(self._exactly(size)))
        if first & 0x0F == 8:
            raise Over
        return payload

    def _exactly(self, count: int) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise Over
        return data


__all__ = ["Frames"]
