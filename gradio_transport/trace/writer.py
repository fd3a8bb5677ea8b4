# SPDX-License-Identifier: Apache-2.0
"""Writes traces: JSON lines, one frame each, as they come, so that a crash loses nothing before it."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterable, Mapping
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..calls.forking import register_after_fork
from ..protocol.frames import Direction, Frame, Kind
from .redaction import DESCRIPTION, LONGEST_HELD, Redactor, unwritable

logger = logging.getLogger(__name__)

FORMAT = "gradio-transport-trace"
FORMAT_VERSION = 1

META = "meta"
"""The kind of lines that speak of the trace. There may be several; what a later one says counts."""

_SHARED_BODY_BYTES = 2048
"""Bodies from this size on go to a file of their own, where a directory for them is given."""


class TraceWriter:
    """A tap that writes a trace file; also a context manager.

    It never raises into the program it watches: when the file cannot be written any more, it says so once
    to the log and stops.

    Args:
        path: The file; its directory must exist. An existing file is appended to.
        redact: Take secrets out (see `redact`). Turn off only for what never leaves your machine.
        secrets: Texts of your own to take out too.
        meta: What the meta line should say besides.
        bodies: Directory for large bodies of replies, each kept once under the hash of its content. For
            collections of traces that share their configs; it must be beside the trace when that is read.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        redact: bool = True,
        secrets: Iterable[str] = (),
        meta: Mapping[str, Any] | None = None,
        bodies: str | Path | None = None,
    ) -> None:
        self._file: FileIO | None = None
        self.path = Path(path)
        self._redactor = Redactor(secrets) if redact else None
        self._bodies = Path(bodies) if bodies is not None else None
        self._lock = threading.Lock()
        register_after_fork(self)
        self._start: float | None = None
        self._held: dict[tuple[int, str], bytes] = {}
        self._last = 0.0
        self._sessions: dict[int, int] = {}
        self._meta: dict[str, Any] = {}
        self._file = FileIO(self.path, "a")
        if _cut_short(self.path):
            self._file.write(b"\n")
        self._say(
            {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "redacted": list(DESCRIPTION) if redact else [],
                **(meta or {}),
            }
        )

    def reset_after_fork(self) -> None:
        """In a child of ``fork``: another thread may have held the lock."""
        self._lock = threading.Lock()

    def __call__(self, frame: Frame) -> None:
        """Write one frame."""
        with self._lock:
            if self._file is None:
                return
            try:
                self._take(frame)
            except Exception as error:  # noqa: BLE001 - whatever it is, the program that is watched goes on
                logger.warning("the trace %s ends here: %s", self.path, error)
                with contextlib.suppress(OSError):
                    self._file.close()
                self._file = None

    # --- frames --------------------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        if self._start is None:
            self._start = frame.t
        if frame.session and (frame.kind is Kind.SESSION or frame.session not in self._sessions):
            # Numbers count the sessions of a program; those of a trace count its own, so that traces compare.
            self._sessions[frame.session] = max(self._sessions.values(), default=0) + 1
        if frame.kind is Kind.CHUNK:
            self._chunk(frame)
            return
        self._release(frame)
        self._learn(frame)
        self._line(frame, self._payload(frame))

    def _chunk(self, frame: Frame) -> None:
        """Write a chunk, without an end that may be the beginning of a secret: that waits for the next."""
        key = frame.session, frame.channel
        data = self._held.pop(key, b"") + frame.payload["data"]
        if self._redactor is not None:
            length = self._redactor.unfinished(data)
            if 0 < length < LONGEST_HELD:
                self._held[key] = data[-length:]
                data = data[:-length]
        if data:
            self._line(frame, {"data": self._encoded(data)})

    def _release(self, frame: Frame) -> None:
        """Write what was held back of a stream, now that it is over."""
        held = self._held.pop((frame.session, frame.channel), b"")
        # Where this side drops a stream, the machine has acted on what came; the rest of a line says nothing.
        if held and frame.direction is Direction.IN:
            chunk = Frame(frame.t, Direction.IN, Kind.CHUNK, frame.channel, session=frame.session)
            self._line(chunk, {"data": self._encoded(held)})

    def _line(self, frame: Frame, payload: Mapping[str, Any]) -> None:
        self._last = round(frame.t - (self._start or 0.0), 6)
        line: dict[str, Any] = {
            "t": self._last,
            "dir": frame.direction.value,
            "kind": frame.kind.value,
        }
        if frame.channel:
            line["channel"] = frame.channel
        if frame.session:
            line["session"] = self._sessions[frame.session]
        self._write({**line, **payload})

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        text = _compact(line)
        try:
            data = text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can say and UTF-8 cannot
            data = _compact(line, ascii_only=True).encode()
        # One write for one line, and no buffer: after a crash all lines but the last are whole.
        data += b"\n"
        if self._file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # --- payloads ------------------------------------------------------------------------------------

    def _payload(self, frame: Frame) -> dict[str, Any]:
        payload = dict(frame.payload)
        headers = payload.pop("headers", None)
        body = payload.pop("body", None)
        if frame.kind is Kind.CALL and self._redactor is not None:
            payload = self._redactor.call(payload)
        elif frame.kind is Kind.WS_TEXT and self._redactor is not None:
            sent = frame.direction is Direction.OUT
            payload["text"] = (self._redactor.sent if sent else self._redactor.text)(payload["text"])
        elif self._redactor is not None:
            payload = self._redactor.value(payload)
        if headers is not None:
            payload["headers"] = self._redactor.headers(headers) if self._redactor else dict(headers)
        if body is not None:
            payload["body"] = self._body(frame, body)
        return payload

    def _body(self, frame: Frame, body: bytes) -> Any:
        if frame.direction is Direction.OUT and self._redactor is not None:
            return _text_or_base64(self._redactor.request_body(body, _content_type(frame.payload)))
        encoded = self._encoded(body)
        if self._bodies is None or len(body) < _SHARED_BODY_BYTES or not isinstance(encoded, str):
            return encoded
        content = encoded.encode()
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.body"
        self._bodies.mkdir(parents=True, exist_ok=True)
        (self._bodies / name).write_bytes(content)
        return {"file": f"{self._bodies.name}/{name}"}

    def _encoded(self, data: bytes) -> Any:
        return _text_or_base64(data if self._redactor is None else self._redactor.data(data))

    # --- what the trace is of ------------------------------------------------------------------------

    def _learn(self, frame: Frame) -> None:
        """Learn from a frame what the meta lines should say, and which session hash to replace."""
        if frame.kind is Kind.SESSION:
            if self._redactor is not None:
                self._redactor.learn_session(str(frame.payload["session_hash"]))
            self._say(
                {
                    "adapter": [*self._meta.get("adapter", ()), frame.payload["adapter"]],
                    "source": self._meta.get("source", frame.payload.get("source")),
                }
            )
        elif frame.kind is Kind.RESPONSE and frame.channel == "discover" and "gradio" not in self._meta:
            version = _gradio_version(frame.payload.get("body") or b"")
            if version is not None:
                self._say({"gradio": version})

    def _say(self, meta: Mapping[str, Any]) -> None:
        """Write a meta line of what is new."""
        values = dict(meta)
        if "adapter" in values:
            values["adapter"] = list(dict.fromkeys(values["adapter"]))
        if self._redactor is not None and isinstance(values.get("source"), str):
            values["source"] = self._redactor.text(values["source"])
        new = {key: value for key, value in values.items() if self._meta.get(key, ...) != value}
        self._meta |= new
        if new:
            self._write({"kind": META, **new})

    def close(self) -> None:
        """Write what is held back, and close the file. Idempotent."""
        with self._lock:
            if self._file is None:
                return
            try:
                for (session, channel), held in self._held.items():
                    line: dict[str, Any] = {"kind": Kind.CHUNK.value, "channel": channel}
                    if session:
                        line["session"] = self._sessions[session]
                    self._write({"t": self._last, "dir": "in", **line, "data": self._encoded(held)})
                self._file.close()
            except OSError as error:
                logger.warning("the trace %s lacks its end: %s", self.path, error)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # The writer that the environment asks for has nobody to close it.
        if self._file is not None:
            self.close()


def _compact(line: Mapping[str, Any], *, ascii_only: bool = False) -> str:
    return json.dumps(line, ensure_ascii=ascii_only, separators=(",", ":"), default=unwritable)


def _text_or_base64(data: bytes) -> Any:
    """Return bytes as text where they are text (a chunk may cut a character in two), else as base64."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _content_type(payload: Mapping[str, Any]) -> str:
    headers: Mapping[str, str] = payload.get("headers") or {}
    return next((value for name, value in headers.items() if name.lower() == "content-type"), "")


def _gradio_version(body: bytes) -> str | None:
    """Return the version that a config names, or None if the body is none or too old to say."""
    if body.lstrip()[:1] != b"{" or b'"version"' not in body:
        return None
    try:
        version = json.loads(body).get("version")
    except ValueError:
        return None
    return version.strip() if isinstance(version, str) else None


def _cut_short(path: Path) -> bool:
    """Return whether a file ends within a line."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
