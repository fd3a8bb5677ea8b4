# SPDX-License-Identifier: Apache-2.0
"""The proxies of the environment, and the hosts that are reached without them.

Python itself supports names and their subdomains in ``NO_PROXY``. curl and Go also support networks. Here an
entry may be:

- ``*`` for every host;
- a name, also with a dot or ``*.`` before it, for the host and its subdomains; another ``*`` is any text;
- an address, or a network such as ``10.0.0.0/8`` or ``fd00::/8``;
- any of them followed by ``:port``, for that port only. An IPv6 address has brackets then.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from urllib.request import getproxies, getproxies_environment, proxy_bypass

_PORT = re.compile(r"(\[.*\]|[^:]*):(\d+)")
"""A host with a port; more than one colon without brackets is an IPv6 address."""


def find_proxy(scheme: str, host: str, port: int) -> tuple[str, str] | None:
    """Return the URL of the environment's proxy for a host, and the name of the variable, or None.

    On macOS and Windows the system's settings apply if there is no variable, as in Python's own client.
    """
    proxies = _proxies()
    url = proxies.get(scheme) or proxies.get("all")
    if not url or is_excepted(proxies.get("no", ""), host, port) or proxy_bypass(host):
        return None
    return url if "://" in url else f"http://{url}", _variable(url, scheme)


def proxy_urls() -> list[str]:
    """Return the URLs of all proxies of the environment."""
    return [url for scheme, url in _proxies().items() if scheme != "no"]


def _proxies() -> Mapping[str, str]:
    """Return the proxies of the environment or the system by scheme, and under ``"no"`` the exceptions."""
    # Why not always ask urllib: Python 3.11 reads every variable twice, and each connection asks two times.
    if getproxies is getproxies_environment and "_proxy" not in " ".join(os.environ).lower():
        return {}
    return getproxies()


def _variable(url: str, scheme: str) -> str:
    names = [f"{kind}_proxy" for kind in (scheme, "all")]
    found = (name for known in names for name in (known, known.upper()) if os.environ.get(name) == url)
    return next(found, "the system's settings")


def is_excepted(no_proxy: str, host: str, port: int) -> bool:
    """Return whether a host is reached without a proxy, by the text of ``NO_PROXY``.

    Args:
        no_proxy: Entries separated by commas or spaces.
        host: A name or an address, without brackets.
        port: Port of the URL, or of its scheme.
    """
    host = host.rstrip(".").lower()
    return any(_covers(entry.lower(), host, port) for entry in re.split(r"[,\s]+", no_proxy) if entry)


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    with_port = _PORT.fullmatch(entry)
    if with_port is not None:
        entry = with_port[1]
        if int(with_port[2]) != port:
            return False
    address = _address(host)
    if address is not None:
        try:
            return address in ip_network(entry.strip("[]"), strict=False)
        except ValueError:  # the entry is a name
            return fnmatchcase(host, entry)
    name = entry.removeprefix("*").strip(".")
    if not name:
        return False
    return fnmatchcase(host, name) or fnmatchcase(host, f"*.{name}")


def _address(host: str) -> object:
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None
