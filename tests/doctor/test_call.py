# SPDX-License-Identifier: Apache-2.0
"""A call that was asked for, and how its flow went."""

from __future__ import annotations

import time
from typing import Any

import pytest
from examined import examined, text
from heartbeats import app
from middle import middle
from scripted import Reply, Scripted

from gradio_transport.app.config import AppConfig
from gradio_transport.doctor import call as call_step
from gradio_transport.doctor.report import Result
from gradio_transport.errors import AppError, EndpointNotFound, StreamLost


def calling(name: str, *arguments: Any) -> Any:
    def prepare(config: AppConfig) -> Any:
        return config.endpoint(name), arguments, {}

    return prepare


def timed(server: Scripted, *, seconds: float, at_once: bool = False, duration: float | None = None) -> None:
    """Let the stream of a call take some seconds; `at_once`: all of it comes at the end."""

    def data(reply: Reply) -> None:
        stream = server.messages(reply.query["session_hash"])
        messages = [stream.get() for _ in range(3)]
        reply.stream()
        if at_once:
            time.sleep(seconds)
        for message in messages:
            assert message is not None
            if message["msg"] == "process_completed":
                message["output"]["duration"] = seconds if duration is None else duration
                if not at_once:
                    time.sleep(seconds)
            reply.send(message)
        reply.send({"msg": "close_stream", "event_id": None})
        reply.end()

    server.scripts["/gradio_api/queue/data"] = data


def test_a_call() -> None:
    with app() as server:
        step = examined(server.url, call=calling("/hello", "Ada"), until="call").step("call")

    assert step.result is Result.OK, text(step)
    assert step.seen[0].startswith("/hello returned within ")
    assert "accepted after" in text(step)
    assert "complete after" in text(step)


def test_without_one_nothing_is_called() -> None:
    with app() as server:
        step = examined(server.url, until="call").step("call")
        assert not any("join" in path for path, _ in server.seen)

    assert step.result is Result.SKIPPED
    assert "Add --call" in text(step)


def test_the_steps_of_a_generator() -> None:
    with app() as server:
        step = examined(server.url, call=calling("/count", "x"), until="call").step("call")

    assert "2 steps from" in text(step)


def test_a_long_call_whose_events_come_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_step, "LONG_SECONDS", 0.2)
    with app() as server:
        timed(server, seconds=0.4)
        step = examined(server.url, call=calling("/hello", "Ada"), until="call").step("call")

    assert step.result is Result.OK
    assert "According to the server the function ran 400 ms." in text(step)


def test_a_long_call_whose_events_are_held_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_step, "LONG_SECONDS", 0.2)
    with app() as server:
        timed(server, seconds=0.4, at_once=True)
        step = examined(server.url, call=calling("/hello", "Ada"), until="call").step("call")

    assert step.result is Result.WARNING
    assert "a proxy held them back" in text(step)
    assert "proxy_buffering off" in text(step)


def test_a_silence_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_step, "LONG_SILENCE", 0.2)
    with app() as server:
        timed(server, seconds=0.4)
        step = examined(server.url, call=calling("/hello", "Ada"), until="call").step("call")

    assert "The longest silence on the stream was 0.4 s." in text(step)


def test_a_function_that_raises() -> None:
    with app() as server:
        report = examined(server.url, call=calling("/raise_error", "x"))

    step = report.step("call")
    assert step.result is Result.FAILURE
    assert "the app's own function raised" in text(step)
    assert isinstance(report.error, AppError)


def test_a_proxy_that_cuts_the_call() -> None:
    with app() as server, middle(server.url, cut_after=0.8) as proxy:
        timed(server, seconds=5)
        report = examined(proxy.url, hold=0.1, call=calling("/hello", "Ada"))

    step = report.step("call")
    assert step.result is Result.FAILURE
    assert "The connection ended while the call ran" in text(step)
    assert isinstance(report.error, StreamLost)


def test_an_endpoint_that_is_not_there() -> None:
    with app() as server:
        report = examined(server.url, call=calling("/helo"))

    assert "Did you mean '/hello'?" in text(report.step("call"))
    assert isinstance(report.error, EndpointNotFound)


def test_the_tap_of_the_caller_sees_the_call() -> None:
    frames: list[Any] = []
    with app() as server:
        examined(server.url, tap=frames.append, call=calling("/hello", "Ada"))

    assert any(frame.session for frame in frames)
