# SPDX-License-Identifier: Apache-2.0
"""Reads a trace that is still being written, as its bytes are found. Without I/O."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..protocol.frames import Frame
from .reader import LineReader


class TraceFollower:
    """Takes the bytes of a trace in any pieces, and returns the frames whose lines are complete.

    Args:
        name: Name of the file, for errors.
        folder: The directory that has the bodies beside the trace, if there is one.
    """

    def __init__(self, name: str, folder: Path | None = None) -> None:
        self._name = name
        self._folder = folder
        self.restart()

    def restart(self) -> None:
        """Begin anew, because the file was truncated or replaced."""
        self._reader = LineReader(self._name, self._folder)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun: list[str] = []

    @property
    def meta(self) -> Mapping[str, Any]:
        """The values of the meta lines so far."""
        return self._reader.meta

    @property
    def meta_lines(self) -> int:
        """How many meta lines there were, so that a change of `meta` shows."""
        return self._reader.meta_lines

    @property
    def within_line(self) -> bool:
        """Whether the last line is not complete yet."""
        return bool(self._begun)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take the next bytes, and yield the frames that they complete.

        Raises:
            TraceError: It is not a trace.
        """
        *lines, rest = self._decoder.decode(data).split("\n")
        for line in lines:
            # Joined when the line is complete: a line of 50 MB comes in a thousand pieces.
            whole = "".join((*self._begun, line))
            self._begun.clear()
            frame = self._reader.read(whole)
            if frame is not None:
                yield frame
        if rest:
            self._begun.append(rest)


__all__ = ["TraceFollower"]
