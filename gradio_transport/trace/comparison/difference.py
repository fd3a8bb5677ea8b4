# SPDX-License-Identifier: Apache-2.0
"""A difference between two traces, and the folding of the same change in many places into one."""

from __future__ import annotations

import enum
from collections import Counter, defaultdict
from collections.abc import Sequence

import attrs

from ...errors import one_line

_NAMED_KEYS = 12
"""The most keys that a line names. `Difference.keys` has all."""

_NAMED_PLACES = 3

ENDPOINTS = "endpoints"
"""The starts of lines about added and removed endpoints."""


class Layer(enum.StrEnum):
    """The part of a conversation with a difference, from the outside to the inside."""

    META = "meta"
    """The trace itself: version and adapter."""
    CONFIG = "config"
    """The app: its endpoints, and the keys of /config and /info."""
    REQUESTS = "requests"
    """Requests, replies, streams and sockets: their number, paths, statuses and keys."""
    MESSAGES = "messages"
    """The messages of the flow, and their keys."""
    VALUES = "values"
    """Arguments, outputs, errors, and values in messages."""


@attrs.frozen
class Difference:
    """A change from the older trace to the newer.

    Attributes:
        what: The change, without its place.
        count: The number of messages, requests, components or values with it.
        where: The calls, sessions or channels that have it; empty if it belongs to none.
        keys: All the keys that are new, or gone, if it is about keys.
    """

    layer: Layer
    what: str
    count: int = 1
    where: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The change and where it is."""
        if not self.where:
            return self.what
        named = "; ".join(self.where[:_NAMED_PLACES])
        more = len(self.where) - _NAMED_PLACES
        times = f", {self.count} times" if self.count > len(self.where) else ""
        if more > 0:
            return f"{self.what} (in {len(self.where)} places: {named}; ...{times})"
        return f"{self.what} ({named}{times})"

    def __str__(self) -> str:
        return f"{self.layer.value}: {self.text}"


class Collector:
    """Differences, the same ones folded into one."""

    def __init__(self) -> None:
        self._texts: dict[tuple[Layer, str], list[str]] = defaultdict(list)
        self._keys: dict[tuple[Layer, str, str], Counter[str]] = defaultdict(Counter)
        self._values: dict[str, str] = {}

    def add(self, layer: Layer, what: str, where: str = "") -> None:
        """Add a difference in one place."""
        self._texts[layer, what].append(where)

    def add_value(self, what: str, subject: str, where: str) -> None:
        """Add a change of a value; of more in the same place of messages only the first is told."""
        first = self._values.setdefault(subject, what)
        self.add(Layer.VALUES, first, where)

    def add_key(self, layer: Layer, subject: str, is_new: bool, key: str, count: int) -> None:
        """Add a key that is new, or gone, in so many places."""
        self._keys[layer, subject, "new" if is_new else "gone"][key] += count

    def differences(self) -> list[Difference]:
        """Return the differences, by layer and then in the order found."""
        layers = list(Layer)
        return [
            difference
            for layer in layers
            for difference in [
                *(_of_keys(*of, keys) for of, keys in self._keys.items() if of[0] is layer),
                *(_of_text(*of, places) for of, places in self._texts.items() if of[0] is layer),
            ]
        ]


def _of_keys(layer: Layer, subject: str, how: str, keys: Counter[str]) -> Difference:
    return Difference(layer, _keys_line(subject, how, keys), max(keys.values()), keys=tuple(keys))


def _of_text(layer: Layer, what: str, places: Sequence[str]) -> Difference:
    return Difference(layer, what, len(places), tuple(dict.fromkeys(place for place in places if place)))


def _keys_line(subject: str, how: str, keys: Counter[str]) -> str:
    """Return a line about keys; the count of those that are in fewer places than the others is named."""
    most = max(keys.values())
    named = [key if count == most else f"{key} ({count:,})" for key, count in keys.most_common(_NAMED_KEYS)]
    more = f" and {len(keys) - _NAMED_KEYS} more" if len(keys) > _NAMED_KEYS else ""
    word = "" if subject == ENDPOINTS else "key " if len(keys) == 1 else "keys "
    times = f" ({most:,} times)" if most > 1 else ""
    return f"{subject}: {how} {word}{', '.join(one_line(name) for name in named)}{more}{times}"


__all__ = ["ENDPOINTS", "Collector", "Difference", "Layer"]
