# SPDX-License-Identifier: Apache-2.0
"""Reads traces back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import attrs

from ..errors import LocalProtocolError
from ..frames import Direction, Frame, Kind
from .writer import FORMAT, FORMAT_VERSION

_COMMON = ("t", "dir", "kind", "channel", "session")


class TraceError(LocalProtocolError):
    """A file is no trace, or one that this version cannot read; the message names the line."""


@attrs.frozen
class Trace:
    """A trace, read.

    Attributes:
        meta: What the meta line says.
        frames: In the order in which they crossed the line; ``t`` counts from the first.
        truncated: The file was cut in the middle of its last line; all before it is there.
    """

    meta: Mapping[str, Any]
    frames: Sequence[Frame] = attrs.field(repr=False)
    truncated: bool = False
    path: Path | None = None


def read_trace(path: str | Path) -> Trace:
    """Read a trace file.

    Raises:
        TraceError: It is none, or of a newer format, or damaged before its last line.
        OSError: It cannot be read.
    """
    path = Path(path)
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    meta: dict[str, Any] = {}
    frames: list[Frame] = []
    last = len(lines) - 1
    for number, line in enumerate(lines):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            if number == last and meta:
                return Trace(meta, frames, True, path)
            raise TraceError(f"Line {number + 1} of {path.name} is not JSON: {error}.") from None
        if not meta:
            meta = _meta(value, path)
        elif value.get("kind") == "meta":
            meta |= value
        else:
            frames.append(_frame(value, number + 1, path))
    if not meta:
        raise TraceError(f"{path.name} is empty: no trace was written.")
    return Trace(meta, frames, False, path)


def _meta(value: Any, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict) or cast("dict[str, Any]", value).get("format") != FORMAT:
        raise TraceError(f"{path.name} is no trace of gradio-transport: its first line does not say so.")
    meta = cast("dict[str, Any]", value)
    version = meta.get("version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise TraceError(
            f"{path.name} has format version {version!r}; this library reads up to {FORMAT_VERSION}. Update it."
        )
    return meta


def _frame(value: Any, number: int, path: Path) -> Frame:
    try:
        line = cast("dict[str, Any]", value)
        payload = {key: _decoded(key, one, path) for key, one in line.items() if key not in _COMMON}
        if line["kind"] == Kind.REQUEST.value:
            payload.setdefault("body", None)
        return Frame(
            float(line["t"]),
            Direction(line["dir"]),
            Kind(line["kind"]),
            str(line.get("channel", "")),
            payload,
            int(line.get("session", 0)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TraceError(f"Line {number} of {path.name} is no frame: {error!r}.") from None


def _decoded(key: str, value: Any, path: Path) -> Any:
    """Return a payload's field as the frame had it: bodies and chunks are bytes."""
    if key not in ("body", "data"):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict) and "base64" in value:
        return base64.b64decode(cast("dict[str, str]", value)["base64"])
    if isinstance(value, dict) and set(cast("dict[str, Any]", value)) == {"file"}:
        return _shared_body(cast("dict[str, str]", value)["file"], path)
    return value


def _shared_body(name: str, path: Path) -> bytes:
    if ".." in Path(name).parts or Path(name).is_absolute():
        raise ValueError(f"the body file {name!r} is outside the trace's directory")
    try:
        return (path.parent / name).read_bytes()
    except OSError as error:
        raise ValueError(f"the body file {name!r} cannot be read: {error}") from None
