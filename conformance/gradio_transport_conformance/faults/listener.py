# SPDX-License-Identifier: Apache-2.0
"""The listener of the fault bench's server: the first connections are proper, later ones have the fault.

The affected request uses a new connection, so a fault can occur in the middle of a call.
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
from .certificates import authority_pem, server_context

_BEFORE: Mapping[str, tuple[str, ...]] = {
    "config": (),
    "join": ("info", "config"),
    "stream": ("join", "info", "config"),
}
"""The requests that precede one whose connection is faulty, the nearest first."""

_FILLING = 3
"""Connections that fill a queue of the length 0, which holds one, and one to spare."""


class ConnectionDone(Exception):
    """The server is done with a connection."""


class Listener:
    """A listening socket whose connections get the fault of a cell.

    Attributes:
        fault: The ``connection`` of the cell's fault; empty: connections are proper.
        address: Where it listens.
        scheme: The scheme of its URL.
    """

    def __init__(self, cell: Cell, host: str, tls: ssl.SSLContext | None) -> None:
        self.fault: Mapping[str, str] = cell.fault.connection or {}
        self._tls = server_context("proper") if "tls" in self.fault else tls
        host = self.fault.get("host", host)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family, backlog=64)
        self.address = self._listener.getsockname()
        self.scheme = "https" if self._tls else "http"
        self.host = self.fault.get("name", f"[{host}]" if ":" in host else host)
        phases = cell.protocol.phases
        self._before = next((phase for phase in _BEFORE.get(cell.phase, ()) if phase in phases), None)
        self._lock = threading.Lock()
        self._faulty = False
        self._fillers: list[socket.socket] = []
        self._thread: threading.Thread | None = None

    def start_accepting(self, handle: Callable[[socket.socket], bool], thread_name: str) -> None:
        """Pass connections to a function, in a thread, until it returns False."""
        self._thread = threading.Thread(target=self._accept, args=(handle,), name=thread_name)
        self._thread.start()
        if self.fault and self._before is None:
            self._start_fault()

    def _accept(self, handle: Callable[[socket.socket], bool]) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self._faulty and self.fault.get("listener") == "full":
                self._fillers.append(connection)
                return
            if not handle(connection):
                return

    def prepare_next(self, phase: str | None) -> None:
        """Start the fault if the reply to this phase makes the client open the affected connection."""
        if self.fault and phase == self._before:
            self._start_fault()

    def _start_fault(self) -> None:
        with self._lock:
            already, self._faulty = self._faulty, True
        if already:
            return
        if self.fault.get("listener") == "refuses":
            # The port stays taken, or the client might reach another server of this machine.
            self._stop_accepting()
            self._listener.close()
            self._listener = socket.socket(self._listener.family)
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._listener.bind(self.address)
        elif self.fault.get("listener") == "full":
            self._listener.listen(0)
            self._fill_backlog()  # accepted, as the last connection
            self._join_thread()
            for _ in range(_FILLING):
                self._fill_backlog()

    def _fill_backlog(self) -> None:
        filler = socket.socket(self._listener.family)
        filler.setblocking(False)
        self._fillers.append(filler)
        with suppress(BlockingIOError):
            filler.connect(self.address)

    def wrap(self, connection: socket.socket, wait_for_stop: Callable[[], object]) -> socket.socket:
        """Return the connection to serve, with TLS if the cell requires it.

        Args:
            connection: The accepted connection.
            wait_for_stop: Blocks until the server is stopped.

        Raises:
            ConnectionDone: The fault closes the connection or keeps it silent.
            OSError: The client closed it during the TLS handshake.
        """
        context = self._tls
        if self._faulty:
            self._apply_fault(wait_for_stop)
            context = self._faulty_context()
        return connection if context is None else context.wrap_socket(connection, server_side=True)

    def _apply_fault(self, wait_for_stop: Callable[[], object]) -> None:
        listener = self.fault.get("listener")
        if listener == "silent":
            wait_for_stop()
        if listener is not None:
            raise ConnectionDone

    def _faulty_context(self) -> ssl.SSLContext | None:
        match self.fault.get("speaks"):
            case "http":
                return None
            case "tls":
                return server_context("proper")
            case _:
                return server_context(self.fault["tls"]) if "tls" in self.fault else self._tls

    def _stop_accepting(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._join_thread()

    def _join_thread(self) -> None:
        # The thread may be in accept(): once the descriptor is closed, its number can be another socket's.
        if self._thread is not None:
            self._thread.join(5)

    def close(self) -> None:
        """Stop listening."""
        self._stop_accepting()
        self._listener.close()
        for filler in self._fillers:
            filler.close()


def reset_on_close(connection: socket.socket) -> None:
    """Make closing a connection send a reset (RST) instead of a FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def authority_file(cell: Cell) -> Generator[str | None, None, None]:
    """Yield the path of the CA certificate for the client of a cell; None: the system's certificates."""
    if "tls" not in (cell.fault.connection or {}):
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "authority.pem"
        path.write_bytes(authority_pem())
        yield str(path)


__all__ = ["ConnectionDone", "Listener", "authority_file", "reset_on_close"]
