# SPDX-License-Identifier: Apache-2.0
"""Comparing two traces: only what the wire says differently counts."""

from __future__ import annotations

import attrs
import pytest
from tracing import CONFIG, EVENT, MESSAGES, Program, message, output, program, sse

from gradio_transport.protocol.commands import Ending
from gradio_transport.trace import Trace, diff_traces
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
