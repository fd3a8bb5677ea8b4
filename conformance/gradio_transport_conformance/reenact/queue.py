# SPDX-License-Identifier: Apache-2.0
"""The queue from 4.9 on: joins, the stream of a session, heartbeats, streamed inputs, cancel and reset."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from .app import Endpoint
from .generation import Cancelling
from .outcomes import Way, is_last
from .playing import Event, OffTape, Session
from .stage import Stage
from .streams import HEARTBEAT_SECONDS, Dropped, break_off, finish, kind_of, open_stream, say
from .validation import CANCEL, OLD_RESET, PREDICT, RESET, Invalid, check, missing

Found = Mapping[str, str]

HEADSTART_SECONDS = 0.01
"""Pause before a call's first message, so that the reply to its join usually arrives first, as on servers."""


# --- joins -----------------------------------------------------------------------------------------------


async def join(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``POST /queue/join``."""
    body = check(stage.generation, await request.read(), kind_of(request), PREDICT)
    session_hash, fn_index = body.get("session_hash"), body.get("fn_index")
    no_session, no_function = stage.generation.join_refusals
    for lacking, name, detail in (
        (not session_hash, "session_hash", no_session),
        (fn_index is None, "fn_index", no_function),
    ):
        if lacking:
            stage.find(f"sends no {name} in POST /queue/join")
            if stage.generation.refuses_joins_plainly:
                return stage.crash()
            return stage.json({"detail": detail}, 400)
    session = stage.sessions.get(str(session_hash))
    endpoint = stage.endpoint(int(str(fn_index)), session=session)
    if endpoint is None:
        stage.find(f"joins the queue of function {fn_index}, which the app does not have")
        return stage.crash()
    outcome = stage.choose(endpoint, body, Way.STREAM, session)
    if outcome.refusal is not None:
        return stage.as_recorded(outcome.refusal)
    if body.get("simple_format") and stage.generation.has_simple_format:
        outcome = stage.without_diffs(outcome)
    event = stage.begin(outcome, endpoint.fn_index, session)
    event.task = asyncio.create_task(_play(stage, session, event))
    return stage.json({"event_id": event.id})


async def _play(stage: Stage, session: Session, event: Event) -> None:
    """Put the messages of a call into the box of its session."""
    await asyncio.sleep(HEADSTART_SECONDS)
    try:
        async for message in event.play():
            session.box.put_nowait((event.id, message))
        if event.breaks and not event.stopped.is_set():
            session.box.put_nowait((None, None))
    except OffTape as missed:
        stage.miss(str(missed))
        session.box.put_nowait((None, None))


# --- the stream ------------------------------------------------------------------------------------------


async def data(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``GET /queue/data``: the messages of a session's calls."""
    session_hash = request.query.get("session_hash")
    if session_hash is None:
        stage.find("opens a stream without session_hash")
        return stage.json(missing(stage.generation, "query", "session_hash"), 422)
    session = stage.sessions.find(session_hash)
    response = await open_stream(request)
    if session is None:
        stage.find("opens the stream of a session before its first call")
        message = stage.generation.unknown_session
        if message is not None:
            await say(response, f"data: {stage.write(message)}\n\n")
        break_off(request)
        return response
    if session.streams:
        stage.find("opens two streams of one session, so that each message is sent on only one of them")
    session.streams += 1
    session.opened = True
    try:
        await _say_all(stage, request, response, session)
    except (Dropped, asyncio.CancelledError):
        if not stage.generation.survives_dropped_streams:
            session.give_up()
        raise
    finally:
        session.streams -= 1
    return response


async def _say_all(
    stage: Stage, request: web.Request, response: web.StreamResponse, session: Session
) -> None:
    box = session.box
    null = {"event_id": None} if stage.generation.names_event_in_session_messages else {}
    while True:
        taken = await _next(box)
        if taken is None:
            await say(response, f"data: {stage.write({'msg': 'heartbeat', **null})}\n\n")
            continue
        event_id, message = taken
        if message is None:
            break_off(request)
            raise Dropped
        await say(response, f"data: {stage.write(_named(message, event_id))}\n\n")
        if message.get("msg") in ("process_completed", "queue_full"):
            session.pending.discard(str(event_id))
            if not session.pending:
                break
    if stage.generation.sends_close_stream:
        await say(response, f"data: {stage.write({'msg': 'close_stream', **null})}\n\n")
    await finish(response)


async def _next(
    box: asyncio.Queue[tuple[str | None, Mapping[str, Any] | None]],
) -> tuple[str | None, Mapping[str, Any] | None] | None:
    """Return the next message, or None for a heartbeat."""
    try:
        return await asyncio.wait_for(box.get(), HEARTBEAT_SECONDS)
    except TimeoutError:
        return None


def _named(message: Mapping[str, Any], event_id: str | None) -> dict[str, Any]:
    """Return a message with its event's id, at the position where servers write it."""
    name = {"msg": message.get("msg")}
    return {**name, "event_id": event_id, **{key: value for key, value in message.items() if key != "msg"}}


# --- beside it -------------------------------------------------------------------------------------------


async def heartbeat(stage: Stage, request: web.Request, found: Found) -> web.StreamResponse:
    """Answer ``GET /heartbeat/{session_hash}``: alive, until the client disconnects."""
    session_hash = found["session_hash"]
    response = await open_stream(request)
    stage.heartbeats[session_hash] += 1
    try:
        while True:
            await say(response, "data: ALIVE\n\n")
            await asyncio.sleep(HEARTBEAT_SECONDS)
    finally:
        stage.heartbeats[session_hash] -= 1


async def chunk(stage: Stage, request: web.Request, found: Found) -> web.StreamResponse:
    """Answer ``POST /stream/{event_id}``: the next chunk of a streamed input."""
    body = check(stage.generation, await request.read(), kind_of(request), PREDICT)
    event = stage.sessions.event(found["event_id"])
    if event is None:
        stage.find("sends a chunk to a call that the server does not know")
        return _unknown_chunk(stage)
    event.chunks.put_nowait(body.get("data"))
    return stage.json({"msg": "success"})


async def close_chunks(stage: Stage, _: web.Request, found: Found) -> web.StreamResponse:
    """Answer ``POST /stream/{event_id}/close``."""
    event = stage.sessions.event(found["event_id"])
    if event is None:
        stage.find("ends the input of a call that the server does not know")
        return _unknown_chunk(stage)
    event.chunks.put_nowait(None)
    return stage.json({"msg": "success"})


def _unknown_chunk(stage: Stage) -> web.Response:
    if stage.generation.unknown_chunks_are_not_found:
        return web.Response(status=404)
    return stage.crash()


RESET_SECONDS = 0.05
"""Seconds from the reply to ``/reset`` to the end of a generator's stream. seen: 4.0.2."""

# --- cancel and reset ------------------------------------------------------------------------------------


async def cancel(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``POST /cancel``: end all running calls of that function in that session."""
    body = check(stage.generation, await request.read(), kind_of(request), CANCEL)
    session = stage.sessions.find(str(body["session_hash"]))
    event = stage.sessions.event(str(body["event_id"]))
    if session is not None:
        for other in session.events.values():
            if other.fn_index == body["fn_index"] and other.started and not other.ended:
                other.stopped.set()
    if event is not None and not event.ended:
        event.stopped.set()
        event.ended = True
        owner = stage.sessions.get(event.session_hash)
        owner.box.put_nowait((event.id, stage.generation.cancelled_completion))
    return stage.json({"success": True})


async def reset(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``POST /reset``."""
    generation = stage.generation
    old = generation.cancelling is Cancelling.FORGETS
    fields = OLD_RESET if old else RESET
    body = check(generation, await request.read(), kind_of(request), fields)
    if not generation.reset_is_obeyed:
        return stage.json({"success": True})
    if old:
        return stage.json({"success": _restart(stage, str(body["session_hash"]), body["fn_index"])})
    event = stage.sessions.event(str(body["event_id"]))
    # Only generators can be reset. The reset takes effect between two of their steps.
    running = event is not None and event.started and not (event.ended or event.silenced)
    if event is not None and running and not stage.is_generator(event):
        event.goes_on, running = True, False
    if event is not None and running:
        asyncio.get_running_loop().call_later(RESET_SECONDS, event.stopped.set)
    return stage.json({"success": running})


def _restart(stage: Stage, session_hash: str, fn_index: int) -> bool:
    """Restart the running generators of a session, as `/reset` did up to 3.50."""
    session = stage.sessions.find(session_hash)
    running = [
        one
        for one in (session.events.values() if session is not None else ())
        if one.fn_index == fn_index and one.started and not one.ended and not one.stopped.is_set()
    ]
    for event in running:
        event.restarts += 1
    return bool(running)


# --- the queue of 4.0 to 4.8 -----------------------------------------------------------------------------

DATA_SECONDS = 5.0
"""Seconds that the server waits for the data of a call. source; seen."""


async def join_v0(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``GET /queue/join``: the stream of one call, which requests its data."""
    query = request.query
    lacking = [name for name in ("fn_index", "session_hash") if name not in query]
    if lacking:
        stage.find(f"sends no {' and no '.join(lacking)} in GET /queue/join")
        return stage.json(missing(stage.generation, "query", *lacking), 422)
    endpoint = stage.endpoint(int(query["fn_index"])) if query["fn_index"].isdigit() else None
    if endpoint is None:
        stage.find(f"joins the queue of function {query['fn_index']}, which the app does not have")
        return stage.crash()
    session = stage.sessions.get(query["session_hash"])
    response = await open_stream(request)
    try:
        await _converse_v0(stage, request, response, session, endpoint)
    except OffTape as missed:
        stage.miss(str(missed))
        break_off(request)
    return response


async def _converse_v0(
    stage: Stage, request: web.Request, response: web.StreamResponse, session: Session, endpoint: Endpoint
) -> None:
    async def tell(message: Mapping[str, Any]) -> None:
        await say(response, f"data: {stage.write(message)}\n\n")

    opening = stage.app.opening(endpoint, Way.STREAM)
    for message in opening:
        await tell(message)
    if opening and is_last(opening[-1]):
        await finish(response)
        return
    waiting = stage.wait_for_data()
    await tell({"msg": "send_data", "event_id": waiting.id})
    try:
        body = await asyncio.wait_for(waiting.data, DATA_SECONDS)
    except TimeoutError:
        stage.find("does not send the data of a call within 5 s")
        await finish(response)
        return
    outcome = stage.choose(endpoint, body, Way.STREAM, session)
    session.opened = True
    event = stage.begin(outcome, endpoint.fn_index, session, waiting.id)
    try:
        async for message in event.play(outcome.before_data):
            await tell(message)
    finally:
        event.stopped.set()
    if event.breaks:
        break_off(request)
    else:
        await finish(response)


async def data_v0(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``POST /queue/data``: the requested data of a call."""
    body = check(stage.generation, await request.read(), kind_of(request), PREDICT)
    waiting = stage.waiting.pop(str(body.get("event_id")), None)
    if waiting is None or waiting.data.done():
        stage.find("sends data to a call that the server does not know")
        return stage.crash()
    waiting.data.set_result(body)
    return stage.json(None)


__all__ = [
    "DATA_SECONDS", "Invalid", "cancel", "chunk", "close_chunks", "data", "data_v0", "heartbeat", "join",
    "join_v0", "reset",
]  # fmt: skip
