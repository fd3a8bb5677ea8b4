# SPDX-License-Identifier: Apache-2.0
"""How origins are reached: directly or by a proxy, from the settings and the environment."""

from __future__ import annotations

from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs

from ..errors import ConnectError, UnsupportedProtocol
from .libraries import Module
from .proxies import Proxy
from .settings import HTTPSettings
from .tls import ssl_context

KEPT_ALIVE_SECONDS = 4.0
"""Below the 5 s after which uvicorn, and so every Gradio, closes an idle connection."""


@attrs.frozen
class Route:
    """How an origin is reached.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        proxy: URL of the proxy, or None.
    """

    scheme: str
    proxy: str | None


class Routes:
    """The routes to origins, each read once from the settings and the environment, when first used."""

    def __init__(self, settings: HTTPSettings) -> None:
        self._settings = settings
        self._found: dict[str, Route] = {}

    def find(self, url: str) -> Route:
        """Return the route to a URL."""
        origin = "/".join(url.split("/", 3)[:3])
        route = self._found.get(origin)
        if route is None:
            parts = urlsplit(url)
            scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
            proxy = self._settings.proxy or _environment_proxy(scheme, parts.hostname or "")
            route = self._found[origin] = Route(scheme, proxy)
        return route


def _environment_proxy(scheme: str, host: str) -> str | None:
    proxies = getproxies()
    if not proxies or proxy_bypass(host):
        return None
    proxy = proxies.get(scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def pool_options(core: Module, settings: HTTPSettings, route: Route, keeps: bool = True) -> dict[str, object]:
    """Return the keyword arguments of a pool of connections of httpcore.

    Args:
        core: ``httpcore`` or ``httpcore2``.
        settings: Those of the engine.
        route: How the hosts are reached.
        keeps: Whether connections serve several requests.

    Raises:
        ConnectError: The URL of the proxy cannot be used.
        UnsupportedProtocol: It is a SOCKS proxy, which needs an extra.
    """
    return {
        "ssl_context": ssl_context(settings, route.scheme),
        "proxy": None if route.proxy is None else _proxy(core, settings, route.proxy),
        "max_connections": settings.connections,
        "max_keepalive_connections": settings.connections if keeps else 0,
        "keepalive_expiry": KEPT_ALIVE_SECONDS,
    }


def _proxy(core: Module, settings: HTTPSettings, url: str) -> object:
    try:
        proxy = Proxy.parse(url)
    except ValueError as error:
        raise ConnectError(
            f"The proxy cannot be used: {error}. Check proxy= and the variables http_proxy, https_proxy and "
            "all_proxy."
        ) from None
    if proxy.is_socks and find_spec("socksio") is None:
        raise UnsupportedProtocol("SOCKS proxies need an extra: pip install 'gradio-transport[socks]'.")
    target = core.URL(scheme=proxy.scheme.encode(), host=proxy.host.encode(), port=proxy.port, target=b"/")
    tls = ssl_context(settings, "https") if proxy.scheme == "https" else None
    return core.Proxy(target, auth=proxy.login, ssl_context=tls)
