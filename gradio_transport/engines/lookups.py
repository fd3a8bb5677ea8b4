# SPDX-License-Identifier: Apache-2.0
"""Look-ups of a host before a request for which others connect: a proxy, or a client of the caller's.

The engines' own connections need none: they check the address that they connect to (`choose_addresses`).
"""

from __future__ import annotations

import socket
from contextlib import suppress

import anyio

from ..protocol.addresses import AddressRule, is_private_name, is_unambiguous
from .base import Patience
from .connecting import Address, AddressRefusedError, choose_addresses
from .routes import Route


def look_up(host: str) -> list[Address]:
    """Return the addresses of a host.

    Raises:
        OSError: It has none.
    """
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)


async def look_up_async(host: str) -> list[Address]:
    """Return the addresses of a host; see `look_up`."""
    return list(await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM))


def check_host(url: str, host: str, patience: Patience) -> None:
    """Refuse a host that a server named and that others, such as a proxy, may take for another one.

    Args:
        url: That of the request.
        host: As it is sent.
        patience: The bounds of the request.

    Raises:
        RemoteProtocolError: It is such a host.
    """
    if patience.addresses is AddressRule.PUBLIC and not is_unambiguous(host):
        raise patience.address_error(url, host)


def allowed_hosts(url: str, found: list[Address], patience: Patience) -> list[str]:
    """Return the addresses that a request may go to, in the order in which to try them.

    Raises:
        RemoteProtocolError: It may go to none of them.
    """
    try:
        return [str(address[4][0]) for address in choose_addresses(found, patience.addresses)]
    except AddressRefusedError as refused:
        raise patience.address_error(url, refused.address) from None


def connection_rule(url: str, host: str, route: Route, patience: Patience) -> AddressRule:
    """Return the rule for the address that a request's connection is made to: none for that of a proxy.

    A proxy looks names up by itself. The host of a URL that a server named is looked up here too; one that is
    not known here may be known there, because many networks have name servers for the proxy alone.

    Args:
        url: That of the request.
        host: As it is sent.
        route: How the host is reached.
        patience: The bounds of the request.

    Raises:
        RemoteProtocolError: The host has an address here that the request may not go to, or `check_host`
            refuses it.
    """
    check_host(url, host, patience)
    if route.proxy is None:
        return patience.addresses
    found = _numeric(host)
    if not found and patience.addresses is AddressRule.PUBLIC:
        with suppress(OSError):
            found = look_up(host)
    return _rule_for_proxy(url, host, found, patience)


async def connection_rule_async(url: str, host: str, route: Route, patience: Patience) -> AddressRule:
    """Return the rule for the address that a request's connection is made to; see `connection_rule`."""
    check_host(url, host, patience)
    if route.proxy is None:
        return patience.addresses
    found = _numeric(host)
    if not found and patience.addresses is AddressRule.PUBLIC:
        with suppress(OSError), anyio.move_on_after(patience.connect_seconds):
            found = await look_up_async(host)
    return _rule_for_proxy(url, host, found, patience)


def _numeric(host: str) -> list[Address]:
    """Return the address that a host is in any of the spellings that systems take, or none for a name.

    A dot after it is for the resolver alone. Proxies may leave it out.
    """
    with suppress(OSError):
        return socket.getaddrinfo(
            host.rstrip("."), None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    return []


def _rule_for_proxy(url: str, host: str, found: list[Address], patience: Patience) -> AddressRule:
    if not found and patience.addresses is AddressRule.PUBLIC and is_private_name(host):
        raise patience.address_error(url, host)
    allowed_hosts(url, found, patience)
    return AddressRule.ANY
