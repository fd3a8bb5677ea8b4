# SPDX-License-Identifier: Apache-2.0
"""Writes traces: JSON lines, one frame each, flushed as they come, so that a crash loses nothing before it."""

from __future__ import annotations

import base64
import codecs
import hashlib
import itertools
import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from ..frames import Direction, Frame, Kind, Tap
from .redact import DESCRIPTION, Redactor, request_body

logger = logging.getLogger(__name__)

FORMAT = "gradio-transport-trace"
FORMAT_VERSION = 1

ENVIRONMENT_VARIABLE = "GRADIO_TRANSPORT_TRACE"
"""Names a directory: any program that uses the library then writes its traffic there."""

_SHARED_BODY_BYTES = 2048
"""Bodies from this size on go to a file of their own, where a directory for them is given."""

_numbers = itertools.count(1)


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
        self.path = Path(path)
        self._redactor = Redactor(secrets) if redact else None
        self._bodies = Path(bodies) if bodies is not None else None
        self._lock = threading.Lock()
        self._start: float | None = None
        self._held: dict[tuple[int, str], _Held] = {}
        self._file: TextIO | None = self.path.open("a", encoding="utf-8", newline="\n")
        self._write(
            {
                "kind": "meta",
                "format": FORMAT,
                "version": FORMAT_VERSION,
                "redacted": list(DESCRIPTION) if redact else [],
                **(meta or {}),
            }
        )

    def __call__(self, frame: Frame) -> None:
        """Write one frame."""
        with self._lock:
            if self._file is None:
                return
            if self._start is None:
                self._start = frame.t
            try:
                self._frame(frame)
            except (OSError, ValueError, TypeError) as error:
                logger.warning("the trace %s ends here: %s", self.path, error)
                self._file = None

    def _frame(self, frame: Frame) -> None:
        key = frame.session, frame.channel
        if frame.kind is Kind.CHUNK:
            data = self._with_held(key, frame.payload["data"])
            if data:
                self._line(frame, {"data": data})
            return
        held = self._held.pop(key, None)
        if held is not None and held.data:
            self._line(held.frame(frame), {"data": _encoded(held.data, self._redactor)})
        if frame.kind is Kind.SESSION and self._redactor is not None:
            self._redactor.learn_session(frame.payload["session_hash"])
        self._line(frame, self._payload(frame))

    def _with_held(self, key: tuple[int, str], data: bytes) -> Any:
        """Join a chunk to what was held back of the last, and hold back what must not be torn.

        That is a character cut in two, and what may be the beginning of a secret.
        """
        held = self._held.pop(key, None)
        if held is not None:
            data = held.data + data
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            text = decoder.decode(data)
        except UnicodeDecodeError:
            return _encoded(data, self._redactor)
        keep = decoder.getstate()[0]
        if self._redactor is not None:
            length = self._redactor.tail(text)
            if length:
                keep = text[-length:].encode() + keep
                text = text[:-length]
            text = self._redactor.text(text)
        if keep:
            self._held[key] = _Held(keep)
        return text

    def _line(self, frame: Frame, payload: Mapping[str, Any]) -> None:
        line: dict[str, Any] = {
            "t": round(frame.t - (self._start or 0.0), 6),
            "dir": frame.direction.value,
            "kind": frame.kind.value,
        }
        if frame.channel:
            line["channel"] = frame.channel
        if frame.session:
            line["session"] = frame.session
        self._write({**line, **payload})

    def _write(self, line: Mapping[str, Any]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            self._file.flush()

    def _payload(self, frame: Frame) -> dict[str, Any]:
        payload = dict(frame.payload)
        redactor = self._redactor
        if "headers" in payload and redactor is not None:
            payload["headers"] = redactor.headers(payload["headers"])
        if isinstance(payload.get("body"), bytes):
            payload["body"] = self._body(frame, payload["body"])
        for key, value in payload.items():
            if redactor is not None and key not in ("headers", "body"):
                payload[key] = redactor.value(value)
        if payload.get("body", ...) is None:
            del payload["body"]
        return payload

    def _body(self, frame: Frame, body: bytes) -> Any:
        if frame.direction is Direction.OUT and self._redactor is not None:
            kind = frame.payload["headers"].get("content-type", "")
            written = request_body(body, kind)
            if isinstance(written, str):
                return written
        encoded = _encoded(body, self._redactor)
        if self._bodies is None or len(body) < _SHARED_BODY_BYTES or not isinstance(encoded, str):
            return encoded
        content = encoded.encode()
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.body"
        self._bodies.mkdir(parents=True, exist_ok=True)
        (self._bodies / name).write_bytes(content)
        return {"file": f"{self._bodies.name}/{name}"}

    def close(self) -> None:
        """Write what is held back, and close the file. Idempotent."""
        with self._lock:
            file, self._file = self._file, None
            if file is not None:
                file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Held:
    """Bytes of a stream that wait for the next chunk."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def frame(self, following: Frame) -> Frame:
        """Return the chunk frame for them, at the time of what follows."""
        return Frame(
            following.t, Direction.IN, Kind.CHUNK, following.channel, {"data": self.data}, following.session
        )


def _encoded(data: bytes, redactor: Redactor | None) -> Any:
    """Return bytes as text where they are text, else as base64."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}
    return text if redactor is None else redactor.text(text)


def environment_tap() -> Tap | None:
    """Return a writer to a fresh file in the directory that the environment names, or None."""
    directory = os.environ.get(ENVIRONMENT_VARIABLE)
    if not directory:
        return None
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(_numbers)}.jsonl"
    try:
        Path(directory).mkdir(parents=True, exist_ok=True)
        return TraceWriter(Path(directory) / name)
    except OSError as error:
        logger.warning("no trace is written to %s: %s", directory, error)
        return None
