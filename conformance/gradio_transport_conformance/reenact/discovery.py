# SPDX-License-Identifier: Apache-2.0
"""The requests of a client before it calls: the page, the config, the API's description, the login."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qs

from aiohttp import web

from .stage import CREDENTIALS, Stage
from .validation import missing

Found = Mapping[str, str]


async def page(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``/``: HTML with the config, or without if there is no login."""
    if not logged_in(stage, request):
        config = json.dumps({"auth_required": True, "auth_message": None, "root": stage.base})
    elif stage.app.config is None:
        return stage.off_tape("requests the page of an app whose config was not recorded")
    else:
        config = stage.rename(stage.app.config_body).decode()
    name = "window.gradio_config" if stage.generation.names_config_of_gradio else "window.config"
    closed = config.replace("</", "<\\/")
    script = f"<script>{name} = {closed};</script>"
    text = f"<!doctype html>\n<html><head>{script}</head><body></body></html>\n"
    return web.Response(text=text, content_type="text/html", charset="utf-8")


def logged_in(stage: Stage, request: web.Request) -> bool:
    """Return whether a request has access to the app."""
    return not stage.app.protected or stage.token in (request.headers.get("cookie") or "")


async def config(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``/config`` as recorded."""
    stage.asked["config"] += 1
    if stage.generation.flask and not logged_in(stage, request):
        return web.Response(body=stage.app.login_body, content_type="application/json")
    if stage.app.config is None:
        return stage.off_tape("requests a config that was not recorded")
    return web.Response(body=stage.rename(stage.app.config_body), content_type="application/json")


async def config_of_flask(stage: Stage, _: web.Request, __: Found) -> web.StreamResponse:
    """Answer ``/config`` on Flask, where the config is at ``/config/``."""
    return web.Response(status=308, headers={"location": f"{stage.base}/config/"}, content_type="text/html")


async def info(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``/info`` as recorded; with another query only if it does not change the reply."""
    found = stage.app.info.get(request.query_string)
    if found is None:
        plain = parse_qs(request.query_string).keys() <= {"serialize"}
        found = next((one for query, one in stage.app.info.items() if plain and _is_plain(query)), None)
    if found is None:
        asked = f"?{request.query_string}" if request.query_string else ""
        return stage.off_tape(f"requests /info{asked}, which was not recorded")
    return stage.as_recorded(found)


def _is_plain(query: str) -> bool:
    return parse_qs(query).keys() <= {"serialize"}


async def theme(stage: Stage, _: web.Request, __: Found) -> web.StreamResponse:
    """Answer ``/theme.css`` with an empty theme."""
    return web.Response(text=":root { }\n", content_type="text/css", charset="utf-8")


async def favicon(stage: Stage, _: web.Request, __: Found) -> web.StreamResponse:
    """Answer ``/favicon.ico`` with an empty image."""
    text = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"></svg>'
    return web.Response(body=text.encode(), content_type="image/svg+xml")


async def robots(stage: Stage, _: web.Request, __: Found) -> web.StreamResponse:
    """Answer ``/robots.txt``."""
    return stage.text("User-agent: *\nDisallow: ", 200)


async def manifest(stage: Stage, _: web.Request, __: Found) -> web.StreamResponse:
    """Answer ``/manifest.json``."""
    if stage.generation.hides_manifest:
        return stage.json({"detail": "PWA not enabled."}, 404)
    text = json.dumps({"name": "app", "icons": [], "start_url": "./", "display": "standalone"})
    return web.Response(body=text.encode(), content_type="application/manifest+json")


async def startup_events(stage: Stage, _: web.Request, __: Found) -> web.StreamResponse:
    """Answer ``/startup-events``: whether this request made them run."""
    return stage.json(stage.generation.startup_events_run_each_time)


async def app_id(stage: Stage, _: web.Request, __: Found) -> web.StreamResponse:
    """Answer ``/app_id``."""
    # Before 3.42 the config does not have it; then any number is valid, since each start has another.
    found = (stage.app.config or {}).get("app_id", int(stage.token[:15], 16))
    return stage.json({"app_id": found})


async def queue_status(stage: Stage, _: web.Request, __: Found) -> web.StreamResponse:
    """Answer ``/queue/status``: the queue is empty."""
    generation = stage.generation
    message: dict[str, object] = {"msg": "estimation"} if generation.status_is_a_message else {}
    if generation.status_names_event:
        message["event_id"] = None
    message |= {"rank": None, "queue_size": 0}
    if generation.estimates_at_length:
        message |= {
            "avg_event_process_time": None if generation.estimates_in_integers else 0.0,
            "avg_event_concurrent_process_time": None,
            "rank_eta": None,
            "queue_eta": 1 if generation.estimates_in_integers else 1.0,
        }
    else:
        message["rank_eta"] = None
    return stage.json(message)


async def user(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``/user``."""
    known = stage.app.protected and logged_in(stage, request)
    return stage.json(CREDENTIALS[0] if known else None)


async def token(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``/token``."""
    known = stage.app.protected and logged_in(stage, request)
    return stage.json(
        {"token": stage.token, "user": CREDENTIALS[0]} if known else {"token": None, "user": None}
    )


async def login_check(stage: Stage, _: web.Request, __: Found) -> web.StreamResponse:
    """Answer ``/login_check``, which requires a login."""
    return stage.json(None)


async def login(stage: Stage, request: web.Request, _: Found) -> web.StreamResponse:
    """Answer ``POST /login``: create a cookie for the correct name and password."""
    generation = stage.generation
    kind = request.content_type
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        stage.find("sends a login that is not a form")
        return stage.json(missing(generation, "body", "username", "password"), 422)
    form = await request.post()
    lacking = [name for name in ("username", "password") if name not in form]
    if lacking:
        stage.find(f"sends no {' and no '.join(lacking)} in POST /login")
        return stage.json(missing(generation, "body", *lacking), 422)
    if not stage.app.protected and not generation.logs_into_open_apps:
        return stage.crash()
    if not stage.app.protected:
        return web.Response(status=302, headers={"location": stage.base if generation.absolute_root else "/"})
    if (form["username"], form["password"]) != CREDENTIALS:
        return stage.json({"detail": "Incorrect credentials."}, 401 if generation.flask else 400)
    if generation.login_status == 200:
        response = stage.json({"success": True})
    else:
        response = web.Response(status=302, headers={"location": "/"})
    for name in generation.cookie_names:
        numbered = f"{name}-{stage.token[:16]}" if generation.cookies_are_numbered else name
        secure = generation.login_status == 200 and name == "access-token"
        traits = "HttpOnly; Path=/; SameSite=none; Secure" if secure else "HttpOnly; Path=/; SameSite=lax"
        response.headers.add("set-cookie", f"{numbered}={stage.token}; {traits}")
    return response


async def logout(stage: Stage, _: web.Request, __: Found) -> web.StreamResponse:
    """Answer ``/logout``."""
    return web.Response(
        status=302, headers={"location": stage.base if stage.generation.absolute_root else "/"}
    )


__all__ = [
    "app_id", "config", "config_of_flask", "favicon", "info", "logged_in", "login", "login_check", "logout",
    "manifest", "page", "queue_status", "robots", "startup_events", "theme", "token", "user",
]  # fmt: skip
