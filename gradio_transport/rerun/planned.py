# SPDX-License-Identifier: Apache-2.0
"""How a call is made again, and what came of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import attrs

from ..app.config import Endpoint
from ..files.forms import MAX_DEPTH
from ..files.inputs import InputFile
from ..trace.outcomes import (
    Outcome,
    excerpt,
)
from .recorded import RecordedCall


class Status(enum.StrEnum):
    """What came of making a call again."""

    SAME = "same"
    DIFFERS = "differs"
    ERROR = "error"
    """It could not be compared: the connection was lost, or a deadline expired."""
    SKIPPED = "skipped"


@attrs.frozen(kw_only=True)
class Inputs:
    """What a trace does not have, and a caller may give.

    Attributes:
        files: Recorded name of a file -> the file to send.
        placeholders: Send zeros of the recorded size for files that are not given.
        values: Name of a parameter -> the value to send where the recorded one was redacted.
    """

    files: Mapping[str, Path] = attrs.field(factory=dict[str, Path])
    placeholders: bool = False
    values: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class EarlierFile:
    """A file in the outputs of an earlier call, as an argument.

    Attributes:
        call: Number of that call.
        place: Its place among the files of those outputs.
    """

    name: str
    call: int
    place: int


@attrs.frozen
class PlannedCall:
    """A recorded call, and how it is made again.

    Attributes:
        endpoint: What is called; None if there is no such endpoint.
        arguments: By the names of the endpoint's parameters; a file of an earlier call as `EarlierFile`.
        protocol: Adapter to use; None for the best one.
        changes: What callers have to change, such as names of parameters.
        notes: What else is worth knowing.
        skip: Why it is not made; empty if it is.
    """

    recorded: RecordedCall
    endpoint: Endpoint | None = None
    arguments: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    changes: Sequence[str] = ()
    notes: Sequence[str] = ()
    skip: str = ""
    protocol: str | None = None

    @property
    def title(self) -> str:
        """The call with its arguments, to print."""
        values = self.arguments.values() if self.arguments else self.recorded.data
        shown = ", ".join(excerpt(_plain(value, MAX_DEPTH)) for value in values)
        return f"{self.recorded.display_name}({shown})"


@attrs.frozen
class Result:
    """A call that was made again, or not.

    Attributes:
        differences: How the outcome differs, and what callers have to change.
        outcome: What came of it now; None if it was not made.
        seconds: How long it took.
    """

    planned: PlannedCall
    status: Status
    differences: Sequence[str] = ()
    outcome: Outcome | None = None
    seconds: float = 0.0


def _plain(value: Any, depth: int) -> Any:
    """Return a value with its files as short texts."""
    if isinstance(value, InputFile | EarlierFile):
        return f"file {value.name}"
    if isinstance(value, list) and depth:
        return [_plain(item, depth - 1) for item in cast("list[Any]", value)]
    if not isinstance(value, dict) or not depth:
        return cast("Any", value)
    mapping = cast("dict[str, Any]", value)
    if isinstance(mapping.get("path"), str) or mapping.get("is_file") is True:
        name = mapping.get("orig_name") or mapping.get("path") or mapping.get("name")
        return f"file {name}"
    return {key: _plain(item, depth - 1) for key, item in mapping.items()}
