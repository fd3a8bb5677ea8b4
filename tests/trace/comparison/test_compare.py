# SPDX-License-Identifier: Apache-2.0
"""Comparing two traces: only what the wire says differently counts."""

from __future__ import annotations

import itertools
import json

import attrs
import pytest
from tracing import CONFIG, MESSAGES, Program, message, output, program, sse

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import Layer, Trace, compare_traces, diff_traces, read_trace
from gradio_transport_conformance.traces import shipped_trace, traces, versions


def trace_of(made, **meta):
    return Trace(meta, tuple(made.frames))


def with_messages(*messages):
    return trace_of(program(messages=messages))


OLD = with_messages(*MESSAGES)


def changes(new, old=OLD):
    """Return the differences as texts, without the place of the only call."""
    return [line.partition(" (call 1 of")[0] for line in diff_traces(old, new)]


def shipped(version, name):
    return read_trace(shipped_trace(f"{version}/{name}"))


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

    def test_a_key_that_is_new_or_gone(self):
        new = [*MESSAGES[:4], MESSAGES[4] | {"title": None}, MESSAGES[5]]
        assert changes(with_messages(*new)) == ["messages: process_completed: new key title"]
        assert changes(OLD, with_messages(*new)) == ["messages: process_completed: gone key title"]

    def test_a_key_of_many_messages_is_one_difference(self):
        new = [one | {"b": 1, "a": 2} if one["msg"] == "process_generating" else one for one in MESSAGES]
        (found,) = compare_traces(OLD, with_messages(*new))
        assert (found.layer, found.count, set(found.keys)) == (Layer.MESSAGES, 2, {"a", "b"})
        assert str(found) == "messages: process_generating: new keys b, a (2 times)"

    def test_more_keys_than_a_line_names(self):
        new = [*MESSAGES[:4], MESSAGES[4] | {f"key{number}": number for number in range(100)}, MESSAGES[5]]
        (found,) = compare_traces(OLD, with_messages(*new))
        assert len(found.keys) == 100
        assert str(found).endswith("and 88 more")

    @pytest.mark.parametrize(
        ("value", "line"),
        [
            ("other", 'values: outputs: [] was "é 1, ü 2", is "other"'),
            (5, 'values: outputs: [] was "é 1, ü 2" (text), is 5 (number)'),
            (True, 'values: outputs: [] was "é 1, ü 2" (text), is true (boolean)'),
            (None, 'values: outputs: [] was "é 1, ü 2" (text), is null (null)'),
            ([1], 'values: outputs: [] was "é 1, ü 2" (text), is [1] (list)'),
            ({}, 'values: outputs: [] was "é 1, ü 2" (text), is {} (object)'),
        ],
    )
    def test_another_value(self, value, line):
        new = [*MESSAGES[:4], MESSAGES[4] | {"output": output(value)}, MESSAGES[5]]
        assert changes(with_messages(*new)) == [line]

    def test_another_encoding_of_the_same_values_is_no_change(self):
        whole = message("process_generating", output=output([["replace", [], "é 1, ü 2"]]), success=True)
        assert changes(with_messages(*MESSAGES[:3], whole, *MESSAGES[4:])) == []

    def test_long_values_are_cut_and_begin_where_they_differ(self):
        old, new = (
            with_messages(*MESSAGES[:4], MESSAGES[4] | {"output": output("x" * 500 + end)}, MESSAGES[5])
            for end in ("one", "two")
        )
        (line,) = changes(new, old)
        assert len(line) < 250
        assert "one" in line
        assert "from character 480 on" in line

    def test_another_number_of_items(self):
        old = with_messages(*MESSAGES[:4], MESSAGES[4] | {"output": output(["a"])}, MESSAGES[5])
        new = with_messages(*MESSAGES[:4], MESSAGES[4] | {"output": output(["a", "b"])}, MESSAGES[5])
        assert changes(new, old) == ["values: outputs: [] had 1 item, has 2"]

    def test_another_order_of_keys(self):
        new = [*MESSAGES[:4], dict(reversed(MESSAGES[4].items())), MESSAGES[5]]
        assert changes(with_messages(*new)) == ["messages: process_completed: the keys are in another order"]

    def test_a_new_message_and_one_that_is_gone(self):
        new = [message("log", log="hi"), *MESSAGES[:2], *MESSAGES[4:]]
        lines = changes(with_messages(*new))
        assert "messages: new: log" in lines
        assert "messages: gone: process_generating" in lines

    def test_another_number_of_messages(self):
        lines = changes(with_messages(*MESSAGES[:3], *MESSAGES[4:]))
        assert lines == ["messages: process_generating: there were 2, are 1"]

    def test_another_order_of_messages(self):
        log = message("log", log="hi", level="info")
        old, new = with_messages(log, *MESSAGES), with_messages(*MESSAGES[:2], log, *MESSAGES[2:])
        assert "messages: messages are in another order" in changes(new, old)

    def test_not_a_number_equals_itself(self):
        new = [*MESSAGES[:4], MESSAGES[4] | {"output": output(float("nan"))}, MESSAGES[5]]
        trace = with_messages(*new)
        assert diff_traces(trace, with_messages(*new)) == []

    def test_other_arguments_are_told_once(self):
        lines = changes(trace_of(program(data=["y"])))
        assert lines == ['values: arguments: [] was "x", is "y"']

    def test_another_ending(self):
        made = (
            Program().discover().session().call("x").chunks(*(sse(one) for one in MESSAGES)).end(Ending.RESET)
        )
        (line,) = diff_traces(OLD, trace_of(made))
        assert line.startswith("requests: the end of GET /queue/data was clean, is reset (session ")

    def test_an_error_instead_of_a_result(self):
        failed = MESSAGES[4] | {"output": {"error": "boom"}, "success": False}
        lines = changes(with_messages(*MESSAGES[:4], failed, MESSAGES[5]))
        assert 'values: it ended with no error, ends with "AppError: boom"' in lines

    def test_another_status(self):
        frames = [
            attrs.evolve(frame, payload={**frame.payload, "status": 201})
            if frame.kind is Kind.RESPONSE and frame.session
            else frame
            for frame in OLD.frames
        ]
        assert "requests: the reply to POST /queue/join was 200, is 201" in changes(Trace({}, frames))

    def test_of_the_config_only_shapes_count(self):
        made = Program().discover(CONFIG | {"username": "another", "space_id": "a/b", "title": 5, "css": {}})
        old = trace_of(Program().discover(CONFIG | {"title": "x"}))
        assert diff_traces(old, trace_of(made)) == [
            "config: /config: new keys space_id, css",
            "config: /config: title was text, is number",
        ]

    def test_a_prefix_that_all_routes_got_is_one_difference(self):
        lines = diff_traces(shipped("4.44.1", "count"), shipped("6.31.0", "count"))
        assert "requests: the prefix of routes was empty, is /gradio_api (5 requests)" in lines
        assert not any("/queue/join" in line for line in lines)
        assert len(lines) < 25

    def test_calls_that_come_and_go(self):
        made = program().call("y", event_id="second")
        new = trace_of(made)
        number = made.wire.number
        assert f"requests: call 2 of session {number}, /count is new" in diff_traces(OLD, new)
        assert f"requests: call 2 of session {number}, /count is gone" in diff_traces(new, OLD)

    def test_versions_and_adapters_are_named(self):
        new = attrs.evolve(OLD, meta={"gradio": "7.0", "adapter": ["sse_v4"]})
        old = attrs.evolve(OLD, meta={"gradio": "6.0", "adapter": ["sse_v3"]})
        assert diff_traces(old, new) == ["meta: gradio 6.0 became 7.0", "meta: adapter sse_v3 became sse_v4"]

    def test_what_cannot_be_replayed_is_compared_by_its_messages(self):
        kept = [frame for frame in OLD.frames if frame.session]
        new = [*MESSAGES[:4], MESSAGES[4] | {"output": output("other")}, MESSAGES[5]]
        changed = [frame for frame in with_messages(*new).frames if frame.session]
        lines = changes(Trace({}, changed), Trace({}, kept))
        assert lines == ['values: outputs: [] was "é 1, ü 2", is "other"']

    def test_time_grows_with_the_trace_and_not_with_its_square(self):
        names = [message(f"kind{number}", **{f"key{number}": "x"}) for number in range(5_000)]
        lines = diff_traces(with_messages(*names, *MESSAGES), with_messages(*reversed(names), *MESSAGES))
        assert lines[0].startswith("messages: messages are in another order")

    def test_deep_values_are_compared_to_a_depth(self):
        deep = json.loads("[" * 300 + "1" + "]" * 300)
        new = [*MESSAGES[:4], MESSAGES[4] | {"output": output(deep)}, MESSAGES[5]]
        assert changes(with_messages(*new), with_messages(*new)) == []


class TestKit:
    @pytest.mark.parametrize(
        ("old", "new"), [("4.44.1", "6.31.0"), ("3.50.2", "4.44.1"), ("6.13.0", "6.31.0")]
    )
    def test_two_versions_differ_in_few_lines(self, old, new):
        for name in ("add", "count", "crash", "file_in", "state", "chat"):
            found = compare_traces(shipped(old, name), shipped(new, name))
            assert found[0].layer is Layer.META
            assert 1 < len(found) < 45
            assert len({one.text for one in found}) == len(found)

    @pytest.mark.slow
    @pytest.mark.parametrize(("old", "new"), list(itertools.pairwise(versions())))
    def test_pairs_of_neighbours(self, old, new):
        for path in traces(new)[::24]:
            before = path.parent.parent / old / path.name
            if before.exists():
                found = compare_traces(read_trace(before), read_trace(path))
                assert found
                assert len(found) < 90
