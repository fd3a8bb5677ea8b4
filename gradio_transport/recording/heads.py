# SPDX-License-Identifier: Apache-2.0
"""Heads of replies whose bytes are not UTF-8, such as a file name in Latin-1.

aiohttp reads such bytes as surrogates, and omits them when it writes. A request has the writer of its reply,
which `make_request` replaces.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.http import StreamWriter
from multidict import CIMultiDict

from .headers import is_utf8


class _HeadWriter(StreamWriter):
    """A writer that writes a head with its original bytes."""

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        lines = [status_line, *(f"{name}: {value}" for name, value in headers.items())]
        if all(map(is_utf8, lines)) or self.transport is None:
            await super().write_headers(status_line, headers)
            return
        if any(mark in line for line in lines for mark in "\r\n\0"):
            raise ValueError("A line of a head contains a line break.")
        self.transport.write("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape"))


def make_request(
    message: Any, payload: Any, protocol: Any, _: Any, task: asyncio.Task[None]
) -> web.BaseRequest:
    """Return a request whose reply keeps the bytes of its head; a ``request_factory`` of `web.Server`."""
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, _HeadWriter(protocol, loop), task, loop)
