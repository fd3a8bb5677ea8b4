# SPDX-License-Identifier: Apache-2.0
"""Hugging Face Spaces: from ``owner/name`` to a URL that answers.

The Hub is asked through huggingface_hub, which is imported with the first question, not with this module.
A token goes to the Hub and to the Space that was named, to no other host, and never implicitly: who wants the
saved one says so (`token_to_use`), or takes it where a Space hides itself (`hides_itself`).  Everything here
blocks for a bounded time; on an event loop run it in a thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NoReturn

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
from ._hub import ADVICE, ADVICE_WHEN_FINAL, Hub, too_late
from .space import REQUEST_SECONDS, Space, Token, check_name

WAKING_SECONDS = 10.0
"""How long a request that wakes a Space may take. It has done its work when it arrives."""


POLL_SECONDS = 3.0


SERVING = frozenset({"RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING"})
"""Stages in which the app answers; with the latter two, an older version of it."""


def resolve(
    name: str, *, token: Token = None, endpoint: str | None = None, timeout: float = REQUEST_SECONDS
) -> Space:
    """Ask the Hub about a Space, whatever it is doing.

    Args:
        name: ``owner/name``.
        token: Needed for a private Space. None and False send none; see `token_to_use`.
        endpoint: URL of the Hub; by default ``HF_ENDPOINT``, or else Hugging Face's own.
        timeout: Seconds that each answer of the Hub may take.

    Raises:
        SpaceNotFound: The Hub shows none of that name.
        AuthenticationRequired: The token is missing, or not good enough.
        RateLimited: Too many questions; `retry_after` has the seconds, if the Hub said so.
        ServerRefused: The Hub, or a proxy before it, answered with an error.
        ConnectError: Nobody answers.
        TimeoutExpired: No answer in time.
        MalformedMessage: The answer is not the Hub's.
        LocalProtocolError: The name is no name of a Space.
    """
    return Hub.of(token, endpoint).space(name, timeout)


def check_running(space: Space) -> None:
    """Do nothing if the Space's app can answer.

    Raises:
        SpaceNotRunning: It cannot; the message says why, and what to do.
    """
    if space.stage not in SERVING:
        _raise_not_running(space)


def _raise_not_running(space: Space) -> NoReturn:
    advice = ADVICE | ADVICE_WHEN_FINAL
    reason = f" The Hub says: {excerpt(space.error_message)}" if space.error_message else ""
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
    endpoint: str | None = None,
    timeout: float = 600.0,
    on_progress: Callable[[str, float], object] | None = None,
    poll: float = POLL_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Space:
    """Wait until a Space runs its newest version, and wake it if it sleeps.

    Once the Hub has answered, its passing failures (a lost connection, 429, 503) are waited out as well.

    Args:
        name: ``owner/name``.
        token: As for `resolve`. It goes to the Hub and to the Space's own host.
        endpoint: As for `resolve`.
        timeout: Seconds to wait in all.
        on_progress: Called with the stage and the seconds since the beginning, after each answer.
        poll: Seconds between two questions.
        clock: Gives the time in seconds.
        sleep: Waits for some seconds.

    Raises:
        SpaceNotRunning: It will not run by waiting; raised at once.
        TimeoutExpired: The deadline passed; its setting is ``"timeout"``.
        GradioTransportError: As for `resolve`.
    """
    hub, began = Hub.of(token, endpoint), clock()
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
                hub.wake(space, min(timeout - elapsed, WAKING_SECONDS))
        left = timeout - (clock() - began)
        if left <= 0:
            raise too_late(
                f"The Space {name!r} did not run within {timeout:g} s, its stage is {space.stage}. "
                "Give it more with timeout=, or look at its page on the Hub.",
                timeout,
            ) from failure
        sleep(min(pause, left))
        try:
            space, failure, pause = hub.space(name, min(max(left, 1.0), REQUEST_SECONDS)), None, poll
        except GradioTransportError as error:
            if not (error.retryable or isinstance(error, TimeoutExpired)):
                raise
            asked = error.retry_after if isinstance(error, RateLimited) else None
            failure, pause = error, max(poll, asked or 0.0)


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
    """Copy a Space into an account of your own, or take the copy that is there already.

    A copy that is there is not changed: neither its secrets nor whether it is private.

    Args:
        from_id: The Space to copy.
        to_id: The copy's name; without an owner, or by default with the name of the original, in the account
            of the token.
        token: Of the account; it must be one that may write.
        private: Whether only that account sees the copy.
        hardware: Such as ``"t4-small"``, which costs money; None for the free one.
        secrets: Environment of the copy, which the Hub does not show again.
        sleep_timeout_minutes: Idle minutes after which paid hardware goes to sleep. The free one has a fixed
            time, so without `hardware` it is not sent.
        endpoint: As for `resolve`.
        timeout: Seconds to wait until the copy runs; None to return at once.
        on_progress: As for `wait`.

    Raises:
        AuthenticationRequired: No token, or one that may not do this.
        SpaceNotFound: There is no such Space to copy.
        LocalProtocolError: The copy that is there already has other hardware than was asked for.
        GradioTransportError: As for `resolve`; with `timeout` also as for `wait`.
    """
    hub = Hub.of(token, endpoint)
    if hub.token is None:
        raise AuthenticationRequired(
            "Duplicating a Space needs a token that may write. Pass token=.", phase=Phase.DISCOVER
        )
    check_name(from_id)
    target = to_id or from_id.partition("/")[2]
    if "/" not in target:
        target = f"{hub.account()}/{target}"
    check_name(target)
    try:
        space = hub.space(target)
    except SpaceNotFound:
        space = hub.copy(from_id, target, private, hardware, secrets or {}, sleep_timeout_minutes * 60)
    if hardware is not None and space.hardware not in (None, hardware):
        raise LocalProtocolError(
            f"The Space {space.id!r} exists already, on {space.hardware} and not on {hardware}. Change "
            "that in its settings on the Hub, or choose another name with to_id=.",
            phase=Phase.DISCOVER,
        )
    if timeout is None:
        return space
    return wait(space.id, token=hub.token, endpoint=hub.endpoint, timeout=timeout, on_progress=on_progress)


def space_jwt(
    name: str, *, token: Token, endpoint: str | None = None, timeout: float = REQUEST_SECONDS
) -> str:
    """Return the short-lived token that a private Space takes as ``?__sign=``, where no header can go.

    Raises:
        AuthenticationRequired: No token was given, or it does not see the Space.
        GradioTransportError: As for `resolve`.
    """
    hub = Hub.of(token, endpoint)
    if hub.token is None:
        raise AuthenticationRequired(
            f"Signing URLs of the Space {name!r} needs a token. Pass token=.", phase=Phase.DISCOVER
        )
    return hub.jwt(name, timeout)
