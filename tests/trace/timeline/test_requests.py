# SPDX-License-Identifier: Apache-2.0
"""Requests with their replies, and each try of them."""

from __future__ import annotations

import pytest
from timelines import Script, call_of
from tracing import EVENT, program

from gradio_transport.protocol.frames import Direction, Kind
from gradio_transport.trace import Outcome
from gradio_transport.trace.timeline.model import UNKNOWN_REQUEST


def test_a_request_has_its_reply() -> None:
    call = call_of(program(data=["x"]))
    join, stream = call.requests
    assert (join.name, join.target, join.phase) == ("POST", "/gradio_api/queue/join", "join")
    assert (join.status, join.reply) == (200, {"event_id": EVENT})
    assert join.value["data"] == ["x"]
    assert join.seconds == pytest.approx(1 / 8)
    assert join.frames == [join.frame, join.frame + 1]
    assert (stream.shared, stream.status) == (True, 200)
    assert stream.stream is not None
    assert (stream.stream.events, stream.stream.ending) == (6, "clean")
    assert stream.stream.size > 100


def test_each_try_is_a_step() -> None:
    script = Script().call().ask("1.join").answer("1.join", {}, 503, attempt=1)
    script.ask("1.join", attempt=2).answer("1.join", {"event_id": "e"})
    first, second = script.only.requests
    assert (first.attempt, first.status, first.retried) == (1, 503, True)
    assert (second.attempt, second.status, second.retried) == (2, 200, False)
    assert script.only.outcome is Outcome.UNFINISHED


def test_a_renewed_login_is_beside_the_call() -> None:
    script = Script().call().ask("1.join").answer("1.join", {}, 401, attempt=1)
    script.add(
        Direction.OUT,
        Kind.REQUEST,
        "login",
        session=0,
        method="POST",
        url="http://h/login",
        phase="login",
    )
    script.add(Direction.IN, Kind.RESPONSE, "login", session=0, status=200, body=b"{}", headers={})
    line = script.ask("1.join", attempt=2).answer("1.join", {"event_id": "e"}).timeline
    (login,) = line.others
    assert (login.channel, login.status) == ("login", 200)
    assert line.discovery == []


def test_a_reply_belongs_to_the_request_with_its_url() -> None:
    script = Script()
    for name in ("one", "two"):
        script.add(Direction.OUT, Kind.REQUEST, "file", session=0, method="GET", url=f"http://h/{name}")
    for name, status in (("two", 200), ("one", 404)):
        script.add(Direction.IN, Kind.RESPONSE, "file", session=0, status=status, url=f"http://h/{name}")
    one, two = script.timeline.others
    assert (one.target, one.status, two.target, two.status) == ("/one", 404, "/two", 200)


def test_a_reply_without_its_request_is_a_step_of_its_own() -> None:
    (step,) = Script().call().answer("1.join", {"event_id": "e"}).only.requests
    assert (step.name, step.status, step.reply) == (UNKNOWN_REQUEST, 200, {"event_id": "e"})
