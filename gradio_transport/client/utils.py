# SPDX-License-Identifier: Apache-2.0
"""Functions on values, in the module where the Gradio Python client has them. None uses the network."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from ..errors import list_texts
from .communicator import Communicator, JobStatus
from .data_classes import FileData, ParameterInfo
from .errors import ArgumentError, QueueError, TooManyRequestsError, ValidationError, argument_error
from .files import file, handle_file, is_marked
from .updates import ProgressUnit, Status, StatusUpdate

__version__ = "2.7.2"
"""The release of the Gradio Python client with the same names. Programs decide by it what to call."""

_MIME_TYPES: Mapping[str, str] = {
    ".vtt": "text/vtt",
    ".webp": "image/webp",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
}
"""Gradio's media types; the standard library's differ by platform."""


def get_package_version() -> str:
    """Return the version of the Gradio Python client with the same names."""
    return __version__


def is_http_url_like(possible_url: object) -> bool:
    """Return whether a value is a text that begins as an http(s) URL does."""
    return isinstance(possible_url, str) and possible_url.startswith(("http://", "https://"))


def is_filepath(s: object) -> bool:
    """Return whether a value is the path of a file on this machine."""
    try:
        return isinstance(s, str | Path) and Path(s).is_file()
    except (OSError, ValueError):  # a text that cannot be a path
        return False


def is_file_obj(d: object) -> bool:
    """Return whether a value is a dict with the ``path`` of a file."""
    return isinstance(d, dict) and isinstance(cast("dict[str, Any]", d).get("path"), str)


def is_file_obj_with_meta(d: object) -> bool:
    """Return whether a value is a dict with a ``path`` and the ``meta`` that marks a file (4.21+)."""
    return is_file_obj(d) and is_marked(d)


def is_file_obj_with_url(d: object) -> bool:
    """Return whether a value is a dict with the mark of a file, a ``path`` and a ``url``."""
    return is_file_obj_with_meta(d) and isinstance(cast("dict[str, Any]", d).get("url"), str)


def traverse(json_obj: Any, func: Callable[[Any], Any], is_root: Callable[[Any], bool]) -> Any:
    """Return a JSON value with `func` applied to every part for which `is_root` holds, from the outside in.

    The value itself is not changed. Tuples become lists.
    """
    if is_root(json_obj):
        return func(json_obj)
    if isinstance(json_obj, dict):
        members = cast("dict[Any, Any]", json_obj).items()
        return {key: traverse(item, func, is_root) for key, item in members}
    if isinstance(json_obj, list | tuple):
        return [traverse(item, func, is_root) for item in cast("Sequence[Any]", json_obj)]
    return json_obj


async def async_traverse(
    json_obj: Any, func: Callable[[Any], Awaitable[Any]], is_root: Callable[[Any], bool]
) -> Any:
    """Return a JSON value with `func` awaited for its parts; see `traverse`."""
    if is_root(json_obj):
        return await func(json_obj)
    if isinstance(json_obj, dict):
        members = cast("dict[Any, Any]", json_obj).items()
        return {key: await async_traverse(item, func, is_root) for key, item in members}
    if isinstance(json_obj, list | tuple):
        return [await async_traverse(item, func, is_root) for item in cast("Sequence[Any]", json_obj)]
    return json_obj


def construct_args(
    parameters_info: Sequence[ParameterInfo] | None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> list[Any]:
    """Return the values of an endpoint's parameters in order, defaults filled in.

    Args:
        parameters_info: ``parameters`` of the endpoint in ``view_api(return_format="dict")``; None for an
            endpoint that does not describe them; it then takes no keywords.
        args: Values by position.
        kwargs: Values by name.

    Raises:
        ArgumentError: Missing, surplus, unknown or doubled arguments (a `TypeError` and `ValueError`).
    """
    if parameters_info is None:
        if kwargs:
            raise _error(
                "This endpoint does not support key-word arguments: the app names no parameters.",
                next(iter(kwargs)),
            )
        return list(args)
    names = [info.get("parameter_name", f"argument {place}") for place, info in enumerate(parameters_info)]
    if len(args) > len(names):
        raise _error(f"{len(args)} arguments were given, but the endpoint takes {len(names)}.", "args")
    given = dict(zip(names, args, strict=False))
    if unknown := [name for name in kwargs if name not in names]:
        raise _error(f"Parameter `{unknown[0]}` is not a valid key-word argument.", unknown[0])
    if doubled := [name for name in kwargs if name in given]:
        raise _error(f"Parameter `{doubled[0]}` is already set as a positional argument.", doubled[0])
    defaults = {
        name: info.get("parameter_default")
        for name, info in zip(names, parameters_info, strict=True)
        if info.get("parameter_has_default")
    }
    values = {**defaults, **given, **kwargs}
    if missing := [name for name in names if name not in values]:
        raise _error(f"No value provided for required argument: {list_texts(missing)}", missing[0])
    return [values[name] for name in names]


def _error(message: str, name: str) -> ValidationError:
    return argument_error(message, ArgumentError, name, message)


def get_mimetype(filename: str) -> str | None:
    """Return the media type of a file by its name, or None."""
    return _MIME_TYPES.get(Path(filename).suffix.lower()) or mimetypes.guess_type(filename)[0]


def encode_file_to_base64(f: str | Path) -> str:
    """Return a local file as a data URL.

    Raises:
        OSError: It cannot be read.
    """
    content = base64.b64encode(Path(f).read_bytes()).decode()
    return f"data:{get_mimetype(str(f)) or ''};base64,{content}"


__all__ = [
    "Communicator", "FileData", "JobStatus", "ParameterInfo", "ProgressUnit", "QueueError", "Status",
    "StatusUpdate", "TooManyRequestsError", "__version__", "async_traverse", "construct_args",
    "encode_file_to_base64", "file", "get_mimetype", "get_package_version", "handle_file", "is_file_obj",
    "is_file_obj_with_meta", "is_file_obj_with_url", "is_filepath", "is_http_url_like", "traverse",
]  # fmt: skip
