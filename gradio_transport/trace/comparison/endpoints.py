# SPDX-License-Identifier: Apache-2.0
"""Comparison of what two apps offer: their endpoints, with parameters, return values and options."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from ...app.config import AppConfig, Endpoint, Parameter
from ...errors import list_texts
from .comparable import excerpt
from .difference import ENDPOINTS, Collector, Layer
from .pairs import pairs

_COMPARED_VALUES = ("protocol", "api_prefix", "enable_queue", "connect_heartbeat", "max_file_size")
"""Keys of a config whose values are compared: those that decide how calls are made."""


def compare_endpoints(found: Collector, before: AppConfig, after: AppConfig) -> None:
    """Compare what the apps can do, as callers see it."""
    for key in _COMPARED_VALUES:
        if key in before.raw and key in after.raw and before.raw[key] != after.raw[key]:
            old, new = excerpt(before.raw[key]), excerpt(after.raw[key])
            found.add(Layer.CONFIG, f"{key} was {old}, is {new}")
    names: list[tuple[bool, str]] = []
    for left, right in pairs(before.endpoints, after.endpoints, _endpoint_name):
        if left is not None and right is not None:
            if left.backend_fn and right.backend_fn:
                _compare_endpoint(found, left, right)
        elif (one := left or right) is not None and one.name is not None and one.visibility != "private":
            names.append((right is not None, one.name))
    for is_new, name in names:
        found.add_key(Layer.CONFIG, ENDPOINTS, is_new, name, 1)


def _compare_endpoint(found: Collector, old: Endpoint, new: Endpoint) -> None:
    name = old.display_name
    for what, left, right in (
        ("parameters", old.parameters, new.parameters),
        ("returns", old.returns, new.returns),
    ):
        named = what == "parameters" and _are_named(left) and _are_named(right)
        before, after = _signature(left, named), _signature(right, named)
        if before != after:
            found.add(Layer.CONFIG, f"{name}: {what} were ({before}), are ({after})")
    if old.parameters and new.parameters and _are_named(old.parameters) != _are_named(new.parameters):
        found.add(
            Layer.CONFIG,
            "parameters have names" if _are_named(new.parameters) else "parameters have numbers for names",
            name,
        )
    for what in ("visibility", "queue", "batch", "connection"):
        before, after = getattr(old, what), getattr(new, what)
        if before != after:
            found.add(Layer.CONFIG, f"{what} was {before}, is {after}", name)


def _endpoint_name(endpoint: Endpoint) -> Hashable:
    return endpoint.name or endpoint.fn_index


def _are_named(parameters: Sequence[Parameter]) -> bool:
    return not any(parameter.is_numbered for parameter in parameters)


def _signature(parameters: Sequence[Parameter], named: bool) -> str:
    return list_texts(
        [(f"{parameter.keyword}: " if named else "") + parameter.component for parameter in parameters]
    )


__all__ = ["compare_endpoints"]
