# SPDX-License-Identifier: Apache-2.0
"""`AddressRule`: the addresses that a request may go to, by the source of its host."""

from __future__ import annotations

import enum
import ipaddress
import re

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = tuple(
    map(
        ipaddress.ip_network,
        (
            "100.100.100.200/32",  # Alibaba
            "168.63.129.16/32",  # Azure
            "192.0.0.192/32",  # Oracle
            "fd00:42::42/128",  # Scaleway
            "fd00:ec2::/32",  # AWS
            "fd20:ce::254/128",  # Google
        ),
    )
)
"""Cloud metadata addresses, besides the link-local ones."""

_UNICAST = ipaddress.ip_network("2000::/3")
"""The IPv6 range for public hosts. Python's ``is_global`` includes more, such as ``fec0::/10``."""

_PROTOCOL_ASSIGNMENTS = ipaddress.ip_network("192.0.0.0/24")
"""Not public (RFC 6890 §2.2.2), which some supported versions of Python do not know."""

_HOLD_IPV4 = tuple(map(ipaddress.ip_network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
"""Networks of IPv6 whose last 32 bits are an IPv4 address: compatible, mapped, translated, NAT64."""

_PRIVATE_DOMAINS = (
    ".localhost", ".local", ".internal", ".home.arpa", ".metadata.goog",
    ".corp", ".home", ".intranet", ".lan", ".private",
)  # fmt: skip
"""Domains that never have public hosts.

They are reserved (RFC 6761, RFC 6762, RFC 8375, and ICANN for ``internal``), or private networks use them
anyway (RFC 6762, appendix G).
"""

_NAME = re.compile(
    r"(?:[a-z0-9_-]+\.)*(?!(?:[0-9]+|0x[0-9a-f]*)\.?\Z)[a-z0-9_-]+\.?", re.IGNORECASE | re.ASCII
)
"""A name of plain labels. The last is not a number, as in an address (URL Standard §3.5)."""


class AddressRule(enum.Enum):
    """The addresses that a host may have for a request."""

    ANY = enum.auto()
    """All: the caller named the app or the address itself."""
    NAMED = enum.auto()
    """All but link-local ones and those of cloud metadata: the caller named the origin, by a name."""
    PUBLIC = enum.auto()
    """Only those of public hosts: a server named the origin."""

    def allows(self, address: str) -> bool:
        """Return whether an address, as ``getaddrinfo`` returns it, may be connected to."""
        if self is AddressRule.ANY:
            return True
        try:
            parsed = _ipv4_within(ipaddress.ip_address(address))
        except ValueError:
            return False
        if parsed.is_link_local or any(parsed in network for network in _METADATA):
            return False
        return self is AddressRule.NAMED or _is_public(parsed)


def is_address(host: str) -> bool:
    """Return whether a host is an address in its usual form: not a name, not an octal or decimal number."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_unambiguous(host: str) -> bool:
    """Return whether a host is unambiguous: a name of plain labels, or an address in its usual form.

    Others have several readings: percent-encoding is decoded or not, a number with a leading zero is octal or
    decimal, an address with a trailing dot is an address or a name, a zone is local to one machine.

    Args:
        host: The host as it is sent, in ASCII.
    """
    return _NAME.fullmatch(host) is not None or ("%" not in host and is_address(host))


def is_private_name(host: str) -> bool:
    """Return whether a host is a private name, independent of name servers."""
    name = f".{host.rstrip('.').lower()}"
    return not is_address(host) and (name.count(".") == 1 or name.endswith(_PRIVATE_DOMAINS))


def _ipv4_within(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 one embeds, or the same address."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.teredo is not None:
        return address.teredo[1]
    if any(address in network for network in _HOLD_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or address


def _is_public(address: _Address) -> bool:
    if address.version == 6 and address not in _UNICAST:
        return False
    return address.is_global and not address.is_multicast and address not in _PROTOCOL_ASSIGNMENTS
