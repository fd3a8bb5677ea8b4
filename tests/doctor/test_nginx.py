# SPDX-License-Identifier: Apache-2.0
"""A real nginx before an app that is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from examined import examined, results, text
from heartbeats import app
from nginx import PASSES_ALL, installed, nginx
from scripted import Scripted

from gradio_transport.doctor.report import Result

pytestmark = pytest.mark.skipif(not installed(), reason="nginx is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with app() as server:
        yield server


@pytest.fixture(scope="module")
def proxies(server: Scripted) -> Iterator[dict[str, str]]:
    def location(more: str, path: str = "/", target: str = server.url) -> str:
        return f"location {path} {{ {more} proxy_pass {target}; }}"

    servers = {
        "healthy": location(PASSES_ALL),
        "default": location(""),
        "unbuffered": location("proxy_buffering off;"),
        "cutting": location(PASSES_ALL.replace("3600s", "1s")),
        "small": location(PASSES_ALL.replace("100m", "1m")),
        "gzip": "gzip on; gzip_types text/event-stream; gzip_min_length 0; gzip_proxied any;"
        + location(PASSES_ALL),
        "dead": location(PASSES_ALL, target="http://127.0.0.1:9"),
        "below": location(PASSES_ALL, "/app/", f"{server.url}/"),
        "closing": "keepalive_timeout 0;" + location(PASSES_ALL),
        "https": "return 301 https://127.0.0.1:9$request_uri;",
        "basic": 'auth_basic "Staff"; auth_basic_user_file /dev/null;' + location(PASSES_ALL),
    }
    with nginx(servers) as urls:
        yield urls


def test_a_proxy_that_passes_all_on(proxies: dict[str, str]) -> None:
    assert results(examined(proxies["healthy"])) == {}


def test_a_proxy_as_it_is_by_default(proxies: dict[str, str]) -> None:
    report = examined(proxies["default"])

    assert results(report) == {"stream": "warning", "upload": "warning"}
    assert "did not come within" in text(report.step("stream"))
    assert "proxy_buffering off" in text(report.step("stream"))
    assert "client_max_body_size" in text(report.step("upload"))


def test_what_is_advised_against_buffering_helps(proxies: dict[str, str]) -> None:
    assert results(examined(proxies["unbuffered"])) == {"upload": "warning"}


def test_a_proxy_that_cuts_streams(proxies: dict[str, str]) -> None:
    report = examined(proxies["cutting"], hold=3)

    assert results(report) == {"hold": "failure"}
    assert "silent for 1 s" in text(report.step("hold"))


def test_a_proxy_with_a_small_limit(proxies: dict[str, str]) -> None:
    assert results(examined(proxies["small"])) == {"upload": "warning"}


def test_a_proxy_that_compresses_streams(proxies: dict[str, str]) -> None:
    report = examined(proxies["gzip"], until="compression")

    assert "warning" in (report.step("stream").result, report.step("compression").result)
    assert "gzip" in text(report.step("stream")) + text(report.step("compression"))


def test_a_proxy_without_its_app(proxies: dict[str, str]) -> None:
    assert "(nginx/" in text(examined(proxies["dead"], until="gradio").step("gradio"))
    assert "the app behind it does not" in text(examined(proxies["dead"], until="gradio").step("gradio"))


def test_a_wrong_path(proxies: dict[str, str]) -> None:
    step = examined(proxies["below"])

    assert f"Use {proxies['below']}/app" in text(step.step("gradio")) + text(step.step("login"))


def test_a_proxy_that_closes_connections(proxies: dict[str, str]) -> None:
    assert results(examined(proxies["closing"])) == {"keep-alive": "warning"}


def test_a_login_of_the_proxy(proxies: dict[str, str]) -> None:
    step = examined(proxies["basic"], until="login").step("login")

    assert step.result is Result.FAILURE
    assert "HTTP basic authentication" in text(step)


def test_a_redirect_to_a_dead_port(proxies: dict[str, str]) -> None:
    report = examined(proxies["https"], until="gradio")

    assert "redirects to https://127.0.0.1:9/config (HTTP 301)" in text(report.step("redirects"))
    assert report.step("gradio").result is Result.FAILURE
