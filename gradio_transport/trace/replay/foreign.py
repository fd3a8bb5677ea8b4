# SPDX-License-Identifier: Apache-2.0
"""Replay of other clients' traces: the same calls, made in another way.

A browser, gradio_client or curl sends other headers than this library, opens streams at other moments, and
names what this library leaves out. So their commands are not compared with ours one by one, but channel by
channel, and of each only what makes it the same call: the function, its arguments and the session.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast
from urllib.parse import parse_qsl, urlsplit

from ...app.config import JSONObject
from ...app.config_parsing import (
    config_from_page,
    is_config,
    parse_outline,
    requires_login,
    with_endpoints,
)
from ...app.handshake import Discovery
from ...errors import GradioTransportError
from ...protocol.frames import Frame, Kind
from ...protocol.json import decode_json
from ...protocol.urls import AppURLs
from ..reader import Trace, TraceError
from .mismatch import Mismatch, summary

FOREIGN_RECORDERS = frozenset({"proxy", "har"})
"""Values of ``recorder`` in the meta line of traces that hold the traffic of other clients."""

_OPTIONAL = frozenset({"stream", "cancel", "reset", "status"})
"""Channels on which a client may send more than this library: it polls once more, cancels what is over."""

_COMPARED = ("data", "fn_index", "session_hash", "event_data", "trigger_id", "hash")
"""Fields that must be equal where both sides send them. ``null`` counts as not sent."""


def is_foreign_traffic(trace: Trace) -> bool:
    """Return whether a trace holds the traffic of another client than this library."""
    return trace.meta.get("recorder") in FOREIGN_RECORDERS


class ForeignCommands:
    """The commands of one session: those that were recorded, and those that its machine would send."""

    def __init__(self) -> None:
        self._recorded: dict[tuple[str, Kind], deque[tuple[int, Frame]]] = {}
        self._made: dict[tuple[str, Kind], deque[Frame]] = {}

    def compare(self, number: int, recorded: list[Frame], made: list[Frame]) -> Mismatch | None:
        """Process further commands, and return the first difference, or None."""
        for frame in recorded:
            if frame.kind in (Kind.REQUEST, Kind.WS_OPEN, Kind.WS_TEXT):
                self._recorded.setdefault((frame.channel, frame.kind), deque()).append((number, frame))
        for frame in made:
            self._made.setdefault((frame.channel, frame.kind), deque()).append(frame)
        for frame in (*recorded, *made):
            mismatch = self._pair((frame.channel, frame.kind))
            if mismatch is not None:
                return mismatch
        return None

    def _pair(self, place: tuple[str, Kind]) -> Mismatch | None:
        recorded, made = self._recorded.get(place), self._made.get(place)
        while recorded and made:
            (number, wanted), got = recorded.popleft(), made.popleft()
            if not _is_same_call(wanted, got):
                return Mismatch(number, summary(wanted), summary(got))
        return None

    def surplus(self) -> list[Mismatch]:
        """Return what the client sent and this library would not, for the end of a replay.

        Why not the reverse: a client may leave at any time, or not want the rest of a call.
        """
        return [
            Mismatch(number, summary(frame), "no command")
            for (channel, _), rest in self._recorded.items()
            if channel.rpartition(".")[2] not in _OPTIONAL
            for number, frame in rest
        ]


def _is_same_call(wanted: Frame, got: Frame) -> bool:
    """Return whether two commands on one channel say the same of the call."""
    if wanted.kind is Kind.WS_OPEN:
        return True
    first, second = _fields(wanted), _fields(got)
    if first is None or second is None:
        return first is second
    key = wanted.channel.partition(".")[0]
    if "data" in first and "data" not in second:
        return False
    for name in _COMPARED if "data" in second or "hash" in second else (*_COMPARED, *first):
        left, right = first.get(name), second.get(name)
        if left is None or right is None:
            continue
        # A generator may get a separate session here, see `SocketExchange.keep_apart`.
        is_apart = name == "session_hash" and right == f"{left}-{key}"
        if not is_apart and not _equal(left, right):
            return False
    return True


def _equal(left: Any, right: Any) -> bool:
    # As text: NaN, which Gradio 3.x sends, differs from itself.
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _fields(frame: Frame) -> Mapping[str, Any] | None:
    """Return what a command says: its JSON object, or the parameters of its URL; None for other bodies."""
    text: Any = frame.payload.get("body" if frame.kind is Kind.REQUEST else "text")
    if not text:
        query = dict(parse_qsl(urlsplit(str(frame.payload.get("url", ""))).query))
        return {
            name: int(value) if name == "fn_index" and value.isdecimal() else value
            for name, value in query.items()
        }
    try:
        value = decode_json(text)
    except ValueError:
        return None
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


class ForeignDiscoveries:
    """The app's config, from the replies that the client happened to request.

    The interface is that of `Discoveries`.
    """

    def __init__(self, trace: Trace) -> None:
        self.refusals: list[GradioTransportError] = []
        self.mismatches: list[Mismatch] = []
        self._configs: list[tuple[int, bytes]] = []
        self._infos: list[tuple[int, bytes]] = []
        for number, frame in enumerate(trace.frames):
            if frame.session or frame.channel != "discover" or frame.kind is not Kind.RESPONSE:
                continue
            body = frame.payload.get("body") or b""
            if frame.payload.get("status") == 200 and not frame.retried:
                is_info = _path(frame).endswith("/info")
                (self._infos if is_info else self._configs).append((number, body))

    def find(self, source: str, before: int) -> Discovery:
        """Return what the app had said before a frame; failing that, what it said first."""
        info = _nearest(self._infos, before)
        for _, body in _by_nearness(self._configs, before):
            found = _discovery(source, body, info)
            if found is not None:
                return found
        raise TraceError(
            f"The trace has a session with {source!r}, but not the app's config; it cannot be replayed. "
            "Record from the loading of the page on, or from the connecting of the client."
        )


def _path(frame: Frame) -> str:
    return urlsplit(str(frame.payload.get("url", ""))).path.rstrip("/")


def _by_nearness(found: list[tuple[int, bytes]], before: int) -> list[tuple[int, bytes]]:
    """Return replies: those before a frame, the newest first, then those after it."""
    earlier = [one for one in found if one[0] < before]
    return [*reversed(earlier), *found[len(earlier) :]]


def _nearest(found: list[tuple[int, bytes]], before: int) -> bytes | None:
    ordered = _by_nearness(found, before)
    return ordered[0][1] if ordered else None


@lru_cache(maxsize=32)
def _discovery(source: str, body: bytes, info_body: bytes | None) -> Discovery | None:
    raw = _object(body)
    if not is_config(raw):
        raw = config_from_page(body.decode("utf-8", "replace")) or {}
    if not is_config(raw) or requires_login(raw):
        return None
    try:
        config = with_endpoints(parse_outline(raw), _object(info_body or b"") or None)
    except GradioTransportError:
        return None
    return Discovery(config, AppURLs(source, config.api_prefix, config.root))


def _object(body: bytes) -> JSONObject:
    try:
        value: object = decode_json(body) if body[:1] == b"{" else None
    except ValueError:
        return {}
    return cast("JSONObject", value) if isinstance(value, dict) else {}


__all__ = ["FOREIGN_RECORDERS", "ForeignCommands", "ForeignDiscoveries", "is_foreign_traffic"]
