# SPDX-License-Identifier: Apache-2.0
"""What must be equal when a machine says again what it said, and the name of a difference."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import attrs

from ..errors import LocalProtocolError
from ..protocol.frames import Frame, Kind

_SHOWN_CHARACTERS = 300


@attrs.frozen
class Mismatch:
    """Where a machine did something else than was recorded.

    Attributes:
        frame: Number of the input frame after which it happened, counted from 0.
        expected: What the trace has there.
        actual: What the machine said.
    """

    frame: int
    expected: str
    actual: str

    def __str__(self) -> str:
        return f"after frame {self.frame}: expected {self.expected}, got {self.actual}"


class ReplayMismatch(LocalProtocolError):
    """The machines did not do what was recorded.

    Attributes:
        mismatches: Each place, in order; the first is the one to look at.
    """

    def __init__(self, message: str, *, mismatches: Sequence[Mismatch] = (), **context: Any) -> None:
        super().__init__(message, **context)
        self.mismatches = tuple(mismatches)


def signature(frame: Frame | None) -> tuple[Any, ...]:
    """Return what must be equal of a command: of the headers only the content type, of the URL no host."""
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
    """Return a body so that equal JSON is equal text."""
    try:
        return json.dumps(json.loads(body), sort_keys=True)
    except ValueError:
        return repr(body)


def shown(frame: Frame | None) -> str:
    """Return a command as people read it."""
    text = " ".join(str(part) for part in signature(frame) if part) or "no command"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


__all__ = ["Mismatch", "ReplayMismatch", "canonical_json", "shown", "signature"]
