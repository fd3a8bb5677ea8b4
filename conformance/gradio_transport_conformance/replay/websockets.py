# SPDX-License-Identifier: Apache-2.0
"""Plays the websockets of a recording on a connection that a server of HTTP has accepted."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any, cast

from .player import Broken, Player, Talk
from .recording import Hear, Say

try:
    from simple_websocket import ConnectionClosed  # type: ignore[import-untyped,unused-ignore]
    from simple_websocket import Server as WebSocketServer
except ImportError as error:
    raise ImportError(
        f"{error.name} is not installed; websockets need it: pip install 'gradio-transport[pytest]'.",
        name=error.name,
    ) from None

_CLOSE_SECONDS = 2.0
"""Seconds that the client has to answer a close frame."""

_REFUSED = 1008
"""Close code for a policy violation: in strict mode, a text that differs from the recorded one."""


def play_websocket(player: Player, talk: Talk, environ: dict[str, Any], target: str) -> None:
    """Answer a handshake, and play a websocket up to its end.

    Args:
        player: Waits and paces.
        talk: The messages.
        environ: The handshake, as a WSGI environment; ``werkzeug.socket`` is the connection.
        target: Path and query of the handshake.
    """
    server = WebSocketServer.accept(environ)
    with suppress(ConnectionClosed, Broken, OSError):
        if _converse(server, player, talk, target):
            _end(server, talk, environ["werkzeug.socket"])
        else:
            server.close(cast("Any", _REFUSED), "not as recorded")


def _converse(server: WebSocketServer, player: Player, talk: Talk, target: str) -> bool:
    """Play a websocket up to its end; return whether the client sent the recorded texts."""
    while True:
        match talk.next():
            case Say(delay=delay, text=text):
                player.pause(delay)
                server.send(text)
            case Hear():
                if not player.text_received(talk, str(server.receive()), target):
                    return False
            case _:
                return True


def _end(server: WebSocketServer, talk: Talk, connection: socket.socket) -> None:
    closes, code = talk.closing
    if closes and code is None:
        connection.shutdown(socket.SHUT_RDWR)
    elif closes:
        server.close(cast("Any", code))
        # Its thread ends with the client's answer; until then the socket must not be shut down.
        cast("Any", server.thread).join(_CLOSE_SECONDS)
    else:
        server.receive()  # until the client disconnects


__all__ = ["play_websocket"]
