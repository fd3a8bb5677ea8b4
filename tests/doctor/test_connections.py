# SPDX-License-Identifier: Apache-2.0
"""Connections, replicas, the limit of uploads, clocks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from examined import examined, results, text
from heartbeats import app
from middle import middle
from scripted import Reply

from gradio_transport.doctor import connections
from gradio_transport.doctor.report import Result
from gradio_transport.errors import StreamLost


def test_a_proxy_that_closes_each_connection() -> None:
    with app() as server, middle(server.url, closes=True) as proxy:
        report = examined(proxy.url)

    step = report.step("keep-alive")
    assert step.result is Result.WARNING
    assert "The connection was closed by its reply; each request opens another one." in text(step)
    assert results(report) == {"keep-alive": "warning"}


def test_a_server_that_closes_after_the_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.5)
    with app() as server:
        app_id = server.default("/gradio_api/app_id")

        def close(reply: Reply) -> None:
            app_id(reply)
            reply.cut()

        server.scripts["/gradio_api/app_id"] = close
        step = examined(server.url, until="keep-alive").step("keep-alive")

    assert "was closed within 0.5 s" in text(step)


def test_two_replicas_that_take_turns() -> None:
    with app(app_id=1) as one, app(app_id=2) as two, middle(one.url, two.url) as balancer:
        report = examined(balancer.url)

    step = report.step("replicas")
    assert step.result is Result.FAILURE
    assert "8 connections led to 2 processes (4, 4 requests each)." in text(step)
    assert "sticky sessions" in text(step)
    assert isinstance(report.error, StreamLost)


def test_a_balancer_that_is_sticky() -> None:
    with app() as server, middle(server.url) as balancer:
        balancer.headers = {"set-cookie": "AWSALB=abc123; path=/", "x-served-by": "cache-1"}
        step = examined(balancer.url, until="replicas").step("replicas")

    assert step.result is Result.OK
    assert "The cookie AWSALB keeps a visitor there" in text(step)
    assert "x-served-by: cache-1." in text(step)


def test_a_server_without_ids() -> None:
    with app() as server:
        server.scripts["/gradio_api/app_id"] = lambda reply: reply.json({"detail": "Not Found"}, 404)
        assert examined(server.url, until="replicas").step("replicas").result is Result.SKIPPED


def test_one_replica_that_is_down() -> None:
    turns: Iterator[bool] = iter([False] * 4 + [True] * 20)
    with app() as server:
        app_id = server.default("/gradio_api/app_id")

        def sometimes(reply: Reply) -> None:
            if next(turns):
                reply.reset()
            else:
                app_id(reply)

        server.scripts["/gradio_api/app_id"] = sometimes
        step = examined(server.url, until="replicas").step("replicas")

    assert step.result is Result.WARNING
    assert "One of several replicas may be down" in text(step)


def test_a_proxy_that_takes_no_large_body() -> None:
    with app() as server, middle(server.url, max_body=1_000_000) as proxy:
        report = examined(proxy.url, until="upload")

    step = report.step("upload")
    assert step.result is Result.WARNING
    assert "A request of 1.5 MB is refused by a proxy with HTTP 413." in text(step)
    assert "client_max_body_size" in text(step)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"max_file_size": 5_000_000}, "The app accepts files of up to 5.0 MB."),
        ({"max_file_size": 5_000}, "The app accepts files of up to 5,000 bytes."),
        ({}, "The app sets no limit on files."),
    ],
)
def test_the_limit_of_the_app(config: dict[str, int], says: str) -> None:
    with app(**config) as server:
        assert says in text(examined(server.url, until="upload").step("upload"))


@pytest.mark.parametrize(
    ("date", "side"),
    [("Thu, 01 Jan 2015 00:00:00 GMT", "ahead of"), ("Thu, 01 Jan 2099 00:00:00 GMT", "behind")],
)
def test_clocks_that_differ(date: str, side: str) -> None:
    with app() as server, middle(server.url, date=date) as proxy:
        step = examined(proxy.url, until="clock").step("clock")

    assert step.result is Result.WARNING
    assert f"s {side} that of the server" in text(step)


def test_a_server_that_does_not_send_its_time() -> None:
    with app() as server, middle(server.url, date="") as proxy:
        assert examined(proxy.url, until="clock").step("clock").result is Result.SKIPPED


def test_the_times() -> None:
    with app() as server:
        step = examined(server.url, until="times").step("times")

    for name in ("TCP", "config", "info", "stream"):
        assert f"{name} " in text(step)
