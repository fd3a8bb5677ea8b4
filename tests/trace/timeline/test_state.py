# SPDX-License-Identifier: Apache-2.0
"""The phases and heartbeats of calls, and the calls that share a step of their session."""

from __future__ import annotations

import pytest
from timelines import call_of
from tracing import program

from gradio_transport.trace.timeline.model import CallTimeline, SessionTimeline, Step, StepKind
from gradio_transport.trace.timeline.state import MAX_SHARERS, CallState, SessionState


def call_state(session: SessionState, number: int = 1) -> CallState:
    """Return a call that has begun at 0.0."""
    line = CallTimeline(number, 1, str(number), "/f", 0, [], "sse_v3", 0.0, 0)
    call = CallState(line, session, None, 0.0, "join", 0.0)
    session.active[line.key] = session.latest = call
    return call


def test_phases_follow_each_other_and_fill_the_call() -> None:
    call = call_of(program())
    assert [span.name for span in call.phases] == ["join", "queue", "run", "stream"]
    assert sum(span.seconds for span in call.phases) == pytest.approx(call.seconds)
    for left, right in zip(call.phases, call.phases[1:], strict=False):
        assert left.end == right.start


def test_a_call_does_not_go_back_to_an_earlier_phase() -> None:
    call = call_state(SessionState(SessionTimeline(1)))
    for t, phase in enumerate(["queue", "run", "queue", "stream", "run"], start=1):
        call.advance(phase, float(t))
    assert [(span.name, span.start, span.end) for span in call.line.phases] == [
        ("join", 0.0, 1.0), ("queue", 1.0, 2.0), ("run", 2.0, 4.0),
    ]  # fmt: skip
    assert call.phase == "stream"


def test_heartbeats_of_the_call_and_of_its_session_count_once() -> None:
    session = SessionState(SessionTimeline(1))
    call = call_state(session)
    session.heartbeats, call.heartbeats = 2, 1
    assert [call.take_heartbeats(), call.take_heartbeats()] == [3, 0]
    session.heartbeats += 1
    assert call.take_heartbeats() == 1


def test_a_step_is_shared_by_the_calls_under_way_unless_they_are_too_many() -> None:
    session = SessionState(SessionTimeline(1))
    step = Step(1.0, StepKind.REQUEST, "GET", 1, shared=True)
    assert session.sharers(step) == ()
    calls = [call_state(session, number) for number in range(MAX_SHARERS)]
    assert session.sharers(step) == calls
    call_state(session, MAX_SHARERS)
    assert session.sharers(step) == ()


def test_the_end_of_a_stream_is_shared_by_the_calls_that_were_accepted() -> None:
    session = SessionState(SessionTimeline(1))
    ended, accepted, _joining = (call_state(session, number) for number in (1, 2, 3))
    session.last_ended = session.active.pop("1")
    session.joined["2"] = accepted
    end = Step(1.0, StepKind.END, "reset", 1, shared=True)
    assert session.sharers(end) == [accepted]
    session.joined.clear()
    assert session.sharers(end) == (ended,)
