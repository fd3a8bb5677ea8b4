# SPDX-License-Identifier: Apache-2.0
"""Which hosts are sent a request on a connection that has served another one before."""

from __future__ import annotations

import time

DISTRUST_SECONDS = 60.0
"""How long a host is asked on fresh connections only, after it closed one under a request."""


class KeptConnections:
    """The hosts that close connections when the next request arrives.

    A server may close an idle connection at any moment (RFC 9112 §9.5), so now and then a request meets that.
    Some close each of theirs a few milliseconds after the reply, which most requests of a call would meet. A
    fresh connection costs less than a lost call, and such a server keeps none anyway.
    """

    def __init__(self) -> None:
        self._distrusted: dict[str, float] = {}

    def are_trusted(self, url: str) -> bool:
        """Return whether the host of a URL may be asked on a kept connection."""
        if not self._distrusted:  # as nearly always
            return True
        return time.monotonic() >= self._distrusted.get(_origin(url), 0.0)

    def distrust(self, url: str) -> None:
        """Ask the host of a URL on fresh connections for a while."""
        self._distrusted[_origin(url)] = time.monotonic() + DISTRUST_SECONDS


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])
