# SPDX-License-Identifier: Apache-2.0
"""Proxies of the environment: which are set, and whether they catch the URL."""

from __future__ import annotations

import pytest
from examined import examined, text
from heartbeats import app
from internet import internet
from middle import middle
from proxies import connect_proxy

from gradio_transport.doctor.report import Result
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import AuthenticationRequired, ConnectError


def test_none_is_set() -> None:
    with app() as server:
        assert text(examined(server.url, until="proxy").step("proxy")).startswith("No proxy variable is set")


def test_a_dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:s3cret@127.0.0.1:9")
    report = examined("http://app.example")

    assert "go through the proxy http://127.0.0.1:9 (of http_proxy)" in text(report.step("proxy"))
    tcp = report.step("tcp")
    assert tcp.result is Result.FAILURE
    assert "The proxy http://127.0.0.1:9 (of http_proxy) does not answer. Correct http_proxy" in text(tcp)
    assert isinstance(report.error, ConnectError)
    assert "s3cret" not in str([text(step) for step in report.steps])


def test_an_excepted_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")
    with app() as server:
        report = examined(server.url)

    assert report.result is Result.OK
    assert "NO_PROXY excepts 127.0.0.1" in text(report.step("proxy"))


def test_a_proxy_for_other_schemes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with app() as server:
        step = examined(server.url, until="proxy").step("proxy")

    assert "None of them applies to http://127.0.0.1: requests go to it directly." in text(step)


def test_a_proxy_before_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    step = examined("http://localhost:7860", until="proxy").step("proxy")

    assert step.result is Result.WARNING
    assert "Set NO_PROXY=localhost" in text(step)


def test_a_proxy_that_is_no_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "gopher://user:s3cret@proxy.example")
    report = examined("http://app.example", until="proxy")

    step = report.step("proxy")
    assert step.result is Result.FAILURE
    assert "http_proxy=(not a URL)" in text(step)
    assert "s3cret" not in text(step)


def test_two_spellings_that_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:10")
    step = examined("http://app.example", until="proxy").step("proxy")

    assert step.result is Result.WARNING
    assert "http_proxy and HTTP_PROXY differ" in text(step)


def test_an_environment_that_is_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with app() as server:
        report = examined(server.url, http=HTTPSettings(trust_env=False), until="gradio")

    assert report.step("gradio").result is Result.OK


def test_a_proxy_that_wants_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    with connect_proxy(login="ann:right") as proxy:
        monkeypatch.setenv("https_proxy", f"http://ann:wr0ng@127.0.0.1:{proxy.port}")
        report = examined("https://app.example", until="tls")

    step = report.step("tls")
    assert step.result is Result.FAILURE
    assert "HTTP 407" in text(step)
    assert "user and password" in text(step)
    assert "wr0ng" not in text(step)


def test_a_forwarding_proxy_that_wants_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    with app() as server:
        server.below["/"] = lambda reply: reply.text("login", 407)
        monkeypatch.setenv("http_proxy", server.url)
        report = examined("http://app.example")

    assert report.step("gradio").result is Result.FAILURE
    assert "http://user:password@proxy" in text(report.step("gradio"))
    assert isinstance(report.error, AuthenticationRequired)


def test_a_proxy_that_answers_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    with app() as server:
        server.below["/"] = lambda reply: reply.text("<h1>Blocked by policy</h1>", 200)
        monkeypatch.setenv("http_proxy", server.url)
        step = examined("http://app.example", until="gradio").step("gradio")

    assert "Blocked by policy" in text(step)
    assert f"The proxy {server.url} (of http_proxy) may have replied itself." in text(step)


def test_keep_alive_and_the_name_are_those_of_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with app() as server, middle(server.url) as proxy, internet():
        proxy.prefix = "http://app.example"
        monkeypatch.setenv("http_proxy", proxy.url)
        report = examined("http://app.example", until="keep-alive")

    assert report.step("gradio").result is Result.OK
    assert report.step("keep-alive").result is Result.SKIPPED
    assert report.step("name").result is Result.OK
