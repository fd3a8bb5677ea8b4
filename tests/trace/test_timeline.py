# SPDX-License-Identifier: Apache-2.0
"""A trace as calls in time: steps, phases, silences, whole values, outcomes. Of every generation."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from growth import check_growth
from kit import slow_traces
from tracing import EVENT, Program, message, output, program, sse

import gradio_transport as gt
import gradio_transport_conformance
from gradio_transport.cli.text import wire_name
from gradio_transport.errors import TimeoutExpired
from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import (
    Outcome,
    StepKind,
    Timeline,
    TimelineBuilder,
    Trace,
    read_trace,
    replay,
    timeline,
)
from gradio_transport.trace.timeline import builder as timeline_builder
from gradio_transport.trace.timeline.messages import read_event, version_of
from gradio_transport.trace.timeline.reading import CallTimeline, Change, Step

KIT = Path(gradio_transport_conformance.__file__).parent / "traces"


def line_of(made: Program, **meta: Any) -> Timeline:
    return timeline(Trace(meta, tuple(made.frames)))


def call_of(made: Program, **meta: Any) -> CallTimeline:
    (call,) = line_of(made, **meta).calls
    return call


def kit(name: str) -> CallTimeline:
    return timeline(read_trace(KIT / f"{name}.jsonl")).calls[0]


def names(call: CallTimeline) -> list[str]:
    return [step.name for step in call.steps]


class Script:
    """Frames by hand, a second after each other unless told otherwise."""

    def __init__(self, adapter: str = "sse_v3") -> None:
        self.t = 0.0
        self.frames: list[Frame] = []
        self.add(Direction.LOCAL, Kind.SESSION, "", adapter=adapter, session_hash="s", source="http://h")

    def add(
        self,
        direction: Direction,
        kind: Kind,
        channel: str,
        *,
        after: float = 1.0,
        session: int = 1,
        **payload: Any,
    ) -> Script:
        self.t += after
        self.frames.append(Frame(self.t, direction, kind, channel, payload, session))
        return self

    def call(self, *data: Any, key: str = "1") -> Script:
        return self.add(Direction.LOCAL, Kind.CALL, key, endpoint="/f", fn_index=0, data=list(data))

    def ask(self, channel: str, body: Any = None, phase: str = "join", **more: Any) -> Script:
        raw = None if body is None else json.dumps(body).encode()
        url = f"http://h/{channel}"
        return self.add(
            Direction.OUT, Kind.REQUEST, channel, method="POST", url=url, body=raw, phase=phase, **more
        )

    def answer(self, channel: str, body: Any = None, status: int = 200, **more: Any) -> Script:
        raw = json.dumps(body).encode()
        return self.add(Direction.IN, Kind.RESPONSE, channel, status=status, body=raw, headers={}, **more)

    def open(self, channel: str) -> Script:
        self.ask(channel, phase="stream", stream=True)
        return self.add(Direction.IN, Kind.RESPONSE_HEAD, channel, status=200, headers={})

    def chunk(self, channel: str, data: bytes, after: float = 1.0) -> Script:
        return self.add(Direction.IN, Kind.CHUNK, channel, data=data, after=after)

    def end(self, channel: str, ending: str = "clean", reason: str = "") -> Script:
        return self.add(Direction.IN, Kind.END, channel, ending=ending, code=None, reason=reason)

    @property
    def timeline(self) -> Timeline:
        return timeline(Trace({}, tuple(self.frames)))

    @property
    def only(self) -> CallTimeline:
        (call,) = self.timeline.calls
        return call


class TestCall:
    def test_a_call_has_what_was_asked_and_how_it_ended(self) -> None:
        call = call_of(program(data=["x"]))
        assert (call.number, call.key, call.endpoint, call.fn_index) == (1, "1", "/count", 0)
        assert (call.arguments, call.adapter, call.event_id) == (["x"], "sse_v3", EVENT)
        assert (call.outcome, call.error, call.data) == (Outcome.COMPLETED, "", ["é 1, ü 2"])
        assert call.title.endswith(", /count")
        assert 0 < call.seconds < 10

    def test_the_steps_are_requests_events_and_the_end_in_order(self) -> None:
        call = call_of(program())
        assert names(call) == [
            "call", "POST", "GET", "estimation", "process_starts", "process_generating", "process_generating",
            "process_completed", "close_stream", "clean",
        ]  # fmt: skip
        assert [step.frame for step in call.steps] == sorted(step.frame for step in call.steps)

    def test_a_request_has_its_reply(self) -> None:
        call = call_of(program(data=["x"]))
        join, stream = call.requests
        assert (join.name, join.target, join.phase) == ("POST", "/gradio_api/queue/join", "join")
        assert (join.status, join.reply) == (200, {"event_id": EVENT})
        assert join.value["data"] == ["x"]
        assert join.seconds == pytest.approx(1 / 8)
        assert join.frames == [join.frame, join.frame + 1]
        assert (stream.shared, stream.status) == (True, 200)
        assert stream.stream is not None
        assert (stream.stream.events, stream.stream.ending) == (6, "clean")
        assert stream.stream.size > 100

    def test_values_are_whole_although_the_wire_has_edits(self) -> None:
        first, second = (step for step in call_of(program()).events if step.event == "process_generating")
        assert (first.data, first.edited) == (["é 1"], False)
        assert (second.before, second.data, second.edited) == (["é 1"], ["é 1, ü 2"], True)
        assert second.value["output"]["data"] == [[["append", [], ", ü 2"]]]

    def test_phases_follow_each_other_and_fill_the_call(self) -> None:
        call = call_of(program())
        assert [span.name for span in call.phases] == ["join", "queue", "run", "stream"]
        assert sum(span.seconds for span in call.phases) == pytest.approx(call.seconds)
        for left, right in zip(call.phases, call.phases[1:], strict=False):
            assert left.end == right.start

    def test_an_event_that_comes_in_pieces_takes_its_time(self) -> None:
        made = Program().discover().session().call("x")
        whole = sse(message("process_starts"))
        made.chunks(whole[:9], whole[9:20], whole[20:])
        (step,) = call_of(made).events
        assert step.seconds == pytest.approx(2 / 8)
        assert step.end == pytest.approx(step.t + 2 / 8)

    def test_calls_of_a_shared_stream_get_their_own_messages(self) -> None:
        made = Program().discover().session().call("x").call("y", event_id="second")
        made.chunks(sse(message("process_starts", "second"), message("estimation", rank=1)))
        first, second = line_of(made).calls
        assert [step.name for step in first.events] == ["estimation"]
        assert [step.name for step in second.events] == ["process_starts"]

    def test_a_message_before_the_reply_to_its_join_waits_for_it(self) -> None:
        script = Script().call("x").open("stream").ask("1.join")
        script.chunk("stream", sse(message("process_starts", "early"))).answer(
            "1.join", {"event_id": "early"}
        )
        assert [step.name for step in script.only.events] == ["process_starts"]
        assert [step.frame for step in script.only.steps] == sorted(step.frame for step in script.only.steps)

    def test_a_message_of_no_call_belongs_to_the_session(self) -> None:
        made = program(messages=[message("process_starts", "nobody")])
        line = line_of(made)
        assert "process_starts" not in names(line.calls[0])
        assert "process_starts" in [step.name for step in line.sessions[0].steps]

    def test_a_message_that_no_adapter_knows_is_shown_too(self) -> None:
        call = call_of(program(messages=[message("brand_new", colour="red")]))
        (step,) = [step for step in call.events if step.name == "brand_new"]
        assert (step.event, step.value["colour"]) == ("", "red")


class TestOutcome:
    def test_an_error_of_the_app(self) -> None:
        failed = message("process_completed", output={"error": "'why'"}, success=False)
        call = call_of(program(messages=[failed]), gradio="4.44.1")
        assert (call.outcome, call.error, call.message) == (Outcome.FAILED, "AppError", "why")
        assert (call.error_phase, call.events[0].error) == ("complete", "AppError")

    def test_a_cancellation(self) -> None:
        made = Program().discover().session().call("x").cancel()
        call = call_of(made)
        assert call.outcome is Outcome.CANCELLED
        assert names(call)[-2:] == ["cancel", "POST"]
        assert call.requests[-1].phase == "cancel"

    def test_what_this_side_gives_up(self) -> None:
        made = Program().discover().session().call("x")
        made.took(made.wire.abandon(made.exchange, TimeoutExpired("too slow", setting="total", seconds=1.0)))
        call = call_of(made)
        assert (call.outcome, call.error, call.message) == (Outcome.ABANDONED, "TimeoutExpired", "too slow")

    @pytest.mark.parametrize(
        ("ending", "outcome", "error"),
        [
            (Ending.RESET, Outcome.FAILED, "StreamLost"),
            (Ending.IDLE, Outcome.ABANDONED, "TimeoutExpired"),
            (Ending.TOO_LARGE, Outcome.FAILED, "EventTooLarge"),
        ],
    )
    def test_a_stream_that_ends_too_early(self, ending: Ending, outcome: Outcome, error: str) -> None:
        made = Program().discover().session().call("x").chunks(sse(message("process_starts"))).end(ending)
        call = call_of(made)
        assert (call.outcome, call.error, call.error_phase) == (outcome, error, "stream")
        assert call.steps[-1].name == ending.value

    def test_a_stream_that_is_cut_off_in_the_middle_of_an_event(self) -> None:
        made = Program().discover().session().call("x").chunks(b'data: {"msg": "proc').end(Ending.RESET)
        call = call_of(made)
        end = call.steps[-1].stream
        assert end is not None
        assert end.cut == len(b'data: {"msg": "proc')
        assert "in the middle of an event" in call.message

    def test_a_refused_join(self) -> None:
        call = Script().call().ask("1.join", {}).answer("1.join", {"detail": "Queue is full."}, 503).only
        assert (call.outcome, call.error, call.error_phase) == (Outcome.FAILED, "QueueFull", "join")
        assert call.steps[-1].failed

    def test_a_request_without_reply(self) -> None:
        script = Script().call().ask("1.join")
        script.add(Direction.IN, Kind.ERROR, "1.join", error="ConnectError", message="refused")
        assert (script.only.outcome, script.only.error) == (Outcome.FAILED, "ConnectError")
        assert script.only.steps[-1].error == "ConnectError"

    def test_a_lost_poll_is_not_the_end(self) -> None:
        script = Script("polling").call().ask("1.push").answer("1.push", {"hash": "h", "queue_position": 0})
        script.ask("1.status", phase="stream")
        script.add(Direction.IN, Kind.ERROR, "1.status", error="StreamLost", message="lost")
        assert script.only.outcome is Outcome.FAILED
        script.ask("1.status", phase="stream").answer(
            "1.status", {"status": "COMPLETE", "data": {"data": [1]}}
        )
        assert (script.only.outcome, script.only.data) == (Outcome.COMPLETED, [1])

    def test_the_end_of_the_trace(self) -> None:
        made = Program().discover().session().call("x").chunks(sse(message("process_starts")))
        assert call_of(made).outcome is Outcome.UNFINISHED

    def test_a_call_that_was_refused_before_it_was_sent(self) -> None:
        refused: Any = _Named("refused")
        payload = {"endpoint": "/f", "error": "ValidationFailed", "message": "no such"}
        call = Script().add(Direction.LOCAL, refused, "refused", session=0, **payload).only
        assert (call.session, call.key, call.title) == (0, "", "refused call, /f")
        assert (call.outcome, call.error, call.message) == (Outcome.REFUSED, "ValidationFailed", "no such")


class _Named(str):
    @property
    def value(self) -> str:
        return str(self)


class TestRetries:
    def test_each_try_is_a_step(self) -> None:
        script = Script().call().ask("1.join").answer("1.join", {}, 503, attempt=1)
        script.ask("1.join", attempt=2).answer("1.join", {"event_id": "e"})
        first, second = script.only.requests
        assert (first.attempt, first.status, first.retried) == (1, 503, True)
        assert (second.attempt, second.status, second.retried) == (2, 200, False)
        assert script.only.outcome is Outcome.UNFINISHED

    def test_a_renewed_login_is_beside_the_call(self) -> None:
        script = Script().call().ask("1.join").answer("1.join", {}, 401, attempt=1)
        script.add(
            Direction.OUT,
            Kind.REQUEST,
            "login",
            session=0,
            method="POST",
            url="http://h/login",
            phase="login",
        )
        script.add(Direction.IN, Kind.RESPONSE, "login", session=0, status=200, body=b"{}", headers={})
        line = script.ask("1.join", attempt=2).answer("1.join", {"event_id": "e"}).timeline
        (login,) = line.others
        assert (login.channel, login.status) == ("login", 200)
        assert line.discovery == []


class TestSilence:
    def test_a_silence_is_the_gap_before_a_step(self) -> None:
        script = Script().call().ask("1.join").answer("1.join", {"event_id": EVENT}).open("stream")
        script.chunk("stream", sse(message("process_starts")))
        script.chunk("stream", sse(message("process_completed", output=output("x"), success=True)), after=30)
        (silence,) = script.only.silences(5)
        assert (silence.seconds, silence.heartbeats) == (30, 0)
        assert script.only.steps[silence.before].name == "process_completed"

    def test_heartbeats_are_counted_and_do_not_end_it(self) -> None:
        script = Script().call().ask("1.join").answer("1.join", {"event_id": EVENT}).open("stream")
        script.chunk("stream", sse(message("process_starts")))
        for _ in range(3):
            script.chunk("stream", sse({"msg": "heartbeat"}), after=15)
        script.chunk("stream", sse(message("process_completed", output=output("x"), success=True)))
        (silence,) = script.only.silences(5)
        assert (silence.seconds, silence.heartbeats) == (46, 3)
        assert "heartbeat" not in names(script.only)

    def test_a_call_that_never_ends_is_silent_until_the_trace_does(self) -> None:
        script = Script().call("x").ask("1.join").answer("1.join", {"event_id": "a"})
        script.call("y", key="2")
        script.t += 60
        script.ask("2.join")
        silences = list(script.timeline.calls[0].silences(5))
        assert [silence.before for silence in silences] == [len(script.timeline.calls[0].steps)]
        assert silences[0].seconds > 60

    def test_the_time_until_the_caller_fetches_is_no_silence(self) -> None:
        script = Script().call().ask("1.join").answer("1.join", {"event_id": EVENT})
        script.add(Direction.LOCAL, Kind.FETCH, "1", after=60.0).open("stream")
        assert [silence.seconds for silence in script.only.silences(5)] == []

    def test_a_slow_reply_is_no_silence(self) -> None:
        script = Script("direct").call().ask("1.run", phase="complete")
        script.t += 60
        script.answer("1.run", {"data": ["x"]})
        assert list(script.only.silences(5)) == []
        assert script.only.requests[0].seconds == 61


class TestGenerations:
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
    def test_events_have_one_name_and_phases_one_order(
        self, name: str, events: list[str], phases: list[str]
    ) -> None:
        call = kit(name)
        assert [step.event for step in call.events][: len(events)] == events
        assert [span.name for span in call.phases] == phases
        assert call.outcome is Outcome.COMPLETED

    def test_what_was_read_from_a_reply_says_so(self) -> None:
        assert [step.derived for step in kit("2.9.4/hello").events] == [True, True]
        assert not any(step.derived for step in kit("6.31.0/count").events)

    def test_a_websocket_is_a_request_with_sent_texts_and_an_end(self) -> None:
        call = kit("3.50.2/count")
        assert [step.name for step in call.steps if step.kind is StepKind.SENT] == ["send", "send"]
        (socket,) = call.requests
        assert (socket.name, socket.status) == ("WS", 101)
        assert (call.steps[-1].kind, call.steps[-1].name, call.steps[-1].closed_here) == (
            StepKind.END,
            "local",
            True,
        )

    def test_a_socket_that_the_client_closed_has_ended_although_the_server_says_no_more(self) -> None:
        call = kit("3.23.0/hello")
        (socket,) = call.requests
        assert socket.stream is not None
        assert (socket.stream.end, socket.stream.ending) == (call.steps[-1].t, "local")

    def test_a_chat_completion_is_put_together(self) -> None:
        def delta(text: str | None, **more: Any) -> bytes:
            choice = {"index": 0, "delta": {} if text is None else {"content": text}, **more}
            return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"

        script = Script("openai_chat").call("hi", []).open("1.chat")
        script.chunk("1.chat", delta("Hel")).chunk("1.chat", delta("lo") + delta(None, finish_reason="stop"))
        call = script.chunk("1.chat", b"data: [DONE]\n\n").end("1.chat").only
        assert (call.outcome, call.data) == (Outcome.COMPLETED, ["Hello"])
        assert [span.name for span in call.phases] == ["join", "run", "stream"]
        assert [step.event for step in call.events] == [
            "process_generating", "process_generating", "", "process_completed",
        ]  # fmt: skip

    def test_a_chat_completion_may_end_without_its_last_word(self) -> None:
        chunk = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}
        script = Script("openai_chat").call("hi", []).open("1.chat")
        call = script.chunk("1.chat", b"data: " + json.dumps(chunk).encode() + b"\n\n").end("1.chat").only
        assert (call.outcome, call.data) == (Outcome.COMPLETED, ["Hi"])


class TestWhatBelongsToAnotherCall:
    """What comes on the stream of a session for a call that is over, or that the trace does not know."""

    def joined(self, script: Script, key: str) -> Script:
        script.call(key, key=key).ask(f"{key}.join")
        return script.answer(f"{key}.join", {"event_id": f"event-{key}"})

    def said(self, script: Script, event_id: str, *names: str) -> Script:
        messages = [{"msg": name, "event_id": event_id} for name in names]
        for one in messages:
            if one["msg"] == "process_completed":
                one |= {"output": {"data": [1]}, "success": True}  # type: ignore[dict-item]
        return script.chunk("stream", b"".join(sse(one) for one in messages))

    def test_the_completion_of_an_unknown_call_completes_no_other(self) -> None:
        script = self.joined(Script(), "1").open("stream")
        call = self.said(script, "event-9", "process_starts", "process_completed").only
        assert (call.outcome, call.data) == (Outcome.UNFINISHED, None)

    def test_the_end_of_a_stream_is_not_that_of_a_call_which_was_not_accepted_yet(self) -> None:
        script = self.joined(Script(), "1").open("stream")
        self.said(script, "event-1", "process_completed")
        script.call("2", key="2").ask("2.join").chunk("stream", sse({"msg": "close_stream"})).end("stream")
        script.answer("2.join", {"event_id": "event-2"}).open("stream")
        first, second = self.said(script, "event-2", "process_completed").timeline.calls
        assert [step.event or step.name for step in first.steps][-3:] == [
            "process_completed", "close_stream", "clean",
        ]  # fmt: skip
        assert "close_stream" not in [step.event for step in second.steps]
        assert StepKind.END not in [step.kind for step in second.steps]
        assert (first.outcome, second.outcome) == (Outcome.COMPLETED, Outcome.COMPLETED)

    def test_the_stream_that_breaks_is_that_of_the_calls_that_wait_on_it(self) -> None:
        script = self.joined(Script(), "1").open("stream")
        self.said(script, "event-1", "process_completed")
        first, second = self.joined(script, "2").end("stream", "reset").timeline.calls
        assert StepKind.END not in [step.kind for step in first.steps]
        assert (second.outcome, second.error) == (Outcome.FAILED, "StreamLost")


class TestBeside:
    def test_discovery_uploads_and_heartbeats_belong_to_no_call(self) -> None:
        line = timeline(read_trace(KIT / "6.31.0" / "files.jsonl"))
        assert [step.target for step in line.discovery] == ["/config", "/gradio_api/info"]
        assert [step.channel for step in line.others] == ["upload", "heartbeat"]
        assert [one["name"] for one in line.others[0].files] == ["one.txt", "two.txt"]
        assert line.others[1].stream is not None
        assert line.others[1].stream.ending == "reset"

    def test_the_login_of_a_discovery_is_part_of_it(self) -> None:
        line = timeline(read_trace(KIT / "6.31.0" / "login.jsonl"))
        assert "login" in [step.channel for step in line.discovery]
        assert "login" not in [step.channel for step in line.others]

    def test_a_download_has_its_bytes(self) -> None:
        line = timeline(read_trace(KIT / "4.0.2" / "gallery.jsonl"))
        files = [step for step in line.others if step.channel == "file"]
        assert files
        assert all(
            step.stream is not None and step.stream.size and step.stream.ending == "clean" for step in files
        )

    def test_a_discovery_that_failed_has_its_error(self) -> None:
        frame = Frame(
            1.0, Direction.IN, Kind.ERROR, "discover", {"error": "ConnectError", "message": "refused"}
        )
        (step,) = timeline(Trace({}, (frame,))).discovery
        assert (step.error, step.message) == ("ConnectError", "refused")

    def test_why_a_discovery_failed_is_part_of_it(self) -> None:
        payload = {"error": "NotAGradioApp", "message": "a web page"}
        frame = Frame(1.0, Direction.LOCAL, Kind.ERROR, "discover", payload)
        (step,) = timeline(Trace({}, (frame,))).discovery
        assert (step.kind, step.error, step.message) == (StepKind.LOCAL, "NotAGradioApp", "a web page")

    def test_timeouts_of_the_session_name_the_setting_that_ended_a_silence(self) -> None:
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


class TestLive:
    def test_each_frame_tells_what_it_changed(self) -> None:
        builder = TimelineBuilder()
        changes = [update.change for frame in program().frames for update in builder.feed(frame)]
        assert Counter(changes)[Change.CALL] == Counter(changes)[Change.DONE] == 1
        assert Counter(changes)[Change.REPLY] == 4
        assert changes.index(Change.CALL) < changes.index(Change.DONE)

    def test_nothing_is_kept_if_that_is_not_wanted(self) -> None:
        builder = TimelineBuilder(keep=False)
        steps: list[Step] = []
        for frame in program().frames:
            steps += [update.step for update in builder.feed(frame) if update.step is not None]
        line = builder.finish()
        assert len(steps) > 10
        assert (line.calls, line.discovery, line.others, line.sessions) == ([], [], [], [])

    def test_what_is_not_kept_does_not_grow(self) -> None:
        builder = TimelineBuilder(keep=False)
        script = Script("direct")
        for number in range(500):
            script.call(key=str(number)).ask(f"{number}.run", phase="complete")
            script.answer(f"{number}.run", {"data": [number]})
        for session in range(2, 1500):
            opened = {"adapter": "x", "session_hash": "", "source": ""}
            script.add(Direction.LOCAL, Kind.SESSION, "", session=session, **opened)
        for frame in script.frames[:-1400]:
            builder.feed(frame)
        assert 50 < len(builder._sessions[1].calls) <= timeline_builder.MAX_ENDED
        for frame in script.frames[-1400:]:
            builder.feed(frame)
        assert len(builder._sessions) <= timeline_builder.MAX_SESSIONS

    def test_calls_that_the_end_of_the_trace_ends_are_told(self) -> None:
        builder = TimelineBuilder(keep=False)
        for frame in Program().discover().session().call("x").frames:
            builder.feed(frame)
        assert [update.calls[0].outcome for update in builder.settle()] == []
        made = Script().call().ask("1.status", phase="stream")
        made.add(Direction.IN, Kind.ERROR, "1.status", error="StreamLost", message="lost")
        for frame in made.frames:
            builder.feed(frame)
        assert [update.calls[0].error for update in builder.settle()] == ["StreamLost"]


class TestHostile:
    def test_a_trace_that_begins_in_the_middle(self) -> None:
        frames = program().frames
        for start in range(len(frames)):
            timeline(Trace({}, tuple(frames[start:])))

    def test_json_nested_without_end_is_a_text(self) -> None:
        deep = b"data: " + b"[" * 100_000 + b"\n\n"
        made = Program().discover().session().call("x").chunks(deep)
        line = line_of(made)
        assert any(
            isinstance(step.value, str) for step in line.sessions[0].steps if step.kind is StepKind.EVENT
        )
        assert line.calls[0].error == "MalformedMessage"

    def test_values_beyond_the_memory_for_them_are_left_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timeline_builder, "MAX_KEPT_BYTES", 100_000)
        messages = [message("process_generating", output=output("x" * 90_000), success=True)]
        messages += [message("process_generating", output=output([["append", [], "y"]]), success=True)] * 3
        call = call_of(
            program(messages=[*messages, message("process_completed", output=output("z"), success=True)])
        )
        steps = [step for step in call.events if step.event == "process_generating"]
        assert [step.kept for step in steps] == [True, False, False, False]
        assert call.data == ["z"]

    def test_edits_that_copy_without_end_are_not_applied(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timeline_builder, "MAX_MADE_BYTES", 1_000_000)
        messages = [message("process_generating", output=output("x" * 90_000), success=True)]
        messages += [message("process_generating", output=output([["append", [], "y"]]), success=True)] * 50
        call = call_of(program(messages=messages))
        assert [step.kept for step in call.events].count(False) > 30

    @pytest.mark.parametrize("shape", ["events", "calls", "ends", "early"])
    def test_time_is_linear(self, shape: str) -> None:
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


class TestMessages:
    """What is not in the traces of the kit."""

    @pytest.mark.parametrize(
        ("name", "text", "event", "outcome", "error"),
        [
            ("message", '{"msg": "queue_full"}', "queue_full", Outcome.FAILED, "QueueFull"),
            ("message", '{"msg": "server_stopped"}', "server_stopped", Outcome.FAILED, "StreamLost"),
            ("message", '{"message": "Server stopped unexpectedly."}', "unexpected_error", Outcome.FAILED,
             "StreamLost"),
            ("message", '{"msg": "unexpected_error", "message": "404: Session not found."}', "unexpected_error",
             Outcome.FAILED, "SessionNotFound"),
            ("message", '{"msg": "process_completed", "output": {}}', "process_completed", Outcome.CANCELLED, ""),
            ("message", '{"msg": "process_completed", "output": null}', "process_completed", Outcome.FAILED,
             "MalformedMessage"),
            ("complete", "null", "process_completed", Outcome.CANCELLED, ""),
            ("error", '"404: gone"', "process_completed", Outcome.FAILED, "SessionNotFound"),
            ("error", '{"error": "why"}', "process_completed", Outcome.FAILED, "AppError"),
            ("message", '{"error": {"message": "overloaded"}}', "process_completed", Outcome.FAILED,
             "ServerRefused"),
            ("message", "{oh no", "", Outcome.FAILED, "MalformedMessage"),
        ],
    )  # fmt: skip
    def test_how_a_call_ends(self, name: str, text: str, event: str, outcome: Outcome, error: str) -> None:
        said = read_event(name, text, version_of({"gradio": "6.31.0"}), named=True)
        assert said.end is not None
        assert (said.event, said.end.outcome, said.end.error) == (event, outcome, error)

    @pytest.mark.parametrize("text", ["", " ", "ALIVE"])
    def test_what_is_no_message_may_be_a_sign_of_life(self, text: str) -> None:
        assert read_event("heartbeat", text, (), named=True).event == "heartbeat"

    @pytest.mark.parametrize("meta", [{}, {"gradio": None}, {"gradio": "dev"}])
    def test_a_version_may_be_unknown(self, meta: dict[str, Any]) -> None:
        assert version_of(meta) == ()
