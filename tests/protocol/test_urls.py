# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from base64 import b64encode
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gradio_transport.errors import LocalProtocolError
from gradio_transport.protocol.urls import (
    AppURLs,
    add_query,
    base_url,
    check_no_hub_page,
    drop_query,
    encode_url,
    https_origin,
    is_below,
    is_hugging_face,
    is_hugging_face_host,
    is_internal,
    origin,
    query_of,
    resolve_reference,
    same_origin,
    shown_source,
    shown_url,
    space_name,
    split_userinfo,
    without_userinfo,
)


@pytest.mark.parametrize(
    ("typed", "base"),
    [
        ("http://127.0.0.1:7860", "http://127.0.0.1:7860"),
        ("http://127.0.0.1:7860/", "http://127.0.0.1:7860"),
        ("127.0.0.1:7860", "http://127.0.0.1:7860"),
        ("https://example.com/sub/path/?view=api#top", "https://example.com/sub/path"),
        ("http://[::1]:7860/", "http://[::1]:7860"),
        ("  http://host  ", "http://host"),
    ],
)
def test_what_people_type_becomes_a_base(typed: str, base: str) -> None:
    assert base_url(typed) == base


@pytest.mark.parametrize(
    "typed", ["", "ftp://host", "http://", "file:///etc/passwd", "http://host:port", "ws://x"]
)
def test_what_is_no_web_address_is_refused(typed: str) -> None:
    with pytest.raises(LocalProtocolError):
        base_url(typed)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:s3cret@host/a/b?s3cret#s3cret", "https://host/a/b"),
        ("http://s3cret@host:1", "http://host:1"),
        ("http://user:s3@cret@host/x", "http://host/x"),
        ("http://user:s3/cret@host/x", "http://host/x"),
        ("http://user:s3?cret@host/x", "http://host/x"),
        ("http://user:s3#cret@host/x", "http://host/x"),
        ("http://user:s3cret@[::1]:7860/x", "http://[::1]:7860/x"),
        ("//user:s3cret@host", "//host"),
        ("http://[::1]:7860/@me/app", "http://[::1]:7860/@me/app"),
        ("http://host:7860/@me/app", "http://host:7860/@me/app"),
        ("http://host/@me/app?x", "http://host/@me/app"),
        ("http://host/\x1b[2J\u202e", r"http://host/\x1b[2J\u202e"),
        ("owner/name", "owner/name"),
        ("", ""),
    ],
)
def test_a_url_is_shown_without_what_may_be_a_secret(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("ann:secret@host:7860", "host:7860"),
        ("ann:se@cret@host", "host"),
        ("owner/name", "owner/name"),
        ("http://ann:secret@host/?key=secret", "http://host/"),
        ("host:7860/?key=secret", "host:7860/"),
    ],
)
def test_a_source_is_shown_without_secrets_even_if_it_is_no_url(source: str, shown: str) -> None:
    assert shown_source(source) == shown


@pytest.mark.parametrize(
    "typed",
    [
        "http://user:s3/cret@host",
        "http://user:s3?cret@host",
        "http://user:s3#cret@host",
        "http://user:s3cret@host:port",
        "http://user:s3cret@[half",
        "user:s3/cret@host",
        "ftp://user:s3cret@host",
        "http://user:s3 cret@host",
        "http://user:s3cret@",
        "http://s3cr\u212ft:@ho\u2100st",
    ],
)
def test_a_url_that_is_refused_shows_no_password(typed: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        base_url(typed)
    assert not any(part in str(caught.value) for part in ("s3", "cret"))


def basic(login: str) -> str:
    return f"Basic {b64encode(login.encode()).decode()}"


@pytest.mark.parametrize(
    ("url", "bare", "authorization"),
    [
        ("http://host/a@b", "http://host/a@b", None),
        ("http://me:p%40ss@host:1/x", "http://host:1/x", "Basic bWU6cEBzcw=="),
        ("http://me@host", "http://host", "Basic bWU6"),
        ("http://a:b@c@[::1]:2", "http://[::1]:2", "Basic YTpiQGM="),
        ("http://host/x@y", "http://host/x@y", None),
        ("http://me:pw@host:80/x", "http://host:80/x", basic("me:pw")),
        ("http://a%40b:c%3Ad%C3%A9@[::1]:7860", "http://[::1]:7860", basic("a@b:c:dé")),
        ("http://:@host", "http://host", basic(":")),
    ],
)
def test_user_and_password_become_a_header(url: str, bare: str, authorization: str | None) -> None:
    assert split_userinfo(url) == (bare, authorization)


def test_the_name_of_a_space_is_not_taken_for_a_host() -> None:
    with pytest.raises(LocalProtocolError, match="name of a Hugging Face Space"):
        base_url("owner/name")
    assert base_url("localhost/name") == "http://localhost/name"


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("http://host", ""),
        ("http://host/?", ""),
        ("http://host/app?__theme=dark&__sign=a%26b#top?x=1", "__theme=dark&__sign=a%26b"),
        ("host:7860?a=1", "a=1"),
        ("http://host?a=b c&d=é\r\n", "a=b%20c&d=%C3%A9"),
        ("http://host?a=1?b", "a=1?b"),
        ("https://huggingface.co/spaces/owner/name?__theme=dark", "__theme=dark"),
        ("owner/name", ""),
    ],
)
def test_the_query_of_what_people_type_is_kept_apart(typed: str, query: str) -> None:
    assert query_of(typed) == query


@pytest.mark.parametrize(
    ("url", "query", "whole"),
    [
        ("http://host/config", "a=1&b", "http://host/config?a=1&b"),
        ("http://host/data?session_hash=x", "a=1", "http://host/data?session_hash=x&a=1"),
        ("http://host/data?a%62=x&c", "ab=1&c=2&d=3&d=4", "http://host/data?a%62=x&c&d=3&d=4"),
        ("http://host/data?a=1", "a=2", "http://host/data?a=1"),
        ("http://host/data", "&", "http://host/data"),
    ],
)
def test_a_query_is_added_without_overwriting(url: str, query: str, whole: str) -> None:
    assert add_query(url, query) == whole
    assert drop_query(whole, query) == url


def test_pages_of_the_hub_are_told_from_apps_and_spaces() -> None:
    assert space_name("https://huggingface.co/spaces/owner/name/tree/main") == "owner/name"
    for typed in ("owner/name", "http://app", "https://huggingface.co/spaces/owner/name"):
        check_no_hub_page(typed)
    for typed in ("https://huggingface.co", "hf.co/owner/model", "https://huggingface.co/spaces/owner?x=1"):
        assert space_name(typed) is None
        with pytest.raises(LocalProtocolError, match="page of the Hugging Face Hub"):
            check_no_hub_page(typed)


@pytest.mark.parametrize("typed", ["owner/my space", "owner/näme", "a--b/c", "owner/a..b/", "owner/x?y"])
def test_what_can_only_be_meant_for_a_space_is_no_host_either(typed: str) -> None:
    with pytest.raises(LocalProtocolError, match="no name of a Space") as caught:
        base_url(typed)
    assert repr(typed) in str(caught.value)
    assert base_url(f"http://{typed}").startswith("http://")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("http://host", "http://host:80/x", True),
        ("https://host", "https://HOST:443", True),
        ("http://host", "ws://host/queue", True),
        ("http://host", "https://host", False),
        ("http://host:1", "http://host:2", False),
        ("http://host", "http://host.evil.com", False),
        ("http://host", "http://host@evil.com", False),
        ("http://[::1]:80", "http://[::1]", True),
    ],
)
def test_origins_are_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert same_origin(one, other) is same


def test_routes_of_the_api_are_under_the_prefix_and_pages_are_not() -> None:
    urls = AppURLs("https://host/sub", "/gradio_api")
    assert urls.api("queue/join") == "https://host/sub/gradio_api/queue/join"
    assert urls.page("/config") == "https://host/sub/config"
    assert urls.websocket("queue/join") == "wss://host/sub/gradio_api/queue/join"
    assert urls.named("run", "/a b/../c") == "https://host/sub/gradio_api/run/a%20b%2F..%2Fc"
    assert urls.file("/tmp/a#b?c%.txt") == "https://host/sub/gradio_api/file=/tmp/a%23b%3Fc%25.txt"


@pytest.mark.parametrize(
    ("given_url", "resolved"),
    [
        ("http://inside:7860/file=/x", "https://outside/app/file=/x"),
        ("/file=/x", "https://outside/app/file=/x"),
        ("file=/x", "https://outside/app/file=/x"),
        ("https://elsewhere/file=/x", "https://elsewhere/file=/x"),
        (
            "http://inside:7860.evil.com/file=/x",
            "https://outside/app/http%3A%2F%2Finside%3A7860.evil.com%2Ffile%3D%2Fx",
        ),
        ("http://[half", "https://outside/app/http%3A%2F%2F%5Bhalf"),
    ],
)
def test_what_a_server_behind_a_proxy_believes_is_put_right(given_url: str, resolved: str) -> None:
    urls = AppURLs("https://outside/app", "", "http://inside:7860")
    assert urls.resolve(given_url) == resolved


@given(st.text())
@example("0\x85#")
def test_whatever_is_typed_is_a_base_or_refused(typed: str) -> None:
    try:
        base = base_url(typed)
    except LocalProtocolError:
        return
    assert base_url(base) == base
    assert origin(base).startswith(("http://", "https://"))


@pytest.mark.parametrize(
    ("host", "internal"),
    [
        ("169.254.169.254", True),
        ("[fe80::1%eth0]", True),
        ("::ffff:169.254.169.254", True),
        ("fd00:ec2::254", True),
        ("Metadata.Google.Internal.", True),
        ("100.100.100.200", True),
        ("fd20:ce::254", True),
        ("168.63.129.16", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("example.com", False),
        ("::1", False),
    ],
)
def test_addresses_that_no_server_may_send_us_to(host: str, internal: bool) -> None:
    assert is_internal(host) is internal


@given(st.text(max_size=80), st.sampled_from(["", "http://inside:7860", "https://outside/app", "not a url"]))
@example("http://[", "")
@example("//[::1", "")
@example("http://host:99999", "")
@example("http://inside:7860", "http://inside:7860")
@example("http://[\ud800", "")
def test_whatever_a_server_gives_as_a_url_is_one_whose_origin_can_be_told(given_url: str, root: str) -> None:
    assert origin(AppURLs("https://outside/app", "", root).resolve(given_url))


@given(st.from_regex(r"[a-z0-9_./?#%=-]{0,30}", fullmatch=True))
def test_a_relative_reference_never_leaves_the_apps_origin(reference: str) -> None:
    resolved = AppURLs("https://outside/app").resolve(reference)
    assert same_origin(resolved, "https://outside/app") or reference.startswith("//")


any_text = st.text(st.characters(), max_size=30)  # half characters too: JSON can hold them
routes = st.sampled_from(["run", "call", "heartbeat"])


@given(routes, any_text)
@example("run", "\ud800")
@example("run", "../../config")
def test_a_name_that_a_server_gave_is_one_step_of_the_path(route: str, name: str) -> None:
    url = AppURLs("https://outside/app", "/gradio_api").named(route, name)
    assert url.isascii()
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "outside", "", "")
    assert parts.path.startswith(f"/app/gradio_api/{route}/")
    assert parts.path.count("/") == 4


@given(any_text)
@example("\udcff")
def test_a_path_of_a_server_stays_behind_the_route_of_files(path: str) -> None:
    url = AppURLs("https://outside/app", "/gradio_api").file(path)
    assert url.isascii()
    parts = urlsplit(url)
    assert (parts.netloc, parts.query, parts.fragment) == ("outside", "", "")
    assert parts.path.startswith("/app/gradio_api/file=")
    if not any(0xD800 <= ord(one) < 0xE000 for one in path):
        assert unquote(parts.path.removeprefix("/app/gradio_api/file=")) == path


@given(
    st.sampled_from(["http://inside:7860", "http://inside:7860/", "https://outside/app"]),
    st.from_regex(r"[a-z0-9=%_-]{1,9}(/[a-z0-9=%_-]{1,9}){0,3}", fullmatch=True),
)
def test_what_lies_under_the_believed_root_is_moved_and_nothing_is_moved_twice(root: str, rest: str) -> None:
    urls = AppURLs("https://outside/app", "", root)
    moved = urls.resolve(f"{root.rstrip('/')}/{rest}")
    assert moved == f"https://outside/app/{rest}"
    assert urls.resolve(moved) == moved


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("huggingface.co", True),
        ("owner-app.hf.space.", True),
        ("", False),
        ("hügging.hf.space", False),
        ("hf.space.evil.com", False),
    ],
)
def test_hosts_that_a_token_is_for(host: str, own: bool) -> None:
    assert is_hugging_face_host(host) is own


@pytest.mark.parametrize(
    ("url", "own"),
    [
        ("https://huggingface.co/x", True),
        ("https://huggingface.co:443", True),
        ("wss://Owner-app.hf.space./queue/join", True),
        ("https://user:pw@owner-app.hf.space", True),
        ("https://huggingface.co:8443", False),
        ("https://owner-app.hf.space:80", False),
        ("http://huggingface.co", False),
        ("http://huggingface.co:443", False),
        ("https://owner-app.hf.space@evil.example", False),
        ("https://evil.example/.hf.space", False),
        ("https://evil.example?.hf.space", False),
    ],
)
def test_origins_that_a_token_is_for(url: str, own: bool) -> None:
    assert is_hugging_face(url) is own


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("http://app.example:80", "https://app.example:443"),
        ("http://[::1]:80", "https://[::1]:443"),
        ("http://app.example:8080", None),
        ("http://app.example:180", None),
        ("https://app.example:80", None),
        ("https://app.example:443", None),
        ("", None),
    ],
)
def test_what_an_upgrade_to_https_leads_to(before: str, after: str | None) -> None:
    assert https_origin(before) == after


def test_a_host_is_below_a_domain_label_by_label() -> None:
    assert is_below("a.b.hub.example", "hub.example")
    for host in (
        "hub.example",
        ".hub.example",
        "a..hub.example",
        "ahub.example",
        "a/.hub.example",
        "ä.hub.example",
    ):
        assert not is_below(host, "hub.example")


def test_a_port_of_zero_is_not_the_default() -> None:
    assert origin("http://host:0") == "http://host:0"
    assert origin("http://host..") == "http://host.:80"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://me:pass@host/x", "http://host/x"),
        ("//me@host/x", "//host/x"),
        ("https://a@b@host?x=c@d", "https://host?x=c@d"),
        ("http://host/file=//a@b.png", "http://host/file=//a@b.png"),
        ("/file=/a@b.png", "/file=/a@b.png"),
        ("http://host", "http://host"),
    ],
)
def test_user_and_password_of_a_url_that_a_server_gave_are_left_out(url: str, expected: str) -> None:
    assert without_userinfo(url) == expected


def test_a_url_of_a_server_is_resolved_without_user_and_password() -> None:
    urls = AppURLs("http://app/sub", root="http://inside:7860")
    assert urls.resolve("http://me:pass@inside:7860/file=a.png") == "http://app/sub/file=a.png"
    assert urls.resolve("https://me:pass@elsewhere/a.png") == "https://elsewhere/a.png"


def test_a_reference_longer_than_any_url_leads_nowhere() -> None:
    assert resolve_reference("http://host/", "a" * 8192) == "http://host/" + "a" * 8192
    assert resolve_reference("http://host/", "a" * 8193) is None


@pytest.mark.parametrize(
    ("url", "encoded"),
    [
        ("http://m\xfcnchen.example/\xfc", "http://m\xfcnchen.example/%C3%BC"),
        ("http://\u0939\u093f\u0928\u094d\u0926\u0940.example?\xfc", "http://\u0939\u093f\u0928\u094d\u0926\u0940.example?%C3%BC"),
        ("http://a b<\xad\u3000\ud800/a b", "http://a%20b%3C%C2%AD%E3%80%80?/a%20b"),
        ("http://[::1]:80/%20?a=b#c", "http://[::1]:80/%20?a=b#c"),
        ("file=\xfc", "file=%C3%BC"),
    ],
)  # fmt: skip
def test_all_of_a_url_is_encoded_but_the_letters_of_its_host(url: str, encoded: str) -> None:
    assert encode_url(url) == encoded
