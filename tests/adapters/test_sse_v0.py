# SPDX-License-Identifier: Apache-2.0
"""sse (4.0 to 4.8): the stream is the join, the data are asked for, and silence may be the only answer."""

from __future__ import annotations

import json

import pytest

from gradio_transport.adapter.exchange import Invocation, SessionContext
from gradio_transport.app.config import AppConfig, Endpoint
from gradio_transport.app.config_parsing import parse_release
from gradio_transport.errors import (
    AppError,
    AuthenticationRequired,
    EventTooLarge,
    InvalidPayload,
    MalformedMessage,
    QueueFull,
    ServerRefused,
    StreamLost,
)
from gradio_transport.events import Achieved
from gradio_transport.policy import Limits
from gradio_transport.protocol.commands import Closed, DropStream, Ending, OpenStream, Response, SendRequest
from gradio_transport.protocol.flow import State
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_sse.v0 import SSEv0

ESTIMATION = {"msg": "estimation", "rank": 0, "queue_size": 1}
SEND_DATA = {"msg": "send_data", "event_id": "e1"}


def app(version="4.8.0", protocol="sse") -> AppConfig:
    return AppConfig(version=version, release=parse_release(version), protocol=protocol, enable_queue=True)


class Play:
    """One session and the calls in it, driven by hand."""

    def __init__(self, version="4.8.0", **limits) -> None:
        context = SessionContext(
            config=app(version),
            urls=AppURLs("http://app"),
            session_hash="hash",
            strict=True,
            limits=Limits(**limits),
        )
        self.session = SSEv0().session(context)
        self.events: list = []

    def took(self, turn):
        self.events += [delivery.event for delivery in turn.deliveries]
        return turn.commands

    def start(self, opened=True, **invocation):
        endpoint = Endpoint(name="/f", fn_index=3, generator=invocation.pop("generator", None))
        self.exchange = self.session.open(Invocation(endpoint=endpoint, **{"data": ["x"]} | invocation))
        commands = self.took(self.session.start(self.exchange, 0.0))
        if opened:
            self.took(self.session.stream_opened(self.channel, Response(200), 0.0))
        return commands

    @property
    def channel(self):
        return f"{self.exchange.key}.stream"

    def say(self, *messages):
        text = "".join(f"data: {json.dumps(one)}\n\n" for one in messages)
        return self.took(self.session.data_received(self.channel, text.encode(), 1.0))

    def close(self, ending=Ending.CLEAN):
        return self.took(self.session.closed(self.channel, Closed(ending), 2.0))

    @property
    def kinds(self):
        return [type(event).__name__ for event in self.events]

    @property
    def error(self):
        return self.events[-1].error


def test_a_call():
    play = Play()
    (stream,) = play.start()
    assert isinstance(stream, OpenStream)
    assert stream.request.method == "GET"
    assert stream.request.url == "http://app/queue/join?fn_index=3&session_hash=hash"
    assert play.say(ESTIMATION) == []
    (data,) = play.say(SEND_DATA)
    assert data.request.url == "http://app/queue/data"
    assert json.loads(data.request.body) == {
        "data": ["x"],
        "fn_index": 3,
        "session_hash": "hash",
        "event_id": "e1",
    }
    assert play.took(play.session.reply(data, Response(200, body=b"null"), 1.0)) == []
    frame = {"msg": "process_generating", "output": {"data": ["0"], "is_generating": True}, "success": True}
    last = {"msg": "process_completed", "output": {"data": ["0"], "is_generating": True}, "success": True}
    assert play.say({"msg": "process_starts"}, frame, {"msg": "heartbeat"}, last) == [DropStream("1.stream")]
    assert play.kinds == [
        "Joined",
        "Estimation",
        "SendData",
        "ProcessStarts",
        "ProcessGenerating",
        "Heartbeat",
        "ProcessCompleted",
    ]
    assert play.exchange.deviations == []
    assert play.close() == []


@pytest.mark.parametrize(("version", "beats"), [("4.0.0", False), ("4.3.0", False), ("4.4.0", True)])
def test_heartbeats_are_regular_from_4_4_on(version, beats):
    assert Play(version).start()[0].heartbeats is beats


def test_what_a_browser_would_add_goes_with_the_data():
    play = Play()
    play.start(event_data={"index": 0}, trigger_id=7)
    body = json.loads(play.say(ESTIMATION, SEND_DATA)[0].request.body)
    assert (body["event_data"], body["trigger_id"]) == ({"index": 0}, 7)


def test_the_data_may_be_asked_for_at_once():
    play = Play()
    play.start()
    play.say(SEND_DATA)
    assert play.kinds == ["Joined", "SendData"]


def test_each_call_has_a_stream_of_its_own():
    play = Play()
    assert play.start()[0].channel == "1.stream"
    assert play.start()[0].channel == "2.stream"


def test_a_full_queue():
    play = Play()
    play.start()
    assert play.say({"msg": "queue_full"}) == [DropStream("1.stream")]
    assert play.kinds == ["QueueFullMessage", "Failed"]
    assert isinstance(play.error, QueueFull)
    assert not play.error.may_have_run


def test_an_error_of_the_app():
    play = Play()
    play.start()
    play.say(ESTIMATION, SEND_DATA)
    play.say({"msg": "process_completed", "output": {"error": "'boom'"}, "success": False})
    assert isinstance(play.error, AppError)
    assert play.error.message == "boom"


@pytest.mark.parametrize(
    ("status", "kind"), [(500, ServerRefused), (422, InvalidPayload), (401, AuthenticationRequired)]
)
def test_refused_data_end_the_call(status, kind):
    play = Play()
    play.start()
    (data,) = play.say(SEND_DATA)
    response = Response(status, body=b'{"detail":[{"loc":["body"],"msg":"none"}]}')
    assert play.took(play.session.reply(data, response, 1.0)) == [DropStream("1.stream")]
    assert isinstance(play.error, kind)
    assert play.error.may_have_run is (status == 500)


def test_data_without_answer_may_have_arrived():
    play = Play()
    play.start()
    (data,) = play.say(SEND_DATA)
    assert isinstance(data, SendRequest)
    assert play.took(play.session.failed(data, StreamLost("gone"), 1.0)) == [DropStream("1.stream")]
    assert play.error.may_have_run


def test_a_refused_stream():
    play = Play()
    (stream,) = play.start(opened=False)
    assert play.took(play.session.reply(stream, Response(401), 1.0)) == []
    assert isinstance(play.error, AuthenticationRequired)


@pytest.mark.parametrize(
    ("messages", "says", "may_have_run"),
    [
        ([ESTIMATION], "cancels=", False),
        ([ESTIMATION, SEND_DATA], "later than 5 s", True),
        ([ESTIMATION, SEND_DATA, {"msg": "process_starts"}], "cancels=", True),
    ],
)
def test_a_silent_end_is_an_error_that_says_why(messages, says, may_have_run):
    play = Play()
    play.start()
    play.say(*messages)
    assert play.close() == []
    assert isinstance(play.error, StreamLost)
    assert says in play.error.message
    assert play.error.may_have_run is may_have_run


def test_a_break_is_a_loss():
    play = Play()
    play.start()
    play.say(ESTIMATION)
    play.close(Ending.RESET)
    assert "cut off" in play.error.message


def test_an_event_that_is_too_large():
    play = Play(max_event_bytes=100)
    play.start()
    assert play.say({"msg": "x" * 200}) == [DropStream("1.stream")]
    assert isinstance(play.error, EventTooLarge)


def test_no_json():
    play = Play()
    play.start()
    assert play.took(play.session.data_received("1.stream", b"data: ALIVE\n\n", 1.0)) == [
        DropStream("1.stream")
    ]
    assert isinstance(play.error, MalformedMessage)


@pytest.mark.parametrize(
    ("messages", "generator", "achieved"),
    [
        ([], True, Achieved.NOT_STARTED),
        ([ESTIMATION], True, Achieved.DEQUEUED),
        ([ESTIMATION, SEND_DATA, {"msg": "process_starts"}], True, Achieved.STOPPING),
        ([ESTIMATION, SEND_DATA, {"msg": "process_starts"}], False, Achieved.RUNS_ON),
    ],
)
def test_cancelling_closes_the_stream_and_nothing_else(messages, generator, achieved):
    play = Play()
    play.start(generator=generator)
    play.say(*messages)
    assert play.took(play.session.cancel(play.exchange, 3.0)) == [DropStream("1.stream")]
    assert play.events[-1].achieved is achieved
    assert play.exchange.state is State.CANCELLED
    assert play.say({"msg": "process_starts"}) == []


def test_match_and_capabilities():
    adapter, endpoint = SSEv0(), Endpoint(name="/f", fn_index=0)
    assert adapter.match(app(), endpoint).score == 100
    assert adapter.match(app(protocol="sse_v1"), endpoint).score == 0
    assert adapter.match(app("3.50.2", None), endpoint).score == 0
    assert adapter.capabilities(app()).event_data
    assert not adapter.capabilities(app()).late_attach


def test_a_number_that_names_the_call_goes_back_as_one() -> None:
    play = Play()
    play.start()
    (data,) = play.say({**SEND_DATA, "event_id": 7})
    assert json.loads(data.request.body)["event_id"] == 7
    assert play.exchange.event_id == "7"
