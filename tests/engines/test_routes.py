# SPDX-License-Identifier: Apache-2.0
"""Routes to origins, and the proxies on them."""

from __future__ import annotations

import httpcore
import httpcore2
import pytest

from gradio_transport.engines.proxies import Proxy
from gradio_transport.engines.routes import Route, Routes, pool_options
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import ConnectError

cores = pytest.mark.parametrize("core", [httpcore, httpcore2])


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class TestRoutes:
    def test_a_websocket_goes_the_way_of_its_http_scheme(self):
        routes = Routes(HTTPSettings())
        assert routes.find("ws://app/queue/join") == routes.find("http://app/x") == Route("http", None)
        assert routes.find("wss://app/queue/join") == Route("https", None)

    def test_the_proxy_is_that_of_the_scheme_or_else_that_of_all(self, monkeypatch):
        monkeypatch.setenv("https_proxy", "http://secure:1")
        monkeypatch.setenv("all_proxy", "any:2")
        routes = Routes(HTTPSettings())
        assert str(routes.find("https://app/").proxy) == "http://secure:1 (of https_proxy)"
        assert str(routes.find("http://app/").proxy) == "http://any:2 (of all_proxy)"

    def test_hosts_of_no_proxy_are_reached_directly(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        monkeypatch.setenv("no_proxy", "localhost,app")
        routes = Routes(HTTPSettings())
        assert routes.find("http://app:7860/x").proxy is None
        assert routes.find("http://other/x").proxy == Proxy.parse("http://proxy:1", "http_proxy")

    def test_the_setting_goes_before_the_environment_and_its_exceptions(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        monkeypatch.setenv("no_proxy", "app")
        found = Routes(HTTPSettings(proxy="http://own:3")).find("http://app/").proxy
        assert str(found) == "http://own:3 (of proxy=)"

    def test_the_environment_can_be_left_out(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        assert Routes(HTTPSettings(trust_env=False)).find("http://app/").proxy is None
        own = Routes(HTTPSettings(trust_env=False, proxy="http://own:3")).find("http://app/").proxy
        assert str(own) == "http://own:3 (of proxy=)"

    def test_an_origin_keeps_its_route_and_another_port_is_another_origin(self, monkeypatch):
        routes = Routes(HTTPSettings())
        assert routes.find("http://app:1/x").proxy is None
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        assert routes.find("http://app:1/y").proxy is None
        assert routes.find("http://app:2/x").proxy is not None

    @pytest.mark.parametrize(
        ("url", "proxy", "forwards"),
        [
            ("http://app", None, False),
            ("http://app", "http://proxy", True),
            ("ws://app", "https://proxy", True),
            ("https://app", "http://proxy", False),
            ("http://app", "socks5://proxy", False),
        ],
    )
    def test_a_proxy_may_reply_in_the_apps_place_unless_there_is_a_tunnel(self, url, proxy, forwards):
        route = Routes(HTTPSettings(proxy=proxy)).find(url)
        assert route.forwarder == (route.proxy if forwards else None)

    @pytest.mark.parametrize(
        "url", ["ftp://me:secret@proxy", "http://me:secret@", "http://me:secret@proxy:x", "socks://secret"]
    )
    def test_a_proxy_that_cannot_be_used_is_an_error_without_its_password(self, url, monkeypatch):
        monkeypatch.setenv("ALL_PROXY", url)
        for settings, named in ((HTTPSettings(proxy=url), "proxy="), (HTTPSettings(), "ALL_PROXY")):
            with pytest.raises(ConnectError, match=f"The proxy of {named} cannot be used") as caught:
                Routes(settings).find("http://app")
            assert "secret" not in str(caught.value)
            assert not caught.value.retryable


class TestProxies:
    def proxy(self, url, core=httpcore):
        return pool_options(core, HTTPSettings(), Route("http", Proxy.parse(url)))["proxy"]

    @cores
    def test_the_user_and_the_password_are_decoded(self, core):
        proxy = self.proxy("http://me:p%40ss@proxy:3128/ignored", core)
        assert (proxy.url.host, proxy.url.port, proxy.auth) == (b"proxy", 3128, (b"me", b"p@ss"))
        assert self.proxy("http://proxy", core).auth is None

    @pytest.mark.parametrize(
        ("url", "port"), [("http://proxy", 80), ("https://proxy", 443), ("http://[::1]:9", 9)]
    )
    def test_the_port_is_that_of_the_scheme_unless_it_is_given(self, url, port):
        assert self.proxy(url).url.port == port

    def test_only_a_proxy_with_tls_has_a_context(self):
        assert self.proxy("http://proxy").ssl_context is None
        assert self.proxy("https://proxy").ssl_context is not None

    def test_a_proxy_of_socks_is_the_business_of_the_backend(self):
        assert self.proxy("socks5://me:p%40ss@proxy") is None


def test_every_connection_may_stay_open_for_less_time_than_a_server_keeps_it():
    options = pool_options(httpcore, HTTPSettings(connections=7), Route("http", None))
    assert (options["max_connections"], options["max_keepalive_connections"]) == (7, 7)
    assert options["keepalive_expiry"] < 5
    assert options["proxy"] is None
