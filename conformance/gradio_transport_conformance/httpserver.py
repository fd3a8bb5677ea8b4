# SPDX-License-Identifier: Apache-2.0
"""Plays a trace on pytest-httpserver, including websockets on the same port.

Werkzeug gives the handlers the raw socket, which simple-websocket uses.  The server must be threaded:
with one thread an open stream would block the join of the next call.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gradio_transport.trace import Trace, read_trace

from .replay.player import ALLOWED, Broken, Heard, Player, Talk, allow_origin
from .replay.script import ReplayScript, Reply
from .replay.server import Served

try:
    from pytest_httpserver import HTTPServer
    from werkzeug import Request, Response

    from .replay.websockets import play_websocket
except ImportError as error:
    raise ImportError(
        f"{error.name} is not installed; websockets need it: pip install 'gradio-transport[conformance]'. "
        "`gradio_transport_conformance.replay.server` needs no package, and has no websockets.",
        name=error.name,
    ) from None


_POLL_SECONDS = 0.02


class _DroppedResponse(Response):
    """A response that breaks the connection: werkzeug treats the error as a disconnect, and logs nothing."""

    def __call__(self, environ: dict[str, Any], *_: Any) -> Iterable[bytes]:
        # The handler would wait for the next request on this connection.
        with suppress(OSError):
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        raise ConnectionError


class _Host:
    def __init__(self, player: Player) -> None:
        self._player = player

    def __call__(self, request: Request) -> Response:
        connection = request.environ["werkzeug.socket"]
        # Otherwise each part of a stream waits until the client confirms the last.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._player.connection_opened(connection)
        target = request.full_path
        if "websocket" in request.headers.get("upgrade", "").lower():
            return self._websocket(request, self._player.websocket(target), target)
        origin = allow_origin(request.headers.get("origin"))
        if request.method == "OPTIONS":
            asked = request.headers.get("access-control-request-headers", "*")
            return Response(headers={**origin, **ALLOWED, "access-control-allow-headers": asked})
        method = "GET" if request.method == "HEAD" else request.method
        cookie = request.headers.get("cookie", "")
        reply = self._player.request(method, target, request.get_data(), cookie)
        if reply.status is None:
            return _DroppedResponse()
        response = Response(
            self._parts(reply, connection), status=reply.status, headers={**reply.headers, **origin}
        )
        response.call_on_close(lambda: self._player.connection_closed(connection))
        return response

    def _parts(self, reply: Reply, connection: Any) -> Iterator[bytes]:
        if reply.stream:
            yield b""  # werkzeug sends the head with the first part, which may be long in coming
        try:
            yield from self._player.parts(reply, connection)
        except Broken:
            raise ConnectionError from None

    def _websocket(self, request: Request, talk: Talk | None, target: str) -> Response:
        connection = request.environ["werkzeug.socket"]
        if talk is None or talk.refusal is not None:
            self._player.connection_closed(connection)
            return Response(status=403 if talk is None else talk.refusal)
        play_websocket(self._player, talk, request.environ, target)
        self._player.connection_closed(connection)
        return _DroppedResponse()


class _Server(HTTPServer):
    """A server that stops quickly: by default werkzeug checks twice a second whether it should stop."""

    def thread_target(self) -> None:
        """Serve until the server is stopped."""
        if self.server is not None:
            self.server.serve_forever(poll_interval=_POLL_SECONDS)


def _check_port(port: int) -> None:
    """Raise `OSError` if a port is in use: werkzeug would print a message and end the program."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen()


@contextmanager
def play_on(
    server: HTTPServer,
    trace: Trace | str | os.PathLike[str],
    *,
    speed: float = 0.0,
    strict: bool = False,
    log: Callable[[Heard], None] | None = None,
) -> Generator[Served, None, None]:
    """Play a trace on a running pytest-httpserver, which must be threaded, and remove it at the end."""
    script = ReplayScript(
        trace if isinstance(trace, Trace) else read_trace(trace),
        server.url_for("").removesuffix("/"),
        strict=strict,
    )
    player = Player(script, speed, log)
    handler: Callable[[Request], Response] = _Host(player)
    server.expect_request(re.compile(".*")).respond_with_handler(handler)
    try:
        yield Served(script.base)
    finally:
        player.stop()
        server.clear()


@contextmanager
def serve_with_websockets(
    trace: Trace | str | os.PathLike[str],
    *,
    speed: float = 0.0,
    port: int = 0,
    strict: bool = False,
    log: Callable[[Heard], None] | None = None,
) -> Generator[Served, None, None]:
    """Play a trace as a server on the loopback; see `replay.server.serve`.

    Raises:
        OSError: The port is in use.
    """
    _check_port(port)
    with (
        _Server(host="127.0.0.1", port=port, threaded=True) as server,
        play_on(server, trace, speed=speed, strict=strict, log=log) as served,
    ):
        yield served


__all__ = ["play_on", "serve_with_websockets"]
