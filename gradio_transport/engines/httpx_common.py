# SPDX-License-Identifier: Apache-2.0
"""Names that the engine over aiohttp and websocket-client take from here; they are defined elsewhere."""

from __future__ import annotations

from .replies import (
    CHUNK_BYTES,
    answer_timeout,
    connect_error,
    connect_timeout,
    drop_after_bytes,
    incomplete_body_error,
    reason,
    shut_down_socket,
    unpacker,
)
from .routes import KEPT_ALIVE_SECONDS, Route, Routes
from .tls import ssl_context

__all__ = [
    "CHUNK_BYTES",
    "KEPT_ALIVE_SECONDS",
    "Route",
    "Routes",
    "answer_timeout",
    "connect_error",
    "connect_timeout",
    "drop_after_bytes",
    "incomplete_body_error",
    "reason",
    "shut_down_socket",
    "ssl_context",
    "unpacker",
]
