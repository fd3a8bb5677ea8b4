# SPDX-License-Identifier: Apache-2.0
"""The part of a command that a replay must repeat, and the error for a difference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from ...errors import LocalProtocolError
from ...protocol.frames import Frame, Kind

_SHOWN_CHARACTERS = 300


@attrs.frozen
class Mismatch:
    """A command that differs from the recorded one.

    Attributes:
        frame: Number of the input frame after which it was sent, counted from 0.
        expected: The recorded command.
        actual: The command of the replay.
    """

    frame: int
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"after frame {self.frame}: expected {self.expected}, got {self.actual}"


class ReplayMismatch(LocalProtocolError):
    """A replay sent other commands than were recorded.

    Attributes:
        mismatches: All differences, in order. Later ones are often consequences of the first.
    """

    def __init__(self, message: str, *, mismatches: Sequence[Mismatch] = (), **context: Any) -> None:
        super().__init__(message, **context)
        self.mismatches = tuple(mismatches)


def signature(frame: Frame | None) -> tuple[Any, ...]:
    """Return the part of a command that must be equal.

    Without the host, because a trace of one server is compared with that of another. Of the headers only the
    content type, because most others are redacted.
    """
    if frame is None:
        return ()
    payload = frame.payload
    head = (frame.kind.value, frame.channel)
    if frame.kind is Kind.REQUEST:
        kind = payload.get("headers", {}).get("content-type", "")
        stream = "stream" if payload.get("stream") else ""
        body = payload.get("body")
        return (
            *head,
            payload["method"],
            *_target(payload),
            canonical_json(body) if body else "",
            kind,
            stream,
        )
    if frame.kind is Kind.WS_OPEN:
        return (*head, *_target(payload))
    if frame.kind is Kind.WS_TEXT:
        return (*head, canonical_json(str(payload["text"]).encode("utf-8", "surrogatepass")))
    return head


def _target(payload: Mapping[str, Any]) -> tuple[str, str]:
    parts = urlsplit(str(payload["url"]))
    return parts.path, parts.query


def canonical_json(body: bytes) -> str:
    """Return a body as text that is equal for equal JSON."""
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except (ValueError, RecursionError):
        return repr(body)


def summary(frame: Frame | None) -> str:
    """Return a command as a short text."""
    text = " ".join(str(part) for part in signature(frame) if part) or "no command"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


__all__ = ["Mismatch", "ReplayMismatch", "canonical_json", "signature", "summary"]
