# SPDX-License-Identifier: Apache-2.0
"""Direct HTTP of every generation: paths, bodies, errors, and generators that are asked for each value."""

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
    InvalidPayload,
    MalformedMessage,
    Phase,
    ServerRefused,
    StreamLost,
    TimeoutExpired,
    UnsupportedProtocol,
)
from gradio_transport.events import UNKNOWN_OUTPUT, Achieved
from gradio_transport.protocol.commands import Response
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_http.direct import Direct

STATE = (Component(1, "textbox"), Component(2, "state", skipped=True))


def app(version, *, enable_queue=True, prefix="") -> AppConfig:
    return AppConfig(
        version=version, release=parse_release(version), enable_queue=enable_queue, api_prefix=prefix
    )


class Play:
    """One session and the calls in it, driven by hand."""

    def __init__(self, version="6.31.0", prefix="") -> None:
        config = app(version, prefix=prefix)
        context = SessionContext(
            config=config, urls=AppURLs("http://app", prefix), session_hash="hash", strict=True
        )
        self.session = Direct().session(context)
        self.events: list = []

    def took(self, turn):
        self.events += [delivery.event for delivery in turn.deliveries]
        return turn.commands

    def start(self, data=("x",), event_data=None, trigger_id=None, **endpoint):
        endpoint = Endpoint(**{"name": "/f", "fn_index": 3} | endpoint)
        invocation = Invocation(
            endpoint=endpoint, data=list(data), event_data=event_data, trigger_id=trigger_id
        )
        self.exchange = self.session.open(invocation)
        (self.command,) = self.took(self.session.start(self.exchange, 0.0))
        return self.command.request

    @property
    def body(self):
        return json.loads(self.command.request.body)

    def reply(self, value, status=200):
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        return self.took(self.session.reply(self.command, Response(status, body=body), 1.0))

    @property
    def kinds(self):
        return [type(event).__name__ for event in self.events]

    @property
    def error(self):
        return self.events[-1].error


@pytest.mark.parametrize(
    ("version", "name", "path"),
    [
        ("2.0.0", "/predict", "api/predict/"),
        ("2.9.4", "/predict", "api/predict/"),
        ("3.0.2", "/f", "api/predict/"),
        ("3.0.12", "/f", "api/predict/"),
        ("3.0.13", "/f", "api/f"),
        ("3.8.2", "/f", "api/f"),
        ("3.9", "/f", "run/f"),
        ("6.31.0", "/f", "run/f"),
        ("6.31.0", None, "run/predict"),
        ("6.31.0", "/a/b", "run/predict"),
        ("6.31.0", "/a b?#%", "run/a%20b%3F%23%25"),
    ],
)
def test_paths(version, name, path):
    assert Play(version).start(name=name).url == f"http://app/{path}"


def test_from_5_0_on_the_prefix_is_part_of_it():
    assert Play("5.0.0", "/gradio_api").start().url == "http://app/gradio_api/run/f"


@pytest.mark.parametrize(
    ("version", "generator", "body"),
    [
        ("2.3.6", False, {"data": ["x"]}),
        ("2.9.4", False, {"data": ["x"], "session_hash": "hash"}),
        ("3.0.2", None, {"data": ["x"], "session_hash": "hash", "fn_index": 3}),
        ("3.1.7", None, {"data": ["x"], "session_hash": "hash", "fn_index": 3}),
        ("3.16.2", None, {"data": ["x"], "session_hash": "hash-1", "fn_index": 3}),
        ("3.50.2", False, {"data": ["x"], "session_hash": "hash", "fn_index": 3}),
        ("4.1.0", False, {"data": ["x"], "session_hash": "hash", "fn_index": 3, "event_id": "hash-1"}),
        ("4.44.1", True, {"data": ["x"], "session_hash": "hash", "fn_index": 3, "event_id": "hash-1"}),
        ("4.44.1", False, {"data": ["x"], "session_hash": "hash", "fn_index": 3}),
        ("6.27.0", True, {"data": ["x"], "session_hash": "hash", "fn_index": 3}),
    ],
)
def test_bodies(version, generator, body):
    play = Play(version)
    play.start(generator=generator)
    assert play.body == body


def test_what_a_browser_would_add():
    play = Play("4.3.0")
    play.start(event_data={"index": 0}, trigger_id=7)
    assert (play.body["event_data"], play.body["trigger_id"]) == ({"index": 0}, 7)
    play = Play("4.2.0")
    play.start(trigger_id=7)
    assert "trigger_id" not in play.body


@pytest.mark.parametrize(
    "reply",
    [
        {"data": ["y"], "durations": [0.5], "avg_durations": [0.5], "flag_index": None},
        {"data": ["y"], "duration": 0.5, "average_duration": 0.5},
        {"data": ["y"], "is_generating": False, "duration": 0.5, "average_duration": 0.5},
        {"data": ["y"], "is_generating": None, "changed_state_ids": [], "used_cache": None},
    ],
)
def test_replies_of_each_generation(reply):
    play = Play("2.9.4")
    play.start()
    assert play.reply(reply) == []
    assert play.kinds == ["ProcessCompleted"]
    assert play.events[0].data == ["y"]
    assert play.events[0].raw == reply


def test_skipped_outputs_are_left_out():
    play = Play("3.50.2")
    play.start(inputs=STATE, outputs=STATE, data=["x", None])
    play.reply({"data": ["y", None]})
    assert play.events[0].data == ["y"]


class TestErrors:
    @pytest.mark.parametrize(
        ("version", "body", "message"),
        [
            ("2.9.4", b'{"error":"boom"}', "boom"),
            ("3.16.2", b'{"error":"\'boom\'"}', "boom"),
            ("6.31.0", b'{"error":"\'kept\'","visible":true}', "'kept'"),
        ],
    )
    def test_of_the_app(self, version, body, message):
        play = Play(version)
        play.start()
        play.reply(body, 500)
        assert play.kinds == ["ProcessCompleted"]
        assert isinstance(play.error, AppError)
        assert (play.error.message, play.error.status) == (message, 500)

    @pytest.mark.parametrize(
        ("version", "body"),
        [
            ("2.3.6", b"<h1>Server Error</h1>"),
            ("3.1.4", b"Internal Server Error"),
            ("3.16.2", b'{"error":null}'),
        ],
    )
    def test_hidden_by_the_app(self, version, body):
        play = Play(version)
        play.start()
        play.reply(body, 500)
        assert isinstance(play.error, AppError)
        assert play.error.hidden

    def test_of_the_server(self):
        play = Play("6.31.0")
        play.start()
        play.reply(b"Traceback (most recent call last): ...", 500)
        assert isinstance(play.error, ServerRefused)
        assert play.error.may_have_run

    @pytest.mark.parametrize(
        ("version", "status", "body"),
        [
            ("3.16.2", 401, b'{"detail":"Not authorized to skip the queue"}'),
            ("3.50.2", 404, b'{"detail":"Not Found"}'),
            ("6.31.0", 404, b'{"detail":"This API endpoint does not accept direct HTTP POST requests."}'),
        ],
    )
    def test_queue_only(self, version, status, body):
        play = Play(version)
        play.start()
        play.reply(body, status)
        assert type(play.error) is ServerRefused
        assert "does not accept direct calls" in play.error.message
        assert not play.error.may_have_run

    @pytest.mark.parametrize(
        ("version", "status", "body", "kind"),
        [
            ("3.16.2", 401, b'{"detail":"Not authenticated"}', AuthenticationRequired),
            ("3.16.2", 404, b'{"detail":"Not Found"}', EndpointNotFound),
            ("3.16.2", 422, b'{"detail":[{"loc":["body","data"],"msg":"none"}]}', InvalidPayload),
            ("2.7.0", 307, b"", Exception),
        ],
    )
    def test_other_refusals(self, version, status, body, kind):
        play = Play(version)
        play.start()
        play.reply(body, status)
        assert isinstance(play.error, kind)
        assert not play.error.may_have_run

    @pytest.mark.parametrize("body", [b"<html>", b"[1]", b"null", b"\xff", b'{"data":1}', b"{}"])
    def test_nonsense(self, body):
        play = Play("6.31.0")
        play.start()
        play.reply(body)
        assert isinstance(play.error, MalformedMessage)
        assert play.error.may_have_run

    @pytest.mark.parametrize(
        ("error", "may_have_run"), [(StreamLost("gone"), True), (ConnectError("refused"), False)]
    )
    def test_no_answer(self, error, may_have_run):
        play = Play("6.31.0")
        play.start()
        play.took(play.session.failed(play.command, error, 1.0))
        assert play.kinds == ["Failed"]
        assert play.error.may_have_run is may_have_run

    def test_no_connection_in_the_middle_of_a_generator(self):
        play = Play("3.50.2")
        play.start(generator=True)
        play.reply(frame("0"))
        play.took(play.session.failed(play.command, ConnectError("refused"), 1.0))
        assert play.error.may_have_run

    def test_no_time_left(self):
        play = Play("6.31.0")
        play.start()
        play.took(play.session.abandon(play.exchange, TimeoutExpired("over")))
        assert play.error.may_have_run


def frame(*data, generating=True):
    return {"data": list(data), "is_generating": generating, "duration": 0.1}


class TestGenerators:
    @pytest.mark.parametrize("version", ["3.3", "3.16.2", "3.50.2", "4.0.2", "4.16.0"])
    def test_up_to_4_16_the_last_reply_holds_placeholders(self, version):
        play = Play(version)
        play.start(generator=True)
        first = play.command
        assert play.reply(frame("0")) == [first]  # the same request asks for the next yield
        assert play.reply(frame("0 1")) == [first]
        assert play.reply(frame(None, generating=False)) == []
        assert play.kinds == ["ProcessGenerating", "ProcessGenerating", "ProcessCompleted"]
        assert [event.data for event in play.events] == [["0"], ["0 1"], ["0 1"]]
        assert play.exchange.deviations == []

    def test_from_4_17_on_later_frames_are_edits_and_the_last_is_full(self):
        play = Play("4.44.1")
        play.start(generator=True)
        play.reply(frame("0"))
        play.reply(frame([["append", [], " 1"]]))
        play.reply(frame([["bogus", [], " 1"]]))
        play.reply(frame("0 1 2", generating=False))
        assert [event.data for event in play.events] == [["0"], ["0 1"], [UNKNOWN_OUTPUT], ["0 1 2"]]

    def test_a_generator_that_yields_nothing(self):
        play = Play("3.50.2")
        play.start(generator=True)
        play.reply(frame(None, generating=False))
        assert play.events[0].data == [None]

    def test_that_is_found_out_where_the_config_does_not_say_so(self):
        play = Play("3.16.2")
        play.start(generator=None)
        assert play.reply(frame("0")) == [play.command]

    def test_an_error_in_the_middle(self):
        play = Play("3.16.2")
        play.start(generator=True)
        play.reply(frame("0"))
        assert play.reply({"error": "late"}, 500) == []
        assert play.kinds == ["ProcessGenerating", "ProcessCompleted"]
        assert isinstance(play.error, AppError)

    def test_from_6_27_on_there_is_no_second_value(self):
        play = Play("6.27.0")
        play.start(generator=None)
        assert play.reply(frame("0")) == []
        assert play.kinds == ["ProcessCompleted"]

    def test_runs_have_iterators_of_their_own(self):
        play = Play("3.16.2")
        hashes = []
        for _ in range(2):
            play.start(generator=True)
            hashes.append(play.body["session_hash"])
        assert hashes == ["hash-1", "hash-2"]

    def test_but_state_needs_the_session(self):
        play = Play("3.16.2")
        play.start(generator=True, inputs=STATE)
        assert play.body["session_hash"] == "hash"


class TestCancel:
    def cancelled(self, play):
        commands = play.took(play.session.cancel(play.exchange, 2.0))
        return play.events[-1].achieved, commands

    def test_a_plain_call_runs_on(self):
        play = Play("3.50.2")
        play.start(generator=False)
        assert self.cancelled(play) == (Achieved.RUNS_ON, [])

    @pytest.mark.parametrize("version", ["3.4.1", "4.0.2", "4.44.1"])
    def test_a_generator_is_asked_no_more(self, version):
        play = Play(version)
        play.start(generator=True)
        play.reply(frame("0"))
        assert self.cancelled(play) == (Achieved.STOPPING, [])
        assert play.reply(frame("0 1")) == []

    def test_from_3_6_to_3_50_its_iterator_is_dropped(self):
        play = Play("3.16.2")
        play.start(generator=None)
        play.reply(frame("0"))
        achieved, (reset,) = self.cancelled(play)
        assert achieved is Achieved.STOPPING
        assert reset.phase is Phase.CANCEL
        assert reset.request.url == "http://app/reset"
        assert json.loads(reset.request.body) == {"session_hash": "hash-1", "fn_index": 3}
        assert play.took(play.session.reply(reset, Response(200, body=b"{}"), 3.0)) == []

    def test_not_under_a_sibling_that_needs_it(self):
        play = Play("3.16.2")
        play.start(generator=True, inputs=STATE)
        play.start(generator=True, inputs=STATE)
        assert self.cancelled(play) == (Achieved.STOPPING, [])


class TestMatch:
    @pytest.mark.parametrize(
        ("version", "queue", "generator", "enabled", "score"),
        [
            ("2.0.0", False, False, False, 120),
            ("2.9.4", True, False, True, 10),
            ("3.1.4", False, None, False, 120),
            ("3.16.2", True, None, True, 10),
            ("3.50.2", False, False, True, 120),
            ("3.50.2", False, True, True, 120),
            ("3.50.2", False, True, False, 50),
            ("4.8.0", False, False, True, 120),
            ("4.44.1", False, True, True, 20),
            ("6.31.0", False, True, True, 5),
            ("6.31.0", True, True, True, 10),
        ],
    )
    def test_scores(self, version, queue, generator, enabled, score):
        endpoint = Endpoint(name="/f", fn_index=0, queue=queue, generator=generator)
        match = Direct().match(app(version, enable_queue=enabled), endpoint)
        assert match.score == score
        assert match.reason

    def test_the_reason_tells_of_the_state_of_2_x(self):
        endpoint = Endpoint(name="/predict", fn_index=0, queue=True, inputs=STATE)
        assert "state" in Direct().match(app("2.9.4"), endpoint).reason

    @pytest.mark.parametrize(
        ("version", "enabled", "refused"),
        [
            ("3.50.2", True, False),
            ("3.50.2", False, True),
            ("4.44.1", True, False),
            ("6.26.0", True, False),
            ("6.27.0", True, True),
            ("3.2", True, True),
        ],
    )
    def test_check_refuses_generators_where_they_cannot_be_had(self, version, enabled, refused):
        endpoint = Endpoint(name="/f", fn_index=0, generator=True)
        invocation = Invocation(endpoint=endpoint, data=[])
        config = app(version, enable_queue=enabled)
        if not refused:
            Direct().check(config, invocation)
            return
        with pytest.raises(UnsupportedProtocol, match="generator"):
            Direct().check(config, invocation)

    def test_check_takes_plain_functions(self):
        endpoint = Endpoint(name="/f", fn_index=0, generator=False)
        Direct().check(app("6.31.0"), Invocation(endpoint=endpoint, data=[]))

    def test_check_refuses_event_data_before_3_21(self):
        invocation = Invocation(endpoint=Endpoint(name="/f", fn_index=0), data=[], event_data=1)
        with pytest.raises(UnsupportedProtocol, match="event_data"):
            Direct().check(app("3.20"), invocation)

    def test_capabilities(self):
        assert not Direct().capabilities(app("2.9.4")).generators
        assert Direct().capabilities(app("3.50.2")).generators
        assert Direct().capabilities(app("4.44.1")).diffs
        assert not Direct().capabilities(app("6.31.0")).generators
