# SPDX-License-Identifier: Apache-2.0
"""Which addresses a request may go to, by who named its host: `AddressRule`."""

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
"""Where clouds tell a machine its secrets, besides the link-local addresses."""

_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is assigned of IPv6 for public hosts; what Python calls global has more, such as ``fec0::/10``."""

_PROTOCOL_ASSIGNMENTS = ipaddress.ip_network("192.0.0.0/24")
"""Not public (RFC 6890 §2.2.2), which not every supported Python knows."""

_HOLD_IPV4 = tuple(map(ipaddress.ip_network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")))
"""Networks of IPv6 whose last 32 bits are an IPv4 address: compatible, mapped, translated, NAT64."""

_PRIVATE_DOMAINS = (
    ".localhost", ".local", ".internal", ".home.arpa", ".metadata.goog",
    ".corp", ".home", ".intranet", ".lan", ".private",
)  # fmt: skip
"""Names below these are never public hosts.

They are reserved (RFC 6761, RFC 6762, RFC 8375, and ICANN for ``internal``), or private networks use them all
the same (RFC 6762, appendix G).
"""

_NAME = re.compile(
    r"(?:[a-z0-9_-]+\.)*(?!(?:[0-9]+|0x[0-9a-f]*)\.?\Z)[a-z0-9_-]+\.?", re.IGNORECASE | re.ASCII
)
"""A name of plain labels. The last is no number: what ends in one is an address (URL Standard §3.5)."""


class AddressRule(enum.Enum):
    """Which addresses a host may have for a request to go there."""

    ANY = enum.auto()
    """All: the caller named the app, or the address itself."""
    NAMED = enum.auto()
    """All but link-local ones and those of cloud metadata: the caller named the origin, by a name."""
    PUBLIC = enum.auto()
    """Those of public hosts: a server named the origin."""

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
    """Return whether everybody reads a host alike: a name of plain labels, or an address in its usual form.

    Others are read in several ways: percent-encoding is decoded or not, a number with a zero before it is
    octal or decimal, an address with a dot after it is one or a name, a zone is known on one machine only.

    Args:
        host: As it is sent, so without characters beyond ASCII.
    """
    return _NAME.fullmatch(host) is not None or ("%" not in host and is_address(host))


def is_private_name(host: str) -> bool:
    """Return whether a host is a name that is none of a public host, whatever a name server says."""
    name = f".{host.rstrip('.').lower()}"
    return not is_address(host) and (name.count(".") == 1 or name.endswith(_PRIVATE_DOMAINS))


def _ipv4_within(address: _Address) -> _Address:
    """Return the IPv4 address that an IPv6 one stands for, or the same address."""
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
