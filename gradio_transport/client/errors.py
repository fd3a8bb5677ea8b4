# SPDX-License-Identifier: Apache-2.0
"""The errors of the Gradio Python client's docs, as subclasses of this library's errors.

You can catch each by either name: ``except client.AppError``, ``except gradio_transport.AppError``, or the
standard type that the docs give (`ValueError`, `TypeError`, `TimeoutError`).

Programs also match on words in the text of an error, for example to distinguish a full queue from a failed
Space. The texts here contain the words of the Gradio Python client; `surface` lists them.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from concurrent.futures import CancelledError
from contextlib import contextmanager
from types import MappingProxyType

from .. import errors


class AppError(errors.AppError, ValueError):
    """The app's own function raised."""


class QuotaExceeded(AppError, errors.QuotaExceeded):
    """The GPU time that ZeroGPU grants the visitor is used up."""


class AuthenticationError(errors.AuthenticationRequired, ValueError):
    """The app or the Hub requires a login or a token, or refused it."""


class QueueError(errors.QueueFull):
    """The app's queue is full; nothing was accepted."""


class TooManyRequestsError(errors.RateLimited):
    """The server asks for fewer requests. `retry_after` has the seconds, or None."""


class ValidationError(errors.ValidationFailed, ValueError):
    """A value was rejected, by the client or the app's validator (5.45+). `problems` names each."""


class ArgumentError(ValidationError, TypeError):
    """Too many, too few, unknown or doubled arguments, or a value that JSON cannot represent."""


class EndpointError(errors.EndpointNotFound, ValueError):
    """There is no such endpoint, or you named none and there are several."""


class FileError(errors.LocalProtocolError, ValueError):
    """There is no file at the path."""


class JobTimeout(errors.TimeoutExpired):
    """A deadline expired: that of ``result(timeout=)``, or one of `gradio_transport.Timeouts`."""


class SpaceNotFoundError(errors.SpaceNotFound, ValueError):
    """The Hub shows no Space of that name: it does not exist, or the token has no access."""


class SpaceNotRunningError(errors.SpaceNotRunning, ValueError):
    """The Space is not running; `stage` has the Hub's name of its state."""


class NotAGradioAppError(errors.NotAGradioApp, ValueError):
    """The server at the URL is not a Gradio app."""


class ConfigError(errors.ServerRefused, ValueError):
    """The server refused the config of the app: it may be starting."""


_FAMILIAR: Mapping[type[errors.GradioTransportError], type[errors.GradioTransportError]] = MappingProxyType(
    {
        errors.QuotaExceeded: QuotaExceeded,
        errors.AppError: AppError,
        errors.AuthenticationRequired: AuthenticationError,
        errors.QueueFull: QueueError,
        errors.RateLimited: TooManyRequestsError,
        errors.ValidationFailed: ValidationError,
        errors.EndpointNotFound: EndpointError,
        errors.TimeoutExpired: JobTimeout,
        errors.SpaceNotFound: SpaceNotFoundError,
        errors.SpaceNotRunning: SpaceNotRunningError,
        errors.NotAGradioApp: NotAGradioAppError,
    }
)


def _key_words(error: errors.GradioTransportError) -> str:
    """Return the words of an error that programs match on."""
    match error:
        case errors.QueueFull():
            return "Queue is full!"
        case errors.TimeoutExpired():
            return "Timed out."
        case errors.SpaceNotFound():
            return "Could not find Space."
        case errors.SpaceNotRunning():
            return f"The current space is in the invalid state: {errors.one_line(error.stage)}."
        case errors.NotAGradioApp():
            return "Could not fetch config for the app."
        case errors.ServerRefused(phase=errors.Phase.DISCOVER) if error.status not in (401, 429):
            return "Could not fetch config for the app."
        case _:
            return ""


_HIDDEN = (
    "The upstream Gradio app has raised an exception but has not enabled verbose error reporting "
    "(show_error is off)."
)
"""The text of an error whose message the app hides."""


def translate(error: BaseException) -> BaseException:
    """Return an error of the transport as the class of the docs; return any other error unchanged."""
    if not isinstance(error, errors.GradioTransportError):
        return error
    for kind in type(error).__mro__:
        if kind in _FAMILIAR.values():
            return error
        if kind in _FAMILIAR:
            return _as(error, _FAMILIAR[kind])
    if type(error) is errors.LocalProtocolError and error.phase is errors.Phase.UPLOAD:
        return _as(error, FileError)
    if type(error) is errors.ServerRefused and error.phase is errors.Phase.DISCOVER:
        return _as(error, ConfigError)
    return error


def _as(error: errors.GradioTransportError, kind: type[errors.GradioTransportError]) -> BaseException:
    message, words = error.message, _key_words(error)
    if isinstance(error, errors.AppError) and error.hidden:
        message = _HIDDEN
    elif words not in message:
        message = f"{words} {message}"
    made = kind.__new__(kind)
    Exception.__init__(made, message)
    made.__dict__.update(error.__dict__, message=message)
    made.__cause__ = error.__cause__
    made.__suppress_context__ = True
    return made.with_traceback(error.__traceback__)


@contextmanager
def translate_errors() -> Generator[None, None, None]:
    """Translate the errors of the block to the classes of the docs, where there is one."""
    try:
        yield
    except errors.GradioTransportError as error:
        known = translate(error)
        if known is error:
            raise
        raise known from known.__cause__


def pending_error(name: str, seconds: float | None, status: str) -> JobTimeout:
    """Return the error for a job whose ``timeout`` expired."""
    return JobTimeout(
        f"Timed out. No result of {name} within {seconds} s; the job continues ({status}).",
        setting="timeout",
        seconds=seconds,
        phase=errors.Phase.STREAM,
        may_have_run=True,
    )


def cancelled_error(name: str) -> CancelledError:
    """Return the error for a job that was cancelled."""
    return CancelledError(f"The job of {name} was cancelled: it has no result.")


def argument_error(message: str, kind: type[ValidationError], name: str, what: str) -> ValidationError:
    """Return the error for one argument."""
    return kind(message, problems={name: what}, phase=errors.Phase.JOIN)


__all__ = [
    "AppError", "ArgumentError", "AuthenticationError", "ConfigError", "EndpointError", "FileError",
    "JobTimeout", "NotAGradioAppError", "QueueError", "QuotaExceeded", "SpaceNotFoundError",
    "SpaceNotRunningError", "TooManyRequestsError", "ValidationError", "translate", "translate_errors",
    "cancelled_error", "pending_error", "argument_error",
]  # fmt: skip
