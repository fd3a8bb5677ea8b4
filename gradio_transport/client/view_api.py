# SPDX-License-Identifier: Apache-2.0
"""The description of an app's endpoints by `Client.view_api`: as a dict, or as text."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any, cast

from ..app.config import AppConfig, Endpoint, Parameter
from ..errors import one_line

LONGEST_TYPE = 48
"""Characters of a type, as in ``gradio-transport list``; the dict has them whole."""

LONGEST_TEXT = 100
"""Characters of a description or default."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n\s*\n")


_MARKS = ("show_api", "api_visibility", "code_snippets")
"""Keys that every Gradio client that knows them removes: marks that it sorts by, and texts for people."""


def as_dict(config: AppConfig) -> dict[str, Any]:
    """Return the same dict as the Gradio client of the server's version. You may change it.

    It is ``/info`` from the server, without the marks. If there is none (before 3.26, or an unreadable one),
    it is built from the config, in the form of that version.
    """
    if config.info is None:
        return {
            "named_endpoints": {one.display_name: _endpoint(one, config) for one in _named(config)},
            "unnamed_endpoints": {str(one.fn_index): _endpoint(one, config) for one in _unnamed(config)},
        }
    info: dict[str, Any] = copy.deepcopy(dict(config.info))
    for group in ("named_endpoints", "unnamed_endpoints"):
        info[group] = {name: _without_marks(told) for name, told in info.get(group, {}).items()}
    return info


def _without_marks(told: Any) -> Any:
    if not isinstance(told, dict):
        return told
    return {key: value for key, value in cast("dict[str, Any]", told).items() if key not in _MARKS}


def _named(config: AppConfig) -> list[Endpoint]:
    return [endpoint for endpoint in config.documented if endpoint.name is not None]


def _unnamed(config: AppConfig) -> list[Endpoint]:
    return [endpoint for endpoint in config.documented if endpoint.name is None]


def _endpoint(endpoint: Endpoint, config: AppConfig) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = []
    for parameter in endpoint.parameters:
        described = _common(parameter)
        if config.at_least(4, 23):
            described |= {
                "parameter_name": parameter.name,
                "parameter_has_default": parameter.has_default,
                "parameter_default": parameter.default,
            }
        parameters.append(described | {"example_input": parameter.example})
    returns = [_common(parameter) for parameter in endpoint.returns]
    described = {"parameters": parameters, "returns": returns}
    return described | ({"description": endpoint.description} if config.at_least(5, 50) else {})


def _common(parameter: Parameter) -> dict[str, Any]:
    return {
        "label": parameter.label,
        "type": dict(parameter.schema),
        "python_type": {"type": parameter.python_type, "description": parameter.description},
        "component": parameter.component,
    }


def as_text(config: AppConfig, where: str, all_endpoints: bool | None) -> str:
    """Return the endpoints as text.

    Args:
        config: The config of the app.
        where: URL of the app.
        all_endpoints: Whether to list unnamed endpoints too; None lists them only if there are no named ones.
    """
    named, unnamed = _named(config), _unnamed(config)
    lines = [_line(f"{where} (Gradio {config.version or 'of an unknown version'})"), ""]
    lines += _section("Named endpoints", named)
    if all_endpoints or (all_endpoints is None and not named):
        lines += _section("Unnamed endpoints", unnamed)
    elif unnamed:
        lines += [f"Unnamed endpoints: {len(unnamed)} (shown by view_api(all_endpoints=True))", ""]
    return "\n".join(lines)


def _section(title: str, endpoints: Sequence[Endpoint]) -> list[str]:
    lines = [f"{title}: {len(endpoints)}", ""]
    for endpoint in endpoints:
        lines += [
            _line(f"  {_call(endpoint)}"),
            *_values("takes", endpoint.parameters),
            *_values("returns", endpoint.returns),
            "",
        ]
    return lines


def _call(endpoint: Endpoint) -> str:
    which = f'api_name="{endpoint.name}"' if endpoint.name else f"fn_index={endpoint.fn_index}"
    return (
        f"client.predict({', '.join([*(_keyword(parameter) for parameter in endpoint.parameters), which])})"
    )


def _keyword(parameter: Parameter) -> str:
    return (
        f"{parameter.name}={_line(repr(parameter.default), LONGEST_TEXT)}"
        if parameter.has_default
        else parameter.name
    )


def _values(title: str, values: Sequence[Parameter]) -> list[str]:
    if not values:
        return [f"    {title}: nothing"]
    lines = [f"    {title}:"]
    for parameter in values:
        kind, about = (
            _line(parameter.python_type, LONGEST_TYPE),
            _line(_sentence(parameter.description), LONGEST_TEXT),
        )
        parts = [f"[{parameter.component or '?'}]"]
        parts += [f"{parameter.name}: {kind}" if title == "takes" else kind]
        parts += [f"({about})"] if about else []
        parts += [f"- {parameter.label}"] if parameter.label else []
        lines.append(_line(f"      {' '.join(parts)}"))
    return lines


def _sentence(text: str) -> str:
    """Return the first sentence: servers send the docstrings of their classes."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0]


def _line(text: str, longest: int | None = None) -> str:
    """Return text on one line, with its indent and without terminal control characters."""
    indent = text[: len(text) - len(text.lstrip(" "))]
    line = one_line(text)
    return indent + (line if longest is None or len(line) <= longest else line[: longest - 1] + "…")


__all__ = ["as_dict", "as_text"]
