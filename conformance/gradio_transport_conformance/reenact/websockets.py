# SPDX-License-Identifier: Apache-2.0
"""The queue of 3.1.5 to 3.50: one websocket for each call, in three dialects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

from aiohttp import WSCloseCode, WSMsgType, web

from gradio_transport.protocol.frames import Direction, Kind

from .generation import Queue
from .outcomes import Outcome, Way, is_last
from .playing import Event, OffTape
from .stage import Stage
from .streams import Dropped, kept_by

Found = Mapping[str, str]

HASH_SECONDS = 5.0
"""Seconds that the server waits for the session hash. source; seen."""


async def join(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer the handshake of ``/queue/join``, and play the call."""
    if not any(one.queued for one in stage.app.endpoints.values()):
        stage.find("opens the queue's websocket of an app without a queue")
        return web.Response(status=500)
    socket = web.WebSocketResponse(max_msg_size=1 << 30, timeout=2.0)
    await socket.prepare(request)
    stage.open_sockets += 1
    try:
        await _Conversation(stage, request, socket).hold()
    except OffTape as missed:
        stage.miss(str(missed))
        await socket.close(code=WSCloseCode.INTERNAL_ERROR, message=b"off tape")
    except Dropped:
        pass
    finally:
        stage.open_sockets -= 1
    return socket


class _Conversation:
    """One socket."""

    def __init__(self, stage: Stage, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._stage = stage
        self._request = request
        self._socket = socket
        self._keep = kept_by.get()
        self._keep(Direction.IN, Kind.WS_ACCEPT, {}, 0)
        self._dialect = stage.generation.queue
        self._session_hash = ""
        self._fn_index: int | None = None

    async def hold(self) -> None:
        await self._greet()
        known = None if self._fn_index is None else self._stage.endpoint(self._fn_index)
        opening = self._stage.app.opening(known, Way.WEBSOCKET)
        for message in opening:
            await self._say(message)
        if not opening or not is_last(opening[-1]):
            await self._say({"msg": "send_data"})
            await self._call(await self._hear())
        await self._part()

    async def _greet(self) -> None:
        """Receive the session hash, as each dialect does."""
        if self._dialect is Queue.WEBSOCKET_A:
            self._session_hash = str((await self._hear()).get("hash") or "")
        elif self._dialect is Queue.WEBSOCKET_C:
            await self._say({"msg": "send_hash"})
            said = await self._hear()
            self._session_hash = str(said.get("session_hash") or "")
            given = said.get("fn_index")
            self._fn_index = given if isinstance(given, int) else None
            if not self._session_hash or self._fn_index is None:
                self._stage.find("answers send_hash without session_hash and fn_index")

    async def _call(self, body: Mapping[str, Any]) -> None:
        given = body.get("fn_index", self._fn_index)
        fn_index = given if isinstance(given, int) else None
        if fn_index is None:
            self._stage.find("sends no fn_index on the queue's websocket")
        endpoint = self._stage.endpoint(fn_index)
        if not isinstance(body.get("data"), list) or endpoint is None:
            problem = f"calls function {fn_index}, which the app does not have" if endpoint is None else ""
            self._stage.find(problem or "sends no data on the queue's websocket")
            await self._break_off()
            return
        session = self._stage.sessions.get(str(body.get("session_hash") or self._session_hash))
        outcome = self._stage.choose(endpoint, body, Way.WEBSOCKET, session)
        session.opened = True
        event = self._stage.begin(outcome, endpoint.fn_index, session)
        await self._play(event, outcome)

    async def _play(self, event: Event, outcome: Outcome) -> None:
        listening = asyncio.create_task(self._listen(event))
        try:
            async for message in event.play(outcome.before_data):
                await self._say(message)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        if event.stopped.is_set():
            raise Dropped
        if event.breaks:
            event.stopped.set()
            await self._break_off()

    async def _listen(self, event: Event) -> None:
        """Stop the call when the client closes the socket."""
        while True:
            found = await self._socket.receive()
            if found.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR):
                event.stopped.set()
                return
            self._stage.find("sends an unexpected message on the queue's websocket")

    async def _part(self) -> None:
        """End the conversation: from 3.2 on the server closes, before it waits for another call."""
        if self._dialect is Queue.WEBSOCKET_A:
            while (await self._socket.receive()).type is WSMsgType.TEXT:
                pass
            return
        await self._socket.close()

    async def _break_off(self) -> None:
        """Drop the connection without a close frame."""
        if self._request.transport is not None:
            self._request.transport.abort()
        raise Dropped

    async def _say(self, message: Mapping[str, Any]) -> None:
        text = self._stage.write(message)
        try:
            await self._socket.send_str(text)
        except (ConnectionError, RuntimeError):
            raise Dropped from None
        self._keep(Direction.IN, Kind.WS_TEXT, {"text": text}, len(text))

    async def _hear(self) -> Mapping[str, Any]:
        found = await self._socket.receive()
        if found.type is not WSMsgType.TEXT:
            raise Dropped
        self._keep(Direction.OUT, Kind.WS_TEXT, {"text": found.data}, len(found.data))
        try:
            value = json.loads(found.data)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            self._stage.find("sends a message on the queue's websocket that is not a JSON object")
            await self._break_off()
        return cast("Mapping[str, Any]", value)


__all__ = ["HASH_SECONDS", "join"]
