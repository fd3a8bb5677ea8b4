# SPDX-License-Identifier: Apache-2.0
"""An internet of our own: names with the addresses that a test gives them, and hosts that are servers on loopback.

Nothing leaves the machine: a connection to any other address is refused, and remembered.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest


class Internet:
    """What a test sets up, and what was done.

    Attributes:
        names: The answers to the look-ups of a name, in turn; the last one holds. An empty one fails.
        hosts: Addresses, with a port or for all ports (0), and the port of loopback that they lead to.
        asked: The names that were looked up.
        reached: The addresses and ports, other than of loopback, that were connected to or tried.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.hosts: dict[tuple[str, int], int] = {}
        self.asked: list[str] = []
        self.reached: list[tuple[str, int]] = []

    def look_up(self, host: Any, port: Any, *arguments: Any, **options: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        answers = self.names.get(name)
        flags = options.get("flags", arguments[3] if len(arguments) > 3 else 0)
        if answers is None or flags & socket.AI_NUMERICHOST:
            if name != "localhost":
                options["flags"] = flags | socket.AI_NUMERICHOST
                arguments = arguments[:3]
            return _getaddrinfo(host, port, *arguments, **options)
        self.asked.append(name)
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        if not addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [_address(one, int(port or 0)) for one in addresses]

    def lead(self, target: Any) -> Any:
        """Return where a connection leads, or None if it is refused."""
        host, port = str(target[0]), int(target[1])
        if host.startswith("127.") or host in ("::1", "localhost"):
            return target
        self.reached.append((host, port))
        local = self.hosts.get((host, port)) or self.hosts.get((host, 0))
        return None if local is None else ("127.0.0.1", local)


def _address(one: str, port: int) -> Any:
    if ":" in one:
        return (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, port, 0, 0))
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))


_getaddrinfo = socket.getaddrinfo


@contextlib.contextmanager
def internet() -> Iterator[Internet]:
    """Replace look-ups and connections of this process."""
    made = Internet()
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def led(sock: socket.socket, target: Any) -> Any:
        return made.lead(target) if sock.family in (socket.AF_INET, socket.AF_INET6) else target

    def connect_led(sock: socket.socket, target: Any) -> None:
        where = led(sock, target)
        if where is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        connect(sock, where)

    def connect_ex_led(sock: socket.socket, target: Any) -> int:
        where = led(sock, target)
        return errno.ECONNREFUSED if where is None else connect_ex(sock, where)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", made.look_up)
        patch.setattr(socket.socket, "connect", connect_led)
        patch.setattr(socket.socket, "connect_ex", connect_ex_led)
        yield made
