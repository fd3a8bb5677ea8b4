# SPDX-License-Identifier: Apache-2.0
"""Host look-ups for requests that a proxy or the caller's client connects.

The engines' own connections do not need them: they check the address that they connect to
(`choose_addresses`).
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
        OSError: It has no address.
    """
    return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)


async def look_up_async(host: str) -> list[Address]:
    """Return the addresses of a host; see `look_up`."""
    return list(await anyio.getaddrinfo(host, None, type=socket.SOCK_STREAM))


def check_host(url: str, host: str, patience: Patience) -> None:
    """Reject a host from a server that others, such as a proxy, may interpret differently.

    Args:
        url: That of the request.
        host: As it is sent.
        patience: The bounds of the request.

    Raises:
        RemoteProtocolError: The host is ambiguous.
    """
    if patience.addresses is AddressRule.PUBLIC and not is_unambiguous(host):
        raise patience.address_error(url, host)


def allowed_hosts(url: str, found: list[Address], patience: Patience) -> list[str]:
    """Return the allowed addresses of a request, in the order to try them.

    Raises:
        RemoteProtocolError: No address is allowed.
    """
    try:
        return [str(address[4][0]) for address in choose_addresses(found, patience.addresses)]
    except AddressRefusedError as refused:
        raise patience.address_error(url, refused.address) from None


def connection_rule(url: str, host: str, route: Route, patience: Patience) -> AddressRule:
    """Return the address rule of a request's connection. There is none for the address of a proxy.

    A proxy looks up names itself. The host of a URL from a server is also looked up here. A name that is
    unknown here may be known to the proxy, because in many networks only the proxy has name servers.

    Args:
        url: That of the request.
        host: As it is sent.
        route: How the host is reached.
        patience: The bounds of the request.

    Raises:
        RemoteProtocolError: The host has a forbidden address here, or `check_host` rejects it.
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
    """Return the address rule of a request's connection; see `connection_rule`."""
    check_host(url, host, patience)
    if route.proxy is None:
        return patience.addresses
    found = _numeric(host)
    if not found and patience.addresses is AddressRule.PUBLIC:
        with suppress(OSError), anyio.move_on_after(patience.connect_seconds):
            found = await look_up_async(host)
    return _rule_for_proxy(url, host, found, patience)


def _numeric(host: str) -> list[Address]:
    """Return the address that a host is in any accepted spelling, or None for a name.

    A trailing dot is only for the resolver. Proxies may drop it.
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
