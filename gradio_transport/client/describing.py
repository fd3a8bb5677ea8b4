# SPDX-License-Identifier: Apache-2.0
"""What `Client.view_api` says of an app's endpoints: as a dict, or as a text for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..config import AppConfig, Endpoint, Parameter


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
    lines = [f"{where} (Gradio {config.version or 'of an unknown version'})", ""]
    lines += _section("Named endpoints", named)
    if all_endpoints or (all_endpoints is None and not named):
        lines += _section("Unnamed endpoints", unnamed)
    elif unnamed:
        lines += [f"Unnamed endpoints: {len(unnamed)} (shown by view_api(all_endpoints=True))", ""]
    return "\n".join(lines)


def _section(title: str, endpoints: Sequence[Endpoint]) -> list[str]:
    lines = [f"{title}: {len(endpoints)}", ""]
    for one in endpoints:
        lines += [f"  {_call(one)}", *_values("takes", one.parameters), *_values("returns", one.returns), ""]
    return lines


def _call(endpoint: Endpoint) -> str:
    which = f'api_name="{endpoint.name}"' if endpoint.name else f"fn_index={endpoint.fn_index}"
    return f"client.predict({', '.join([*(_keyword(one) for one in endpoint.parameters), which])})"


def _keyword(one: Parameter) -> str:
    return f"{one.name}={one.default!r}" if one.has_default else one.name


def _values(title: str, values: Sequence[Parameter]) -> list[str]:
    if not values:
        return [f"    {title}: nothing"]
    lines = [f"    {title}:"]
    for one in values:
        told = [f"[{one.component or '?'}]"]
        told += [f"{one.name}: {one.python_type}" if title == "takes" else one.python_type]
        told += [f"({one.description})"] if one.description else []
        told += [f"- {one.label}"] if one.label else []
        lines.append(f"      {' '.join(told)}")
    return lines


__all__ = ["as_dict", "as_text"]
