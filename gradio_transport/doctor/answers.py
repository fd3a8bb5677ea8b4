# SPDX-License-Identifier: Apache-2.0
"""The reply of the server: redirects, whether it is a Gradio app, and the required login."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

from ..app.config_parsing import is_config, requires_login
from ..errors import (
    AuthenticationRequired,
    ConnectError,
    EventTooLarge,
    GradioTransportError,
    Phase,
    TimeoutExpired,
    TransportError,
    UntrustedRedirect,
)
from ..protocol.access import access_advice, wants_app_login
from ..protocol.commands import REDIRECTS, Response
from ..protocol.urls import is_hugging_face, resolve_reference, same_origin, shown_url, without_userinfo
from .known_pages import known_page, server_name, words
from .patient import Patient, milliseconds
from .report import Finding, failure, ok, skipped, warning

MOUNTS = ("/gradio", "/app", "/demo")
"""Paths at which apps are often mounted. They are tried if there is no app at the given path."""

SINGLE_SIGN_ON = {
    "cloudflareaccess.com": "Cloudflare Access",
    "accounts.google.com": "Google",
    "login.microsoftonline.com": "Microsoft",
    "okta.com": "Okta",
    "auth0.com": "Auth0",
    "amazoncognito.com": "Amazon Cognito",
}

PROXIES_LOGIN = 407


def check_redirects(patient: Patient) -> Finding:
    """Discover the app, and list the redirects of its requests."""
    found = patient.discover()
    hops = list(_hops(patient))
    error = patient.failure
    seen = [
        f"{shown_url(before)} redirects to {shown_url(after)} (HTTP {status})."
        for before, after, status in hops
    ]
    if isinstance(error, UntrustedRedirect):
        return _untrusted(error, seen)
    if error is not None and hops and "redirects" in error.message:
        return failure(*seen, error.message, advice="Connect to the address that the app has.", error=error)
    if not seen:
        return ok("None.") if patient.exchanges else skipped("Nothing was asked.")
    if found is not None and patient.app.credentials.moved:
        target = shown_url(found.urls.base)
        return warning(*seen, advice=f"The app is at another address. Use it: {target}")
    if found is not None and found.urls.base != patient.app.base:
        return warning(
            *seen,
            advice=f"This library follows redirects, at the cost of a request. Use "
            f"{shown_url(found.urls.base)} to "
            "save it. Other clients turn a POST into a GET there.",
        )
    return ok(*seen)


def _hops(patient: Patient) -> Iterator[tuple[str, str, int]]:
    """Yield each distinct redirect as source, target and status."""
    known: set[tuple[str, str]] = set()
    for exchange in patient.exchanges:
        reply = exchange.response
        target = "" if reply is None else reply.headers.get("location", "")
        if reply is None or reply.status not in REDIRECTS or not target:
            continue
        where = without_userinfo(resolve_reference(exchange.url, target) or target)
        if (exchange.url, where) not in known:
            known.add((exchange.url, where))
            yield exchange.url, where, reply.status


def _untrusted(error: UntrustedRedirect, seen: list[str]) -> Finding:
    name = _sign_on(error.target)
    if name:
        advice = (
            f"That is the login of {name}, in front of the app. Log in with a browser, and pass the cookie "
            f"that it sets: "
            "-H 'Cookie: NAME=VALUE'."
        )
        refused = AuthenticationRequired(error.message, phase=error.phase, status=error.status)
        return failure(*seen, error.message, advice=advice, error=refused)
    return failure(
        *seen,
        "What you gave (login, headers, token) was not sent there.",
        advice=f"If {error.target} is the app, use that address instead, or pass --trust-redirects.",
        error=error,
    )


def _sign_on(url: str) -> str:
    """Return the provider of single sign-on that a URL leads to, else an empty string. It may be forged."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return next(
        (name for known, name in SINGLE_SIGN_ON.items() if host == known or host.endswith("." + known)), ""
    )


def check_gradio(patient: Patient) -> Finding:
    """Report whether a Gradio app answered, or which other server did."""
    found, error = patient.discover(), patient.failure
    if found is not None:
        return _describe(patient)
    if error is None:
        return skipped("Nothing was asked.")
    if isinstance(error, AuthenticationRequired):
        reply = patient.last_reply
        if reply is not None and _is_gradio_login(reply):
            return ok("It is a Gradio app that requires a login (see the next step).")
        return skipped("Not known until you log in (see the next step).")
    if isinstance(error, TransportError):
        return _no_answer(patient, error)
    return _something_else(patient, error)


def _describe(patient: Patient) -> Finding:
    replies = [one for one in patient.exchanges if one.channel == "discover" and one.response is not None]
    taken: list[str] = []
    for one in replies[-2:]:
        name = urlsplit(one.url).path.rsplit("/", 1)[-1] or "the page"
        taken.append(f"{name} {milliseconds(one.seconds)}, {one.size / 1000:,.0f} kB")
        patient.times[name] = one.seconds
    if not patient.is_gradio:
        return ok("It is not a Gradio app, as you specified with --protocol.", f"{'; '.join(taken)}.")
    version, title = patient.config.version or "of unknown version", patient.config.title
    return ok(f"Gradio {version}{f', titled {title!r}' if title else ''}.", f"{'; '.join(taken)}.")


def _no_answer(patient: Patient, error: TransportError) -> Finding:
    if error.status == PROXIES_LOGIN:
        refused = AuthenticationRequired(error.message, phase=error.phase, status=error.status)
        return failure(
            error.message,
            advice="Put user and password into the URL of the proxy: http://user:password@proxy:3128.",
            error=refused,
        )
    if isinstance(error, TimeoutExpired):
        advice = (
            "The host accepts connections, but does not reply. The app may be busy in code that blocks its "
            "event loop or still be loading, or a proxy is waiting for it. Look at the app's log. To wait "
            "longer, pass --timeout."
        )
    elif isinstance(error, ConnectError):
        advice = "See the steps above."
    elif patient.scheme == "http" and patient.proxy is None:
        advice = (
            "The host closes the connection without a reply. If it expects TLS, use https:// instead of "
            "http://. If not, look at its log."
        )
    else:
        advice = "The host closes the connection without a reply. Look at its log, or at that of the proxy."
    return failure(error.message, advice=advice, error=error)


def _something_else(patient: Patient, error: GradioTransportError) -> Finding:
    if isinstance(error, EventTooLarge):
        return failure(error.message, advice="Gradio apps send far less. Check the URL.", error=error)
    reply = _page_of(patient) or patient.last_reply
    seen: list[str] = [error.message]
    advice: list[str] = []
    if reply is not None:
        named = server_name(reply)
        text = words(reply)
        seen = [
            f"{shown_url(patient.app.base)} replied with HTTP {reply.status}{f' ({named})' if named else ''}."
        ]
        seen += [f"It says: {text!r}."] if text else []
        page = known_page(reply)
        if page is not None:
            seen.append(f"That is {page.what}.")
            advice.append(page.advice)
        elif reply.status in (502, 503, 504):
            advice.append(_BEHIND_PROXY)
        elif patient.scheme == "http" and "plain http request was sent to https port" in text.lower():
            advice.append(f"The port expects TLS: use https{patient.app.base[4:]}.")
        elif reply.status == 400 and "host" in text.lower():
            advice.append(
                "The server does not know the host name of the URL. Use the name it is configured for."
            )
        elif reply.status >= 500:
            advice.append("The app, or a proxy in front of it, failed. Look at its log.")
    place = _find_app(patient)
    if place:
        seen.append(f"A Gradio app answers at {place}.")
        advice = [f"Use {place}"]
    elif not advice:
        advice.append("It is not a Gradio app. Check host, port and path of the URL.")
    forwarder = patient.routes.find(patient.app.base).forwarder
    if forwarder is not None:
        advice.append(f"The proxy {forwarder} may have replied itself.")
    return failure(*seen, advice=advice, error=error)


_BEHIND_PROXY = (
    "A proxy answers, but the app behind it does not: start the app, and check the address that the proxy "
    "forwards to (proxy_pass)."
)


def _page_of(patient: Patient) -> Response | None:
    """Return the reply for the page of the app, which shows what the server is."""
    known = [
        one.response
        for one in patient.exchanges
        if one.response is not None and urlsplit(one.url).path.rstrip("/") == urlsplit(patient.app.base).path
    ]
    if known:
        return known[-1]
    with suppress(GradioTransportError):
        return patient.get(f"{patient.app.base}/")
    return None


def _find_app(patient: Patient) -> str:
    """Return the address of a Gradio app above the given path or at a common path, or ''."""
    parts = urlsplit(patient.app.base)
    origin = f"{parts.scheme}://{parts.netloc}"
    segments = parts.path.strip("/").split("/") if parts.path.strip("/") else []
    places = ["/" + "/".join(segments[:count]) for count in range(len(segments) - 1, -1, -1)][:4]
    for path in [*places, *MOUNTS]:
        base = origin + path.rstrip("/")
        if base == patient.app.base:
            continue
        try:
            reply = patient.get(f"{base}/config")
            value = reply.json() if reply.status == 200 else None
        except TransportError:
            return ""
        except (GradioTransportError, ValueError):
            continue
        if is_config(value) or (isinstance(value, dict) and requires_login(cast("dict[str, Any]", value))):
            return shown_url(base)
        if wants_app_login(reply) and reply.status == 401:
            return shown_url(base)
    return ""


def _is_gradio_login(reply: Response) -> bool:
    return (
        wants_app_login(reply)
        or reply.status == 200
        or (reply.status == 403 and "authent" in reply.text.lower())
    )


def check_login(patient: Patient) -> Finding:
    """Report which login is required, and how to pass it."""
    error = patient.failure
    if isinstance(error, AuthenticationRequired):
        return _login_wanted(patient, error)
    if patient.discovery is None:
        return skipped("No Gradio app was found.")
    config = patient.config
    seen = [f"You are logged in as {config.username}." if config.username else "The app requires no login."]
    if patient.options.auth is not None and not config.username:
        seen = ["The app accepted the request. It does not report your user name, or requires no login."]
    if any(component.type == "loginbutton" for component in config.components.values()):
        seen.append("It has a button to sign in with Hugging Face. Its page may show more after a sign-in.")
    asking = [one.display_name for one in config.endpoints if one.oauth_token == "required"]  # noqa: S105
    if asking:
        return warning(
            *seen,
            f"These functions ask for the Hugging Face token of their caller: {', '.join(asking[:10])}.",
            advice="Pass it with the call: CallOptions(oauth_token=...) in a program.",
        )
    return ok(*seen)


def _login_wanted(patient: Patient, error: AuthenticationRequired) -> Finding:
    reply = patient.last_reply
    if error.phase is Phase.LOGIN:
        return failure(
            "The app has its own login (Gradio's auth=), and refused yours.",
            advice="Check user and password of --auth USER:PASSWORD. Spaces and case count.",
            error=error,
        )
    if reply is None:
        return failure(error.message, error=error)
    seen = [f"HTTP {reply.status} for {shown_url(reply.url)}."]
    challenge = reply.headers.get("www-authenticate", "")
    if challenge.lower().startswith("basic") or " basic " in f" {challenge.lower()}":
        seen.append(
            "A proxy in front of the app requires HTTP basic authentication. That is not the login of the "
            "app."
        )
        advice = "Put user and password into the URL: https://user:password@host, or correct them there."
    elif challenge:
        seen.append(f"A proxy in front of the app requires: {challenge[:120]}.")
        advice = "Pass the credentials that it accepts: -H 'Authorization: ...'."
    elif is_hugging_face(patient.app.base):
        seen.append("The Space is private, or your token has no access.")
        advice = "Pass --token with a token that can read the Space."
    elif _is_gradio_login(reply):
        seen = ["The app has its own login (Gradio's auth=)."]
        advice = "Pass --auth USER:PASSWORD (in a program: auth=('user', 'password'))."
    else:
        sign_on = _sign_on(reply.headers.get("location", ""))
        seen.append(
            f"A {f'login of {sign_on}' if sign_on else 'proxy or firewall'} in front of the app refuses."
        )
        seen += [f"It says: {words(reply)!r}."] if words(reply) else []
        place = _find_app(patient)
        if place:
            return failure(*seen, f"A Gradio app answers at {place}.", advice=f"Use {place}", error=error)
        advice = f"{access_advice(reply)} Here: -H 'Cookie: NAME=VALUE'."
        target = resolve_reference(reply.url, reply.headers.get("location", ""))
        if target is not None and not same_origin(target, reply.url):
            advice = "Log in there with a browser, and pass the cookie that it sets: -H 'Cookie: NAME=VALUE'."
    return failure(*seen, advice=advice, error=error)
