# SPDX-License-Identifier: Apache-2.0
"""How FastAPI and pydantic refuse a body: status 422 and a list of problems. Pure, no I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

from .generation import Generation

_INT_TEXT = "Input should be a valid integer, unable to parse string as an integer"

_NEW = {
    "missing": "Field required",
    "list_type": "Input should be a valid list",
    "string_type": "Input should be a valid string",
    "int_type": "Input should be a valid integer",
    "int_parsing": _INT_TEXT,
    "dict_type": "Input should be a valid dictionary",
    "model_attributes_type": "Input should be a valid dictionary or object to extract fields from",
}

_OLD = {
    "missing": ("value_error.missing", "field required"),
    "list_type": ("type_error.list", "value is not a valid list"),
    "string_type": ("type_error.str", "str type expected"),
    "int_type": ("type_error.integer", "value is not a valid integer"),
    "int_parsing": ("type_error.integer", "value is not a valid integer"),
    "dict_type": ("type_error.dict", "value is not a valid dict"),
    "model_attributes_type": ("type_error.dict", "value is not a valid dict"),
}


@attrs.frozen
class Field:
    """A field of a body.

    Attributes:
        kind: ``list``, ``str``, ``int`` or ``any``.
    """

    name: str
    kind: str
    required: bool = False


PREDICT = (Field("session_hash", "str"), Field("event_id", "str"), Field("data", "list", required=True),
           Field("fn_index", "int"))  # fmt: skip
"""A call over the queue, direct HTTP or /call."""

CANCEL = (Field("session_hash", "str", required=True), Field("fn_index", "int", required=True),
          Field("event_id", "str", required=True))  # fmt: skip
RESET = (Field("event_id", "str", required=True),)
OLD_RESET = (Field("session_hash", "str", required=True), Field("fn_index", "int", required=True))
COMPONENT_SERVER = (
    Field("session_hash", "str", required=True), Field("component_id", "int", required=True),
    Field("fn_name", "str", required=True), Field("data", "any", required=True),
)  # fmt: skip
PUSH = (Field("fn_index", "int", required=True), Field("action", "str", required=True),
        Field("session_hash", "str", required=True))  # fmt: skip
OLD_PUSH = (Field("action", "str", required=True),)
OLD_PREDICT = (Field("session_hash", "str"), Field("fn_index", "int"))
"""A call by direct HTTP up to 3.6."""

STATUS = (Field("hash", "str", required=True),)


class Invalid(Exception):
    """A body that is refused.

    Attributes:
        body: JSON of the reply.
        problem: The problem, in words.
    """

    def __init__(self, details: Sequence[Mapping[str, Any]], problem: str) -> None:
        super().__init__(problem)
        self.body = {"detail": list(details)}
        self.problem = problem


def check(
    generation: Generation, body: bytes, content_type: str, fields: Sequence[Field], *, model: bool = True
) -> dict[str, Any]:
    """Return the object in a body, which the server reads into a model, or into a plain dict.

    Raises:
        Invalid: It lacks a field, or has one of another type.
    """
    value = _read(generation, body, content_type)
    if value == [] and generation.pydantic_errors is None:
        value = {}  # which pydantic 1 makes of it
    if not isinstance(value, dict):
        kind = "model_attributes_type" if model else "dict_type"
        raise Invalid([_detail(generation, kind, ["body"], value)], "sends a body that is not a JSON object")
    mapping = cast("dict[str, Any]", value)
    details: list[Mapping[str, Any]] = []
    problems: list[str] = []
    for field in fields:
        problem = _problem(field, mapping)
        if problem is not None:
            lacks = problem == "missing"
            given = mapping if lacks else mapping[field.name]
            details.append(_detail(generation, problem, ["body", field.name], given))
            problems.append(f"sends no {field.name}" if lacks else f"sends a {field.name} of another type")
    if details:
        raise Invalid(details, " and ".join(problems))
    return mapping


def _read(generation: Generation, body: bytes, content_type: str) -> Any:
    if not body:
        raise Invalid([_detail(generation, "missing", ["body"], None)], "sends no body")
    if "json" not in content_type and content_type:
        return body.decode("utf-8", "replace")
    try:
        return json.loads(body)
    except ValueError as error:
        detail = _json_detail(generation, error)
        raise Invalid([detail], "sends a body that is not JSON") from None


def _json_detail(generation: Generation, error: ValueError) -> dict[str, Any]:
    place, text = getattr(error, "pos", 0), getattr(error, "msg", str(error))
    if generation.pydantic_errors is None:
        context = {"msg": text, "doc": getattr(error, "doc", ""), "pos": place}
        context |= {"lineno": getattr(error, "lineno", 1), "colno": getattr(error, "colno", 1)}
        shown = f"{text}: line {context['lineno']} column {context['colno']} (char {place})"
        return {"loc": ["body", place], "msg": shown, "type": "value_error.jsondecode", "ctx": context}
    return {
        "type": "json_invalid",
        "loc": ["body", place],
        "msg": "JSON decode error",
        "input": {},
        "ctx": {"error": text},
    }


def _problem(field: Field, value: Mapping[str, Any]) -> str | None:
    if field.name not in value:
        return "missing" if field.required else None
    given = value[field.name]
    if given is None and not field.required:
        return None
    if field.kind == "list" and not isinstance(given, list):
        return "list_type"
    if field.kind == "str" and not isinstance(given, str):
        return "string_type"
    if field.kind == "int" and not isinstance(given, int):
        return "int_parsing" if isinstance(given, str) and not _is_number(given) else "int_type"
    return None


def _is_number(text: str) -> bool:
    return text.strip().lstrip("+-").isdigit()


def _detail(generation: Generation, kind: str, place: Sequence[Any], given: Any) -> dict[str, Any]:
    start = generation.pydantic_errors
    if start is None:
        name, text = _OLD[kind]
        return {"loc": list(place), "msg": text, "type": name}
    detail = {"type": kind, "loc": list(place), "msg": _NEW[kind], "input": given}
    return detail | ({"url": f"{start}{kind}"} if start else {})


def missing(generation: Generation, where: str, *names: str) -> dict[str, Any]:
    """Return the body of a reply that says that fields are missing in the query, a form or the body."""
    return {"detail": [_detail(generation, "missing", [where, name], None) for name in names]}


__all__ = [
    "CANCEL", "COMPONENT_SERVER", "OLD_PREDICT", "OLD_PUSH", "OLD_RESET", "PREDICT", "PUSH", "RESET",
    "STATUS", "Field", "Invalid", "check", "missing",
]  # fmt: skip
