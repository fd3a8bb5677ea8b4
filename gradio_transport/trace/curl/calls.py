# SPDX-License-Identifier: Apache-2.0
"""The calls and sessions of a trace, with the frames that a script of them needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import attrs

from ...protocol.frames import Frame, Kind
from ..conversation import conversations
from ..reader import Trace
from .bodies import event_id


@attrs.define
class ScriptCall:
    """A call of a trace, with the frames of it that a script needs.

    Attributes:
        number: Its number in the trace, from 1.
        session: The number of its session.
        key: Its key in its session.
        endpoint: Its endpoint, to show.
        fn_index: The number of its function, if the trace has it.
        data: Its arguments.
        requests: Its requests, without retried ones, by their channel.
        positions: The number of the frame of each request, by the request's `id`.
        event: The recorded event id; an empty string if it has none.
        attached: Whether it joined an event that another program had started.
        cancelled: The number of the frame at which it was cancelled, if it was.
    """

    number: int
    session: int
    key: str
    endpoint: str
    fn_index: int | None
    data: Sequence[Any]
    requests: dict[str, list[Frame]] = attrs.field(factory=dict[str, list[Frame]])
    positions: dict[int, int] = attrs.field(factory=dict[int, int])
    event: str = ""
    attached: bool = False
    cancelled: int | None = None

    def of(self, channel: str) -> list[Frame]:
        """Return the requests of one of its channels."""
        return self.requests.get(channel, [])


@attrs.define
class ScriptSession:
    """A session of a trace.

    Attributes:
        alias: The recorded session hash.
        source: The recorded address of the app, without a slash at its end.
        adapter: The name of its adapter.
    """

    alias: str
    source: str
    adapter: str


def find_calls(trace: Trace) -> tuple[list[ScriptCall], dict[int, ScriptSession]]:
    """Return the calls of a trace in order, and its sessions by number."""
    sessions: dict[int, ScriptSession] = {}
    calls: dict[tuple[int, str], ScriptCall] = {}
    for number, frame in enumerate(trace.frames):
        payload = frame.payload
        key, _, channel = frame.channel.partition(".")
        call = calls.get((frame.session, key))
        if frame.kind is Kind.SESSION:
            sessions[frame.session] = ScriptSession(
                str(payload.get("session_hash", "")),
                str(payload.get("source") or "").rstrip("/"),
                str(payload.get("adapter", "")),
            )
        elif frame.kind is Kind.CALL:
            calls[frame.session, key] = _new_call(len(calls) + 1, frame)
        elif call is None or frame.retried:
            continue
        elif frame.kind in (Kind.REQUEST, Kind.WS_OPEN):
            call.requests.setdefault(channel, []).append(frame)
            call.positions[id(frame)] = number
        elif frame.kind is Kind.RESPONSE and channel in ("join", "push"):
            call.event = event_id(payload.get("body")) or call.event
        elif frame.kind is Kind.CANCEL and call.cancelled is None:
            call.cancelled = number
    return list(calls.values()), sessions


def _new_call(number: int, frame: Frame) -> ScriptCall:
    payload = frame.payload
    fn_index, data = payload.get("fn_index"), payload.get("data")
    return ScriptCall(
        number,
        frame.session,
        frame.channel,
        str(payload.get("endpoint") or f"fn_index {fn_index}"),
        fn_index if isinstance(fn_index, int) else None,
        cast("Sequence[Any]", data) if isinstance(data, list) else [],
        attached=payload.get("event_id") is not None,
    )


def message_positions(trace: Trace, wanted: set[tuple[int, str]]) -> dict[tuple[int, str], list[int]]:
    """Return the numbers of the frames with the messages of each wanted call, by session and key."""
    return {
        (one.session, one.key): [entry.frame for entry in one.messages if entry.what != "heartbeat"]
        for one in conversations(trace)
        if (one.session, one.key) in wanted
    }


__all__ = ["ScriptCall", "ScriptSession", "find_calls", "message_positions"]
