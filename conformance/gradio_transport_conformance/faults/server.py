# SPDX-License-Identifier: Apache-2.0
"""A Gradio server on the loopback that misbehaves in one way: it plays a `Cell` to a client in any language.

It writes to the socket itself, because many faults lie below HTTP: resets, missing last chunks, bad frames.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

from gradio_transport.protocol.commands import Ending

from .cases import Cell
from .connection import HOLD_SECONDS, Connection, ServerState
from .listener import ConnectionDone, Listener
from .replies import RequestHandler
from .tape import ConnectionTape, Tape

SERVER_THREADS = ("fault-server", "fault-connection")
"""Names of the server's threads, to tell them from a client's."""


class FaultServer:
    """Plays one cell."""

    def __init__(
        self,
        cell: Cell,
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        tape: Tape | None = None,
    ) -> None:
        self._tape = tape
        self.state = ServerState(cell, Listener(cell, host, tls))
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.state.listener.start_accepting(self._handle, SERVER_THREADS[0])

    @property
    def url(self) -> str:
        """Its URL."""
        return self.state.url

    def _handle(self, connection: socket.socket) -> bool:
        # Under the lock, so that `stop` sees every connection, or this method sees that the server stopped.
        with self._lock:
            if self.state.stopped.is_set():
                connection.close()
                return False
            self._connections.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), name=SERVER_THREADS[1])
            self._threads.append(thread)
            thread.start()
        return True

    def _serve(self, connection: socket.socket) -> None:
        plain, state = connection, self.state
        tape = ConnectionTape(state.url, self._tape) if self._tape is not None else None
        ending = Ending.CLEAN
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = state.listener.wrap(connection, lambda: state.stopped.wait(HOLD_SECONDS))
            with self._lock:
                self._connections.add(connection)
            RequestHandler(state, Connection(connection, state.stopped, tape)).serve()
        except (ConnectionDone, OSError, ValueError) as error:
            # A stopped server releases the connections that it held open: the client has finished with them.
            is_left = state.stopped.is_set() or not isinstance(error, ConnectionDone)
            ending = Ending.LOCAL if is_left else Ending.CLEAN
        finally:
            if tape is not None:
                tape.ended(ending)
            with self._lock:
                self._connections -= {plain, connection}
            connection.close()

    def stop(self) -> None:
        """Close every connection and wait for the threads."""
        self.state.stopped.set()
        self.state.data_received.set()
        self.state.listener.close()
        with self._lock:
            connections, threads = list(self._connections), list(self._threads)
        for connection in connections:
            # Closing would not wake a thread that is reading; shutting down does.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(5)
        self.state.listener.close()  # again, because a thread may have started the fault in the meantime


@contextmanager
def serve_fault(
    cell: Cell, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, tape: Tape | None = None
) -> Generator[FaultServer, None, None]:
    """Play a cell as a server, and stop it; a `tape` records the traffic, and is complete then."""
    server = FaultServer(cell, host=host, tls=tls, tape=tape)
    try:
        yield server
    finally:
        server.stop()


__all__ = ["FaultServer", "serve_fault"]
