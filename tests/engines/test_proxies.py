# SPDX-License-Identifier: Apache-2.0
"""URLs of proxies, and that no error shows the password in one."""

from __future__ import annotations

import pytest

from gradio_transport.engines.base import Patience
from gradio_transport.engines.proxies import Proxy, ProxyRefusedError, proxy_name, refusal_error
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
    assert proxy_name(url) == name
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
    assert "secret" not in proxy_name(url)


@pytest.mark.parametrize(("status", "retryable"), [(403, False), (407, False), (502, True)])
def test_a_refusal_names_the_proxy_and_its_status(status: int, retryable: bool) -> None:
    patience = Patience(5, 5, "stream", Phase.STREAM, 1000)
    refused = ProxyRefusedError.from_status(status)
    error = refusal_error("ws://app", "http://me:secret@host:1", refused, patience)
    assert f"The proxy http://host:1 refused a tunnel to ws://app: HTTP {status}" in str(error)
    assert "secret" not in str(error)
    assert error.retryable is retryable
    assert error.phase is Phase.STREAM
