# SPDX-License-Identifier: Apache-2.0
"""The multiplexer alone: joins, cancellations and losses in every order."""

from __future__ import annotations

import json
from typing import Any

import attrs
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from properties import tried

from gradio_transport.adapter.exchange import Exchange, Invocation, SessionContext
from gradio_transport.adapter.session import Turn
from gradio_transport.adapter.shared_session import STREAM, SharedStreamSession
from gradio_transport.app.config import AppConfig, Endpoint
from gradio_transport.errors import (
    AuthenticationRequired,
    MalformedMessage,
    Phase,
    SessionNotFound,
    StreamLost,
    TimeoutExpired,
)
from gradio_transport.events import Event, Failed
from gradio_transport.policy import Limits
from gradio_transport.protocol.commands import Closed, DropStream, Ending, OpenStream, Response, SendRequest
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_sse.v3 import SSEv3

CONFIG = AppConfig(version="6.31.0", release=(6, 31, 0), protocol="sse_v3", api_prefix="/gradio_api")
INVOCATION = Invocation(endpoint=Endpoint(name="/x", fn_index=0), data=["x"])
STREAM_HEAD = Response(200, {"content-type": "text/event-stream"})


def session(**limits: int) -> SharedStreamSession:
    context = SessionContext(
        config=CONFIG,
        urls=AppURLs("http://app", "/gradio_api"),
        session_hash="hash",
        limits=Limits(**limits),
    )
    made = SSEv3().session(context)
    assert isinstance(made, SharedStreamSession)
    return made


def joined(event_id: str) -> Response:
    return Response(200, {}, json.dumps({"event_id": event_id}).encode())


def message(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def started(machine: SharedStreamSession) -> tuple[Exchange, SendRequest]:
    exchange = machine.open(INVOCATION)
    (join,) = machine.start(exchange, 0.0).commands
    assert isinstance(join, SendRequest)
    return exchange, join


def test_a_call_cancelled_while_it_joins_is_cancelled_upstream_once_it_has_a_name() -> None:
    machine = session()
    exchange, join = started(machine)
    assert machine.cancel(exchange, 1.0).commands == []
    turn = machine.reply(join, joined("e1"), 2.0)
    assert turn.deliveries == []
    (cancel,) = turn.commands
    assert isinstance(cancel, SendRequest)
    assert cancel.phase is Phase.CANCEL
    assert json.loads(cancel.request.body or b"") == {"event_id": "e1", "fn_index": 0, "session_hash": "hash"}


@pytest.mark.parametrize(("phase", "ran"), [(Phase.LOGIN, False), (Phase.JOIN, True)])
def test_a_join_that_asked_for_a_login_was_not_accepted(phase: Phase, ran: bool) -> None:
    machine = session()
    exchange, join = started(machine)
    error = StreamLost("the login broke", phase=phase)
    machine.failed(join, error, 1.0)
    assert error.may_have_run is ran
    exchange, _ = started(machine)
    refused = AuthenticationRequired("no", phase=phase)
    machine.abandon(exchange, refused)
    assert refused.may_have_run is ran


def test_a_join_that_was_refused_after_the_cancellation_needs_no_cancel() -> None:
    machine = session()
    exchange, join = started(machine)
    machine.cancel(exchange, 1.0)
    assert machine.reply(join, Response(503, {}, b"{}"), 2.0) == Turn()


def test_a_call_that_joins_while_the_stream_is_lost_is_lost_with_it() -> None:
    machine = session()
    _, first = started(machine)
    second, second_join = started(machine)
    machine.reply(first, joined("e1"), 0.0)
    machine.stream_opened(STREAM, STREAM_HEAD, 0.0)
    machine.data_received(STREAM, message(msg="unexpected_error", message="404: Session not found."), 0.0)
    turn = machine.reply(second_join, joined("e2"), 1.0)
    assert [type(one.event).__name__ for one in turn.deliveries] == ["Joined", "Failed"]
    last = turn.deliveries[-1]
    assert last.exchange is second
    assert isinstance(last.event, Failed)
    assert isinstance(last.event.error, SessionNotFound)


def test_delivered_messages_do_not_stay_parked() -> None:
    machine = session()
    _, first = started(machine)
    _, second = started(machine)
    machine.reply(first, joined("e1"), 0.0)
    machine.stream_opened(STREAM, STREAM_HEAD, 0.0)
    machine.data_received(STREAM, message(msg="process_starts", event_id="e2"), 0.0)
    turn = machine.reply(second, joined("e2"), 0.0)
    assert [type(one.event).__name__ for one in turn.deliveries] == ["Joined", "ProcessStarts"]
    assert not machine._parked


def test_one_id_for_two_calls_fails_the_second_and_leaves_the_first_alone() -> None:
    machine = session()
    first, first_join = started(machine)
    second, second_join = started(machine)
    machine.reply(first_join, joined("e1"), 0.0)
    machine.stream_opened(STREAM, STREAM_HEAD, 0.0)
    turn = machine.reply(second_join, joined("e1"), 0.0)
    (failed,) = [one.event for one in turn.deliveries if one.exchange is second and one.event.terminal]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, MalformedMessage)
    assert "two calls" in str(failed.error)
    done = message(msg="process_completed", event_id="e1", output={"data": ["y"]}, success=True)
    turn = machine.data_received(STREAM, done, 0.0)
    assert [(one.exchange, type(one.event).__name__) for one in turn.deliveries] == [
        (first, "ProcessCompleted")
    ]


def test_an_end_that_was_parked_is_the_last_thing_a_call_hears() -> None:
    machine = session()
    _, first = started(machine)
    waiting, second = started(machine)
    machine.reply(first, joined("e1"), 0.0)
    machine.stream_opened(STREAM, STREAM_HEAD, 0.0)
    for _ in range(2):
        done = message(msg="process_completed", event_id="e2", output={"data": ["y"]}, success=True)
        machine.data_received(STREAM, done, 0.0)
    turn = machine.reply(second, joined("e2"), 0.0)
    assert [type(one.event).__name__ for one in turn.deliveries] == ["Joined", "ProcessCompleted"]
    assert waiting.deviations == []


def test_bytes_after_the_end_of_the_stream_say_nothing() -> None:
    machine = session()
    _, join = started(machine)
    machine.reply(join, joined("e1"), 0.0)
    done = message(msg="process_completed", event_id="e1", output={"data": ["y"]}, success=True)
    assert machine.data_received(STREAM, done, 0.0) == Turn()


def test_the_reply_to_a_chunk_of_input_opens_no_second_stream() -> None:
    machine = session()
    exchange, join = started(machine)
    machine.reply(join, joined("e1"), 0.0)
    chunk = SendRequest(exchange.channel("send"), join.request, Phase.STREAM)
    assert machine.reply(chunk, Response(200, {}, b"{}"), 0.0) == Turn()


def test_the_end_of_a_channel_that_nobody_owns_says_nothing() -> None:
    machine = session()
    running(machine, "e1")
    assert machine.closed("9.stream", Closed(Ending.RESET), 0.0) == Turn()
    assert machine.streaming
    assert machine.usable


@pytest.mark.parametrize("end", ["refused", "failed", "closed"])
def test_the_shared_stream_is_known_by_its_name(end: str) -> None:
    assert SharedStreamSession.shared
    machine = session()
    _, join = started(machine)
    (stream,) = machine.reply(join, joined("e1"), 0.0).commands
    assert isinstance(stream, OpenStream)
    copy = attrs.evolve(stream, channel="".join(["str", "eam"]))
    if end == "refused":
        turn = machine.reply(copy, Response(401), 0.0)
    elif end == "failed":
        turn = machine.failed(copy, StreamLost("broke"), 0.0)
    else:
        turn = machine.closed(copy.channel, Closed(Ending.RESET), 0.0)
    assert len(failures(turn)) == 1
    assert not machine.usable


class AnyOrder(RuleBasedStateMachine):
    """Joins, messages, ends and cancellations as they come: each call ends once, and nothing is raised."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = session()
        self.joins: dict[str, SendRequest] = {}
        self.calls: list[Exchange] = []
        self.events: dict[Exchange, list[Event]] = {}
        self.streaming = False
        self.names = 0

    def take(self, turn: Turn) -> None:
        for delivery in turn.deliveries:
            self.events.setdefault(delivery.exchange, []).append(delivery.event)
        for command in turn.commands:
            if isinstance(command, OpenStream):
                assert not self.streaming, "a second stream for one session"
                self.streaming = True
                self.take(self.machine.stream_opened(STREAM, STREAM_HEAD, 0.0))
            elif isinstance(command, DropStream):
                self.streaming = False
                self.take(self.machine.closed(STREAM, Closed(Ending.LOCAL), 0.0))

    @rule(is_late=st.sampled_from([False, False, True]))
    def submit(self, is_late: bool) -> None:
        if not self.machine.usable:
            return
        exchange, join = (late if is_late else started)(self.machine)
        self.calls.append(exchange)
        self.joins[exchange.key] = join

    @rule(accepted=st.booleans(), new=st.sampled_from([True, True, True, False]))
    def answer_a_join(self, accepted: bool, new: bool) -> None:
        if not self.joins:
            return
        key = next(iter(self.joins))
        self.names += new or not self.names
        reply = joined(f"e{self.names}") if accepted else Response(503, {}, b"full")
        self.take(self.machine.reply(self.joins.pop(key), reply, 0.0))

    @rule(
        number=st.integers(1, 6),
        kind=st.sampled_from(["process_starts", "heartbeat", "process_completed", "?"]),
    )
    def hear_of_a_call(self, number: int, kind: str) -> None:
        if self.streaming:
            output = {"data": ["y"]}
            data = message(msg=kind, event_id=f"e{number}", output=output, success=True)
            self.take(self.machine.data_received(STREAM, data, 0.0))

    @rule(kind=st.sampled_from(["close_stream", "heartbeat", "unexpected_error", "server_stopped"]))
    def hear_of_all(self, kind: str) -> None:
        if self.streaming:
            self.take(self.machine.data_received(STREAM, message(msg=kind), 0.0))

    @rule(ending=st.sampled_from([Ending.CLEAN, Ending.RESET, Ending.IDLE]))
    def end_the_stream(self, ending: Ending) -> None:
        if self.streaming:
            self.streaming = False
            self.take(self.machine.closed(STREAM, Closed(ending), 0.0))

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.calls:
            self.take(self.machine.cancel(data.draw(st.sampled_from(self.calls)), 0.0))

    @rule(data=st.data())
    def fetch(self, data: st.DataObject) -> None:
        if self.calls:
            self.take(self.machine.fetch(data.draw(st.sampled_from(self.calls)), 0.0))

    @invariant()
    def counts_are_those_of_the_calls(self) -> None:
        machine = self.machine
        active = machine.active
        assert machine._joining == {one.key for one in active if one.event_id is None}
        assert machine._functions[0] == len(active)
        assert machine._parked_count == sum(map(len, machine._parked.values()))
        assert machine._parked_bytes == sum(one.length for many in machine._parked.values() for one in many)

    @invariant()
    def ends_are_final_and_single(self) -> None:
        for exchange, events in self.events.items():
            ends = [place for place, event in enumerate(events) if event.terminal]
            assert len(ends) <= 1
            assert not ends or ends[0] == len(events) - 1
            assert bool(ends) is exchange.state.final

    @invariant()
    def nobody_waits_for_a_stream_that_will_not_come(self) -> None:
        for exchange in self.calls:
            waiting = exchange.fetched and not exchange.state.final and exchange.key not in self.joins
            assert not waiting or self.streaming


class TestAnyOrder(AnyOrder.TestCase):
    settings = tried(150, stateful_step_count=30)


def late(machine: SharedStreamSession) -> tuple[Exchange, SendRequest]:
    exchange = machine.open(attrs.evolve(INVOCATION, late=True))
    (join,) = machine.start(exchange, 0.0).commands
    assert isinstance(join, SendRequest)
    return exchange, join


def test_a_late_call_has_its_stream_opened_when_it_is_fetched_and_once() -> None:
    machine = session()
    exchange, join = late(machine)
    assert machine.reply(join, joined("e1"), 1.0).commands == []
    assert not machine.streaming
    assert [type(one) for one in machine.fetch(exchange, 2.0).commands] == [OpenStream]
    assert machine.fetch(exchange, 3.0).commands == []


def test_a_late_call_that_is_fetched_before_it_has_a_name_opens_the_stream_with_it() -> None:
    machine = session()
    exchange, join = late(machine)
    assert machine.fetch(exchange, 1.0).commands == []
    assert [type(one) for one in machine.reply(join, joined("e1"), 2.0).commands] == [OpenStream]


def test_a_stream_that_ends_in_order_is_not_opened_again_for_a_late_call() -> None:
    machine = session()
    usual, join = started(machine)
    machine.reply(join, joined("e1"), 1.0)
    exchange, later = late(machine)
    assert machine.reply(later, joined("e2"), 1.0).commands == []
    for _ in range(9):  # more often than a stream is opened for nothing
        machine.stream_opened(STREAM, STREAM_HEAD, 2.0)
        machine.data_received(
            STREAM, message(msg="process_completed", event_id="e1", success=True, output={"data": ["x"]}), 3.0
        )
        assert machine.closed(STREAM, Closed(Ending.CLEAN), 4.0).commands == []
    assert usual.state.final
    assert not exchange.state.final
    assert [type(one) for one in machine.fetch(exchange, 5.0).commands] == [OpenStream]


def test_a_call_joined_elsewhere_is_taken_up_without_a_join() -> None:
    machine = session()
    exchange = machine.open(attrs.evolve(INVOCATION, data=(), event_id="e1"))
    (stream,) = machine.start(exchange, 0.0).commands
    assert isinstance(stream, OpenStream)
    machine.stream_opened(STREAM, STREAM_HEAD, 1.0)
    completed = message(msg="process_completed", event_id="e1", success=True, output={"data": ["x"]})
    (delivery,) = machine.data_received(STREAM, completed, 2.0).deliveries
    assert delivery.exchange is exchange


def test_a_call_given_up_while_it_joins_is_cancelled_upstream_if_the_server_is_to_be_told() -> None:
    for tell_at, cancelled in ((1.0, [Phase.CANCEL]), (None, [])):
        machine = session()
        exchange, join = started(machine)
        assert (
            machine.abandon(exchange, TimeoutExpired("late", setting="total"), tell_at=tell_at).commands == []
        )
        commands = machine.reply(join, joined("e1"), 2.0).commands
        assert [command.phase for command in commands if isinstance(command, SendRequest)] == cancelled


def test_a_session_hash_from_elsewhere_stays_in_its_place_of_the_url() -> None:
    context = attrs.evolve(session().context, session_hash="a&b=c#d/e")
    url = SSEv3().session(context).stream_request().url  # type: ignore[attr-defined]
    assert url == "http://app/gradio_api/queue/data?session_hash=a%26b%3Dc%23d%2Fe"


# --- bounds and comparisons that only one value satisfies --------------------------------------------


def joining(machine: SharedStreamSession, fn_index: int) -> tuple[Exchange, SendRequest]:
    endpoint = Endpoint(name=f"/{fn_index}", fn_index=fn_index, generator=True)
    exchange = machine.open(Invocation(endpoint=endpoint, data=["x"]))
    (join,) = machine.start(exchange, 0.0).commands
    assert isinstance(join, SendRequest)
    return exchange, join


def running(machine: SharedStreamSession, event_id: str, fn_index: int = 0) -> Exchange:
    exchange, join = joining(machine, fn_index)
    machine.reply(join, joined(event_id), 0.0)
    machine.stream_opened(STREAM, STREAM_HEAD, 0.0)
    return exchange


def failures(turn: Turn) -> list[Any]:
    return [delivery.event.error for delivery in turn.deliveries if isinstance(delivery.event, Failed)]


def complete(machine: SharedStreamSession, event_id: str) -> Turn:
    text = message(event_id=event_id, msg="process_completed", success=True, output={"data": ["x"]})
    return machine.data_received(STREAM, text, 0.0)


def cancelled_ids(turn: Turn) -> list[str]:
    requests = [command for command in turn.commands if isinstance(command, SendRequest)]
    return [json.loads(one.request.body or b"")["event_id"] for one in requests if one.phase is Phase.CANCEL]


def test_whatever_ends_an_accepted_call_says_that_it_may_have_run() -> None:
    machine = session()
    running(machine, "e1")
    _, join = joining(machine, 0)
    (twice,) = failures(machine.reply(join, joined("e1"), 0.0))
    assert twice.may_have_run

    for text in ("", "404: Session not found.", "Something else broke."):
        machine = session()
        running(machine, "e1")
        turn = machine.data_received(STREAM, message(msg="unexpected_error", message=text), 0.0)
        assert [error.may_have_run for error in failures(turn)] == [True], text

    machine = session()
    _, join = joining(machine, 0)
    (stream,) = [
        one for one in machine.reply(join, joined("e1"), 0.0).commands if isinstance(one, OpenStream)
    ]
    (unopened,) = failures(machine.failed(stream, StreamLost("refused", retryable=True), 0.0))
    assert (unopened.may_have_run, unopened.retryable) == (True, False)

    machine = session()
    running(machine, "e1")
    machine.data_received(STREAM, message(event_id="e1", msg="process_starts"), 0.0)
    (crossed,) = failures(machine.closed(STREAM, Closed(Ending.CLEAN), 0.0))
    assert crossed.may_have_run


def test_parked_messages_reach_each_call_whatever_its_name_sorts_like() -> None:
    machine = session()
    joins = {name: joining(machine, 0)[1] for name in ("m", "a", "z")}
    machine.reply(joins["m"], joined("m"), 0.0)
    machine.stream_opened(STREAM, STREAM_HEAD, 0.0)
    for name in ("a", "z", "a"):
        machine.data_received(STREAM, message(event_id=name, msg="log", log=name), 0.0)
    told = {name: machine.reply(joins[name], joined(name), 0.0).deliveries for name in ("z", "a")}
    assert [len([one for one in told[name] if type(one.event).__name__ == "Log"]) for name in "za"] == [1, 2]


@pytest.mark.parametrize("rounds", [0, 2])
@pytest.mark.parametrize(("last", "fits"), [(200, True), (201, False), (390, False)])
def test_parked_messages_may_have_as_many_bytes_as_an_event_and_count_anew_afterwards(
    last: int, fits: bool, rounds: int
) -> None:
    def parked(machine: SharedStreamSession, size: int) -> Turn:
        shortest = len(json.dumps({"event_id": "zz", "msg": "log", "log": ""}))
        return machine.data_received(
            STREAM, message(event_id="zz", msg="log", log="x" * (size - shortest)), 0.0
        )

    machine = session(max_event_bytes=400)
    running(machine, "e1")
    for _ in range(rounds):  # once no call joins, what was parked is dropped and no longer counted
        _, join = joining(machine, 0)
        assert failures(parked(machine, 200)) == []
        assert failures(parked(machine, 200)) == []
        machine.reply(join, Response(503, {}, b"{}"), 0.0)
    joining(machine, 0)
    parked(machine, 200)
    assert (failures(parked(machine, last)) == []) is fits


def park(machine: SharedStreamSession, event_id: str, count: int, text: str = "x") -> Turn:
    turn = Turn()
    for _ in range(count):
        line = message(event_id=event_id, msg="log", log=text)
        turn.extend(machine.data_received(STREAM, line, 0.0))
    return turn


@pytest.mark.parametrize("limits", [{"max_parked_messages": 300}, {"max_event_bytes": 70 * 300}])
def test_messages_that_found_their_call_no_longer_count_as_parked(limits: dict[str, int]) -> None:
    text = "x" * (70 - len(json.dumps({"event_id": "e2", "msg": "log", "log": ""})))
    machine = session(**limits)
    running(machine, "e1")
    _, second = joining(machine, 0)
    joining(machine, 0)  # a third, so that messages are parked to the end
    assert failures(park(machine, "e2", 200, text)) == []
    assert failures(park(machine, "e3", 100, text)) == []
    assert len(machine.reply(second, joined("e2"), 0.0).deliveries) == 201
    assert failures(park(machine, "e3", 200, text)) == []
    assert len(failures(park(machine, "e3", 1, text))) == 2


@pytest.mark.parametrize("end", ["refused", "failed", "cancelled", "abandoned"])
def test_messages_for_a_join_that_came_to_nothing_do_not_count_against_the_next(end: str) -> None:
    machine = session(max_parked_messages=3)
    running(machine, "e1")
    exchange, join = joining(machine, 0)
    park(machine, "e2", 3)
    if end == "refused":
        machine.reply(join, Response(503, {}, b"{}"), 0.0)
    elif end == "failed":
        machine.failed(join, StreamLost("broke"), 0.0)
    elif end == "cancelled":
        machine.cancel(exchange, 0.0)
    else:
        machine.abandon(exchange, TimeoutExpired("late", setting="total"))
    _, join = joining(machine, 0)
    assert failures(park(machine, "e3", 3)) == []
    assert len(machine.reply(join, joined("e3"), 0.0).deliveries) == 4


@pytest.mark.parametrize("event_id", [None, "", True, 7.0, ["e1"], {"e1": 1}])
def test_a_message_that_names_no_call_is_for_all(event_id: Any) -> None:
    machine = session()
    first, second = running(machine, "e1"), running(machine, "e2")
    turn = machine.data_received(STREAM, message(event_id=event_id, msg="heartbeat"), 0.0)
    assert [delivery.exchange for delivery in turn.deliveries] == [first, second]
    assert machine.stray_messages == 0


GENERATING = {"msg": "process_generating", "output": {"data": ["0"]}}


def test_outputs_without_a_name_are_of_the_only_call() -> None:
    machine = session()
    only = running(machine, "e1")
    turn = machine.data_received(STREAM, message(**GENERATING), 0.0)
    assert [(delivery.exchange, delivery.event.event_id) for delivery in turn.deliveries] == [(only, "e1")]


@pytest.mark.parametrize("second", [running, joining])
def test_outputs_that_may_be_of_several_calls_are_of_none(second: Any) -> None:
    machine = session()
    running(machine, "e1")
    second(machine, "e2" if second is running else 0)
    turn = machine.data_received(STREAM, message(**GENERATING), 0.0)
    assert {type(error) for error in failures(turn)} == {MalformedMessage}
    assert all(error.may_have_run for error in failures(turn))
    assert not machine.usable


def test_outputs_without_a_name_and_a_call_are_nobodys() -> None:
    machine = session()
    assert machine.data_received(STREAM, message(**GENERATING), 0.0).deliveries == []
    assert machine.usable


def test_nothing_is_read_after_the_stream_is_lost() -> None:
    end = message(msg="server_stopped")
    machine = session()
    running(machine, "e1")
    turn = machine.data_received(STREAM, end + end + message(event_id="e1", msg="log", log="x"), 0.0)
    assert turn.commands == [DropStream(STREAM)]
    (error,) = failures(turn)
    assert (type(error), error.may_have_run, error.retryable) == (StreamLost, True, False)
    assert machine.data_received(STREAM, end + message(msg="unexpected_error"), 0.0) == Turn()
    assert machine.stray_messages == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [("404: Session not found.", "(404: Session not found.)"), ("", "(no reason given)")],
)
def test_a_session_that_the_server_does_not_know_says_what_the_server_said(text: str, said: str) -> None:
    machine = session()
    running(machine, "e1")
    (error,) = failures(machine.data_received(STREAM, message(msg="unexpected_error", message=text), 0.0))
    assert isinstance(error, SessionNotFound)
    assert said in str(error)


def test_a_reply_that_comes_after_its_failure_changes_nothing() -> None:
    machine = session()
    exchange, join = started(machine)
    machine.cancel(exchange, 0.0)
    machine.failed(join, StreamLost("broke"), 1.0)
    assert machine.reply(join, joined("e1"), 2.0) == Turn()


def test_a_stream_that_ends_in_order_is_opened_again_three_times_for_a_call_that_heard_nothing() -> None:
    machine = session()
    running(machine, "e1")
    running(machine, "e2")
    assert failures(machine.closed(STREAM, Closed(Ending.CLEAN), 0.0)) == []
    machine.stream_opened(STREAM, STREAM_HEAD, 0.0)
    complete(machine, "e1")  # a message for a call: the streams before it were not in vain
    for _ in range(3):
        turn = machine.closed(STREAM, Closed(Ending.CLEAN), 0.0)
        assert failures(turn) == []
        assert any(isinstance(command, OpenStream) for command in turn.commands)
        machine.stream_opened(STREAM, STREAM_HEAD, 0.0)
    assert len(failures(machine.closed(STREAM, Closed(Ending.CLEAN), 0.0))) == 1


@pytest.mark.parametrize("stray", ["log", "estimation", "process_generating", "progress"])
def test_only_a_completion_makes_a_deferred_cancellation_needless(stray: str) -> None:
    machine = session()
    cancelled = running(machine, "e1")
    running(machine, "e2")
    assert cancelled_ids(machine.cancel(cancelled, 0.0)) == []
    machine.data_received(STREAM, message(event_id="e1", msg=stray), 0.0)
    assert cancelled_ids(complete(machine, "e2")) == ["e1"]

    machine = session()
    cancelled = running(machine, "e1")
    running(machine, "e2")
    machine.cancel(cancelled, 0.0)
    complete(machine, "e1")
    assert cancelled_ids(complete(machine, "e2")) == []


def test_deferred_cancellations_wait_for_calls_of_the_same_function_only() -> None:
    machine = session()
    waiting = {number: (running(machine, f"a{number}", number), f"b{number}") for number in (0, 1, 70000)}
    for number, (exchange, sibling) in waiting.items():
        running(machine, sibling, int(str(number)))
        machine.cancel(exchange, 0.0)
    assert cancelled_ids(complete(machine, "b1")) == ["a1"]
    assert cancelled_ids(complete(machine, "b70000")) == ["a70000"]
    assert cancelled_ids(complete(machine, "b0")) == ["a0"]


# --- thousands of calls ---------------------------------------------------------------------------------


class Unsearchable(dict[Any, Any]):
    """A dict that is not searched, because that takes longer the more calls a session has."""

    def __iter__(self) -> Any:
        raise AssertionError("each call in progress was looked at")

    keys = values = items = __iter__  # type: ignore[assignment]


def crowd() -> SharedStreamSession:
    """Return a session with calls of two functions, which finds a call only by its key or id."""
    machine = session()
    for number in range(20):
        running(machine, f"r{number}", fn_index=number % 2)
    machine._exchanges, machine._pending = Unsearchable(machine._exchanges), Unsearchable(machine._pending)
    machine._parked = Unsearchable()
    return machine


def test_a_call_among_many_joins_and_completes_alone() -> None:
    machine = crowd()
    exchange, join = joining(machine, 0)
    machine.data_received(STREAM, message(event_id="new", msg="process_starts"), 0.0)
    parked = machine.reply(join, joined("new"), 0.0).deliveries
    assert [type(delivery.event).__name__ for delivery in parked] == ["Joined", "ProcessStarts"]
    (delivery,) = complete(machine, "new").deliveries
    assert (delivery.exchange, delivery.event.terminal) == (exchange, True)


def test_a_message_for_no_call_among_many_is_parked_or_dropped_alone() -> None:
    machine = crowd()
    complete(machine, "stranger")
    assert machine.stray_messages == 1
    joining(machine, 0)
    complete(machine, "r0")
    complete(machine, "r0")
    complete(machine, "another stranger")
    assert machine.stray_messages == 2
    assert machine._parked_count == 1


def test_calls_among_many_are_cancelled_alone() -> None:
    machine = crowd()
    for number in range(2, 20):
        assert cancelled_ids(machine.cancel(machine._pending[f"r{number}"], 0.0)) == []
    assert cancelled_ids(complete(machine, "r0")) == [f"r{number}" for number in range(2, 20, 2)]
    assert cancelled_ids(complete(machine, "r1")) == [f"r{number}" for number in range(3, 20, 2)]


def test_a_late_call_among_many_is_joined_and_fetched_alone() -> None:
    machine = session()
    waiting = []
    for number in range(20):
        exchange, join = late(machine)
        machine.reply(join, joined(f"l{number}"), 0.0)
        waiting.append(exchange)
    machine._exchanges, machine._pending = Unsearchable(machine._exchanges), Unsearchable(machine._pending)
    exchange, join = late(machine)
    assert machine.reply(join, joined("new"), 0.0).commands == []
    assert [type(command) for command in machine.fetch(waiting[3], 0.0).commands] == [OpenStream]


def test_the_ends_that_are_remembered_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradio_transport.adapter.shared_session.REMEMBERED_ENDS", 2)
    machine = session()
    for event_id in ("e1", "e2", "e3"):
        running(machine, event_id)
        complete(machine, event_id)
    joining(machine, 0)
    for event_id in ("e1", "e2", "e3"):
        complete(machine, event_id)
    assert (machine.stray_messages, machine._parked_count) == (2, 1)


def test_a_call_cancelled_while_it_joins_waits_for_the_calls_of_its_function() -> None:
    machine = crowd()
    exchange, join = joining(machine, 0)
    machine.cancel(exchange, 0.0)
    assert cancelled_ids(machine.reply(join, joined("new"), 0.0)) == []
    for number in range(2, 20, 2):
        assert cancelled_ids(complete(machine, f"r{number}")) == []
    assert cancelled_ids(complete(machine, "r0")) == ["new"]
