# SPDX-License-Identifier: Apache-2.0
"""Functions of Hugging Face Spaces: resolve a name, wait for a Space, duplicate it, sign its URLs.

A token is sent only to the Hub and to the named Space, and never implicitly: to use the saved token call
`token_to_use`; `is_hidden` returns whether it is needed. All functions block for a bounded time. On an event
loop run them in a thread.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import NoReturn
from urllib.parse import urlsplit

from ..errors import (
    AuthenticationRequired,
    GradioTransportError,
    LocalProtocolError,
    Phase,
    RateLimited,
    SpaceNotFound,
    SpaceNotRunning,
    TimeoutExpired,
    excerpt,
)
from .hub import ADVICE, ADVICE_WHEN_FINAL, Hub, timeout_error
from .space import REQUEST_SECONDS, Space, Token, is_hidden, to_name

WAKING_SECONDS = 10.0
"""Time limit of the request that wakes a Space. The request has its effect even without a reply."""

POLL_SECONDS = 3.0

SERVING = frozenset({"RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING"})
"""Stages in which the app answers; in the latter two an older version of it."""


def resolve(
    name: str, *, token: Token = None, endpoint: str | None = None, timeout: float = REQUEST_SECONDS
) -> Space:
    """Return a Space as the Hub describes it, in any stage.

    Args:
        name: ``owner/name``.
        token: Needed for a private Space. None and False send no token; see `token_to_use`.
        endpoint: URL of the Hub; by default that of ``HF_ENDPOINT``, or else of Hugging Face.
        timeout: Seconds that each reply of the Hub may take.

    Raises:
        SpaceNotFound: The Hub has no Space of that name, or the token has no access.
        AuthenticationRequired: The token is missing, or lacks the permission.
        RateLimited: Too many requests; `retry_after` has the seconds to wait, if the Hub sent them.
        ServerRefused: The Hub, or a proxy in front of it, replied with an error.
        ConnectError: The Hub cannot be reached.
        TimeoutExpired: There was no reply in time.
        MalformedMessage: The reply is not one of a Hub, or names a host that is not that of a Space.
        LocalProtocolError: The name is not the name of a Space.
    """
    return Hub.create(token, endpoint).space(name, timeout)


def name_at(
    url: str, *, token: Token = None, endpoint: str | None = None, timeout: float = REQUEST_SECONDS
) -> str | None:
    """Return the name of the Space whose app has a URL, without waking it.

    None if the URL's host is not under ``hf.space``, or the Hub shows no Space there with this token.

    Raises:
        GradioTransportError: As for `resolve`.
    """
    subdomain, _, domain = (urlsplit(url).hostname or "").removesuffix(".").partition(".")
    if domain != "hf.space" or not re.fullmatch(r"[a-z0-9-]+", subdomain):
        return None
    try:
        return Hub.create(token, endpoint).name_at(subdomain, timeout)
    except GradioTransportError as error:
        if is_hidden(error):
            return None
        raise


def check_running(space: Space) -> None:
    """Raise if the Space's app cannot answer.

    Raises:
        SpaceNotRunning: The message has the stage and what to do.
    """
    if space.stage not in SERVING:
        _raise_not_running(space)


def _raise_not_running(space: Space) -> NoReturn:
    advice = ADVICE | ADVICE_WHEN_FINAL
    reason = f" The Hub reports: {excerpt(space.error_message)}" if space.error_message else ""
    raise SpaceNotRunning(
        f"The Space {space.id!r} is not running, its stage is {space.stage}. "
        f"{advice.get(space.stage, 'See its page on the Hub.')}{reason}",
        stage=space.stage,
        phase=Phase.DISCOVER,
    )


def wait(
    name: str,
    *,
    token: Token = None,
    token_origin: str | None = None,
    endpoint: str | None = None,
    timeout: float = 600.0,
    on_progress: Callable[[str, float], object] | None = None,
    poll: float = POLL_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Space:
    """Wait until a Space runs its newest version, and wake it if it sleeps.

    After the first reply of the Hub, transient failures (a lost connection, 429, 503) are retried.

    Args:
        name: ``owner/name``.
        token: As for `resolve`. It goes to the Hub, and to the Space if that is at an origin of Hugging Face,
            at that of the Hub, or at `token_origin`.
        token_origin: Another origin that the token may be sent to.
        endpoint: As for `resolve`.
        timeout: Total seconds to wait.
        on_progress: Called after each reply, with the stage and the seconds since the start.
        poll: Seconds between two requests.
        clock: Returns the time in seconds.
        sleep: Waits for some seconds.

    Raises:
        SpaceNotRunning: Waiting will not help; raised at once.
        TimeoutExpired: The deadline passed; its setting is ``"timeout"``.
        GradioTransportError: As for `resolve`.
    """
    hub, began = Hub.create(token, endpoint), clock()
    space, failure, pause = hub.space(name, min(timeout, REQUEST_SECONDS)), None, poll
    while True:
        elapsed = clock() - began
        if failure is None:
            if on_progress is not None:
                on_progress(space.stage, elapsed)
            if space.stage == "RUNNING":
                return space
            if space.stage in ADVICE_WHEN_FINAL:
                _raise_not_running(space)
            if space.stage == "SLEEPING" and elapsed < timeout:
                hub.wake(space, min(timeout - elapsed, WAKING_SECONDS), token_origin)
        left = timeout - (clock() - began)
        if left <= 0:
            raise timeout_error(
                f"The Space {name!r} did not run within {timeout:g} s, its stage is {space.stage}. "
                "Raise timeout=, or see its page on the Hub.",
                timeout,
            ) from failure
        sleep(min(pause, left))
        try:
            space, failure, pause = hub.space(name, min(max(left, 1.0), REQUEST_SECONDS)), None, poll
        except GradioTransportError as error:
            if not (error.retryable or isinstance(error, TimeoutExpired)):
                raise
            requested = error.retry_after if isinstance(error, RateLimited) else None
            failure, pause = error, max(poll, requested or 0.0)


def duplicate(
    from_id: str,
    to_id: str | None = None,
    *,
    token: Token,
    private: bool = True,
    hardware: str | None = None,
    secrets: Mapping[str, str] | None = None,
    sleep_timeout_minutes: int = 5,
    endpoint: str | None = None,
    timeout: float | None = None,
    on_progress: Callable[[str, float], object] | None = None,
) -> Space:
    """Duplicate a Space into your account, or return the existing copy.

    An existing copy is not changed: neither its secrets nor its visibility.

    Args:
        from_id: The Space to copy.
        to_id: The copy's name, by default that of the original. Without an owner it is in the account of the
            token.
        token: A token of the account with write permission.
        private: Whether only that account can see the copy.
        hardware: Such as ``"t4-small"``, which costs money; None for the free hardware.
        secrets: Environment variables of the copy. The Hub does not show them again.
        sleep_timeout_minutes: Idle minutes after which paid hardware sleeps. Free hardware has a fixed time,
            so this is sent only with `hardware`.
        endpoint: As for `resolve`.
        timeout: Seconds to wait until the copy runs; None to return at once.
        on_progress: As for `wait`.

    Raises:
        AuthenticationRequired: No token, or one that lacks the permission.
        SpaceNotFound: The Space to copy does not exist.
        LocalProtocolError: The existing copy has other hardware than `hardware`.
        GradioTransportError: As for `resolve`; with `timeout` also as for `wait`.
    """
    hub = Hub.create(token, endpoint)
    if hub.token is None:
        raise AuthenticationRequired(
            "Duplicating a Space needs a token with write permission. Pass token=.", phase=Phase.DISCOVER
        )
    from_id = to_name(from_id)
    target = to_id or from_id.partition("/")[2]
    if "/" not in target:
        target = f"{hub.account()}/{target}"
    target = to_name(target)
    try:
        space = hub.space(target)
    except SpaceNotFound:
        space = hub.copy(from_id, target, private, hardware, secrets or {}, sleep_timeout_minutes * 60)
    if hardware is not None and space.hardware not in (None, hardware):
        raise LocalProtocolError(
            f"The Space {space.id!r} already exists, on {space.hardware} instead of {hardware}. Change "
            "that in its settings on the Hub, or choose another name with to_id=.",
            phase=Phase.DISCOVER,
        )
    if timeout is None:
        return space
    return wait(space.id, token=hub.token, endpoint=hub.endpoint, timeout=timeout, on_progress=on_progress)


def space_jwt(
    name: str, *, token: Token, endpoint: str | None = None, timeout: float = REQUEST_SECONDS
) -> str:
    """Return a short-lived token for ``?__sign=`` in URLs of a private Space, where no header can be sent.

    Raises:
        AuthenticationRequired: No token was given, or it has no access to the Space.
        GradioTransportError: As for `resolve`.
    """
    hub = Hub.create(token, endpoint)
    if hub.token is None:
        raise AuthenticationRequired(
            f"Signing URLs of the Space {name!r} needs a token. Pass token=.", phase=Phase.DISCOVER
        )
    return hub.jwt(name, timeout)
