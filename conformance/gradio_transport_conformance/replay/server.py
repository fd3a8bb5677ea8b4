# SPDX-License-Identifier: Apache-2.0
"""Plays a trace as a server: what a real Gradio said then, it says again to any client.

`serve` needs the standard library only, and has no websockets; `gradio_transport_conformance.httpserver` has
them.  Both are thin: what to say is decided by `ReplayScript`, and when by `Player`.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs

from gradio_transport.protocol.commands import Ending
from gradio_transport.trace import Trace, read_trace

from .recording import Part
from .script import ReplayScript, Reply, WebSocketScript

PATIENCE_SECONDS = 10.0
"""How long a stream waits for requests that were recorded before its next part; then it waits no more."""


class Broken(Exception):
    """The connection is to break now."""


@attrs.frozen
class Served:
    """A server that plays a trace.

    Attributes:
        url: Where it is.
    """

    url: str


@attrs.frozen
class Heard:
    """A request of a client, or a text of it on a websocket that was refused.

    Attributes:
        method: ``"WS"`` for a websocket.
        target: Path and query.
        status: Of the reply; None where the connection breaks. 101 for a websocket.
        refusal: Why it was refused, if it was: what came, and what was expected.
    """

    method: str
    target: str
    status: int | None
    refusal: str = ""


ALLOWED = {"access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"}


def allow_origin(origin: str | None) -> dict[str, str]:
    """Return the headers that let the page of another origin read a reply; none for who is no page."""
    if origin is None:
        return {}
    return {"access-control-allow-origin": origin, "access-control-allow-credentials": "true"}


def _ignore(_: Heard) -> None:
    pass


class Player:
    """What every host does: waits, paces, and stops when it is told to.

    Args:
        script: What to play.
        speed: 1.0 keeps the recorded pace, 2.0 is twice as fast, 0 does not wait at all.
        log: Called with each request, from the thread of its connection.
    """

    def __init__(
        self, script: ReplayScript, speed: float, log: Callable[[Heard], None] | None = None
    ) -> None:
        self._script = script
        self._speed = speed
        self._log = log or _ignore
        self._changed = threading.Condition()
        self._stopped = False
        self._connections: set[socket.socket] = set()

    def request(self, method: str, target: str, body: bytes, cookie: str = "") -> Reply:
        """Return the reply to a request, and let whatever waited for it go on."""
        with self._changed:
            reply = self._script.request(method, target, body, cookie)
            self._changed.notify_all()
        self._log(Heard(method, target, reply.status, reply.refusal))
        return reply

    def websocket(self, target: str) -> WebSocketScript | None:
        """Return what to say on a websocket."""
        with self._changed:
            talk = self._script.websocket(target)
        status = 403 if talk is None else talk.refusal or 101
        self._log(Heard("WS", target, status, "" if talk else "no websocket was recorded here"))
        return talk

    def text_received(self, talk: WebSocketScript, text: str, target: str = "") -> bool:
        """Pass a client's text on a websocket to its script; return whether the script goes on."""
        with self._changed:
            refusal = talk.text_received(text)
        if refusal:
            self._log(Heard("WS", target, None, refusal))
        return not refusal

    def parts(self, reply: Reply, connection: socket.socket) -> Iterator[bytes]:
        """Yield the parts of a reply when their time has come.

        Raises:
            Broken: The reply is to end without its end.
        """
        patient = True
        for part in reply.parts:
            patient = patient and self._wait_for(reply, part)
            self.pause(part.delay)
            if part.data:
                yield part.data
        if reply.ending is Ending.RESET:
            raise Broken
        if reply.ending is None:
            self.hold(connection)

    def pause(self, seconds: float) -> None:
        """Wait as long as the recorded pace and the speed say."""
        if self._speed > 0 and seconds > 0:
            self._wait(lambda: False, seconds / self._speed)
        if self._stopped:
            raise Broken

    def _wait_for(self, reply: Reply, part: Part) -> bool:
        return self._wait(lambda: reply.ready(part), PATIENCE_SECONDS)

    def _wait(self, ready: Callable[[], bool], seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: ready() or self._stopped, seconds)

    def hold(self, connection: socket.socket) -> None:
        """Wait until the client goes, or the server stops."""
        with suppress(OSError):
            while connection.recv(4096):
                pass

    def connection_opened(self, connection: socket.socket) -> None:
        """Remember a connection, to break it when the server stops."""
        with self._changed:
            self._connections.add(connection)

    def connection_closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._changed:
            self._connections.discard(connection)

    def stop(self) -> None:
        """Wake whatever waits, and break every connection."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them: their connections have been broken before
    block_on_close = True
    player: Player

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients that go away are what traces are full of."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each part of a stream waits until the client confirms the last
    server: _Server  # pyright: ignore[reportIncompatibleVariableOverride] - it is the one that made us

    def setup(self) -> None:
        super().setup()
        self.server.player.connection_opened(self.connection)

    def finish(self) -> None:
        self.server.player.connection_closed(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""

    def _answer(self) -> None:
        if "websocket" in self.headers.get("upgrade", "").lower():
            self._refuse_websocket()
            return
        body = self._read_body()
        if self.command == "OPTIONS":
            self._allow()
            return
        player = self.server.player
        method = "GET" if self.command == "HEAD" else self.command
        reply = player.request(method, self.path, body, self.headers.get("cookie", ""))
        try:
            if reply.status is None:
                raise Broken
            self._send(reply, player.parts(reply, self.connection))
        except (Broken, OSError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - the base class looks for these

    def _read_body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            length = self.headers.get("content-length", "0")
            return self.rfile.read(int(length) if length.isdigit() else 0)
        parts: list[bytes] = []
        size = 1
        while size:
            size = int(self.rfile.readline(100).partition(b";")[0] or b"0", 16)
            parts.append(self.rfile.read(size))
            self.rfile.readline(100)
        return b"".join(parts)

    def _allow(self) -> None:
        """Let the page of any origin ask."""
        self.send_response(200)
        asked = self.headers.get("access-control-request-headers", "*")
        for name, value in {
            **allow_origin(self.headers.get("origin")),
            **ALLOWED,
            "content-length": "0",
        }.items():
            self.send_header(name, value)
        self.send_header("access-control-allow-headers", asked)
        self.end_headers()

    def _refuse_websocket(self) -> None:
        body = b'{"detail":"This server plays no websockets; use gradio_transport_conformance.httpserver."}'
        self.send_response(501)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send(self, reply: Reply, parts: Iterator[bytes]) -> None:
        whole = b"" if reply.stream else b"".join(parts)
        self.send_response(reply.status or 200)
        origin = allow_origin(self.headers.get("origin"))
        for name, value in {**reply.headers, **origin}.items():
            self.send_header(name, value)
        if reply.stream:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(len(whole)))
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(whole)
        if reply.stream:
            for part in parts:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.write(b"0\r\n\r\n")


@contextmanager
def serve(
    trace: Trace | str | os.PathLike[str],
    *,
    speed: float = 0.0,
    port: int = 0,
    strict: bool = False,
    log: Callable[[Heard], None] | None = None,
) -> Generator[Served, None, None]:
    """Play a trace as a server on the loopback, without any package but the standard library.

    Args:
        trace: What to play, or the path of its file. Websockets are refused.
        speed: 1.0 keeps the recorded pace, 2.0 is twice as fast, 0 (the default) does not wait at all.
        port: Where; 0 takes any free one.
        strict: Answer whatever differs from the recording with status 500, and what was expected.
        log: Called with each request, from the thread of its connection.

    Raises:
        TraceError: The file is no trace.
        OSError: The port is in use.
    """
    script = ReplayScript(trace if isinstance(trace, Trace) else read_trace(trace), strict=strict)
    with _Server(("127.0.0.1", port), _Handler) as server:
        script.base = f"http://127.0.0.1:{server.server_port}"
        server.player = Player(script, speed, log)
        # The interval is how long closing takes at most.
        arguments = {"poll_interval": 0.02}
        thread = threading.Thread(target=server.serve_forever, kwargs=arguments, daemon=True)
        thread.start()
        try:
            yield Served(script.base)
        finally:
            server.shutdown()
            thread.join()
            server.player.stop()


__all__ = ["ALLOWED", "Broken", "Heard", "Player", "ReplayScript", "Served", "allow_origin", "serve"]
