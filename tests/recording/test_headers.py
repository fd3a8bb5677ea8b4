# SPDX-License-Identifier: Apache-2.0
"""Headers on their way through the proxy."""

import pytest

from gradio_transport.recording.headers import (
    Upstream,
    cookie_name,
    forward_reply,
    forward_request,
    joined,
    local_cookie,
    to_proxy,
    values,
)

APP = Upstream("https://host.example/some/app")
OWN = "127.0.0.1:8000"


def sent(headers, app=APP, **more):
    return joined(forward_request(headers, app, OWN, **more))


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("/some/app/config", "https://host.example/some/app/config"),
        ("/a%2Fb?c=%20d&e=+", "https://host.example/a%2Fb?c=%20d&e=+"),
        ("//evil.example/x", "https://host.example//evil.example/x"),
        ("/@evil.example/", "https://host.example/@evil.example/"),
        ("http://evil.example/x?y", "https://host.example/x?y"),
        ("http://evil.example", "https://host.example/"),
        ("http://evil.example//other.example/x", "https://host.example/other.example/x"),
    ],
)
def test_no_target_changes_the_origin(target, url):
    assert APP.url(target) == url


@pytest.mark.parametrize(
    "target", ["", "*", "evil.example:443", "@evil.example/", ":1@evil.example", "\\x", "ftp://e/x"]
)
def test_what_is_no_path_is_refused(target):
    with pytest.raises(ValueError, match="not a path"):
        APP.url(target)


def test_the_app_is_told_the_address_of_the_proxy():
    headers = [
        ("Host", OWN), ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https"), ("Forwarded", "host=x"),
        ("X-Direct-Url", "https://evil.example"), ("X-Forwarded-Prefix", "/x"),
    ]  # fmt: skip
    assert sent(headers) == {"x-forwarded-host": OWN, "x-forwarded-proto": "http"}


def test_headers_of_one_connection_stay_there():
    headers = [
        ("Connection", "keep-alive, X-Mine"), ("X-Mine", "1"), ("Keep-Alive", "5"), ("TE", "trailers"),
        ("Proxy-Authorization", "Basic x"), ("Upgrade", "h2c"), ("Transfer-Encoding", "chunked"),
        ("Content-Length", "5"), ("Sec-WebSocket-Key", "x"), ("X-Other", "2"),
    ]  # fmt: skip
    assert sent(headers) == {"x-other": "2", "x-forwarded-host": OWN, "x-forwarded-proto": "http"}
    reply = [
        ("Connection", "close"),
        ("Transfer-Encoding", "chunked"),
        ("Alt-Svc", "h3=':443'"),
        ("X-Other", "2"),
    ]
    assert forward_reply(reply, APP, OWN) == [("X-Other", "2")]


def test_a_page_of_the_proxy_is_a_page_of_the_app():
    headers = [("Origin", f"http://{OWN}"), ("Referer", f"http://{OWN}/some/app/?view=api")]
    made = sent(headers)
    assert made["origin"] == "https://host.example"
    assert made["referer"] == "https://host.example/some/app/?view=api"
    other = sent([("Origin", "http://localhost:5173"), ("Referer", f"http://{OWN}0/")])
    assert other["origin"] == "http://localhost:5173"
    assert other["referer"] == f"http://{OWN}0/"


@pytest.mark.parametrize(
    ("accepted", "asked"),
    [("gzip, deflate, br, zstd", "gzip, deflate"), ("br;q=1.0, gzip;q=0.5", "gzip;q=0.5"), ("br", "identity"),
     ("*", "identity"), ("identity", "identity")],
)  # fmt: skip
def test_only_codings_that_the_record_can_decode_are_asked_for(accepted, asked):
    assert sent([("Accept-Encoding", accepted)])["accept-encoding"] == asked
    assert sent([("Accept-Encoding", accepted)], plain=True)["accept-encoding"] == "identity"


def test_what_the_user_gave_is_added_and_a_client_may_authorize_itself():
    app = Upstream("https://owner-name.hf.space", {"x-hf-authorization": "Bearer mine", "x-team": "a"})
    made = sent([("X-Team", "b")], app)
    assert (made["x-hf-authorization"], made["x-team"]) == ("Bearer mine", "a")
    assert sent([("X-HF-Authorization", "Bearer theirs")], app)["x-hf-authorization"] == "Bearer theirs"


def test_cookies_of_other_apps_of_this_machine_are_not_forwarded():
    cookie = [("Cookie", "jupyter=secret; access-token-x=1; other=2")]
    assert sent(cookie, known_cookies={"access-token-x"})["cookie"] == "access-token-x=1"
    assert "cookie" not in sent(cookie, known_cookies=set())
    assert sent(cookie)["cookie"] == "jupyter=secret; access-token-x=1; other=2"


@pytest.mark.parametrize(
    ("line", "secure_app", "plain_app"),
    [
        ("a=1; Path=/; Domain=host.example; HttpOnly", "a=1; Path=/; HttpOnly", "a=1; Path=/; HttpOnly"),
        ("a=1; Secure; SameSite=None; Partitioned", "a=1", "a=1; Secure; SameSite=None; Partitioned"),
        ("a=1; secure; samesite=lax", "a=1; samesite=lax", "a=1; secure; samesite=lax"),
        ("__Host-a=1; Secure; Path=/", "__Host-a=1; Secure; Path=/", "__Host-a=1; Secure; Path=/"),
        ("a", "a", "a"),
    ],
)
def test_cookies_are_such_that_a_client_of_the_proxy_takes_them(line, secure_app, plain_app):
    assert local_cookie(line, is_secure=True) == secure_app
    assert local_cookie(line, is_secure=False) == plain_app
    assert forward_reply([("Set-Cookie", line), ("Set-Cookie", "b=2")], APP, OWN) == [
        ("Set-Cookie", secure_app), ("Set-Cookie", "b=2"),
    ]  # fmt: skip


def test_names_and_values():
    assert cookie_name(" a = 1; Path=/") == "a"
    assert values([("A", "1"), ("a", "2"), ("b", "3")], "a") == ["1", "2"]
    assert joined([("A", "1"), ("a", "2")]) == {"a": "1, 2"}


@pytest.mark.parametrize(
    ("location", "passed"),
    [
        ("https://host.example/some/app/", f"http://{OWN}/some/app/"),
        ("https://HOST.example:443/x?y#z", f"http://{OWN}/x?y#z"),
        ("http://host.example/x", f"http://{OWN}/x"),
        (f"https://{OWN}/x", f"http://{OWN}/x"),
        ("//host.example/x", f"http://{OWN}/x"),
        ("/x", "/x"),
        ("x?next=https://host.example/", "x?next=https://host.example/"),
        ("https://huggingface.co/oauth", "https://huggingface.co/oauth"),
        ("https://host.example:8443/x", "https://host.example:8443/x"),
        ("//evil.example/x", "https://evil.example/x"),
        ("http://[bad", "http://[bad"),
    ],
)
def test_redirects_of_the_app_stay_within_the_proxy(location, passed):
    assert to_proxy(location, APP, OWN) == passed
    assert forward_reply([("Location", location)], APP, OWN) == [("Location", passed)]


def test_an_app_has_further_names():
    app = Upstream("http://10.0.0.5:7860", aliases=["https://public.example/app"])
    assert to_proxy("https://public.example/app/x", app, OWN) == f"http://{OWN}/app/x"


def test_a_body_that_changes_loses_its_length_and_digests():
    reply = [("Content-Length", "5"), ("ETag", "x"), ("Digest", "y"), ("Content-Type", "text/html")]
    assert forward_reply(reply, APP, OWN, rewritten=True) == [("Content-Type", "text/html")]
    assert forward_reply(reply, APP, OWN) == reply
