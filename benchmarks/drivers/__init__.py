# SPDX-License-Identifier: Apache-2.0
"""What is measured: each module drives one library, behind one interface, in a process of its own.

Nothing but the standard library is imported here, because each library lives in an environment of its own.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

DRIVERS = {
    "gradio_client": "gradio:GradioClient",
    "transport-sync": "transport:Sync",
    "transport-async": "transport:Async",
    "transport-aiohttp": "transport:Aiohttp",
    "transport-client": "familiar:Familiar",
    "httpx-sync": "bare_httpx:Sync",
    "httpx-async": "bare_httpx:Async",
    "aiohttp": "bare_aiohttp:Bare",
    "raw-asyncio": "raw:Raw",
    "websocket-client": "bare_websocket:Sync",
    "aiohttp-ws": "bare_websocket:Aiohttp",
}
"""Name -> module and class."""

OnValue = Callable[[Any], object]


class Driver:
    """One library. Blocking libraries block in their coroutines, which are then run without an event loop."""

    loop = False
    """Whether it needs asyncio."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def open(self) -> None:
        """Connect: fetch and read what the app says of itself."""
        raise NotImplementedError

    async def close(self) -> None:
        """Close every connection."""
        raise NotImplementedError

    async def call(self, value: str) -> Any:
        """Call ``/hello`` and return its output."""
        raise NotImplementedError

    async def many(self, count: int, under_way: Callable[[], object]) -> int:
        """Have many calls in flight at once, say so when the first is done, and return how many failed."""
        raise NotImplementedError

    async def stream(self, endpoint: str, argument: str, on_value: OnValue) -> None:
        """Call a generator and hand on each of its values as it comes."""
        raise NotImplementedError

    async def cancel(self, moment: Callable[[], object]) -> None:
        """Call ``/forever``, and cancel it once it has begun; `moment` is told right before."""
        raise NotImplementedError

    async def download(self, directory: str) -> None:
        """Save the server's large file."""
        raise NotImplementedError

    async def upload(self, path: str) -> None:
        """Send a file."""
        raise NotImplementedError


def driver(name: str, url: str) -> Driver:
    """Return a driver by name."""
    module, _, member = DRIVERS[name].partition(":")
    made: Driver = getattr(importlib.import_module(f"{__name__}.{module}"), member)(url)
    return made
