# SPDX-License-Identifier: Apache-2.0
"""What `Client.view_api` says of an app's endpoints: as a dict, or as a text for people."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from ..app.config import AppConfig, Endpoint, Parameter

LONGEST_TYPE = 48
"""Characters of a type, as in ``gradio-transport list``; the dict has them whole."""

LONGEST_TEXT = 100
"""Characters of a description or default."""

_SENTENCE_END = re.compile(r"(?<=[.!?])\s|\n\s*\n")


def as_dict(config: AppConfig) -> dict[str, dict[str, Any]]:
    """Return all endpoints, the named ones by name, the others by number (as text)."""
    named, unnamed = _split(config, undocumented=True)
    return {
        "named_endpoints": {one.display_name: _described(one) for one in named},
        "unnamed_endpoints": {str(one.fn_index): _described(one) for one in unnamed},
    }


def _split(config: AppConfig, *, undocumented: bool) -> tuple[list[Endpoint], list[Endpoint]]:
    shown = ("public", "undocumented") if undocumented else ("public",)
    found = [one for one in config.endpoints if one.backend_fn and one.visibility in shown]
    return [one for one in found if one.name is not None], [one for one in found if one.name is None]


def _described(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "description": endpoint.description,
        "parameters": [
            {
                "parameter_name": one.name,
                "parameter_has_default": one.has_default,
                "parameter_default": one.default,
                "example_input": one.example,
                **_common(one),
            }
            for one in endpoint.parameters
        ],
        "returns": [_common(one) for one in endpoint.returns],
    }


def _common(one: Parameter) -> dict[str, Any]:
    return {
        "label": one.label,
        "type": dict(one.schema),
        "python_type": {"type": one.python_type, "description": one.description},
        "component": one.component,
    }


def as_text(config: AppConfig, where: str, all_endpoints: bool | None) -> str:
    """Return the endpoints for people.

    Args:
        config: The app.
        where: Its URL.
        all_endpoints: Whether unnamed ones are listed too; None for only if there are no named ones.
    """
    named, unnamed = _split(config, undocumented=False)
    lines = [_line(f"{where} (Gradio {config.version or 'of an unknown version'})"), ""]
    lines += _section("Named endpoints", named)
    if all_endpoints or (all_endpoints is None and not named):
        lines += _section("Unnamed endpoints", unnamed)
    elif unnamed:
        lines += [f"Unnamed endpoints: {len(unnamed)} (shown by view_api(all_endpoints=True))", ""]
    return "\n".join(lines)


def _section(title: str, endpoints: Sequence[Endpoint]) -> list[str]:
    lines = [f"{title}: {len(endpoints)}", ""]
    for one in endpoints:
        lines += [
            _line(f"  {_call(one)}"),
            *_values("takes", one.parameters),
            *_values("returns", one.returns),
            "",
        ]
    return lines


def _call(endpoint: Endpoint) -> str:
    which = f'api_name="{endpoint.name}"' if endpoint.name else f"fn_index={endpoint.fn_index}"
    return f"client.predict({', '.join([*(_keyword(one) for one in endpoint.parameters), which])})"


def _keyword(one: Parameter) -> str:
    return f"{one.name}={_line(repr(one.default), LONGEST_TEXT)}" if one.has_default else one.name


def _values(title: str, values: Sequence[Parameter]) -> list[str]:
    if not values:
        return [f"    {title}: nothing"]
    lines = [f"    {title}:"]
    for one in values:
        kind, about = _line(one.python_type, LONGEST_TYPE), _line(_sentence(one.description), LONGEST_TEXT)
        told = [f"[{one.component or '?'}]"]
        told += [f"{one.name}: {kind}" if title == "takes" else kind]
        told += [f"({about})"] if about else []
        told += [f"- {one.label}"] if one.label else []
        lines.append(_line(f"      {' '.join(told)}"))
    return lines


def _sentence(text: str) -> str:
    """Return the first sentence: servers send the docstrings of their classes."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0]


def _line(text: str, longest: int | None = None) -> str:
    """Return text on one line, its indent kept, without what could steer a terminal."""
    indent = text[: len(text) - len(text.lstrip(" "))]
    line = "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in " ".join(text.split())
    )
    return indent + (line if longest is None or len(line) <= longest else line[: longest - 1] + "…")


__all__ = ["as_dict", "as_text"]
