# SPDX-License-Identifier: Apache-2.0
"""Where a component's value has its files, so that a path given as text is told from a text.

Servers take no text there: from 3.4 to 6.31 all answer with what their check, or the lack of one, raises. The
one exception is an image before 4.0, which is a data URL or bare Base64.
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
"""Components whose value is a file, or is made of files."""

_TEXT_WITH_FILES = "multimodaltextbox"

_PYTHON_TYPES = ("filepath", "list[filepath]")
"""What servers say of the same, for components that are not Gradio's own; 4.x writes ``List``."""

_HOLDERS = frozenset(
    {"background", "composite", "files", "image", "layers", "mask", "subtitles", "video"}
)  # fmt: skip
"""Keys of compound values under which there are files; others, such as ``caption``, have texts."""

_DEPTH = 8
"""How deep files are looked for; no component nests them deeper."""

_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{40,}={0,2}")
"""A picture in Base64. None is shorter, and few paths are so long without a dot."""

_SHOWN_CHARACTERS = 60


def wants_files(parameter: Parameter) -> bool:
    """Return whether a parameter's value is a file, or is made of files."""
    if parameter.schema.get("type") == "string":  # a component of the app's own, by one of these names
        return False
    return parameter.component.lower() in _FILES or parameter.python_type.lower() in _PYTHON_TYPES


def takes_files(parameter: Parameter) -> bool:
    """Return whether a parameter's value may have files in it: `wants_files`, or a text with files."""
    return parameter.component.lower() == _TEXT_WITH_FILES or wants_files(parameter)


def replace_files(parameter: Parameter, value: Any, put: Put) -> Any:
    """Return a parameter's value with each text and path that stands where a file is wanted replaced.

    Args:
        parameter: What the value is for; where it holds no files the value is returned as it is.
        value: It.
        put: Returns what stands there instead, or raises.
    """
    kind = parameter.component.lower()
    if wants_files(parameter):
        return _replace(value, kind, put, _DEPTH)
    # Its value is a text with files; a bare text is no file of it.
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
    """Return the values of an endpoint's parameters: those of the wire without the slots of State."""
    if len(data) != len(endpoint.inputs):
        return data
    return [value for value, slot in zip(data, endpoint.inputs, strict=True) if not slot.skipped]


def check_paths(endpoint: Endpoint, data: Sequence[Any], config: AppConfig) -> None:
    """Refuse texts and paths where a file is wanted: a path is no file before `handle_file` made it one.

    It is never taken for one by itself, or an app could ask for files by calling a text box a file.

    Args:
        endpoint: What is called.
        data: The values of the wire, or of the endpoint's parameters alone.
        config: The app, whose generation may take images as texts.

    Raises:
        ValidationFailed: It names the parameter.
    """
    for parameter, value in zip(endpoint.parameters, visible_inputs(endpoint, data), strict=False):
        if value is not parameter.default:  # the server's word
            replace_files(parameter, value, _refusal_of_paths(endpoint, parameter, config))


def _is_image(text: str) -> bool:
    """Return whether a text is an image in itself."""
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
