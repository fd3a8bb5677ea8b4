# SPDX-License-Identifier: Apache-2.0
"""Requests to the Hugging Face Hub, through huggingface_hub, and the errors they become.

huggingface_hub is imported with the first request, not with this module: the import is slow, and only Spaces
need it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

import attrs

from ..errors import (
    AuthenticationRequired,
    ConnectError,
    GradioTransportError,
    InvalidPayload,
    MalformedMessage,
    Phase,
    RateLimited,
    ServerRefused,
    SpaceNotFound,
    TimeoutExpired,
    excerpt,
)
from ..protocol.retry_after import retry_after
from ..protocol.urls import base_url, is_below, is_hugging_face, same_origin, shown_url, space_name
from .space import REQUEST_SECONDS, Space, Token, to_name, token_to_use

ADVICE = {
    "BUILDING": "It is being built. Wait for it with gradio_transport.spaces.wait().",
    "APP_STARTING": "It is starting. Wait for it with gradio_transport.spaces.wait().",
    "SLEEPING": "It sleeps. Wake it with gradio_transport.spaces.wait().",
}
"""What to do in transient stages. (huggingface_hub's `SpaceStage` does not list SLEEPING.)"""


ADVICE_WHEN_FINAL = {
    "PAUSED": "Its owner paused it, and only they can start it again. You can duplicate it.",
    "STOPPED": "It was stopped. Its owner can restart it in its settings.",
    "RUNTIME_ERROR": "The app ended with an error; see its logs on the Hub. Its owner can restart it.",
    "BUILD_ERROR": "It could not be built; see its build logs on the Hub.",
    "CONFIG_ERROR": "The configuration in its README.md is wrong.",
    "NO_APP_FILE": "It has no app file yet.",
    "DELETING": "It is being deleted.",
}
"""What to do in stages that waiting does not change."""


UNREACHABLE = "Cannot reach the Hugging Face Hub"
"""The start of the message of a `ConnectError` about the Hub, as opposed to one about an app."""


_Answer = TypeVar("_Answer")


@attrs.frozen
class Hub:
    """A Hub, and the token its requests are made with."""

    endpoint: str = attrs.field(repr=shown_url)
    token: str | None = attrs.field(repr=False)

    @classmethod
    def create(cls, token: Token, endpoint: str | None) -> Hub:
        """Return a Hub for a token and an endpoint, both checked."""
        return cls(base_url(endpoint_to_use() if endpoint is None else endpoint), token_to_use(token))

    def space(self, name: str, timeout: float = REQUEST_SECONDS) -> Space:
        """Return a Space."""
        name = to_name(name)
        token = self.token or False

        def ask(api: Any) -> Space:
            info = api.space_info(name, timeout=timeout, token=token)
            runtime = info.runtime
            if runtime is None:
                runtime = api.get_space_runtime(info.id, token=token)
            elif runtime.stage in ADVICE_WHEN_FINAL and not runtime.raw.get("errorMessage"):
                # For the error message only, so a failure here changes nothing.
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    runtime = api.get_space_runtime(info.id, token=token)
            return Space(
                id=info.id,
                url=self._app_url(info.host, info.subdomain),
                stage=str(runtime.stage),
                private=bool(info.private),
                sdk=info.sdk,
                hardware=runtime.requested_hardware or runtime.hardware,
                error_message=str(runtime.raw.get("errorMessage") or ""),
            )

        return self._ask(f"the Space {name!r}", ask, timeout)

    def _app_url(self, host: str | None, subdomain: str | None) -> str:
        """Return the URL of a Space's app, from the Hub's description.

        Raises:
            MalformedMessage: The host is not that of a Space.
        """
        if not host and not subdomain:
            raise ValueError("the reply has no host of the Space")
        text = host or f"{subdomain}.hf.space"
        url = (text if "://" in text else f"https://{text}").removesuffix("/")
        if not _is_space_origin(url, urlsplit(self.endpoint)):
            raise MalformedMessage(
                f"The Hub at {shown_url(self.endpoint)} names {self._excerpt(url)!r} as the host of the "
                "Space. That is neither under hf.space by https nor the Hub's own host, so nothing was sent "
                "there. If the Space has its own domain, connect to its URL.",
                phase=Phase.DISCOVER,
            )
        return url

    def name_at(self, subdomain: str, timeout: float) -> str:
        """Return the name of the Space at a host."""

        def ask(_: Any) -> str:
            name = space_name(self._get(f"by-subdomain/{subdomain}", "id", timeout))
            if name is None:
                raise ValueError("the reply has no name of a Space")
            return name

        return self._ask(f"the Space at {subdomain}.hf.space", ask, timeout)

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
        """Create a copy of a Space, with all its settings in one request."""
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
            if error.status != 409:  # another program created it meanwhile
                raise
        return self.space(to_id)

    def jwt(self, name: str, timeout: float) -> str:
        """Return a token for URLs."""
        name = to_name(name)

        def ask(_: Any) -> str:
            return self._get(f"{name}/jwt", "token", timeout)

        return self._ask(f"the Space {name!r}", ask, timeout)

    def _get(self, route: str, field: str, timeout: float) -> str:
        """Return a text of a reply to a route that huggingface_hub has no function for."""
        import huggingface_hub.utils

        utils: Any = huggingface_hub.utils
        response = utils.get_session().get(
            f"{self.endpoint}/api/spaces/{route}",
            headers=utils.build_hf_headers(token=self.token or False),
            timeout=timeout,
        )
        utils.hf_raise_for_status(response)
        text = response.json()[field]
        if not isinstance(text, str):
            raise TypeError(f"{field} is not a string")
        return text

    def wake(self, space: Space, timeout: float, token_origin: str | None = None) -> None:
        """Request a Space's page, which wakes it.

        The token is sent to the origins of Hugging Face, that of this Hub, and `token_origin`.

        Errors are ignored: whether the Space woke up shows in its next stage, and a page that takes long to
        answer has been woken by the request already.
        """
        import httpx

        named = (self.endpoint, token_origin or self.endpoint)
        may_see = is_hugging_face(space.url) or any(same_origin(space.url, url) for url in named)
        headers = {"x-hf-authorization": f"Bearer {self.token}"} if self.token and may_see else {}

        def request() -> None:
            with (
                httpx.Client(timeout=timeout, follow_redirects=False) as client,
                client.stream("GET", space.url, headers=headers),
            ):
                pass

        with contextlib.suppress(httpx.HTTPError, TimeoutExpired):
            _run_bounded(timeout, request)

    def _ask(self, what: str, ask: Callable[[Any], _Answer], timeout: float = REQUEST_SECONDS) -> _Answer:
        """Call a function of the Hub's API, and translate its exceptions."""
        from huggingface_hub import HfApi

        api = HfApi(endpoint=self.endpoint, token=False, library_name="gradio-transport")
        try:
            return _run_bounded(timeout, lambda: ask(api))
        except GradioTransportError:
            raise
        except Exception as error:
            ours = self._translate(error, what)
            if ours is None:
                raise
            raise ours from error

    def _translate(self, error: Exception, what: str) -> GradioTransportError | None:
        # Usually an HfHubHTTPError; whoami of huggingface_hub 0.x raises the HTTPError below it.
        response = getattr(error, "response", None)
        if response is not None:
            return self._refusal(response, what)
        if isinstance(error, ValueError | KeyError | TypeError | AttributeError):
            return MalformedMessage(
                f"{shown_url(self.endpoint)} does not answer like a Hugging Face Hub "
                f"({type(error).__name__}: {self._excerpt(str(error))}). Check the endpoint and any proxy "
                f"in front of it.",
                phase=Phase.DISCOVER,
            )
        # By the names of module and class, because the HTTP library differs by version of huggingface_hub:
        # requests in 0.x, httpx in 1.x, httpx2 in 2.x.
        if isinstance(error, OSError) or type(error).__module__.startswith(("httpx", "requests")):
            if "Timeout" in type(error).__name__:
                return timeout_error(f"{shown_url(self.endpoint)} did not reply in time.")
            return ConnectError(
                f"{UNREACHABLE} at {shown_url(self.endpoint)}: {self._excerpt(str(error))}.",
                phase=Phase.DISCOVER,
            )
        return None

    def _refusal(self, response: Any, what: str) -> GradioTransportError:
        status: int = response.status_code
        headers = cast("Mapping[str, str]", response.headers)
        body = self._excerpt(response.text)
        context: dict[str, Any] = {"phase": Phase.DISCOVER, "status": status, "body": body}
        reason = headers.get("x-error-message") or body or "no reason given"
        if "text/html" in headers.get("content-type", ""):
            reason = "an HTML page, so it may come from a proxy in front of the Hub"
        reply = f"The Hub replied: {self._excerpt(reason)}."
        if status == 404 or headers.get("x-error-code") == "RepoNotFound":
            with_token = "the token does not see it" if self.token else "it is private. Then pass token="
            return SpaceNotFound(
                f"The Hub does not show {what}. Either the name is misspelt, or {with_token}.", **context
            )
        if status in (401, 403):
            hint = (
                "The token is wrong, expired, or lacks the permission."
                if self.token
                else "There is no such Space, or it is private. For a private one pass token=."
            )
            return AuthenticationRequired(f"The Hub refuses {what}. {hint} {reply}", **context)
        if status == 429:
            seconds = retry_after(headers.get("retry-after"), time.time())
            return RateLimited(f"Too many requests. {reply}", retry_after=seconds, **context)
        if status == 400:
            return InvalidPayload(reply, **context)
        return ServerRefused(reply, retryable=status in (502, 503, 504), **context)

    def _excerpt(self, text: str) -> str:
        """Return the beginning of a text, without secrets: servers and libraries may quote the request."""
        text = text.replace(self.endpoint, shown_url(self.endpoint))
        return excerpt(text.replace(self.token, "<token>") if self.token else text).rstrip(".")


def endpoint_to_use() -> str:
    """Return the URL of the Hub for callers that name none.

    The environment is read here, because huggingface_hub reads ``HF_ENDPOINT`` only when it is imported.
    """
    endpoint = os.environ.get("HF_ENDPOINT")
    if not endpoint:
        from huggingface_hub import constants

        endpoint = constants.ENDPOINT
    return endpoint


def _is_space_origin(url: str, hub: SplitResult) -> bool:
    """Return whether a URL is only the origin of a Space: under ``hf.space``, or on the Hub's host."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises on rubbish
    except ValueError:
        return False
    name, of_hub = parts.hostname or "", hub.hostname or ""
    if url != f"{parts.scheme}://{parts.netloc}" or "@" in parts.netloc:
        return False
    if is_hugging_face(url) and is_below(name, "hf.space"):
        return True
    return parts.scheme in ("https", hub.scheme) and (name == of_hub or is_below(name, of_hub))


def timeout_error(message: str, seconds: float | None = None) -> TimeoutExpired:
    """Return the error for a wait that exceeded ``timeout=``."""
    return TimeoutExpired(message, setting="timeout", seconds=seconds, phase=Phase.DISCOVER)


def _run_bounded(seconds: float, call: Callable[[], _Answer]) -> _Answer:
    """Run a call in a thread, and return its result or raise its error within a time limit.

    Most functions of huggingface_hub have no timeout. A thread cannot be stopped, so a hanging one is
    abandoned; as a daemon it does not block the exit of the interpreter.

    Raises:
        TimeoutExpired: The call took longer.
    """
    outcome: list[tuple[_Answer | None, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            outcome.append((None, error))

    thread = threading.Thread(target=run, name="gradio-transport-hub", daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise timeout_error(f"The Hub did not reply within {seconds:g} s.", seconds)
    answer, error = outcome[0]
    if error is not None:
        raise error
    return cast("_Answer", answer)
