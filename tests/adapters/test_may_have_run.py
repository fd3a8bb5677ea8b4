# SPDX-License-Identifier: Apache-2.0
"""Whether the function may have run: every protocol, at every request, after every outcome."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gradio_transport.adapter.exchange import Invocation, SessionContext
from gradio_transport.adapter.registry import default_registry
from gradio_transport.adapter.session import Session, Turn
from gradio_transport.app.config import AppConfig, Component, Endpoint
from gradio_transport.app.config_parsing import parse_release
from gradio_transport.calls.retries import is_repeatable
from gradio_transport.errors import (
    ConnectError,
    GradioTransportError,
    Phase,
    StreamLost,
    TimeoutExpired,
    TransportError,
)
from gradio_transport.events import Failed, ProcessCompleted
from gradio_transport.protocol.commands import Command, OpenStream, OpenWebSocket, Response, SendRequest
from gradio_transport.protocol.urls import AppURLs
from gradio_transport_openai.chat import ChatSettings

FULL = b'{"detail": "Queue is full. Max size is 1 and size is 1."}'
STOPPED = b'{"detail": "Queue is stopped."}'
IN_DOUBT = (204, 303, 408, 499, 500, 502, 503, 504, 520, 521, 522, 524, 530, 799)
REFUSED = (301, 302, 307, 308, 400, 401, 403, 404, 405, 409, 410, 413, 418, 422, 429, 451)

Outcome = Response | TransportError

ANSWERS_IN_DOUBT: list[tuple[str, Callable[[], Outcome]]] = [
    *((str(status), lambda status=status: Response(status, body=b"<html>")) for status in IN_DOUBT),
    ("no reply", lambda: StreamLost("broke before an answer came")),
    ("no reply in time", lambda: TimeoutExpired("late", setting="join")),
]
PROOFS: list[tuple[str, Callable[[], Outcome]]] = [
    *((str(status), lambda status=status: Response(status, body=b"no")) for status in REFUSED),
    ("503 full", lambda: Response(503, body=FULL)),
    ("503 stopped", lambda: Response(503, body=STOPPED)),
    ("refused", lambda: ConnectError("refused")),
    ("a bad certificate", lambda: ConnectError("self-signed", retryable=False)),
    ("no connection in time", lambda: TimeoutExpired("late", setting="connect", retryable=True)),
    ("a login that fails", lambda: StreamLost("cut", phase=Phase.LOGIN)),
]
RETRYABLE = {"429", "503 full", "503 stopped", "refused", "no connection in time"}


class Line:
    """One call of one protocol, driven by hand to the request that a test is about."""

    def __init__(self, protocol: str, version: str) -> None:
        whole = protocol == "openai_chat"
        config = (
            AppConfig(release=(), settings=ChatSettings(model="m", streaming=version == "streamed"))
            if whole
            else AppConfig(
                version=version, release=parse_release(version), protocol=protocol, enable_queue=True
            )
        )
        slots = (Component(1, "textbox"),)
        self.endpoint = Endpoint(name="/x", fn_index=0, inputs=slots, outputs=slots, generator=True)
        self.session: Session = default_registry.get(protocol).session(
            SessionContext(config=config, urls=AppURLs("http://app"), session_hash="hash")
        )
        data: list[Any] = ["hello", []] if whole else ["hello"]
        self.exchange = self.session.open(Invocation(endpoint=self.endpoint, data=data))
        self.failure: GradioTransportError | None = None

    def take(self, turn: Turn) -> list[Command]:
        for delivery in turn.deliveries:
            if isinstance(delivery.event, Failed | ProcessCompleted) and delivery.event.error is not None:
                assert isinstance(delivery.event.error, GradioTransportError)
                self.failure = delivery.event.error
        return turn.commands

    def first(self) -> Command:
        (command,) = self.take(self.session.start(self.exchange, 0.0))
        return command

    def answer(self, command: Command, body: Any) -> list[Command]:
        assert isinstance(command, SendRequest)
        reply = Response(200, body=json.dumps(body).encode())
        return self.take(self.session.reply(command, reply, 1.0))

    def after_the_join(self) -> Command:
        (stream,) = self.answer(self.first(), {"event_id": "e1"})
        return stream

    def after_the_push(self) -> Command:
        self.answer(self.first(), {"hash": "h"})
        return self.poll()

    def poll(self) -> Command:
        (status,) = self.take(self.session.wake("1.poll", 2.0))
        return status

    def after_a_yield(self) -> Command:
        (following,) = self.answer(self.first(), {"data": ["0"], "is_generating": True})
        return following

    def data_of_v0(self) -> Command:
        stream = self.first()
        self.session.stream_opened(stream.channel, Response(200), 0.0)
        text = b'data: {"msg": "send_data", "event_id": "e1"}\n\n'
        (data,) = self.take(self.session.data_received(stream.channel, text, 1.0))
        return data

    def end(self, command: Command, make: Callable[[], Outcome]) -> GradioTransportError:
        """Return the error that an outcome ends the call with; polls may get lost a few times before."""
        for _ in range(5):
            assert isinstance(command, SendRequest | OpenStream | OpenWebSocket)
            outcome = make()
            if isinstance(outcome, Response):
                self.take(self.session.reply(command, outcome, 3.0))
            else:
                self.take(self.session.failed(command, outcome, 3.0))
            if self.failure is not None:
                return self.failure
            command = self.poll()
        raise AssertionError("the call goes on")


SHARED = [
    ("sse_v1", "4.9.0"),
    ("sse_v1", "4.16.0"),
    ("sse_v2", "4.20.1"),
    ("sse_v2.1", "4.44.1"),
    ("sse_v3", "6.31.0"),
]
SIMPLE = [("call", "4.44.1"), ("call", "6.31.0"), ("call_v2", "6.31.0")]

WITH_DATA = [
    *((*one, Line.first) for one in (*SHARED, *SIMPLE)),
    ("sse", "4.8.0", Line.data_of_v0),
    ("direct", "2.9.4", Line.first),
    ("direct", "3.50.2", Line.first),
    ("direct", "6.31.0", Line.first),
    ("polling", "2.9.4", Line.first),
    ("polling", "3.0.20", Line.first),
    ("openai_chat", "streamed", Line.first),
    ("openai_chat", "whole", Line.first),
]
WITHOUT_DATA = [
    ("sse", "4.8.0", Line.first),
    ("websocket", "3.1.6", Line.first),
    ("websocket", "3.50.2", Line.first),
]
AFTERWARDS = [
    *((*one, Line.after_the_join) for one in (*SHARED, *SIMPLE)),
    ("polling", "2.9.4", Line.after_the_push),
    ("polling", "3.0.20", Line.after_the_push),
    ("direct", "3.50.2", Line.after_a_yield),
    ("direct", "5.50.0", Line.after_a_yield),
]
EVERY = [*ANSWERS_IN_DOUBT, *PROOFS]


def requests(listed: list[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("protocol", "version", "reach"), listed, ids=[f"{one[0]} {one[1]}" for one in listed]
    )


def outcomes(listed: list[Any]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("name", "make"), listed, ids=[one[0] for one in listed])


@requests(WITH_DATA)
@outcomes(ANSWERS_IN_DOUBT)
def test_an_answer_that_proves_nothing_leaves_it_in_doubt(protocol, version, reach, name, make) -> None:
    if protocol == "direct" and version == "2.9.4" and name == "500":
        pytest.skip("before 3.1.7 this is the app's own error")
    line = Line(protocol, version)
    command = reach(line)
    error = line.end(command, make)
    assert (error.may_have_run, error.retryable) == (True, False)
    assert not is_repeatable(command, make())


@requests(WITH_DATA)
@outcomes(PROOFS)
def test_a_request_that_was_refused_or_never_sent_has_not_run_it(
    protocol, version, reach, name, make
) -> None:
    line = Line(protocol, version)
    command = reach(line)
    error = line.end(command, make)
    assert (error.may_have_run, error.retryable) == (False, name in RETRYABLE)
    if is_repeatable(command, make()):
        assert error.retryable


@requests(WITHOUT_DATA)
@outcomes(EVERY)
def test_before_the_data_are_sent_nothing_has_run_whatever_is_answered(
    protocol, version, reach, name, make
) -> None:
    line = Line(protocol, version)
    error = line.end(reach(line), make)
    assert not error.may_have_run


@requests(AFTERWARDS)
@outcomes(EVERY)
def test_after_a_call_was_accepted_no_outcome_proves_that_it_has_not_run(
    protocol, version, reach, name, make
) -> None:
    line = Line(protocol, version)
    error = line.end(reach(line), make)
    assert (error.may_have_run, error.retryable) == (True, False)
