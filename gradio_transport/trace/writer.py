# SPDX-License-Identifier: Apache-2.0
"""Writing of traces: a JSON line for each frame, at once, so that a crash loses no earlier frame."""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import json
import logging
import os
import platform
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from ..app.config_parsing import config_from_page
from ..calls.forking import register_after_fork
from ..engines.interruptions import is_foreign
from ..files.private import open_private, write_private
from ..protocol.frames import Direction, Frame, Kind
from .redaction import DESCRIPTION, Redactor, StreamRedactor, placeholder

logger = logging.getLogger(__name__)

FORMAT = "gradio-transport-trace"
FORMAT_VERSION = 1

META = "meta"
"""The kind of lines about the trace itself. There may be several; later values replace earlier ones."""

_SHARED_BODY_BYTES = 2048
"""Bodies from this size on are written to separate files, if `TraceWriter` has a directory for them."""


class TraceWriter:
    """A tap that writes a trace file; also a context manager.

    It never raises into the program that it records. If the file cannot be written any more, it logs a
    warning once and stops.

    Args:
        path: The file; its directory must exist. A new one is readable by this user alone. An existing file
            of this user is appended to, but not if it is a link.
        redact: Remove secrets. Turn off only for traces that never leave your machine.
        secrets: Further texts to remove.
        meta: More or other values for the meta line, such as ``recorder``.
        bodies: Directory for large bodies of replies, each stored once under the hash of its content. For
            collections of traces that share configs. Keep it next to the trace for reading.

    Raises:
        OSError: The file cannot be opened, or it is a link, not a regular file, or belongs to another user.
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
        self._make_lock()
        register_after_fork(self)
        self._start: float | None = None
        self._streams: dict[tuple[int, str], StreamRedactor] = {}
        self._last = 0.0
        self._sessions: dict[int, int] = {}
        self._meta: dict[str, Any] = {}
        self._file = open_private(self.path)
        if _ends_within_line(self._file):
            self._file.write(b"\n")
        self._write_meta(
            {
                "format": FORMAT,
                "version": FORMAT_VERSION,
                **_program(),
                "redacted": list(DESCRIPTION) if redact else [],
                **(meta or {}),
            }
        )

    def reset_after_fork(self) -> None:
        """Replace the lock in a child of ``fork``: another thread of the parent may have held it."""
        self._make_lock()

    def _make_lock(self) -> None:
        # Sessions call a tap from threads of their own. Reentrant, because a signal handler may interrupt the
        # writing of a frame; what it wants to write, or its close, waits until that is written.
        self._lock = threading.RLock()
        self._waiting: deque[Frame | None] = deque()
        self._is_writing = False

    def __call__(self, frame: Frame) -> None:
        """Write one frame."""
        self._add(frame)

    def _add(self, frame: Frame | None) -> None:
        """Write a frame, or close the file for None, in order."""
        with self._lock:
            self._waiting.append(frame)
            if self._is_writing:
                return
            self._is_writing = True
            try:
                while self._waiting:
                    self._write_next(self._waiting.popleft())
            finally:
                self._is_writing = False

    def _write_next(self, frame: Frame | None) -> None:
        if self._file is None:
            return
        if frame is None:
            self._close(self._file)
            return
        try:
            self._write_frame(frame)
        except Exception as error:
            if is_foreign(error):
                raise
            # A failure of the trace must not end the recorded program.
            logger.warning("the trace %s ends here: %s", self.path, error)
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    # --- frames --------------------------------------------------------------------------------------

    def _write_frame(self, frame: Frame) -> None:
        if self._start is None:
            self._start = frame.t
        if frame.session and (frame.kind is Kind.SESSION or frame.session not in self._sessions):
            # A program numbers all its sessions; a trace numbers its own from 1, so that traces compare.
            self._sessions[frame.session] = max(self._sessions.values(), default=0) + 1
        if self._redactor is not None and frame.secrets:
            self._redactor.know(frame.secrets)
        if frame.kind is Kind.CHUNK:
            self._write_chunk(frame)
            return
        self._flush(frame)
        self._note_meta(frame)
        self._write_line(frame, self._payload(frame))

    def _write_chunk(self, frame: Frame) -> None:
        """Write a chunk; a line that is not complete waits for the next one, because it may cut a secret."""
        data = frame.payload["data"]
        if self._redactor is not None:
            key = frame.session, frame.channel
            stream = self._streams.get(key)
            if stream is None:
                stream = self._streams[key] = StreamRedactor(self._redactor)
            data = stream.feed(data)
        if data:
            self._write_line(frame, {"data": _text_or_base64(data)})

    def _flush(self, frame: Frame) -> None:
        """Write what was held back of a stream, at its end."""
        stream = self._streams.pop((frame.session, frame.channel), None)
        # If the client drops the stream, the rest of a line has no effect.
        if stream is None or frame.direction is not Direction.IN:
            return
        held = stream.flush()
        if held:
            chunk = Frame(frame.t, Direction.IN, Kind.CHUNK, frame.channel, session=frame.session)
            self._write_line(chunk, {"data": _text_or_base64(held)})

    def _write_line(self, frame: Frame, payload: Mapping[str, Any]) -> None:
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
        self._append({**line, **payload})

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._file is None:
            return
        text = _compact(line)
        try:
            data = text.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape and UTF-8 cannot encode
            data = _compact(line, ascii_only=True).encode()
        # One unbuffered write for each line: after a crash all lines but the last are complete.
        data += b"\n"
        if self._file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    # --- payloads ------------------------------------------------------------------------------------

    def _payload(self, frame: Frame) -> dict[str, Any]:
        payload = dict(frame.payload)
        headers = payload.pop("headers", None)
        body = payload.pop("body", None)
        if frame.kind in (Kind.CALL, Kind.SEND) and self._redactor is not None:
            payload = self._redactor.call(payload)
        elif frame.kind is Kind.WS_TEXT and self._redactor is not None:
            outgoing = frame.direction is Direction.OUT
            payload["text"] = (self._redactor.request_text if outgoing else self._redactor.text)(
                payload["text"]
            )
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
        encoded = self._encode(body)
        if self._bodies is None or len(body) < _SHARED_BODY_BYTES or not isinstance(encoded, str):
            return encoded
        content = encoded.encode()
        name = f"{hashlib.sha256(content).hexdigest()[:16]}.body"
        self._bodies.mkdir(parents=True, exist_ok=True)
        write_private(self._bodies / name, content)
        return {"file": f"{self._bodies.name}/{name}"}

    def _encode(self, data: bytes) -> Any:
        return _text_or_base64(data if self._redactor is None else self._redactor.data(data))

    # --- meta lines ----------------------------------------------------------------------------------

    def _note_meta(self, frame: Frame) -> None:
        """Read the values of the meta lines, and the session hash to replace, from a frame."""
        if frame.direction is Direction.LOCAL and "engine" in frame.payload:
            self._write_meta({"engine": frame.payload["engine"]})
        if frame.kind is Kind.SESSION:
            if self._redactor is not None:
                self._redactor.add_session(str(frame.payload["session_hash"]))
            self._write_meta(
                {
                    "adapter": [*self._meta.get("adapter", ()), frame.payload["adapter"]],
                    "source": self._meta.get("source", frame.payload.get("source")),
                }
            )
        elif frame.kind is Kind.REQUEST and frame.channel.startswith("heartbeat"):
            # A browser opens the heartbeat of its session before its first call, which names the session.
            if self._redactor is not None:
                self._redactor.add_session(urlsplit(str(frame.payload["url"])).path.rpartition("/")[2])
        elif frame.kind is Kind.RESPONSE and frame.channel == "discover" and "gradio" not in self._meta:
            version = _gradio_version(frame.payload.get("body") or b"")
            if version is not None:
                self._write_meta({"gradio": version})

    def _write_meta(self, meta: Mapping[str, Any]) -> None:
        """Write a meta line with the values that are new."""
        values = dict(meta)
        if "adapter" in values:
            values["adapter"] = list(dict.fromkeys(values["adapter"]))
        if self._redactor is not None:
            values = self._redactor.value(values)
        new = {key: value for key, value in values.items() if self._meta.get(key, ...) != value}
        self._meta |= new
        if new:
            self._append({"kind": META, **new})

    def close(self) -> None:
        """Write what was held back, and close the file. Idempotent."""
        self._add(None)

    def _close(self, file: FileIO) -> None:
        try:
            for (session, channel), stream in self._streams.items():
                held = stream.flush()
                if not held:
                    continue
                line: dict[str, Any] = {"kind": Kind.CHUNK.value, "channel": channel}
                if session:
                    line["session"] = self._sessions[session]
                self._append({"t": self._last, "dir": "in", **line, "data": _text_or_base64(held)})
            file.close()
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
        # No other code closes the writer that GRADIO_TRANSPORT_TRACE creates.
        if self._file is not None:
            self.close()


def _program() -> dict[str, str]:
    """Return the program that writes the trace, and its environment."""
    try:
        library = f"gradio-transport {version('gradio-transport')}"
    except PackageNotFoundError:  # it runs from its sources
        library = "gradio-transport"
    return {
        "recorder": "library",
        "library": library,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
    }


def _compact(line: Mapping[str, Any], *, ascii_only: bool = False) -> str:
    return json.dumps(line, ensure_ascii=ascii_only, separators=(",", ":"), default=placeholder)


def _text_or_base64(data: bytes) -> Any:
    """Return bytes as text if they are valid UTF-8 (a chunk may end inside a character), else as base64."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode("ascii")}


def _content_type(payload: Mapping[str, Any]) -> str:
    headers: Mapping[str, str] = payload.get("headers") or {}
    return next((value for name, value in headers.items() if name.lower() == "content-type"), "")


def _gradio_version(body: bytes) -> str | None:
    """Return the version in a config, or in a page with one; None for other bodies, and if it names none."""
    if b'"version"' not in body:
        return None
    if body.lstrip()[:1] == b"{":
        try:
            config = json.loads(body)
        except (ValueError, RecursionError):
            return None
    else:
        config = config_from_page(body.decode("utf-8", "replace")) or {}
    version = config.get("version")
    return version.strip() if isinstance(version, str) else None


def _ends_within_line(file: FileIO) -> bool:
    """Return whether a file that is appended to ends within a line."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
