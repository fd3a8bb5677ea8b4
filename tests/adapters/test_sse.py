# SPDX-License-Identifier: Apache-2.0
"""sse_v1 to sse_v3: joins, one stream for all calls of a session, edits, cancellations, and every odd end."""

from __future__ import annotations

import json

import pytest

from gradio_transport.adapter.exchange import Invocation, SessionContext
from gradio_transport.app.config import AppConfig, Component, Endpoint
from gradio_transport.app.config_parsing import parse_release
from gradio_transport.errors import (
    AppError,
    AuthenticationRequired,
    ConnectError,
    EndpointNotFound,
    EventTooLarge,
    InvalidPayload,
    MalformedMessage,
    QueueFull,
    ServerRefused,
    SessionNotFound,
    StreamLost,
    TimeoutExpired,
    ValidationFailed,
)
from gradio_transport.events import UNKNOWN_OUTPUT, Achieved
from gradio_transport.policy import Limits
from gradio_transport.protocol.commands import Closed, DropStream, Ending, OpenStream, Response, SendRequest
from gradio_transport.protocol.flow import State
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_sse.v1 import SSEv1
from gradio_transport_sse.v2 import SSEv2
from gradio_transport_sse.v2_1 import SSEv2_1
from gradio_transport_sse.v3 import SSEv3

GENERATIONS = [(SSEv1, "4.9.0"), (SSEv1, "4.16.0"), (SSEv2, "4.17.0"), (SSEv2_1, "4.21.0"), (SSEv3, "6.31.0")]
WITHOUT_CLOSE_STREAM = GENERATIONS[:4]


def app(version, protocol="sse_v3") -> AppConfig:
    return AppConfig(version=version, release=parse_release(version), protocol=protocol, enable_queue=True)


def message(kind, event_id=None, **more):
    return {"msg": kind, "event_id": event_id, **more}


def generating(event_id, *data):
    return message(
        "process_generating", event_id, output={"data": list(data), "is_generating": True}, success=True
    )


def completed(event_id, *data):
    return message("process_completed", event_id, output={"data": list(data)}, success=True)


class Call:
    """One call of a `Play`."""

    def __init__(self, play, **invocation) -> None:
        self.play = play
        endpoint = Endpoint(**{"name": "/f", "fn_index": 3} | invocation.pop("endpoint", {}))
        self.exchange = play.session.open(Invocation(endpoint=endpoint, **{"data": ["x"]} | invocation))
        self.events: list = []
        play.calls[self.exchange.key] = self
        (self.join,) = play.took(play.session.start(self.exchange, 0.0))

    def resolve_reference(self, event_id):
        """Answer the join."""
        return self.answered(200, json.dumps({"event_id": event_id}).encode())

    def answered(self, status, body=b""):
        return self.play.took(self.play.session.reply(self.join, Response(status, body=body), 1.0))

    def cancel(self):
        return self.play.took(self.play.session.cancel(self.exchange, 3.0))

    @property
    def kinds(self):
        return [type(event).__name__ for event in self.events]

    @property
    def data(self):
        return [event.data for event in self.events if hasattr(event, "data")]

    @property
    def error(self):
        return self.events[-1].error


class Play:
    """One session, driven by hand."""

    def __init__(self, adapter=SSEv3, version="6.31.0", **limits) -> None:
        context = SessionContext(
            config=app(version),
            urls=AppURLs("http://app", "/gradio_api" if version >= "5" else ""),
            session_hash="hash",
            limits=Limits(**limits),
            strict=True,
        )
        self.session = adapter().session(context)
        self.calls: dict = {}

    def took(self, turn):
        for delivery in turn.deliveries:
            self.calls[delivery.exchange.key].events.append(delivery.event)
        return turn.commands

    def call(self, event_id=None, **invocation):
        """Start a call, and join it at once if it is given an id."""
        call = Call(self, **invocation)
        if event_id is not None and any(
            isinstance(one, OpenStream) for one in call.resolve_reference(event_id)
        ):
            self.opened()
        return call

    def opened(self):
        return self.took(self.session.stream_opened("stream", Response(200), 1.0))

    def say(self, *messages):
        text = "".join(f"data: {json.dumps(one)}\n\n" for one in messages)
        return self.feed(text.encode())

    def feed(self, data):
        return self.took(self.session.data_received("stream", data, 2.0))

    def close(self, ending=Ending.CLEAN, reason=""):
        return self.took(self.session.closed("stream", Closed(ending, reason=reason), 3.0))


class TestJoin:
    @pytest.mark.parametrize(("adapter", "version"), GENERATIONS)
    def test_a_call(self, adapter, version):
        play = Play(adapter, version)
        call = play.call()
        prefix = "gradio_api/" if version >= "5" else ""
        assert call.join.request.url == f"http://app/{prefix}queue/join"
        assert json.loads(call.join.request.body) == {"data": ["x"], "fn_index": 3, "session_hash": "hash"}
        (stream,) = call.resolve_reference("e1")
        assert stream.channel == "stream"
        assert stream.request.url == f"http://app/{prefix}queue/data?session_hash=hash"
        play.opened()
        play.say(message("estimation", "e1", rank=0), message("process_starts", "e1", eta=1.5))
        assert play.say(message("heartbeat"), completed("e1", "y")) == []
        assert call.kinds == ["Joined", "Estimation", "ProcessStarts", "Heartbeat", "ProcessCompleted"]
        assert call.data == [["y"]]
        assert call.exchange.deviations == []

    def test_what_a_browser_would_add(self):
        call = Play().call(event_data={"index": 0}, trigger_id=7)
        body = json.loads(call.join.request.body)
        assert (body["event_data"], body["trigger_id"]) == ({"index": 0}, 7)

    @pytest.mark.parametrize(
        ("version", "status", "body", "kind"),
        [
            ("4.9.0", 500, b"Internal Server Error", QueueFull),
            ("4.9.1", 500, b"Internal Server Error", ServerRefused),
            ("4.16.0", 503, b'{"detail":"Queue is full. Max size is 1 and size is 1."}', QueueFull),
            ("4.16.0", 503, b'{"detail":"Queue is stopped."}', ServerRefused),
            ("6.31.0", 422, b'{"detail":[{"__type__":"validate","is_valid":false}]}', ValidationFailed),
            ("6.31.0", 422, b'{"detail":[{"type":"missing","loc":["body","data"]}]}', InvalidPayload),
            ("6.31.0", 401, b'{"detail":{"error":"Not authenticated"}}', AuthenticationRequired),
            ("6.31.0", 404, b'{"detail":"Not Found"}', EndpointNotFound),
        ],
    )
    def test_refusals(self, version, status, body, kind):
        play = Play(version=version)
        call = play.call()
        assert call.answered(status, body) == []
        assert isinstance(call.error, kind)
        assert call.error.may_have_run is (status == 500)
        assert play.session.usable

    @pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{}", b'{"event_id":""}', b'{"event_id":true}'])
    def test_an_answer_without_event_id(self, body):
        call = Play().call()
        assert call.answered(200, body) == []
        assert isinstance(call.error, MalformedMessage)
        assert call.error.may_have_run

    def test_a_number_is_an_event_id(self):
        play = Play()
        call, other = play.call(), play.call("8")
        call.answered(200, b'{"event_id":7}')
        play.say(completed(8, "b"), completed(7, "a"))
        assert (call.data, other.data) == ([["a"]], [["b"]])
        assert call.exchange.event_id == "7"

    @pytest.mark.parametrize(("error", "ran"), [(StreamLost("cut"), True), (ConnectError("refused"), False)])
    def test_no_answer(self, error, ran):
        play = Play()
        call = play.call()
        play.took(play.session.failed(call.join, error, 1.0))
        assert call.error.may_have_run is ran


class TestMultiplexing:
    def test_the_stream_is_opened_once(self):
        play = Play()
        play.call("e1")
        second = play.call()
        assert second.resolve_reference("e2") == []

    def test_messages_go_to_their_calls(self):
        play = Play()
        first, second = play.call("e1"), play.call("e2")
        play.say(generating("e2", "b"), generating("e1", "a"), completed("e2", "B"), completed("e1", "A"))
        assert (first.data, second.data) == ([["a"], ["A"]], [["b"], ["B"]])

    def test_messages_may_name_a_call_before_its_join_is_answered(self):
        play = Play()
        play.call("e1")
        second = play.call()
        play.say(message("estimation", "e2", rank=0), generating("e2", "b"))
        assert second.events == []
        second.resolve_reference("e2")
        assert second.kinds == ["Joined", "Estimation", "ProcessGenerating"]

    def test_a_cached_result_may_come_whole_before_the_answer(self):
        play = Play()
        first, second = play.call("e1"), play.call()
        play.say(generating("e2", "b"), completed("e2", "B"), generating("e1", "a"))
        assert second.resolve_reference("e2") == []
        assert second.kinds == ["Joined", "ProcessGenerating", "ProcessCompleted"]
        assert first.kinds == ["Joined", "ProcessGenerating"]

    def test_parked_messages_of_others_are_not_mixed_in(self):
        play = Play()
        play.call("e1")
        second, third = play.call(), play.call()
        play.say(completed("e3", "C"), completed("e2", "B"))
        second.resolve_reference("e2")
        third.resolve_reference("e3")
        assert (second.data, third.data) == ([["B"]], [["C"]])

    def test_parking_is_bounded(self):
        play = Play(max_parked_messages=2)
        first, second = play.call("e1"), play.call()
        assert play.say(*[message("log", "e2", log="x")] * 3) == [DropStream("stream")]
        assert isinstance(first.error, EventTooLarge)
        assert not play.session.usable
        assert second.exchange.state is State.JOINING

    def test_messages_of_nobody_are_counted(self):
        play = Play()
        first = play.call("e1")
        play.say(message("process_starts", "unheard of"))
        assert play.session.stray_messages == 1
        assert first.kinds == ["Joined"]

    def test_a_heartbeat_is_everybody_s(self):
        play = Play()
        first, second = play.call("e1"), play.call("e2")
        play.say({"msg": "heartbeat"})
        assert first.kinds[-1] == second.kinds[-1] == "Heartbeat"

    def test_messages_cut_anywhere_arrive_whole(self):
        play = Play()
        call = play.call("e1")
        text = json.dumps(completed("e1", "ä\u2028"), ensure_ascii=False)
        data = f"data: {text}\n\n".encode()
        for place in range(len(data)):
            play.feed(data[place : place + 1])
        assert call.data == [["ä\u2028"]]

    def test_slots_of_state_are_left_out(self):
        play = Play()
        slots = (Component(1), Component(2, "state", skipped=True))
        call = play.call("e1", endpoint={"outputs": slots})
        play.say(generating("e1", "a", None), completed("e1", "b", None))
        assert call.data == [["a"], ["b"]]

    def test_unknown_messages_pass(self):
        play = Play()
        call = play.call("e1")
        play.say(message("novelty", "e1"), message("novelty"))
        assert call.kinds[-2:] == ["UnknownMessage", "UnknownMessage"]


class TestEndOfStream:
    @pytest.mark.parametrize(("adapter", "version"), WITHOUT_CLOSE_STREAM)
    def test_up_to_2_1_it_just_ends_and_the_next_call_opens_another(self, adapter, version):
        play = Play(adapter, version)
        play.call("e1")
        play.say(completed("e1", "a"))
        assert play.close() == []
        second = play.call()
        assert len(second.resolve_reference("e2")) == 1
        assert play.session.usable

    def test_v3_says_so(self):
        play = Play()
        call = play.call("e1")
        play.say(completed("e1", "a"), message("close_stream"))
        assert play.close() == []
        assert call.kinds == ["Joined", "ProcessCompleted"]

    def test_a_body_without_its_last_chunk_is_no_loss_after_that(self):
        play = Play()
        play.call("e1")
        play.say(completed("e1", "a"), message("close_stream"))
        second = play.call()
        assert second.resolve_reference("e2") == []
        assert play.close(Ending.RESET) == [OpenStream("stream", play.session.stream_request(), joined=True)]

    @pytest.mark.parametrize(("adapter", "version"), GENERATIONS)
    def test_a_join_that_crosses_with_it_gets_a_new_stream(self, adapter, version):
        play = Play(adapter, version)
        play.call("e1")
        play.say(completed("e1", "a"))
        second = play.call()
        if adapter is SSEv3:
            play.say(message("close_stream"))
        assert second.resolve_reference("e2") == []  # the old stream is still open, for all we know
        (stream,) = play.close()
        assert isinstance(stream, OpenStream)
        play.opened()
        play.say(completed("e2", "b"))
        assert second.data == [["b"]]

    def test_a_join_answered_after_the_end_too(self):
        play = Play()
        play.call("e1")
        second = play.call()
        play.say(completed("e1", "a"), message("close_stream"))
        assert play.close() == []
        assert len(second.resolve_reference("e2")) == 1

    def test_a_call_that_was_spoken_of_has_lost_its_stream(self):
        play = Play()
        first, second = play.call("e1"), play.call("e2")
        play.say(message("process_starts", "e1"))
        (stream,) = play.close()
        assert isinstance(stream, OpenStream)
        assert isinstance(first.error, StreamLost)
        assert first.error.may_have_run
        assert second.kinds == ["Joined"]

    def test_streams_that_end_without_a_word_are_not_opened_for_ever(self):
        play = Play()
        call = play.call("e1")
        opened = 0
        while play.close():
            play.opened()
            opened += 1
        assert opened == 3
        assert isinstance(call.error, StreamLost)

    @pytest.mark.parametrize(("ending", "kind"), [(Ending.RESET, StreamLost), (Ending.IDLE, TimeoutExpired)])
    def test_a_break_is_a_loss_for_every_call_and_for_the_session(self, ending, kind):
        play = Play()
        calls = [play.call("e1"), play.call("e2")]
        assert play.close(ending) == []
        for call in calls:
            assert isinstance(call.error, kind)
            assert call.error.may_have_run
        assert calls[0].error is not calls[1].error
        assert not play.session.usable
        with pytest.raises(RuntimeError):
            play.call()

    def test_a_break_that_hurts_nobody(self):
        play = Play()
        play.call("e1")
        play.say(completed("e1", "a"))
        assert play.close(Ending.RESET) == []
        assert play.session.usable

    def test_a_refused_stream(self):
        play = Play()
        call = play.call()
        (stream,) = call.resolve_reference("e1")
        turn = play.session.reply(stream, Response(401, body=b'{"detail":"Not authenticated"}'), 1.0)
        assert play.took(turn) == []  # there is nothing to close
        assert isinstance(call.error, AuthenticationRequired)
        assert call.error.may_have_run
        assert not play.session.usable

    def test_a_stream_without_answer(self):
        play = Play()
        call = play.call()
        (stream,) = call.resolve_reference("e1")
        assert play.took(play.session.failed(stream, ConnectError("refused"), 1.0)) == []
        assert isinstance(call.error, ConnectError)
        assert (call.error.may_have_run, call.error.retryable) == (True, False)


class TestUnexpected:
    @pytest.mark.parametrize(
        ("said", "kind"),
        [
            ({"message": ""}, SessionNotFound),
            ({"message": "404: Session not found."}, SessionNotFound),
            ({"message": "404: Not Found", "session_not_found": True}, SessionNotFound),
            ({"message": "Server stopped unexpectedly."}, StreamLost),
            ({"message": "'9c2019409a9744919ed176eb857c0598'"}, StreamLost),
        ],
    )
    def test_without_event_id_it_is_the_end_of_all(self, said, kind):
        play = Play()
        calls = [play.call("e1"), play.call("e2")]
        play.say({"msg": "unexpected_error", "success": False} | said)
        for call in calls:
            assert isinstance(call.error, kind)
            assert call.error.may_have_run
        assert not play.session.usable
        assert play.close(Ending.RESET) == []

    def test_with_one_it_is_the_end_of_that_call(self):
        play = Play()
        first, second = play.call("e1"), play.call("e2")
        play.say(message("unexpected_error", "e1", message="odd", success=False))
        assert first.kinds[-2:] == ["UnexpectedError", "Failed"]
        assert isinstance(first.error, StreamLost)
        assert first.exchange.deviations == []
        assert second.kinds == ["Joined"]
        assert play.session.usable

    @pytest.mark.parametrize("event_id", [None, "e1"])
    def test_a_server_that_stops_says_so_again_and_again(self, event_id):
        play = Play(SSEv1, "4.9.0")
        call = play.call("e1")
        play.say(*[message("server_stopped", event_id, success=False)] * 3)
        assert call.kinds.count("Failed") == 1
        assert isinstance(call.error, StreamLost)

    def test_a_full_queue_told_on_the_stream(self):
        play = Play()
        call = play.call("e1")
        play.say(message("queue_full", "e1"))
        assert isinstance(call.error, QueueFull)

    @pytest.mark.parametrize("data", [b"data: ALIVE\n\n", b"data: [1]\n\n", b'data: "x"\n\n'])
    def test_what_cannot_be_read_may_have_been_anybody_s(self, data):
        play = Play()
        calls = [play.call("e1"), play.call("e2")]
        assert play.feed(data) == [DropStream("stream")]
        assert all(isinstance(call.error, MalformedMessage) for call in calls)

    def test_an_event_that_is_too_large(self):
        play = Play(max_event_bytes=100)
        call = play.call("e1")
        assert play.feed(b"data: " + b"x" * 200) == [DropStream("stream")]
        assert isinstance(call.error, EventTooLarge)


class TestValues:
    def test_v1_repeats_full_values(self):
        play = Play(SSEv1, "4.9.0")
        call = play.call("e1")
        edits = [["append", [], "b"]]
        play.say(generating("e1", "a"), generating("e1", edits), completed("e1", "ab"))
        assert call.data == [["a"], [edits], ["ab"]]

    @pytest.mark.parametrize(("adapter", "version"), GENERATIONS[2:])
    def test_from_v2_on_frames_are_edits(self, adapter, version):
        play = Play(adapter, version)
        call = play.call("e1")
        play.say(
            generating("e1", "a", [1]),
            generating("e1", [["append", [], "b"]], []),
            generating("e1", [], [["add", [1], 2]]),
            completed("e1", "ab", [1, 2]),
        )
        assert call.data == [["a", [1]], ["ab", [1]], ["ab", [1, 2]], ["ab", [1, 2]]]

    def test_each_call_has_a_baseline_of_its_own(self):
        play = Play()
        first, second = play.call("e1"), play.call("e2")
        play.say(generating("e1", "a"), generating("e2", "x"), generating("e1", [["append", [], "b"]]))
        assert (first.data, second.data) == ([["a"], ["ab"]], [["x"]])

    def test_an_edit_that_does_not_fit_does_not_end_the_call(self):
        play = Play()
        call = play.call("e1")
        play.say(generating("e1", "a"), generating("e1", [["replace", ["k"], 1]]), completed("e1", "z"))
        assert call.data == [["a"], [UNKNOWN_OUTPUT], ["z"]]

    def test_streamed_values_are_never_edits(self):
        play = Play()
        call = play.call("e1")
        frame = message("process_streaming", "e1", output={"data": ["a"]}, success=True, time_limit=3)
        play.say(frame, frame)
        assert call.data == [["a"], ["a"]]

    @pytest.mark.parametrize(
        ("version", "text", "shown"),
        [("4.44.1", "'boom'", "boom"), ("5.1.0", "'boom'", "boom"), ("5.2.0", "'boom'", "'boom'")],
    )
    def test_errors_of_the_app(self, version, text, shown):
        play = Play(version=version)
        call = play.call("e1")
        play.say(message("process_completed", "e1", output={"error": text}, success=False, title="Error"))
        assert isinstance(call.error, AppError)
        assert (call.error.message, call.error.title) == (shown, "Error")


class TestCancel:
    @pytest.mark.parametrize(
        ("version", "path", "body"),
        [
            ("4.16.0", "reset", {"event_id": "e1"}),
            ("4.31.0", "cancel", {"event_id": "e1", "session_hash": "hash", "fn_index": 3}),
            ("4.44.1", "cancel", {"event_id": "e1", "session_hash": "hash", "fn_index": 3}),
        ],
    )
    def test_the_server_is_told_in_its_own_way(self, version, path, body):
        play = Play(version=version)
        call = play.call("e1")
        (command,) = call.cancel()
        assert command.request.url == f"http://app/{path}"
        assert json.loads(command.request.body) == body
        assert call.kinds[-1] == "Cancelled"
        assert play.took(play.session.reply(command, Response(500), 4.0)) == []

    @pytest.mark.parametrize(
        ("version", "running", "generator", "achieved"),
        [
            ("6.31.0", True, True, Achieved.STOPPING),
            ("6.31.0", True, None, Achieved.STOPPING),
            ("6.31.0", True, False, Achieved.RUNS_ON),
            ("6.31.0", False, True, Achieved.DEQUEUED),
            ("6.13.0", False, True, Achieved.RUNS_ON),
        ],
    )
    def test_what_it_achieves(self, version, running, generator, achieved):
        play = Play(version=version)
        call = play.call("e1", endpoint={"generator": generator})
        if running:
            play.say(message("process_starts", "e1"))
        call.cancel()
        assert call.events[-1].achieved is achieved

    def test_it_would_kill_the_siblings_so_the_server_is_told_once_they_are_over(self):
        play = Play()
        first, second, third = play.call("e1"), play.call("e2"), play.call("e3")
        assert first.cancel() == []
        assert first.events[-1].achieved is Achieved.RUNS_ON
        play.say(generating("e1", "a"), completed("e2", "B"))
        assert second.data == [["B"]]
        (told,) = play.say(completed("e3", "C"))
        assert third.data == [["C"]]
        assert told.request.url.endswith("/cancel")
        assert json.loads(told.request.body)["event_id"] == "e1"
        assert play.took(play.session.reply(told, Response(200), 4.0)) == []
        assert play.session.stray_messages == 1

    def test_of_what_is_over_by_itself_the_server_is_not_told(self):
        play = Play()
        first, second = play.call("e1"), play.call("e2")
        first.cancel()
        assert play.say(completed("e1", "A"), completed("e2", "B")) == []
        assert second.data == [["B"]]

    def test_of_several_cancelled_siblings_the_last_one_tells_of_all(self):
        play = Play()
        first, second = play.call("e1"), play.call("e2")
        other = play.call("e3", endpoint={"fn_index": 4})
        assert first.cancel() == []
        told = second.cancel()
        assert sorted(json.loads(one.request.body)["event_id"] for one in told) == ["e1", "e2"]
        assert other.cancel() != []

    def test_each_endpoint_has_siblings_of_its_own(self):
        play = Play()
        first, second = play.call("e1"), play.call("e2")
        third, fourth = (play.call(name, endpoint={"fn_index": 4}) for name in ("e3", "e4"))
        assert first.cancel() == third.cancel() == []
        (told,) = play.say(completed("e2", "B"))
        assert json.loads(told.request.body)["event_id"] == "e1"
        (told,) = play.say(completed("e4", "D"))
        assert json.loads(told.request.body)["event_id"] == "e3"
        assert [second.data, fourth.data] == [[["B"]], [["D"]]]

    def test_a_sibling_that_joins_meanwhile_is_waited_for(self):
        play = Play()
        first, second = play.call("e1"), play.call("e2")
        first.cancel()
        third = play.call()
        play.say(completed("e2", "B"))
        assert second.data == [["B"]]
        third.resolve_reference("e3")
        assert len(play.say(completed("e3", "C"))) == 1

    def test_after_a_loss_there_is_nobody_to_tell(self):
        play = Play()
        first, _ = play.call("e1"), play.call("e2")
        first.cancel()
        commands = play.took(play.session.closed("stream", Closed(Ending.RESET), 5.0))
        assert not any(isinstance(command, SendRequest) for command in commands)

    def test_one_cancelled_while_it_joins_is_told_of_when_its_siblings_are_over(self):
        play = Play()
        call, sibling = play.call(), play.call("e2")
        call.cancel()
        assert call.resolve_reference("e1") == []
        assert len(play.say(completed("e2", "B"))) == 1
        assert sibling.data == [["B"]]

    def test_calls_of_other_endpoints_are_no_siblings(self):
        play = Play()
        first = play.call("e1")
        play.call("e2", endpoint={"fn_index": 4})
        assert len(first.cancel()) == 1

    def test_before_4_31_a_reset_concerns_one_call_only(self):
        play = Play(version="4.16.0")
        first = play.call("e1")
        play.call("e2")
        assert len(first.cancel()) == 1

    def test_while_the_join_is_in_flight(self):
        play = Play()
        call = play.call()
        assert call.cancel() == []
        assert call.events[-1].achieved is Achieved.UNKNOWN
        (cancel,) = call.resolve_reference("e1")
        assert cancel.request.url.endswith("/cancel")
        assert json.loads(cancel.request.body)["event_id"] == "e1"

    def test_a_completion_of_a_cancelled_call_is_a_stray(self):
        play = Play()
        call = play.call("e1")
        call.cancel()
        empty = message("process_completed", "e1", output={}, success=True)
        play.say(empty, message("process_starts", "e1"), completed("e1", "late"))
        assert call.kinds == ["Joined", "Cancelled"]
        assert play.session.stray_messages == 3

    def test_a_call_cancelled_by_somebody_else(self):
        play = Play()
        call = play.call("e1")
        play.say(message("process_completed", "e1", output={}, success=True))
        assert call.exchange.state is State.CANCELLED

    def test_a_server_that_cancels_nothing_has_lost_the_result(self):
        play = Play(SSEv2, "4.20.1")
        call = play.call("e1")
        play.say(message("process_completed", "e1", output={}, success=True))
        assert isinstance(call.error, MalformedMessage)
        assert call.error.may_have_run

    def test_a_second_completion_is_a_stray(self):
        play = Play()
        call = play.call("e1")
        play.say(completed("e1", "a"), completed("e1", "b"))
        assert call.data == [["a"]]
        assert play.session.stray_messages == 1

    def test_after_the_end_there_is_nothing_to_cancel(self):
        play = Play()
        call = play.call("e1")
        play.say(completed("e1", "a"))
        assert call.cancel() == []


class TestMatch:
    @pytest.mark.parametrize("adapter", [SSEv1, SSEv2, SSEv2_1, SSEv3])
    def test_each_takes_what_the_server_calls_by_its_name(self, adapter):
        endpoint = Endpoint(name="/f", fn_index=0)
        assert adapter().match(app("4.22.0", adapter.name), endpoint).score == 100
        assert adapter().match(app("4.22.0", "sse"), endpoint).score == 0
        assert adapter().match(app("3.50.2", None), endpoint).score == 0

    def test_v3_is_the_nearest_to_what_is_not_known_yet(self):
        endpoint = Endpoint(name="/f", fn_index=0)
        assert SSEv3().match(app("7.0.0", "sse_v4"), endpoint).score == 50
        assert SSEv3().match(app("7.0.0", "carrier pigeon"), endpoint).score == 0

    def test_capabilities(self):
        assert not SSEv1().capabilities(app("4.9.0")).diffs
        assert SSEv2().capabilities(app("4.17.0")).diffs
        assert not SSEv3().capabilities(app("4.44.1")).streaming_input
        assert SSEv3().capabilities(app("5.0.0")).streaming_input
