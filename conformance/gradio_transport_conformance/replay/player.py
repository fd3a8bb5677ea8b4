# SPDX-License-Identifier: Apache-2.0
"""The timing of a script: a `Player` waits, paces, and stops, for any host."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

import attrs

from gradio_transport.protocol.commands import Ending

from .recording import Hear, Part, Say
from .script import Reply

PATIENCE_SECONDS = 10.0
"""Seconds that a stream waits for requests that were recorded before its next part."""

OVERTAKEN_SECONDS = 2.0
"""The same if later requests of their path have arrived: they are on their way, or the client makes none."""


class Talk(Protocol):
    """The messages of a websocket: a `WebSocketScript`, or an equivalent object."""

    @property
    def refusal(self) -> int | None:
        """Status to refuse the handshake with."""
        ...

    @property
    def closing(self) -> tuple[bool, int | None]:
        """Whether the server ends the socket, and its close code; None to break it without a close frame."""
        ...

    def next(self) -> Say | Hear | None:
        """Return the next step, or None at the end."""
        ...

    def text_received(self, text: str) -> str:
        """Accept a text of the client; return the reason if it is refused."""
        ...


class Script(Protocol):
    """The replies to requests: a `ReplayScript`, or an equivalent object."""

    @property
    def base(self) -> str:
        """The address that clients know."""
        ...

    @base.setter
    def base(self, url: str) -> None: ...

    def request(self, method: str, target: str, body: bytes = b"", cookie: str = "") -> Reply:
        """Return the reply to a request."""
        ...

    def websocket(self, target: str) -> Talk | None:
        """Return the messages of a websocket, or None to refuse it."""
        ...


class Broken(Exception):
    """The connection must be broken now."""


@attrs.frozen
class Heard:
    """A request of a client, or a text of it on a websocket that was refused.

    Attributes:
        method: ``"WS"`` for a websocket.
        target: Path and query.
        status: The status of the reply; None if the connection breaks. 101 for a websocket.
        refusal: The reason if it was refused: the request, and the expected one.
    """

    method: str
    target: str
    status: int | None
    refusal: str = ""


ALLOWED = {"access-control-allow-methods": "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"}


def allow_origin(origin: str | None) -> dict[str, str]:
    """Return the headers that let the page of another origin read a reply; none for other clients."""
    if origin is None:
        return {}
    return {"access-control-allow-origin": origin, "access-control-allow-credentials": "true"}


def _ignore(_: Heard) -> None:
    pass


class Player:
    """The timing for every host: it waits, paces, and stops on request.

    Args:
        script: The script to play.
        speed: 1.0 keeps the recorded pace, 2.0 is twice as fast, 0 does not wait at all.
        log: Called with each request, from the thread of its connection.
    """

    def __init__(self, script: Script, speed: float, log: Callable[[Heard], None] | None = None) -> None:
        self._script = script
        self._speed = speed
        self._log = log or _ignore
        self._changed = threading.Condition()
        self._stopped = False
        self._connections: set[socket.socket] = set()

    def request(self, method: str, target: str, body: bytes, cookie: str = "") -> Reply:
        """Return the reply to a request, and wake the parts that waited for it."""
        with self._changed:
            reply = self._script.request(method, target, body, cookie)
            self._changed.notify_all()
        self._log(Heard(method, target, reply.status, reply.refusal))
        return reply

    def websocket(self, target: str) -> Talk | None:
        """Return the messages of a websocket."""
        with self._changed:
            talk = self._script.websocket(target)
        status = 403 if talk is None else talk.refusal or 101
        self._log(Heard("WS", target, status, "" if talk else "no websocket was recorded here"))
        return talk

    def text_received(self, talk: Talk, text: str, target: str = "") -> bool:
        """Pass a client's text on a websocket to its script; return whether the script continues."""
        with self._changed:
            refusal = talk.text_received(text)
        if refusal:
            self._log(Heard("WS", target, None, refusal))
        return not refusal

    def parts(self, reply: Reply, connection: socket.socket) -> Iterator[bytes]:
        """Yield the parts of a reply at their times.

        Raises:
            Broken: The reply must break off.
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
        """Wait according to the recorded pace and the speed."""
        if self._speed > 0 and seconds > 0:
            self._wait(lambda: False, seconds / self._speed)
        if self._stopped:
            raise Broken

    def _wait_for(self, reply: Reply, part: Part) -> bool:
        if not self._wait(lambda: reply.ready(part) or reply.overtaken(part), PATIENCE_SECONDS):
            return False
        if not self._wait(lambda: reply.ready(part), OVERTAKEN_SECONDS):
            with self._changed:
                reply.give_up(part)
        return True

    def _wait(self, ready: Callable[[], bool], seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: ready() or self._stopped, seconds)

    def hold(self, connection: socket.socket) -> None:
        """Wait until the client disconnects, or the server stops."""
        with suppress(OSError):
            while connection.recv(4096):
                pass

    def connection_opened(self, connection: socket.socket) -> None:
        """Register a connection, to break it when the server stops."""
        with self._changed:
            self._connections.add(connection)

    def connection_closed(self, connection: socket.socket) -> None:
        """Remove a registered connection."""
        with self._changed:
            self._connections.discard(connection)

    def stop(self) -> None:
        """Wake all waiting threads, and break every connection."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            connections = list(self._connections)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


__all__ = ["ALLOWED", "PATIENCE_SECONDS", "Broken", "Heard", "Player", "Script", "Talk", "allow_origin"]
