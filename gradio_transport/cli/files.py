# SPDX-License-Identifier: Apache-2.0
"""Converts words of a command line and values of JSON that name files to files to upload."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from ..app.config import Endpoint, Parameter
from ..errors import LocalProtocolError
from ..files.inputs import InputFile, handle_file
from ..files.paths import replace_files
from ..files.shapes import put_in_place
from .coerce import strict_json
from .failures import Misuse

MARK = "@"
"""Before a path it marks a file, whatever the type of the parameter is."""


def file_argument(endpoint: Endpoint, parameter: Parameter, text: str) -> Any:
    """Return the value of a word for a file parameter: a path, a URL, or JSON.

    Raises:
        Misuse: The file does not exist, or the JSON is invalid.
    """
    if text.lstrip().startswith(("{", "[")) or text in ("null", ""):
        try:
            return files_in_json(endpoint, strict_json(text or "null"), parameter)
        except ValueError as error:
            raise Misuse(f"{endpoint.display_name}: {parameter.name} is not JSON: {error}.") from error
    return put_in_place(parameter, _file(endpoint, parameter.name, text.removeprefix(MARK)))


def files_in_json(endpoint: Endpoint, value: Any, parameter: Parameter | None) -> Any:
    """Return a value of a JSON payload with its files.

    A file is a string where the parameter is a file, or anywhere an object with only a ``path``.

    Raises:
        Misuse: A file does not exist.
    """
    name = parameter.name if parameter is not None else "a value"
    if parameter is not None:
        value = replace_files(
            parameter, value, lambda text: _file(endpoint, name, str(text).removeprefix(MARK))
        )
    return _replace_objects(endpoint, value, name)


def _replace_objects(endpoint: Endpoint, value: Any, name: str) -> Any:
    if isinstance(value, list):
        return [_replace_objects(endpoint, item, name) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        mapping = cast("Mapping[str, Any]", value)
        path = mapping.get("path")
        if isinstance(path, str) and mapping.keys() <= {"path", "orig_name", "meta"}:
            return _file(endpoint, name, path)
        return {key: _replace_objects(endpoint, item, name) for key, item in mapping.items()}
    return value


def _file(endpoint: Endpoint, name: str, source: str) -> InputFile | str:
    if source.startswith("data:"):  # a data URL is passed on; the core knows which server versions accept one
        return source
    remote = source.lower().startswith(("http://", "https://"))
    if not remote and not Path(source).expanduser().exists():
        raise Misuse(f"{endpoint.display_name}: {name} takes a file, and there is none at {source!r}.")
    try:
        return handle_file(source)
    except LocalProtocolError as error:
        raise Misuse(f"{endpoint.display_name}: {name}: {error.message}") from error


__all__ = ["MARK", "file_argument", "files_in_json"]
