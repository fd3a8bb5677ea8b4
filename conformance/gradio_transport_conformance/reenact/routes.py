# SPDX-License-Identifier: Apache-2.0
"""The paths of each version, and the replies to unknown paths."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import TypeAlias
from urllib.parse import urlsplit

import attrs
from aiohttp import web

from . import calls, direct, discovery, files, queue, websockets
from .generation import Generation, Queue
from .playing import OffTape
from .stage import Stage
from .streams import CORS, Dropped
from .validation import Invalid

Handler: TypeAlias = Callable[[Stage, web.Request, Mapping[str, str]], Awaitable[web.StreamResponse]]

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "0.0.0.0"})  # noqa: S104 - names, not where we listen


PROXY_PATH = "/behind"
"""The prefix that the proxy of the mounted canonical app removes from a path."""

_PLAIN_CORS = {
    "access-control-allow-methods": "GET, POST, PUT, DELETE, OPTIONS",
    "access-control-allow-headers": "Origin, Content-Type, Accept",
}


@attrs.frozen
class Route:
    """One path.

    Attributes:
        path: A pattern of the path.
        handlers: The handler of each method; a refusal names the first one.
        protected: Whether it requires a login.
        websocket: Whether it is only for websockets.
    """

    path: re.Pattern[str]
    handlers: Mapping[str, Handler]
    protected: bool = False
    websocket: bool = False


def _route(
    path: str, handlers: Mapping[str, Handler], *, protected: bool = False, websocket: bool = False
) -> Route:
    return Route(re.compile(path), handlers, protected, websocket)


def routes(generation: Generation) -> list[Route]:
    """Return the paths of a version."""
    return [*_pages(generation), *_api(generation), *_queue(generation)]


def _pages(generation: Generation) -> Iterator[Route]:
    yield _route("/", {"GET": discovery.page, "HEAD": discovery.page})
    if generation.flask:
        yield _route("/config/", {"GET": discovery.config})
        yield _route("/config", {"GET": discovery.config_of_flask})
    else:
        yield _route("/config/?", {"GET": discovery.config}, protected=True)
    yield _route("/login/?", {"POST": discovery.login})
    if generation.has_theme:
        yield _route(r"/theme\.css", {"GET": discovery.theme})
    if generation.has_favicon:
        yield _route(r"/favicon\.ico", {"GET": discovery.favicon})
    if generation.has_robots:
        yield _route(r"/robots\.txt", {"GET": discovery.robots})
    if generation.has_manifest:
        yield _route(r"/manifest\.json", {"GET": discovery.manifest})
    if generation.has_logout:
        yield _route("/logout", {"GET": discovery.logout})


def _api(generation: Generation) -> Iterator[Route]:
    api = generation.prefix
    if generation.has_info:
        yield _route(f"{api}/info/?", {"GET": discovery.info}, protected=True)
    if generation.has_startup_events:
        again = generation.startup_events_run_each_time
        yield _route(f"{api}/startup-events", {"GET": discovery.startup_events}, protected=again)
    if generation.has_app_id:
        yield _route(f"{api}/app_id/?", {"GET": discovery.app_id})
    if generation.has_users:
        yield _route(f"{api}/user/?", {"GET": discovery.user})
        yield _route(f"{api}/token/?", {"GET": discovery.token})
        yield _route(f"{api}/login_check/?", {"GET": discovery.login_check}, protected=True)
    if generation.has_names:
        yield _route(f"{api}/api/(?P<api_name>[^/]+)/?", {"POST": direct.run}, protected=True)
    else:
        yield _route("/api/predict/", {"POST": direct.run}, protected=True)
    if generation.has_run:
        yield _route(f"{api}/run/(?P<api_name>[^/]+)/?", {"POST": direct.run}, protected=True)
    if generation.has_upload:
        yield _route(f"{api}/upload", {"POST": files.upload}, protected=True)
    if generation.has_files:
        methods: dict[str, Handler] = {"GET": files.file}
        if generation.has_file_heads:
            methods = {"HEAD": files.file, **methods}
        yield _route(f"{api}/file=(?P<path>.*)", methods, protected=True)
    if generation.has_plain_files:
        yield _route(f"{api}/file/(?P<path>.*)", {"GET": files.file}, protected=True)
    if generation.has_component_server:
        yield _route(f"{api}/component_server/?", {"POST": files.component_server}, protected=True)


def _queue(generation: Generation) -> Iterator[Route]:
    api = generation.prefix
    if generation.queue is Queue.POLLING:
        yield _route("/api/queue/push/", {"POST": direct.push}, protected=True)
        yield _route("/api/queue/status/", {"POST": direct.status}, protected=True)
    elif generation.queue.is_websocket:
        yield _route("/queue/join", {"GET": websockets.join}, protected=True, websocket=True)
    elif generation.queue is Queue.SSE_V0:
        yield _route("/queue/join", {"GET": queue.join_v0}, protected=True)
        yield _route("/queue/data", {"POST": queue.data_v0}, protected=True)
    elif generation.queue is Queue.SSE:
        yield _route(f"{api}/queue/join", {"POST": queue.join}, protected=True)
        yield _route(f"{api}/queue/data", {"GET": queue.data}, protected=True)
    if generation.queue not in (Queue.NONE, Queue.POLLING):
        yield _route(f"{api}/queue/status", {"GET": discovery.queue_status}, protected=True)
    if generation.has_call_v2:
        yield _route(f"{api}/call/v2/(?P<api_name>[^/]+)/(?P<event_id>[^/]+)", {"GET": calls.stream},
                     protected=True)  # fmt: skip
        yield _route(f"{api}/call/v2/(?P<api_name>[^/]+)/?", {"POST": calls.join_v2, "GET": calls.stream_v2},
                     protected=True)  # fmt: skip
    if generation.has_call:
        yield _route(
            f"{api}/call/(?P<api_name>[^/]+)/(?P<event_id>[^/]+)", {"GET": calls.stream}, protected=True
        )
        yield _route(f"{api}/call/(?P<api_name>[^/]+)/?", {"POST": calls.join}, protected=True)
    if generation.has_heartbeat:
        yield _route(f"{api}/heartbeat/(?P<session_hash>[^/]+)", {"GET": queue.heartbeat})
    if generation.has_streaming_inputs:
        yield _route(f"{api}/stream/(?P<event_id>[^/]+)/close", {"POST": queue.close_chunks})
        yield _route(f"{api}/stream/(?P<event_id>[^/]+)", {"POST": queue.chunk})
    if generation.has_cancel:
        yield _route(f"{api}/cancel/?", {"POST": queue.cancel})
    if generation.has_reset:
        yield _route(f"{api}/reset/?", {"POST": queue.reset})


class Router:
    """Finds the handler of a request, and refuses requests that the version does not support."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._routes = routes(stage.generation)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer a request."""
        path = self._inner_path(request.path)
        if path is None:
            return self._outside(request)
        request[CORS] = self._cors(request)
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            response: web.StreamResponse = self._preflight(request)
        else:
            response = await self._answer(request, path)
        crashed = response.status == 500 and response.content_type == "text/plain"
        if not response.prepared and not crashed:  # otherwise the middleware that adds them was bypassed
            for name, value in request[CORS].items():
                response.headers[name] = value
        return response

    def _inner_path(self, path: str) -> str | None:
        """Return a path relative to the app, or None if it is outside of the app."""
        mount = self._stage.app.path
        for prefix in (mount, mount.removeprefix(PROXY_PATH)):
            if path.startswith(f"{prefix}/"):
                return path.removeprefix(prefix)
        return None

    def _outside(self, request: web.Request) -> web.Response:
        """Answer as the program in which the app is mounted."""
        mount = self._stage.app.path
        inner = mount.removeprefix(PROXY_PATH)
        if request.path in (mount, inner):
            return web.Response(status=307, headers={"location": f"{self._stage.origin}{inner}/"})
        self._stage.find(
            f"requests {request.method} {request.path[:100]}, which is outside of the app's path"
        )
        return self._stage.json({"detail": "Not Found"}, 404)

    async def _answer(self, request: web.Request, path: str) -> web.StreamResponse:
        websocket = "websocket" in request.headers.get("upgrade", "").lower()
        found = [(one, match) for one in self._routes if (match := one.path.fullmatch(path))]
        found = [pair for pair in found if pair[0].websocket == websocket]
        if not found:
            return self._not_found(request, path)
        allowed = [pair for pair in found if request.method in pair[0].handlers]
        if not allowed:
            return self._not_allowed(request, path, found[0][0])
        route, match = allowed[0]
        if route.protected and not discovery.logged_in(self._stage, request):
            return self._stage.json(self._stage.generation.unauthenticated, 401) if not websocket else (
                web.Response(status=403))  # fmt: skip
        try:
            return await route.handlers[request.method](self._stage, request, match.groupdict())
        except Invalid as invalid:
            self._stage.find(f"{invalid.problem} in {request.method} {self._shown(path)}")
            return self._stage.json(invalid.body, 422)
        except OffTape as missed:
            return self._stage.off_tape(str(missed))
        except Dropped:
            return web.Response()

    def _shown(self, path: str) -> str:
        return path.removeprefix(self._stage.generation.prefix)[:100]

    def _not_found(self, request: web.Request, path: str) -> web.Response:
        other = path.rstrip("/") if path.endswith("/") else f"{path}/"
        known = any(one.path.fullmatch(other) and not one.websocket for one in self._routes)
        if known and path != "/" and not self._stage.generation.flask:
            return web.Response(status=307, headers={"location": f"{self._stage.base}{other}"})
        if not path.startswith(("/static/", "/assets/")):
            self._stage.find(f"requests {request.method} {path[:100]}, which this version does not have")
        if self._stage.generation.flask:
            return web.Response(
                status=404, text="<!doctype html><title>404 Not Found</title>", content_type="text/html"
            )
        return self._stage.json({"detail": "Not Found"}, 404)

    def _not_allowed(self, request: web.Request, path: str, route: Route) -> web.Response:
        self._stage.find(f"requests {request.method} {path[:100]}, a path that has other methods")
        response = self._stage.json({"detail": "Method Not Allowed"}, 405)
        if self._stage.generation.names_allowed_methods:
            response.headers["allow"] = next(iter(route.handlers))
        return response

    # --- pages of other origins --------------------------------------------------------------------------

    def _cors(self, request: web.Request) -> dict[str, str]:
        origin = request.headers.get("origin")
        generation = self._stage.generation
        if generation.cors_is_plain:
            named = origin is not None and self._is_allowed(origin)
            return _PLAIN_CORS | ({"access-control-allow-origin": origin or ""} if named else {})
        if origin is None or not generation.has_cors:
            return {}
        if not generation.restricts_origins:
            return {"access-control-allow-origin": "*"}
        found = {"access-control-allow-credentials": "true"}
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            found = found if generation.preflights_have_credentials else {}
        return found | ({"access-control-allow-origin": origin} if self._is_allowed(origin) else {})

    def _is_allowed(self, origin: str) -> bool:
        null = origin == "null" and self._stage.generation.allows_null_origin
        return null or urlsplit(origin).hostname in _LOOPBACK

    def _preflight(self, request: web.Request) -> web.Response:
        if self._stage.generation.cors_is_plain:
            return web.Response()
        response = self._stage.text("OK", 200)
        response.headers["access-control-allow-methods"] = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"
        response.headers["access-control-max-age"] = "600"
        asked = request.headers.get("access-control-request-headers")
        if asked is not None:
            response.headers["access-control-allow-headers"] = asked
        return response


__all__ = ["Handler", "Route", "Router", "routes"]
