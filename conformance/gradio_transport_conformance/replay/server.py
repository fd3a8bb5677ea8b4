# SPDX-License-Identifier: Apache-2.0
"""Plays a trace as a server: any client receives the recorded replies of a real Gradio.

`serve` needs only the standard library, and simple-websocket for websockets;
`gradio_transport_conformance.httpserver` plays on a server of pytest-httpserver.  Both are thin: a `Script`
decides the replies, and a `Player` their times.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs

from gradio_transport.trace import Trace, read_trace

from .player import ALLOWED, Broken, Heard, Player, Script, allow_origin
from .script import ReplayScript, Reply


@attrs.frozen
class Served:
    """A server that plays a trace.

    Attributes:
        url: Its URL.
    """

    url: str


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that closing waits for them; their connections have already been broken
    block_on_close = True
    player: Player

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore the error: clients that disconnect are normal in traces."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise each part of a stream waits until the client confirms the last
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
            self._websocket()
            self.close_connection = True
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
        """Allow requests from pages of any origin."""
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

    def _websocket(self) -> None:
        try:
            from .websockets import play_websocket
        except ImportError as error:
            self._refuse(501, f"This server cannot play websockets: {error}")
            return
        player = self.server.player
        talk = player.websocket(self.path)
        if talk is None or talk.refusal is not None:
            self._refuse(403 if talk is None or talk.refusal is None else talk.refusal, "refused")
            return
        headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.headers.items()}
        play_websocket(player, talk, {**headers, "werkzeug.socket": self.connection}, self.path)

    def _refuse(self, status: int, detail: str) -> None:
        body = json.dumps({"detail": detail}).encode()
        self.send_response(status)
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
    trace: Trace | Script | str | os.PathLike[str],
    *,
    speed: float = 0.0,
    port: int = 0,
    strict: bool = False,
    log: Callable[[Heard], None] | None = None,
) -> Generator[Served, None, None]:
    """Play a trace as a server on the loopback.

    Args:
        trace: The trace to play, or the path of its file; or a script of another kind.
        speed: 1.0 keeps the recorded pace, 2.0 is twice as fast, 0 (the default) does not wait.
        port: The port; 0 chooses a free one.
        strict: Answer a request that differs from the recording with status 500, and the expected request.
        log: Called with each request, from the thread of its connection.

    Raises:
        TraceError: The file is not a trace.
        OSError: The port is in use.
    """
    script = _script(trace, strict=strict)
    with _Server(("127.0.0.1", port), _Handler) as server:
        script.base = f"http://127.0.0.1:{server.server_port}"
        server.player = Player(script, speed, log)
        # The interval is the maximum duration of closing.
        arguments = {"poll_interval": 0.02}
        thread = threading.Thread(target=server.serve_forever, kwargs=arguments, daemon=True)
        thread.start()
        try:
            yield Served(script.base)
        finally:
            server.shutdown()
            thread.join()
            server.player.stop()


def _script(given: Trace | Script | str | os.PathLike[str], *, strict: bool) -> Script:
    if isinstance(given, str | os.PathLike):
        given = read_trace(given)
    return ReplayScript(given, strict=strict) if isinstance(given, Trace) else given


__all__ = ["Broken", "Heard", "Player", "ReplayScript", "Served", "serve"]
