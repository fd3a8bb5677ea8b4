# SPDX-License-Identifier: Apache-2.0
"""Conversion of command-line text to the JSON value that an endpoint's schema requires. Pure.

A schema comes from a server and is read tolerantly: unusable parts count as "any value".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn, TypeAlias, cast

Schema: TypeAlias = Mapping[str, Any]

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]+")
_BOOLEANS: Mapping[str, bool] = {
    "true": True, "yes": True, "on": True, "1": True,
    "false": False, "no": False, "off": False, "0": False,
}  # fmt: skip
_LONGEST_NUMBER = 4000
"""The most digits of a number; Python refuses to convert more than 4300."""
_DEEPEST = 20
"""The most steps through ``$ref`` and ``anyOf``, which may be circular."""
_SHOWN_CHARACTERS = 60


class CoercionError(ValueError):
    """The text is not a value of the parameter's type.

    Attributes:
        expected: The type in words, such as ``"a number"``.
    """

    def __init__(self, expected: str, text: str, reason: str = "") -> None:
        shown = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
        super().__init__(f"takes {expected}, got {shown!r}{f' ({reason})' if reason else ''}")
        self.expected = expected


def coerce(text: str, schema: Schema) -> Any:
    """Return the value of a text.

    Numbers and booleans are read as such, arrays and objects as JSON, and strings stay as they are. Without a
    type in the schema, text that is JSON is read as JSON, and any other text is a string.

    Raises:
        CoercionError: The text is not a value of that type.
    """
    return _coerce(text, schema, schema, 0)


def strict_json(text: str) -> Any:
    """Return the value of strict JSON: without NaN and infinities, which no server accepts.

    Raises:
        ValueError: The text is not strict JSON.
    """
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _coerce(text: str, schema: Schema, root: Schema, depth: int) -> Any:
    schema = _resolve(schema, root) if depth < _DEEPEST else {}
    choices = schema.get("enum")
    if isinstance(choices, list) and choices:
        return _choice(text, cast("list[Any]", choices), schema)
    alternatives = _alternatives(schema)
    if alternatives:
        return _first_match(text, alternatives, root, depth + 1)
    return _READERS.get(_kind(schema), _anything)(text)


def _resolve(schema: Schema, root: Schema) -> Schema:
    """Follow ``{"$ref": "#/$defs/Name"}`` inside the parameter's own schema."""
    for _ in range(_DEEPEST):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        target: Any = root
        for key in reference.removeprefix("#/").split("/"):
            target = cast("Schema", target).get(key) if isinstance(target, dict) else None
        if not isinstance(target, dict):
            return {}
        schema = cast("Schema", target)
    return {}


def _alternatives(schema: Schema) -> list[Schema]:
    """Return the alternatives of ``anyOf``, ``oneOf`` or a list of types, strings last."""
    for key in ("anyOf", "oneOf"):
        options = schema.get(key)
        if isinstance(options, list):
            found = [
                cast("Schema", option) for option in cast("list[Any]", options) if isinstance(option, dict)
            ]
            return sorted(found, key=_rank)
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return sorted(({"type": kind} for kind in cast("list[Any]", kinds)), key=_rank)
    return []


def _rank(schema: Schema) -> int:
    """Return the order of an alternative: strings accept any text, so they must be tried last."""
    return {"string": 2, "": 1}.get(_kind(schema), 0)


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    return kind if isinstance(kind, str) else ""


def _first_match(text: str, alternatives: Sequence[Schema], root: Schema, depth: int) -> Any:
    expected: list[str] = []
    for alternative in alternatives:
        try:
            return _coerce(text, alternative, root, depth)
        except CoercionError as error:
            expected.append(error.expected)
    raise CoercionError(" or ".join(dict.fromkeys(expected)), text)


def _choice(text: str, choices: Sequence[Any], schema: Schema) -> Any:
    for choice in choices:
        if choice == text or (not isinstance(choice, str) and _is_equal(text, choice)):
            return choice
    # An app may allow custom values, which the schema does not show, so the server decides.
    if _kind(schema) == "string" or any(isinstance(choice, str) for choice in choices):
        return text
    raise CoercionError(f"one of {', '.join(map(str, choices))}", text)


def _is_equal(text: str, choice: Any) -> bool:
    try:
        return bool(strict_json(text) == choice)
    except ValueError:
        return False


def _number(text: str) -> int | float:
    stripped = text.strip()
    if not _NUMBER.fullmatch(stripped) or len(stripped) > _LONGEST_NUMBER:
        raise CoercionError("a number", text)
    if _INTEGER.fullmatch(stripped):
        return int(stripped)
    value = float(stripped)
    if value in (float("inf"), float("-inf")):
        raise CoercionError("a number that a float holds", text)
    return value


def _integer(text: str) -> int:
    stripped = text.strip()
    if not _INTEGER.fullmatch(stripped) or len(stripped) > _LONGEST_NUMBER:
        raise CoercionError("a whole number", text)
    return int(stripped)


def _boolean(text: str) -> bool:
    value = _BOOLEANS.get(text.strip().lower())
    if value is None:
        raise CoercionError("true or false", text)
    return value


def _null(text: str) -> None:
    if text.strip().lower() not in ("null", "none", ""):
        raise CoercionError("null", text)


def _array(text: str) -> list[Any]:
    return cast("list[Any]", _json(text, list, """a JSON array such as '["a", 1]'"""))


def _object(text: str) -> dict[str, Any]:
    return cast("dict[str, Any]", _json(text, dict, """a JSON object such as '{"key": 1}'"""))


def _json(text: str, kind: type, expected: str) -> object:
    try:
        value = strict_json(text)
    except ValueError as error:
        raise CoercionError(expected, text, str(error)) from error
    if not isinstance(value, kind):
        raise CoercionError(expected, text)
    return value


def _anything(text: str) -> Any:
    try:
        return strict_json(text)
    except ValueError:
        return text


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_READERS: Mapping[str, Callable[[str], Any]] = {
    "string": str,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "null": _null,
    "array": _array,
    "object": _object,
}
