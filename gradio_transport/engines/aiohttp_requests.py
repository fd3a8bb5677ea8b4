# SPDX-License-Identifier: Apache-2.0
"""Shared code for aiohttp: sessions that send a request once, routes, and URLs.

Two defaults of the library are replaced. It sends a GET again after the connection broke, which is a second
call if a GET joins the queue (docs/wire.md §4). It also follows the redirect of a websocket handshake.
"""

from __future__ import annotations

import ssl
from typing import Any

import aiohttp
from yarl import URL

from .aiohttp_stream import Reply
from .routes import Route

_BUFFER_BYTES = 256 * 1024
"""Received bytes of a reply; asyncio pauses reading at twice as many.

asyncio reads as many at once, so with a smaller buffer it would pause after each read.
"""

_REFUSAL_BYTES = 64 * 1024
"""Bytes that are read of the body of a refused handshake, for the reason."""

CLOSE_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=1.0)  # type: ignore[call-arg,unused-ignore]  # pyright: ignore[reportCallIssue]
"""Seconds that aiohttp waits for the server after the library drops a websocket."""


class HandshakeAnswered(Exception):
    """The reply to the handshake of a websocket was not 101.

    Attributes:
        response: The reply, which is already closed.
        body: The beginning of its body.
    """

    def __init__(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        super().__init__(response.status)
        self.response, self.body = response, body


async def _send_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send a request once, and raise every reply to a websocket handshake but 101.

    Why a middleware: it is the only public hook below aiohttp's own retries and redirects. aiohttp sends a
    GET again after the two kinds of errors that are changed here, and has no option against that.
    """
    try:
        response = await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error
    if "upgrade" in request.headers and response.status != 101:
        try:
            body = await response.content.read(_REFUSAL_BYTES)
        except (aiohttp.ClientError, OSError):
            body = b""
        finally:
            response.close()
        raise HandshakeAnswered(response, body)
    return response


def open_session(
    connector: aiohttp.BaseConnector,
    *,
    timeout: aiohttp.ClientTimeout,
    head_bytes: int,
    head_fields: int,
    **options: Any,
) -> aiohttp.ClientSession:
    """Return a session that stores no cookies, decodes no body, and sends each request once.

    Args:
        connector: Opens the connections.
        timeout: Timeout of each request without its own.
        head_bytes: The most bytes of a reply's status line, and of each header.
        head_fields: The most headers of a reply.
        options: Further options of `aiohttp.ClientSession`.
    """
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_send_once,),
        auto_decompress=False,
        response_class=Reply,
        timeout=timeout,
        read_bufsize=_BUFFER_BYTES,
        max_line_size=head_bytes,
        max_field_size=head_bytes,
        max_headers=head_fields,
        **options,
    )


def route_options(route: Route, context: ssl.SSLContext | None) -> dict[str, Any]:
    """Return proxy and TLS as keyword arguments of a request.

    Not aiohttp's ``trust_env``: that reads passwords from netrc as well.

    Args:
        route: The route to the origin, not through a SOCKS proxy.
        context: The TLS context; None without TLS.
    """
    options: dict[str, Any] = {}
    proxy = route.proxy
    if proxy is not None:
        options["proxy"] = proxy.name  # without the login, because aiohttp's errors quote the URL
        if proxy.authorization is not None:
            # aiohttp turns it into the header for proxies, of the tunnel or of the request.
            options["proxy_headers"] = {"authorization": proxy.authorization}
    if context is not None:
        options["ssl"] = context
    return options


def verbatim_url(url: str) -> URL:
    """Return a URL that aiohttp sends unchanged. Only an invalid URL is quoted."""
    return URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)
