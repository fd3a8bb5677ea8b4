# SPDX-License-Identifier: Apache-2.0
"""Rewriting of URLs in pages, JSON and event streams from the app's address to the proxy's.

Only for servers that do not treat the proxy as their address: those that ignore ``X-Forwarded-Host``, have a
fixed ``root_path``, or are behind another proxy that overwrites the header. For all others no byte is
changed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_KINDS = ("text/html", "application/json", "text/event-stream", "application/manifest+json")

_QUOTES = (b'"', b"'")


def is_rewritable(content_type: str) -> bool:
    """Return whether replies of a content type may contain URLs that bypass the proxy."""
    return content_type.partition(";")[0].strip().lower() in _KINDS


class Rewriter:
    """A rewriter of URLs at the start of quoted texts, in a body that arrives in pieces.

    Only there, because a URL in the middle of a text is content. It only holds back the start of such a URL,
    so a complete event or line is never delayed.

    Args:
        moves: URLs to replace, without a trailing slash, to their replacements.
    """

    def __init__(self, moves: Mapping[str, str]) -> None:
        self._moves = {old.encode(): new.encode() for old, new in moves.items()}
        urls = sorted(self._moves, key=len, reverse=True)
        self._begun = [quote + url for quote in _QUOTES for url in urls]
        self._longest = max(map(len, self._begun), default=0)
        # At the end of a piece, a URL that may continue is held back.
        self._pattern = re.compile(
            rb"(?P<quote>[\"'])(?P<url>%b)(?=[\"'/?#\\]|\Z)" % b"|".join(map(re.escape, urls))
        )
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Process a piece, and return the part that can be forwarded."""
        data = self._held + data
        place = self._complete(data)
        self._held = data[place:]
        return self._replaced(data[:place])

    def flush(self) -> bytes:
        """Return the held-back part at the end of the body."""
        held, self._held = self._held, b""
        return self._replaced(held)

    def _replaced(self, data: bytes) -> bytes:
        if not self._moves:
            return data
        return self._pattern.sub(lambda found: found["quote"] + self._moves[found["url"]], data)

    def _complete(self, data: bytes) -> int:
        """Return the index of a URL that may continue in the next piece."""
        for place in range(max(0, len(data) - self._longest), len(data)):
            if data[place : place + 1] in _QUOTES and any(
                one.startswith(data[place:]) for one in self._begun
            ):
                return place
        return len(data)


__all__ = ["Rewriter", "is_rewritable"]
