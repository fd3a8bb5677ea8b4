# SPDX-License-Identifier: Apache-2.0
"""``/call`` and ``/call/v2``: named events, lost error texts, and sessions whose messages carry no name."""

from __future__ import annotations

import json

import pytest

from gradio_transport.adapter.exchange import Invocation, SessionContext
from gradio_transport.app.config import AppConfig, Component, Endpoint, Parameter
from gradio_transport.app.config_parsing import parse_release
from gradio_transport.errors import (
    AppError,
    AuthenticationRequired,
    LocalProtocolError,
    MalformedMessage,
    Phase,
    QueueFull,
    ServerRefused,
    SessionNotFound,
    StreamLost,
    UnsupportedProtocol,
    ValidationFailed,
)
from gradio_transport.events import Achieved
from gradio_transport.protocol.commands import Closed, DropStream, Ending, OpenStream, Response, SendRequest
from gradio_transport.protocol.flow import State
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_http.call import CallV1, CallV2

STATE = (Component(1, "textbox"), Component(2, "state", skipped=True))


def app(version) -> AppConfig:
    return AppConfig(
        version=version,
        release=parse_release(version),
        protocol="sse_v3",
        enable_queue=True,
        api_prefix="/gradio_api" if parse_release(version) >= (5, 0) else "",
    )


class Play:
    """One session and the calls in it, driven by hand."""

    def __init__(self, version="6.31.0", adapter=None) -> None:
        config = app(version)
        context = SessionContext(
            config=config, urls=AppURLs("http://app", config.api_prefix), session_hash="hash", strict=True
        )
        self.session = (adapter or CallV1()).session(context)
        self.events: list = []

    def took(self, turn):
        self.events += [delivery.event for delivery in turn.deliveries]
        return turn.commands

    def start(self, data=("x",), **endpoint):
        endpoint = Endpoint(**{"name": "/f", "fn_index": 3} | endpoint)
        self.exchange = self.session.open(Invocation(endpoint=endpoint, data=list(data)))
        commands = self.took(self.session.start(self.exchange, 0.0))
        self.command = commands[0] if commands else None
        return self.command

    @property
    def body(self):
        return json.loads(self.command.request.body)

    @property
    def channel(self):
        return f"{self.exchange.key}.stream"

    def reply(self, value, status=200):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.took(self.session.reply(self.command, Response(status, body=body), 1.0))

    def join(self, **endpoint):
        self.start(**endpoint)
        (stream,) = self.reply({"event_id": "e1"})
        self.took(self.session.stream_opened(self.channel, Response(200), 1.0))
        return stream

    def say(self, event, data):
        text = data if isinstance(data, bytes) else json.dumps(data).encode()
        chunk = b"event: " + event.encode() + b"\ndata: " + text + b"\n\n"
        return self.took(self.session.data_received(self.channel, chunk, 2.0))

    @property
    def kinds(self):
        return [type(event).__name__ for event in self.events]

    @property
    def error(self):
        return self.events[-1].error


@pytest.mark.parametrize(("version", "prefix"), [("4.20.0", ""), ("5.50.0", "gradio_api/")])
def test_a_call(version, prefix):
    play = Play(version)
    stream = play.join()
    assert play.command.request.url == f"http://app/{prefix}call/f"
    assert play.body == {"data": ["x"]}
    assert isinstance(stream, OpenStream)
    assert stream.request.url == f"http://app/{prefix}call/f/e1"
    play.say("heartbeat", None)
    play.say("generating", ["0"])
    assert play.say("complete", ["0 1"]) == [DropStream("1.stream")]
    assert play.kinds == ["Joined", "Heartbeat", "ProcessGenerating", "ProcessCompleted"]
    assert play.events[-1].data == ["0 1"]
    assert play.events[-1].raw == {"event": "complete", "data": ["0 1"]}
    assert {event.event_id for event in play.events} == {"e1"}
    assert play.exchange.deviations == []


def test_names_are_quoted():
    play = Play()
    assert play.start(name="/a b?").request.url.endswith("/call/a%20b%3F")


def test_slots_of_state_are_sent_as_null_and_left_out_of_the_result():
    play = Play("4.44.1")
    play.join(inputs=STATE, outputs=STATE, data=["x", None])
    assert play.body == {"data": ["x", None]}
    play.say("complete", ["y", None])
    assert play.events[-1].data == ["y"]


class TestErrors:
    @pytest.mark.parametrize("version", ["4.20.0", "5.50.0", "6.12.0"])
    def test_up_to_6_12_the_text_is_lost(self, version):
        play = Play(version)
        play.join()
        assert play.say("error", None) == [DropStream("1.stream")]
        assert isinstance(play.error, AppError)
        assert play.error.hidden
        assert "6.13" in play.error.message

    def test_from_6_13_on_it_is_there(self):
        play = Play()
        play.join()
        play.say("error", {"error": "boom", "duration": 10, "visible": True, "title": "Error"})
        assert (play.error.message, play.error.title, play.error.duration) == ("boom", "Error", 10)

    def test_unless_the_app_hides_it(self):
        play = Play()
        play.join()
        play.say("error", None)
        assert play.error.hidden
        assert "6.13" not in play.error.message

    @pytest.mark.parametrize(
        ("text", "kind"),
        [
            ("404: Session not found.", SessionNotFound),
            ("404: Not Found", SessionNotFound),
            ("Object of type JsonData is not JSON serializable", StreamLost),
        ],
    )
    def test_of_the_stream_itself(self, text, kind):
        play = Play()
        play.join()
        play.say("error", text)
        assert play.kinds[-1] == "Failed"
        assert isinstance(play.error, kind)
        assert play.error.may_have_run

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (500, b"Internal Server Error", ServerRefused),
            (503, b'{"detail":"Queue is full. Max size is 1 and size is 1."}', QueueFull),
            (401, b'{"detail":"Not authenticated"}', AuthenticationRequired),
            (
                422,
                b'{"detail":[{"__type__":"validate","is_valid":false}]}',
                ValidationFailed,
            ),
        ],
    )
    def test_a_refused_call(self, status, body, kind):
        play = Play()
        play.start()
        assert play.reply(body, status) == []
        assert isinstance(play.error, kind)

    @pytest.mark.parametrize("body", [b"no json", b"[]", b"{}", b'{"event_id":""}', b'{"event_id":[]}'])
    def test_a_call_without_event_id(self, body):
        play = Play()
        play.start()
        play.reply(body)
        assert isinstance(play.error, MalformedMessage)

    def test_a_number_is_an_event_id(self):
        play = Play()
        play.start()
        (stream,) = play.reply(b'{"event_id":7}')
        assert stream.request.url.endswith("/call/f/7")
        assert play.events[-1].event_id == "7"

    def test_a_refused_stream(self):
        play = Play()
        play.start()
        (stream,) = play.reply({"event_id": "e1"})
        play.took(play.session.reply(stream, Response(401), 1.0))
        assert isinstance(play.error, AuthenticationRequired)
        assert play.error.may_have_run

    @pytest.mark.parametrize(("event", "data"), [("complete", {}), ("generating", None), ("error", b"{no")])
    def test_nonsense(self, event, data):
        play = Play()
        play.join()
        assert play.say(event, data) == [DropStream("1.stream")]
        assert isinstance(play.error, MalformedMessage)

    def test_an_unknown_event_is_passed_on(self):
        play = Play()
        play.join()
        assert play.say("novelty", 1) == []
        assert play.kinds[-1] == "UnknownMessage"
        assert play.events[-1].msg == "novelty"

    def test_an_early_end(self):
        play = Play()
        play.join()
        play.took(play.session.closed(play.channel, Closed(Ending.CLEAN), 3.0))
        assert isinstance(play.error, StreamLost)


class TestCancel:
    def test_by_cancel_from_4_31_on(self):
        play = Play("5.50.0")
        play.join(generator=True)
        cancel, close = play.took(play.session.cancel(play.exchange, 3.0))
        assert cancel.request.url == "http://app/gradio_api/cancel"
        assert json.loads(cancel.request.body) == {"event_id": "e1", "session_hash": "e1", "fn_index": 3}
        assert close == DropStream("1.stream")
        assert play.events[-1].achieved is Achieved.STOPPING
        assert play.took(play.session.reply(cancel, Response(500), 3.0)) == []

    def test_by_reset_before(self):
        play = Play("4.20.0")
        play.join(generator=False)
        reset, _ = play.took(play.session.cancel(play.exchange, 3.0))
        assert reset.request.url == "http://app/reset"
        assert json.loads(reset.request.body) == {"event_id": "e1"}
        assert play.events[-1].achieved is Achieved.UNKNOWN

    def test_while_the_join_is_in_flight_nobody_can_be_told(self):
        play = Play()
        play.start()
        assert play.took(play.session.cancel(play.exchange, 3.0)) == []
        assert play.events[-1].achieved is Achieved.UNKNOWN
        assert play.reply({"event_id": "e1"}) == []

    def test_by_somebody_else(self):
        play = Play()
        play.join()
        assert play.say("complete", None) == [DropStream("1.stream")]
        assert play.exchange.state is State.CANCELLED

    def test_where_nobody_can_cancel_an_empty_completion_is_none(self):
        play = Play(version="4.30.0")
        play.join()
        play.say("complete", None)
        assert isinstance(play.error, MalformedMessage)

    def test_a_reply_of_the_cancel_that_comes_first_changes_nothing(self):
        play = Play()
        play.join()
        command = SendRequest("1.cancel", play.command.request, Phase.CANCEL)
        assert play.took(play.session.reply(command, Response(200), 3.0)) == []


class TestSessions:
    @pytest.mark.parametrize(("version", "shared"), [("6.17.0", False), ("6.18.0", True)])
    def test_state_is_kept_from_6_18_on(self, version, shared):
        play = Play(version)
        play.start(inputs=STATE, data=["x", None])
        assert ("session_hash" in play.body) is shared

    def test_two_at_a_time_would_take_each_other_s_messages(self):
        play = Play()
        play.start(inputs=STATE)
        assert play.start(inputs=STATE) is None
        assert isinstance(play.error, LocalProtocolError)
        assert play.session.usable
        assert play.start() is not None  # without State there is no session to share

    def test_one_after_the_other_is_fine(self):
        play = Play()
        for _ in range(2):
            play.join(inputs=STATE)
            play.say("complete", ["y", None])
        assert play.kinds.count("ProcessCompleted") == 2
        assert play.session.usable

    def test_a_session_with_an_unread_end_takes_no_more_calls(self):
        play = Play()
        play.join(inputs=STATE)
        play.took(play.session.cancel(play.exchange, 3.0))
        assert not play.session.usable

    def test_neither_does_one_whose_stream_was_lost_or_timed_out(self):
        play = Play()
        play.join(inputs=STATE)
        play.took(play.session.closed(play.channel, Closed(Ending.RESET), 3.0))
        assert not play.session.usable
        play = Play()
        play.start(inputs=STATE)
        play.took(play.session.abandon(play.exchange, StreamLost("late")))
        assert not play.session.usable

    def test_a_refused_join_leaves_it_as_it_was(self):
        play = Play()
        play.start(inputs=STATE)
        play.reply(b"no", 500)
        assert play.session.usable

    def test_calls_without_state_leave_it_as_it_was(self):
        play = Play()
        play.join()
        play.took(play.session.cancel(play.exchange, 3.0))
        assert play.session.usable


class TestNamedArguments:
    PARAMETERS = (Parameter(name="a"), Parameter(name="b"))

    def test_are_sent_by_name_without_session_or_state(self):
        play = Play(adapter=CallV2())
        slots = (Component(1), Component(2, "state", skipped=True), Component(3))
        play.join(parameters=self.PARAMETERS, inputs=slots, data=[1, None, 2])
        assert play.command.request.url == "http://app/gradio_api/call/v2/f"
        assert play.body == {"a": 1, "b": 2}

    def test_are_read_by_the_first_generation_s_path(self):
        play = Play(adapter=CallV2())
        stream = play.join(parameters=self.PARAMETERS, data=[1, 2])
        assert play.body == {"a": 1, "b": 2}
        assert stream.request.url == "http://app/gradio_api/call/f/e1"

    def test_never_share_a_session(self):
        play = Play(adapter=CallV2())
        play.join(inputs=STATE)
        play.took(play.session.cancel(play.exchange, 3.0))
        assert play.session.usable


class TestMatch:
    @pytest.mark.parametrize(
        ("version", "first", "second"),
        [("3.50.2", 0, 0), ("4.19.2", 0, 0), ("4.20.0", 5, 0), ("6.12.0", 5, 0), ("6.13.0", 5, 5)],
    )
    def test_scores(self, version, first, second):
        endpoint = Endpoint(name="/f", fn_index=0)
        assert CallV1().match(app(version), endpoint).score == first
        assert CallV2().match(app(version), endpoint).score == second

    @pytest.mark.parametrize("odd", [{"name": None}, {"visibility": "private"}, {"name": "/a/b"}])
    def test_endpoints_it_cannot_call(self, odd):
        endpoint = Endpoint(**{"name": "/f", "fn_index": 0} | odd)
        assert CallV1().match(app("6.31.0"), endpoint).score == 0
        with pytest.raises(UnsupportedProtocol, match="cannot call"):
            CallV1().check(app("6.31.0"), Invocation(endpoint=endpoint, data=[]))

    def test_check_refuses_event_data(self):
        invocation = Invocation(endpoint=Endpoint(name="/f", fn_index=0), data=[], event_data={})
        with pytest.raises(UnsupportedProtocol, match="event_data"):
            CallV1().check(app("6.31.0"), invocation)
        CallV1().check(app("6.31.0"), Invocation(endpoint=invocation.endpoint, data=[]))

    def test_capabilities(self):
        can = CallV1().capabilities(app("6.31.0"))
        assert can.generators
        said = (can.progress, can.logs, can.queue_position, can.event_data)
        assert said == (False, False, False, False)
