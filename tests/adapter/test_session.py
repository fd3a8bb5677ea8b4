# SPDX-License-Identifier: Apache-2.0
"""A session routes news to its calls, and follows the flow of each: what only one reading of the rules gives."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from gradio_transport.adapter import (
    UNKNOWN_OUTPUT,
    AppConfig,
    AppError,
    AppURLs,
    Cancelled,
    Closed,
    Component,
    Delivery,
    Ending,
    Endpoint,
    Event,
    EventTooLarge,
    Exchange,
    Failed,
    FlowViolation,
    Invocation,
    Joined,
    Limits,
    Log,
    MalformedMessage,
    OpenStream,
    Output,
    Phase,
    ProcessCompleted,
    ProcessGenerating,
    ProcessStreaming,
    Request,
    Response,
    SendRequest,
    ServerSentEvent,
    ServerStopped,
    Session,
    SessionContext,
    State,
    StreamLost,
    TimeoutExpired,
    Timeouts,
    WakeAt,
    stream_ended_error,
)
from gradio_transport.adapter.exchange import KEPT_DEVIATIONS


class Recorder(Exchange):
    """A call that notes what it is told."""

    def __init__(self, context: SessionContext, invocation: Invocation, key: str) -> None:
        super().__init__(context, invocation, key)
        self.fetches = 0
        self.heard: list[str] = []
        self.siblings: bool | None = None

    def start(self, now: float) -> Output:
        stream = OpenStream(self.channel("stream"), Request.get("http://app/s"))
        return Output([Joined()], [stream])

    def reply(self, command: Any, response: Response, now: float) -> Output:
        return Output()

    def fetch(self, now: float) -> Output:
        self.fetches += 1
        return Output()

    def server_sent_event(self, event: ServerSentEvent, now: float) -> Output:
        self.heard.append(event.data)
        return Output([ProcessCompleted()] if event.data == "end" else [Log(message=event.data)])

    def cancel(self, now: float, *, siblings: bool = False) -> Output:
        self.siblings = siblings
        request = SendRequest(self.channel("cancel"), Request.get("http://app/cancel"), Phase.CANCEL)
        return Output([Cancelled()], [request, WakeAt(self.channel("cancel"), now)])


def make_session(**limits: int) -> Session:
    context = SessionContext(
        config=AppConfig(version="6.31.0", release=(6, 31, 0)),
        urls=AppURLs("http://app"),
        session_hash="hash",
        limits=Limits(**limits),
    )
    return Session(context, Recorder)


def start(session: Session, fn_index: int = 0, *, late: bool = False) -> Any:
    endpoint = Endpoint(name=f"/{fn_index}", fn_index=fn_index)
    exchange = session.open(Invocation(endpoint=endpoint, data=[], late=late))
    session.start(exchange, 0.0)
    return exchange


def test_calls_of_a_plain_session_share_no_stream() -> None:
    assert Session.shared is False
    session = make_session()
    first, second = start(session), start(session)
    assert session.active == (first, second)


def test_a_plain_session_takes_new_calls_for_ever() -> None:
    assert make_session().usable is True


def test_an_event_that_took_no_bytes_counts_none() -> None:
    session = make_session()
    exchange = start(session)
    assert Delivery(exchange, Joined()).size == 0
    assert [delivery.size for delivery in session.turn(exchange, Output([Log()])).deliveries] == [0]


def test_a_stream_is_fetched_once_and_not_after_the_end() -> None:
    session = make_session()
    late, over, early = start(session, late=True), start(session, late=True), start(session)
    session.fetch(late, 0.0)
    session.fetch(late, 0.0)
    session.cancel(over, 0.0)
    session.fetch(over, 0.0)
    session.fetch(early, 0.0)
    assert [late.fetches, over.fetches, early.fetches] == [1, 0, 0]


@pytest.mark.parametrize(
    ("others", "siblings"), [((), False), ((4,), False), ((6,), False), ((5,), True), ((4, 5, 6), True)]
)
def test_siblings_are_other_calls_of_the_same_function(others: tuple[int, ...], siblings: bool) -> None:
    session = make_session()
    for fn_index in others:
        start(session, fn_index)
    exchange = start(session, 5)
    session.cancel(exchange, 0.0)
    assert exchange.siblings is siblings


def test_a_large_number_of_a_function_is_compared_by_value() -> None:
    session = make_session()
    start(session, int("100000"))
    exchange = start(session, int("100000"))
    session.cancel(exchange, 0.0)
    assert exchange.siblings is True


def test_an_event_beyond_the_bound_ends_the_call_it_belongs_to() -> None:
    session = make_session(max_event_bytes=10)
    exchange, other = start(session), start(session)
    session.stream_opened(exchange.channel("stream"), Response(200), 0.0)
    turn = session.data_received(exchange.channel("stream"), b"data: " + b"x" * 20, 0.0)
    (event,) = [delivery.event for delivery in turn.deliveries]
    assert isinstance(event, Failed)
    assert isinstance(event.error, EventTooLarge)
    assert session.active == (other,)


def test_what_follows_the_end_in_the_same_bytes_is_not_told() -> None:
    session = make_session()
    exchange = start(session)
    session.stream_opened(exchange.channel("stream"), Response(200), 0.0)
    session.data_received(exchange.channel("stream"), b"data: a\n\ndata: end\n\ndata: b\n\ndata: c\n\n", 0.0)
    assert exchange.heard == ["a", "end"]
    assert exchange.deviations == []


@pytest.mark.parametrize(("tell_at", "told"), [(3.0, ["SendRequest"]), (None, [])])
def test_the_server_is_told_of_a_call_that_was_given_up_if_it_is_to_be(
    tell_at: float | None, told: list[str]
) -> None:
    session = make_session()
    exchange = start(session)
    turn = session.abandon(exchange, TimeoutExpired("late", setting="total"), tell_at=tell_at)
    assert [type(command).__name__ for command in turn.commands] == [*told, "DropStream"]
    assert [type(delivery.event).__name__ for delivery in turn.deliveries] == ["Failed"]
    assert exchange.abandoned is bool(told)


@pytest.mark.parametrize(
    ("begun", "known", "expected"),
    [(True, False, True), (False, True, True), (True, True, True), (False, False, False)],
)
def test_a_call_may_have_run_if_it_was_accepted_or_the_error_knows_that_it_did(
    begun: bool, known: bool, expected: bool
) -> None:
    session = make_session()
    endpoint = Endpoint(name="/0", fn_index=0)
    exchange = start(session) if begun else session.open(Invocation(endpoint=endpoint, data=[]))
    error = StreamLost("gone", may_have_run=known)
    session.abandon(exchange, error)
    assert error.may_have_run is expected


def test_an_error_gets_the_last_event_of_its_call() -> None:
    session = make_session()
    exchange = start(session)
    session.turn(exchange, Output([Log(message="last")]))
    error = StreamLost("gone")
    session.abandon(exchange, error)
    assert error.last_event == Log(message="last")


def test_the_event_that_an_error_names_is_not_replaced() -> None:
    session = make_session()
    exchange = start(session)
    session.turn(exchange, Output([Log(message="last")]))
    error = StreamLost("gone", last_event=Log(message="named"))
    session.abandon(exchange, error)
    assert error.last_event == Log(message="named")


def test_an_end_without_an_explanation_gets_one() -> None:
    session = make_session()
    exchange = start(session)
    turn = session.turn(exchange, Output([Log(), ServerStopped()]))
    assert [type(delivery.event).__name__ for delivery in turn.deliveries] == [
        "Log",
        "ServerStopped",
        "Failed",
    ]


def test_an_end_with_an_explanation_gets_no_second_one() -> None:
    session = make_session()
    exchange = start(session)
    error = StreamLost("stopped")
    turn = session.turn(exchange, Output([Log(), ServerStopped(), Failed(error=error)]))
    assert [type(delivery.event).__name__ for delivery in turn.deliveries] == [
        "Log",
        "ServerStopped",
        "Failed",
    ]


STATE, TEXT, NUMBER = (
    Component(1, "state", skipped=True),
    Component(2, "textbox"),
    Component(3, "number"),
)


def take(outputs: tuple[Component, ...], event: Event, *, strict: bool = False) -> tuple[Any, list[str]]:
    session = make_session()
    session.context = attrs.evolve(session.context, strict=strict)
    exchange = session.open(Invocation(endpoint=Endpoint(name="/f", fn_index=0, outputs=outputs), data=[]))
    exchange.state = State.RUNNING
    (delivery,) = session.turn(exchange, Output([event])).deliveries
    return delivery.event, exchange.deviations


@pytest.mark.parametrize("kind", [ProcessGenerating, ProcessStreaming, ProcessCompleted])
@pytest.mark.parametrize(
    ("outputs", "sent", "taken"),
    [
        ((TEXT,), ["a", "b", "c"], ["a"]),
        ((STATE, TEXT), [None, "a", "b"], ["a"]),
        ((TEXT, STATE), ["a", None, "b", "c"], ["a"]),
    ],
)
def test_surplus_outputs_are_dropped_and_noted(kind, outputs, sent, taken) -> None:
    event, deviations = take(outputs, kind(data=sent, raw={"data": sent}))
    assert (event.data, event.raw) == (taken, {"data": sent})
    assert deviations == [f"{kind.__name__} with {len(sent)} outputs, where /f declares {len(outputs)}"]


@pytest.mark.parametrize(
    ("outputs", "sent"),
    [((TEXT,), []), ((TEXT, NUMBER), ["a"]), ((STATE, TEXT), ["a"]), ((TEXT, STATE), ["a"])],
)
def test_a_completion_that_lacks_outputs_is_an_error(outputs, sent) -> None:
    event, deviations = take(outputs, ProcessCompleted(data=sent))
    assert (event.success, event.data) == (False, [])
    assert type(event.error) is MalformedMessage
    assert (event.error.may_have_run, event.error.phase) == (True, Phase.COMPLETE)
    assert f"sent {len(sent)} outputs and /f declares {len(outputs)}" in event.error.message
    assert deviations == [f"ProcessCompleted with {len(sent)} outputs, where /f declares {len(outputs)}"]


@pytest.mark.parametrize(
    ("outputs", "sent", "taken"),
    [
        ((TEXT, NUMBER), ["a"], ["a", UNKNOWN_OUTPUT]),
        ((STATE, TEXT), [None], [UNKNOWN_OUTPUT]),
        ((TEXT, STATE), [], [UNKNOWN_OUTPUT]),
    ],
)
def test_an_output_that_a_yield_lacks_is_unknown(outputs, sent, taken) -> None:
    event, deviations = take(outputs, ProcessGenerating(data=sent))
    assert event.data == taken
    assert len(deviations) == 1


def test_outputs_that_nobody_declares_are_handed_on() -> None:
    assert take((), ProcessCompleted(data=[1, 2])) == (ProcessCompleted(data=[1, 2]), [])


def test_a_failed_completion_has_no_outputs_to_count() -> None:
    failed = ProcessCompleted(success=False, error=AppError("why"))
    assert take((TEXT, STATE), failed) == (failed, [])


def test_the_strict_refuse_another_number_of_outputs() -> None:
    with pytest.raises(FlowViolation, match="with 2 outputs, where /f declares 1"):
        take((TEXT,), ProcessCompleted(data=[1, 2]), strict=True)


def test_a_deviation_of_every_yield_is_noted_once() -> None:
    session = make_session()
    exchange = session.open(Invocation(endpoint=Endpoint(name="/f", fn_index=0, outputs=(TEXT,)), data=[]))
    exchange.state = State.RUNNING
    session.turn(exchange, Output([ProcessGenerating(data=[1, 2])] * 3))
    assert exchange.deviations == ["ProcessGenerating with 2 outputs, where /f declares 1"]


@pytest.mark.parametrize(
    ("version", "setting", "waited"),
    [
        ((4, 4), "idle", "on the stream for 5 s, not even a heartbeat (why)"),
        ((4, 3), "no_heartbeat", "on the stream for 90 s (why)"),
    ],
)
def test_silence_has_a_bound_of_its_own_where_there_are_no_heartbeats(version, setting, waited) -> None:
    timeouts = Timeouts(idle=5, no_heartbeat=90)
    context = attrs.evolve(make_session().context, config=AppConfig(release=version), timeouts=timeouts)
    error = stream_ended_error(Closed(Ending.IDLE, reason="why"), context, may_have_run=True)
    assert isinstance(error, TimeoutExpired)
    assert (error.setting, error.may_have_run) == (setting, True)
    assert waited in error.message


def test_deviations_are_recorded_once_and_in_a_bounded_number() -> None:
    exchange = start(make_session())
    for number in range(1000):
        exchange.record_deviation(f"deviation {number // 2}")
    assert exchange.deviations == [f"deviation {number}" for number in range(KEPT_DEVIATIONS)]
