# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from typing import Any

import pytest

from gradio_transport.app.credentials import Credentials
from gradio_transport.errors import LocalProtocolError, Phase, RemoteProtocolError, UntrustedRedirect
from gradio_transport.protocol.urls import origin

APP = "http://app.example:7860"


def bound(**headers: str) -> Credentials:
    return Credentials.bound_to(APP, headers)


def given(url: str, headers: dict[str, str] | None = None, **more: Any) -> Credentials:
    """Return credentials of a caller that gave something."""
    return Credentials.bound_to(url, headers, are_given=True, **more)


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


def test_headers_and_cookies_may_be_set_and_removed_later() -> None:
    credentials = bound(Accept="mine")
    session = credentials.child()
    session.store(APP, ["a=session"])
    credentials.set_header("x-key", "1")
    credentials.set_header("accept", None)
    credentials.set_header("nothing", None)
    credentials.set_cookie("a", "mine")
    credentials.set_cookie("b", "2")
    credentials.set_cookie("nothing", None)
    assert session.cookies == {"a": "mine", "b": "2"}
    assert session.for_url(APP, {}) == {"x-key": "1", "cookie": "a=mine; b=2"}
    session.set_cookie("a", None)
    credentials.set_cookie("a", None)
    assert credentials.cookies == session.cookies == {"b": "2"}
    assert credentials.for_url("http://other.example", {}) == {}


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
        ("a=1; Domain=app.example", "/x", True),
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


def test_an_upgrade_of_the_same_host_keeps_headers_and_any_other_move_is_refused() -> None:
    credentials = given("http://app.example", {"authorization": "secret"})
    credentials.follow("https://app.example/config")
    assert credentials.for_url("https://app.example/x", {})["authorization"] == "secret"
    assert credentials.for_url("http://app.example/x", {}) == {}
    with pytest.raises(UntrustedRedirect):
        credentials.follow("https://other.example/config")
    assert credentials.for_url("https://other.example/x", {}) == {}
    assert credentials.for_url("https://app.example/x", {})["authorization"] == "secret"


def test_a_token_meant_for_an_origin_follows_its_upgrade_to_https() -> None:
    credentials = Credentials.bound_to("http://app.example", token="hf_x", token_origin="http://app.example")
    credentials.follow("https://app.example/config")
    assert credentials.for_url("https://app.example/x", {}) == {"authorization": "Bearer hf_x"}
    assert credentials.for_url("http://app.example/x", {}) == {}


def test_a_token_meant_for_another_origin_is_not_taken_along() -> None:
    credentials = Credentials.bound_to(
        "https://owner-app.hf.space", token="hf_x", token_origin="https://app.example"
    )
    with pytest.raises(UntrustedRedirect):
        credentials.follow("https://elsewhere.example/config")
    assert credentials.for_url("https://elsewhere.example/x", {}) == {}
    plain = Credentials.bound_to("http://app.example")
    plain.follow("https://app.example")
    assert plain.token_origin is None
    assert plain.origin == "https://app.example:443"


# --- bounds and comparisons that only one value satisfies --------------------------------------------


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("http://b.example", "https://a.example"),
        ("http://b.example", "https://c.example"),
        ("http://app.example:79", "https://app.example"),
        ("http://app.example:81", "https://app.example"),
        ("http://app.example", "https://app.example:442"),
        ("http://app.example", "https://app.example:444"),
        ("https://app.example", "http://app.example"),
        ("http://app.example", "http://app.example:443"),
        ("https://app.example:80", "https://app.example"),
        ("http://app.example", "http://app.example:0"),
        ("http://app.example", "https://app.example.evil"),
        ("http://app.example", "https://evil.app.example"),
        ("http://app.example", "https://app.example..evil"),
        ("http://app.example", "https://app-example"),
        ("http://app.example", "https://app.example@evil.example"),
        ("http://app.example:8080", "https://app.example:8443"),
        ("http://[::1]", "https://[::2]"),
    ],
)
def test_only_an_upgrade_of_one_host_between_default_ports_keeps_secrets(before: str, after: str) -> None:
    credentials = given(before, {"authorization": "secret"})
    credentials.store(before, ["a=secret"])
    with pytest.raises(UntrustedRedirect) as caught:
        credentials.follow(f"{after}/config")
    assert (caught.value.origin, caught.value.target) == (origin(before), origin(after))
    assert origin(before) in str(caught.value)
    assert origin(after) in str(caught.value)
    assert "trust_redirects=True" in str(caught.value)
    assert credentials.for_url(after, {}) == {}
    assert credentials.for_url(before, {}) == {"authorization": "secret", "cookie": "a=secret"}


def test_of_all_pairs_of_origins_only_the_same_and_an_upgrade_are_followed() -> None:
    hosts = ("a.example", "A.EXAMPLE.", "b.example", "a.example.b.example", "127.0.0.1", "[::1]")
    origins = [
        (scheme, host, port)
        for scheme in ("http", "https")
        for host in hosts
        for port in (None, 0, 80, 443, 8080)
    ]

    def parts(scheme: str, host: str, port: int | None) -> tuple[str, str, int]:
        default = {"http": 80, "https": 443}[scheme]
        return scheme, host.lower().rstrip("."), default if port is None else port

    for before, after in itertools.product(origins, repeat=2):
        (scheme, host, port), (new_scheme, new_host, new_port) = parts(*before), parts(*after)
        upgrade = (scheme, port, new_scheme, new_port) == ("http", 80, "https", 443) and host == new_host
        allowed = upgrade or parts(*before) == parts(*after)
        source, target = (
            f"{scheme}://{host}{'' if port is None else f':{port}'}" for scheme, host, port in (before, after)
        )
        credentials = given(source, {"x": "1"})
        if allowed:
            credentials.follow(f"{target}/config")
        else:
            with pytest.raises(UntrustedRedirect):
                credentials.follow(f"{target}/config")
        assert (credentials.for_url(f"{target}/x", {}) == {"x": "1"}) is allowed, (source, target)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("http://app.example", "https://app.example"),
        ("http://app.example:80", "https://app.example:443"),
        ("http://APP.example", "https://app.EXAMPLE"),
        ("http://app.example.", "https://app.example"),
        ("http://app.example", "https://app.example."),
        ("http://127.0.0.1", "https://127.0.0.1:443"),
        ("http://[::1]", "https://[::1]"),
        ("https://app.example", "https://app.example:443"),
        ("https://app.example:443", "HTTPS://APP.example./"),
        ("http://app.example:8080", "http://APP.example.:8080"),
    ],
)
def test_an_upgrade_and_another_spelling_keep_secrets(before: str, after: str) -> None:
    credentials = given(before, {"authorization": "secret"}, query="__sign=s", cookies={"mine": "1"})
    credentials.follow(f"{after}/config")
    assert credentials.for_url(f"{after}/x", {}) == {"authorization": "secret", "cookie": "mine=1"}
    assert credentials.url_to_send(f"{after}/x") == f"{after}/x?__sign=s"
    assert not credentials.moved


def test_what_is_trusted_follows_and_a_token_only_to_where_it_may_go() -> None:
    trusting = given(
        "http://app.example", {"x": "1"}, trust_redirects=True, cookies={"mine": "1"}, query="q=1"
    )
    trusting.store("http://app.example", ["theirs=1"])
    trusting.follow("https://other.example:8443/config")
    assert trusting.for_url("https://other.example:8443/x", {}) == {"x": "1", "cookie": "mine=1"}
    assert trusting.url_to_send("https://other.example:8443/x") == "https://other.example:8443/x?q=1"
    assert trusting.for_url("http://app.example/x", {}) == {}
    trusting.check_given({"x-call": "1"})
    token = Credentials.bound_to("https://a-b.hf.space", token="hf_x", trust_redirects=True)
    with pytest.raises(UntrustedRedirect, match=r"token_origin='https://evil\.example:443'"):
        token.follow("https://evil.example/config")
    token.follow("https://c-d.hf.space/config")
    assert token.for_url("https://c-d.hf.space/x", {}) == {"x-hf-authorization": "Bearer hf_x"}


def test_where_nothing_was_given_a_move_is_followed_and_nothing_that_is_given_later_goes_there() -> None:
    credentials = Credentials.bound_to("http://app.example", {"x-gradio-user": "api"})
    credentials.follow("http://other.example/config")
    credentials.settle("http://other.example")
    assert credentials.moved
    assert credentials.child().for_url("http://other.example/x", {}) == {"x-gradio-user": "api"}
    credentials.check_given({}, None)
    refused = [
        lambda: credentials.check_given({"x": "1"}),
        lambda: credentials.check_given({}, "hf_x"),
        lambda: credentials.child({"x": "1"}).check_given({}, None),
        lambda: credentials.child({"x": "1"}).for_url("http://other.example/x", {}),
        lambda: credentials.child().for_url("http://other.example/x", {}, {"x": "1"}),
    ]
    for refusal in refused:
        with pytest.raises(UntrustedRedirect, match="trust_redirects=True") as caught:
            refusal()
        assert caught.value.phase is Phase.JOIN
        assert (caught.value.origin, caught.value.target) == (
            "http://app.example:80",
            "http://other.example:80",
        )
    assert credentials.child({"x": "1"}).for_url("http://third.example/x", {}, {"y": "1"}) == {}


def test_an_app_that_was_found_is_not_followed_any_more_but_to_where_the_caller_named_it() -> None:
    credentials = Credentials.bound_to("http://app.example")
    credentials.follow("http://other.example/config")
    credentials.settle("http://other.example")
    with pytest.raises(UntrustedRedirect, match=r"redirects to another origin.*connect again"):
        credentials.follow("http://third.example/config")
    credentials.follow("https://app.example/config")
    assert not credentials.moved


@pytest.mark.parametrize("trust_redirects", [False, True])
@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "metadata.google.internal"])
def test_no_redirect_leads_to_an_address_inside_a_cloud(host: str, trust_redirects: bool) -> None:
    credentials = Credentials.bound_to("http://app.example", trust_redirects=trust_redirects)
    with pytest.raises(RemoteProtocolError, match="inside a machine or cloud"):
        credentials.follow(f"http://{host}/config")
    named = Credentials.bound_to(f"http://{host}")
    named.follow(f"http://{host}/x/config")
    assert not named.moved


def test_a_redirect_to_what_may_be_a_login_page_says_so() -> None:
    credentials = given("http://app.example", {"x": "1"})
    with pytest.raises(UntrustedRedirect, match=r"If that is a login page.*cookies=") as caught:
        credentials.follow("https://sso.example/authorize?state=secret")
    assert "secret" not in str(caught.value)
    with pytest.raises(UntrustedRedirect, match=r"connect to 'https://other.example/app' itself") as caught:
        credentials.follow("https://other.example/app/config")
    assert "login page" not in str(caught.value)


def test_cookies_of_a_session_stay_at_the_origin_that_set_them() -> None:
    app = given("http://app.example", {"x": "1"}, trust_redirects=True)
    session = app.child()
    session.store("http://app.example", ["a=secret"])
    app.follow("http://other.example/config")
    assert session.for_url("http://other.example/x", {}) == {"x": "1"}
    app.follow("http://app.example/config")
    assert session.for_url("http://app.example/x", {}) == {"x": "1", "cookie": "a=secret"}


def test_an_upgrade_drops_cookies_because_the_other_origin_set_them() -> None:
    credentials = Credentials.bound_to("http://app.example", {"x": "1"})
    credentials.store("http://app.example", ["a=1"])
    credentials.follow("https://app.example")
    assert credentials.for_url("https://app.example", {}) == {"x": "1"}


def test_another_spelling_of_an_origin_is_the_same_origin() -> None:
    credentials = Credentials.bound_to("http://app.example", {"x": "1"})
    credentials.store("HTTP://app.example:80/login", ["a=1"])
    credentials.follow("http://APP.example:80/config")
    assert credentials.for_url("http://app.example:80/x", {}) == {"x": "1", "cookie": "a=1"}
    named = Credentials.bound_to("http://app.example", token="hf_x", token_origin="HTTP://APP.example:80")
    assert named.for_url("http://app.example", {}) == {"authorization": "Bearer hf_x"}
    named.follow("https://app.example")
    assert named.for_url("https://app.example", {}) == {"authorization": "Bearer hf_x"}


@pytest.mark.parametrize("other", ["http://a.example", "http://z.example"])
def test_a_token_for_another_origin_is_refused(other: str) -> None:
    with pytest.raises(LocalProtocolError, match="pass token_origin="):
        Credentials.bound_to("http://m.example", token="hf_x", token_origin=other)


def test_a_token_is_never_sent_to_an_origin_that_may_not_see_it() -> None:
    assert Credentials("http://m.example:80", token="hf_x").for_url("http://m.example", {}) == {}


@pytest.mark.parametrize("other", ["http://a.example", "http://z.example"])
def test_a_foreign_cookie_is_not_taken_wherever_it_sorts(other: str) -> None:
    credentials = Credentials.bound_to("http://m.example")
    assert len(credentials.store(other, ["a=1"])) == 1
    assert credentials.for_url("http://m.example", {}) == {}


def test_no_secret_is_in_the_repr() -> None:
    credentials = Credentials.bound_to(APP, {"authorization": "secret"}, token="secret", token_origin=APP)
    credentials.store(APP, ["name=secret"])
    assert "secret" not in repr(credentials)
    assert "secret" not in repr(credentials.child({"x": "secret"}))


def test_as_many_cookies_are_kept_as_the_bound_says_and_the_next_is_left_out() -> None:
    credentials = bound()
    assert credentials.store(APP, [f"c{number}=1" for number in range(300)]) == []
    left_out = credentials.store(APP, ["late=1", "c7=2"])
    assert [cookie.name for cookie in left_out] == ["late"]
    assert "300 others" in left_out[0].why
    sent = credentials.for_url(APP, {})["cookie"].split("; ")
    assert len(sent) == 300
    assert "c7=2" in sent


@pytest.mark.parametrize(("given", "room"), [(299, True), (300, False), (301, False)])
def test_a_callers_cookies_all_go_along_and_count_against_the_bound_of_a_server(
    given: int, room: bool
) -> None:
    credentials = Credentials.bound_to(APP, cookies={f"c{number}": "1" for number in range(given)})
    left_out = credentials.store(APP, ["late=1"])
    assert [cookie.name for cookie in left_out] == ([] if room else ["late"])
    assert len(credentials.for_url(APP, {})["cookie"].split("; ")) == given + room


@pytest.mark.parametrize(("size", "kept"), [(8191, True), (8192, True), (8193, False), (20_000, False)])
def test_a_cookie_is_kept_up_to_the_bound_in_bytes(size: int, kept: bool) -> None:
    credentials = bound()
    value = "x" * (size - 2)
    left_out = credentials.store(APP, [f"a={value}", "b=1"])
    assert [cookie.name for cookie in left_out] == ([] if kept else ["a"])
    assert credentials.for_url(APP, {})["cookie"].endswith("b=1")
    assert ("a=" in credentials.for_url(APP, {})["cookie"]) is kept


@pytest.mark.parametrize("line", ["a=b\x01c; Path=/", "a=b\u00e9", "a=b\x7f", "a b=c", "a=\x00", "\u00e9=a"])
def test_a_cookie_that_could_not_be_sent_back_is_left_out(line: str) -> None:
    credentials = bound()
    left_out = credentials.store(APP, [line, "good=1"])
    assert [one.why for one in left_out] == ["its name or value has characters that HTTP does not allow"]
    assert credentials.for_url(APP, {})["cookie"].endswith("good=1")


@pytest.mark.parametrize(
    ("url", "domain", "kept"),
    [
        ("http://app.example", "app.example", True),
        ("http://app.example", ".APP.example ", True),
        ("http://sub.app.example", "app.example", True),
        ("http://sub.app.example.", "app.example", True),
        ("http://app.example", "", True),
        ("http://app.example", ".", True),
        ("http://app.example", "sub.app.example", False),
        ("http://app.example", "other.example", False),
        ("http://evil-app.example", "app.example", False),
        ("http://app.example", "example", False),
        ("http://localhost:7860", "localhost", True),
        ("http://127.0.0.1:7860", "127.0.0.1", True),
        ("http://127.0.0.1:7860", "0.0.1", False),
        ("http://[::1]:7860", "::1", True),
    ],
)
def test_a_cookie_of_a_foreign_domain_is_left_out(url: str, domain: str, kept: bool) -> None:
    credentials = Credentials.bound_to(url)
    left_out = credentials.store(url, [f"a=secret; Domain={domain}; Path=/", "b=1"])
    assert credentials.for_url(f"{url}/x", {})["cookie"] == ("a=secret; b=1" if kept else "b=1")
    assert [(one.name, one.why) for one in left_out] == (
        [] if kept else [("a", "its Domain belongs to another host")]
    )
    assert "secret" not in repr(left_out)


def test_a_cookie_of_a_foreign_domain_deletes_none_of_the_host() -> None:
    credentials = bound()
    credentials.store(APP, ["a=1", "a=; Domain=other.example; Max-Age=0", "a=; Domain=other.example"])
    assert credentials.for_url(APP, {})["cookie"] == "a=1"


def test_the_query_of_the_app_goes_to_its_origin_and_follows_an_upgrade_alone() -> None:
    credentials = Credentials.bound_to("http://app.example", query="__sign=s")
    session = credentials.child()
    assert session.url_to_send("http://app.example/join") == "http://app.example/join?__sign=s"
    assert session.url_to_send("http://other.example/join") == "http://other.example/join"
    assert (
        Credentials.bound_to("http://app.example").url_to_send("http://app.example/x")
        == "http://app.example/x"
    )
    assert "__sign" not in repr(credentials)
    credentials.follow("https://app.example/config")
    assert credentials.url_to_send("https://app.example/x") == "https://app.example/x?__sign=s"
    assert credentials.url_to_send("http://app.example/x") == "http://app.example/x"
    with pytest.raises(UntrustedRedirect):
        credentials.follow("https://other.example/config")
    assert credentials.url_to_send("https://other.example/x") == "https://other.example/x"


def test_what_is_no_cookie_does_not_hide_those_after_it() -> None:
    credentials = bound()
    credentials.store(APP, ["nonsense", "=x", "a=1"])
    assert credentials.for_url(APP, {})["cookie"] == "a=1"


def test_the_name_of_a_cookie_that_is_left_out_is_cut() -> None:
    left_out = bound().store("http://other.example", ["n" * 65 + "=1", "n" * 64 + "=1"])
    assert [cookie.name for cookie in left_out] == ["n" * 64, "n" * 64]


def test_the_newer_cookie_counts_whether_the_session_or_the_app_was_given_it() -> None:
    app = bound()
    session = app.child()
    app.store(APP, ["a=old", "b=old"])
    session.store(APP, ["a=session", "c=session"])
    assert session.for_url(APP, {})["cookie"] == "a=session; b=old; c=session"
    app.store(APP, ["a=renewed"])
    assert session.for_url(APP, {})["cookie"] == "a=renewed; b=old; c=session"
    assert app.for_url(APP, {})["cookie"] == "a=renewed; b=old"


@pytest.mark.parametrize(
    ("cookie_path", "path", "sent"),
    [("/b", "/a", False), ("/b", "/b", True), ("/b", "/c", False), ("/b", "/b/c", True), ("/", "/a", True)],
)
def test_a_cookie_goes_to_its_path_and_below(cookie_path: str, path: str, sent: bool) -> None:
    credentials = bound()
    credentials.store(APP, [f"a=1; Path={cookie_path}"])
    assert ("cookie" in credentials.for_url(APP + path, {})) is sent


def test_a_callers_cookies_follow_an_upgrade_and_a_servers_do_not() -> None:
    credentials = Credentials.bound_to("http://app.example", cookies={"mine": "1", "both": "1"})
    credentials.store("http://app.example", ["theirs=1", "both=2"])
    assert credentials.for_url("http://app.example", {})["cookie"] == "mine=1; both=2; theirs=1"
    credentials.follow("https://app.example")
    assert credentials.for_url("https://app.example", {}) == {"cookie": "mine=1"}
    with pytest.raises(UntrustedRedirect):
        credentials.follow("https://other.example")
    assert credentials.for_url("https://other.example", {}) == {}
