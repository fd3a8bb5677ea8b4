# SPDX-License-Identifier: Apache-2.0
"""Files on a command line: only a file that you mark with ``@`` is read.

The server's description of a parameter decides whether a file is accepted there, but never whether a text is
a file. Otherwise a server that calls a text box an image would get the file, or the content of the URL, that
a text happens to name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any, cast

from ..app.config import Endpoint, Parameter
from ..errors import LocalProtocolError, list_texts
from ..files.forms import WITHOUT_FILES
from ..files.inputs import InputFile, handle_file
from ..files.paths import replace_files, takes_files
from ..files.shapes import put_in_place, shape_of
from .failures import Misuse

_KNOWN = WITHOUT_FILES | {"json"}
"""Components whose value is never a file, even if the server has no schema for it."""

MARK = "@"
"""Marks a file if it precedes a path or URL. Doubled, it is the first character of a text."""

_IN_JSON = '{"path": "@photo.png"}'


def file_argument(endpoint: Endpoint, parameter: Parameter, text: str) -> Any:
    """Return the value of a word that begins with the mark: a file, in the shape that the parameter accepts.

    Raises:
        Misuse: The parameter accepts no file, or the file does not exist.
    """
    if not _has_place(parameter):
        raise Misuse(
            f"{endpoint.display_name}: {parameter.name} takes no file. To pass the text {_short(text)}, "
            f"write {_short(MARK + text)}, or put -- before it."
        )
    return put_in_place(parameter, _file(endpoint, parameter, text))


def json_argument(endpoint: Endpoint, parameter: Parameter | None, value: Any, *, typed: bool) -> Any:
    """Return a JSON value with its files: objects whose ``path`` is marked, where a file is accepted.

    Args:
        endpoint: The endpoint to call.
        parameter: The parameter of the value; None if it is unknown.
        value: The JSON value.
        typed: Whether you typed it. Otherwise it may be the output of another server, and no file is read.

    Raises:
        Misuse: A file does not exist, or a text stands where a file is required.
    """
    if parameter is None or not _has_place(parameter):
        return value
    if typed:
        value = _replace_marked(endpoint, parameter, value)
    advice = _IN_JSON if typed else f"{parameter.name}=@photo.png beside --json"

    def refuse(text: str | PurePath) -> Any:
        if str(text).startswith("data:"):  # passed on; the core knows which server versions accept a URL
            return text
        raise _no_file(endpoint, parameter, str(text), advice)

    return replace_files(parameter, value, refuse)


def refuse_text(endpoint: Endpoint, parameter: Parameter, text: str) -> Misuse:
    """Return the error for a text where a file is required."""
    path = f"./{text}" if text.startswith(MARK) else text
    return _no_file(endpoint, parameter, text, f"{_short(MARK + path)}, before any --,")


def _has_place(parameter: Parameter) -> bool:
    """Return whether a parameter's value may contain a file, by the server's description of it."""
    unknown = not parameter.schema and parameter.component.lower() not in _KNOWN
    return unknown or takes_files(parameter) or shape_of(parameter) is not None


def _replace_marked(endpoint: Endpoint, parameter: Parameter, value: Any) -> Any:
    if isinstance(value, list):
        return [_replace_marked(endpoint, parameter, item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    mapping = cast("Mapping[str, Any]", value)
    path = mapping.get("path")
    if len(mapping) > 1 or not isinstance(path, str):  # a file on the server has more keys
        return {key: _replace_marked(endpoint, parameter, item) for key, item in mapping.items()}
    if path.startswith(MARK):
        return _file(endpoint, parameter, path)
    if takes_files(parameter):
        raise _no_file(endpoint, parameter, path, _IN_JSON)
    return mapping


def _no_file(endpoint: Endpoint, parameter: Parameter, text: str, advice: str) -> Misuse:
    return Misuse(
        f"{endpoint.display_name}: {parameter.name} takes a file, but {_short(text)} is a text. "
        f"Write {advice} for a file."
    )


def _file(endpoint: Endpoint, parameter: Parameter, marked: str) -> InputFile:
    source = marked.removeprefix(MARK)
    remote = source.lower().startswith(("http://", "https://"))
    where = f"{endpoint.display_name}: {parameter.name}"
    if not remote and not Path(source).expanduser().exists():
        raise Misuse(f"{where} takes a file, and there is none at {source!r}.")
    try:
        return handle_file(source)
    except LocalProtocolError as error:
        raise Misuse(f"{where}: {error.message}") from error


def _short(text: str) -> str:
    return repr(list_texts([text]))


__all__ = ["MARK", "file_argument", "json_argument", "refuse_text"]
