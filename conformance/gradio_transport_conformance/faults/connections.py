# SPDX-License-Identifier: Apache-2.0
"""Where the server of the fault bench listens, and how it meets who comes: well at first, then as cells say.

The request that a cell strikes has a connection of its own, so every protocol can be struck in the middle.
"""

from __future__ import annotations

import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from .cases import Cell
from .certificates import authority, server_context

_BEFORE: Mapping[str, tuple[str, ...]] = {
    "config": (),
    "join": ("info", "config"),
    "stream": ("join", "info", "config"),
}
"""Which requests come before one whose connection is met wrongly, the nearest first."""

_FILLING = 3
"""Connections that fill a queue of the length 0, which holds one, and one to spare."""


class Over(Exception):
    """The connection is at its end."""


class Door:
    """A listener whose connections are met as a cell says.

    Attributes:
        met: The ``connection`` of the fault; empty: they are met well.
        address: Where it listens.
        scheme: What the URL says is spoken there.
    """

    def __init__(self, cell: Cell, host: str, tls: ssl.SSLContext | None) -> None:
        self.met: Mapping[str, str] = cell.fault.connection or {}
        self._tls = server_context("proper") if "tls" in self.met else tls
        host = self.met.get("host", host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=64)
        self.address = self._listener.getsockname()
        self.scheme = "https" if self._tls else "http"
        self.host = self.met.get("name", f"[{host}]" if ":" in host else host)
        phases = cell.protocol.phases
        self._before = next((one for one in _BEFORE.get(cell.phase, ()) if one in phases), None)
        self._lock = threading.Lock()
        self._turned = False
        self._fillers: list[socket.socket] = []
        self._thread: threading.Thread | None = None

    def open(self, came: Callable[[socket.socket], bool], name: str) -> None:
        """Hand over connections, in a thread, until told that no more are wanted."""
        self._thread = threading.Thread(target=self._accept, args=(came,), name=name)
        self._thread.start()
        if self.met and self._before is None:
            self._turn()

    def _accept(self, came: Callable[[socket.socket], bool]) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._turned and self.met.get("listener") == "full":
                self._fillers.append(connection)
                return
            if not came(connection):
                return

    def about_to_answer(self, phase: str | None) -> None:
        """Turn bad in time for the next connection."""
        if self.met and phase == self._before:
            self._turn()

    def _turn(self) -> None:
        with self._lock:
            again, self._turned = self._turned, True
        if again:
            return
        if self.met.get("listener") == "refuses":
            # The port stays taken, or another server of this machine might be met in its place.
            self._stop_accepting()
            self._listener.close()
            self._listener = socket.socket(self._listener.family)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(self.address)
        elif self.met.get("listener") == "full":
            self._listener.listen(0)
            self._knock()  # it is accepted, and the last that is
            self._wait()
            for _ in range(_FILLING):
                self._knock()

    def _knock(self) -> None:
        knocking = socket.socket(self._listener.family)
        knocking.setblocking(False)
        self._fillers.append(knocking)
        with suppress(BlockingIOError):
            knocking.connect(self.address)

    def meet(self, connection: socket.socket, released: Callable[[], object]) -> socket.socket:
        """Return a connection as it is to be served.

        Args:
            connection: What came.
            released: Waits until the server is stopped.

        Raises:
            Over: It is not to be served.
            OSError: The client broke it off.
        """
        context = self._tls
        if self._turned:
            self._spoil(released)
            context = self._presented()
        return connection if context is None else context.wrap_socket(connection, server_side=True)

    def _spoil(self, released: Callable[[], object]) -> None:
        listener = self.met.get("listener")
        if listener == "silent":
            released()
        if listener is not None:
            raise Over

    def _presented(self) -> ssl.SSLContext | None:
        match self.met.get("speaks"):
            case "http":
                return None
            case "tls":
                return server_context("proper")
            case _:
                return server_context(self.met["tls"]) if "tls" in self.met else self._tls

    def _stop_accepting(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._wait()

    def _wait(self) -> None:
        # Before the number of the listener can become another's.
        if self._thread is not None:
            self._thread.join(5)

    def close(self) -> None:
        """Let nobody in any more."""
        self._stop_accepting()
        self._listener.close()
        for filler in self._fillers:
            filler.close()


def reset(connection: socket.socket) -> None:
    """Have the end of a connection be a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def trusted(cell: Cell) -> Generator[str | None, None, None]:
    """Return the file of the authority that the client of a cell is to trust; None: that of its machine."""
    if "tls" not in (cell.fault.connection or {}):
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "authority.pem"
        path.write_bytes(authority())
        yield str(path)


__all__ = ["Door", "Over", "reset", "trusted"]
