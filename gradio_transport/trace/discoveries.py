# SPDX-License-Identifier: Apache-2.0
"""The discoveries of a trace, run against their recorded replies."""

from __future__ import annotations

import json
from collections.abc import Generator
from functools import lru_cache

import attrs

from ..app.handshake import Discovery, discover
from ..errors import GradioTransportError
from ..protocol.commands import Response, SendRequest
from ..protocol.frames import Frame, Kind
from .mismatch import Mismatch
from .reader import Trace, TraceError
from .redaction import REDACTED

DISCOVERY_CHANNELS = frozenset({"discover", "login"})
"""Channels of the discovery; what else belongs to no session are uploads, files and heartbeats."""

_KEPT_DISCOVERIES = 32
"""Some megabytes each. The traces of one server come together, so few are needed at a time."""

_PASSING = frozenset({"date", "content-length"})
"""Headers that the discovery does not look at, and that differ each time."""


class Discoveries:
    """What the discoveries of a trace found, and when: a program may discover an app again."""

    def __init__(self, trace: Trace) -> None:
        numbered = [
            (number, frame)
            for number, frame in enumerate(trace.frames)
            if frame.session == 0 and frame.channel in DISCOVERY_CHANNELS
        ]
        logs_in = any(frame.channel == "login" for _, frame in numbered)
        self._found = _discovered(tuple(_Heard(frame) for _, frame in numbered), logs_in)
        self._numbers = [number for number, _ in numbered]
        self.refusals = list(self._found.refusals)
        self.mismatches = [
            attrs.evolve(one, frame=self._numbers[one.frame]) for one in self._found.mismatches
        ]

    def of(self, source: str, before: int) -> Discovery:
        """Return what the newest discovery of an app before a frame found."""
        for place, discovery in reversed(self._found.discoveries):
            if discovery.urls.base == source and self._numbers[place] < before:
                return discovery
        raise TraceError(
            f"The trace has a session with {source!r}, but not its discovery; it cannot be replayed."
        )


class _Heard:
    """A frame of a discovery, equal to others that say the same: the traces of one server share a config.

    To parse that is most of what a replay costs.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        payload = frame.payload
        headers = {name: one for name, one in payload.get("headers", {}).items() if name not in _PASSING}
        said = {key: value for key, value in payload.items() if key not in ("headers", "body")}
        self._key = frame.kind, json.dumps([said, headers], sort_keys=True), payload.get("body")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Heard) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@attrs.frozen
class _Found:
    """What came of the discoveries of a trace; places are those among its frames of discoveries."""

    discoveries: list[tuple[int, Discovery]]
    refusals: list[GradioTransportError]
    mismatches: list[Mismatch]


@lru_cache(maxsize=_KEPT_DISCOVERIES)
def _discovered(heard: tuple[_Heard, ...], logs_in: bool) -> _Found:
    """Run discoveries against their recorded replies."""
    auth = (REDACTED, REDACTED) if logs_in else None
    found = _Found([], [], [])
    sequence: Generator[SendRequest, Response, Discovery] | None = None
    wanted: SendRequest | None = None
    for place, frame in enumerate(one.frame for one in heard):
        if frame.kind is Kind.REQUEST:
            url = str(frame.payload["url"])
            if wanted is None or (wanted.request.url != url and url.endswith("/config")):
                sequence = discover(url.removesuffix("/config"), auth)
                wanted = next(sequence)
            if wanted.request.url != url:
                expected = f"{wanted.request.method} {wanted.request.url}"
                found.mismatches.append(Mismatch(place, f"{frame.payload['method']} {url}", expected))
        elif frame.kind is Kind.RESPONSE and sequence is not None:
            try:
                wanted = sequence.send(response_of(frame))
            except StopIteration as stop:
                found.discoveries.append((place, stop.value))
                wanted = sequence = None
            except GradioTransportError as error:
                found.refusals.append(error)
                wanted = sequence = None
    return found


def response_of(frame: Frame) -> Response:
    """Return the reply that a frame holds."""
    payload = frame.payload
    return Response(
        status=payload["status"],
        headers=payload.get("headers", {}),
        body=payload.get("body") or b"",
        url=str(payload.get("url", "")),
    )


__all__ = ["Discoveries", "response_of"]
