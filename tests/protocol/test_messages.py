# SPDX-License-Identifier: Apache-2.0
"""One message of the wire, one event, whatever the message."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport import events as e
from gradio_transport.errors import AppError, GradioTransportError, MalformedMessage
from gradio_transport.policy import MAX_JSON_DEPTH
from gradio_transport.protocol.json import decode_json
from gradio_transport.protocol.messages import decode, decode_completed, decode_output, event_id_of


@pytest.mark.parametrize(
    ("msg", "kind"),
    [
        ("send_hash", e.SendHash),
        ("send_data", e.SendData),
        ("queue_full", e.QueueFullMessage),
        ("heartbeat", e.Heartbeat),
        ("alive?", e.Heartbeat),
        ("close_stream", e.CloseStream),
        ("server_stopped", e.ServerStopped),
    ],
)
def test_messages_without_fields_are_their_name(msg: str, kind: type[e.Event]) -> None:
    raw = {"msg": msg, "event_id": "e1"}
    event = decode(raw)
    assert type(event) is kind
    assert (event.event_id, event.raw) == ("e1", raw)


def test_a_place_in_the_queue() -> None:
    event = decode({"msg": "estimation", "rank": 1, "queue_size": 2, "rank_eta": 0.5})
    assert event == e.Estimation(rank=1, queue_size=2, rank_eta=0.5, raw=event.raw)


def test_progress_knows_its_fraction_where_it_can_be_known() -> None:
    units = [
        {"index": 1, "length": 4, "unit": "steps", "progress": None, "desc": "go"},
        {"progress": 0.5},
        {"index": 1, "length": 0},
        {"length": 3},
        "nonsense",
    ]
    event = decode({"msg": "progress", "progress_data": units})
    assert isinstance(event, e.Progress)
    assert [unit.fraction for unit in event.units] == [0.25, 0.5, None, None, None]
    assert (event.units[0].unit, event.units[0].desc) == ("steps", "go")


def test_frames_and_streams_carry_their_values() -> None:
    output = {"data": [1], "duration": 2.0, "render_config": {"components": []}}
    event = decode({"msg": "process_generating", "output": output})
    assert isinstance(event, e.ProcessGenerating)
    assert (event.data, event.duration, event.render_config) == ([1], 2.0, {"components": []})
    event = decode({"msg": "process_streaming", "output": {"data": "no list"}, "time_limit": 30})
    assert isinstance(event, e.ProcessStreaming)
    assert (event.data, event.time_limit) == ([], 30)


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"message": "404: Session not found."}, True),
        ({"session_not_found": True}, True),
        ({"message": 5}, False),
    ],
)
def test_a_lost_session_is_told_from_other_errors_of_the_stream(
    fields: dict[str, Any], missing: bool
) -> None:
    event = decode({"msg": "unexpected_error", **fields})
    assert isinstance(event, e.UnexpectedError)
    assert event.session_not_found is missing


EMPTY = {"msg": "process_completed", "output": {}, "success": True}


def test_an_empty_output_is_a_cancelled_call_unless_it_failed() -> None:
    assert isinstance(decode(EMPTY, cancellable=True), e.Cancelled)
    failed = decode({**EMPTY, "success": False}, cancellable=True)
    assert isinstance(failed, e.ProcessCompleted)
    assert isinstance(failed.error, AppError)


def test_an_empty_output_of_a_server_that_cancels_nothing_is_a_lost_result() -> None:
    event = decode(EMPTY)
    assert isinstance(event, e.ProcessCompleted)
    assert isinstance(event.error, MalformedMessage)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("e1", "e1"),
        ("7", "7"),
        (7, "7"),
        (0, "0"),
        (-(10**40), str(-(10**40))),
        ("", None),
        (None, None),
        (True, None),
        (7.0, None),
        (["e1"], None),
    ],
)
def test_a_text_or_a_whole_number_names_a_call(value: Any, name: str | None) -> None:
    assert event_id_of({"event_id": value}) == name
    assert decode({"msg": "heartbeat", "event_id": value}).event_id == name


@pytest.mark.parametrize("value", [None, [], "e1", 7, {}])
def test_what_is_no_message_names_no_call(value: Any) -> None:
    assert event_id_of(value) is None


@pytest.mark.parametrize("kind", [{}, {"msg": None}, {"msg": "unexpected_error"}, {"msg": "brand_new"}])
def test_the_text_of_a_server_that_stops_is_enough(kind: dict[str, Any]) -> None:
    event = decode({**kind, "message": "Server stopped unexpectedly."})
    assert isinstance(event, e.UnexpectedError)
    assert (event.message, event.session_not_found) == ("Server stopped unexpectedly.", False)


def test_a_known_message_may_quote_that_text() -> None:
    log = decode({"msg": "log", "log": "x", "message": "Server stopped unexpectedly."})
    assert isinstance(log, e.Log)


@pytest.mark.parametrize(
    ("output", "success", "good"),
    [
        ({"data": [1]}, True, True),
        ({"data": [1]}, None, True),
        ({"data": [1], "error": "x"}, None, True),
        ({"error": "x"}, None, False),
        ({"data": [1]}, False, False),
        ({"data": "no list"}, True, False),
        ({"duration": 1}, True, False),
    ],
)
def test_a_completion_succeeds_by_its_flag_or_by_its_outputs(
    output: dict[str, Any], success: Any, good: bool
) -> None:
    event = decode_output(output, success=success)
    assert event.success is good
    assert (event.error is None) is good


@pytest.mark.parametrize("output", [None, [], "text", 5])
def test_a_completion_without_outputs_says_what_came(output: Any) -> None:
    event = decode_completed({"msg": "process_completed", "output": output, "more": "secretless"})
    assert isinstance(event, e.ProcessCompleted)
    assert isinstance(event.error, MalformedMessage)
    assert "secretless" in str(event.error)


def test_what_a_completion_tells_besides_its_outputs() -> None:
    output = {
        "data": [1],
        "duration": float("nan"),
        "average_duration": 10**400,
        "changed_state_ids": [1, "x", 2],
        "render_config": {"layout": {}},
    }
    event = decode_completed({"output": output, "success": True, "used_cache": "full"}, "e1")
    assert isinstance(event, e.ProcessCompleted)
    assert (event.duration, event.average_duration) == (None, None)
    assert (event.changed_state_ids, event.used_cache, event.render_config) == (
        (1, 2),
        "full",
        {"layout": {}},
    )


def test_an_error_of_old_servers_is_unquoted_and_keeps_the_messages_title() -> None:
    raw = {"msg": "process_completed", "output": {"error": "'why'"}, "success": False, "title": "Oh"}
    event = decode(raw, quoted_errors=True)
    assert isinstance(event, e.ProcessCompleted)
    assert isinstance(event.error, AppError)
    assert (event.error.message, event.error.title) == ("why", "Oh")


@pytest.mark.parametrize(
    ("msg", "said"), [("brand_new", "brand_new"), (None, "None"), ("x" * 500, "x" * 100)]
)
def test_a_message_of_an_unknown_kind_is_kept(msg: Any, said: str) -> None:
    event = decode({"msg": msg})
    assert isinstance(event, e.UnknownMessage)
    assert event.msg == said


def test_a_kind_as_large_as_a_message_is_not_quoted_whole() -> None:
    event = decode({"msg": [["x" * 1000] * 1000] * 1000})
    assert isinstance(event, e.UnknownMessage)
    assert len(event.msg) < 5000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = [
    "event_id", "output", "data", "success", "title", "rank", "queue_size", "rank_eta", "eta", "progress_data",
    "log", "level", "duration", "visible", "time_limit", "message", "session_not_found", "used_cache",
]  # fmt: skip
OUTPUT = st.dictionaries(
    st.sampled_from(["data", "error", "duration", "average_duration", "changed_state_ids", "render_config"]),
    JSON,
)
KINDS = [
    "estimation", "process_starts", "progress", "log", "process_generating", "process_streaming",
    "process_completed", "unexpected_error", "heartbeat", "?",
]  # fmt: skip


@given(
    st.sampled_from(KINDS) | JSON,
    st.dictionaries(st.sampled_from(FIELDS), JSON | OUTPUT),
    st.none() | OUTPUT,
    st.booleans(),
)
def test_any_object_is_an_event_and_raises_nothing(
    msg: Any, fields: dict[str, Any], output: dict[str, Any] | None, quoted: bool
) -> None:
    raw = {"msg": msg, **fields} | ({} if output is None else {"output": output})
    event = decode(raw, quoted_errors=quoted)
    assert isinstance(event, e.Event)
    assert event.raw is raw
    if isinstance(event, e.ProcessCompleted):
        assert event.success is (event.error is None)
        assert event.error is None or isinstance(event.error, GradioTransportError)


@pytest.mark.parametrize("opened", ["[", '{"a":'])
@pytest.mark.parametrize("as_bytes", [False, True])
def test_json_is_taken_to_a_depth_that_depends_on_nothing_and_no_deeper(opened: str, as_bytes: bool) -> None:
    def nested(levels: int) -> str | bytes:
        text = opened * levels + "1" + {"[": "]"}.get(opened, "}") * levels
        return text.encode() if as_bytes else text

    assert decode_json(nested(MAX_JSON_DEPTH)) == json.loads(nested(MAX_JSON_DEPTH))
    for levels in (MAX_JSON_DEPTH + 1, 100_000):
        with pytest.raises(ValueError, match=f"more than {MAX_JSON_DEPTH} levels"):
            decode_json(nested(levels))


def test_brackets_in_texts_and_side_by_side_are_no_depth() -> None:
    assert decode_json(json.dumps("[" * 5000)) == "[" * 5000
    assert decode_json(json.dumps([[]] * 5000)) == [[]] * 5000


@pytest.mark.parametrize("around", ["", " ", "\n", "\t\r\n"])
@pytest.mark.parametrize("value", [{}, {"a": [1, {"b": None}]}, [1], "x", 5, None])
def test_white_space_around_json_is_taken_and_anything_else_is_not(around: str, value: object) -> None:
    text = json.dumps(value)
    assert decode_json(f"{around}{text}{around}") == value
    for spoiled in (f"{text} {text}", f"{text}]", "{", '{"a":1'):
        with pytest.raises(ValueError):
            decode_json(spoiled)
