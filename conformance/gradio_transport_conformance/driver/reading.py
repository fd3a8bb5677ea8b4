# SPDX-License-Identifier: Apache-2.0
"""Checks the lines of a driver: a driver is a foreign program, and its output may be anything."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import attrs

from gradio_transport.protocol.json import decode_json

from .messages import (
    ERROR_KINDS,
    PROTOCOL,
    CannotTask,
    DriverHello,
    StepAnswer,
    StepError,
    TaskAnswer,
)

Message: TypeAlias = DriverHello | TaskAnswer | CannotTask

_LONGEST_TEXT = 100_000
"""Characters that are kept of the text of an error."""


class InvalidMessage(ValueError):
    """A driver wrote an invalid message. The text names the field and the expected value."""


@attrs.frozen
class AnswerFile:
    """A file of an answer."""

    name: str
    content: bytes = attrs.field(repr=False)


def read_line(line: bytes) -> Message | None:
    """Return the message of a line, or None for stray output: a line that is not a message.

    Raises:
        InvalidMessage: It has the type of a message, and a field of it is missing or wrong.
    """
    try:
        value: Any = decode_json(line.decode("utf-8"))
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    fields = _Fields(cast("dict[str, Any]", value), "")
    match fields.values.get("type"):
        case "hello":
            return _hello(fields)
        case "answer":
            return _answer(fields)
        case "cannot":
            return _cannot_task(fields)
        case _:
            return None


@attrs.frozen
class _Fields:
    """The fields of an object, which are read with their types checked."""

    values: Mapping[str, Any]
    place: str

    def text(self, name: str, default: str | None = None) -> str:
        value = self.values.get(name, default)
        if not isinstance(value, str):
            raise InvalidMessage(f"{self.place}{name}: expected a string")
        return value[:_LONGEST_TEXT]

    def items(self, name: str, default: Sequence[Any] | None = None) -> list[Any]:
        value = self.values.get(name, default)
        if not isinstance(value, list | tuple):
            raise InvalidMessage(f"{self.place}{name}: expected an array")
        return list(cast("Sequence[Any]", value))

    def texts(self, name: str, default: Sequence[Any] | None = None) -> list[str]:
        found = self.items(name, default)
        if not all(isinstance(one, str) for one in found):
            raise InvalidMessage(f"{self.place}{name}: expected an array of strings")
        return found

    def has(self, name: str) -> bool:
        return self.values.get(name) is not None


def _hello(fields: _Fields) -> DriverHello:
    spoken = fields.values.get("protocol")
    if spoken != PROTOCOL:
        raise InvalidMessage(f"protocol: the driver has version {spoken!r}, this host has version {PROTOCOL}")
    return DriverHello(
        name=fields.text("name"),
        version=fields.text("version", ""),
        language=fields.text("language", ""),
        features=frozenset(fields.texts("features", ())),
    )


def _cannot_task(fields: _Fields) -> CannotTask:
    return CannotTask(id=fields.text("id"), reason=fields.text("reason", ""))


def _answer(fields: _Fields) -> TaskAnswer:
    steps = [
        _step(_fields_of(one, f"steps[{place}]"), f"steps[{place}].")
        for place, one in enumerate(fields.items("steps"))
    ]
    return TaskAnswer(id=fields.text("id"), steps=steps)


def _fields_of(value: Any, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidMessage(f"{place}: expected an object")
    return cast("dict[str, Any]", value)


def _step(values: Mapping[str, Any], place: str) -> StepAnswer:
    fields = _Fields(values, place)
    outcomes = [name for name in ("value", "error", "cannot") if fields.has(name)]
    if len(outcomes) != 1:
        said = " and ".join(outcomes) or "none of them"
        raise InvalidMessage(f"{place}: expected one of value, error and cannot, got {said}")
    yields = fields.items("yields") if fields.has("yields") else None
    if yields is not None and not all(isinstance(one, list) for one in yields):
        raise InvalidMessage(f"{place}yields: expected an array of arrays of output values")
    answer = StepAnswer(
        value=fields.items("value") if fields.has("value") else None,
        yields=yields,
        events=fields.texts("events") if fields.has("events") else None,
        statuses=fields.texts("statuses") if fields.has("statuses") else None,
        error=_error(_fields_of(values["error"], f"{place}error"), place) if fields.has("error") else None,
        cannot=fields.text("cannot") if fields.has("cannot") else None,
    )
    find_files(answer.value, place)
    return answer


def _error(values: Mapping[str, Any], place: str) -> StepError:
    fields = _Fields(values, f"{place}error.")
    kind = fields.text("kind")
    if kind not in ERROR_KINDS:
        raise InvalidMessage(f"{place}error.kind: {kind[:100]!r} is not one of {', '.join(ERROR_KINDS)}")
    return StepError(
        kind=kind,
        message=fields.text("message", ""),
        type=fields.text("type") if fields.has("type") else None,
    )


def find_files(value: Any, place: str = "") -> list[AnswerFile]:
    """Return the files in an output value, in order.

    Raises:
        InvalidMessage: A ``$file`` has no name, or its content is not Base64.
    """
    if isinstance(value, list):
        return [file for one in cast("list[Any]", value) for file in find_files(one, place)]
    if not isinstance(value, dict):
        return []
    mapping = cast("dict[str, Any]", value)
    if "$file" not in mapping:
        return [file for one in mapping.values() for file in find_files(one, place)]
    fields = _Fields(_fields_of(mapping["$file"], f"{place}$file"), f"{place}$file.")
    encoded = fields.values.get("base64")
    if not isinstance(encoded, str):
        raise InvalidMessage(f"{place}$file.base64: expected a string")
    try:
        return [AnswerFile(fields.text("name"), base64.b64decode(encoded, validate=True))]
    except (binascii.Error, ValueError) as error:
        raise InvalidMessage(f"{place}$file.base64: {error}") from None


__all__ = ["AnswerFile", "InvalidMessage", "Message", "find_files", "read_line"]
