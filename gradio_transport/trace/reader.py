# SPDX-License-Identifier: Apache-2.0
"""Reading of trace files."""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import urlsplit

import attrs

from ..errors import LocalProtocolError
from ..protocol.commands import Ending
from ..protocol.frames import Direction, Frame, Kind
from .late_arguments import with_late_arguments
from .writer import FORMAT, FORMAT_VERSION, META

_SHARED_BODY = re.compile(r"[A-Za-z0-9_-][\w-]*/[0-9a-f]{16}\.body")

_COMMON = frozenset({"t", "dir", "kind", "channel", "session"})

_BYTES: Mapping[Kind, str] = {Kind.REQUEST: "body", Kind.RESPONSE: "body", Kind.CHUNK: "data"}
"""The payload field that is bytes."""


_FIELDS: Mapping[Kind, Mapping[str, type]] = {
    Kind.SESSION: {"adapter": str, "session_hash": str},
    Kind.CALL: {"data": object},
    Kind.SEND: {"data": object},
    Kind.REQUEST: {"method": str, "url": str},
    Kind.RESPONSE: {"status": int},
    Kind.RESPONSE_HEAD: {"status": int},
    Kind.END: {"ending": str},
    Kind.ERROR: {"error": str, "message": str},
    Kind.WS_OPEN: {"url": str},
    Kind.WS_TEXT: {"text": str},
}
"""Required fields of a frame, so that code that reads traces need not check."""


MAX_SECONDS = 1e9
"""The latest time in a trace."""


class TraceError(LocalProtocolError):
    """A file is not a trace, or this version cannot read it. The message names the line."""


def not_a_trace(name: str, why: str) -> TraceError:
    """Return the error for a file that is not a trace."""
    return TraceError(
        f"{name} is not a trace of gradio-transport: {why}. Pass a file written by TraceWriter or "
        "GRADIO_TRANSPORT_TRACE; for a HAR file see gradio-transport trace import."
    )


@attrs.frozen
class Trace:
    """A trace in memory.

    Attributes:
        meta: The values of the meta lines; later lines replace earlier values.
        frames: The frames, in order; ``t`` starts at the first.
        truncated: Whether the last line is incomplete. All lines before it are in `frames`.
        path: The file, if it was read from one.
    """

    meta: Mapping[str, Any]
    frames: Sequence[Frame] = attrs.field(repr=False)
    truncated: bool = False
    path: Path | None = None


def read_trace(source: str | os.PathLike[str] | IO[str]) -> Trace:
    """Read a trace.

    Args:
        source: Path of the file, or a file opened in text mode.

    Raises:
        TraceError: The file is not a trace, has a newer format, or is damaged before its last line.
        OSError: The file cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return _read(LineReader(path.name, path.parent), path.read_text("utf-8", errors="replace"), path)
    return _read(LineReader(str(getattr(source, "name", "the trace")), None), source.read(), None)


def _read(reader: LineReader, text: str, path: Path | None) -> Trace:
    frames: list[Frame] = []
    for line in text.split("\n"):
        frame = reader.read(line)
        if frame is not None:
            frames.append(frame)
    if not reader.meta:
        raise not_a_trace(reader.name, "it is empty")
    return Trace(reader.meta, with_late_arguments(tuple(frames)), reader.cut_off, path)


class LineReader:
    """A reader of a trace, line by line.

    Args:
        name: Name of the file, for errors.
        folder: The directory of body files next to the trace, if any.

    Attributes:
        name: Name of the file, for errors.
        meta: The values of the meta lines so far.
        meta_lines: Their number.
    """

    def __init__(self, name: str, folder: Path | None) -> None:
        self.name = name
        self.meta: dict[str, Any] = {}
        self.meta_lines = 0
        self._folder = folder
        self._shared: dict[str, bytes] = {}
        self._number = 0
        self._broken: TraceError | None = None
        self._was_cut_off = False
        self._sessions = 0
        self._session_offset = 0

    @property
    def cut_off(self) -> bool:
        """Whether a crash has cut off a line: the last one, or one before another trace."""
        return self._was_cut_off or self._broken is not None

    def read(self, line: str) -> Frame | None:
        """Process the next line, without its end, and return its frame, or None.

        Raises:
            TraceError: It is not a line of a trace, or the previous line was not.
        """
        self._number += 1
        if not line.strip():
            return None
        if self._broken is not None:
            # A crash cuts off a line, and the next trace is appended after it.
            if not _begins_trace(line):
                raise self._broken
            self._broken, self._was_cut_off = None, True
        try:
            value = json.loads(line)
        except RecursionError:
            raise self._error(self._number, "is nested too deeply") from None
        except ValueError as error:
            self._broken = self._error(self._number, f"is not JSON ({error})")
            if not self.meta:
                raise self._broken from None
            return None
        return self._read_line(self._number, value)

    def _error(self, number: int, what: str) -> TraceError:
        if number == 1:
            return not_a_trace(self.name, f"its line 1 {what}")
        return TraceError(f"Line {number} of {self.name} {what}. Record it again, or delete that line.")

    def _read_line(self, number: int, value: Any) -> Frame | None:
        if not isinstance(value, dict):
            raise self._error(number, "is not a JSON object")
        line = cast("dict[str, Any]", value)
        if not self.meta or "format" in line:
            self._read_header(number, line)
            return None
        if line.get("kind") == META:
            self._add_meta(line)
            return None
        return self._frame(number, line)

    def _add_meta(self, line: Mapping[str, Any]) -> None:
        self.meta.update({key: value for key, value in line.items() if key != "kind"})
        self.meta_lines += 1

    def _read_header(self, number: int, line: Mapping[str, Any]) -> None:
        """Read the first line of the trace, or of another trace appended to it.

        Each counts its sessions from 1, so those of a later trace are renumbered.
        """
        if line.get("format") != FORMAT:
            raise self._error(number, "does not name the format")
        version = line.get("version")
        if not isinstance(version, int) or version > FORMAT_VERSION:
            raise TraceError(
                f"{self.name} has format version {version!r} (line {number}); this library reads up to "
                f"{FORMAT_VERSION}. Update gradio-transport."
            )
        self._add_meta(line)
        self._session_offset = self._sessions

    def _frame(self, number: int, line: Mapping[str, Any]) -> Frame:
        try:
            kind = Kind(line["kind"])
            session = int(line.get("session", 0))
            frame = Frame(
                _time(line["t"]),
                Direction(line["dir"]),
                kind,
                str(line.get("channel", "")),
                self._payload(kind, line),
                session + self._session_offset if session else 0,
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise self._error(number, f"is not a frame of a trace ({error!r})") from None
        self._sessions = max(self._sessions, frame.session)
        return frame

    def _payload(self, kind: Kind, line: Mapping[str, Any]) -> dict[str, Any]:
        payload = {key: value for key, value in line.items() if key not in _COMMON}
        field = _BYTES.get(kind)
        if field is not None:
            payload[field] = self._bytes(payload.get(field))
        if field == "data" and payload["data"] is None:
            raise ValueError("a chunk without data")
        for name, wanted in _FIELDS.get(kind, {}).items():
            if name not in payload or not isinstance(payload[name], wanted):
                raise ValueError(f"{name!r} is missing or not of type {wanted.__name__}")
        headers: Any = payload.get("headers", {})
        if not isinstance(headers, dict) or not all(
            isinstance(value, str) for value in cast("dict[str, Any]", headers).values()
        ):
            raise ValueError("'headers' is not an object of strings")
        if "url" in payload:
            urlsplit(str(payload["url"]))  # raises for an invalid URL
        if kind is Kind.END:
            Ending(payload["ending"])
        return payload

    def _bytes(self, value: Any) -> bytes | None:
        match value:
            case None:
                return None
            case str():
                # A lone surrogate is not valid UTF-8, but the wire had these bytes.
                return value.encode("utf-8", "surrogatepass")
            case {"base64": str() as encoded}:
                return base64.b64decode(encoded, validate=True)
            case {"file": str() as name}:
                return self._shared_body(name)
            case _:
                raise ValueError(f"{type(value).__name__} where bytes should be")

    def _shared_body(self, name: str) -> bytes:
        """Return a body from a separate file, which is read once.

        Only file names of `TraceWriter` are accepted: a trace may come from a stranger, and must not name
        other files.
        """
        if self._folder is None:
            raise ValueError("a body in a separate file, which needs the path of the trace")
        if not _SHARED_BODY.fullmatch(name):
            raise ValueError(
                f"{name[:100]!r} is not the name of a body file, such as 'bodies/0123456789abcdef.body'"
            )
        if name not in self._shared:
            path = self._folder / name
            try:
                if path.is_symlink() or not path.is_file():
                    raise ValueError(f"the body file {name!r} does not exist, or is not a regular file")
                self._shared[name] = path.read_bytes()
            except OSError as error:
                raise ValueError(f"the body file {name!r} cannot be read: {error}") from None
        return self._shared[name]


def _time(value: Any) -> float:
    """Return a valid time of a trace. An invalid one would break the code that shows it."""
    seconds = float(value)
    if not -MAX_SECONDS < seconds < MAX_SECONDS:
        raise ValueError("'t' is not a time")
    return seconds


def _begins_trace(line: str) -> bool:
    return f'"format":"{FORMAT}"' in line
