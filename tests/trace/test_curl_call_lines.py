# SPDX-License-Identifier: Apache-2.0
"""The lines of a script of curl commands that repeat one call, by the protocol of the call."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, read_trace
from gradio_transport.trace.curl import functions
from gradio_transport.trace.curl.call_lines import CallLines
from gradio_transport.trace.curl.calls import find_calls, message_positions
from gradio_transport.trace.curl.parts import ScriptParts
from gradio_transport.trace.curl.text import Replacements, Variable
from gradio_transport_conformance.traces import shipped_trace


def parts_of(trace: Trace) -> ScriptParts:
    """Return the parts of a script with the first call of a trace alone."""
    calls, sessions = find_calls(trace)
    call, parts = calls[0], ScriptParts()
    session = sessions[call.session]
    replacements = Replacements(
        session=session.alias,
        event=call.event,
        base=(session.source, Variable("BASE")),
        paths={},
        secret=lambda: Variable("SECRET"),
    )
    messages = message_positions(trace, {(call.session, call.key)})
    CallLines(parts, call, replacements, messages, trace).add()
    return parts


def commands(parts: ScriptParts) -> list[str]:
    """Return the commands of a script that make or read requests, without their arguments."""
    words = [line.strip().partition(" ")[0] for line in parts.lines]
    return [word for word in words if word in ("post", "poll", "open_stream", "show_reply", "post_steps")]


@pytest.mark.parametrize(
    ("name", "made", "function"),
    [
        ("2.9.4/direct_hello", ["post", "show_reply"], None),
        ("2.9.4/hello", ["post", "poll"], functions.POLL),
        ("3.50.2/hello", ["post_steps"], functions.STEPS),
        ("4.8.0/count", ["post", "open_stream"], functions.FOLLOW_JOIN),
        ("4.44.1/call_count", ["post", "open_stream"], functions.FOLLOW_CALL),
        ("6.31.0/count", ["post", "open_stream"], functions.FOLLOW_QUEUE),
    ],
)
def test_each_protocol_has_its_requests(name: str, made: Sequence[str], function: str | None) -> None:
    parts = parts_of(read_trace(shipped_trace(name)))
    assert commands(parts) == made
    assert function is None or function in parts.functions
    assert len(parts.functions) == len(set(parts.functions))


@pytest.mark.parametrize(("name", "route"), [("3.50.2/hello", "/run/hello"), ("3.4.1/hello", "/api/hello")])
def test_a_websocket_is_replaced_by_the_direct_route(name: str, route: str) -> None:
    lines = parts_of(read_trace(shipped_trace(name))).lines
    assert "# It was made over a websocket, which curl cannot speak." in lines
    assert any(line.startswith(f"post_steps \"$BASE\"'{route}' ") for line in lines)


def test_a_call_is_cancelled_after_as_many_messages_as_in_the_recording() -> None:
    parts = parts_of(read_trace(shipped_trace("6.31.0/cancel_generator")))
    lines = [line.strip() for line in parts.lines]
    place = lines.index("# It was cancelled here.")
    assert lines[place - 1].removesuffix(")").isdecimal()
    assert lines[place + 1].startswith("post \"$BASE\"'/gradio_api/cancel'")
    assert lines[place + 2] == "outcome=cancelled"


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ({"event_id": "e1"}, "Another program joined it, and its event cannot be joined again."),
        ({}, "It sent no request."),
    ],
)
def test_a_call_that_cannot_be_repeated_is_left_out(payload: dict[str, str], why: str) -> None:
    opened = {"adapter": "sse_v3", "session_hash": "s", "source": "http://app.example"}
    frames = (
        Frame(0.0, Direction.LOCAL, Kind.SESSION, "", opened, 1),
        Frame(0.0, Direction.LOCAL, Kind.CALL, "1", {"endpoint": "/x", "data": [], **payload}, 1),
    )
    parts = parts_of(Trace({}, frames))
    assert parts.lines == [f"# Left out. {why}", f"say '  left out: {why}'"]
