# SPDX-License-Identifier: Apache-2.0
"""One test for every face: an app whose methods are awaited where they have to be."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import nullcontext
from importlib import import_module
from typing import Any

import anyio

import gradio_transport as gt

FACES = ("sync", "asyncio", "trio", "asyncio+aiohttp")

ENGINES = (
    *FACES, "sync+httpx2", "asyncio+httpx2",
    "sync+httpx.Client", "sync+httpx2.Client", "asyncio+httpx.AsyncClient", "asyncio+httpx2.AsyncClient",
)  # fmt: skip
"""The faces with every engine, also with an HTTP client of the caller's own."""


def with_app(face: str, url: str, use: Callable[[Any, Callable[[Any], Any]], Any], **arguments: Any) -> Any:
    """Connect, and return what the coroutine function `use` returns for the app.

    It is given the app and a function that waits for whatever a method of either face gives: by the sync face
    the coroutine is run to its end without an event loop, so it must not await anything else.
    """
    face, _, engine = face.partition("+")
    library, _, own_client = engine.partition(".")
    client = getattr(import_module(library), own_client)() if own_client else None
    if engine:
        arguments["engine"] = client or engine
    if face == "sync":
        with client or nullcontext(), gt.connect(url, **arguments) as app:
            return _run(use(app, _itself))

    async def main() -> Any:
        async with client or nullcontext(), gt.connect_async(url, **arguments) as app:
            return await use(app, _awaited)

    return anyio.run(main, backend=face)


async def _itself(value: Any) -> Any:
    return value


async def _awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def _run(coroutine: Any) -> Any:
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the sync face awaited something")
