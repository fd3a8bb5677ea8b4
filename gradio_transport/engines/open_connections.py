# SPDX-License-Identifier: Apache-2.0
"""`OpenConnections`: the open connections of an engine.

A connection that stays open proves that the server has not been restarted.
"""

from __future__ import annotations

import select
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import attrs

from .layers import is_ready
from .routes import Routes

REMEMBERED = 128
"""The most connections that are remembered. A forgotten one only costs a request to the server."""


@attrs.frozen(eq=False)
class _Opened:
    host: str | None
    port: int
    when: float
    connection: weakref.ref[Any]
    socket_of: Callable[[Any], Any]


class OpenConnections:
    """The newest connections of an engine, each with its server and opening time."""

    def __init__(self, routes: Routes) -> None:
        self._routes = routes
        self._opened: deque[_Opened] = deque(maxlen=REMEMBERED)

    def add(self, host: str | None, port: int, connection: Any, socket_of: Callable[[Any], Any]) -> None:
        """Register a connection that was opened now.

        Args:
            host: Of the server; None if the engine does not know it.
            port: Of the server.
            connection: Referred to weakly.
            socket_of: Returns the socket of the connection, or None once it is closed.
        """
        self._opened.append(_Opened(host, port, time.monotonic(), weakref.ref(connection), socket_of))

    def have_one_since(self, url: str, when: float) -> bool:
        """Return whether a connection to a URL's server has been open since a time of `time.monotonic`.

        Behind a proxy always true, because its connections do not show the state of the server.
        """
        host, port = _server(url)
        for opened in reversed(tuple(self._opened)):
            if opened.when > when or opened.port != port or opened.host not in (host, None):
                continue
            connection = opened.connection()
            sock = None if connection is None else opened.socket_of(connection)
            if sock is None or sock.fileno() < 0:
                # Else each later call would look at it again: an app of websockets closes one after each.
                with suppress(ValueError):  # another thread may have removed it
                    self._opened.remove(opened)
            elif not is_hung_up(sock):
                return True
        return self._routes.find(url).proxy is not None


def is_hung_up(sock: Any) -> bool:
    """Return whether a connection is closed or broken, even if the peer's last bytes are still unread.

    If the system cannot report that (Linux can), unread bytes count as the end.
    """
    try:
        if not hasattr(select, "POLLRDHUP"):
            return is_ready(sock, 0)
        poll = select.poll()
        poll.register(sock, select.POLLRDHUP)
        return bool(poll.poll(0))
    except (OSError, ValueError):  # closed by the client
        return True


@lru_cache(maxsize=64)  # used for each call
def _server(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    host = parts.hostname or ""
    ascii_host = host if host.isascii() else host.encode("idna").decode()
    return ascii_host, parts.port or (443 if parts.scheme == "https" else 80)
