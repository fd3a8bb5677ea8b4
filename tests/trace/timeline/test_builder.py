# SPDX-License-Identifier: Apache-2.0
"""A trace as calls in time: steps, phases, whole values, outcomes. Of every generation."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from growth import check_growth
from kit import slow_traces
from timelines import KIT, Script, call_of, kit_call, line_of, names
from tracing import EVENT, Program, message, program, sse

import gradio_transport as gt
from gradio_transport.cli.text import wire_name
from gradio_transport.errors import TimeoutExpired
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Outcome, StepKind, Trace, read_trace, replay, timeline
from gradio_transport.trace.timeline.reading import CallTimeline


def test_a_call_has_what_was_asked_and_how_it_ended() -> None:
    call = call_of(program(data=["x"]))
    assert (call.number, call.key, call.endpoint, call.fn_index) == (1, "1", "/count", 0)
    assert (call.arguments, call.adapter, call.event_id) == (["x"], "sse_v3", EVENT)
    assert (call.outcome, call.error, call.data) == (Outcome.COMPLETED, "", ["é 1, ü 2"])
    assert call.title.endswith(", /count")
    assert 0 < call.seconds < 10


def test_the_steps_are_requests_events_and_the_end_in_order() -> None:
    call = call_of(program())
    assert names(call) == [
        "call", "POST", "GET", "estimation", "process_starts", "process_generating", "process_generating",
        "process_completed", "close_stream", "clean",
    ]  # fmt: skip
    assert [step.frame for step in call.steps] == sorted(step.frame for step in call.steps)


def test_an_error_of_the_app() -> None:
    failed = message("process_completed", output={"error": "'why'"}, success=False)
    call = call_of(program(messages=[failed]), gradio="4.44.1")
    assert (call.outcome, call.error, call.message) == (Outcome.FAILED, "AppError", "why")
    assert (call.error_phase, call.events[0].error) == ("complete", "AppError")


def test_a_cancellation() -> None:
    made = Program().discover().session().call("x").cancel()
    call = call_of(made)
    assert call.outcome is Outcome.CANCELLED
    assert names(call)[-2:] == ["cancel", "POST"]
    assert call.requests[-1].phase == "cancel"


def test_what_this_side_gives_up() -> None:
    made = Program().discover().session().call("x")
    made.took(made.wire.abandon(made.exchange, TimeoutExpired("too slow", setting="total", seconds=1.0)))
    call = call_of(made)
    assert (call.outcome, call.error, call.message) == (Outcome.ABANDONED, "TimeoutExpired", "too slow")


def test_a_refused_join() -> None:
    call = Script().call().ask("1.join", {}).answer("1.join", {"detail": "Queue is full."}, 503).only
    assert (call.outcome, call.error, call.error_phase) == (Outcome.FAILED, "QueueFull", "join")
    assert call.steps[-1].failed


def test_a_request_without_reply() -> None:
    script = Script().call().ask("1.join")
    script.add(Direction.IN, Kind.ERROR, "1.join", error="ConnectError", message="refused")
    assert (script.only.outcome, script.only.error) == (Outcome.FAILED, "ConnectError")
    assert script.only.steps[-1].error == "ConnectError"


def test_a_lost_poll_is_not_the_end() -> None:
    script = Script("polling").call().ask("1.push").answer("1.push", {"hash": "h", "queue_position": 0})
    script.ask("1.status", phase="stream")
    script.add(Direction.IN, Kind.ERROR, "1.status", error="StreamLost", message="lost")
    assert script.only.outcome is Outcome.FAILED
    script.ask("1.status", phase="stream").answer("1.status", {"status": "COMPLETE", "data": {"data": [1]}})
    assert (script.only.outcome, script.only.data) == (Outcome.COMPLETED, [1])


def test_the_end_of_the_trace() -> None:
    made = Program().discover().session().call("x").chunks(sse(message("process_starts")))
    assert call_of(made).outcome is Outcome.UNFINISHED


class _Named(str):
    @property
    def value(self) -> str:
        return str(self)


def test_a_call_that_was_refused_before_it_was_sent() -> None:
    refused: Any = _Named("refused")
    payload = {"endpoint": "/f", "error": "ValidationFailed", "message": "no such"}
    call = Script().add(Direction.LOCAL, refused, "refused", session=0, **payload).only
    assert (call.session, call.key, call.title) == (0, "", "refused call, /f")
    assert (call.outcome, call.error, call.message) == (Outcome.REFUSED, "ValidationFailed", "no such")


@pytest.mark.parametrize(
    ("name", "events", "phases"),
    [
        ("2.9.4/hello", ["estimation", "process_completed"], ["join", "queue"]),
        ("3.50.2/count", ["send_hash", "estimation", "send_data", "process_starts", "process_generating"],
         ["connect", "join", "queue", "run", "stream"]),
        ("4.0.2/count", ["estimation", "send_data", "process_starts"], ["join", "queue", "run", "stream"]),
        ("4.44.1/count", ["estimation", "process_starts", "process_generating"],
         ["join", "queue", "run", "stream"]),
        ("6.31.0/call_count", ["process_generating"] * 3 + ["process_completed"], ["join", "queue", "stream"]),
        ("6.31.0/direct", ["process_completed"], ["run"]),
    ],
)  # fmt: skip
def test_events_have_one_name_and_phases_one_order(name: str, events: list[str], phases: list[str]) -> None:
    call = kit_call(name)
    assert [step.event for step in call.events][: len(events)] == events
    assert [span.name for span in call.phases] == phases
    assert call.outcome is Outcome.COMPLETED


def test_what_was_read_from_a_reply_says_so() -> None:
    assert [step.derived for step in kit_call("2.9.4/hello").events] == [True, True]
    assert not any(step.derived for step in kit_call("6.31.0/count").events)


def test_discovery_uploads_and_heartbeats_belong_to_no_call() -> None:
    line = timeline(read_trace(KIT / "6.31.0" / "files.jsonl"))
    assert [step.target for step in line.discovery] == ["/config", "/gradio_api/info"]
    assert [step.channel for step in line.others] == ["upload", "heartbeat"]
    assert [one["name"] for one in line.others[0].files] == ["one.txt", "two.txt"]
    assert line.others[1].stream is not None
    assert line.others[1].stream.ending == "reset"


def test_the_login_of_a_discovery_is_part_of_it() -> None:
    line = timeline(read_trace(KIT / "6.31.0" / "login.jsonl"))
    assert "login" in [step.channel for step in line.discovery]
    assert "login" not in [step.channel for step in line.others]


def test_a_discovery_that_failed_has_its_error() -> None:
    frame = Frame(1.0, Direction.IN, Kind.ERROR, "discover", {"error": "ConnectError", "message": "refused"})
    (step,) = timeline(Trace({}, (frame,))).discovery
    assert (step.error, step.message) == ("ConnectError", "refused")


def test_why_a_discovery_failed_is_part_of_it() -> None:
    payload = {"error": "NotAGradioApp", "message": "a web page"}
    frame = Frame(1.0, Direction.LOCAL, Kind.ERROR, "discover", payload)
    (step,) = timeline(Trace({}, (frame,))).discovery
    assert (step.kind, step.error, step.message) == (StepKind.LOCAL, "NotAGradioApp", "a web page")


def test_a_trace_that_begins_in_the_middle() -> None:
    frames = program().frames
    for start in range(len(frames)):
        timeline(Trace({}, tuple(frames[start:])))


def test_json_nested_without_end_is_a_text() -> None:
    deep = b"data: " + b"[" * 100_000 + b"\n\n"
    made = Program().discover().session().call("x").chunks(deep)
    line = line_of(made)
    assert any(isinstance(step.value, str) for step in line.sessions[0].steps if step.kind is StepKind.EVENT)
    assert line.calls[0].error == "MalformedMessage"


@pytest.mark.parametrize("shape", ["events", "calls", "ends", "early"])
def test_time_is_linear(shape: str) -> None:
    def frames(count: int) -> tuple[Frame, ...]:
        script = Script()
        if shape == "events":
            script.call().ask("1.join").answer("1.join", {"event_id": EVENT}).open("stream")
            for number in range(count):
                script.chunk("stream", sse(message("log", log=str(number), level="info")))
            return tuple(script.frames)
        script.open("stream")
        for number in range(count):
            script.call(key=str(number)).ask(f"{number}.join")
            if shape != "early":
                script.answer(f"{number}.join", {"event_id": str(number)})
        for number in range(count):
            if shape == "ends":
                script.open("stream").end("stream", "clean")
            else:
                script.chunk("stream", sse(message("process_starts", str(number))))
        return tuple(script.frames)

    check_growth(lambda some: timeline(Trace({}, some)), frames(300), frames(1200))


STATE_IS_LEFT_OUT = "state"
"""Cases whose values differ: an adapter leaves out the State, which the wire has."""


def test_traces_of_the_kit_have_the_calls_and_events_that_a_replay_has(pytestconfig: pytest.Config) -> None:
    seen = 0
    for path in slow_traces(pytestconfig, 3):
        trace = read_trace(path)
        line, result = timeline(trace), replay(trace)
        calls = {(call.session, call.key): call for call in line.calls if call.session}  # 0: refused unsent
        assert list(calls) == list(result.events), path
        for key, events in result.events.items():
            check_call(calls[key], events, path)
            seen += len(events)
    assert seen > 2000


def check_call(call: CallTimeline, events: list[gt.Event], path: Path) -> None:
    there = Counter(step.event for step in call.events)
    wanted = Counter(wire_name(event) for event in events)
    for name in ("joined", "failed", "cancelled", "unknown_message", "heartbeat"):
        del wanted[name]  # what is no message of the server, or one without a name of ours
    assert wanted <= there, path
    assert call.phases, path
    assert call.steps, path
    last = events[-1]
    error = getattr(last, "error", None)
    if isinstance(last, gt.ProcessCompleted) and last.success:
        assert call.outcome is Outcome.COMPLETED, path
        if STATE_IS_LEFT_OUT not in path.stem:
            assert call.data is not None, path
    elif isinstance(last, gt.Cancelled):
        assert call.outcome is Outcome.CANCELLED, path
    else:
        assert call.outcome in (Outcome.FAILED, Outcome.ABANDONED), path
        known = {type(error).__name__, "Timeout", "ServerRefused"}  # older names, and a fact of 4.9.0 alone
        assert call.error in known, path
