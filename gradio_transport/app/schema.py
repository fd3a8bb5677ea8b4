# SPDX-License-Identifier: Apache-2.0
"""The values of components, for servers that do not describe them.

Before 3.26 there is no ``/info``. Before 4.0 it has the types of Gradio's own client of that time, not those
of the wire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

_STRING = {"type": "string"}
_NUMBER = {"type": "number"}
_BOOLEAN = {"type": "boolean"}
_STRINGS = {"type": "array", "items": {"type": "string"}}
_FILE = {"type": "object", "title": "file"}
_FILES = {"type": "array", "items": _FILE}
_OBJECT = {"type": "object"}

_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "textbox": _STRING,
    "text": _STRING,
    "markdown": _STRING,
    "html": _STRING,
    "code": _STRING,
    "colorpicker": _STRING,
    "timeseries": _FILE,
    "number": _NUMBER,
    "slider": _NUMBER,
    "checkbox": _BOOLEAN,
    "dropdown": _STRING,
    "radio": _STRING,
    "checkboxgroup": _STRINGS,
    "chatbot": {"type": "array"},
    "highlightedtext": {"type": "array"},
    "gallery": {"type": "array"},
    "json": {},
    "label": _OBJECT,
    "dataframe": _OBJECT,
    "plot": _OBJECT,
    "barplot": _OBJECT,
    "lineplot": _OBJECT,
    "scatterplot": _OBJECT,
    "fileexplorer": {"type": "array", "items": _STRINGS},
    "image": _FILE,
    "video": _FILE,
    "audio": _FILE,
    "file": _FILE,
    "uploadbutton": _FILE,
    "model3d": _FILE,
    "button": _STRING,
}

_PYTHON_TYPES: Mapping[str, str] = {
    "string": "str",
    "number": "float",
    "integer": "int",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "null": "None",
}


def schema_of(component: str, props: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the JSON schema of a component's value, with its choices if it has any."""
    schema = dict(_SCHEMAS.get(component.lower(), {}))
    if component.lower() in ("file", "uploadbutton") and props.get("file_count") in ("multiple", "directory"):
        return _FILES
    choices = props.get("choices")
    if not isinstance(choices, list) or component.lower() not in ("dropdown", "radio", "checkboxgroup"):
        return schema
    # From 4.0 on a choice is a pair of name and value.
    values = [_value(choice) for choice in cast("list[object]", choices)]
    if component.lower() == "checkboxgroup" or props.get("multiselect") is True:
        return {"type": "array", "items": {"enum": values}}
    return {"enum": values}


def _value(choice: object) -> object:
    if not isinstance(choice, list):
        return choice
    pair = cast("list[object]", choice)
    return pair[-1] if pair else pair


def python_type(schema: Mapping[str, Any]) -> str:
    """Return a JSON schema as a readable Python type, such as ``"str"`` or ``"Literal['a', 'b']"``."""
    if schema.get("title") == "file":
        return "filepath"
    values = schema.get("enum")
    if isinstance(values, list):
        return f"Literal[{', '.join(map(repr, cast('list[object]', values)))}]"
    kind = schema.get("type")
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"list[{python_type(cast('Mapping[str, Any]', schema['items']))}]"
    return _PYTHON_TYPES.get(kind, "Any") if isinstance(kind, str) else "Any"
