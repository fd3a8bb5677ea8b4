# SPDX-License-Identifier: Apache-2.0
"""Comparing two traces, and looking one over: only what the wire says differently counts."""

from __future__ import annotations

import json

import attrs
import pytest
from tracing import CONFIG, EVENT, MESSAGES, Program, message, output, program, reply, sse

from gradio_transport.errors import StreamLost
from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Severity, Trace, conversations, diff_traces, lint_trace
from gradio_transport.trace.compare import normalise


def trace_of(made, **meta):
    return Trace(meta, tuple(made.frames))


def with_messages(*messages):
    return trace_of(program(messages=messages))


OLD = with_messages(*MESSAGES)
CALL = "  call 1 of session {}, /count: "


def changes(new, old=OLD):
    """Return the differences without the title of the only call."""
    return [line.partition(", /count: ")[2] or line for line in diff_traces(old, new)]


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


class TestDiff:
    def test_a_trace_does_not_differ_from_itself(self):
        assert diff_traces(OLD, OLD) == []

    def test_what_depends_on_the_run_does_not_count(self):
        other = "f" * 32
        moved = [one | {"event_id": other} if one["event_id"] else one for one in MESSAGES]
        moved[0] |= {"rank": 3, "queue_size": 4, "rank_eta": 0.25}
        moved[1] |= {"eta": None}
        moved[4] |= {"output": output("é 1, ü 2") | {"duration": 99.5}}
        made = Program(base="http://127.0.0.1:9999").discover(
            CONFIG | {"root": "http://127.0.0.1:9999", "app_id": 7}
        )
        made.session("another-hash").call("x", event_id=other)
        made.chunks(sse(*moved[:1]), sse(message("heartbeat", None), moved[0]), sse(*moved[1:])).end()
        assert diff_traces(OLD, trace_of(made)) == []

    def test_a_new_key(self):
        new = [*MESSAGES[:4], MESSAGES[4] | {"title": None}, MESSAGES[5]]
        assert changes(with_messages(*new)) == ["process_completed: key title is new: null"]

    def test_a_key_that_is_gone(self):
        new = [*MESSAGES[:4], {k: v for k, v in MESSAGES[4].items() if k != "success"}, MESSAGES[5]]
        assert changes(with_messages(*new)) == ["process_completed: key success is gone"]

    @pytest.mark.parametrize(
        ("value", "line"),
        [
            ("other", 'process_completed: output.data[] was "é 1, ü 2", is "other"'),
            (5, 'process_completed: output.data[] was "é 1, ü 2" (text), is 5 (number)'),
            (True, 'process_completed: output.data[] was "é 1, ü 2" (text), is true (boolean)'),
            (None, 'process_completed: output.data[] was "é 1, ü 2" (text), is null (null)'),
            ([1], 'process_completed: output.data[] was "é 1, ü 2" (text), is [1] (list)'),
            ({}, 'process_completed: output.data[] was "é 1, ü 2" (text), is {} (object)'),
        ],
    )
    def test_another_value(self, value, line):
        new = [*MESSAGES[:4], MESSAGES[4] | {"output": output(value)}, MESSAGES[5]]
        assert changes(with_messages(*new)) == [line]

    def test_long_values_are_cut(self):
        new = [*MESSAGES[:4], MESSAGES[4] | {"output": output("x" * 500)}, MESSAGES[5]]
        (line,) = changes(with_messages(*new))
        assert len(line) < 250

    def test_another_number_of_items(self):
        new = [*MESSAGES[:4], MESSAGES[4] | {"output": output("é 1, ü 2", 2)}, MESSAGES[5]]
        assert changes(with_messages(*new)) == ["process_completed: output.data had 1 items, has 2"]

    def test_another_order_of_keys(self):
        new = [*MESSAGES[:4], dict(reversed(MESSAGES[4].items())), MESSAGES[5]]
        assert changes(with_messages(*new)) == ["process_completed: the keys of it come in another order"]

    def test_a_new_message_and_one_that_is_gone(self):
        new = [message("log", log="hi"), *MESSAGES[:2], *MESSAGES[4:]]
        lines = changes(with_messages(*new))
        assert "log is new after reply 200" in lines
        assert lines.count("no process_generating any more after process_starts") == 1

    def test_not_a_number_equals_itself(self):
        new = [*MESSAGES[:4], MESSAGES[4] | {"output": output(float("nan"))}, MESSAGES[5]]
        trace = with_messages(*new)
        assert diff_traces(trace, with_messages(*new)) == []

    def test_another_request(self):
        lines = changes(trace_of(program(data=["y"])))
        assert lines == ['call: [] was "x", is "y"', 'POST /gradio_api/queue/join: data[] was "x", is "y"']

    def test_another_ending(self):
        made = (
            Program().discover().session().call("x").chunks(*(sse(one) for one in MESSAGES)).end(Ending.RESET)
        )
        assert [line.partition(": ")[2] for line in diff_traces(OLD, trace_of(made))] == [
            "no end clean any more after close_stream",
            "end reset is new after close_stream",
        ]

    def test_of_the_config_only_shapes_count(self):
        made = Program().discover(CONFIG | {"username": "another", "space_id": "a/b", "enable_queue": "yes"})
        old = trace_of(Program().discover())
        assert diff_traces(old, trace_of(made)) == [
            '  discovery: reply 200: key space_id is new: "a/b"',
            '  discovery: reply 200: enable_queue was true (boolean), is "yes" (text)',
        ]

    def test_a_config_that_changed_everywhere_is_cut(self):
        made = Program().discover(CONFIG | {f"key{number}": number for number in range(100)})
        lines = diff_traces(trace_of(Program().discover()), trace_of(made))
        assert len(lines) == 41
        assert lines[-1] == "  discovery: and 60 more"

    def test_calls_that_come_and_go(self):
        made = program().call("y", event_id="second")
        new = trace_of(made)
        number = made.wire.number
        assert [f"+ call 2 of session {number}, /count"] == [
            line for line in diff_traces(OLD, new) if line.startswith("+")
        ]
        assert [f"- call 2 of session {number}, /count"] == [
            line for line in diff_traces(new, OLD) if line.startswith("-")
        ]

    def test_versions_and_adapters_are_named(self):
        new = attrs.evolve(OLD, meta={"gradio": "7.0", "adapter": ["sse_v4"]})
        old = attrs.evolve(OLD, meta={"gradio": "6.0", "adapter": ["sse_v3"]})
        assert diff_traces(old, new) == [
            "  meta: gradio '6.0' became '7.0'",
            "  meta: adapter ['sse_v3'] became ['sse_v4']",
        ]

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("http://127.0.0.1:7860/x", "http://127.0.0.1:1/x"),
            ("<generator object f at 0x7f3f93f4fdf0>", "<generator object f at 0x7f0000000000>"),
            ("/tmp/abc/gradio/" + "0" * 64 + "/a.txt", "/tmp/gradio/" + "1" * 64 + "/a.txt"),
            ("0b9a5a1e-6f0e-4b1e-8a52-000000000000", "0b9a5a1e-6f0e-4b1e-8a52-111111111111"),
            ("Mon, 23 Nov 2026 22:41:39 GMT", "Tue, 24 Nov 2026 00:00:00 GMT"),
            ("session-1", "session-2"),
            ({"session_hash": "x", "event_id": EVENT}, {"session_hash": "y", "event_id": "z"}),
        ],
    )
    def test_names_of_a_day_are_made_equal(self, one, other):
        assert normalise(one) == normalise(other)

    @pytest.mark.parametrize("value", [{"rank": "first"}, {"event_id": None}, {"duration": [1]}])
    def test_but_not_where_they_are_something_else(self, value):
        assert normalise(value) == value


class TestLint:
    def lint(self, *messages):
        return [(one.severity, one.what) for one in lint_trace(with_messages(*messages))]

    def test_a_trace_as_it_should_be(self):
        assert lint_trace(OLD) == []

    def test_a_message_that_nobody_knows(self):
        found = self.lint(*MESSAGES[:2], message("of_tomorrow"), *MESSAGES[4:])
        assert found == [(Severity.WARNING, "the message 'of_tomorrow' is unknown")]

    def test_fields_that_are_new(self):
        completed = MESSAGES[4] | {"colour": 1, "output": output(1) | {"shade": 2}}
        assert self.lint(*MESSAGES[:2], completed, MESSAGES[5]) == [
            (Severity.NOTE, "process_completed has the new field 'colour'"),
            (Severity.NOTE, "process_completed.output has the new field 'shade'"),
        ]

    def test_messages_out_of_order(self):
        found = self.lint(MESSAGES[1], MESSAGES[1], *MESSAGES[4:])
        assert found == [(Severity.WARNING, "ProcessStarts in state running")]

    def test_what_is_no_message(self):
        made = Program().discover().session().call("x").chunks(b"data: garbage\n\n")
        found = lint_trace(trace_of(made))
        assert found[0].severity is Severity.WARNING
        assert "no message: 'garbage'" in found[0].what
        assert str(found[0]).startswith("warning: session ")

    def test_the_events_of_call_are_no_messages(self):
        made = Program().discover().session().call("x")
        made.chunks(b'event: heartbeat\ndata: null\n\nevent: error\ndata: {"error": "x"}\n\n')
        assert not any(one.what.startswith("nobody") for one in lint_trace(trace_of(made)))

    def test_a_replay_that_differs_comes_first(self):
        frames = [
            attrs.evolve(frame, payload={**frame.payload, "method": "PUT"})
            if frame.kind is Kind.REQUEST and frame.session
            else frame
            for frame in program(messages=[message("of_tomorrow"), *MESSAGES]).frames
        ]
        severities = [one.severity for one in lint_trace(Trace({}, frames, truncated=True))]
        assert severities == [Severity.ERROR, Severity.ERROR, Severity.WARNING, Severity.NOTE]

    def test_a_call_that_failed_and_one_that_did_not_end(self):
        made = Program().discover().session().call("x").call("y", event_id="second")
        made.took(made.wire.abandon(made.exchange, StreamLost("gone")))
        texts = {one.what for one in lint_trace(trace_of(made))}
        assert texts == {"the trace ends before it does", "StreamLost: gone"}

    def test_a_discovery_that_was_refused(self):
        made = Program()
        made.taps.show(
            Direction.OUT, Kind.REQUEST, "discover", 0, {"method": "GET", "url": f"{made.base}/config"}
        )
        made.taps.response("discover", 0, reply({"auth_required": True}))
        texts = [str(one) for one in lint_trace(trace_of(made))]
        assert texts[0].startswith("note: discovery: AuthenticationRequired: ")
        assert texts[1] == "note: the file: it holds no call"


def test_values_are_json_so_that_a_diff_can_be_shown():
    json.dumps([one.value for call in conversations(OLD) for one in call.entries])
