# SPDX-License-Identifier: Apache-2.0
"""Choice of the endpoint, and check of the arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ..app.config import AppConfig, Endpoint, Parameter
from ..calls.values import is_json, parameter_place, to_json
from ..errors import EndpointNotFound, Phase, ValidationFailed, did_you_mean, list_texts, one_line
from ..files.inputs import InputFile
from ..files.outputs import ServerFile
from ..files.paths import check_paths
from ..files.shapes import check_shapes
from .errors import ArgumentError, EndpointError, ValidationError, argument_error, translate_errors


def choose_endpoint(config: AppConfig, api_name: str | None, fn_index: int | None) -> Endpoint:
    """Return the endpoint by name or number. If both are given, `api_name` counts.

    Raises:
        EndpointError: There is no such endpoint, or none is named and there are several.
    """
    if api_name is not None:
        try:
            return config.endpoint(api_name)
        except EndpointNotFound as error:
            raise EndpointError(
                f"Cannot find a function with `api_name`: {api_name}. {error.message}", phase=Phase.JOIN
            ) from None
    if fn_index is None:
        return _only(config)
    numbers = sorted(endpoint.fn_index for endpoint in config.endpoints)
    if fn_index not in numbers:
        near = did_you_mean(str(fn_index), [str(number) for number in numbers])
        raise EndpointError(
            f"Invalid function index: {fn_index}. The app has no endpoint with fn_index={fn_index}.{near} "
            f"{_list_endpoints(config)}",
            phase=Phase.JOIN,
        )
    return config.endpoint(fn_index)


def _only(config: AppConfig) -> Endpoint:
    """Return the only endpoint, first of the named and public ones, then of the named ones, then of all."""
    named = list(config.named.values())
    for group in ([known for known in named if known.visibility == "public"], named, config.callable):
        if len(group) == 1:
            return group[0]
        if group:
            break
    raise EndpointError(
        f"This Gradio app might have multiple endpoints. Please specify an `api_name` or `fn_index`. "
        f"{_list_endpoints(config)}",
        phase=Phase.JOIN,
    )


def _list_endpoints(config: AppConfig) -> str:
    named = [
        f"api_name={known.name!r}" if known.name else f"fn_index={known.fn_index}"
        for known in config.callable
    ]
    if not named:
        return "It has none."
    return f"It has: {list_texts(named)}."


@attrs.frozen
class BoundArguments:
    """The values of a call, in the order of the wire.

    Attributes:
        data: One value for each input; null for inputs without a parameter.
        given: Names of the parameters that you gave a value.
    """

    endpoint: Endpoint
    data: list[Any]
    given: frozenset[str]

    @property
    def values(self) -> list[Any]:
        """One for each parameter."""
        if not self.endpoint.inputs:
            return self.data
        return [
            value for value, slot in zip(self.data, self.endpoint.inputs, strict=True) if not slot.skipped
        ]


def bind_arguments(
    endpoint: Endpoint, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> BoundArguments:
    """Return the values of an endpoint's parameters in order, defaults filled in.

    Raises:
        ArgumentError: Missing, surplus, unknown or doubled arguments.
    """
    try:
        data = endpoint.bind(arguments, keywords)
    except ValidationFailed as error:
        words = _key_words(endpoint, error.problems)
        raise ArgumentError(f"{words}{error.message}", problems=error.problems, phase=Phase.JOIN) from None
    named = {endpoint.by_keyword[keyword].name for keyword in keywords}
    placed = {parameter.name for parameter in endpoint.parameters[: len(arguments)]}
    return BoundArguments(endpoint, data, frozenset(named | placed))


def _key_words(endpoint: Endpoint, problems: Mapping[str, str]) -> str:
    """Return the message of the Gradio Python client for the first problem, because programs match on it."""
    for name, problem in problems.items():
        shown = one_line(name)
        if problem == "missing":
            return f"No value provided for required argument: {shown}. "
        if name in endpoint.by_keyword:
            return f"Parameter `{shown}` is already set as a positional argument. "
        if problem.startswith("unknown"):
            return f"Parameter `{shown}` is not a valid key-word argument. "
    return ""


def check_arguments(config: AppConfig, bound: BoundArguments) -> None:
    """Reject values that the parameters cannot take.

    Raises:
        ValidationError: There is such a value. An `ArgumentError` if JSON cannot represent it.
    """
    endpoint = bound.endpoint
    with translate_errors():
        check_paths(endpoint, bound.data, config)
        check_shapes(endpoint, bound.data, config)
    for parameter, value in zip(endpoint.parameters, bound.values, strict=True):
        if parameter.name in bound.given:
            _check(endpoint, parameter, value)


def _check(endpoint: Endpoint, parameter: Parameter, value: Any) -> None:
    """Reject obviously wrong values. Values that a server might accept are left to the server."""
    name = parameter.name
    where = f"{name!r} of {endpoint.display_name}"
    if not is_json([value]):
        try:
            to_json(value, parameter_place(endpoint, parameter))
        except ValidationFailed as error:
            raise ArgumentError(error.message, problems=error.problems, phase=error.phase) from None
    if not _fits(parameter, value):
        raise argument_error(
            f"{where} takes {parameter.python_type}, which {_shorten(value)} is not.",
            ValidationError,
            name,
            f"no {parameter.python_type}",
        )


def _fits(parameter: Parameter, value: Any) -> bool:
    kind = parameter.schema.get("type")
    if kind in ("number", "integer"):
        return not isinstance(value, list | tuple | dict | InputFile | ServerFile) and _is_number(value)
    if kind == "boolean":
        return not isinstance(value, list | tuple | dict | InputFile | ServerFile)
    return True


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
    return True


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


__all__ = ["BoundArguments", "bind_arguments", "check_arguments", "choose_endpoint"]
