# SPDX-License-Identifier: Apache-2.0
"""Routes to origins, and the proxies on them."""

from __future__ import annotations

import httpcore
import httpcore2
import pytest

from gradio_transport.engines import routes as module
from gradio_transport.engines.routes import Route, Routes, pool_options
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import ConnectError, UnsupportedProtocol

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
        assert routes.find("https://app/").proxy == "http://secure:1"
        assert routes.find("http://app/").proxy == "http://any:2"

    def test_hosts_of_no_proxy_are_reached_directly(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        monkeypatch.setenv("no_proxy", "localhost,app")
        routes = Routes(HTTPSettings())
        assert routes.find("http://app:7860/x").proxy is None
        assert routes.find("http://other/x").proxy == "http://proxy:1"

    def test_the_setting_goes_before_the_environment_and_its_exceptions(self, monkeypatch):
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        monkeypatch.setenv("no_proxy", "app")
        assert Routes(HTTPSettings(proxy="http://own:3")).find("http://app/").proxy == "http://own:3"

    def test_an_origin_keeps_its_route_and_another_port_is_another_origin(self, monkeypatch):
        routes = Routes(HTTPSettings())
        assert routes.find("http://app:1/x").proxy is None
        monkeypatch.setenv("http_proxy", "http://proxy:1")
        assert routes.find("http://app:1/y").proxy is None
        assert routes.find("http://app:2/x").proxy == "http://proxy:1"


class TestProxies:
    def proxy(self, url, core=httpcore):
        return pool_options(core, HTTPSettings(), Route("http", url))["proxy"]

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

    @pytest.mark.parametrize(
        "url", ["ftp://me:secret@proxy", "http://me:secret@", "http://me:secret@proxy:x"]
    )
    def test_a_proxy_that_cannot_be_used_is_an_error_without_its_password(self, url):
        with pytest.raises(ConnectError, match="proxy") as caught:
            self.proxy(url)
        assert "secret" not in str(caught.value)

    def test_a_socks_proxy_names_its_extra(self, monkeypatch):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
        with pytest.raises(UnsupportedProtocol, match=r"gradio-transport\[socks\]"):
            self.proxy("socks5://proxy")

    def test_a_socks_proxy_has_its_port_and_its_user(self):
        pytest.importorskip("socksio")
        proxy = self.proxy("socks5://me:p%40ss@proxy")
        assert (proxy.url.scheme, proxy.url.port, proxy.auth) == (b"socks5", 1080, (b"me", b"p@ss"))


def test_every_connection_may_stay_open_for_less_time_than_a_server_keeps_it():
    options = pool_options(httpcore, HTTPSettings(connections=7), Route("http", None))
    assert (options["max_connections"], options["max_keepalive_connections"]) == (7, 7)
    assert options["keepalive_expiry"] < 5
    assert options["proxy"] is None
