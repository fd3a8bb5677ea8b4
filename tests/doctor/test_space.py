# SPDX-License-Identifier: Apache-2.0
"""Spaces, by a Hub on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from examined import examined, text
from heartbeats import app
from hub import TOKEN, Hub, hub_of
from nginx import free_port
from scripted import Scripted

from gradio_transport.doctor.report import Result
from gradio_transport.errors import (
    ConnectError,
    NotAGradioApp,
    SpaceNotFound,
    SpaceNotRunning,
    TransportError,
)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with app() as server:
        yield server


@pytest.fixture
def hub(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_of(server, monkeypatch) as hub:
        yield hub


def test_a_space_that_runs(hub: Hub, server: Scripted) -> None:
    report = examined("ann/app")

    step = report.step("space")
    assert step.result is Result.OK, text(step)
    assert "ann/app: stage RUNNING, SDK gradio, public." in text(step)
    assert f"Its app is at {server.url}." in text(step)
    assert report.step("gradio").result is Result.OK
    assert report.result is Result.OK


@pytest.mark.parametrize("stage", ["SLEEPING", "BUILDING", "APP_STARTING"])
def test_a_space_that_sleeps_is_not_woken(hub: Hub, server: Scripted, stage: str) -> None:
    hub.stage = stage
    report = examined("ann/app")

    step = report.step("space")
    assert step.result is Result.WARNING
    assert f"stage {stage}" in text(step)
    assert "gradio-transport list ann/app" in text(step)
    assert {one.blocked_by for one in report.steps[2:]} == {"space"}
    assert report.result is Result.WARNING
    assert server.seen == []


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        ("PAUSED", "Its owner paused it"),
        ("RUNTIME_ERROR", "The app ended with an error"),
        ("BUILD_ERROR", "It could not be built"),
    ],
)
def test_a_space_that_has_failed(hub: Hub, stage: str, says: str) -> None:
    hub.stage = stage
    hub.runtime = {"errorMessage": "ModuleNotFoundError: torch"}
    report = examined("ann/app")

    step = report.step("space")
    assert step.result is Result.FAILURE
    assert says in text(step)
    assert "The Hub reports: ModuleNotFoundError: torch" in text(step)
    assert f"{hub.server.url}/spaces/ann/app" in text(step)
    assert isinstance(report.error, SpaceNotRunning)


def test_a_static_space(hub: Hub) -> None:
    hub.space = {"sdk": "static"}
    report = examined("ann/app", until="space")

    assert "Nothing there can be called" in text(report.step("space"))
    assert report.step("space").result is Result.FAILURE


def test_a_docker_space_that_is_no_gradio(hub: Hub, server: Scripted) -> None:
    hub.space = {"sdk": "docker"}
    server.below["/"] = lambda reply: reply.text("<title>Streamlit</title>")
    report = examined("ann/app")

    assert "whose container may run an app of any kind" in text(report.step("space"))
    assert "That is a Streamlit app." in text(report.step("gradio"))
    assert isinstance(report.error, NotAGradioApp)


def test_a_space_that_is_not_there(hub: Hub) -> None:
    report = examined("ann/other")

    step = report.step("space")
    assert step.result is Result.FAILURE
    assert "Check the spelling. If it is private, pass --token" in text(step)
    assert isinstance(report.error, SpaceNotFound)


def test_a_private_space(hub: Hub) -> None:
    hub.is_private = True
    report = examined("ann/app", saved_token=True, until="space")

    assert "pass --token, or log in with 'hf auth login'" in text(report.step("space"))
    assert report.step("space").result is Result.FAILURE


def test_a_private_space_with_its_token(hub: Hub) -> None:
    hub.is_private = True
    report = examined("ann/app", token=TOKEN, token_origin=hub.host)

    step = report.step("space")
    assert "The Hub shows it with your token." in text(step)
    assert "private" in text(step)
    assert report.step("gradio").result is Result.OK
    assert TOKEN not in str([text(one) for one in report.steps])


def test_the_saved_token_is_used_where_the_hub_hides_a_space(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.is_private = True
    monkeypatch.setattr("huggingface_hub.get_token", lambda: TOKEN)
    report = examined("ann/app", saved_token=True, token_origin=hub.host, until="gradio")

    assert "only with the token saved by huggingface_hub" in text(report.step("space"))
    assert report.step("gradio").result is Result.OK


def test_a_saved_token_is_not_used_where_it_may_not(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.is_private = True
    monkeypatch.setattr("huggingface_hub.get_token", lambda: TOKEN)

    assert examined("ann/app", until="space").step("space").result is Result.FAILURE


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    report = examined("ann/app")

    assert "Check the connection to http://127.0.0.1" in text(report.step("space"))
    assert isinstance(report.error, ConnectError)
    assert isinstance(report.error, TransportError)
