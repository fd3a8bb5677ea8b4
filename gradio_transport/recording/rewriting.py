# SPDX-License-Identifier: Apache-2.0
"""Moves URLs in pages, JSON and event streams from the app's own address to the proxy's, as they pass.

Only for servers that do not take the proxy for their address: those that know no ``X-Forwarded-Host``, have a
fixed ``root_path``, or stand behind another proxy that overwrites the header. For all others no byte is
changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_KINDS = ("text/html", "application/json", "text/event-stream", "application/manifest+json")

_QUOTES = (b'"', b"'")


def is_rewritable(content_type: str) -> bool:
    """Return whether replies of a content type lead past the proxy if they name the app's address."""
    return content_type.partition(";")[0].strip().lower() in _KINDS


class Rewriter:
    """Replaces URLs at the beginning of quoted texts, in a body that comes in pieces.

    Only there: a URL in the middle of a text is content. What is held back of a piece is the beginning of
    such a URL, so that a complete event or line is never delayed.

    Args:
        moves: URLs to replace, without a slash at the end, to what stands in their place.
    """

    def __init__(self, moves: Mapping[str, str]) -> None:
        self._moves = {old.encode(): new.encode() for old, new in moves.items()}
        urls = sorted(self._moves, key=len, reverse=True)
        self._begun = [quote + url for quote in _QUOTES for url in urls]
        self._longest = max(map(len, self._begun), default=0)
        # Where a piece ends, the URL does: what might go on is held back.
        self._pattern = re.compile(
            rb"(?P<quote>[\"'])(?P<url>%b)(?=[\"'/?#\\]|\Z)" % b"|".join(map(re.escape, urls))
        )
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take a piece, and return what can be passed on."""
        data = self._held + data
        place = self._complete(data)
        self._held = data[place:]
        return self._replaced(data[:place])

    def flush(self) -> bytes:
        """Return what is held back, at the end of the body."""
        held, self._held = self._held, b""
        return self._replaced(held)

    def _replaced(self, data: bytes) -> bytes:
        if not self._moves:
            return data
        return self._pattern.sub(lambda found: found["quote"] + self._moves[found["url"]], data)

    def _complete(self, data: bytes) -> int:
        """Return where a URL may begin that goes on in the next piece."""
        for place in range(max(0, len(data) - self._longest), len(data)):
            if data[place : place + 1] in _QUOTES and any(
                one.startswith(data[place:]) for one in self._begun
            ):
                return place
        return len(data)


__all__ = ["Rewriter", "is_rewritable"]
