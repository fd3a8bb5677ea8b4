# SPDX-License-Identifier: Apache-2.0
"""The keys of messages, bodies and configs, with their JSON types, and their changes."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, cast

from ...errors import one_line
from .comparable import OPAQUE, shape
from .difference import Collector, Layer
from .side import Item

_NO_NAME = re.compile(r"[^\w-]")
_OF_A_TYPE = re.compile(r"\bcomponents\.[\w-]+\[\]")


class Shapes:
    """The keys of each subject's values, with their types and counts."""

    def __init__(self) -> None:
        self.keys: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))

    def add(self, items: Iterable[Item]) -> None:
        """Count the keys of values."""
        for item in items:
            self.add_value(item.what, item.value)

    def add_value(self, subject: str, value: Any) -> None:
        """Count the keys of a value, under its subject and the path in it."""
        for path, key, kind in shape(_by_type(value)):
            self.keys[f"{subject}: {path}" if path else subject][key][kind] += 1
        if not isinstance(value, dict | list) and value is not None:
            self.keys[subject]["the body" if not isinstance(value, str) else "a text"][
                type(value).__name__
            ] += 1


def _by_type(value: Any) -> Any:
    """Return a config with its components by their type, because each type has its own keys."""
    if not isinstance(value, dict):
        return value
    config = cast("dict[str, Any]", value)
    components = config.get("components")
    if not isinstance(components, list) or "dependencies" not in config:
        return config
    groups: dict[str, list[Any]] = defaultdict(list)
    for one in cast("list[Any]", components):
        kind = cast("dict[str, Any]", one).get("type") if isinstance(one, dict) else None
        groups[_NO_NAME.sub("_", str(kind))].append(one)
    return config | {"components": groups}


def discovery_shapes(shapes: Shapes) -> Shapes:
    """Return the shapes of a discovery, named by what they are of."""
    named = Shapes()
    for subject, keys in shapes.keys.items():
        named.keys[subject.removeprefix("the reply to GET ")] = keys
    return named


def compare_shapes(found: Collector, layer: Layer, old: Shapes, new: Shapes) -> None:
    """Add the keys that came or went, and those whose types changed."""
    for subject, before in old.keys.items():
        after = new.keys.get(subject)
        if after is None:
            continue
        for keys, other, is_new in ((after, before, True), (before, after, False)):
            for key, types in keys.items():
                if key not in other:
                    shown = _OF_A_TYPE.sub("components[]", subject)
                    found.add_key(layer, shown, is_new, key, types.total())
        for key, types in before.items():
            if key not in OPAQUE and key in after and set(types) != set(after[key]):
                was, now = " or ".join(sorted(types)), " or ".join(sorted(after[key]))
                shown = _OF_A_TYPE.sub("components[]", subject)
                found.add(layer, f"{shown}: {one_line(key)} was {was}, is {now}")


__all__ = ["Shapes", "compare_shapes", "discovery_shapes"]
