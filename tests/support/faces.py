# SPDX-License-Identifier: Apache-2.0
"""One test for every face: an app whose methods are awaited where they have to be."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import httpx
import httpx2

import gradio_transport as gt

FACES = ("sync", "asyncio", "trio", "asyncio+aiohttp")

ENGINES = (
    *FACES, "sync+httpx2", "asyncio+httpx2",
    "sync+client", "asyncio+client", "sync+httpx2 client", "asyncio+httpx2 client",
)  # fmt: skip
"""Every engine of every face; a ``client`` is an HTTP client of the caller's."""


def with_app(face: str, url: str, use: Callable[[Any, Callable[[Any], Any]], Any], **arguments: Any) -> Any:
    """Connect, and return what the coroutine function `use` returns for the app.

    It is given the app and a function that waits for whatever a method of either face gives: by the sync face
    the coroutine is run to its end without an event loop, so it must not await anything else. ``client=`` has
    arguments of the HTTP client that is the engine.
    """
    face, _, engine = face.partition("+")
    if face == "sync":
        with _engine(engine, arguments), gt.connect(url, **arguments) as app:
            return _run(use(app, _itself))

    async def main() -> Any:
        async with _async_engine(engine, arguments), gt.connect_async(url, **arguments) as app:
            return await use(app, _awaited)

    return anyio.run(main, backend=face)


@contextlib.contextmanager
def _engine(name: str, arguments: dict[str, Any]) -> Iterator[None]:
    """Put the engine of a name into the arguments; a client of the caller's is closed afterwards."""
    if not name.endswith("client"):
        arguments |= {"engine": name} if name else {}
        yield
        return
    with _library(name).Client(**_client_options(arguments)) as arguments["engine"]:
        yield


@contextlib.asynccontextmanager
async def _async_engine(name: str, arguments: dict[str, Any]) -> AsyncIterator[None]:
    if not name.endswith("client"):
        arguments |= {"engine": name} if name else {}
        yield
        return
    async with _library(name).AsyncClient(**_client_options(arguments)) as arguments["engine"]:
        yield


def _library(name: str) -> Any:
    return httpx2 if name.startswith("httpx2") else httpx


def _client_options(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"verify": arguments.get("verify", True), **arguments.pop("client", {})}


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
