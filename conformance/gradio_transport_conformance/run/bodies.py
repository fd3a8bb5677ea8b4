# SPDX-License-Identifier: Apache-2.0
"""Long texts that traces repeat, such as the config of an app: each is stored once in the results of a run.

A trace is split into parts: plain text, and references to bodies.  A body is a JSON string exactly as in the
trace, so that joining the parts restores the trace to the character.  Replies contain the address of the
server, which differs in each cell: a body has `ADDRESS` there, and the reference has the address.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias, cast

import attrs

ADDRESS = "\0"
"""Placeholder of the address in a body. JSON escapes this character, so no string of a trace contains it."""

SHORTEST = 256
"""The minimum length of a string that is stored as a body."""

MOST_RESTORED = 1_000_000_000
"""Most characters of all traces of a file: a small file with many references could fill the memory."""

_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_ADDRESS = re.compile(r"127\.0\.0\.1:\d{1,5}(?!\d)")

Part: TypeAlias = str | dict[str, Any]
"""A text, or ``{"body": number}``, where the body has an address with ``"at": "127.0.0.1:7860"`` too."""


@attrs.define
class BodyTable:
    """The bodies of the traces of a run, each once.

    Attributes:
        bodies: The bodies; references name their places.
    """

    bodies: list[str] = attrs.field(factory=list[str])
    _places: dict[str, int] = attrs.field(factory=dict[str, int])

    def fold(self, trace: str) -> list[Part]:
        """Return a trace in parts, with its long strings in the table."""
        parts: list[Part] = []
        end = 0
        for found in _STRING.finditer(trace):
            text = found.group()
            if len(text) < SHORTEST or ADDRESS in text:
                continue
            if found.start() > end:
                parts.append(trace[end : found.start()])
            parts.append(self._reference(text))
            end = found.end()
        if end < len(trace):
            parts.append(trace[end:])
        return parts

    def _reference(self, text: str) -> dict[str, Any]:
        addresses = set(_ADDRESS.findall(text))
        at = {"at": addresses.pop()} if len(addresses) == 1 else {}
        body = text.replace(at["at"], ADDRESS) if at else text
        place = self._places.setdefault(body, len(self.bodies))
        if place == len(self.bodies):
            self.bodies.append(body)
        return {"body": place, **at}


@attrs.define
class Unfolding:
    """Restores the traces of a file.

    Args:
        bodies: Its bodies, unchecked.
    """

    _bodies: Sequence[Any]
    _restored: int = 0

    def unfold(self, parts: Any) -> str:
        """Return the trace that was folded into parts.

        Raises:
            ValueError: A part is invalid, refers to an unknown body, or all traces are too long.
        """
        if not isinstance(parts, list):
            raise ValueError("a trace is not a list of parts")
        texts: list[str] = []
        for part in cast("list[Any]", parts):
            texts.append(part if isinstance(part, str) else self._body(part))
            self._restored += len(texts[-1])
            if self._restored > MOST_RESTORED:
                raise ValueError(f"its traffic has more than {MOST_RESTORED:,} characters")
        return "".join(texts)

    def _body(self, part: Any) -> str:
        fields = cast("dict[str, Any]", part) if isinstance(part, dict) else {}
        place, at = fields.get("body"), fields.get("at", "")
        if type(place) is not int or not 0 <= place < len(self._bodies) or not isinstance(at, str):
            raise ValueError("a part of a trace refers to a body that the file does not have")
        body = self._bodies[place]
        if not isinstance(body, str):
            raise ValueError("a body is not a string")
        if body.count(ADDRESS) * len(at) > MOST_RESTORED:
            raise ValueError(f"its traffic has more than {MOST_RESTORED:,} characters")
        return body.replace(ADDRESS, at)


__all__ = ["ADDRESS", "BodyTable", "Part", "Unfolding"]
