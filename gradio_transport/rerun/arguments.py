# SPDX-License-Identifier: Apache-2.0
"""The arguments of a repeated call: recorded values, and the files in them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..app.config import Parameter
from ..files.forms import MAX_DEPTH
from ..files.inputs import InputFile, handle_file
from ..files.paths import takes_files
from ..protocol.frames import Frame
from ..protocol.known_secrets import REDACTED
from .files import files_of, inline_file, uploaded_files
from .planned import EarlierFile, Inputs
from .recorded import RecordedCall

MOST_PLACEHOLDER_BYTES = 100_000_000
"""The largest placeholder in bytes: a trace names the size, and may come from a stranger."""


class SkippedCall(Exception):
    """A call cannot be made."""


class ArgumentValues:
    """The values to send in place of recorded ones.

    Args:
        frames: The trace.
        calls: All calls of the trace.
        inputs: Values that the trace lacks.

    Attributes:
        notes: Remarks on the values so far; a caller may replace the list.
    """

    def __init__(self, frames: Sequence[Frame], calls: Sequence[RecordedCall], inputs: Inputs) -> None:
        self._inputs = inputs
        self._uploaded = uploaded_files(frames)
        self._earlier: dict[str, EarlierFile] = {}
        for call in calls:
            for place, file in enumerate(files_of(call.outcome.values, MAX_DEPTH)):
                if file.path:
                    self._earlier.setdefault(file.path, EarlierFile(file.name, call.number, place))
        self.notes: list[str] = []

    def value(self, value: Any, target: Parameter, old: Parameter | None) -> Any:
        """Return the value to send for a parameter.

        Args:
            value: The recorded one.
            target: The parameter.
            old: The parameter of the recorded app, if it is known.

        Raises:
            SkippedCall: The value is neither in the trace nor given by the caller.
        """
        names = [target.name, target.keyword, *((old.name, old.keyword) if old else ())]
        if _holds_redacted(value):
            given = next((name for name in names if name in self._inputs.values), None)
            if given is None:
                raise SkippedCall(
                    f"its argument {target.name!r} was redacted; pass --value {target.name}=VALUE"
                )
            return self._inputs.values[given]
        if takes_files(target) or (old is not None and takes_files(old)):
            return self._files_in(value, MAX_DEPTH)
        return value

    def _files_in(self, value: Any, depth: int) -> Any:
        """Return a value with its files: those of the caller, and those inside the value."""
        if isinstance(value, str):
            if value in self._uploaded:
                return self._upload(value)
            return inline_file(value, "") or value
        if not depth:
            return value
        if isinstance(value, list):
            return [self._files_in(item, depth - 1) for item in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        mapping = cast("dict[str, Any]", value)
        path, name, data = mapping.get("path"), mapping.get("name"), mapping.get("data")
        if isinstance(mapping.get("video"), dict) and mapping.keys() <= {"video", "subtitles"}:
            return self._files_in(mapping["video"], depth - 1)
        if isinstance(name, str) and isinstance(data, str):
            found = inline_file(data, name)
            if found is not None:
                return found
        if isinstance(path, str):
            return self._server_file(path, mapping)
        if isinstance(name, str) and mapping.get("is_file") is True:
            return self._server_file(name, mapping)
        return {key: self._files_in(item, depth - 1) for key, item in mapping.items()}

    def _server_file(self, path: str, mapping: Mapping[str, Any]) -> InputFile | EarlierFile:
        if path in self._uploaded:
            return self._upload(path)
        if path in self._earlier:
            return self._earlier[path]
        # A URL too: a trace may come from a stranger, and must not choose what is fetched from this machine.
        given = mapping.get("orig_name")
        name = given if isinstance(given, str) and given else re.split(r"[/\\]", path)[-1]
        size = mapping.get("size")
        return self._given(name, size if isinstance(size, int) else 0)

    def _upload(self, path: str) -> InputFile:
        name, size = self._uploaded[path]
        return self._given(name, size)

    def _given(self, name: str, size: int) -> InputFile:
        found = self._inputs.files.get(name)
        if found is not None:
            return handle_file(found, name=name, allow_empty=True)
        if self._inputs.placeholders and not 0 <= size <= MOST_PLACEHOLDER_BYTES:
            raise SkippedCall(f"it needs the file {name}, too large for a placeholder ({size} bytes)")
        if self._inputs.placeholders:
            self.notes.append(f"{size} zero bytes were sent in place of the file {name}")
            return handle_file(bytes(size), name=name, allow_empty=True)
        raise SkippedCall(
            f"it needs the file {name} ({size} bytes); pass --file {name}=PATH, or --placeholders"
        )


def _holds_redacted(value: Any) -> bool:
    if isinstance(value, str):
        return REDACTED in value
    try:
        return isinstance(value, list | dict) and f'"{REDACTED}"' in json.dumps(value)
    except (ValueError, RecursionError):
        return False
