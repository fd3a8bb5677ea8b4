# SPDX-License-Identifier: Apache-2.0
"""The plan and the result of a repeated call."""

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
    """The result of a repeated call."""

    SAME = "same"
    DIFFERS = "differs"
    ERROR = "error"
    """It could not be compared: the connection was lost, or a deadline expired."""
    SKIPPED = "skipped"


@attrs.frozen(kw_only=True)
class Inputs:
    """Values that a trace lacks, and a caller may give.

    Attributes:
        files: Recorded name of a file -> the file to send.
        placeholders: Send zeros of the recorded size for files that are not given.
        values: Name of a parameter -> the value to send if the recorded one was redacted.
    """

    files: Mapping[str, Path] = attrs.field(factory=dict[str, Path])
    placeholders: bool = False
    values: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class EarlierFile:
    """A file in the outputs of an earlier call, as an argument.

    Attributes:
        call: Number of that call.
        place: Its index among the files of those outputs.
    """

    name: str
    call: int
    place: int


@attrs.frozen
class PlannedCall:
    """A recorded call, and the plan to repeat it.

    Attributes:
        endpoint: The endpoint to call; None if there is no such endpoint.
        arguments: Arguments by the names of the endpoint's parameters; a file of an earlier call is an
            `EarlierFile`.
        protocol: Adapter to use; None for the best one.
        changes: Changes that callers must make, such as names of parameters.
        notes: Other remarks.
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
    """A call that was repeated or skipped.

    Attributes:
        differences: Differences of the outcome, and changes that callers must make.
        outcome: The new outcome; None if it was not made.
        seconds: Its duration.
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
