# SPDX-License-Identifier: Apache-2.0
"""Which proxy the environment names for a host, and which hosts it excepts."""

from __future__ import annotations

import urllib.request

import pytest

from gradio_transport.engines import environment
from gradio_transport.engines.environment import find_proxy, is_excepted


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("entries", "host", "excepted"),
    [
        ("*", "app", True),
        ("a, *", "app", True),
        ("", "app", False),
        (",, ,", "app", False),
        ("app", "app", True),
        ("APP", "app", True),
        ("app", "App.", True),
        ("app.", "app", True),
        ("app", "myapp", False),
        ("a b\tapp", "app", True),
        ("example.com", "app.example.com", True),
        (".example.com", "app.example.com", True),
        (".example.com", "example.com", True),
        ("*.example.com", "app.example.com", True),
        ("*.example.com", "badexample.com", False),
        ("app-*.example.com", "app-1.example.com", True),
        ("example.com", "example.com.evil", False),
        (".", "app", False),
        ("*.", "app", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.1.2.3/8", "10.9.9.9", True),  # as curl reads it: only the bits of the network count
        ("10.0.0.0/8", "app", False),
        ("10.0.0.0/8", "10.example.com", False),
        ("10.0.0.0/99", "10.1.2.3", False),
        ("192.168.7.7", "192.168.7.7", True),
        ("192.168.*", "192.168.7.7", True),
        ("168.7.7", "192.168.7.7", False),
        ("::1", "::1", True),
        ("[::1]", "::1", True),
        ("0:0:0:0:0:0:0:1", "::1", True),
        ("fd00::/8", "fd12::1", True),
        ("fd00::/8", "fe80::1", False),
        ("fe80::/10", "fe80::1%eth0", True),
        ("fd00::/8", "10.1.2.3", False),
        ("10.0.0.0/8", "fd12::1", False),
        ("app:7860", "app", True),
        ("app:1", "app", False),
        (".example.com:7860", "app.example.com", True),
        ("10.1.2.3:7860", "10.1.2.3", True),
        ("10.1.2.3:1", "10.1.2.3", False),
        ("[::1]:7860", "::1", True),
        ("[::1]:1", "::1", False),
        ("10.0.0.0/8:7860", "10.1.2.3", True),
    ],
)
def test_no_proxy_is_read_as_curl_and_python_read_it(entries: str, host: str, excepted: bool) -> None:
    assert is_excepted(entries, host, 7860) is excepted


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, None),
        ({"http_proxy": "http://p:1"}, ("http://p:1", "http_proxy")),
        ({"HTTP_PROXY": "p:1"}, ("http://p:1", "HTTP_PROXY")),
        ({"HTTP_PROXY": "http://p:1", "http_proxy": "http://q:2"}, ("http://q:2", "http_proxy")),
        ({"ALL_PROXY": "socks5://p:1", "https_proxy": "http://q:2"}, ("socks5://p:1", "ALL_PROXY")),
        ({"all_proxy": "http://p:1", "http_proxy": ""}, ("http://p:1", "all_proxy")),
        ({"http_proxy": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, None),
        ({"http_proxy": "http://p:1", "no_proxy": "10.1.2.3:7860"}, None),
        ({"http_proxy": "http://p:1", "no_proxy": "10.1.2.3:1"}, ("http://p:1", "http_proxy")),
    ],
)
def test_the_variable_that_names_a_proxy_is_known(
    variables: dict[str, str], found: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert find_proxy("http", "10.1.2.3", 7860) == found


def test_the_settings_of_the_system_count_where_there_is_no_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "getproxies", lambda: {"http": "http://p:1"})
    assert find_proxy("http", "app", 80) == ("http://p:1", "the system's settings")
    monkeypatch.setattr(environment, "proxy_bypass", lambda host: host == "app")
    assert find_proxy("http", "app", 80) is None
    assert urllib.request.proxy_bypass is not environment.proxy_bypass
