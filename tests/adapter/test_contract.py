# SPDX-License-Identifier: Apache-2.0
"""What every adapter gets from the contract without writing a line."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from gradio_transport.adapter.contract import Adapter, Capabilities, DiscoveryContext, Match
from gradio_transport.adapter.exchange import Exchange, Invocation, Output, SessionContext, stream_ended_error
from gradio_transport.adapter.session import Session, Turn
from gradio_transport.app.config import AppConfig, Component, Endpoint
from gradio_transport.errors import (
    ConnectError,
    EventTooLarge,
    FlowViolation,
    MalformedMessage,
    Phase,
    StreamLost,
    TimeoutExpired,
    UnsupportedProtocol,
)
from gradio_transport.events import (
    Achieved,
    Cancelled,
    Event,
    Failed,
    Heartbeat,
    Joined,
    ProcessCompleted,
    QueueFullMessage,
    ServerStopped,
    UnexpectedError,
)
from gradio_transport.policy import Limits
from gradio_transport.protocol.commands import (
    Closed,
    DropStream,
    DropWebSocket,
    Ending,
    OpenStream,
    OpenWebSocket,
    Request,
    Response,
    SendRequest,
)
from gradio_transport.protocol.flow import State
from gradio_transport.protocol.urls import AppURLs

CONFIG = AppConfig(version="6.31.0", release=(6, 31, 0), protocol="least")


class Least(Exchange):
    """The least that a call must have."""

    def start(self, now: float) -> Output:
        stream = OpenStream(self.channel("stream"), Request.get("http://app/s"))
        return Output(commands=[stream, OpenWebSocket(self.channel("socket"), "ws://app/w")])

    def reply(self, command: Any, response: Response, now: float) -> Output:
        return Output([Joined()])


class LeastAdapter(Adapter):
    name: ClassVar[str] = "least"
    exchange: ClassVar[type[Exchange]] = Least

    def match(self, config: AppConfig, endpoint: Endpoint) -> Match:
        return Match(50, "always")

    def capabilities(self, config: AppConfig) -> Capabilities:
        return Capabilities()


def session(*, strict: bool = False, limits: Limits | None = None) -> Session:
    context = SessionContext(
        config=CONFIG,
        urls=AppURLs("http://app"),
        session_hash="hash",
        strict=strict,
        limits=limits or Limits(),
    )
    return LeastAdapter().session(context)


def call(machine: Session, **endpoint: Any) -> Exchange:
    invocation = Invocation(endpoint=Endpoint(name="/x", fn_index=0, **endpoint), data=[])
    return machine.open(invocation)


def started(machine: Session) -> Exchange:
    exchange = call(machine)
    machine.start(exchange, 0.0)
    return exchange


def names(turn: Turn) -> list[str]:
    return [type(one.event).__name__ for one in turn.deliveries]


def failure(turn: Turn) -> Any:
    (event,) = [one.event for one in turn.deliveries if isinstance(one.event, Failed)]
    return event.error


def test_a_call_that_takes_no_messages_says_so_to_its_author() -> None:
    with pytest.raises(NotImplementedError, match="Least takes no messages"):
        started(session()).message({}, 0.0)


def test_a_discovery_is_gradios_unless_an_adapter_brings_its_own() -> None:
    assert LeastAdapter().has_discovery is False
    with pytest.raises(NotImplementedError, match="Gradio's handshake"):
        LeastAdapter().discover(DiscoveryContext(base="http://app"))


def test_a_call_that_takes_no_further_input_says_what_it_would_need() -> None:
    machine = session()
    exchange = started(machine)
    for use in (lambda: machine.send(exchange, [1], 0.0), lambda: machine.finish_input(exchange, 0.0)):
        with pytest.raises(UnsupportedProtocol, match=r"\.stream\(\)"):
            use()


def test_after_the_end_nothing_more_is_sent_cancelled_or_failed() -> None:
    machine = session()
    exchange = started(machine)
    machine.cancel(exchange, 0.0)
    assert machine.send(exchange, [1], 1.0) == Turn()
    assert machine.finish_input(exchange, 1.0) == Turn()
    assert machine.cancel(exchange, 1.0) == Turn()
    assert machine.abandon(exchange, StreamLost("late")) == Turn()


def test_cancelling_stops_this_side_and_closes_what_the_call_holds_open() -> None:
    machine = session()
    exchange = started(machine)
    turn = machine.cancel(exchange, 0.0)
    assert [one.event for one in turn.deliveries] == [Cancelled(achieved=Achieved.RUNS_ON)]
    assert turn.commands == [DropStream("1.stream"), DropWebSocket("1.socket")]
    assert machine.active == ()


def test_what_a_call_closes_itself_is_not_closed_again() -> None:
    machine = session()
    exchange = started(machine)
    machine.turn(exchange, Output(commands=[DropStream("1.stream"), DropWebSocket("1.socket")]))
    assert machine.cancel(exchange, 0.0).commands == []


def test_opening_a_socket_and_waking_change_nothing_by_themselves() -> None:
    machine = session()
    started(machine)
    assert machine.websocket_opened("1.socket", 0.0) == Turn()
    assert machine.wake("1.socket", 0.0) == Turn()


def test_channels_that_nobody_owns_are_ignored() -> None:
    machine = session()
    request = SendRequest("9.x", Request.get("http://app"), Phase.JOIN)
    assert machine.usable
    assert machine.reply(request, Response(200), 0.0) == Turn()
    assert machine.failed(request, ConnectError("no"), 0.0) == Turn()
    assert machine.data_received("9.x", b"data: {}\n\n", 0.0) == Turn()
    assert machine.websocket_opened("9.x", 0.0) == Turn()
    assert machine.text_received("9.x", "{}", 0.0) == Turn()
    assert machine.closed("9.x", Closed(Ending.CLEAN), 0.0) == Turn()
    assert machine.wake("9.x", 0.0) == Turn()


def test_bytes_before_the_head_of_their_stream_are_ignored() -> None:
    machine = session()
    started(machine)
    assert machine.data_received("1.stream", b"data: {}\n\n", 0.0) == Turn()


@pytest.mark.parametrize("text", ["nonsense", "[]", "[" * 100_000])
def test_a_text_that_is_no_object_ends_the_call(text: str) -> None:
    machine = session()
    started(machine)
    error = failure(machine.text_received("1.socket", text, 0.0))
    assert isinstance(error, MalformedMessage)
    assert error.may_have_run


def test_what_follows_the_event_that_ended_a_call_is_not_read() -> None:
    machine = session()
    started(machine)
    machine.stream_opened("1.stream", Response(200), 0.0)
    assert names(machine.data_received("1.stream", b"data: x\n\ndata: y\n\n", 0.0)) == ["Failed"]


def test_events_after_the_end_are_noted_and_dropped() -> None:
    machine = session()
    exchange = started(machine)
    turn = machine.turn(
        exchange, Output([ProcessCompleted(data=[1]), Heartbeat(), Failed(error=StreamLost("x"))])
    )
    assert names(turn) == ["ProcessCompleted"]
    assert exchange.deviations == ["Heartbeat after the end", "Failed after the end"]


def test_the_reason_of_an_end_without_one_is_delivered_with_it() -> None:
    machine = session()
    exchange = started(machine)
    turn = machine.turn(exchange, Output([QueueFullMessage(), Failed(error=StreamLost("full"))]))
    assert names(turn) == ["QueueFullMessage", "Failed"]
    assert exchange.state is State.FAILED
    assert exchange.deviations == []


@pytest.mark.parametrize(
    ("last", "said"),
    [
        (UnexpectedError(message="404: Session not found."), "404: Session not found."),
        (ServerStopped(), "ServerStopped"),
        (QueueFullMessage(), "QueueFullMessage"),
    ],
)
def test_an_end_that_nobody_explains_ends_the_call_all_the_same(last: Event, said: str) -> None:
    machine = session()
    exchange = started(machine)
    machine.turn(exchange, Output([Joined()]))
    turn = machine.turn(exchange, Output([last]))
    assert names(turn) == [type(last).__name__, "Failed"]
    error = failure(turn)
    assert isinstance(error, StreamLost)
    assert said in error.message
    assert (error.last_event, error.may_have_run) == (last, True)
    assert machine.active == ()


def test_what_could_not_be_opened_is_not_closed() -> None:
    machine = session()
    exchange = call(machine)
    stream, socket = machine.start(exchange, 0.0).commands
    assert isinstance(stream, OpenStream)
    assert machine.failed(stream, StreamLost("cut"), 0.0).commands == [DropWebSocket(socket.channel)]
    assert machine.failed(stream, StreamLost("cut"), 0.0) == Turn()


def test_a_deviation_is_noted_and_raised_only_to_the_strict() -> None:
    machine = session()
    exchange = call(machine)
    assert names(machine.turn(exchange, Output([Joined()]))) == ["Joined"]
    assert exchange.deviations == ["Joined in state idle"]
    strict = session(strict=True)
    with pytest.raises(FlowViolation):
        strict.turn(call(strict), Output([Joined()]))


def test_callers_never_see_the_slots_of_state() -> None:
    machine = session()
    outputs = (Component(1, "textbox"), Component(2, "state", skipped=True))
    exchange = call(machine, outputs=outputs)
    machine.start(exchange, 0.0)
    (delivery,) = machine.turn(exchange, Output([ProcessCompleted(data=["a", None])])).deliveries
    assert delivery.event.data == ["a"]


def test_a_join_that_never_left_has_not_run_the_function() -> None:
    machine = session()
    started(machine)
    request = SendRequest("1.join", Request.get("http://app"), Phase.JOIN)
    error = failure(machine.failed(request, ConnectError("refused"), 0.0))
    assert error.may_have_run is False
    machine = session()
    started(machine)
    assert failure(machine.failed(request, StreamLost("cut"), 0.0)).may_have_run is True


def test_a_stream_that_ends_too_early_is_lost() -> None:
    machine = session()
    exchange = started(machine)
    error = failure(machine.closed("1.socket", Closed(Ending.CLEAN, 1001, "going away"), 0.0))
    assert isinstance(error, StreamLost)
    for part in ("ended cleanly", "close code 1001", "going away"):
        assert part in str(error)
    assert exchange.state.final


@pytest.mark.parametrize(
    ("ending", "kind", "said"),
    [
        (Ending.IDLE, TimeoutExpired, "Timeouts(idle=)"),
        (Ending.RESET, StreamLost, "was cut off"),
        (Ending.LOCAL, StreamLost, "closed by the client"),
        (Ending.TOO_LARGE, EventTooLarge, "Limits(max_event_bytes=)"),
    ],
)
def test_each_way_a_stream_ends_is_said(ending: Ending, kind: type[Exception], said: str) -> None:
    error = stream_ended_error(Closed(ending), session().context, may_have_run=True)
    assert type(error) is kind
    assert said in str(error)
    assert error.may_have_run


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"event_data": {}}, "does not support event_data"),
        ({"oauth_token": "hf_x"}, "does not support oauth_token"),
    ],
)
@pytest.mark.parametrize("version", ["3.0", ""])
def test_what_a_generation_cannot_do_is_refused_before_anything_is_sent(
    asked: dict[str, Any], said: str, version: str
) -> None:
    invocation = Invocation(endpoint=Endpoint(name="/x", fn_index=0), data=[], **asked)
    with pytest.raises(UnsupportedProtocol, match=said):
        LeastAdapter().check(AppConfig(version=version), invocation)


def test_a_plain_call_is_not_refused() -> None:
    LeastAdapter().check(CONFIG, Invocation(endpoint=Endpoint(name="/x", fn_index=0), data=[]))
    assert LeastAdapter().match(CONFIG, Endpoint(name="/x", fn_index=0)).score == 50


def test_a_call_whose_protocol_does_not_say_otherwise_has_nobody_to_tell_of_its_cancellation():
    machine = session()
    exchange = started(machine)
    machine.cancel(exchange, 1.0)
    assert exchange.cancel_commands() == []
