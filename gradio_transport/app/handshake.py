# SPDX-License-Identifier: Apache-2.0
"""Sequences before the first call: find the config, log in, read the endpoints.

Each is a generator that yields `SendRequest` and gets the `Response` sent, so that the sync and async drivers
share the code (like httpx's ``auth_flow``).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeAlias, cast
from urllib.parse import urlsplit, urlunsplit

import attrs

from ..errors import (
    AuthenticationRequired,
    GradioTransportError,
    NotAGradioApp,
    Phase,
    RemoteProtocolError,
    StreamLost,
    UntrustedRedirect,
    excerpt,
)
from ..protocol.access import LOGIN_ELSEWHERE, wants_app_login
from ..protocol.commands import (
    REDIRECTS,
    Request,
    Response,
    SendRequest,
)
from ..protocol.refusals import refusal
from ..protocol.urls import AppURLs, resolve_reference, shown_url, without_userinfo
from ..protocol.web_page import is_web_page, readable_text
from .config import AppConfig, JSONObject
from .config_parsing import config_from_page, is_config, parse_outline, requires_login, with_endpoints


@attrs.frozen
class Discovery:
    """The result of a discovery."""

    config: AppConfig
    urls: AppURLs


Handshake: TypeAlias = Generator[SendRequest, Response, Discovery]
"""A discovery in progress: it yields requests, gets their replies, and returns the result."""


def _get(url: str, max_redirects: int) -> Generator[SendRequest, Response, Response]:
    """GET with redirects followed. Each hop is a separate request, so credentials are checked again."""
    seen: set[str] = set()
    current = url
    while True:
        response = yield SendRequest("discover", Request.get(current), Phase.DISCOVER, idempotent=True)
        if not response.url:
            response = attrs.evolve(response, url=current)
        target = response.headers.get("location")
        if response.status not in REDIRECTS or not target:
            return response
        seen.add(current)
        following = resolve_reference(current, target)
        if following is None or urlsplit(following).scheme not in ("http", "https"):
            raise RemoteProtocolError(
                f"{url} redirects to {shown_url(target)!r}, which is not an http(s) URL.",
                phase=Phase.DISCOVER,
                status=response.status,
            )
        if (urlsplit(current).scheme, urlsplit(following).scheme) == ("https", "http"):
            raise RemoteProtocolError(
                f"{url} redirects to {shown_url(target)!r}, which is plain http, but you asked for TLS. If "
                f"you trust that URL, connect to it directly.",
                phase=Phase.DISCOVER,
                status=response.status,
            )
        # Without user and password, because a server should send none, and callers see the URL.
        current = without_userinfo(following)
        if current in seen or len(seen) > max_redirects:
            raise NotAGradioApp(
                f"{url} redirects endlessly (last to {shown_url(current)}). Check the URL, or "
                "Limits(max_redirects=).",
                phase=Phase.DISCOVER,
                status=response.status,
            )


def discover(
    base: str, auth: tuple[str, str] | None = None, *, max_redirects: int = 10, skips: bool = True
) -> Generator[SendRequest, Response, Discovery]:
    """Find and read the config of the app at `base`. Log in if the app requires it.

    Args:
        base: URL of the app.
        auth: User and password.
        max_redirects: The most redirects that are followed for one request.
        skips: See `AppConfig`.

    Raises:
        NotAGradioApp: The server is not a Gradio app.
        AuthenticationRequired: The app requires a login, or refuses this one.
        ServerRefused: The server replied with an error.
    """
    raw, base, status = yield from _find_config(base, max_redirects)
    if raw is None:
        if auth is None:
            raise AuthenticationRequired(
                f"The app at {base} requires a login. Pass auth=('user', 'password').",
                phase=Phase.DISCOVER,
                status=status,
            )
        yield from login(base, auth)
        raw, base, status = yield from _find_config(base, max_redirects)
        if raw is None:
            raise AuthenticationRequired(
                f"The app at {base} accepted the login but still refuses its config.",
                phase=Phase.LOGIN,
                status=status,
            )
    config = parse_outline(raw, url=base)
    urls = AppURLs(base, config.api_prefix, config.root)
    info, failure = yield from _find_info(urls, config, max_redirects)
    if failure or not skips:
        config = attrs.evolve(config, info_failure=failure, skips=skips)
    return Discovery(with_endpoints(config, info), urls)


def _find_config(base: str, max_redirects: int) -> Generator[SendRequest, Response, tuple[Any, str, int]]:
    """Return the config's JSON (None if a login is required), the base after redirects, and the status."""
    response = yield from _get(f"{base}/config", max_redirects)
    base = _base_after_redirects(base, response.url)
    if _is_not_authenticated(response):
        return None, base, response.status
    raw = _json_object(response)
    if raw is not None:
        return (None if requires_login(raw) else raw), base, response.status
    if response.status in (404, 405):  # Flask of 2.0 to 2.6 only has the form with a slash
        slashed = yield from _get(f"{base}/config/", max_redirects)
        raw = _json_object(slashed)
        if raw is not None:
            return (None if requires_login(raw) else raw), base, slashed.status
    # Some proxies break only the config, so an error of the server is not final yet.
    elif response.status != 200 and response.status < 500:
        raise _no_app_error(base, response)
    return (yield from _config_from_page(base, max_redirects, response))


def _config_from_page(
    base: str, max_redirects: int, config_reply: Response
) -> Generator[SendRequest, Response, tuple[Any, str, int]]:
    try:
        page = yield from _get(f"{base}/", max_redirects)
    except GradioTransportError as error:
        if config_reply.status < 500:
            raise
        what = f"{base}/config (and {base}/: {error.message.rstrip('.')})"
        raise refusal(config_reply, Phase.DISCOVER, what=what) from error
    raw = config_from_page(page.text) if page.status == 200 else None
    if raw is not None and requires_login(raw):
        return None, base, page.status
    if not is_config(raw):
        raise _no_app_error(base, config_reply, page)
    return raw, base, page.status


def _no_app_error(base: str, response: Response, page: Response | None = None) -> Exception:
    """Return the error for a server that has no config, neither on its route nor on its page."""
    asked = f"{base}/config"
    if response.status not in (200, 404, 405, *REDIRECTS):
        also = f" (and {base}/: HTTP {page.status} without a config)" if page is not None else ""
        return refusal(response, Phase.DISCOVER, what=f"{asked}{also}")
    advice = "Check the URL, and the path the app is mounted at."
    where = response.url.partition("?")[0]
    if where and not _is_config_route(where):
        asked, advice = f"{asked} redirects to {where}, which", LOGIN_ELSEWHERE
    if base.endswith("/v1"):
        advice += " For a chat endpoint pass protocol='openai_chat'."
    shown = page if page is not None and is_web_page(page) else response
    text = excerpt(readable_text(shown)) if is_web_page(shown) else ""
    kind = response.headers.get("content-type", "no content type")
    return NotAGradioApp(
        f"The server at {base} is not a Gradio app: {asked} gave HTTP {response.status} ({kind}), and the "
        f"page has no gradio_config{f'. It says: {text!r}' if text else ''}. {advice}"
        f"{response.proxy_hint}",
        phase=Phase.DISCOVER,
        status=response.status,
        body=excerpt(response.body),
    )


def _is_not_authenticated(response: Response) -> bool:
    """Return whether the app itself requires a login, not a proxy in front of it."""
    if response.status == 403:
        return "authent" in response.text.lower() and not is_web_page(response)
    return wants_app_login(response)


def _json_object(response: Response) -> dict[str, Any] | None:
    """Return the JSON object of a reply with status 200, or None for any other reply."""
    try:
        value = response.json() if response.status == 200 else None
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def _is_config_route(url: str) -> bool:
    return urlsplit(url).path.rstrip("/").endswith("/config")


def _base_after_redirects(base: str, url: str) -> str:
    """Return the base after a redirect of ``base/config`` to ``url``, without user and password."""
    if not _is_config_route(url):
        return base
    parts = urlsplit(without_userinfo(url))
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/").removesuffix("/config"), "", ""))


def login(base: str, auth: tuple[str, str]) -> Generator[SendRequest, Response, None]:
    """Log in with the form that every version accepts (docs/wire.md §12.1). The driver keeps the cookies.

    Raises:
        AuthenticationRequired: Wrong user or password: 400 from FastAPI versions, 401 from Flask versions.
    """
    user, password = auth
    request = Request.post_form(f"{base}/login", {"username": user, "password": password})
    response = yield SendRequest("login", request, Phase.LOGIN)
    if response.status in (200, *REDIRECTS):
        return
    by_proxy = "www-authenticate" in response.headers or is_web_page(response)
    if response.status == 400 or (response.status in (401, 403) and not by_proxy):
        raise AuthenticationRequired(
            f"The app at {base} refused the login of {user!r}: {excerpt(response.body)}. Check the user name "
            "and the password.",
            phase=Phase.LOGIN,
            status=response.status,
            body=excerpt(response.body),
        )
    raise refusal(response, Phase.LOGIN, what=f"{base}/login")


def _find_info(
    urls: AppURLs, config: AppConfig, max_redirects: int
) -> Generator[SendRequest, Response, tuple[JSONObject | None, str]]:
    """Return ``/info`` (3.26+) and an empty string, or None and why it could not be read.

    Why not raise: the config has all that calls need, though less precisely. Only an unreachable or too slow
    server is an error.
    """
    if not config.at_least(3, 26):
        return None, ""
    path = f"{config.api_prefix}/info"
    try:
        response = yield from _get(urls.api("info"), max_redirects)
    except (StreamLost, RemoteProtocolError, NotAGradioApp, UntrustedRedirect) as error:
        return None, f"{path} could not be read: {error.message.rstrip('.')}"
    info = _json_object(response)
    if info is not None:
        return info, ""
    kind = response.headers.get("content-type", "no content type")
    return None, f"{path} answered HTTP {response.status} ({kind}) and no description of the app"
