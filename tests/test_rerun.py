# SPDX-License-Identifier: Apache-2.0
"""Calls of recordings, made again on other recordings that are played as servers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
from kit import slow_traces

import gradio_transport as gt
from gradio_transport.app.config import AppConfig, Endpoint, Parameter
from gradio_transport.protocol.frames import Frame, Kind
from gradio_transport.rerun import (
    EarlierFile,
    Inputs,
    PlannedCall,
    Result,
    Status,
    plan,
    recorded_calls,
    rerun,
)
from gradio_transport.trace import Trace, read_trace
from gradio_transport.trace.outcomes import Ending
from gradio_transport.trace.replay.discoveries import Discoveries
from gradio_transport_conformance.httpserver import serve_with_websockets
from gradio_transport_conformance.traces import shipped_trace, traces


def shipped(name: str) -> Trace:
    return read_trace(shipped_trace(name))


def config_of(trace: Trace) -> AppConfig:
    found = Discoveries(trace)
    source = next(str(f.payload["source"]) for f in trace.frames if f.kind is Kind.SESSION)
    return found.find(source, len(trace.frames)).config


def again(name: str, on: str, **inputs: Any) -> list[Result]:
    """Make the calls of one recording on another, which refuses every request that differs."""
    with (
        serve_with_websockets(shipped(on), strict=True) as served,
        gt.connect(served.url, timeouts=gt.Timeouts(total=20)) as app,
    ):
        planned = plan(shipped(name), app.config, inputs=Inputs(**inputs))
        return sorted(rerun(app, planned), key=lambda result: result.planned.recorded.number)


def statuses(results: Sequence[Result]) -> list[str]:
    return [result.status.value for result in results]


def planned_for(*parameters: Parameter, name: str = "6.31.0/add", **inputs: Any) -> PlannedCall:
    """Plan a recorded call for an endpoint of the same name with other parameters."""
    trace = shipped(name)
    config = config_of(trace)
    (call,) = (frame for frame in trace.frames if frame.kind is Kind.CALL)
    changed = [
        attrs.evolve(one, parameters=parameters, inputs=()) if one.name == call.payload["endpoint"] else one
        for one in config.endpoints
    ]
    new = attrs.evolve(config, endpoints=tuple(changed))
    (planned,) = plan(trace, new, inputs=Inputs(**inputs))
    return planned


def number(name: str, **more: Any) -> Parameter:
    return Parameter(name=name, component="Number", **more)


# --- the calls again --------------------------------------------------------------------------------------

UPGRADES = {
    "hello": ["same"],
    "count": ["same"],
    "state": ["same"] * 3,
    "pair": ["same"],
    "crash": ["same"],
    "late_error": ["same"],
    "cancel_generator": ["same"],
    "two_generators": ["same", "same"],
    "chat": ["differs"],
    "log": ["differs"],
    "file_out": ["same"],
}


@pytest.mark.parametrize("old", ["3.50.2", "4.44.1"])
@pytest.mark.parametrize("case", UPGRADES)
def test_an_upgrade(old: str, case: str) -> None:
    results = again(f"{old}/{case}", on=f"6.31.0/{case}")
    assert statuses(results) == UPGRADES[case], [result.differences for result in results]


@pytest.mark.parametrize("version", ["3.1.7", "3.50.2", "4.8.0", "4.16.0", "5.50.0", "6.31.0"])
@pytest.mark.parametrize("case", ["hello", "count", "state", "cancel_generator", "raise_error"])
def test_the_same_server_gives_the_same(version: str, case: str) -> None:
    if shipped_or_none(f"{version}/{case}") is None:
        pytest.skip("not recorded")
    results = again(f"{version}/{case}", on=f"{version}/{case}")
    assert set(statuses(results)) == {"same"}, [result.differences for result in results]


def shipped_or_none(name: str) -> Path | None:
    try:
        return shipped_trace(name)
    except LookupError:
        return None


def test_polling_and_call_routes() -> None:
    assert statuses(again("2.9.4/hello", on="2.9.4/hello")) == ["same"]
    (result,) = again("4.44.1/call_count", on="6.31.0/call_count")
    assert (result.status, result.planned.protocol) == (Status.SAME, "call")
    (result,) = again("4.44.1/direct", on="6.31.0/direct")
    assert (result.status, result.planned.protocol) == (Status.SAME, "direct")


def test_a_streaming_input_is_sent_again() -> None:
    assert statuses(again("5.50.0/stream_input", on="6.31.0/stream_input")) == ["same"]


def test_what_changed_is_described() -> None:
    (result,) = again("4.44.1/chat", on="6.31.0/chat")
    assert "output 1 had 2 items, has 4" in result.differences


def test_a_server_that_refuses_is_a_difference() -> None:
    (result,) = again("6.31.0/hello", on="6.31.0/count")
    assert result.status is Status.DIFFERS
    assert 'it completed with "Hello, Ada!", and now failed with' in result.differences[0]


def test_a_connection_that_is_lost_is_an_error() -> None:
    trace = shipped("6.31.0/hello")
    with serve_with_websockets(trace) as served:
        app = gt.connect(served.url, timeouts=gt.Timeouts(total=5))
    with app:
        (result,) = rerun(app, plan(trace, app.config))
    assert result.status is Status.ERROR


# --- files -----------------------------------------------------------------------------------------------


def test_files_are_needed_and_can_be_given(tmp_path: Path) -> None:
    (result,) = again("4.44.1/files", on="6.31.0/files")
    assert result.status is Status.SKIPPED
    assert result.differences == [
        "it needs the file one.txt (5 bytes); pass --file one.txt=PATH, or --placeholders"
    ]
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_text("hello")
    two.write_text("hello world")
    (result,) = again("4.44.1/files", on="6.31.0/files", files={"one.txt": one, "two.txt": two})
    assert result.status is Status.SAME


def test_placeholders_have_the_recorded_size() -> None:
    (result,) = again("3.50.2/files", on="6.31.0/files", placeholders=True)
    assert result.status is Status.SAME  # the recording does not look at the content
    assert "5 zero bytes were sent in place of the file one.txt" in result.planned.notes


def test_a_placeholder_is_bounded() -> None:
    trace = shipped("4.44.1/image")
    huge = [
        attrs.evolve(frame, payload={**frame.payload, "files": [{"name": "x.png", "size": 10**15}]})
        if frame.channel == "upload" and frame.kind is Kind.REQUEST
        else frame
        for frame in trace.frames
    ]
    (planned,) = plan(Trace(trace.meta, tuple(huge)), config_of(trace), inputs=Inputs(placeholders=True))
    assert "too large for a placeholder" in planned.skip


def test_a_file_within_the_payload_is_sent_again() -> None:
    (planned,) = plan(shipped("2.9.4/file_in"), config_of(shipped("2.9.4/file_in")))
    (value,) = planned.arguments.values()
    assert (value.name, value.content) == ("plain.txt", b"hello")
    (planned,) = plan(shipped("3.50.2/image"), config_of(shipped("6.31.0/image")))
    (value,) = planned.arguments.values()
    assert (value.name, value.content[:4]) == ("file.png", b"\x89PNG")


def test_a_file_of_an_earlier_output_is_that_of_the_new_output() -> None:
    trace = shipped("4.44.1/file_back")
    first, second = plan(trace, config_of(shipped("6.31.0/file_back")))
    assert list(second.arguments.values()) == [EarlierFile("made file.txt", first.recorded.number, 0)]
    assert statuses(again("4.44.1/file_back", on="6.31.0/file_back")) == ["same", "same"]


# --- what is called ---------------------------------------------------------------------------------------


def test_an_endpoint_that_is_gone_is_explained() -> None:
    (planned,) = plan(shipped("2.9.4/hello"), config_of(shipped("6.31.0/hello")))
    assert planned.skip.startswith("the endpoint /predict does not exist any more")


def test_a_private_endpoint_is_explained() -> None:
    trace = shipped("6.31.0/hello")
    config = config_of(trace)
    hidden = [
        attrs.evolve(one, visibility="private") if one.name == "/hello" else one for one in config.endpoints
    ]
    (planned,) = plan(trace, attrs.evolve(config, endpoints=tuple(hidden)))
    assert planned.skip == "the endpoint /hello is private in this app"


def test_an_endpoint_without_a_name_is_found_by_number_and_signature() -> None:
    trace = shipped("3.50.2/unnamed")
    (planned,) = plan(trace, config_of(trace))
    assert planned.endpoint is not None
    assert planned.endpoint.fn_index == planned.recorded.fn_index
    none = AppConfig(endpoints=(Endpoint(name=None, fn_index=planned.recorded.fn_index or 0),))
    (planned,) = plan(trace, none)
    assert "which had no name" in planned.skip


def test_a_moved_function_is_a_note() -> None:
    (planned,) = plan(shipped("4.44.1/count"), config_of(shipped("6.31.0/count")))
    assert not planned.skip
    assert not planned.changes
    old, new = planned.recorded.fn_index, planned.endpoint.fn_index if planned.endpoint else None
    assert (f"its fn_index was {old}, and is now {new}" in planned.notes) == (old != new)


def test_a_renamed_parameter_is_a_change() -> None:
    planned = planned_for(number("a"), number("second"))
    assert planned.arguments == {"a": 2, "second": 3}
    assert planned.changes == ["the parameter 'b' is now called 'second'"]


def test_parameters_in_another_order_are_passed_by_name() -> None:
    planned = planned_for(number("b"), number("a"))
    assert planned.arguments == {"a": 2, "b": 3}
    assert planned.changes == []


def test_a_parameter_that_is_gone_is_explained() -> None:
    assert planned_for(number("a")).skip == "the parameter 'b' is gone; /add takes 'a'"


def test_a_new_parameter_needs_a_default() -> None:
    planned = planned_for(number("a"), number("b"), number("c"))
    assert planned.skip == "the new parameter 'c' has no default"
    planned = planned_for(number("a"), number("b"), number("c", has_default=True, default=1))
    assert (planned.skip, planned.notes) == ("", ["the parameter 'c' is new; its default was sent"])


def test_a_parameter_of_another_kind_is_a_note() -> None:
    planned = planned_for(number("a"), Parameter(name="b", component="Textbox"))
    assert any("is now a Textbox" in note for note in planned.notes)


def test_a_redacted_argument_is_needed() -> None:
    trace = shipped("6.31.0/hello")
    frames = [
        attrs.evolve(frame, payload={**frame.payload, "data": ["REDACTED"]})
        if frame.kind is Kind.CALL
        else frame
        for frame in trace.frames
    ]
    redacted = Trace(trace.meta, tuple(frames))
    (planned,) = plan(redacted, config_of(trace))
    assert planned.skip == "its argument 'name' was redacted; pass --value name=VALUE"
    (planned,) = plan(redacted, config_of(trace), inputs=Inputs(values={"name": "Ada"}))
    assert planned.arguments == {"name": "Ada"}


def test_calls_can_be_chosen() -> None:
    trace = shipped("6.31.0/state")
    assert [one.recorded.number for one in plan(trace, config_of(trace), only=[2, 3])] == [2, 3]


def test_calls_of_another_app_are_left_out() -> None:
    trace = shipped("2.9.4/siblings")
    planned = plan(trace, config_of(trace))
    assert ["another app" in one.skip for one in planned] == [False, False, True]
    other = plan(trace, config_of(trace), source=planned[-1].recorded.source)
    assert ["another app" in one.skip for one in other] == [True, True, False]


def test_a_call_that_was_only_fetched_is_left_out() -> None:
    trace = shipped("6.31.0/hello")
    frames = [
        attrs.evolve(frame, payload={**frame.payload, "event_id": "e"}) if frame.kind is Kind.CALL else frame
        for frame in trace.frames
    ]
    (planned,) = plan(Trace(trace.meta, tuple(frames)), config_of(trace))
    assert "another program started it" in planned.skip


# --- order -------------------------------------------------------------------------------------------------


def test_calls_keep_their_order_and_their_sessions() -> None:
    trace = shipped("6.31.0/state")
    sent: list[tuple[int, Any]] = []

    def tap(frame: Frame) -> None:
        if frame.kind is Kind.CALL:
            sent.append((frame.session, frame.payload["data"][0]))

    with serve_with_websockets(trace) as served, gt.connect(served.url, tap=tap) as app:
        assert {result.status for result in rerun(app, plan(trace, app.config))} == {Status.SAME}
    assert [value for _, value in sent] == ["a", "b", "c"]
    assert sent[0][0] == sent[1][0] != sent[2][0]


def test_calls_at_once_are_made_at_once() -> None:
    calls = recorded_calls(shipped("6.31.0/two_generators"))
    assert calls[1].start < (calls[0].end or 0)
    calls = recorded_calls(shipped("6.31.0/state"))
    assert calls[1].start > (calls[0].end or 0)


def test_leaving_early_cancels_what_runs() -> None:
    trace = shipped("6.31.0/cancel_generator")
    with serve_with_websockets(trace) as served, gt.connect(served.url) as app:
        results = rerun(app, plan(trace, app.config))
        results.close()  # type: ignore[attr-defined]
        assert statuses(list(rerun(app, plan(trace, app.config)))) == ["same"]


# --- every recording ------------------------------------------------------------------------------------


def check_plans(paths: Sequence[Path]) -> None:
    for path in paths:
        trace = read_trace(path)
        if not any(frame.kind is Kind.CALL for frame in trace.frames):
            continue
        for one in plan(trace, config_of(trace), inputs=Inputs(placeholders=True)):
            assert one.title, path
            assert one.recorded.outcome.ending in Ending, path
            if one.skip:
                expected = (
                    "gr.render",
                    "another app",
                    "another program",
                    "private",
                    "does not exist any more",
                )
                assert any(text in one.skip for text in expected), (path, one.skip)


def test_recordings_of_every_version_can_be_planned() -> None:
    seen: dict[str, int] = {}
    chosen = [
        path for path in traces() if seen.setdefault(path.parent.name, 0) + 1 and _count(seen, path) <= 5
    ]
    check_plans(chosen)


def _count(seen: dict[str, int], path: Path) -> int:
    seen[path.parent.name] += 1
    return seen[path.parent.name]


@pytest.mark.slow
def test_recordings_of_the_kit_can_be_planned(pytestconfig: pytest.Config) -> None:
    check_plans(slow_traces(pytestconfig, 9))
