# SPDX-License-Identifier: Apache-2.0
"""The hosts that get requests on reused connections."""

from __future__ import annotations

import time

DISTRUST_SECONDS = 60.0
"""Seconds that a host only gets new connections after it closed one during a request."""


class KeptConnections:
    """The hosts that close connections when the next request arrives.

    A server may close an idle connection at any moment (RFC 9112 §9.5), so some requests fail. Some servers
    close each connection a few milliseconds after the reply, so most requests of a call would fail. A new
    connection costs less than a lost call, and such a server keeps none anyway.
    """

    def __init__(self) -> None:
        self._distrusted: dict[str, float] = {}

    def are_trusted(self, url: str) -> bool:
        """Return whether a kept connection may be used for the host of a URL."""
        if not self._distrusted:  # the usual case
            return True
        return time.monotonic() >= self._distrusted.get(_origin(url), 0.0)

    def distrust(self, url: str) -> None:
        """Use new connections for the host of a URL for a while."""
        self._distrusted[_origin(url)] = time.monotonic() + DISTRUST_SECONDS


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
