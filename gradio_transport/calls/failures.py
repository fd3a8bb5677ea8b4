# SPDX-License-Identifier: Apache-2.0
"""Errors for calls that the client ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import attrs

from ..engines.interruptions import is_foreign
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    Phase,
    RemoteProtocolError,
    StreamLost,
)
from ..protocol.known_secrets import KnownSecrets


def adapter_error(error: BaseException) -> GradioTransportError:
    """Return the error for calls that end because of an exception in an adapter."""
    if isinstance(error, GradioTransportError) or is_foreign(error):
        return internal_error(error)
    return _caused_by(
        error,
        RemoteProtocolError(
            f"The adapter could not handle what the server sent ({_shown(error)}). Please report it with a "
            "trace.",
            phase=Phase.STREAM,
            may_have_run=True,
        ),
    )


def internal_error(error: BaseException) -> GradioTransportError:
    """Return the error for calls that end because of an exception in the library or its callees.

    An error of the library already describes the problem.
    """
    if isinstance(error, GradioTransportError):
        return error
    if is_foreign(error):
        message = f"The session was interrupted in the middle of a message ({_shown(error)})."
    else:
        message = f"The library failed during the call ({_shown(error)}). Please report it with a trace."
    return _caused_by(error, LocalProtocolError(message, phase=Phase.STREAM, may_have_run=True))


def callback_error(what: str, callback: object, error: Exception) -> GradioTransportError:
    """Return the error for a caller's function that raised. `what` is its purpose, such as ``"tap"``."""
    name = getattr(callback, "__qualname__", None) or type(callback).__qualname__
    message = f"The {what} {name} raised {_shown(error)}. It must not raise. Catch the exception inside it."
    return _caused_by(error, LocalProtocolError(message, phase=Phase.STREAM))


def _shown(error: BaseException) -> str:
    text = error.summary() if isinstance(error, GradioTransportError) else str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _caused_by(cause: BaseException, error: GradioTransportError) -> GradioTransportError:
    error.__cause__ = cause
    return error


def copy_error(error: GradioTransportError) -> GradioTransportError:
    """Return a copy of an error.

    Why not one object for all calls: raising it adds a traceback, and ending a call adds notes, an adapter
    and a time of that call.
    """
    kind = type(error)
    copied = kind.__new__(kind, *error.args)
    Exception.__init__(copied, *error.args)
    copied.__dict__.update(error.__dict__)
    if hasattr(error, "__notes__"):
        copied.__notes__ = list(error.__notes__)
    copied.__cause__ = error.__cause__
    return copied


class OtherError(Exception):
    """A replacement for another library's exception in the chain of an error, if its text had a secret."""


def hide_secrets(error: GradioTransportError, secrets: KnownSecrets) -> None:
    """Hide the caller's secrets in all parts of an error: texts, notes, causes, last event.

    Why not where errors are made: dozens of places quote a server, and adapters add more. Values that the
    caller gets are other objects, and stay unchanged.
    """
    if secrets:
        _Hiding(secrets).hide(error)


class _Hiding:
    """The hiding of secrets in one error and its chain."""

    def __init__(self, secrets: KnownSecrets) -> None:
        self._secrets = secrets
        self._seen: set[int] = set()

    def hide(self, error: GradioTransportError) -> None:
        """Hide secrets in an error, and in its chain."""
        if id(error) in self._seen:
            return
        self._seen.add(id(error))
        for name, value in vars(error).items():
            error.__dict__[name] = self._value(value)
        error.args = tuple(map(self._value, error.args))
        if error.__cause__ is not None:
            error.__cause__ = self._chained(error.__cause__)
        if error.__context__ is not None:
            error.__context__ = self._chained(error.__context__)

    def _value(self, value: Any) -> Any:
        if isinstance(value, GradioTransportError):
            self.hide(value)
            return value
        kind = cast("type[Any]", type(value))
        if kind is str:
            return self._secrets.hide(value)
        if kind in (list, tuple):
            items = cast("Sequence[Any]", value)
            hidden = [self._value(item) for item in items]
            if _are_same(hidden, items):
                return items
            return hidden if kind is list else tuple(hidden)
        if kind is dict:
            pairs = cast("dict[Any, Any]", value)
            shown = {self._value(key): self._value(item) for key, item in pairs.items()}
            same = _are_same(list(shown), list(pairs)) and _are_same(
                list(shown.values()), list(pairs.values())
            )
            return pairs if same else shown
        if attrs.has(kind):
            held = {field.alias: getattr(value, field.name) for field in attrs.fields(kind) if field.init}
            changed = {name: new for name, old in held.items() if (new := self._value(old)) is not old}
            return attrs.evolve(value, **changed) if changed else value
        return value

    def _chained(self, error: BaseException) -> BaseException:
        """Return an exception of the chain or a replacement: other libraries' exceptions are not changed."""
        if isinstance(error, GradioTransportError):
            self.hide(error)
            return error
        if not isinstance(error, Exception) or id(error) in self._seen:
            return error
        self._seen.add(id(error))
        texts = [str(error), *getattr(error, "__notes__", ())]
        texts += map(repr, getattr(error, "exceptions", ()))  # of a group
        links = error.__cause__, error.__context__
        shown = [self._secrets.hide(text) for text in texts]
        cause, context = (None if one is None else self._chained(one) for one in links)
        if shown == texts and (cause, context) == links:
            return error
        stand_in = OtherError(f"{type(error).__name__}: {' '.join(shown)}").with_traceback(
            error.__traceback__
        )
        stand_in.__cause__, stand_in.__context__ = cause, context
        stand_in.__suppress_context__ = error.__suppress_context__
        return stand_in


def _are_same(some: Sequence[object], others: Sequence[object]) -> bool:
    """Return whether two sequences hold the same objects."""
    return len(some) == len(others) and all(one is other for one, other in zip(some, others, strict=True))


COLLECTED = "transport was garbage-collected, because nothing referred to it any more"


def collected_error() -> GradioTransportError:
    """Return the error for the use of an object whose transport was garbage-collected."""
    return LocalProtocolError(
        f"The {COLLECTED}. Keep a reference to it while you use its sessions and files, then close it."
    )


def closed_error(what: str) -> GradioTransportError:
    """Return the error for a call that ends because the caller closed its session or transport."""
    return LocalProtocolError(f"The {what} during the call.", may_have_run=True)


def stream_lost_error() -> GradioTransportError:
    """Return the error for a call that was being joined when its session's stream was lost and replaced."""
    return StreamLost(
        "The session's stream was lost while the call was being joined, so its messages would not arrive.",
        phase=Phase.STREAM,
        may_have_run=True,
    )
