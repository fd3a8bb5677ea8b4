# SPDX-License-Identifier: Apache-2.0
"""What a request is for, by its method and path."""

import pytest

from gradio_transport.trace.traffic.routes import Route, find_target, path_below


@pytest.mark.parametrize(
    ("method", "path", "route", "name"),
    [
        ("GET", "/", Route.PAGE, ""),
        ("GET", "/config", Route.CONFIG, ""),
        ("GET", "/config/", Route.CONFIG, ""),
        ("GET", "/gradio_api/info", Route.INFO, ""),
        ("POST", "/gradio_api/queue/join", Route.JOIN, ""),
        ("GET", "/queue/join", Route.JOIN_STREAM, ""),
        ("GET", "/gradio_api/queue/data", Route.STREAM, ""),
        ("POST", "/queue/data", Route.DATA, ""),
        ("POST", "/api/queue/push/", Route.PUSH, ""),
        ("POST", "/api/queue/status/", Route.STATUS, ""),
        ("POST", "/api/predict/", Route.DIRECT, "predict"),
        ("POST", "/gradio_api/run/a%20b", Route.DIRECT, "a b"),
        ("POST", "/gradio_api/call/add", Route.CALL, "add"),
        ("POST", "/gradio_api/call/v2/add", Route.CALL_V2, "add"),
        ("GET", "/gradio_api/call/add/e1", Route.CALL_STREAM, "add"),
        ("GET", "/gradio_api/call/v2/add/e1", Route.CALL_STREAM, "add"),
        ("POST", "/gradio_api/stream/e1", Route.INPUT, ""),
        ("POST", "/gradio_api/stream/e1/close", Route.INPUT_END, ""),
        ("GET", "/gradio_api/stream/s/1/2/playlist.m3u8", Route.FILE, ""),
        ("GET", "/file=/tmp/a/b.png", Route.FILE, ""),
        ("GET", "/file/a.png", Route.FILE, ""),
        ("GET", "/gradio_api/heartbeat/abc", Route.HEARTBEAT, "abc"),
        ("POST", "/login", Route.LOGIN, ""),
        ("POST", "/cancel", Route.CANCEL, ""),
        ("POST", "/reset/", Route.RESET, ""),
        ("GET", "/assets/index.js", Route.OTHER, ""),
        ("HEAD", "/", Route.OTHER, ""),
        ("GET", "/gradio_apix/info", Route.OTHER, ""),
    ],
)
def test_routes_of_every_generation(method: str, path: str, route: Route, name: str) -> None:
    target = find_target(method, path)
    assert (target.route, target.name) == (route, name)


def test_the_query_is_read_within_bounds() -> None:
    assert find_target("GET", "/queue/data", "session_hash=a%20b&x=").query == {
        "session_hash": "a b",
        "x": "",
    }
    assert find_target("GET", "/queue/data", "&".join(["a=1"] * 1000)).query == {}
    assert find_target("GET", "/queue/data", f"a={'x' * 10_000}").query == {}


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://a.test/app/config?x=1", ("/config", "x=1")),
        ("http://A.test:80/app", ("/", "")),
        ("/config", ("/config", "")),
        ("http://a.test/application/config", None),
        ("https://a.test/app/config", None),
        ("http://b.test/app/config", None),
        ("http://[", None),
        ("http://a.test:99999/app", None),
    ],
)
def test_paths_below_the_app(url: str, found: tuple[str, str] | None) -> None:
    assert path_below(url, ("http://a.test/app",)) == found
