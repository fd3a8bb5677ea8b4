# SPDX-License-Identifier: Apache-2.0
"""The discoveries of a trace, run against their recorded replies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

import attrs

from ...adapter.contract import Adapter, DiscoveryContext
from ...adapter.registry import Registry, default_registry
from ...app.handshake import Discovery, Handshake, discover
from ...errors import GradioTransportError
from ...protocol.commands import Response, SendRequest
from ...protocol.frames import Direction, Frame, Kind
from ...protocol.known_secrets import REDACTED
from ..adapters import is_gradio_adapter
from ..reader import Trace, TraceError
from .mismatch import Mismatch
from .steps import recorded_error

DISCOVERY_CHANNELS = frozenset({"discover", "login"})
"""Channels of the discovery. Other frames without a session are uploads, files and heartbeats."""

_KEPT_DISCOVERIES = 32
"""Some megabytes each. The traces of one server come together, so few are needed at a time."""

_IGNORED_HEADERS = frozenset({"date", "content-length"})
"""Headers that the discovery does not read, and that differ each time."""


class Discoveries:
    """The results of a trace's discoveries, by position: a program may discover an app more than once."""

    def __init__(self, trace: Trace, registry: Registry = default_registry) -> None:
        numbered = [
            (number, frame)
            for number, frame in enumerate(trace.frames)
            if frame.session == 0 and frame.channel in DISCOVERY_CHANNELS and not frame.retried
        ]
        logs_in = any(frame.channel == "login" for _, frame in numbered)
        self._results = _run_discoveries(
            tuple(_DiscoveryFrame(frame) for _, frame in numbered),
            logs_in,
            tuple(dict.fromkeys(_own_discoveries(trace, registry))),
        )
        self._numbers = [number for number, _ in numbered]
        self.refusals = list(self._results.refusals)
        self.mismatches = [
            attrs.evolve(mismatch, frame=self._numbers[mismatch.frame])
            for mismatch in self._results.mismatches
        ]

    @property
    def found(self) -> list[Discovery]:
        """The results of the discoveries that succeeded, in order."""
        return [discovery for _, discovery in self._results.discoveries]

    def find(self, source: str, before: int) -> Discovery:
        """Return the result of the newest discovery of an app before a frame."""
        for place, discovery in reversed(self._results.discoveries):
            if discovery.urls.base == source and self._numbers[place] < before:
                return discovery
        raise TraceError(
            f"The trace has a session with {source!r}, but not its discovery, so it cannot be replayed."
        )


class _DiscoveryFrame:
    """A frame of a discovery, equal to frames with the same content.

    Equality makes it a cache key: the traces of one server share a config, and parsing that is most of the
    cost of a replay.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        payload = frame.payload
        received = payload.get("headers", {}).items()
        headers = {name: value for name, value in received if name not in _IGNORED_HEADERS}
        fields = {key: value for key, value in payload.items() if key not in ("headers", "body")}
        self._key = frame.kind, json.dumps([fields, headers], sort_keys=True), payload.get("body")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _DiscoveryFrame) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@attrs.frozen
class _Results:
    """The results of a trace's discoveries. Positions count the frames of discoveries only."""

    discoveries: list[tuple[int, Discovery]]
    refusals: list[GradioTransportError]
    mismatches: list[Mismatch]


@attrs.frozen
class _OwnDiscovery:
    """The discovery of an adapter whose servers are not Gradio apps; hashable, as a part of a cache's key."""

    adapter: Adapter = attrs.field(eq=id)
    base: str
    settings: str

    def begin(self) -> Handshake:
        settings = cast("Mapping[str, Any]", json.loads(self.settings))
        return self.adapter.discover(DiscoveryContext(base=self.base, settings=settings))


def _own_discoveries(trace: Trace, registry: Registry) -> Iterator[_OwnDiscovery]:
    """Yield those that the frames of sessions, and of discoveries that failed, name."""
    for frame in trace.frames:
        name = frame.payload.get("adapter") if frame.direction is Direction.LOCAL else None
        if not isinstance(name, str) or is_gradio_adapter(name, registry):
            continue
        given = frame.payload.get("settings")
        settings = json.dumps(given if isinstance(given, dict) else {}, sort_keys=True)
        yield _OwnDiscovery(registry.get(name), str(frame.payload.get("source", "")), settings)


def _begin_discovery(
    url: str, auth: tuple[str, str] | None, own: tuple[_OwnDiscovery, ...], *, under_way: bool
) -> Handshake | None:
    """Return the discovery that begins with a request for a URL; None if none does."""
    other = next((one for one in own if url.startswith(f"{one.base}/")), None)
    if other is not None:
        return None if under_way else other.begin()
    return discover(url.removesuffix("/config"), auth) if url.endswith("/config") else None


@lru_cache(maxsize=_KEPT_DISCOVERIES)
def _run_discoveries(
    frames: tuple[_DiscoveryFrame, ...], logs_in: bool, own: tuple[_OwnDiscovery, ...]
) -> _Results:
    """Run discoveries against their recorded replies."""
    auth = (REDACTED, REDACTED) if logs_in else None
    results = _Results([], [], [])
    sequence: Handshake | None = None
    wanted: SendRequest | None = None
    for place, frame in enumerate(numbered.frame for numbered in frames):
        if frame.kind is Kind.REQUEST:
            url = str(frame.payload["url"])
            if wanted is None or wanted.request.url != url:
                begun = _begin_discovery(url, auth, own, under_way=wanted is not None)
                if begun is not None:
                    try:
                        sequence, wanted = begun, next(begun)
                    except GradioTransportError as refusal:  # the settings are not those of today
                        results.refusals.append(refusal)
            if wanted is None:  # a login that was renewed for a call
                continue
            if wanted.request.url != url:
                expected = f"{wanted.request.method} {wanted.request.url}"
                results.mismatches.append(Mismatch(place, f"{frame.payload['method']} {url}", expected))
        elif frame.direction is Direction.LOCAL:  # the discovery failed, and this is why
            error = recorded_error(frame)
            if not results.refusals or type(results.refusals[-1]) is not type(error):
                results.refusals.append(error)
            wanted = sequence = None
        elif frame.kind in (Kind.RESPONSE, Kind.ERROR) and sequence is not None:
            try:
                if frame.kind is Kind.RESPONSE:
                    wanted = sequence.send(recorded_response(frame))
                else:
                    wanted = sequence.throw(recorded_error(frame))
            except StopIteration as stop:
                results.discoveries.append((place, stop.value))
                wanted = sequence = None
            except GradioTransportError as error:
                results.refusals.append(error)
                wanted = sequence = None
    return results


def recorded_response(frame: Frame) -> Response:
    """Return the reply in a frame."""
    payload = frame.payload
    return Response(
        status=payload["status"],
        headers=payload.get("headers", {}),
        body=payload.get("body") or b"",
        url=str(payload.get("url", "")),
    )


__all__ = ["Discoveries", "recorded_response"]
