# SPDX-License-Identifier: Apache-2.0
"""The routes to origins: directly or through a proxy, from the settings and the environment."""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from ..errors import ConnectError
from .environment import find_proxy
from .libraries import Module
from .proxies import PORTS, Proxy
from .settings import HTTPSettings
from .tls import ssl_context

KEPT_ALIVE_SECONDS = 4.0
"""Seconds that an idle connection is kept: uvicorn, and so Gradio, closes it after 5 s."""


@attrs.frozen
class Route:
    """The route to an origin.

    Attributes:
        scheme: ``"http"`` or ``"https"``.
        proxy: The proxy, or None.
        forwarder: The proxy if it forwards requests, and so may reply in place of the app; else None. Through
            a tunnel, as with TLS and SOCKS, every reply is the app's.
    """

    scheme: str
    proxy: Proxy | None
    forwarder: Proxy | None = attrs.field(init=False, eq=False)

    def __attrs_post_init__(self) -> None:
        tunnels = self.scheme == "https" or (self.proxy is not None and self.proxy.is_socks)
        object.__setattr__(self, "forwarder", None if tunnels else self.proxy)


class Routes:
    """The routes to origins, each computed once from the settings and the environment, on first use."""

    def __init__(self, settings: HTTPSettings) -> None:
        self._settings = settings
        self._found: dict[str, Route] = {}

    def find(self, url: str) -> Route:
        """Return the route to a URL.

        Raises:
            ConnectError: The URL of the proxy cannot be used.
        """
        origin = "/".join(url.split("/", 3)[:3])
        route = self._found.get(origin)
        if route is None:
            parts = urlsplit(url)
            scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
            proxy = self._find_proxy(scheme, parts.hostname or "", parts.port or PORTS.get(scheme, 0))
            route = self._found[origin] = Route(scheme, proxy)
        return route

    def _find_proxy(self, scheme: str, host: str, port: int) -> Proxy | None:
        found = (self._settings.proxy, "proxy=") if self._settings.proxy else None
        if found is None and self._settings.trust_env:
            found = find_proxy(scheme, host, port)
        if found is None:
            return None
        try:
            return Proxy.parse(*found)
        except ValueError as error:
            raise ConnectError(f"The proxy of {found[1]} cannot be used: {error}.", retryable=False) from None


def pool_options(core: Module, settings: HTTPSettings, route: Route, keeps: bool = True) -> dict[str, object]:
    """Return the keyword arguments of a pool of connections of httpcore.

    A SOCKS proxy is not among them: the pool's backend opens the tunnel, see `socks.route_backend`.

    Args:
        core: ``httpcore`` or ``httpcore2``.
        settings: Settings of the engine.
        route: The route to the hosts.
        keeps: Whether connections serve several requests.
    """
    proxy = route.proxy if route.proxy is not None and not route.proxy.is_socks else None
    return {
        "ssl_context": ssl_context(settings, route.scheme),
        "proxy": None if proxy is None else _core_proxy(core, settings, proxy),
        "max_connections": settings.connections,
        "max_keepalive_connections": settings.connections if keeps else 0,
        "keepalive_expiry": KEPT_ALIVE_SECONDS,
    }


def _core_proxy(core: Module, settings: HTTPSettings, proxy: Proxy) -> object:
    target = core.URL(scheme=proxy.scheme.encode(), host=proxy.host.encode(), port=proxy.port, target=b"/")
    tls = ssl_context(settings, "https") if proxy.scheme == "https" else None
    return core.Proxy(target, auth=proxy.login, ssl_context=tls)
