# SPDX-License-Identifier: Apache-2.0
"""The calls and sessions that a script of curl commands repeats, as they are found in a trace."""

from __future__ import annotations

import json

import pytest

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, read_trace
from gradio_transport.trace.curl.bodies import event_id, uploaded_paths
from gradio_transport.trace.curl.calls import find_calls, message_positions
from gradio_transport_conformance.traces import shipped_trace


def test_calls_are_numbered_through_all_sessions() -> None:
    calls, sessions = find_calls(read_trace(shipped_trace("6.31.0/state")))
    assert [(call.number, call.session, call.key) for call in calls] == [
        (1, 1, "1"),
        (2, 1, "2"),
        (3, 2, "1"),
    ]
    assert [call.data for call in calls] == [["a", None], ["b", None], ["c", None]]
    assert sorted(sessions) == [1, 2]
    assert {session.adapter for session in sessions.values()} == {"sse_v3"}


def test_a_call_has_its_requests_by_channel_and_the_event_id_of_the_reply() -> None:
    trace = read_trace(shipped_trace("6.31.0/cancel_generator"))
    ((call,), _) = find_calls(trace)
    assert {channel: len(frames) for channel, frames in call.requests.items()} == {"join": 1, "cancel": 1}
    (reply,) = (f for f in trace.frames if f.channel == "1.join" and f.kind is Kind.RESPONSE)
    assert call.event == json.loads(reply.payload["body"])["event_id"]
    assert call.cancelled is not None
    assert trace.frames[call.cancelled].kind is Kind.CANCEL
    assert all(trace.frames[place].channel.startswith("1.") for place in call.positions.values())


def test_a_retried_request_is_not_repeated() -> None:
    def join(**payload: object) -> Frame:
        request = {"method": "POST", "url": "http://app.example/queue/join", **payload}
        return Frame(0.0, Direction.OUT, Kind.REQUEST, "1.join", request, 1)

    call = Frame(0.0, Direction.LOCAL, Kind.CALL, "1", {"endpoint": "/x", "data": []}, 1)
    ((found,), _) = find_calls(Trace({}, (call, join(attempt=1), join())))
    assert found.positions == {id(found.of("join")[0]): 2}


def test_heartbeats_are_not_among_the_messages_of_a_call() -> None:
    def message(text: str) -> Frame:
        return Frame(0.0, Direction.IN, Kind.WS_TEXT, "1.socket", {"text": text}, 1)

    call = Frame(0.0, Direction.LOCAL, Kind.CALL, "1", {"endpoint": "/x", "data": []}, 1)
    opened = Frame(
        0.0, Direction.OUT, Kind.WS_OPEN, "1.socket", {"url": "ws://app.example", "headers": {}}, 1
    )
    frames = (call, opened, message('{"msg":"heartbeat"}'), message('{"msg":"send_hash"}'))
    trace = Trace({}, frames)
    assert message_positions(trace, {(1, "1")}) == {(1, "1"): [3]}
    assert message_positions(trace, {(1, "2")}) == {}


@pytest.mark.parametrize(
    ("body", "event", "paths"),
    [
        (b'{"event_id": "e1"}', "e1", []),
        (b'["/tmp/a", "", 1, "/tmp/b"]', "", ["/tmp/a", "/tmp/b"]),
        (b'{"event_id": 7}', "", []),
        (b"[" * 100_000, "", []),
        (b"\xff", "", []),
        (b"", "", []),
        (None, "", []),
    ],
)
def test_a_body_of_another_form_names_nothing(body: bytes | None, event: str, paths: list[str]) -> None:
    assert (event_id(body), uploaded_paths(body)) == (event, paths)
