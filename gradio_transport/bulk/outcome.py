# SPDX-License-Identifier: Apache-2.0
"""`Outcome`: the outcome of one row, and its JSON form for the journal."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

import attrs

from .. import errors
from ..errors import AppError, GradioTransportError, Phase
from ..events import UNKNOWN_OUTPUT
from ..files.outputs import ServerFile

State: TypeAlias = Literal["done", "failed", "in doubt"]

_KEPT = (
    "elapsed",
    "status",
    "retryable",
    "may_have_run",
    "setting",
    "seconds",
    "retry_after",
    "problems",
    "title",
)
"""The fields of an error that are stored besides its type, message, phase and adapter."""


@attrs.frozen(kw_only=True)
class Outcome:
    """The outcome of one row.

    Attributes:
        index: Its position among the rows, from 0.
        row: The row as you gave it.
        values: The outputs of the endpoint; None if it failed. A file is a `Path` if it was downloaded
            (``files_to=``), else the server's JSON object with its URL or path.
        error: The error if there are no values, or None.
        attempts: Number of calls made.
        elapsed: Seconds from the first attempt to the end, pauses included.
        may_have_run: Whether the function ran or may have run.
        source: URL of the app of the last call, or None if there was no call.
        recorded: Whether the outcome is that of an earlier run, from its journal.
    """

    index: int
    row: Any
    values: list[Any] | None = None
    error: GradioTransportError | None = attrs.field(default=None, eq=False)
    attempts: int = 1
    elapsed: float = 0.0
    may_have_run: bool = False
    source: str | None = None
    recorded: bool = False

    @property
    def state(self) -> State:
        """``"done"``, ``"failed"``, or ``"in doubt"``: the function may have run, its result is unknown."""
        return "done" if self.error is None else state_of(self.error)


def state_of(error: GradioTransportError) -> State:
    """Return the state of a row after an error.

    An app's own error is final. So is a failed download, because the function has completed.
    """
    answered = isinstance(error, AppError) or error.phase is Phase.DOWNLOAD
    return "in doubt" if error.may_have_run and not answered else "failed"


def plain_values(values: list[Any]) -> list[Any]:
    """Return outputs without objects bound to a connection: a server's file becomes its original JSON."""
    return [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    if isinstance(value, ServerFile):
        raw: Any = value.raw
        return {"url": value.url, **cast("dict[str, Any]", raw)} if isinstance(raw, dict) else raw
    if isinstance(value, list):
        return [_plain(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in cast("dict[str, Any]", value).items()}
    return None if value is UNKNOWN_OUTPUT else value


def to_json(outcome: Outcome) -> str:
    """Return the JSON of an outcome for the journal, without the row."""
    kept: dict[str, Any] = {
        "attempts": outcome.attempts,
        "elapsed": round(outcome.elapsed, 3),
        "source": outcome.source,
    }
    if outcome.error is None:
        kept["values"] = outcome.values
    else:
        kept["error"] = error_object(outcome.error)
    return _encoder.encode(kept)


def _encode_special(value: object) -> Any:
    if isinstance(value, Path):
        return {_PATH: str(value)}
    raise TypeError(f"{type(value).__name__} is not JSON")


_encoder = json.JSONEncoder(default=_encode_special)

_PATH = "gradio_transport.path"
"""Key of an object that stands for a `Path`."""


def from_json(index: int, row: Any, text: str) -> Outcome:
    """Return the outcome that `to_json` wrote."""
    kept = json.loads(text, object_hook=_decode_special)
    error = error_from_object(kept["error"]) if "error" in kept else None
    return Outcome(
        index=index,
        row=row,
        values=kept.get("values"),
        error=error,
        attempts=kept["attempts"],
        elapsed=kept["elapsed"],
        may_have_run=error is None or error.may_have_run,
        source=kept["source"],
        recorded=True,
    )


def _decode_special(found: dict[str, Any]) -> Any:
    return Path(found[_PATH]) if found.keys() == {_PATH} else found


def error_object(error: GradioTransportError) -> dict[str, Any]:
    """Return an error as JSON. Its message has no secret: the library hides those when it raises."""
    fields = {name: getattr(error, name, None) for name in _KEPT}
    fields |= {"phase": error.phase and error.phase.value, "adapter": error.adapter}
    kept = {name: value for name, value in fields.items() if value not in (None, "", {}) and _is_plain(value)}
    kind = next(one.__name__ for one in type(error).__mro__ if one.__module__ == errors.__name__)
    return {"type": kind, "message": error.message, **kept}


def _is_plain(value: object) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def error_from_object(found: Mapping[str, Any]) -> GradioTransportError:
    """Return the error that `error_object` describes, of the same type if this version has it."""
    kind = getattr(errors, str(found["type"]), GradioTransportError)
    if not (isinstance(kind, type) and issubclass(kind, GradioTransportError)):
        kind = GradioTransportError
    error = kind(str(found["message"]))
    for name in ("adapter", *_KEPT):
        if name in found and hasattr(error, name):
            setattr(error, name, found[name])
    if found.get("phase") in list(Phase):
        error.phase = Phase(found["phase"])
    return error
