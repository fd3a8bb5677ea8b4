# SPDX-License-Identifier: Apache-2.0
"""What people mistype."""

from __future__ import annotations

import pytest
from examined import examined, results, text
from heartbeats import app

from gradio_transport.doctor.address import shown_source
from gradio_transport.doctor.report import Result
from gradio_transport.errors import LocalProtocolError


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("htp://127.0.0.1:7860", "http://127.0.0.1:7860"),
        ("https//example.org/app", "https://example.org/app"),
        ("http:/127.0.0.1:7860", "http://127.0.0.1:7860"),
        ("http:127.0.0.1:7860", "http://127.0.0.1:7860"),
        ("htttps://example.org", "https://example.org"),
        ("ws://127.0.0.1:7860", "http://127.0.0.1:7860"),
        ("http:///example.org", "http://example.org"),
    ],
)
def test_a_misspelt_scheme(source: str, meant: str) -> None:
    report = examined(source)

    step = report.step("address")
    assert step.result is Result.FAILURE
    assert step.advice == (f"Did you mean {meant}?",)
    assert isinstance(report.error, LocalProtocolError)
    assert {one.result for one in report.steps[1:]} == {Result.SKIPPED}
    assert {one.blocked_by for one in report.steps[1:]} == {"address"}


@pytest.mark.parametrize("source", ["ftp://example.org", "http://", "http://127.0.0.1:78600", "a b"])
def test_what_is_no_url(source: str) -> None:
    report = examined(source)

    assert report.step("address").result is Result.FAILURE
    assert isinstance(report.error, LocalProtocolError)


def test_a_page_of_the_hub_is_no_space() -> None:
    assert "not that of a Space" in text(
        examined("https://huggingface.co/models/gpt2/x", until="address").step("address")
    )


def test_a_host_with_a_port_needs_no_scheme() -> None:
    with app() as server:
        step = examined(server.url.removeprefix("http://"), until="address").step("address")

    assert step.result is Result.OK
    assert "No scheme was given" in text(step)


def test_an_address_to_listen_on() -> None:
    with app() as server:
        step = examined(server.url.replace("127.0.0.1", "0.0.0.0"), until="address").step("address")

    assert step.result is Result.WARNING
    assert f"use http://127.0.0.1:{server.server_port}" in text(step)


def test_a_missing_port() -> None:
    step = examined("http://127.0.0.1", until="address").step("address")

    assert step.result is Result.WARNING
    assert "No port was given, so it is 80." in text(step)
    assert "try http://127.0.0.1:7860" in text(step)


@pytest.mark.parametrize(
    "route", ["/gradio_api", "/config", "/queue/join", "/call/hello", "/gradio_api/info"]
)
def test_the_address_of_a_route(route: str) -> None:
    with app() as server:
        report = examined(server.url + route, until="gradio")

    assert f"Pass the address of the app's page: {server.url}." in text(report.step("address"))
    assert report.step("gradio").advice == (f"Use {server.url}",)


def test_a_healthy_app_has_nothing() -> None:
    with app() as server:
        report = examined(server.url)

    assert results(report) == {}
    assert report.result is Result.OK


@pytest.mark.parametrize(
    "source",
    ["http:ann:s3cret@h.example", "htp://ann:s3cret@h.example", "https//ann:s3cret@h.example", "ftp://ann:s3cret@h",
     "http://ann:s3cret@h.example:99999", "http://ann:s3/cret@h.example:1x"],
)  # fmt: skip
def test_a_password_in_what_is_no_url_is_not_shown(source: str) -> None:
    report = examined(source)

    assert report.step("address").result is Result.FAILURE
    assert "cret" not in str([step.as_json() for step in report.steps]) + str(report.error) + shown_source(
        source
    )
