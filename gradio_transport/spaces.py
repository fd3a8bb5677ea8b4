# SPDX-License-Identifier: Apache-2.0
"""Hugging Face Spaces: from ``owner/name`` to a URL that answers.

The Hub is asked through huggingface_hub, which is imported with the first question, not with this module.
A token goes to the Hub and to the Space that was named, to no other host, and never implicitly: who wants the
saved one says so (`token_to_use`), or takes it where a Space hides itself (`hides_itself`).  Everything here
blocks for a bounded time; on an event loop run it in a thread.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NoReturn, TypeVar, cast
from urllib.parse import urlsplit

import attrs

from .backoff import retry_after
from .errors import (
    AuthenticationRequired,
    ConnectError,
    GradioTransportError,
    InvalidPayload,
    LocalProtocolError,
    MalformedMessage,
    Phase,
    RateLimited,
    ServerRefused,
    SpaceNotFound,
    SpaceNotRunning,
    Timeout,
    excerpt,
)
from .urls import base_url, is_hugging_face_host, is_internal, is_space_name

__all__ = [
    "Space", "resolve", "wait", "check_running", "duplicate", "space_jwt", "token_to_use", "hides_itself",
    "is_space_name", "is_hugging_face_host", "Token", "REQUEST_SECONDS",
]  # fmt: skip

Token = str | Literal[False] | None
"""A token, or none. Neither None nor False means the saved one here."""

REQUEST_SECONDS = 30.0
"""How long one answer of the Hub may take, by default."""

WAKING_SECONDS = 10.0
"""How long a request that wakes a Space may take. It has done its work when it arrives."""

POLL_SECONDS = 3.0

SERVING = frozenset({"RUNNING", "RUNNING_BUILDING", "RUNNING_APP_STARTING"})
"""Stages in which the app answers; with the latter two, an older version of it."""

ADVICE = {
    "BUILDING": "It is being built. Wait for it with gradio_transport.spaces.wait().",
    "APP_STARTING": "It is starting. Wait for it with gradio_transport.spaces.wait().",
    "SLEEPING": "It sleeps. Wake it with gradio_transport.spaces.wait().",
}
"""What to do in the stages that pass. (huggingface_hub's `SpaceStage` does not list SLEEPING.)"""

ADVICE_WHEN_FINAL = {
    "PAUSED": "Its owner paused it, and only they can start it again. A duplicate of your own may serve.",
    "STOPPED": "It was stopped. Its owner can restart it in its settings.",
    "RUNTIME_ERROR": "The app ended with an error. Its logs on the Hub say why; its owner can restart it.",
    "BUILD_ERROR": "It could not be built. Its build logs on the Hub say why.",
    "CONFIG_ERROR": "The configuration in its README.md is wrong.",
    "NO_APP_FILE": "It has no app file yet.",
    "DELETING": "It is being deleted.",
}

UNREACHABLE = "Cannot reach the Hugging Face Hub"
"""How the `ConnectError` begins that is about the Hub, not about an app."""

_Answer = TypeVar("_Answer")


@attrs.frozen
class Space:
    """A Space, as the Hub described it at one moment.

    Attributes:
        id: ``owner/name``, as the Hub writes it; it may differ from what was asked for if the Space moved.
        url: Where the app answers, such as ``"https://owner-name.hf.space"``.
        stage: The Hub's word for what it is doing, such as ``"RUNNING"``.
        private: Whether its pages want a token.
        sdk: ``"gradio"``, ``"docker"``, ``"static"`` ..., or None if it does not say.
        hardware: What it runs on or was told to, such as ``"cpu-basic"``, or None.
        error_message: Why it failed, in the Hub's words, or empty.
    """

    id: str
    url: str
    stage: str
    private: bool = False
    sdk: str | None = None
    hardware: str | None = None
    error_message: str = ""


def token_to_use(token: str | bool | None, *, saved: bool = False) -> str | None:
    """Return the token to send, or None for none.

    Args:
        token: A token; False for none; True for the one that huggingface_hub has saved (``hf auth login`` or
            ``HF_TOKEN``).
        saved: Whether None means the saved one, if there is one.

    Raises:
        AuthenticationRequired: The saved one is wanted by ``True``, and there is none.
        LocalProtocolError: The text cannot be a token.
    """
    found = token if isinstance(token, str) else None
    if token is True or (token is None and saved):
        from huggingface_hub import get_token

        found = get_token()
        if found is None and token:
            raise AuthenticationRequired(
                "No Hugging Face token is saved. Log in with 'hf auth login', set HF_TOKEN, or pass token=.",
                phase=Phase.DISCOVER,
            )
    if found is None:
        return None
    found = found.strip()
    # Said here, for the HTTP library would quote the header, and with it the token.
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise LocalProtocolError(
            "The token is empty, or has characters that no token has. (It is not shown.)"
        )
    return found


def hides_itself(error: BaseException) -> bool:
    """Return whether an error of the connecting says that the Hub shows the Space to no stranger.

    It is the one reason to try again with the saved token when the caller gave none. A Space that wants a
    login of its own is not hidden: it is public, anybody may have made it, and the token is not for it.
    """
    if isinstance(error, SpaceNotFound):
        return True
    # Behind what the Hub refused stands the HTTP library's error; an app's own refusal has none behind it.
    return isinstance(error, AuthenticationRequired) and hasattr(error.__cause__, "response")


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
        Timeout: No answer in time.
        MalformedMessage: The answer is not the Hub's.
        LocalProtocolError: The name is no name of a Space.
    """
    return _Hub.of(token, endpoint).space(name, timeout)


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
        Timeout: The deadline passed; its knob is ``"timeout"``.
        GradioTransportError: As for `resolve`.
    """
    hub, began = _Hub.of(token, endpoint), clock()
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
            raise _too_late(
                f"The Space {name!r} did not run within {timeout:g} s, its stage is {space.stage}. "
                "Give it more with timeout=, or look at its page on the Hub.",
                timeout,
            ) from failure
        sleep(min(pause, left))
        try:
            space, failure, pause = hub.space(name, min(max(left, 1.0), REQUEST_SECONDS)), None, poll
        except GradioTransportError as error:
            if not (error.retryable or isinstance(error, Timeout)):
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
    hub = _Hub.of(token, endpoint)
    if hub.token is None:
        raise AuthenticationRequired(
            "Duplicating a Space needs a token that may write. Pass token=.", phase=Phase.DISCOVER
        )
    _check_name(from_id)
    target = to_id or from_id.partition("/")[2]
    if "/" not in target:
        target = f"{hub.account()}/{target}"
    _check_name(target)
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
    hub = _Hub.of(token, endpoint)
    if hub.token is None:
        raise AuthenticationRequired(
            f"Signing URLs of the Space {name!r} needs a token. Pass token=.", phase=Phase.DISCOVER
        )
    return hub.jwt(name, timeout)


def _check_name(name: str) -> None:
    if not is_space_name(name):
        raise LocalProtocolError(
            f"{name!r} is no name of a Space, such as 'owner/name'.", phase=Phase.DISCOVER
        )


@attrs.frozen
class _Hub:
    """A Hub, and who asks it."""

    endpoint: str
    token: str | None = attrs.field(repr=False)

    @classmethod
    def of(cls, token: Token, endpoint: str | None) -> _Hub:
        """Check what the caller gave. huggingface_hub reads ``HF_ENDPOINT`` once, when it is imported."""
        if endpoint is None and not (endpoint := os.environ.get("HF_ENDPOINT")):
            from huggingface_hub import constants

            endpoint = constants.ENDPOINT
        return cls(base_url(endpoint), token_to_use(token))

    def space(self, name: str, timeout: float = REQUEST_SECONDS) -> Space:
        """Ask for one Space."""
        _check_name(name)
        token = self.token or False

        def ask(api: Any) -> Space:
            info = api.space_info(name, timeout=timeout, token=token)
            runtime = info.runtime
            if runtime is None:
                runtime = api.get_space_runtime(info.id, token=token)
            elif runtime.stage in ADVICE_WHEN_FINAL and not runtime.raw.get("errorMessage"):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # it only explains
                    runtime = api.get_space_runtime(info.id, token=token)
            return Space(
                id=info.id,
                url=_address(info.host, info.subdomain),
                stage=str(runtime.stage),
                private=bool(info.private),
                sdk=info.sdk,
                hardware=runtime.requested_hardware or runtime.hardware,
                error_message=str(runtime.raw.get("errorMessage") or ""),
            )

        return self._ask(f"the Space {name!r}", ask, timeout)

    def account(self) -> str:
        """Return the name of the token's account."""

        def ask(api: Any) -> str:
            return str(api.whoami(token=self.token)["name"])

        return self._ask("the account of the token", ask)

    def copy(
        self,
        from_id: str,
        to_id: str,
        private: bool,
        hardware: str | None,
        secrets: Mapping[str, str],
        sleep_seconds: int,
    ) -> Space:
        """Have the Hub make a copy, settings and all in one request."""
        sleep_time = sleep_seconds if hardware not in (None, "cpu-basic") else None
        listed = [{"key": key, "value": value} for key, value in secrets.items()] or None

        def ask(api: Any) -> object:
            if hasattr(api, "duplicate_repo"):  # huggingface_hub 2.x
                return api.duplicate_repo(
                    from_id,
                    to_id,
                    repo_type="space",
                    private=private,
                    token=self.token,
                    space_hardware=hardware,
                    space_sleep_time=sleep_time,
                    space_secrets=listed,
                )
            return api.duplicate_space(
                from_id,
                to_id,
                private=private,
                token=self.token,
                hardware=hardware,
                sleep_time=sleep_time,
                secrets=listed,
            )

        try:
            self._ask(f"the Space {from_id!r}", ask)
        except ServerRefused as error:
            if error.status != 409:  # somebody else made it meanwhile
                raise
        return self.space(to_id)

    def jwt(self, name: str, timeout: float) -> str:
        """Ask for a token of URLs. huggingface_hub has no name for this route."""
        _check_name(name)

        def ask(_: Any) -> str:
            import huggingface_hub.utils

            utils: Any = huggingface_hub.utils
            response = utils.get_session().get(
                f"{self.endpoint}/api/spaces/{name}/jwt",
                headers=utils.build_hf_headers(token=self.token),
                timeout=timeout,
            )
            utils.hf_raise_for_status(response)
            token = response.json()["token"]
            if not isinstance(token, str):
                raise TypeError("the token is no text")
            return token

        return self._ask(f"the Space {name!r}", ask, timeout)

    def wake(self, space: Space, timeout: float) -> None:
        """Request a Space's page, which is what ends its sleep. Whether it did, the Hub tells."""
        import httpx

        headers = {"x-hf-authorization": f"Bearer {self.token}"} if self._may_see_token(space.url) else {}

        def request() -> None:
            with (
                httpx.Client(timeout=timeout, follow_redirects=False) as client,
                client.stream("GET", space.url, headers=headers),
            ):
                pass

        with contextlib.suppress(httpx.HTTPError, Timeout):
            _within(timeout, request)

    def _may_see_token(self, url: str) -> bool:
        if self.token is None:
            return False
        parts = urlsplit(url)
        hub = urlsplit(self.endpoint)
        return is_hugging_face_host(parts.hostname or "", self.endpoint) and parts.scheme in (
            "https",
            hub.scheme,
        )

    def _ask(self, what: str, ask: Callable[[Any], _Answer], timeout: float = REQUEST_SECONDS) -> _Answer:
        """Put a question to the Hub; every way it can fail becomes one of our errors."""
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self.endpoint, token=False, library_name="gradio-transport")
        try:
            return _within(timeout, lambda: ask(api))
        except GradioTransportError:
            raise
        except Exception as error:
            translated = self._translated(error, what)
            if translated is None:
                raise
            raise translated from error

    def _translated(self, error: Exception, what: str) -> GradioTransportError | None:
        # HfHubHTTPError, but for whoami of 0.x the HTTPError below it.
        response = getattr(error, "response", None)
        if response is not None:
            return self._refusal(response, what)
        if isinstance(error, ValueError | KeyError | TypeError | AttributeError):
            return MalformedMessage(
                f"{self.endpoint} does not answer as a Hugging Face Hub does ({type(error).__name__}: "
                f"{self._clean(str(error))}). Check the endpoint and any proxy before it.",
                phase=Phase.DISCOVER,
            )
        # The HTTP library below differs by version: requests (0.x), httpx (1.x), httpx2 (2.x).
        if isinstance(error, OSError) or type(error).__module__.startswith(("httpx", "requests")):
            if "Timeout" in type(error).__name__:
                return _too_late(f"{self.endpoint} did not answer in time.")
            return ConnectError(
                f"{UNREACHABLE} at {self.endpoint}: {self._clean(str(error))}.",
                phase=Phase.DISCOVER,
            )
        return None

    def _refusal(self, response: Any, what: str) -> GradioTransportError:
        status: int = response.status_code
        headers = cast("Mapping[str, str]", response.headers)
        body = self._clean(response.text)
        context: dict[str, Any] = {"phase": Phase.DISCOVER, "status": status, "body": body}
        said = headers.get("x-error-message") or body or "no reason given"
        if "text/html" in headers.get("content-type", ""):
            said = "an HTML page, so it may come from a proxy before the Hub"
        says = f"The Hub answered: {self._clean(said)}."
        if status == 404 or headers.get("x-error-code") == "RepoNotFound":
            with_token = "the token does not see it" if self.token else "it is private. Then pass token="
            return SpaceNotFound(
                f"The Hub does not show {what}. Either the name is misspelt, or {with_token}.", **context
            )
        if status in (401, 403):
            hint = (
                "The token is wrong, expired, or lacks the permission."
                if self.token
                else "There is no such Space, or it is private: then pass token=."
            )
            return AuthenticationRequired(f"The Hub refuses {what}. {hint} {says}", **context)
        if status == 429:
            seconds = retry_after(headers.get("retry-after"), time.time())
            return RateLimited(f"Too many requests. {says}", retry_after=seconds, **context)
        if status == 400:
            return InvalidPayload(says, **context)
        return ServerRefused(says, retryable=status in (502, 503, 504), **context)

    def _clean(self, text: str) -> str:
        """Return the head of a text without the token, whoever put it there."""
        return excerpt(text.replace(self.token, "<token>") if self.token else text).rstrip(".")


def _address(host: str | None, subdomain: str | None) -> str:
    if not host and not subdomain:
        raise ValueError("it names no host of the Space")
    text = host or f"{subdomain}.hf.space"
    try:
        url = base_url(text if "://" in text else f"https://{text}")
    except LocalProtocolError as error:  # the Hub's fault, not the caller's
        raise ValueError(error.message) from None
    if is_internal(urlsplit(url).hostname or ""):
        raise ValueError(f"it names {url!r} as the host of the Space")
    return url


def _too_late(message: str, seconds: float | None = None) -> Timeout:
    return Timeout(message, knob="timeout", seconds=seconds, phase=Phase.DISCOVER)


def _within(seconds: float, call: Callable[[], _Answer]) -> _Answer:
    """Run a call that knows no deadline, as most of huggingface_hub's; one that hangs is left behind.

    Raises:
        Timeout: It took longer.
    """
    outcome: list[tuple[_Answer | None, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised where the answer is awaited
            outcome.append((None, error))

    thread = threading.Thread(target=run, name="gradio-transport-hub", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise _too_late(f"The Hub did not answer within {seconds:g} s.", seconds)
    answer, error = outcome[0]
    if error is not None:
        raise error
    return cast("_Answer", answer)
