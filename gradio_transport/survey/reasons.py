# SPDX-License-Identifier: Apache-2.0
"""The reason code for a failed step of the doctor."""

from __future__ import annotations

from ..doctor import Step
from ..errors import (
    AuthenticationRequired,
    ConnectError,
    GradioTransportError,
    NotAGradioApp,
    RateLimited,
    RemoteProtocolError,
    SpaceNotRunning,
    TransportError,
)
from ..spaces import is_hidden
from .result import Reason

TOO_MANY_REQUESTS, PROXY_AUTHENTICATION = 429, 407

_BY_STEP = {
    "address": Reason.NOT_A_SOURCE,
    "proxy": Reason.PROXY,
    "name": Reason.UNKNOWN_HOST,
    "tls": Reason.TLS,
    "login": Reason.LOGIN,
    "protocol": Reason.NO_ADAPTER,
}


def reason_of(step: Step, stage: str | None) -> Reason:
    """Return why an app does not answer.

    Args:
        step: The first step that failed, or the warning about a Space that was not contacted.
        stage: The stage of the Space, if it is one and the Hub reported it.
    """
    error = step.error
    match step.name:
        case "space":
            return _of_space(error, stage)
        case "tcp":
            refused = error is not None and isinstance(error.__cause__, ConnectionRefusedError)
            return Reason.REFUSED if refused else Reason.UNREACHABLE
        case "redirects":
            return Reason.LOGIN if isinstance(error, AuthenticationRequired) else Reason.REDIRECTS
        case "gradio":
            return _of_reply(error)
        case name:
            return _BY_STEP.get(name, Reason.UNEXPECTED)


def _of_space(error: GradioTransportError | None, stage: str | None) -> Reason:
    if error is None:
        return Reason.SLEEPING if stage == "SLEEPING" else Reason.STARTING
    if isinstance(error, SpaceNotRunning):
        return Reason.NOT_RUNNING
    if isinstance(error, RateLimited):
        return Reason.RATE_LIMITED
    return Reason.NO_SPACE if is_hidden(error) else Reason.HUB


def _of_reply(error: GradioTransportError | None) -> Reason:
    if error is None:
        return Reason.UNEXPECTED
    if error.status == PROXY_AUTHENTICATION:
        return Reason.PROXY
    if isinstance(error, ConnectError):
        return Reason.UNREACHABLE
    if isinstance(error, TransportError):
        return Reason.NO_REPLY
    if isinstance(error, RateLimited) or error.status == TOO_MANY_REQUESTS:
        return Reason.RATE_LIMITED
    if error.status is not None and error.status >= 500:
        return Reason.SERVER_ERROR
    if isinstance(error, RemoteProtocolError) and not isinstance(error, NotAGradioApp):
        return Reason.UNREADABLE
    return Reason.NOT_GRADIO
