# SPDX-License-Identifier: Apache-2.0
"""Connecting of a socket to a host with several addresses (RFC 8305): the first one that answers."""

from __future__ import annotations

import errno
import itertools
import math
import os
import selectors
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias, cast

from ..protocol.addresses import AddressRule
from .bounds import Bounds

NEXT_ADDRESS_SECONDS = 0.25
"""Seconds before the next address of a host is tried too (RFC 8305 §5)."""

Address: TypeAlias = tuple[Any, ...]
"""An item of `socket.getaddrinfo`."""


class AddressRefusedError(OSError):
    """A host has no allowed address. For engines, never for drivers.

    Attributes:
        address: One of its addresses.
    """

    def __init__(self, address: str) -> None:
        super().__init__("the request may not go to that address")
        self.address = address


def check_address(address: Address, rule: AddressRule) -> None:
    """Reject an address that a rule does not allow.

    Raises:
        AddressRefusedError: The rule does not allow it.
    """
    host = str(address[4][0])
    if not rule.allows(host):
        raise AddressRefusedError(host)


def choose_addresses(addresses: Iterable[Address], rule: AddressRule) -> list[Address]:
    """Return the allowed addresses, in the order to try them.

    Raises:
        AddressRefusedError: It allows none of them.
    """
    found = alternate_families(addresses)
    allowed = [address for address in found if rule.allows(str(address[4][0]))]
    if found and not allowed:
        raise AddressRefusedError(str(found[0][4][0]))
    return allowed


def alternate_families(addresses: Iterable[Address]) -> list[Address]:
    """Return addresses with IPv6 and IPv4 alternating, starting with the system's first (RFC 8305 §4)."""
    families: dict[Any, list[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], []).append(address)
    turns = itertools.zip_longest(*families.values())
    return [address for turn in turns for address in turn if address is not None]


def connect(host: str, port: int, bounds: Bounds) -> socket.socket:
    """Return a connected non-blocking socket.

    Raises:
        OSError: No address could be connected to, or none is allowed.
        LateError: There was no connection in time.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = choose_addresses(found, bounds.addresses)
    with selectors.DefaultSelector() as selector:
        try:
            connected = _race(selector, iter(addresses), bounds)
        finally:
            for key in list(selector.get_map().values()):
                if isinstance(key.fileobj, socket.socket):
                    selector.unregister(key.fileobj)
                    key.fileobj.close()
    with suppress(OSError):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


def _race(selector: selectors.BaseSelector, addresses: Iterator[Address], bounds: Bounds) -> socket.socket:
    """Return the first socket that connects; the selector keeps the others."""
    failure = OSError("the host has no address")
    next_at = 0.0
    while True:
        if time.monotonic() >= next_at:
            address = next(addresses, None)
            next_at = math.inf if address is None else time.monotonic() + NEXT_ADDRESS_SECONDS
            try:
                if address is not None:
                    selector.register(_begin(address), selectors.EVENT_WRITE)
            except OSError as error:
                failure, next_at = error, 0.0
        if not selector.get_map():
            if next_at == math.inf:
                raise failure
            next_at = 0.0
            continue
        seconds = min(bounds.seconds_left(), max(next_at - time.monotonic(), 0.0))
        for key, _ in selector.select(None if seconds == math.inf else seconds):
            tried: Any = key.fileobj
            selector.unregister(tried)
            code = tried.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not code:
                return cast("socket.socket", tried)
            tried.close()
            failure, next_at = OSError(code, os.strerror(code)), 0.0


def _begin(address: Address) -> socket.socket:
    family, kind, protocol, _, target = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        code = sock.connect_ex(target)
        if code not in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
            raise OSError(code, os.strerror(code))
    except BaseException:
        sock.close()
        raise
    return sock
