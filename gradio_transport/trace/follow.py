# SPDX-License-Identifier: Apache-2.0
"""Incremental reading of a trace that is still being written. Without I/O."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..protocol.frames import Frame
from .reader import LineReader


class TraceFollower:
    """A reader that takes the bytes of a trace in any pieces, and yields the frames of complete lines.

    Args:
        name: Name of the file, for errors.
        folder: The directory of body files next to the trace, if any.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._name = name
        self._folder = folder
        self.restart()

    def restart(self) -> None:
        """Start again, because the file was truncated or replaced."""
        self._reader = LineReader(self._name, self._folder)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun: list[str] = []

    @property
    def meta(self) -> Mapping[str, Any]:
        """The values of the meta lines so far."""
        return self._reader.meta

    @property
    def meta_lines(self) -> int:
        """The number of meta lines, to detect a change of `meta`."""
        return self._reader.meta_lines

    @property
    def within_line(self) -> bool:
        """Whether the last line is not complete yet."""
        return bool(self._begun)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Process the next bytes, and yield the frames that they complete.

        Raises:
            TraceError: It is not a trace.
        """
        *lines, rest = self._decoder.decode(data).split("\n")
        for line in lines:
            # Joined when the line is complete, because a line of 50 MB arrives in a thousand pieces.
            whole = "".join((*self._begun, line))
            self._begun.clear()
            frame = self._reader.read(whole)
            if frame is not None:
                yield frame
        if rest:
            self._begun.append(rest)


__all__ = ["TraceFollower"]
