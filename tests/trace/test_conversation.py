# SPDX-License-Identifier: Apache-2.0
"""The entries of a trace, sorted by call, whatever order the frames came in."""

from __future__ import annotations

import json

from tracing import MESSAGES, Program, message, program, sse

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, conversations


def trace_of(made, **meta):
    return Trace(meta, tuple(made.frames))


def with_messages(*messages):
    return trace_of(program(messages=messages))


OLD = with_messages(*MESSAGES)


class TestConversations:
    def test_what_was_said_is_sorted_by_call(self):
        made = program().call("y", event_id="second").chunks(sse(message("process_starts", "second")))
        made.cancel()
        discovery, session, first, second = conversations(trace_of(made))
        assert [one.what for one in discovery.entries] == [
            "GET /config", "reply 200", "GET /gradio_api/info", "reply 200",
        ]  # fmt: skip
        assert [one.what for one in session.entries][:2] == [
            "adapter sse_v3",
            "GET /gradio_api/queue/data?session_hash=a1b2c3d4e5",
        ]
        assert [one.what for one in first.entries] == [
            "call", "POST /gradio_api/queue/join", "reply 200",
            *(str(one["msg"]) for one in MESSAGES[:5]),
        ]  # fmt: skip
        assert [one.what for one in second.entries][3:] == [
            "process_starts", "cancel", "POST /gradio_api/cancel", "reply 200",
        ]  # fmt: skip
        assert [one.title.partition(" of")[0] for one in (discovery, first, second)] == [
            "discovery",
            "call 1",
            "call 2",
        ]
        assert session.title.startswith("session ")

    def test_a_message_is_said_by_the_frame_that_completed_it(self):
        whole = sse(MESSAGES[0])
        made = Program().discover().session().call("x").chunks(whole[:9], whole[9:])
        call = conversations(trace_of(made))[-1]
        assert [made.frames[one.frame].payload["data"] for one in call.messages] == [whole[9:]]

    def test_a_websocket_is_understood_too(self):
        def frame(direction, kind, **payload):
            return Frame(0.0, direction, kind, "1.ws", payload, 1)

        frames = (
            frame(Direction.OUT, Kind.WS_OPEN, url="ws://h/queue/join", headers={}),
            frame(Direction.IN, Kind.WS_ACCEPT),
            frame(Direction.IN, Kind.WS_TEXT, text='{"msg": "send_hash"}'),
            frame(Direction.OUT, Kind.WS_TEXT, text='{"hash": 1}'),
            frame(Direction.IN, Kind.WS_TEXT, text="garbage"),
            frame(Direction.IN, Kind.END, ending="clean", code=1000, reason=""),
            frame(Direction.IN, Kind.ERROR, error="ConnectError", message="refused"),
        )
        (call,) = conversations(Trace({}, frames))
        assert [one.what for one in call.entries] == [
            "open /queue/join", "ws-accept", "send_hash", "send", "message", "end clean 1000", "error ConnectError",
        ]  # fmt: skip
        assert [one.value for one in call.messages] == [{"msg": "send_hash"}, "garbage"]

    def test_named_events_keep_their_names(self):
        made = Program().discover().session().call("x").chunks(b'event: complete\ndata: ["x"]\n\n')
        said = [one for call in conversations(trace_of(made)) for one in call.messages]
        assert [(one.what, one.value) for one in said] == [("complete", ["x"])]


def test_values_are_json_so_that_a_diff_can_be_shown():
    json.dumps([one.value for call in conversations(OLD) for one in call.entries])
