# SPDX-License-Identifier: Apache-2.0
"""``/call``, from 4.20 on, and ``/call/v2``, from 6.13 on: a join by name, and a stream of named events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from aiohttp import web

from .app import Endpoint
from .outcomes import Way
from .playing import OffTape, Session, new_id
from .stage import Stage
from .streams import HEARTBEAT_SECONDS, break_off, finish, kind_of, open_stream, say
from .validation import PREDICT, check

Found = Mapping[str, str]


async def join(stage: Stage, request: web.Request, found: Found) -> web.StreamResponse:
    """Answer ``POST /call/{api_name}``."""
    body = check(stage.generation, await request.read(), kind_of(request), PREDICT)
    session_hash = str(body.get("session_hash") or "")
    session = stage.sessions.get(session_hash) if session_hash else None
    endpoint = stage.endpoint(None, found["api_name"], session)
    if endpoint is None:
        stage.find(f"calls /call/{found['api_name']}, which the app does not have")
        return stage.crash()
    data = cast("list[Any]", body["data"])
    if stage.generation.call_finds_sessions and endpoint.inputs == len(data) + len(endpoint.states):
        body = {**body, "data": _with_states(data, endpoint.states)}
    return await _begin(stage, endpoint, body, session_hash, "POST /call")


def _with_states(data: Sequence[Any], states: Sequence[int]) -> list[Any]:
    filled = list(data)
    for place in states:
        filled.insert(place, None)
    return filled


async def join_v2(stage: Stage, request: web.Request, found: Found) -> web.StreamResponse:
    """Answer ``POST /call/v2/{api_name}``: arguments by name."""
    body = check(stage.generation, await request.read(), kind_of(request), (), model=False)
    endpoint = stage.endpoint(None, found["api_name"])
    if endpoint is None:
        stage.find(f"calls /call/v2/{found['api_name']}, which the app does not have")
        return stage.crash()
    parameters = stage.app.parameters(endpoint)
    if not parameters:
        return stage.off_tape(f"calls /call/v2/{found['api_name']}, whose parameters were not recorded")
    unknown = body.keys() - dict(parameters).keys()
    lacking = stage.app.required_parameters(endpoint) - body.keys()
    if unknown or lacking:
        stage.find(f"calls /call/v2/{found['api_name']} with other parameters than it has")
        return stage.crash()
    return await _begin(stage, endpoint, body, "", "POST /call/v2")


async def _begin(
    stage: Stage, endpoint: Endpoint, body: Mapping[str, Any], session_hash: str, how: str
) -> web.StreamResponse:
    event_id = new_id()
    session = stage.sessions.get(session_hash or event_id)
    outcome = stage.choose(endpoint, body, Way.CALL, session if session_hash else Session(event_id), how)
    if outcome.refusal is not None:
        return stage.as_recorded(outcome.refusal)
    event = stage.begin(outcome, endpoint.fn_index, session, event_id)
    event.task = asyncio.create_task(_play(stage, event.id, session))
    if session_hash and not stage.generation.call_finds_sessions:
        stage.find("sends a session_hash in POST /call, which this version cannot find again")
    return stage.json({"event_id": event.id})


async def _play(stage: Stage, event_id: str, session: Session) -> None:
    event = session.events[event_id]
    try:
        async for message in event.play():
            session.box.put_nowait((event_id, message))
        if event.breaks and not event.stopped.is_set():
            session.box.put_nowait((None, None))
    except OffTape as missed:
        stage.miss(str(missed))
        session.box.put_nowait((None, None))


async def stream(stage: Stage, request: web.Request, found: Found) -> web.StreamResponse:
    """Answer ``GET /call/{api_name}/{event_id}``."""
    event_id = found["event_id"]
    session = stage.sessions.find(event_id)
    if session is None and stage.generation.call_finds_sessions:
        event = stage.sessions.event(event_id)
        session = None if event is None else stage.sessions.find(event.session_hash)
    response = await open_stream(request)
    if session is not None:
        session.opened = True
    if session is None:
        stage.find("opens the stream of a /call that the server does not know")
        message = stage.generation.unknown_session or {"message": ""}
        await say(response, f"event: error\ndata: {json.dumps(message['message'])}\n\n")
        break_off(request)
        return response
    try:
        await _say_all(stage, request, response, session, event_id)
    except BaseException:
        for event in session.events.values():
            event.stopped.set()
        raise
    return response


async def stream_v2(stage: Stage, request: web.Request, found: Found) -> web.StreamResponse:
    """Answer ``GET /call/v2/{event_id}``, which is the stream of an endpoint called v2."""
    return await stream(stage, request, {"api_name": "v2", "event_id": found["api_name"]})


async def _say_all(
    stage: Stage, request: web.Request, response: web.StreamResponse, session: Session, event_id: str
) -> None:
    while True:
        try:
            named, message = await asyncio.wait_for(session.box.get(), HEARTBEAT_SECONDS)
        except TimeoutError:
            await say(response, "event: heartbeat\ndata: null\n\n")
            continue
        if message is None:
            break_off(request)
            return
        if named != event_id:
            continue
        text = _event(stage, message)
        if text is not None:
            await say(response, text)
        if message.get("msg") == "process_completed":
            session.pending.discard(event_id)
            await finish(response)
            return


def _event(stage: Stage, message: Mapping[str, Any]) -> str | None:
    """Return a message as an event of /call; None if it has none."""
    output = cast("dict[str, Any]", message.get("output") or {})
    value: Any
    if message.get("msg") in ("process_generating", "process_streaming"):
        name, value = "generating", output.get("data")
    elif message.get("msg") != "process_completed":
        return None
    elif message.get("success"):
        name, value = "complete", output.get("data")
    else:
        name, value = "error", dict(output) if stage.generation.call_errors_say_why and output else None
    return f"event: {name}\ndata: {stage.rename(json.dumps(value).encode()).decode()}\n\n"


__all__ = ["join", "join_v2", "stream", "stream_v2"]
