# SPDX-License-Identifier: Apache-2.0
"""Silences: times in which nothing came for a call."""

from __future__ import annotations

from timelines import Script, names
from tracing import EVENT, message, output, sse

from gradio_transport.protocol.frames import Direction, Kind


def test_a_silence_is_the_gap_before_a_step() -> None:
    script = Script().call().ask("1.join").answer("1.join", {"event_id": EVENT}).open("stream")
    script.chunk("stream", sse(message("process_starts")))
    script.chunk("stream", sse(message("process_completed", output=output("x"), success=True)), after=30)
    (silence,) = script.only.silences(5)
    assert (silence.seconds, silence.heartbeats) == (30, 0)
    assert script.only.steps[silence.before].name == "process_completed"


def test_heartbeats_are_counted_and_do_not_end_it() -> None:
    script = Script().call().ask("1.join").answer("1.join", {"event_id": EVENT}).open("stream")
    script.chunk("stream", sse(message("process_starts")))
    for _ in range(3):
        script.chunk("stream", sse({"msg": "heartbeat"}), after=15)
    script.chunk("stream", sse(message("process_completed", output=output("x"), success=True)))
    (silence,) = script.only.silences(5)
    assert (silence.seconds, silence.heartbeats) == (46, 3)
    assert "heartbeat" not in names(script.only)


def test_a_call_that_never_ends_is_silent_until_the_trace_does() -> None:
    script = Script().call("x").ask("1.join").answer("1.join", {"event_id": "a"})
    script.call("y", key="2")
    script.t += 60
    script.ask("2.join")
    silences = list(script.timeline.calls[0].silences(5))
    assert [silence.before for silence in silences] == [len(script.timeline.calls[0].steps)]
    assert silences[0].seconds > 60


def test_the_time_until_the_caller_fetches_is_no_silence() -> None:
    script = Script().call().ask("1.join").answer("1.join", {"event_id": EVENT})
    script.add(Direction.LOCAL, Kind.FETCH, "1", after=60.0).open("stream")
    assert [silence.seconds for silence in script.only.silences(5)] == []


def test_a_slow_reply_is_no_silence() -> None:
    script = Script("direct").call().ask("1.run", phase="complete")
    script.t += 60
    script.answer("1.run", {"data": ["x"]})
    assert list(script.only.silences(5)) == []
    assert script.only.requests[0].seconds == 61
