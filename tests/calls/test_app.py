# SPDX-License-Identifier: Apache-2.0
"""How long silence is borne: not long where a server sends heartbeats, an hour where it has none."""

from __future__ import annotations

import time
from typing import Any

import pytest

import gradio_transport as gt
from gradio_transport.adapter.exchange import Invocation, SessionContext
from gradio_transport.adapter.registry import default_registry
from gradio_transport.app.config import Endpoint
from gradio_transport.app.config_parsing import parse_config
from gradio_transport.calls.app import App
from gradio_transport.calls.options import Options
from gradio_transport.engines.deadline import Deadline
from gradio_transport.protocol.commands import OpenStream, OpenWebSocket, Request, SendRequest
from gradio_transport.protocol.urls import AppURLs

POST = Request.post_json("http://app/run", {})
IDLE = 30.0


def silence(command: Any, **timeouts: float | None) -> float | None:
    given = gt.Timeouts(**{"idle": IDLE, **timeouts})
    return App("http://app", Options()).patience(command, given).silence


def first_command(adapter: str, version: str) -> Any:
    """Return what a call of an adapter begins with on a server of a version."""
    context = SessionContext(
        config=parse_config({"version": version, "components": [], "dependencies": []}),
        urls=AppURLs("http://app", ""),
        session_hash="hash",
        timeouts=gt.Timeouts(),
        limits=gt.Limits(),
        strict=False,
    )
    session = default_registry.get(adapter).session(context)
    exchange = session.open(Invocation(endpoint=Endpoint(name="/a", fn_index=0), data=()))
    return session.start(exchange, 0.0).commands[0]


@pytest.mark.parametrize(
    ("adapter", "version"),
    [("websocket", "3.20.0"), ("sse", "4.0.2"), ("sse", "4.3.0"), ("direct", "5.0.0")],
)
def test_silence_is_borne_for_an_hour_where_there_are_no_heartbeats(adapter: str, version: str) -> None:
    command = first_command(adapter, version)
    assert silence(command) == 3600
    assert silence(command, idle=7200) == 7200
    assert silence(command, idle=5, no_heartbeat=5) == 5
    assert silence(command, no_heartbeat=None) is None
    assert silence(command, idle=None) is None


def test_silence_is_not_borne_where_there_are_heartbeats() -> None:
    assert silence(first_command("sse", "4.4.0")) == IDLE
    assert silence(OpenStream("stream", POST)) == IDLE
    assert silence(OpenStream("stream", POST), idle=None) is None


def test_what_is_left_of_a_call_is_less_than_the_hour() -> None:
    app = App("http://app", Options())
    deadline = Deadline(time.monotonic() + 5, "total", 60)
    command = OpenWebSocket("1.ws", "ws://app/queue/join")
    bound = app.patience(command, gt.Timeouts(idle=IDLE, total=60), deadline)
    assert bound.silence_seconds == pytest.approx(5, abs=1)


@pytest.mark.parametrize(
    ("phase", "setting"),
    [(gt.errors.Phase.JOIN, "join"), (gt.errors.Phase.UPLOAD, "upload"), (gt.errors.Phase.LOGIN, "login")],
)
def test_short_requests_have_bounds_of_their_own(phase: gt.errors.Phase, setting: str) -> None:
    assert silence(SendRequest("1.x", POST, phase), **{setting: 7.0}) == 7.0
