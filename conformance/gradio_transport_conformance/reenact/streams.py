# SPDX-License-Identifier: Apache-2.0
"""Event streams: begun, written message by message, and broken off."""

from __future__ import annotations

from aiohttp import web

HEARTBEAT_SECONDS = 15.0
"""How often servers say that they are alive. source; seen."""


CORS = web.RequestKey("cors", dict[str, str])
"""Where a request keeps the headers for pages of other origins."""


class Dropped(Exception):
    """The client closed the connection."""


async def open_stream(request: web.Request) -> web.StreamResponse:
    """Begin an event stream."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
    for name, value in cors_of(request).items():
        response.headers[name] = value
    response.enable_chunked_encoding()
    await response.prepare(request)
    return response


def cors_of(request: web.Request) -> dict[str, str]:
    """Return the headers that let the page of another origin read a reply, as the router chose them."""
    found: dict[str, str] = request.get(CORS, {})
    return found


def kind_of(request: web.Request) -> str:
    """Return the content type that the client gave, or an empty text."""
    return request.headers.get("content-type", "").lower()


async def say(response: web.StreamResponse, text: str) -> None:
    """Write to a stream.

    Raises:
        Dropped: The client is gone.
    """
    try:
        await response.write(text.encode("utf-8", "surrogatepass"))
    except (ConnectionError, RuntimeError):
        raise Dropped from None


def break_off(request: web.Request) -> None:
    """End a stream without its end, as servers do whose handler raised."""
    if request.transport is not None:
        request.transport.close()


__all__ = ["CORS", "HEARTBEAT_SECONDS", "Dropped", "break_off", "cors_of", "kind_of", "open_stream", "say"]
