# SPDX-License-Identifier: Apache-2.0
"""Direct HTTP, and the polling queue of 2.2.10 to 3.1.4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from aiohttp import web

from .app import Endpoint
from .generation import Generation, Queue
from .outcomes import Outcome, Way
from .playing import Session, new_id
from .stage import Job, Stage
from .streams import kind_of
from .validation import OLD_PREDICT, OLD_PUSH, PREDICT, PUSH, STATUS, check

Found = Mapping[str, str]


async def run(stage: Stage, request: web.Request, found: Found) -> web.StreamResponse:
    """Answer ``POST /run/{api_name}`` and ``POST /api/{api_name}``."""
    fields = PREDICT if stage.generation.needs_data else OLD_PREDICT
    body = check(stage.generation, await request.read(), kind_of(request), fields)
    name = found.get("api_name", "predict")
    fn_index = body.get("fn_index")
    if fn_index is None and stage.generation.default_function_is_the_first:
        fn_index = 0
    session = _session(stage, body)
    endpoint = stage.endpoint(fn_index, name, session)
    if endpoint is None:
        what = f"function {fn_index}" if fn_index is not None else f"the name {name!r}"
        stage.find(f"calls {what} by direct HTTP, which the app does not have")
        return _no_endpoint(stage, name, fn_index)
    if "data" not in body:
        stage.find("sends no data by direct HTTP")
        return stage.json({"error": "'NoneType' object is not subscriptable"}, 500)
    if endpoint.cancels and session is not None and _cancels_by_functions(stage.generation):
        return _cancel(stage, endpoint, session)
    outcome = stage.choose(endpoint, body, Way.DIRECT, session)
    return answer(stage, outcome)


def _cancels_by_functions(generation: Generation) -> bool:
    """Return whether clients cancel with functions of the app (``cancels``). seen: 4.0.2, 4.26.0."""
    return generation.queue in (Queue.SSE_V0, Queue.SSE) and not generation.has_cancel


def _cancel(stage: Stage, endpoint: Endpoint, session: Session) -> web.Response:
    """Cancel the calls that a function cancels, in the calling session: they send no more messages."""
    for event in session.events.values():
        if event.fn_index in endpoint.cancels:
            event.silenced = True
    times = {"duration": 0.0005, "average_duration": 0.0005}
    return stage.json({"data": [], "is_generating": False, **times})


def _no_endpoint(stage: Stage, name: str, fn_index: int | None) -> web.Response:
    if fn_index is not None and stage.generation.names_missing_functions:
        return stage.json({"error": "list index out of range"}, 500)
    if fn_index is not None:
        return stage.crash()
    if stage.generation.names_missing_endpoints:
        return stage.json({"error": f"This app has no endpoint /api/{name}/."}, 500)
    return stage.crash()


def _session(stage: Stage, body: Mapping[str, Any]) -> Session | None:
    """Return the session that has the State of a call; before 3.0 all calls without a hash share one."""
    named = body.get("session_hash")
    if named:
        return stage.sessions.get(str(named))
    return None if stage.generation.blocks else stage.sessions.get("")


def answer(stage: Stage, outcome: Outcome) -> web.Response:
    """Return the reply of direct HTTP."""
    if outcome.refusal is not None:
        return stage.as_recorded(outcome.refusal)
    return stage.json(dict(outcome.messages[-1]["output"]), outcome.status or 200)


# --- the polling queue -----------------------------------------------------------------------------------


async def push(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``POST /api/queue/push/``."""
    fields = PUSH if stage.generation.blocks else OLD_PUSH
    body = check(stage.generation, await request.read(), kind_of(request), fields)
    endpoint: Endpoint | None = stage.endpoint(body.get("fn_index", 0))
    if endpoint is None:
        stage.find(f"joins the queue of function {body.get('fn_index')}, which the app does not have")
        return stage.crash()
    outcome = stage.choose(endpoint, body, Way.POLLING, _session(stage, body))
    if outcome.refusal is not None:
        return stage.as_recorded(outcome.refusal)
    last = outcome.messages[-1]
    output = cast("dict[str, Any]", last["output"])
    text = json.dumps(output, ensure_ascii=False, separators=(",", ":"))
    reply = {"status": "COMPLETE", "data": output} if last["success"] else {"status": "FAILED", "data": text}
    waits = outcome.states or ({"status": "QUEUED", "data": 0},)
    name = new_id()
    stage.jobs[name] = Job([*waits, reply])
    first = stage.generation.first_queue_position
    return stage.json(
        {"hash": name, "queue_position": first if outcome.position is None else outcome.position}
    )


async def status(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``POST /api/queue/status/``: the recorded states, and the reply once."""
    body = check(stage.generation, await request.read(), kind_of(request), STATUS)
    job = stage.jobs.get(str(body["hash"]))
    if job is None:
        stage.find("requests the state of a job that the server does not know")
        return stage.crash()
    reply = job.replies.pop(0)
    if not job.replies:
        stage.jobs.pop(str(body["hash"]))
    return stage.json(dict(reply))


__all__ = ["answer", "push", "run", "status"]
