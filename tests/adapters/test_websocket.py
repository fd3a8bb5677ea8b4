# SPDX-License-Identifier: Apache-2.0
"""The websocket of 3.1.5 to 3.50: who speaks first, what ends a call, and generators that share iterators."""

from __future__ import annotations

import json

import pytest

from gradio_transport.adapter.exchange import Invocation, SessionContext
from gradio_transport.app.config import AppConfig, Component, Endpoint
from gradio_transport.app.config_parsing import parse_release
from gradio_transport.errors import (
    AppError,
    AuthenticationRequired,
    EndpointNotFound,
    InvalidPayload,
    MalformedMessage,
    QueueFull,
    ServerRefused,
    StreamLost,
    TimeoutExpired,
    UnsupportedProtocol,
)
from gradio_transport.events import Achieved
from gradio_transport.protocol.commands import (
    Closed,
    DropWebSocket,
    Ending,
    OpenWebSocket,
    Response,
    SendRequest,
    SendText,
    WakeAt,
)
from gradio_transport.protocol.flow import State
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_websocket.websocket import WebSocketQueue

ESTIMATION = {"msg": "estimation", "rank": 0, "queue_size": 1, "rank_eta": None}
STATE = (Component(1, "textbox"), Component(2, "state", skipped=True))


def app(version: str, **more: object) -> AppConfig:
    release = parse_release(version) or more.pop("release", (3, 0))
    return AppConfig(version=version.strip(), release=release, enable_queue=True, **more)


def done(*data: object, generating: bool = False) -> dict:
    return {
        "msg": "process_completed",
        "output": {"data": list(data), "is_generating": generating},
        "success": True,
    }


class Play:
    """One session and the calls in it, driven by hand."""

    def __init__(self, version: str, *, strict: bool = True, **more: object) -> None:
        self.adapter = WebSocketQueue()
        context = SessionContext(
            config=app(version, **more), urls=AppURLs("http://app/sub"), session_hash="hash", strict=strict
        )
        self.session = self.adapter.session(context)
        self.exchange = None
        self.events: list = []
        self.commands: list = []

    def took(self, turn):
        self.events += [delivery.event for delivery in turn.deliveries]
        self.commands += turn.commands
        return turn

    def start(self, data=("x",), event_data=None, **endpoint):
        endpoint = Endpoint(**{"name": "/f", "fn_index": 3} | endpoint)
        invocation = Invocation(endpoint=endpoint, data=list(data), event_data=event_data)
        self.exchange = self.session.open(invocation)
        return self.took(self.session.start(self.exchange, 0.0)).commands

    def opened(self, now=0.0):
        return self.took(self.session.websocket_opened(self.channel, now)).commands

    @property
    def channel(self):
        return f"{self.exchange.key}.socket"

    def say(self, *messages):
        commands = []
        for message in messages:
            text = message if isinstance(message, str) else json.dumps(message)
            commands += self.took(self.session.text_received(self.channel, text, 1.0)).commands
        return commands

    def running(self, **endpoint):
        """Bring a call of 3.6+ to where its function runs."""
        self.start(**endpoint)
        self.opened()
        self.say({"msg": "send_hash"}, ESTIMATION, {"msg": "send_data"}, {"msg": "process_starts"})

    @property
    def kinds(self):
        return [type(event).__name__ for event in self.events]

    @property
    def error(self):
        return self.events[-1].error


def sent(commands):
    return [json.loads(command.text) for command in commands if isinstance(command, SendText)]


class TestDialects:
    @pytest.mark.parametrize("version", ["3.1.5", "3.1.7\n"])
    def test_up_to_3_1_7_the_client_speaks_first(self, version):
        play = Play(version)
        assert play.start() == [OpenWebSocket("1.socket", "ws://app/sub/queue/join")]
        assert sent(play.opened()) == [{"hash": "hash"}]
        assert play.say(ESTIMATION) == []
        assert sent(play.say({"msg": "send_data"})) == [
            {"data": ["x"], "fn_index": 3, "session_hash": "hash"}
        ]
        assert play.say({"msg": "process_starts"}, done("y")) == [DropWebSocket("1.socket")]
        assert play.kinds == ["Joined", "Estimation", "SendData", "ProcessStarts", "ProcessCompleted"]
        assert play.exchange.deviations == []

    @pytest.mark.parametrize("version", ["3.2", "3.3", "3.4.1", "3.5"])
    def test_from_3_2_to_3_5_the_client_says_nothing_before_it_is_asked(self, version):
        play = Play(version)
        play.start()
        assert play.opened() == []
        assert play.say(ESTIMATION) == []
        assert len(sent(play.say({"msg": "send_data"}))) == 1

    @pytest.mark.parametrize("version", ["3.6", "3.16.2\n", "3.50.2"])
    def test_from_3_6_on_the_server_asks_for_the_hash(self, version):
        play = Play(version)
        play.start()
        assert play.opened() == []
        assert sent(play.say({"msg": "send_hash"})) == [{"session_hash": "hash", "fn_index": 3}]
        assert play.kinds == ["SendHash", "Joined"]
        play.say(ESTIMATION, {"msg": "send_data"})
        assert play.exchange.deviations == []

    def test_an_unknown_version_is_given_time_to_speak(self):
        play = Play("", release=(3, 1, 5))
        play.start()
        assert play.opened(10.0) == [WakeAt("1.socket", 11.5)]
        assert sent(play.took(play.session.wake("1.socket", 11.5)).commands) == [{"hash": "hash"}]

    def test_a_server_of_unknown_version_that_has_spoken_is_not_spoken_to(self):
        play = Play("main-abc", release=(3, 1, 5))
        play.start()
        play.opened()
        assert sent(play.say({"msg": "send_hash"})) == [{"session_hash": "hash", "fn_index": 3}]
        assert play.took(play.session.wake("1.socket", 11.5)).commands == []

    def test_signs_of_the_config_spare_the_wait(self):
        play = Play("", release=(3, 6))
        play.start()
        assert play.opened() == []

    def test_a_server_that_asks_for_the_hash_late_gets_it_all_the_same(self):
        play = Play("3.4.1", strict=False)
        play.start()
        play.opened()
        assert len(sent(play.say({"msg": "send_hash"}))) == 1
        assert play.exchange.deviations == ["SendHash in state queued"]

    def test_a_socket_of_an_ended_call_opens_to_nobody(self):
        play = Play("3.1.7")
        play.start()
        play.session.cancel(play.exchange, 0.0)
        assert play.opened() == []


class TestMessages:
    def test_data_may_be_asked_for_before_anything_else(self):
        play = Play("3.4.1")
        play.start()
        play.say({"msg": "send_data"}, ESTIMATION, {"msg": "process_starts"}, done(1))
        assert play.events[-1].data == [1]

    def test_a_generator_ends_though_it_says_that_it_is_generating(self):
        play = Play("3.16.2")
        play.running()
        frame = {"msg": "process_generating", "output": {"data": ["0"], "is_generating": True}}
        commands = play.say(frame, done("0", generating=True))
        assert play.kinds[-2:] == ["ProcessGenerating", "ProcessCompleted"]
        assert commands == [DropWebSocket("1.socket")]

    def test_everything_else_passes(self):
        play = Play("3.50.2")
        play.running()
        progress = {"msg": "progress", "progress_data": [{"index": 1, "length": 2}]}
        play.say(progress, {"msg": "log", "log": "hi", "level": "info"}, {"msg": "alive?"}, {"msg": "new"})
        assert play.kinds[-4:] == ["Progress", "Log", "Heartbeat", "UnknownMessage"]

    def test_nan_is_taken(self):
        play = Play("3.16.2")
        play.running()
        play.say('{"msg":"process_completed","output":{"data":[NaN, Infinity]},"success":true}')
        assert play.events[-1].data[1] == float("inf")

    def test_event_data_go_with_the_data(self):
        play = Play("3.50.2")
        play.start(event_data={"index": 1})
        play.say({"msg": "send_hash"}, ESTIMATION)
        assert sent(play.say({"msg": "send_data"}))[0]["event_data"] == {"index": 1}

    def test_skipped_slots_are_sent_and_left_out_of_the_result(self):
        play = Play("3.50.2")
        play.running(data=("x", None), inputs=STATE, outputs=STATE)
        assert sent(play.commands)[-1]["data"] == ["x", None]
        play.say(done("y", None))
        assert play.events[-1].data == ["y"]

    @pytest.mark.parametrize(
        ("version", "output", "text"),
        [
            ("3.1.5", {"error": "boom"}, "boom"),  # no success flag yet
            ("3.50.2", {"error": "'quoted'"}, "quoted"),
            ("3.1.5", {"error": "'kept'"}, "'kept'"),
        ],
    )
    def test_errors_of_the_app(self, version, output, text):
        play = Play(version, strict=False)
        play.start()
        play.say({"msg": "send_data"}, {"msg": "process_completed", "output": output})
        assert isinstance(play.error, AppError)
        assert play.error.message == text

    def test_a_stale_login_is_named(self):
        play = Play("3.16.2")
        play.running()
        refused = {"detail": "Not authenticated"}
        play.say({"msg": "process_completed", "output": refused, "success": False})
        assert isinstance(play.error, AuthenticationRequired)

    def test_any_other_refusal_of_the_inner_call_too(self):
        play = Play("3.16.2")
        play.running()
        play.say({"msg": "process_completed", "output": {"detail": [{"loc": 1}]}, "success": False})
        assert isinstance(play.error, ServerRefused)

    @pytest.mark.parametrize("text", ["no json", "[1]", "null", '{"a":' * 5000])
    def test_what_cannot_be_read_ends_the_call(self, text):
        play = Play("3.16.2")
        play.running()
        assert play.say(text) == [DropWebSocket("1.socket")]
        assert isinstance(play.error, MalformedMessage)
        assert play.error.may_have_run

    def test_messages_after_the_end_are_dropped(self):
        play = Play("3.16.2")
        play.running()
        play.say(done(1), done(2), ESTIMATION)
        assert play.kinds.count("ProcessCompleted") == 1


class TestRefusals:
    def test_a_full_queue_is_told_and_explained(self):
        play = Play("3.16.2")
        play.start()
        assert play.say({"msg": "send_hash"}, {"msg": "queue_full"})[-1] == DropWebSocket("1.socket")
        assert play.kinds[-2:] == ["QueueFullMessage", "Failed"]
        assert isinstance(play.error, QueueFull)
        assert play.error.retryable
        assert not play.error.may_have_run

    @pytest.mark.parametrize(
        ("status", "kind"),
        [(403, AuthenticationRequired), (500, ServerRefused), (404, EndpointNotFound), (502, ServerRefused)],
    )
    def test_handshakes(self, status, kind):
        play = Play("3.16.2")
        (command,) = play.start()
        assert play.took(play.session.reply(command, Response(status), 0.0)).commands == []
        assert isinstance(play.error, kind)
        assert play.error.status == status
        assert not play.error.may_have_run

    def test_a_handshake_without_answer(self):
        play = Play("3.16.2")
        (command,) = play.start()
        error = StreamLost("gone")
        play.took(play.session.failed(command, error, 0.0))
        assert play.error is error
        assert not error.may_have_run

    def test_data_beyond_the_frame_limit_of_old_servers(self):
        play = Play("3.6")
        play.start(data=["x" * (16 * 1024 * 1024)])
        assert sent(play.say({"msg": "send_hash"}, ESTIMATION, {"msg": "send_data"})) == [
            {"session_hash": "hash", "fn_index": 3}
        ]
        assert isinstance(play.error, InvalidPayload)
        assert not play.error.may_have_run

    def test_later_servers_take_them(self):
        play = Play("3.11.0")
        play.start(data=["x" * (16 * 1024 * 1024)])
        assert len(play.say({"msg": "send_hash"}, ESTIMATION, {"msg": "send_data"})) == 2

    def test_check_refuses_an_app_without_queue(self):
        config = AppConfig(version="3.16.2", release=(3, 16, 2))
        endpoint = Endpoint(name="/f", fn_index=0, queue=False)
        with pytest.raises(UnsupportedProtocol, match="queue of this app is off"):
            WebSocketQueue().check(config, Invocation(endpoint=endpoint, data=[]))

    def test_check_refuses_event_data_before_3_21(self):
        invocation = Invocation(endpoint=Endpoint(name="/f", fn_index=0), data=[], event_data={})
        WebSocketQueue().check(app("3.21"), invocation)
        with pytest.raises(UnsupportedProtocol, match="event_data"):
            WebSocketQueue().check(app("3.20"), invocation)


class TestEnds:
    @pytest.mark.parametrize(
        ("closed", "kind"),
        [
            (Closed(Ending.CLEAN, 1000), StreamLost),
            (Closed(Ending.RESET, 1012, "restart"), StreamLost),
            (Closed(Ending.IDLE), TimeoutExpired),
        ],
    )
    def test_a_socket_that_ends_early(self, closed, kind):
        play = Play("3.16.2")
        play.running()
        assert play.took(play.session.closed(play.channel, closed, 2.0)).commands == []
        assert isinstance(play.error, kind)
        assert play.error.may_have_run

    def test_before_the_data_are_sent_nothing_can_have_run(self):
        play = Play("3.16.2")
        play.start()
        play.say({"msg": "send_hash"}, ESTIMATION)
        play.took(play.session.closed(play.channel, Closed(Ending.CLEAN), 2.0))
        assert not play.error.may_have_run
        assert "cancels=" in play.error.message

    def test_the_end_after_the_completion_is_nobody_s_business(self):
        play = Play("3.16.2")
        play.running()
        play.say(done(1))
        assert play.session.closed(play.channel, Closed(Ending.CLEAN, 1000), 2.0).deliveries == []


class TestCancel:
    def cancelled(self, play):
        turn = play.took(play.session.cancel(play.exchange, 3.0))
        assert turn.commands == [DropWebSocket("1.socket")]  # and no /reset: it would start over
        assert play.exchange.state is State.CANCELLED
        return play.events[-1].achieved

    def test_before_the_server_knows(self):
        play = Play("3.50.2")
        play.start()
        assert self.cancelled(play) is Achieved.NOT_STARTED

    def test_in_the_queue(self):
        play = Play("3.50.2")
        play.start()
        play.say({"msg": "send_hash"}, ESTIMATION)
        assert self.cancelled(play) is Achieved.DEQUEUED

    @pytest.mark.parametrize(
        ("version", "generator", "yielded", "achieved"),
        [
            ("3.50.2", True, False, Achieved.STOPPING),
            ("3.50.2", False, False, Achieved.RUNS_ON),
            ("3.16.2", None, True, Achieved.STOPPING),
            ("3.16.2", None, False, Achieved.UNKNOWN),
            ("3.12", True, True, Achieved.RUNS_ON),
        ],
    )
    def test_while_it_runs(self, version, generator, yielded, achieved):
        play = Play(version)
        play.running(generator=generator)
        if yielded:
            play.say({"msg": "process_generating", "output": {"data": ["0"]}, "success": True})
        assert self.cancelled(play) is achieved

    def test_twice(self):
        play = Play("3.50.2")
        play.running()
        play.session.cancel(play.exchange, 3.0)
        assert play.session.cancel(play.exchange, 3.0).commands == []


class TestSharedIterators:
    def hash_of(self, play):
        return sent(play.say({"msg": "send_hash"}))[0]["session_hash"]

    def test_runs_of_one_generator_at_a_time_keep_the_session(self):
        play = Play("3.16.2")
        for _ in range(2):
            play.start()
            assert self.hash_of(play) == "hash"
            play.say(ESTIMATION, {"msg": "send_data"}, {"msg": "process_starts"}, done(1))

    def test_a_second_run_at_the_same_time_gets_a_hash_of_its_own(self):
        play = Play("3.16.2")
        play.start()
        play.start()
        assert self.hash_of(play) == "hash-2"
        play.say(ESTIMATION)
        assert sent(play.say({"msg": "send_data"}))[0]["session_hash"] == "hash-2"

    def test_so_does_a_run_after_one_that_was_given_up(self):
        play = Play("3.16.2")
        play.running()
        play.session.cancel(play.exchange, 3.0)
        play.start()
        assert self.hash_of(play) == "hash-2"

    def test_but_not_after_one_that_never_had_its_data(self):
        play = Play("3.16.2")
        play.start()
        play.session.cancel(play.exchange, 3.0)
        play.start()
        assert self.hash_of(play) == "hash"

    def test_other_endpoints_and_plain_functions_keep_the_session(self):
        play = Play("3.50.2")
        play.start(fn_index=1)
        play.start(fn_index=2)
        assert self.hash_of(play) == "hash"
        play.start(fn_index=2, generator=False)
        assert self.hash_of(play) == "hash"

    def test_without_generators_there_is_nothing_to_mix(self):
        play = Play("3.1.7")
        play.start()
        play.start()
        assert sent(play.opened()) == [{"hash": "hash"}]

    def test_state_needs_the_session_so_the_old_iterator_is_reset_first(self):
        play = Play("3.16.2")
        play.running(inputs=STATE, data=("x", None))
        play.session.cancel(play.exchange, 3.0)
        (reset,) = play.start(inputs=STATE, data=("x", None))
        assert isinstance(reset, SendRequest)
        assert reset.request.url == "http://app/sub/reset"
        assert json.loads(reset.request.body) == {"session_hash": "hash", "fn_index": 3}
        turn = play.took(play.session.reply(reset, Response(200, body=b'{"success":true}'), 4.0))
        assert turn.commands == [OpenWebSocket("2.socket", "ws://app/sub/queue/join")]
        assert self.hash_of(play) == "hash"

    def test_a_reset_would_make_a_running_sibling_start_over(self):
        play = Play("3.16.2")
        play.running(inputs=STATE)
        play.session.cancel(play.exchange, 3.0)
        play.start(inputs=STATE)
        (command,) = play.start(inputs=STATE)
        assert isinstance(command, OpenWebSocket)

    def test_servers_without_reset_are_not_asked_for_it(self):
        play = Play("3.4.1")
        play.start(inputs=STATE)
        play.say(ESTIMATION, {"msg": "send_data"}, {"msg": "process_starts"})
        play.session.cancel(play.exchange, 3.0)
        assert isinstance(play.start(inputs=STATE)[0], OpenWebSocket)


class TestMatch:
    @pytest.mark.parametrize(
        ("version", "queue", "enabled", "score"),
        [
            ("2.9.4", True, True, 0),
            ("3.1.4", True, True, 0),
            ("3.1.5", True, True, 100),
            ("3.4.1", True, True, 100),
            ("3.50.2", True, True, 100),
            ("3.50.2", False, True, 10),
            ("3.50.2", False, False, 0),
            ("4.0.0", True, True, 0),
        ],
    )
    def test_scores(self, version, queue, enabled, score):
        config = AppConfig(version=version, release=parse_release(version), enable_queue=enabled)
        match = WebSocketQueue().match(config, Endpoint(name="/f", fn_index=0, queue=queue))
        assert match.score == score
        assert match.reason

    @pytest.mark.parametrize(
        ("version", "generators", "progress", "logs", "event_data", "cancel"),
        [
            ("3.1.7", False, False, False, False, Achieved.RUNS_ON),
            ("3.4.1", True, False, False, False, Achieved.RUNS_ON),
            ("3.16.2", True, True, False, False, Achieved.STOPPING),
            ("3.50.2", True, True, True, True, Achieved.STOPPING),
        ],
    )
    def test_capabilities(self, version, generators, progress, logs, event_data, cancel):
        can = WebSocketQueue().capabilities(app(version))
        assert (can.generators, can.progress, can.logs, can.event_data, can.cancel) == (
            generators,
            progress,
            logs,
            event_data,
            cancel,
        )
