# SPDX-License-Identifier: Apache-2.0
"""The proxy's own requests, through a proxy of the environment."""

from __future__ import annotations

import pytest
from aiohttp import web
from proxied import serving
from proxies import connect_proxy

from gradio_transport.engines.aiohttp_requests import verbatim_url
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import UnsupportedProtocol
from gradio_transport.recording.client import AppClient, UnreachableError

pytestmark = pytest.mark.anyio


async def test_a_proxy_of_socks_is_refused():
    with pytest.raises(UnsupportedProtocol, match="aiohttp has no SOCKS"):
        AppClient(HTTPSettings(proxy="socks5://127.0.0.1:9"), "http://app.example")


async def test_a_tunnel_is_opened_with_the_login_of_the_proxy():
    async def handle(request):
        return web.Response(text="ok")

    async with serving(handle) as origin:
        host, _, port = origin.removeprefix("http://").rpartition(":")
        with connect_proxy("me:my-password", target=(host, int(port))) as running:
            client = AppClient(
                HTTPSettings(proxy=f"http://me:my-password@127.0.0.1:{running.port}"), "https://app.example"
            )
            with pytest.raises(
                UnreachableError
            ) as failed:  # the app speaks no TLS, but the tunnel was opened
                await client.send("GET", "https://app.example/x", [], None)
            await client.close()
            assert running.targets == [("app.example", 443)]
            assert "my-password" not in str(failed.value)


async def test_a_proxy_that_refuses():
    with connect_proxy("me:my-password") as running:
        client = AppClient(HTTPSettings(proxy=f"http://127.0.0.1:{running.port}"), "https://app.example")
        with pytest.raises(UnreachableError, match="the proxy refused: HTTP 407"):
            await client.send("GET", "https://app.example/x", [], None)
        await client.close()


def test_urls_stay_as_they_are():
    assert str(verbatim_url("http://app/a%2Fb/../c?d=%20")) == "http://app/a%2Fb/../c?d=%20"
    assert verbatim_url("http://app/é x#y").raw_path_qs == "/%C3%A9%20x"
