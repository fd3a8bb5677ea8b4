# SPDX-License-Identifier: Apache-2.0
"""Streams and sockets: events in pieces, and how they end."""

from __future__ import annotations

import pytest
from timelines import KIT, Script, call_of, kit_call
from tracing import Program, message, sse

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Kind
from gradio_transport.trace import Outcome, StepKind, read_trace, timeline


def test_an_event_that_comes_in_pieces_takes_its_time() -> None:
    made = Program().discover().session().call("x")
    whole = sse(message("process_starts"))
    made.chunks(whole[:9], whole[9:20], whole[20:])
    (step,) = call_of(made).events
    assert step.seconds == pytest.approx(2 / 8)
    assert step.end == pytest.approx(step.t + 2 / 8)


@pytest.mark.parametrize(
    ("ending", "outcome", "error"),
    [
        (Ending.RESET, Outcome.FAILED, "StreamLost"),
        (Ending.IDLE, Outcome.ABANDONED, "TimeoutExpired"),
        (Ending.TOO_LARGE, Outcome.FAILED, "EventTooLarge"),
    ],
)
def test_a_stream_that_ends_too_early(ending: Ending, outcome: Outcome, error: str) -> None:
    made = Program().discover().session().call("x").chunks(sse(message("process_starts"))).end(ending)
    call = call_of(made)
    assert (call.outcome, call.error, call.error_phase) == (outcome, error, "stream")
    assert call.steps[-1].name == ending.value


def test_a_stream_that_is_cut_off_in_the_middle_of_an_event() -> None:
    made = Program().discover().session().call("x").chunks(b'data: {"msg": "proc').end(Ending.RESET)
    call = call_of(made)
    end = call.steps[-1].stream
    assert end is not None
    assert end.cut == len(b'data: {"msg": "proc')
    assert "in the middle of an event" in call.message


def test_a_websocket_is_a_request_with_sent_texts_and_an_end() -> None:
    call = kit_call("3.50.2/count")
    assert [step.name for step in call.steps if step.kind is StepKind.SENT] == ["send", "send"]
    (socket,) = call.requests
    assert (socket.name, socket.status) == ("WS", 101)
    assert (call.steps[-1].kind, call.steps[-1].name, call.steps[-1].closed_here) == (
        StepKind.END,
        "local",
        True,
    )


def test_a_socket_that_the_client_closed_has_ended_although_the_server_says_no_more() -> None:
    call = kit_call("3.23.0/hello")
    (socket,) = call.requests
    assert socket.stream is not None
    assert (socket.stream.end, socket.stream.ending) == (call.steps[-1].t, "local")


def test_a_download_has_its_bytes() -> None:
    line = timeline(read_trace(KIT / "4.0.2" / "gallery.jsonl"))
    files = [step for step in line.others if step.channel == "file"]
    assert files
    assert all(
        step.stream is not None and step.stream.size and step.stream.ending == "clean" for step in files
    )


def test_timeouts_of_the_session_name_the_setting_that_ended_a_silence() -> None:
    script = Script()
    script.frames.clear()
    script.add(
        Direction.LOCAL,
        Kind.SESSION,
        "",
        adapter="sse_v3",
        session_hash="s",
        source="",
        timeouts={"idle": 3},
    )
    script.call().ask("1.join").answer("1.join", {"event_id": "e"}).open("stream").end("stream", "idle")
    assert script.only.steps[-1].message == "Timeouts(idle=3)"
    assert script.timeline.sessions[0].timeouts == {"idle": 3}
