# SPDX-License-Identifier: Apache-2.0
"""Pairing of what two traces have in common, by name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def pairs(
    before: Iterable[T], after: Iterable[T], name: Callable[[T], Hashable]
) -> Iterator[tuple[T | None, T | None]]:
    """Pair what has the same name and is the same one of that name, in the order of the older."""
    waiting: dict[Hashable, list[T]] = defaultdict(list)
    for one in after:
        waiting[name(one)].append(one)
    for others in waiting.values():
        others.reverse()
    for one in before:
        same = waiting.get(name(one))
        yield one, (same.pop() if same else None)
    for others in waiting.values():
        yield from ((None, one) for one in reversed(others))


__all__ = ["pairs"]
