# SPDX-License-Identifier: Apache-2.0
"""The reverse proxy: it forwards the requests of clients to the app, and records them."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from aiohttp import web

from ..protocol.commands import Ending
from .client import (
    CHUNK_BYTES,
    HEAD_BYTES,
    HEAD_FIELDS,
    WEBSOCKET_BYTES,
    AppClient,
    BrokenError,
    HandshakeRefusedError,
    Incoming,
    InvalidReplyError,
    UnreachableError,
)
from .front import Front, is_loopback_url, is_page
from .headers import (
    Headers,
    Upstream,
    cookie_name,
    forward_reply,
    forward_request,
    has_other_coding,
    is_utf8,
    joined,
    readable,
    values,
)
from .heads import make_request
from .recorder import Exchange, Recorder
from .rewriting import Rewriter, is_rewritable
from .sockets import relay

logger = logging.getLogger(__name__)
logger.addHandler(logging.NullHandler())  # aiohttp logs each bad request as an error, with a traceback

_SHUTDOWN_SECONDS = 0.1

_COOKIES = 300
"""The most cookie names that are remembered."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Proxy:
    """A proxy that forwards requests to one app.

    Args:
        front: Its address for clients.
        upstream: The app.
        client: Sends requests to the app.
        recorder: Records all traffic.
        moves: URLs by which the app wrongly names itself, to their replacements below the proxy's address;
            empty if the app treats the proxy as its address.
    """

    def __init__(
        self,
        front: Front,
        upstream: Upstream,
        client: AppClient,
        recorder: Recorder,
        moves: Mapping[str, str],
    ) -> None:
        self.front = front
        self._upstream = upstream
        self._client = client
        self._recorder = recorder
        self._moves = dict(moves)
        # Browsers send the cookies of a host to all its ports, and those of other local apps must not go to a
        # remote server. An app on this machine gets them even without the proxy.
        self._known_cookies: set[str] | None = None if is_loopback_url(upstream.base) else set()
        self._runner: web.ServerRunner | None = None

    async def start(self, listening: socket.socket) -> None:
        """Serve the connections of a listening socket."""
        server = web.Server(
            self._handle,
            request_factory=make_request,
            handler_cancellation=True,
            access_log=None,
            logger=logger,
            auto_decompress=False,
            read_bufsize=CHUNK_BYTES,
            max_line_size=HEAD_BYTES,
            max_field_size=HEAD_BYTES,
            max_headers=HEAD_FIELDS,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        await web.SockSite(self._runner, listening, backlog=512).start()

    async def close(self) -> None:
        """End all requests and connections."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._client.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = [*request.headers.items()]
        refusal = self.front.refusal(joined(headers), is_page=is_page(request.path))
        if refusal is not None:
            return _refuse(403, refusal)
        if request.method not in _METHODS:
            return _refuse(405, f"The recording proxy does not forward {request.method[:20]} requests.")
        if has_other_coding(headers):
            return _refuse(501, "The recording proxy only forwards the Transfer-Encoding chunked.")
        try:
            url = self._upstream.url(request._message.path)  # the target as it was sent
        except ValueError as error:
            return _refuse(400, str(error))
        is_websocket = "websocket" in request.headers.get("upgrade", "").lower()
        sent = forward_request(
            headers,
            self._upstream,
            request.headers["host"],
            known_cookies=self._known_cookies if _is_of_browser(request) else None,
            plain=bool(self._moves) and not is_websocket,
        )
        record = self._recorder.exchange()
        unclear = next((name for name, value in sent if not is_utf8(name + value)), None)
        if unclear is not None:
            why = f"The header {readable(unclear)} is not UTF-8, so it cannot be forwarded unchanged."
            record.begin(request.method, url, joined(sent))
            record.failed("LocalProtocolError", why)
            return _refuse(400, why)
        if is_websocket:
            return await self._relay(request, url, sent, record)
        return await self._forward(request, url, sent, record)

    # --- HTTP ----------------------------------------------------------------------------------------

    async def _forward(
        self, request: web.BaseRequest, url: str, sent: list[tuple[str, str]], record: Exchange
    ) -> web.StreamResponse:
        record.begin(request.method, url, joined(sent))
        body = None
        if request.body_exists:
            length = request.headers.get("content-length")
            sent = [*sent, ("Content-Length", length)] if length is not None else sent
            body = self._upload(request, record)
        else:
            record.sent()
        try:
            incoming = await self._client.send(request.method, url, sent, body)
        except UnreachableError as error:
            record.failed("ConnectError", f"Cannot reach {self._upstream.root}: {error}.")
            return _refuse(502, f"The recording proxy cannot reach {self._upstream.root}: {error}.")
        except InvalidReplyError as error:
            return self._refuse_reply(record, str(error))
        except BrokenError as error:
            record.failed("StreamLost", f"The connection broke before a reply arrived: {error}.")
            return _break_off(request, is_reset=error.is_reset)
        except BaseException:
            record.end(Ending.LOCAL)
            raise
        try:
            if incoming.reply.status < 200:
                return self._refuse_reply(record, f"its status is {incoming.reply.status}")
            if has_other_coding(incoming.headers):
                return self._refuse_reply(record, "its Transfer-Encoding is not chunked")
            return await self._answer(request, incoming, record)
        finally:
            record.end(Ending.LOCAL)  # unless it ended earlier because the client left
            await incoming.close()

    def _refuse_reply(self, record: Exchange, why: str) -> web.Response:
        what = f"{self._upstream.root} sent a reply that is not valid HTTP, or cannot be forwarded: {why}."
        record.failed("StreamLost", what)
        return _refuse(502, what)

    async def _upload(self, request: web.BaseRequest, record: Exchange) -> AsyncIterator[bytes]:
        if request.headers.get("expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # as aiohttp does: the head of the reply follows
        async for piece in request.content.iter_any():
            yield piece
            record.body(piece)
            await self._recorder.room()
        record.sent()

    async def _answer(
        self, request: web.BaseRequest, incoming: Incoming, record: Exchange
    ) -> web.StreamResponse:
        reply = incoming.reply
        received = joined(incoming.headers)
        set_cookie = values(incoming.headers, "set-cookie")
        self._note_cookies(set_cookie)
        rewriter = self._rewriter(request, reply.status, received)
        headers = forward_reply(
            incoming.headers, self._upstream, request.headers["host"], rewritten=rewriter is not None
        )
        response = _Response(reply.status, reply.reason or "", headers)
        record.response(reply.status, _recorded(incoming.headers))
        await response.prepare(request)
        try:
            async for piece in incoming.pieces():
                passed = piece if rewriter is None else rewriter.feed(piece)
                if passed:
                    await response.write(passed)
                record.data(piece)
                await self._recorder.room()
        except BrokenError as error:
            record.end(Ending.RESET)
            return _break_off(request, response, is_reset=error.is_reset)
        except ConnectionError:
            record.end(Ending.LOCAL)
            return response
        record.end(Ending.CLEAN)
        rest = rewriter.flush() if rewriter is not None else b""
        with contextlib.suppress(ConnectionError):
            if rest:
                await response.write(rest)
            await response.write_eof()
        return response

    def _rewriter(self, request: web.BaseRequest, status: int, headers: Mapping[str, str]) -> Rewriter | None:
        """Return a rewriter of URLs in a reply to the proxy's address, or None if none is needed."""
        is_plain = "content-encoding" not in headers and status != 206
        if not self._moves or not is_plain or not is_rewritable(headers.get("content-type", "")):
            return None
        return Rewriter(self._moved_to(request.headers["host"]))

    def _moved_to(self, authority: str) -> dict[str, str]:
        own = f"http://{authority}"
        moves = {old: own + path for old, path in self._moves.items()}
        return {**moves, f"https://{authority}": own}

    def _note_cookies(self, lines: list[str]) -> None:
        known = self._known_cookies
        if known is not None and len(known) < _COOKIES:
            known.update(map(cookie_name, lines))

    # --- websockets ----------------------------------------------------------------------------------

    async def _relay(
        self, request: web.BaseRequest, url: str, sent: list[tuple[str, str]], record: Exchange
    ) -> web.StreamResponse:
        offered = request.headers.get("sec-websocket-protocol", "")
        protocols = tuple(name.strip() for name in offered.split(",") if name.strip())
        record.websocket_opened("ws" + url.removeprefix("http"), joined(sent))
        try:
            app = await self._client.websocket(url, sent, protocols)
        except HandshakeRefusedError as refused:
            record.response(refused.status, _recorded(refused.headers))
            record.data(refused.body)
            record.end(Ending.CLEAN)
            headers = forward_reply(refused.headers, self._upstream, request.headers["host"], rewritten=True)
            response = _Response(refused.status, refused.reason, headers)
            await response.prepare(request)
            await response.write(refused.body)
            return response
        except UnreachableError as error:
            record.failed("ConnectError", f"Cannot reach {self._upstream.root}: {error}.")
            return _refuse(502, f"The recording proxy cannot reach {self._upstream.root}: {error}.")
        except InvalidReplyError as error:
            return self._refuse_reply(record, str(error))
        except BrokenError as error:
            record.failed("StreamLost", f"The connection broke before a reply arrived: {error}.")
            return _break_off(request, is_reset=error.is_reset)
        client: web.WebSocketResponse[Any] = web.WebSocketResponse(
            autoclose=False,
            autoping=False,
            compress=False,
            decode_text=False,
            max_msg_size=WEBSOCKET_BYTES,
            protocols=(app.protocol,) if app.protocol else (),
        )
        try:
            record.websocket_accepted()
            await client.prepare(request)
            await relay(client, app, record, self._text_rewriter(request), self._recorder.room)
        finally:
            app._response.close()  # dropped, because `close` would wait for a reply to its own close frame
        return _break_off(request, client)

    def _text_rewriter(self, request: web.BaseRequest) -> Callable[[bytes], bytes]:
        if not self._moves:
            return _unchanged
        moves = self._moved_to(request.headers["host"])

        def rewrite(data: bytes) -> bytes:
            rewriter = Rewriter(moves)
            return rewriter.feed(data) + rewriter.flush()

        return rewrite


class _Response(web.StreamResponse):
    """A reply with only the headers of the app."""

    def __init__(self, status: int, reason: str, headers: list[tuple[str, str]]) -> None:
        super().__init__(status=status, reason=reason)
        for name, value in headers:
            self.headers.add(name, value)


def _unchanged(data: bytes) -> bytes:
    return data


def _recorded(headers: Headers) -> dict[str, str]:
    """Return the headers of a reply for the record, with several cookies on separate lines."""
    found = joined(headers)
    if "set-cookie" in found:
        found["set-cookie"] = "\n".join(values(headers, "set-cookie"))
    return {name: readable(value) for name, value in found.items()}


def _is_of_browser(request: web.BaseRequest) -> bool:
    return "sec-fetch-site" in request.headers or "origin" in request.headers


def _refuse(status: int, why: str) -> web.Response:
    body = json.dumps({"detail": f"gradio-transport record: {why}"})
    return web.Response(status=status, text=body, content_type="application/json")


def _break_off(
    request: web.BaseRequest, response: web.StreamResponse | None = None, *, is_reset: bool = False
) -> web.StreamResponse:
    """Close the client's connection like the app closed its own, without an end of the body."""
    transport = request.transport
    if transport is not None:
        connection = transport.get_extra_info("socket")
        if is_reset and connection is not None:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.close()
    return response if response is not None else web.Response()


__all__ = ["Proxy"]
