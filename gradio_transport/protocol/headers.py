# SPDX-License-Identifier: Apache-2.0
"""Checks of headers (RFC 9110 §5). A line end in a value would start another header."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ..errors import LocalProtocolError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

HARMLESS_HEADERS = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "accept-ranges", "cache-control", "connection",
        "content-disposition", "content-encoding", "content-language", "content-length", "content-range",
        "content-type", "date", "host", "if-range", "location", "origin", "pragma", "range", "retry-after",
        "server", "te", "traceparent", "transfer-encoding", "upgrade", "user-agent", "x-correlation-id",
        "x-gradio-user", "x-request-id",
    }
)  # fmt: skip
"""Headers, in lower case, whose values are not secret. The value of any other header may be."""


@lru_cache(maxsize=256)  # used for each header of each request
def is_header_name(name: str) -> bool:
    """Return whether a text can be the name of a header, or of a cookie."""
    return _NAME.fullmatch(name) is not None


def value_problem(value: str) -> str | None:
    """Return why a text cannot be sent as the value of a header, and what to do, or None if it can."""
    if any((ord(character) < 32 and character != "\t") or ord(character) == 127 for character in value):
        return "has a line end or another control character, which HTTP does not allow"
    if value != value.strip(" \t"):
        return "begins or ends with a blank, which HTTP would remove. Remove it"
    if not value.isascii():
        return "has characters outside ASCII, which servers read differently. Percent-encode it"
    return None


def check_headers(headers: Mapping[str, str]) -> None:
    """Reject headers that cannot be sent.

    Raises:
        LocalProtocolError: The message names the header and never shows the value, which may be a secret.
    """
    for name, value in headers.items():
        if not is_header_name(name):
            raise LocalProtocolError(f"HTTP does not allow the header name {name[:40]!r}. Nothing was sent.")
        if value.isascii() and value.isprintable() and value.strip() == value:  # the usual case
            continue
        problem = value_problem(value)
        if problem is not None:
            raise LocalProtocolError(
                f"The value of the header {name!r} {problem}. Nothing was sent. (The value is not shown.)"
            )
