# SPDX-License-Identifier: Apache-2.0
"""The replacement of recorded session hashes and addresses by those of the client that is served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs

from .recording import Part

_OWN_HEADERS = frozenset(
    {"connection", "content-encoding", "content-length", "date", "keep-alive", "server", "transfer-encoding"}
)
"""Headers of replies that the host sets itself."""

Names: TypeAlias = Mapping[str, str]
"""Recorded session hashes and address -> those of the client that is served."""


REDACTED = "REDACTED"

COOKIE = "access-token-unsecure=recorded"
"""The cookie of a login: the recorded cookies were redacted."""


def rename_headers(headers: Mapping[str, str], names: Names) -> dict[str, str]:
    """Return the headers to send: without those that the host sets, with a cookie for the redacted ones."""
    minted = {
        name: f"{COOKIE}; HttpOnly; Path=/; SameSite=lax"
        for name, value in headers.items()
        if name.lower() == "set-cookie" and value == REDACTED
    }
    return minted | {
        name: rename_bytes(value.encode(), names).decode()
        for name, value in headers.items()
        if name.lower() not in _OWN_HEADERS and value != REDACTED
    }


def rename_bytes(data: bytes, names: Names) -> bytes:
    """Return data with every recorded name replaced."""
    for recorded, here in names.items():
        data = data.replace(recorded.encode(), here.encode())
    return data


def rename_parts(parts: Sequence[Part], names: Names) -> list[Part]:
    """Return the parts of a reply with the names replaced; a name that is split goes with the latter part."""
    renamed: list[Part] = []
    held = b""
    for number, part in enumerate(parts):
        data = held + part.data
        last = number == len(parts) - 1
        length = 0 if last else max((_overlap(name.encode(), data) for name in names), default=0)
        held = data[len(data) - length :]
        renamed.append(attrs.evolve(part, data=rename_bytes(data[: len(data) - length], names)))
    return renamed


def _overlap(name: bytes, data: bytes) -> int:
    lengths = range(min(len(name) - 1, len(data)), 0, -1)
    return next((length for length in lengths if data.endswith(name[:length])), 0)


__all__ = ["COOKIE", "Names", "rename_bytes", "rename_headers", "rename_parts"]
