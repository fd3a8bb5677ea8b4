# SPDX-License-Identifier: Apache-2.0
"""A check of the headers of a request, for libraries that send what they are given."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import LocalProtocolError

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name (RFC 9110 §5.6.2)."""

_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
"""A header's value (RFC 9110 §5.5): no line end or other control character, and nothing outside Latin-1."""


def check_headers(headers: Mapping[str, str]) -> None:
    """Refuse headers that HTTP does not allow. A line end in a value would begin another header.

    Raises:
        LocalProtocolError: It names the header and never shows the value, which may be a secret.
    """
    for name, value in headers.items():
        if not _NAME.fullmatch(name):
            raise LocalProtocolError(f"HTTP does not allow the header name {name[:40]!r}. Nothing was sent.")
        if not _VALUE.fullmatch(value):
            raise LocalProtocolError(
                f"The value of the header {name!r} has a line end, another control character, or a character "
                "outside Latin-1, which HTTP does not allow. Nothing was sent. (The value is not shown.)"
            )
