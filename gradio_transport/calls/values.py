# SPDX-License-Identifier: Apache-2.0
"""The values of a call as JSON. Values with one obvious form are converted; others are rejected."""

from __future__ import annotations

import array
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any, cast

import attrs

from ..adapter.exchange import Invocation
from ..app.config import AppConfig, Endpoint, Parameter
from ..errors import Phase, ValidationFailed
from ..files.forms import MAX_DEPTH
from ..files.inputs import InputFile, check_files
from ..files.outputs import ServerFile
from ..files.paths import wants_files
from ..policy import MAX_JSON_DEPTH

_INTEGER_BOUND = 10**4000
"""The most digits of an integer. Python writes at most 4,300, unless a program raises that bound."""

_SCALARS = frozenset({str, float, bool, type(None)})
"""JSON types that need no further check. Integers need one, because of their length."""

_CONTAINERS = frozenset({dict, list, tuple})

_KEYS = frozenset({str, int, float, bool, type(None)})
"""Types of keys that JSON writers convert to texts."""

_SHOWN_KEY_CHARACTERS = 40


def is_json(values: Sequence[Any]) -> bool:
    """Return whether values have only JSON types, at any depth.

    Each call uses this, so it only checks types and does not serialize. A value for which it returns False
    may still have a JSON form; see `to_json`.
    """
    open_containers: list[int] = []
    levels: list[Iterator[Any]] = [iter(values)]
    while levels:
        for item in levels[-1]:
            kind = cast("type[object]", type(item))
            if kind in _SCALARS:
                continue
            if kind is int:
                if -_INTEGER_BOUND < item < _INTEGER_BOUND:
                    continue
                return False
            if kind not in _CONTAINERS or len(levels) > MAX_JSON_DEPTH or id(item) in open_containers:
                return False
            if kind is dict and not _KEYS.issuperset(map(type, item)):
                return False
            items = item.values() if kind is dict else item
            if not _SCALARS.issuperset(map(type, items)):
                open_containers.append(id(item))
                levels.append(iter(items))
                break
        else:
            levels.pop()
            if open_containers:
                open_containers.pop()
    return True


def to_json_invocation(invocation: Invocation, config: AppConfig) -> Invocation:
    """Return an invocation whose values are JSON, except for its files, which are not uploaded yet.

    Raises:
        ValidationFailed: A value is not JSON, or a file is larger than the app accepts.
        LocalProtocolError: A file is gone.
    """
    endpoint, event_data = invocation.endpoint, invocation.event_data
    if is_json((*invocation.data, event_data)):
        return invocation
    data = to_json_arguments(endpoint, invocation.data)
    event_data = to_json(event_data, Place("event_data", endpoint.display_name))
    check_files([*data, event_data], config)
    return attrs.evolve(invocation, data=data, event_data=event_data)


@attrs.frozen
class Place:
    """The purpose of a value.

    Attributes:
        name: The parameter.
        owner: The owner of the parameter, such as ``"/predict"``.
        takes_files: Whether files may be sent there.
        wants_files: Whether only files may be sent there.
    """

    name: str
    owner: str
    takes_files: bool = True
    wants_files: bool = False

    def refusal(self, path: Sequence[Any], problem: str, advice: str) -> ValidationFailed:
        """Return the error for a value.

        Args:
            path: Keys and indices of the rejected part of the value.
            problem: The problem, as the words after "it".
            advice: What to pass, as the words after "Pass".
        """
        inside = "".join(f"[{_shorten(key)}]" for key in path)
        said = f"{f'its item {inside}' if inside else 'it'} {problem}"
        return ValidationFailed(
            f"{self.name!r} of {self.owner} cannot be sent: {said}. Pass {advice}. Nothing was sent.",
            problems={self.name: said},
            phase=Phase.JOIN,
        )


def parameter_place(endpoint: Endpoint, parameter: Parameter) -> Place:
    """Return the place of a parameter of an endpoint."""
    return Place(parameter.name, endpoint.display_name, wants_files=wants_files(parameter))


def to_json_arguments(endpoint: Endpoint, data: Sequence[Any]) -> list[Any]:
    """Return the wire values for an endpoint, as JSON, with files unchanged.

    Raises:
        ValidationFailed: See `to_json`.
    """
    parameters = iter(endpoint.parameters)
    skipped = [slot.skipped for slot in endpoint.inputs] or [False] * len(data)
    return [
        value if is_skipped else to_json(value, parameter_place(endpoint, next(parameters)))
        for value, is_skipped in zip(data, skipped, strict=True)
    ]


def to_json(value: Any, place: Place) -> Any:
    """Return a value as JSON, with files unchanged.

    Tuples become lists and other mappings dicts. A scalar of numpy, or of a library that follows it, becomes
    the number or text that its ``item()`` returns. NaN and Infinity stay, because Gradio accepts them.

    Why not more: a date, a decimal or a set has several forms, and apps accept different ones.

    Raises:
        ValidationFailed: It has no JSON form, or several. The message names the parameter, the path inside it
            and what to pass.
    """
    try:
        return _convert(value, place, (), ())
    except RecursionError:  # a program may have raised the limit, or its stack may be deep
        raise _depth_error(place) from None


def _convert(value: Any, place: Place, path: tuple[Any, ...], above: tuple[int, ...]) -> Any:
    """Return a value as JSON; `above` has the identities of the containers around it."""
    if isinstance(value, InputFile | ServerFile):
        if not place.takes_files:
            raise place.refusal(
                path, "is a file, which only endpoints accept", "its path on the server or its text"
            )
        if len(above) > MAX_DEPTH:
            raise place.refusal(path, f"is a file more than {MAX_DEPTH} levels deep", "it less deep")
        return value
    if value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int):
        if -_INTEGER_BOUND < value < _INTEGER_BOUND:
            return value
        raise place.refusal(path, "is an integer of more than 4,000 digits", "it as a text")
    if id(value) in above:
        raise place.refusal(path, "contains itself", "a copy that does not")
    inside = (*above, id(value))
    if isinstance(value, Mapping):
        _check_depth(place, inside)
        items = cast("Mapping[Any, Any]", value).items()
        return {
            _checked_key(key, place, path): _convert(item, place, (*path, key), inside) for key, item in items
        }
    if isinstance(value, list | tuple):
        _check_depth(place, inside)
        elements = cast("Sequence[Any]", value)
        return [_convert(item, place, (*path, number), inside) for number, item in enumerate(elements)]
    if _is_array(value) and value.ndim == 0:
        return _convert(value.item(), place, path, inside)
    problem = f"has the type {_type_name(value)}, which JSON does not have"
    raise place.refusal(path, problem, _advice(value, place))


def _check_depth(place: Place, above: tuple[int, ...]) -> None:
    if len(above) > MAX_JSON_DEPTH:
        raise _depth_error(place)


def _depth_error(place: Place) -> ValidationFailed:
    return place.refusal((), f"is nested more than {MAX_JSON_DEPTH} levels deep", "a flatter value")


def _checked_key(key: Any, place: Place, path: tuple[Any, ...]) -> Any:
    if key is None or isinstance(key, str | int | float):
        return key
    raise place.refusal(path, f"has a key of the type {_type_name(key)}", "texts as keys")


def _is_array(value: Any) -> bool:
    """Return whether a value is a numpy-like array, by its attributes, without importing numpy."""
    return (
        hasattr(value, "dtype") and isinstance(getattr(value, "ndim", None), int) and hasattr(value, "item")
    )


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _shorten(key: Any) -> str:
    text = repr(key)
    return text if len(text) <= _SHOWN_KEY_CHARACTERS else text[: _SHOWN_KEY_CHARACTERS - 3] + "..."


_FILE = "handle_file({0}, name='name.ext') for a file"

_ADVICE: Sequence[tuple[tuple[type, ...], str]] = (
    ((PathLike,), "handle_file(path) for the file, or str(path) for its name"),
    ((bytes, bytearray, memoryview), _FILE.format("value") + ", or a text: value.decode()"),
    ((dt.date, dt.time), "the text that the app reads, such as value.isoformat() or str(value)"),
    ((dt.timedelta,), "value.total_seconds()"),
    ((decimal.Decimal, fractions.Fraction), "float(value), or str(value) to keep all digits"),
    ((complex,), "[value.real, value.imag], or str(value)"),
    ((uuid.UUID,), "str(value)"),
    ((enum.Enum,), "value.value"),
    ((set, frozenset), "list(value), whose order is arbitrary, or sorted(value)"),
    ((array.array,), "value.tolist()"),
)


def _advice(value: Any, place: Place) -> str:
    """Return what to pass instead of a value."""
    for kinds, advice in _ADVICE:
        if isinstance(value, kinds):
            return advice
    library = type(value).__module__.partition(".")[0]
    if callable(getattr(value, "read", None)):
        return _FILE.format("file.read()")
    if library == "PIL" or (place.wants_files and _is_array(value)):
        return "a file: save it, and pass handle_file(path), or handle_file(buffer.getvalue(), name='x.png')"
    if hasattr(value, "columns") and library == "pandas":
        return "{'headers': list(value.columns), 'data': value.values.tolist()} for a Dataframe"
    if _is_array(value) or callable(getattr(value, "tolist", None)):
        return "value.tolist()"
    if dataclasses.is_dataclass(value) or hasattr(value, "__attrs_attrs__"):
        return "a dict of its fields"
    if isinstance(value, Iterable):
        return "list(value)"
    return "a text, a number, True, False, None, or a list or dict of these"


__all__ = ["Place", "is_json", "parameter_place", "to_json", "to_json_arguments"]
