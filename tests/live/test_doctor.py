# SPDX-License-Identifier: Apache-2.0
"""`doctor` on real servers, directly and through a real nginx."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from examined import examined, results, text
from nginx import PASSES_ALL, installed, nginx

from conformance.servers import Server
from gradio_transport.app.config import AppConfig
from gradio_transport.doctor.report import Result
from gradio_transport.errors import AuthenticationRequired, StreamLost

pytestmark = pytest.mark.live

through_nginx = pytest.mark.skipif(not installed(), reason="nginx is not installed")

SICK = {
    "healthy": "",
    "cutting": "proxy_read_timeout 2s;",
    "small": "client_max_body_size 1m;",
    "another host": "proxy_set_header Host app.internal;",
    "no upgrade": 'proxy_set_header Upgrade ""; proxy_set_header Connection "";',
}


def _without(changed: str) -> str:
    """Return the directives of a healthy proxy without those that another one replaces."""
    names = {
        " ".join(one.split()[: 2 if "set_header" in one else 1]) for one in changed.split(";") if one.strip()
    }
    kept = [one for one in PASSES_ALL.split(";") if one.strip()]
    return ";".join(
        one for one in kept if " ".join(one.split()[: 2 if "set_header" in one else 1]) not in names
    )


@pytest.fixture(scope="module")
def proxies(server: Server) -> Iterator[dict[str, str]]:
    if not installed():
        pytest.skip("nginx is not installed")
    url = server.url()
    servers = {
        name: f"location / {{ {_without(changed)}; {changed} proxy_pass {url}; }}"
        for name, changed in SICK.items()
    }
    servers["default"] = f"location / {{ proxy_pass {url}; }}"
    servers["below"] = f"location /app/ {{ {PASSES_ALL} proxy_pass {url}/; }}"
    servers["dead"] = "location / { proxy_pass http://127.0.0.1:9; }"
    with nginx(servers) as urls:
        yield urls


def release(server: Server) -> tuple[int, ...]:
    return tuple(int(part) for part in server.version.split("."))


def has_heartbeats(server: Server) -> bool:
    return release(server) >= (4, 25)


def test_a_real_app_is_healthy(server: Server) -> None:
    before = server.log_tail()
    report = examined(server.url(), hold=1)

    assert results(report) == {}
    assert server.version in text(report.step("gradio"))
    if has_heartbeats(server):
        assert report.step("hold").result is Result.OK
    if (3, 6) <= release(server) < (4,):
        assert report.step("websocket").result is Result.OK
    assert "Traceback" not in server.log_tail().removeprefix(before)


def test_a_real_call(server: Server) -> None:
    scenario = server.scenario("hello")

    def prepare(config: AppConfig) -> Any:
        return config.endpoint(scenario.fn_index), ("Ada",), {}

    report = examined(scenario.url, hold=0.5, call=prepare)

    assert report.step("call").result is Result.OK, text(report.step("call"))


def test_the_login_of_a_real_app(server: Server) -> None:
    refused = examined(server.url("auth"), hold=0.5)
    wrong = examined(server.url("auth"), hold=0.5, auth=("admin", "wrong"))
    admitted = examined(server.url("auth"), hold=0.5, auth=("admin", "secret"))

    assert isinstance(refused.error, AuthenticationRequired)
    assert "The app has its own login" in text(refused.step("login"))
    assert "and refused yours" in text(wrong.step("login"))
    assert results(admitted) == {}


def test_a_real_proxy_that_passes_all_on(server: Server, proxies: dict[str, str]) -> None:
    assert results(examined(proxies["healthy"], hold=1)) == {}


def test_a_real_proxy_as_it_is_by_default(server: Server, proxies: dict[str, str]) -> None:
    report = examined(proxies["default"], hold=1)

    assert report.step("upload").result is Result.WARNING
    if release(server) >= (4, 18):
        assert report.step("root").result is Result.WARNING
    if has_heartbeats(server):
        assert report.step("stream").result is Result.WARNING
        assert "proxy_buffering off" in text(report.step("stream"))
    if (3, 6) <= release(server) < (4,):
        assert "proxy_set_header Upgrade" in text(report.step("websocket"))


def test_a_real_proxy_that_cuts_streams(server: Server, proxies: dict[str, str]) -> None:
    if not has_heartbeats(server):
        pytest.skip("streams of this version show nothing without a call")
    report = examined(proxies["cutting"], hold=5)

    assert report.step("hold").result is Result.FAILURE
    assert "silent for 2 s" in text(report.step("hold"))
    assert "proxy_read_timeout" in text(report.step("hold"))
    assert isinstance(report.error, StreamLost)


def test_a_real_proxy_with_a_small_limit(server: Server, proxies: dict[str, str]) -> None:
    report = examined(proxies["small"], hold=0.5)

    assert results(report) == {"upload": "warning"}
    assert "HTTP 413" in text(report.step("upload"))


def test_a_real_proxy_that_names_another_host(server: Server, proxies: dict[str, str]) -> None:
    report = examined(proxies["another host"], hold=0.5)

    if release(server) < (4, 18):  # names no host in its root
        assert results(report) == {}
    else:
        assert "http://app.internal" in text(report.step("root"))


def test_a_real_proxy_that_refuses_upgrades(server: Server, proxies: dict[str, str]) -> None:
    report = examined(proxies["no upgrade"], hold=0.5)

    if (3, 6) <= release(server) < (4,):
        assert report.step("websocket").result is Result.FAILURE
    else:
        assert results(report) == {}


def test_a_wrong_path(server: Server, proxies: dict[str, str]) -> None:
    too_few = examined(proxies["below"], hold=0.5)
    too_many = examined(f"{proxies['healthy']}/wrong", hold=0.5)
    right = examined(f"{proxies['below']}/app", hold=0.5)

    assert f"{proxies['below']}/app" in text(too_few.step("login")) + text(too_few.step("gradio"))
    assert f"A Gradio app answers at {proxies['healthy']}." in text(too_many.step("gradio"))
    if release(server) >= (4, 18):
        assert "root_path='/app'" in text(right.step("root"))


def test_a_dead_app_behind_a_real_proxy(server: Server, proxies: dict[str, str]) -> None:
    assert "the app behind it does not" in text(examined(proxies["dead"]).step("gradio"))
