# SPDX-License-Identifier: Apache-2.0
"""The shape of a value with files: one file, a list of them, or an object that has files in it (4.0+).

Servers parse a value with the model of its component. An object without any key of the model counts as empty,
so a single file for an image editor arrives as no image. Other wrong shapes raise on the server, with
pydantic messages that most apps hide. The shape comes from the schema in ``/info``.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias, cast

from ..app.config import AppConfig, Endpoint, Parameter
from ..errors import Phase, ValidationFailed
from .inputs import InputFile
from .outputs import ServerFile
from .paths import takes_files, visible_inputs


class _Mark(enum.Enum):
    FILE = "file"

    def __repr__(self) -> str:
        return self.value


FILE: Final = _Mark.FILE
"""The place of a file in a shape."""

Shape: TypeAlias = _Mark | list[Any] | dict[str, Any] | str | None
"""A list has the shapes of its items; an object has those of the keys with files, and the required keys."""

_DEPTH: Final = 8
"""The most steps into a schema, which may be circular; no component nests files deeper."""

_PARTS: Final = 1000
"""The most parts of a schema that are read, because each may refer to the whole several times."""

_REFERENCE_CHARACTERS: Final = 1000


def check_shapes(endpoint: Endpoint, data: Sequence[Any], config: AppConfig) -> None:
    """Reject values whose files are not where the server looks for them.

    Args:
        endpoint: The called endpoint.
        data: The wire values, or only those of the endpoint's parameters.
        config: Config of the app. Before 4.0 servers accept one file for a list of one, and the reverse.

    Raises:
        ValidationFailed: The message names the parameter and the shape to pass.
    """
    if not config.at_least(4, 0):
        return
    for parameter, value in zip(endpoint.parameters, visible_inputs(endpoint, data), strict=False):
        # A video of 4.0 to 5.x is an object with its subtitles, which `place_files` wraps or unwraps.
        if not takes_files(parameter) or parameter.component.lower() == "video":
            continue
        if value is parameter.default:  # from the server
            continue
        shape = shape_of(parameter)
        if not _matches(value, shape):
            takes = "one file" if shape is FILE else f"files in the shape {shape!r}"
            raise ValidationFailed(
                f"{parameter.name!r} of {endpoint.display_name} takes {takes}: pass handle_file(...) "
                "for each. The file would not arrive in another shape. Nothing was sent.",
                problems={parameter.name: f"takes {takes}"},
                phase=Phase.JOIN,
            )


def shape_of(parameter: Parameter) -> Shape:
    """Return the shape of a parameter's value; None if its schema has no files, or is unknown."""
    return _Schema(parameter.schema).shape(parameter.schema, _DEPTH)


def put_in_place(parameter: Parameter, file: InputFile | str) -> Any:
    """Return a parameter's value that contains only this file.

    It is the file itself if the parameter has no place for a file, or several.
    """
    shape = shape_of(parameter)
    if isinstance(file, InputFile):
        shape = _choose_medium(shape, file)
    if shape is None and parameter.schema.get("type") == "array":  # before 4.0 the items are unknown
        shape = [FILE]
    return _fill(shape, file) if sum(1 for _ in _places(shape)) == 1 else file


class _Schema:
    """The conversion of a server's schema to its shape."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._parts_left = _PARTS

    def shape(self, schema: Mapping[str, Any], depth: int) -> Shape:
        """Return the shape of a part; None if it has no place for files, or too many parts."""
        schema = self._resolve(schema)
        if not depth:
            return None
        for key in ("anyOf", "oneOf"):
            if key in schema:
                options = [option for option in _objects(schema[key]) if option.get("type") != "null"]
                return _merge(self._shapes(options, depth))
        if schema.get("type") == "array":
            items = _objects(schema.get("prefixItems")) or [_object(schema.get("items"))]
            item = _merge(self._shapes(items, depth))
            return None if item is None else [item] * len(items)
        properties = _object(schema.get("properties"))
        if "path" in properties or schema.get("title") == "file":
            return FILE
        found = self._shapes([_object(each) for each in properties.values()], depth)
        shapes = dict(zip(properties, found, strict=False))
        if not any(found):
            return None
        required = schema.get("required")
        needed = cast("list[Any]", required) if isinstance(required, list) else []
        return {key: shape or "" for key, shape in shapes.items() if shape or key in needed}

    def _shapes(self, parts: Sequence[Mapping[str, Any]], depth: int) -> list[Shape]:
        self._parts_left -= len(parts)
        return [self.shape(part, depth - 1) for part in parts] if self._parts_left >= 0 else []

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        target: Any = self._root
        for key in reference[:_REFERENCE_CHARACTERS].removeprefix("#/").split("/"):
            target = _object(target).get(key)
        return _object(target)


def _merge(shapes: Sequence[Shape]) -> Shape:
    """Return the common shape of alternatives, or None."""
    merged: dict[str, Shape] = {}
    for shape in shapes:
        if not isinstance(shape, dict):
            return shapes[0] if all(other == shapes[0] for other in shapes) else None
        merged |= shape
    return merged or None


def _object(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [_object(item) for item in cast("list[Any]", value)] if isinstance(value, list) else []


def _matches(value: Any, shape: Shape) -> bool:
    """Return whether the files of a value are where the shape has them. Other values always match."""
    file = isinstance(value, InputFile | ServerFile) or (
        isinstance(value, Mapping) and not cast("Mapping[Any, Any]", value).keys().isdisjoint(("path", "url"))
    )
    if shape is None or not (file or isinstance(value, list | tuple | Mapping)):
        return True
    if isinstance(shape, list):
        items = cast("Sequence[Any]", value)
        return isinstance(value, list | tuple) and all(_matches(item, shape[0]) for item in items)
    if not isinstance(shape, dict):
        return file
    if file or not isinstance(value, Mapping):
        return False
    members = cast("Mapping[Any, Any]", value)
    known = [key for key in members if key in shape]
    return (bool(known) or not members) and all(_matches(members[key], shape[key]) for key in known)


def _places(shape: Shape) -> Iterator[Shape]:
    if isinstance(shape, list | dict):
        for part in shape.values() if isinstance(shape, dict) else shape:
            yield from _places(part)
    elif shape is FILE:
        yield shape


def _choose_medium(shape: Shape, file: InputFile) -> Shape:
    """Return a shape with one of ``image`` and ``video``: the items of a gallery are either."""
    if isinstance(shape, list):
        return [_choose_medium(part, file) for part in shape]
    if not isinstance(shape, dict) or not {"image", "video"} <= shape.keys():
        return shape
    other = "image" if file.content_type.startswith("video/") else "video"
    return {key: part for key, part in shape.items() if key != other}


def _fill(shape: Shape, file: Any) -> Any:
    if isinstance(shape, list):
        return [_fill(part, file) for part in shape]
    if isinstance(shape, dict):
        return {key: _fill(part, file) for key, part in shape.items()}
    return file if shape is FILE else shape


__all__ = ["FILE", "Shape", "check_shapes", "put_in_place", "shape_of"]
