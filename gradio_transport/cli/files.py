# SPDX-License-Identifier: Apache-2.0
"""Words of a command line and values of a JSON file that name files -> files to upload."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ..app.config import Endpoint, Parameter
from ..errors import LocalProtocolError
from ..files.inputs import InputFile, handle_file
from ..files.paths import replace_files
from .coerce import strict_json
from .failures import Misuse

_LISTS = frozenset({"file", "gallery", "uploadbutton"})

MARK = "@"
"""Before a path, it says that a file is meant, whatever the parameter is."""


def file_argument(endpoint: Endpoint, parameter: Parameter, text: str) -> Any:
    """Return what a word stands for where a file is wanted: a path, a URL, or JSON.

    Raises:
        Misuse: There is no such file.
    """
    if text.lstrip().startswith(("{", "[")) or text in ("null", ""):
        try:
            return files_in_json(endpoint, strict_json(text or "null"), parameter)
        except ValueError as error:
            raise Misuse(f"{endpoint.display_name}: {parameter.name} is not JSON: {error}.") from error
    file = _file(endpoint, parameter.name, text.removeprefix(MARK))
    return [file] if _wants_list(parameter) else file


def _wants_list(parameter: Parameter) -> bool:
    listed = parameter.python_type.startswith("list[") or parameter.schema.get("type") == "array"
    return listed and parameter.component.lower() in _LISTS


def files_in_json(endpoint: Endpoint, value: Any, parameter: Parameter | None) -> Any:
    """Return a value of a JSON payload with its files.

    They are texts where a file is wanted, and anywhere objects of nothing but a ``path``.

    Raises:
        Misuse: There is no such file.
    """
    name = parameter.name if parameter is not None else "a value"
    if parameter is not None:
        value = replace_files(
            parameter, value, lambda text: _file(endpoint, name, str(text).removeprefix(MARK))
        )
    return _objects_as_files(endpoint, value, name)


def _objects_as_files(endpoint: Endpoint, value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_objects_as_files(endpoint, one, name) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        mapping = cast("Mapping[str, Any]", value)
        path = mapping.get("path")
        if isinstance(path, str) and mapping.keys() <= {"path", "orig_name", "meta"}:
            return _file(endpoint, name, path)
        return {key: _objects_as_files(endpoint, one, name) for key, one in mapping.items()}
    return value


def _file(endpoint: Endpoint, name: str, source: str) -> InputFile | str:
    if source.startswith("data:"):  # what it holds, in itself; the core knows which generation takes it
        return source
    remote = source.lower().startswith(("http://", "https://"))
    if not remote and not Path(source).expanduser().exists():
        raise Misuse(f"{endpoint.display_name}: {name} takes a file, and there is none at {source!r}.")
    try:
        return handle_file(source)
    except LocalProtocolError as error:
        raise Misuse(f"{endpoint.display_name}: {name}: {error.message}") from error


__all__ = ["MARK", "file_argument", "files_in_json"]
