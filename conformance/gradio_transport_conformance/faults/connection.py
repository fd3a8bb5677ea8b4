# SPDX-License-Identifier: Apache-2.0
"""One connection to the fault bench's server, and the state that all its connections share."""

from __future__ import annotations

import html
import itertools
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO
from urllib.parse import quote, unquote_plus

import attrs

from gradio_transport.protocol.commands import Ending

from .cases import Cell
from .listener import ConnectionDone, Listener, reset_on_close
from .payloads import expand_repeats
from .protocols import EVENT_ID, FILE_PHASES
from .tape import ConnectionTape

HOLD_SECONDS = 30.0
"""The longest silence of a connection that a fault holds open."""


_ECHO = re.compile(r"\{echo(?::(\w+))?\}")

ECHO_CHARACTERS = 4000
"""Bytes of the client's data that are echoed."""


@attrs.frozen
class Request:
    """A request of the client."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_upgrade(self) -> bool:
        """Whether it requests a websocket."""
        return "websocket" in self.headers.get("upgrade", "").lower()

    @property
    def said(self) -> str:
        """The client's data: headers, likely secrets first, and the body, also decoded."""
        headers = sorted(
            self.headers.items(), key=lambda header: not header[0].startswith(("x-", "au", "co"))
        )
        lines = [f"{name}: {value}" for name, value in headers]
        body = self.body[:ECHO_CHARACTERS].decode("utf-8", "replace")
        return "\n".join([*lines, body, unquote_plus(body)])[:ECHO_CHARACTERS]


@attrs.define(eq=False)
class ServerState:
    """What the connections of one server share.

    Attributes:
        cell: The cell that is played.
        listener: The listening socket.
        phases: The phases of the requests received, in order.
        joins: How many joins were received.
        stopped: Set when the server stops: it ends every pause.
        data_received: Set when the data of a call arrived in a separate request (sse v0).
        heartbeat_received: Set when the heartbeat was requested.
        attempts: Counts the requests of the phase that the fault affects.
        numbers: Counts the ``{number}`` in replies.
        said: The data of the client's last requests.
    """

    cell: Cell
    listener: Listener
    phases: list[str | None] = attrs.field(factory=list[str | None])
    joins: int = 0
    stopped: threading.Event = attrs.field(factory=threading.Event)
    data_received: threading.Event = attrs.field(factory=threading.Event)
    heartbeat_received: threading.Event = attrs.field(factory=threading.Event)
    attempts: Iterator[int] = attrs.field(factory=itertools.count)
    numbers: Iterator[int] = attrs.field(factory=itertools.count)
    said: str = ""

    def echo(self, text: str) -> str:
        """Return a text of a fault with each ``{echo}`` replaced by the client's data.

        ``{echo:json}``, ``{echo:html}`` and ``{echo:url}`` are escaped for that, ``{echo:line}`` is one line.
        """
        return _ECHO.sub(lambda found: _ECHOES[found[1]](self.said), text) if "{echo" in text else text

    @property
    def url(self) -> str:
        """The URL of the server."""
        return f"{self.listener.scheme}://{self.listener.host}:{int(self.listener.address[1])}"

    @property
    def is_faulty_call(self) -> bool:
        """Whether the fault affects the current call."""
        return self.joins > self.cell.fault.after

    @property
    def event_id(self) -> str:
        """The event id of the call that joined last; calls before the faulty one have their own."""
        ids = self.cell.fault.ids
        if ids:
            return ids[min(self.joins, len(ids)) - 1]
        return EVENT_ID if self.is_faulty_call or not self.cell.fault.after else f"well{self.joins}"

    def fill_in(self, text: str, path: str) -> str:
        """Return a text of a fault with all placeholders in braces replaced."""
        text = self.echo(text)
        plain = self.url.replace("https:", "http:")
        text = text.replace("{origin}", self.url).replace("{plain}", plain).replace("{place}", path)
        return text.replace("{number}", str(next(self.numbers))) if "{number}" in text else text

    def output_json(self, path: str) -> str | None:
        """Return the JSON that replaces the call's output object, or None."""
        output = self.cell.fault.output
        if output is None and self.cell.phase in FILE_PHASES:
            output = json.dumps({"data": [self.cell.protocol.output_file()]})
        return None if output is None else self.fill_in(expand_repeats(output), path)


_ECHOES: Mapping[str | None, Callable[[str], str]] = {
    None: str,
    "json": lambda said: json.dumps(said)[1:-1],
    "html": html.escape,
    "url": quote,
    "line": lambda said: " ".join(said.split()),
}


class Connection:
    """Reads and writes one connection.

    Attributes:
        socket: The socket.
        file: Its buffered reading side.
        path: The path of the request that was read last.
        tape: Records what is received and sent; None: nothing is recorded.
    """

    def __init__(
        self, connection: socket.socket, stopped: threading.Event, tape: ConnectionTape | None = None
    ) -> None:
        self.socket = connection
        self.tape = tape
        self.file: BinaryIO = connection.makefile("rb")
        self.path = ""
        self._stopped = stopped

    def write(self, data: bytes, drip: float | None = None) -> None:
        """Send data; ``drip``: one byte at a time, with a pause of this many seconds after each.

        Raises:
            ConnectionDone: The server stopped.
        """
        if self.tape is not None:
            self.tape.said(data)
        if drip is None:
            self.socket.sendall(data)
            return
        for byte in data:
            self.socket.sendall(bytes([byte]))
            if self._stopped.wait(drip):
                raise ConnectionDone

    def reset(self) -> None:
        """End the connection with a reset.

        Raises:
            ConnectionDone: Always.
        """
        if self.tape is not None:
            self.tape.ended(Ending.RESET)
        reset_on_close(self.socket)
        raise ConnectionDone

    def hold(self) -> None:
        """Send nothing more until the server stops.

        Raises:
            ConnectionDone: Always.
        """
        self._stopped.wait(HOLD_SECONDS)
        raise ConnectionDone


__all__ = ["HOLD_SECONDS", "Connection", "Request", "ServerState"]
