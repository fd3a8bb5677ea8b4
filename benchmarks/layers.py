# SPDX-License-Identifier: Apache-2.0
"""The layers that the function calls of a benchmark belong to, by the files of the functions."""

from __future__ import annotations

import re

ROOMS = {
    "sync": "interface", "aio": "interface", "client": "interface",
    "adapter": "protocol", "protocol": "protocol", "events": "protocol", "errors": "protocol",
    "engines": "engine",
}  # fmt: skip
"""Rooms of the library -> their layers. All other rooms are "call"."""

PACKAGES = {
    "HTTP": ("aiohttp", "yarl", "multidict", "aiohappyeyeballs", "httpx", "httpcore", "h11", "websocket"),
    "loop": ("asyncio", "anyio", "sniffio"),
}

LAYERS = ("interface", "call", "protocol", "engine", "HTTP", "loop", "rest")
"""In the order of the tables: four of this library, the HTTP library, the event loop, and everything else."""

_PACKAGES = {layer: re.compile(rf"[/ ](?:{'|'.join(names)})(?:[./]|$)") for layer, names in PACKAGES.items()}


def layer_of(filename: str) -> str:
    """Return the layer of a function, by the file of its code, or by the name that attrs generates for it."""
    place = "/" + filename.rpartition("site-packages/")[2]
    _, package, within = place.rpartition("gradio_transport")
    if package:
        is_adapter = within.startswith("_")
        return "protocol" if is_adapter else ROOMS.get(re.split("[/.]", within)[1], "call")
    if place.endswith("/selectors.py"):
        return "loop"
    return next((layer for layer, names in _PACKAGES.items() if names.search(place)), "rest")
