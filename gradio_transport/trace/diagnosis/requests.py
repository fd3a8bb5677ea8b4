# SPDX-License-Identifier: Apache-2.0
"""Diagnosis of a failed request: the app, a proxy in front of it, or the connection."""

from __future__ import annotations

import re
from typing import Any, cast

from ...errors import list_texts
from ...protocol.access import redirect_target, wants_login
from ...protocol.commands import Response
from ..reader import Trace
from ..timeline.reading import Step, StepKind
from .model import (
    Said,
    is_page,
    limit_near,
    page_text,
    proxy_name,
    quote,
    request_title,
    response_of,
    seconds,
    sentence,
)

_GATEWAY = frozenset({502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 530})

_STAGES = {
    "sleep": ("sleeps", "Open its page once, or wait: connect('owner/name') wakes it and waits."),
    "paus": ("is paused", "Its owner must restart it."),
    "build": ("is being built", "Wait until it runs."),
    "runtime error": ("has failed", "See its page and log on the Hub."),
    "space is in error": ("has failed", "See its page and log on the Hub."),
}

_OF_PROXY = re.compile(
    r"^(?:Cannot connect to the proxy|The proxy .* (?:refused the way|cannot be used))", re.DOTALL
)

_CAUSES: tuple[tuple[str, re.Pattern[str], str, str], ...] = (
    (
        "tls",
        re.compile(r"certificate|self.signed|hostname mismatch", re.IGNORECASE),
        "its TLS certificate is not trusted",
        "Trust its authority with verify= or SSL_CERT_FILE, or correct the name in the URL.",
    ),
    (
        "tls",
        re.compile(r"\bSSL\b|\bTLS\b|WRONG_VERSION_NUMBER|handshake failure", re.IGNORECASE),
        "the TLS handshake failed",
        "Check whether the server speaks TLS at that port: the URL may need http://, or another port.",
    ),
    (
        "dns",
        re.compile(
            r"service not known|nodename nor servname|getaddrinfo|name resolution|no address associated",
            re.IGNORECASE,
        ),
        "its name has no address",
        "Check the spelling of the host, and the DNS of this machine.",
    ),
    (
        "connection-refused",
        re.compile(r"refused|\[Errno 111\]|\[WinError 10061\]", re.IGNORECASE),
        "nothing listens at that port",
        "Start the app, check the port, and in a container listen on 0.0.0.0.",
    ),
    (
        "unreachable",
        re.compile(r"unreachable|no route to host", re.IGNORECASE),
        "there is no route to it",
        "Check the network, a VPN or a firewall.",
    ),
)


def explain_request(
    trace: Trace, step: Step, *, logged_in: bool = False, is_gradio: bool = True
) -> Said | None:
    """Return the diagnosis of a failed request, or None if it did not fail.

    Args:
        trace: Its trace.
        step: The request.
        logged_in: Whether an earlier request of the trace was let in.
        is_gradio: Whether the server is a Gradio app.
    """
    if step.kind is not StepKind.REQUEST:
        return None
    if step.error:
        return _explain_failure(step)
    response = response_of(trace, step)
    if response is None or response.status < 300:
        return None
    found = _explain_reply(step, response, logged_in) if is_gradio else _explain_other_reply(step, response)
    numbers = (step.frame, step.reply_frame if step.reply_frame is not None else step.frame)
    return Said(found.code, found.text, found.advice, numbers)


# --- no reply --------------------------------------------------------------------------------------------


def _explain_failure(step: Step) -> Said:
    numbers = tuple(step.frames)
    message = sentence(quote(step.message))
    took = step.seconds or 0.0
    proxy = " The request went through a proxy, which may be the cause." if "proxy" in message.lower() else ""
    title = request_title(step)
    if step.error == "ConnectError":
        if _OF_PROXY.search(message):
            return Said(
                "proxy",
                f"The proxy of the environment refused {title}. {message}",
                "Check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or exclude the host by NO_PROXY.",
                numbers,
            )
        for code, pattern, what, advice in _CAUSES:
            if pattern.search(message):
                text = f"There was no connection for {title}: {what}. {message}{proxy}"
                return Said(code, text, advice, numbers)
        return Said("connect", f"There was no connection for {title}. {message}{proxy}", "", numbers)
    if step.error in ("TimeoutExpired", "Timeout"):
        return Said(
            "no-reply",
            f"No reply to {title} arrived, and the client stopped waiting after {seconds(took)}. "
            f"{message}{proxy}",
            "Check whether the server is busy or a proxy waits for it; then raise the timeout that the "
            "message names.",
            numbers,
        )
    limit = limit_near(took)
    if limit is not None:
        return Said(
            "reply-cut",
            f"The connection broke {seconds(took)} after {title} was sent, before a reply arrived. That is "
            f"close to a limit of {limit[0]} s{limit[1]}, so a proxy probably ended it.",
            "Raise the limit of the proxy, or call through the queue, which replies at once.",
            numbers,
        )
    return Said(
        "connection-lost",
        f"The connection broke {seconds(took)} after {title} was sent, before a reply arrived. {message}"
        f"{proxy}",
        "The server may have stopped or restarted; see its log. The function may have run.",
        numbers,
    )


# --- a reply that says no --------------------------------------------------------------------------------


def _explain_reply(step: Step, response: Response, logged_in: bool) -> Said:
    status, title = response.status, request_title(step)
    told = detail(response)
    stage = space_stage(response)
    if stage is not None:
        what, advice = stage
        return Said("space-asleep", f"The Space {what}: {title} was answered {status}: {told!r}.", advice)
    if step.channel == "login" and status in (400, 401):
        text = f"The login was refused: {title} was answered {status}: {told!r}."
        return Said("login-wrong", text, "Check user and password.")
    if status == 401 or wants_login(response):
        return _explain_login(step, response, logged_in, told)
    if status == 403:
        return _explain_forbidden(response, title, told)
    if status == 404 and "session not found" in told.lower():
        return Said(
            "session-lost",
            f"{title} was answered 404: the server does not know the session. Another replica replied, or "
            f"the server was restarted.",
            STICKY,
        )
    if status in (404, 405):
        return _explain_missing(response, title, told)
    if status == 413:
        return _explain_size(step, response, title)
    if status == 422:
        return _explain_unprocessable(response, title, told)
    if status == 429:
        return _explain_limit(response, f"{_who(response)} answered {title}")
    if status == 503 and "queue is full" in told.lower():
        return Said(
            "queue-full", f"The app's queue was full when the call was joined: {told!r}.", QUEUE_ADVICE
        )
    if status in _GATEWAY:
        return _explain_gateway(step, response, title, told)
    if status < 400:
        target = quote(redirect_target(response) or "")
        return Said(
            "redirect",
            f"{title} was redirected ({status}) to {target!r}, which the client did not follow.",
            "Use the address that it redirects to.",
        )
    if status >= 500:
        full = " 4.9.0 also sends that if its queue is full." if step.channel.endswith(".join") else ""
        return Said(
            "server-error",
            f"{_who(response)} answered {title} with {status}: {told!r}.",
            "The server failed outside of the app's function, such as for a function number that it does not "
            f"have.{full} The traceback is in its log.",
        )
    return Said("refused", f"{_who(response)} answered {title} with {status}: {told!r}.")


def _explain_limit(response: Response, answered: str) -> Said:
    wait = response.headers.get("retry-after", "")
    after = f" It asks to wait {quote(wait)[:40]} s." if wait.isdecimal() else ""
    return Said(
        "rate-limited",
        f"{answered} with 429: too many requests.{after}",
        "Make fewer calls at a time, or allow retries: RetryPolicy(attempts=3) waits as long as the server "
        "asks.",
    )


def _explain_other_reply(step: Step, response: Response) -> Said:
    """Return what the refusal of a server that is not a Gradio app says; it may be of any kind."""
    answered = f"The server answered {request_title(step)}"
    told = f"{answered} with {response.status}: {detail(response)!r}."
    if response.status in (401, 403):
        return Said("key-refused", told, "Pass the key that the server requires: connect(token=).")
    if response.status == 429:
        return _explain_limit(response, answered)
    if response.status >= 500:
        return Said("server-error", told, "The server, or a proxy in front of it, failed. See its log.")
    return Said("refused", told)


QUEUE_ADVICE = "Try again later. The app's owner can raise queue(max_size=), or let more calls run at a time."
STICKY = "Enable sticky sessions in the load balancer, by cookie or address, or run one process of the app."


def detail(response: Response) -> str:
    """Return what a reply gives as its reason."""
    try:
        value = response.json()
    except ValueError:
        return page_text(response)
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        found = members.get("detail", members.get("error"))
        if isinstance(found, dict):
            inner = cast("dict[str, Any]", found)
            found = inner.get("error", inner.get("message"))
        if isinstance(found, str):
            return quote(found)
    return page_text(response)


def space_stage(response: Response) -> tuple[str, str] | None:
    """Return what a page of the Hub says of a Space that does not run, and what to do."""
    if response.status == 200 or not is_page(response):
        return None
    text = page_text(response).lower()
    if "space" not in text or not ("hugging" in text or "hf.co" in text or ".hf.space" in response.url):
        return None
    return next((stage for mark, stage in _STAGES.items() if mark in text), None)


def _who(response: Response) -> str:
    """Return the sender of a reply, by its headers."""
    name = proxy_name(response)
    if name:
        return f"A proxy ({name})"
    return "A proxy" if is_page(response) else "The server"


def _explain_login(step: Step, response: Response, logged_in: bool, told: str) -> Said:
    title = request_title(step)
    target = redirect_target(response)
    if "www-authenticate" in response.headers or (target is None and is_page(response)):
        return Said(
            "proxy-login",
            f"{_who(response)} in front of the app requires a login: it answered {title} with "
            f"{response.status}. The "
            "app's own login does not help there.",
            "Pass its credentials as headers= or cookies=, or user and password in the URL for basic "
            "authentication.",
        )
    how = (
        f"redirected to {quote(target)!r}"
        if target is not None
        else (f"answered {response.status}: {told!r}")
    )
    if logged_in:
        return Said(
            "login-expired",
            f"The login has expired: {title} was {how}, although earlier requests of this trace were "
            f"accepted. The app may have been restarted, which ends all logins.",
            "Log in again: with auth=('user', 'password') the library does this itself.",
        )
    return Said(
        "login-missing",
        f"The app requires a login: {title} was {how}.",
        "Pass auth=('user', 'password'), or token= for a private Space.",
    )


def _explain_forbidden(response: Response, title: str, told: str) -> Said:
    if is_page(response) or proxy_name(response):
        return Said(
            "proxy-refused",
            f"{_who(response)} in front of the app forbids {title} (403): {told!r}.",
            "A proxy or firewall decides this. Ask its owner which headers or addresses it allows.",
        )
    return Said(
        "forbidden",
        f"The server forbids {title} (403): {told!r}.",
        "Log in, or ask for another file: Gradio serves only files of its own directories.",
    )


def _explain_missing(response: Response, title: str, told: str) -> Said:
    if is_page(response):
        return Said(
            "not-forwarded",
            f"{_who(response)} has no {title} ({response.status}), and the reply is a web page, which "
            f"Gradio does not send there. A proxy probably does not forward this path to the app.",
            "Let the proxy forward all paths below the app, with the prefix of the requests.",
        )
    return Said(
        "no-route",
        f"The server has no {title} ({response.status}): {told!r}. The app was changed, has another "
        f"version, or a proxy cuts off a part of the path.",
        "Connect again, to read the app's config again, and check the path in the URL.",
    )


def _explain_size(step: Step, response: Response, title: str) -> Said:
    sizes = [one.get("size") for one in step.files]
    total = sum(size for size in sizes if isinstance(size, int))
    what = f"{title}, of {total:,} bytes," if total else title
    if is_page(response) or proxy_name(response):
        return Said(
            "too-large",
            f"{_who(response)} refused {what} as too large (413).",
            "Raise its limit (nginx: client_max_body_size, 1 MB by default), or send less.",
        )
    return Said(
        "too-large",
        f"The app refused {what} as too large (413): {detail(response)!r}.",
        "Its owner sets the limit with launch(max_file_size=).",
    )


def _explain_unprocessable(response: Response, title: str, told: str) -> Said:
    try:
        items: Any = response.json()["detail"]
    except (ValueError, TypeError, KeyError):
        items = None
    members = [
        cast("dict[str, Any]", one)
        for one in (cast("list[Any]", items) if isinstance(items, list) else [])[:20]
        if isinstance(one, dict)
    ]
    texts = [
        f"{quote(str(one.get('parameter_name') or 'argument'))}: {quote(str(one.get('message')))}"
        for one in members
        if one.get("is_valid") is False
    ]
    if texts:
        return Said(
            "validation",
            f"The app's validator refused the arguments: {list_texts(texts, separator='; ', longest=200)}.",
            "Change the arguments; the function did not run.",
        )
    return Said(
        "invalid-payload",
        f"The server refused the form of {title} (422): {told!r}.",
        "The request does not fit this version of Gradio: too few values, or a file in the wrong form.",
    )


def _explain_gateway(step: Step, response: Response, title: str, told: str) -> Said:
    status, took = response.status, step.seconds or 0.0
    who = _who(response)
    page = "a web page" if is_page(response) else f"{told!r}"
    ran = " The function may have run anyway." if step.phase in ("join", "complete") and status != 503 else ""
    if status in (504, 524, 522):
        limit = limit_near(took)
        near = f", which is close to a limit of {limit[0]} s{limit[1]}" if limit else ""
        return Said(
            "gateway-timeout",
            f"{who} waited {seconds(took)} for the app's reply to {title}, then answered {status} with "
            f"{page}{near}. The function probably ran longer than the proxy allows.{ran}",
            "Raise the proxy's limit, or call through the queue, which replies to a join at once.",
        )
    said = "cannot reach the app" if status in (502, 521, 523, 530) else "has no app that accepts requests"
    return Said(
        "bad-gateway",
        f"{who} answered {title} with {status} and {page} after {seconds(took)}: it probably {said}.{ran}",
        "Check that the app runs, and see its log for a crash at that time.",
    )


__all__ = ["QUEUE_ADVICE", "STICKY", "detail", "explain_request", "space_stage"]
