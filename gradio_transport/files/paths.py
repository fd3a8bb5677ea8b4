# SPDX-License-Identifier: Apache-2.0
"""The places of files in a component's value, to distinguish a path given as text from a text.

Servers accept no text there: from 3.4 to 6.31 all reply with an exception of their check, or of the lack of
one. The only exception is an image before 4.0, which is a data URL or bare Base64.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeAlias, cast

from ..app.config import AppConfig, Endpoint, Parameter
from ..errors import Phase, ValidationFailed

Put: TypeAlias = Callable[[str | PurePath], Any]

_FILES = frozenset(
    {
        "audio", "downloadbutton", "file", "gallery", "image", "imageeditor", "imageslider", "model3d",
        "timeseries", "uploadbutton", "video",
    }
)  # fmt: skip
"""Components whose value is a file or consists of files."""

_TEXT_WITH_FILES = "multimodaltextbox"

_PYTHON_TYPES = ("filepath", "list[filepath]")
"""The servers' types for the same, for custom components; 4.x writes ``List``."""

_HOLDERS = frozenset(
    {"background", "composite", "files", "image", "layers", "mask", "subtitles", "video"}
)  # fmt: skip
"""Keys of compound values that have files; others, such as ``caption``, have texts."""

_DEPTH = 8
"""Levels of nesting in which files are found; no component nests them deeper."""

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{40,}={0,2}")
"""The shortest text that may be an image in Base64: few paths without a dot are so long."""

_SHOWN_CHARACTERS = 60


def wants_files(parameter: Parameter) -> bool:
    """Return whether a parameter's value is a file or consists of files."""
    if parameter.schema.get("type") == "string":  # a custom component with one of these names
        return False
    return parameter.component.lower() in _FILES or parameter.python_type.lower() in _PYTHON_TYPES


def takes_files(parameter: Parameter) -> bool:
    """Return whether a parameter's value may contain files: `wants_files`, or a text with files."""
    return parameter.component.lower() == _TEXT_WITH_FILES or wants_files(parameter)


def replace_files(parameter: Parameter, value: Any, put: Put) -> Any:
    """Return a parameter's value with each text and path in the place of a file replaced.

    Args:
        parameter: The parameter. If it has no files, the value is returned unchanged.
        value: The value.
        put: Returns the replacement, or raises.
    """
    kind = parameter.component.lower()
    if wants_files(parameter):
        return _replace(value, kind, put, _DEPTH)
    # Its value is a text with files; a bare text is not a file.
    if kind == _TEXT_WITH_FILES and isinstance(value, Mapping):
        return _replace(cast("Mapping[Any, Any]", value), kind, put, _DEPTH)
    return value


def _replace(value: Any, kind: str, put: Put, depth: int) -> Any:
    if isinstance(value, str | PurePath):
        return put(value)
    if depth and isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
        if kind == "gallery" and depth < _DEPTH:  # a picture and its caption
            return [*(_replace(item, kind, put, depth - 1) for item in items[:1]), *items[1:]]
        return [_replace(item, kind, put, depth - 1) for item in items]
    if depth and isinstance(value, Mapping):
        return {
            key: _replace(item, kind, put, depth - 1) if key in _HOLDERS else item
            for key, item in cast("Mapping[Any, Any]", value).items()
        }
    return value


def visible_inputs(endpoint: Endpoint, data: Sequence[Any]) -> Sequence[Any]:
    """Return the values of an endpoint's parameters: the wire values without the slots of State."""
    if len(data) != len(endpoint.inputs):
        return data
    return [value for value, slot in zip(data, endpoint.inputs, strict=True) if not slot.skipped]


def check_paths(endpoint: Endpoint, data: Sequence[Any], config: AppConfig) -> None:
    """Reject texts and paths in the place of a file: a path needs `handle_file`.

    Why not convert it: an app could read files by calling a text box a file.

    Args:
        endpoint: The called endpoint.
        data: The wire values, or only those of the endpoint's parameters.
        config: Config of the app, whose version may accept images as texts.

    Raises:
        ValidationFailed: The message names the parameter.
    """
    for parameter, value in zip(endpoint.parameters, visible_inputs(endpoint, data), strict=False):
        if value is not parameter.default:  # from the server
            replace_files(parameter, value, _refusal_of_paths(endpoint, parameter, config))


def _is_image(text: str) -> bool:
    """Return whether a text is an image itself."""
    return text.startswith("data:") or _BASE64.fullmatch(text.rstrip()) is not None


def _refusal_of_paths(endpoint: Endpoint, parameter: Parameter, config: AppConfig) -> Put:
    def put(given: str | PurePath) -> Any:
        if isinstance(given, str) and not config.at_least(4, 0) and _is_image(given):
            return given
        shown = repr(str(given))
        shown = shown if len(shown) <= _SHOWN_CHARACTERS else shown[: _SHOWN_CHARACTERS - 3] + "..."
        raise ValidationFailed(
            f"{parameter.name!r} of {endpoint.display_name} takes a file: pass handle_file({shown}), or None "
            f"for no file. Nothing was sent.",
            problems={parameter.name: "no file"},
            phase=Phase.JOIN,
        )

    return put


__all__ = ["replace_files", "check_paths", "takes_files", "visible_inputs", "wants_files"]
