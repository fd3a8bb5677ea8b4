# SPDX-License-Identifier: Apache-2.0
"""URLs of proxies, and that no error shows the password in one."""

from __future__ import annotations

import pytest

from gradio_transport.engines.base import Patience
from gradio_transport.engines.proxies import (
    Proxy,
    ProxyRefusedError,
    describe_way,
    find_refusal,
    refusal_error,
)
from gradio_transport.errors import Phase


@pytest.mark.parametrize(
    ("url", "name", "login"),
    [
        ("http://host", "http://host:80", None),
        ("HTTPS://me:p%3Ass%20word@Host", "https://host:443", (b"me", b"p:ss word")),
        ("socks5://me@[::1]", "socks5://[::1]:1080", (b"me", b"")),
        ("http://bücher.example:8", "http://xn--bcher-kva.example:8", None),
        ("socks5h://:secret@host:9", "socks5h://host:9", (b"", b"secret")),
    ],
)
def test_a_url_is_read(url: str, name: str, login: tuple[bytes, bytes] | None) -> None:
    proxy = Proxy.parse(url)
    assert (proxy.name, proxy.login) == (name, login)
    assert proxy.is_socks is name.startswith("socks")
    assert str(proxy) == f"{name} (of proxy=)"
    assert str(Proxy.parse(url, "ALL_PROXY")) == f"{name} (of ALL_PROXY)"
    assert "secret" not in repr(proxy)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "host:1",
        "ftp://me:secret@host",
        "http://:secret@",
        "http://me:secret/x@host",
        "http://h:secret",
        "http://[secret",
        "http://secret" + "é" * 70,
    ],
)
def test_a_url_that_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match="which is not shown") as caught:
        Proxy.parse(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("status", "retryable"), [(403, False), (407, False), (502, True)])
def test_a_refusal_names_the_proxy_and_its_status(status: int, retryable: bool) -> None:
    patience = Patience(5, 5, "stream", Phase.STREAM, 1000)
    refused = ProxyRefusedError.from_status(status)
    proxy = Proxy.parse("http://me:secret@host:1", "http_proxy")
    error = refusal_error("ws://app?secret", proxy, refused, patience)
    named = f"The proxy http://host:1 (of http_proxy) refused the way to ws://app: HTTP {status}"
    assert named in str(error)
    assert error.status == status
    assert "secret" not in str(error)
    assert error.retryable is retryable
    assert error.phase is Phase.STREAM


def test_only_a_login_is_known_to_be_the_proxys_own_refusal() -> None:
    patience, proxy = Patience(5, 5, "join", Phase.JOIN, 1000), Proxy.parse("http://me:secret@host:1")
    refused = find_refusal(407, "http://app/x", proxy, patience)
    assert refused is not None
    assert "HTTP 407: check the user and password in its URL" in str(refused)
    assert find_refusal(403, "http://app/x", proxy, patience) is None
    assert find_refusal(407, "http://app/x", None, patience) is None


def test_the_way_of_a_request_names_its_proxy() -> None:
    proxy = Proxy.parse("http://me:secret@host:1", "all_proxy")
    url = "http://ann:secret@app/x?secret"
    assert describe_way(url, None) == "http://app/x"
    assert describe_way(url, proxy) == "http://app/x through the proxy http://host:1 (of all_proxy)"
    reached = describe_way(url, proxy, reached=False)
    assert reached == "the proxy http://host:1 (of all_proxy) on the way to http://app/x"


def test_a_login_is_a_header_of_the_proxy() -> None:
    assert Proxy.parse("http://me:p%40ss@host").authorization == "Basic bWU6cEBzcw=="
    assert Proxy.parse("http://host").authorization is None
