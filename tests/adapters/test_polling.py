# SPDX-License-Identifier: Apache-2.0
"""The polling queue of 2.2.10 to 3.1.4: a push, polls, and a result that can be read once."""

from __future__ import annotations

import json

import pytest

from gradio_transport.adapter.exchange import Invocation, SessionContext
from gradio_transport.app.config import AppConfig, Component, Endpoint
from gradio_transport.app.config_parsing import parse_release
from gradio_transport.errors import (
    AppError,
    AuthenticationRequired,
    InvalidPayload,
    MalformedMessage,
    Phase,
    ServerRefused,
    StreamLost,
    UnsupportedProtocol,
)
from gradio_transport.events import Achieved
from gradio_transport.protocol.commands import Response, SendRequest, WakeAt
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_http.polling import FIRST_POLL_SECONDS, POLL_SECONDS, Polling

STATE = (Component(0, "textbox"), Component(1, "state", skipped=True))


def app(version, *, enable_queue=True) -> AppConfig:
    return AppConfig(version=version, release=parse_release(version), enable_queue=enable_queue)


class Play:
    """One session and a call in it, driven by hand."""

    def __init__(self, version="3.1.4") -> None:
        context = SessionContext(
            config=app(version), urls=AppURLs("http://app"), session_hash="hash", strict=True
        )
        self.session = Polling().session(context)
        self.events: list = []
        endpoint = Endpoint(name="/f", fn_index=3)
        self.exchange = self.session.open(Invocation(endpoint=endpoint, data=["x"]))
        (self.command,) = self.took(self.session.start(self.exchange, 0.0))

    def took(self, turn):
        self.events += [delivery.event for delivery in turn.deliveries]
        return turn.commands

    def reply(self, value, status=200, now=10.0):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.took(self.session.reply(self.command, Response(status, body=body), now))

    def pushed(self, position=0):
        return self.reply({"hash": "h1", "queue_position": position})

    def poll(self, value=None, status=200, now=10.0):
        (self.command,) = self.took(self.session.wake("1.poll", now))
        return self.reply(value, status, now)

    @property
    def kinds(self):
        return [type(event).__name__ for event in self.events]

    @property
    def error(self):
        return self.events[-1].error


@pytest.mark.parametrize(
    ("version", "body"),
    [
        ("2.9.4", {"action": "predict", "data": ["x"]}),
        ("3.1.4", {"action": "predict", "data": ["x"], "fn_index": 3, "session_hash": "hash"}),
    ],
)
def test_pushes(version, body):
    play = Play(version)
    assert play.command.request.url == "http://app/api/queue/push/"
    assert play.command.phase is Phase.JOIN
    assert not play.command.idempotent
    assert json.loads(play.command.request.body) == body


def test_a_call():
    play = Play()
    assert play.pushed(2) == [WakeAt("1.poll", 10.0 + FIRST_POLL_SECONDS)]
    assert play.poll({"status": "QUEUED", "data": 2}) == [WakeAt("1.poll", 10.0 + POLL_SECONDS)]
    assert play.command.request.url == "http://app/api/queue/status/"
    assert json.loads(play.command.request.body) == {"hash": "h1"}
    assert play.command.idempotent
    play.poll({"status": "QUEUED", "data": 1})
    assert play.poll({"status": "NOT FOUND", "data": None}) == [WakeAt("1.poll", 11.0)]
    play.poll({"status": "PENDING", "data": None})
    play.poll({"status": "PENDING", "data": None})
    assert play.poll({"status": "COMPLETE", "data": {"data": ["y"], "durations": [0.5]}}) == []
    assert play.kinds == ["Joined", "Estimation", "Estimation", "ProcessStarts", "ProcessCompleted"]
    assert [event.rank for event in play.events[1:3]] == [2, 1]
    assert play.events[-1].data == ["y"]
    assert play.exchange.deviations == []
    assert play.took(play.session.wake("1.poll", 99.0)) == []


def test_an_idle_queue_of_2_3_counts_from_minus_one():
    play = Play("2.3.6")
    play.pushed(-1)
    assert play.events[-1].rank == 0


@pytest.mark.parametrize("position", [None, True, "1"])
def test_no_position_is_no_estimation(position):
    play = Play()
    play.pushed(position)
    assert play.kinds == ["Joined"]


class TestErrors:
    @pytest.mark.parametrize(
        ("version", "data", "kind", "message"),
        [
            ("2.9.4", '{"error":"boom"}', AppError, "boom"),
            ("2.9.4", "Internal Server Error", AppError, "hides"),
            ("2.3.6", "<h1>500</h1>", AppError, "hides"),
            ("3.1.4", '{"error":"\'kept\'"}', AppError, "'kept'"),
        ],
    )
    def test_failed(self, version, data, kind, message):
        play = Play(version)
        play.pushed()
        assert play.poll({"status": "FAILED", "data": data}) == []
        assert play.kinds[-1] == "ProcessCompleted"
        assert isinstance(play.error, kind)
        assert message in play.error.message

    def test_failed_on_a_server_that_ought_not_to_poll(self):
        play = Play("3.16.2")
        play.pushed()
        play.poll({"status": "FAILED", "data": "Internal Server Error"})
        assert isinstance(play.error, ServerRefused)
        assert play.error.may_have_run

    @pytest.mark.parametrize(
        "reply",
        [
            {"status": "COMPLETE", "data": None},
            {"status": "FAILED", "data": None},
            {"status": "ODD", "data": 1},
            {},
            [],
            b"<html>",
        ],
    )
    def test_nonsense(self, reply):
        play = Play()
        play.pushed()
        assert play.poll(reply) == []
        assert isinstance(play.error, MalformedMessage)
        assert play.error.may_have_run

    def test_a_result_without_outputs(self):
        play = Play()
        play.pushed()
        play.poll({"status": "COMPLETE", "data": {}})
        assert isinstance(play.error, MalformedMessage)

    @pytest.mark.parametrize("reply", [{}, {"hash": ""}, {"hash": 1}, b"no json"])
    def test_a_push_without_a_hash(self, reply):
        play = Play()
        assert play.reply(reply) == []
        assert isinstance(play.error, MalformedMessage)

    @pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationRequired), (422, InvalidPayload)])
    def test_a_refused_push(self, status, kind):
        play = Play()
        play.reply(b"{}", status)
        assert isinstance(play.error, kind)
        assert not play.error.may_have_run

    def test_a_hash_that_is_forgotten(self):
        play = Play()
        play.pushed()
        play.poll(b"Internal Server Error", 500)
        assert isinstance(play.error, ServerRefused)
        assert "read only once" in play.error.message
        assert play.error.may_have_run

    def test_a_few_polls_may_get_lost(self):
        play = Play()
        play.pushed()
        for _ in range(3):
            (command,) = play.took(play.session.wake("1.poll", 20.0))
            assert play.took(play.session.failed(command, StreamLost("reset"), 20.0)) == [
                WakeAt("1.poll", 21.0)
            ]
        play.poll({"status": "PENDING", "data": None})
        assert play.kinds[-1] == "ProcessStarts"

    def test_but_not_one_after_the_other(self):
        play = Play()
        play.pushed()
        for _ in range(4):
            (command,) = play.took(play.session.wake("1.poll", 20.0))
            last = play.took(play.session.failed(command, StreamLost("reset"), 20.0))
        assert last == []
        assert isinstance(play.error, StreamLost)
        assert play.error.may_have_run

    def test_a_push_is_never_repeated(self):
        play = Play()
        assert isinstance(play.command, SendRequest)
        play.took(play.session.failed(play.command, StreamLost("reset"), 1.0))
        assert play.kinds == ["Failed"]


@pytest.mark.parametrize(("pushed", "achieved"), [(False, Achieved.NOT_STARTED), (True, Achieved.RUNS_ON)])
def test_cancelling_is_only_giving_up(pushed, achieved):
    play = Play()
    if pushed:
        play.pushed()
    assert play.took(play.session.cancel(play.exchange, 2.0)) == []
    assert play.events[-1].achieved is achieved
    assert play.took(play.session.wake("1.poll", 3.0)) == []


@pytest.mark.parametrize(
    ("version", "queue", "score"),
    [
        ("2.2.8", True, 0),
        ("2.2.10", True, 100),
        ("2.9.4", True, 100),
        ("2.9.4", False, 0),
        ("3.1.4", True, 100),
        ("3.1.5", True, 0),
    ],
)
def test_match(version, queue, score):
    endpoint = Endpoint(name="/f", fn_index=0, queue=queue)
    assert Polling().match(app(version), endpoint).score == score


@pytest.mark.parametrize(("version", "says"), [("2.3.6", "is lost"), ("2.9.4", "one for all callers")])
def test_the_reason_tells_what_becomes_of_state(version, says):
    endpoint = Endpoint(name="/predict", fn_index=0, inputs=STATE)
    assert says in Polling().match(app(version), endpoint).reason
    assert says not in Polling().match(app("3.1.4"), endpoint).reason


def test_check_refuses_an_app_without_queue():
    invocation = Invocation(endpoint=Endpoint(name="/f", fn_index=0, queue=False), data=[])
    Polling().check(app("3.1.4"), invocation)
    with pytest.raises(UnsupportedProtocol, match="queue of this app is off"):
        Polling().check(app("3.1.4", enable_queue=False), invocation)


def test_capabilities():
    can = Polling().capabilities(app("3.1.4"))
    assert can.queue_position
    assert not can.generators
