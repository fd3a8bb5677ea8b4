# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from gradio_transport.app.credentials import Credentials

APP = "http://app.example:7860"


def bound(**headers: str) -> Credentials:
    return Credentials.bound_to(APP, headers)


@pytest.mark.parametrize(
    "url",
    [
        "http://other.example/x",
        "https://app.example:7860/x",
        "http://app.example/x",
        "http://app.example.evil/x",
    ],
)
def test_nothing_is_shown_to_another_origin(url: str) -> None:
    credentials = bound(Authorization="secret")
    credentials.store(APP, ["session=1"])
    assert credentials.for_url(url, {"accept": "x"}) == {"accept": "x"}


def test_the_own_origin_sees_headers_and_cookies_and_the_callers_win() -> None:
    credentials = bound(Authorization="secret", Accept="mine")
    credentials.store(f"{APP}/config", ["a=1; Path=/", "b=2"])
    assert credentials.for_url(f"{APP}/x", {"Accept": "theirs"}) == {
        "accept": "mine",
        "authorization": "secret",
        "cookie": "a=1; b=2",
    }
    websocket = APP.replace("http:", "ws:") + "/queue/join"
    assert credentials.for_url(websocket, {})["authorization"] == "secret"


def test_a_callers_cookie_is_never_overwritten() -> None:
    credentials = bound(Cookie="a=mine")
    credentials.store(APP, ["a=theirs", "b=2"])
    assert credentials.for_url(APP, {})["cookie"] == "a=mine; b=2"


def test_a_callers_mapping_is_not_changed() -> None:
    headers = {"X-Key": "1"}
    credentials = Credentials.bound_to(APP, headers)
    credentials.headers["more"] = "2"
    assert headers == {"X-Key": "1"}


def test_secure_cookies_go_back_to_the_origin_that_set_them_over_plain_http_too() -> None:
    credentials = bound()
    credentials.store(f"{APP}/login", ["access-token=t; Secure; HttpOnly; SameSite=none"])
    assert credentials.for_url(APP, {})["cookie"] == "access-token=t"


@pytest.mark.parametrize(
    ("cookie", "path", "sent"),
    [
        ("a=1; Path=/app", "/app/x", True),
        ("a=1; Path=/app", "/application", False),
        ("a=1; Path=/app/", "/app/x", True),
        ("a=1; Path=nonsense", "/x", True),
        ("a=1; Domain=example", "/x", True),
    ],
)
def test_paths_of_cookies_are_kept_to(cookie: str, path: str, sent: bool) -> None:
    credentials = bound()
    credentials.store(APP, [cookie])
    assert ("cookie" in credentials.for_url(APP + path, {})) is sent


def test_cookies_are_replaced_deleted_and_bounded() -> None:
    credentials = bound()
    credentials.store(APP, ["a=1", "a=2", "b=1", "b=; Max-Age=0", "nonsense", "=x"])
    assert credentials.for_url(APP, {})["cookie"] == "a=2"
    credentials.store(APP, [f"c{number}=1" for number in range(5000)])
    assert len(credentials.for_url(APP, {})["cookie"].split(";")) <= 300


def test_cookies_of_another_origin_are_not_taken() -> None:
    credentials = bound()
    left_out = credentials.store("http://other.example", ["a=secret", "b=secret"])
    assert [one.name for one in left_out] == ["a", "b"]
    assert "another origin" in left_out[0].why
    assert "secret" not in repr(left_out)
    assert credentials.for_url(APP, {}) == {}


def test_an_upgrade_of_the_same_host_keeps_headers_and_any_other_move_drops_them() -> None:
    credentials = Credentials.bound_to("http://app.example", {"authorization": "secret"})
    credentials.rebind("https://app.example/config")
    assert credentials.for_url("https://app.example/x", {})["authorization"] == "secret"
    assert credentials.for_url("http://app.example/x", {}) == {}
    credentials.rebind("https://other.example/config")
    assert credentials.for_url("https://other.example/x", {}) == {}


def test_a_token_meant_for_an_origin_follows_its_upgrade_to_https() -> None:
    credentials = Credentials.bound_to("http://app.example", token="hf_x", token_origin="http://app.example")
    credentials.rebind("https://app.example/config")
    assert credentials.for_url("https://app.example/x", {}) == {"authorization": "Bearer hf_x"}
    assert credentials.for_url("http://app.example/x", {}) == {}


def test_a_token_meant_for_another_origin_is_not_taken_along() -> None:
    credentials = Credentials.bound_to(
        "https://owner-app.hf.space", token="hf_x", token_origin="https://app.example"
    )
    credentials.rebind("https://elsewhere.example/config")
    assert credentials.for_url("https://elsewhere.example/x", {}) == {}
    plain = Credentials.bound_to("http://app.example")
    plain.rebind("https://app.example")
    assert plain.token_origin is None
    assert plain.origin == "https://app.example:443"
