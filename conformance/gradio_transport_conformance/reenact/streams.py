# SPDX-License-Identifier: Apache-2.0
"""Event streams: opened, written message by message, and ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import TypeAlias

from aiohttp import web

from gradio_transport.protocol.frames import Direction, Kind

Keep: TypeAlias = Callable[[Direction, Kind, Mapping[str, object], int], None]
"""Records traffic: the direction, the kind, the payload, its bytes."""


def _keep_nothing(_: Direction, __: Kind, ___: Mapping[str, object], ____: int) -> None:
    """Record nothing: there is no host."""


kept_by: ContextVar[Keep] = ContextVar("kept_by", default=_keep_nothing)
"""Records the frames of the request that is being answered; the host sets it."""

HEARTBEAT_SECONDS = 15.0
"""Seconds between two heartbeats of a server. source; seen."""


CORS = web.RequestKey("cors", dict[str, str])
"""The key of a request for the headers for pages of other origins."""


class Dropped(Exception):
    """The client closed the connection."""


async def open_stream(request: web.Request) -> web.StreamResponse:
    """Begin an event stream."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
    for name, value in cors_of(request).items():
        response.headers[name] = value
    response.enable_chunked_encoding()
    await response.prepare(request)
    kept_by.get()(Direction.IN, Kind.RESPONSE_HEAD, {"status": 200, "headers": dict(response.headers)}, 0)
    return response


def cors_of(request: web.Request) -> dict[str, str]:
    """Return the headers that let the page of another origin read a reply, as the router chose them."""
    found: dict[str, str] = request.get(CORS, {})
    return found


def kind_of(request: web.Request) -> str:
    """Return the content type that the client gave, or an empty string."""
    return request.headers.get("content-type", "").lower()


async def say(response: web.StreamResponse, text: str) -> None:
    """Write to a stream.

    Raises:
        Dropped: The client has disconnected.
    """
    data = text.encode("utf-8", "surrogatepass")
    try:
        await response.write(data)
    except (ConnectionError, RuntimeError):
        raise Dropped from None
    kept_by.get()(Direction.IN, Kind.CHUNK, {"data": data}, len(data))


async def finish(response: web.StreamResponse) -> None:
    """End a stream properly.

    Raises:
        Dropped: The client has disconnected.
    """
    try:
        await response.write_eof()
    except (ConnectionError, RuntimeError):
        raise Dropped from None


def break_off(request: web.Request) -> None:
    """Break a stream off without its end, as a server does when its handler raises."""
    if request.transport is not None:
        request.transport.close()


__all__ = [
    "CORS", "HEARTBEAT_SECONDS", "Dropped", "Keep", "break_off", "cors_of", "finish", "kept_by", "kind_of",
    "open_stream", "say",
]  # fmt: skip
