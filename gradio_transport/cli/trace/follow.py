# SPDX-License-Identifier: Apache-2.0
"""Follow a trace file while it is written, as ``tail -F`` does."""

from __future__ import annotations

import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from ...trace.follow import TraceFollower
from ..failures import FileProblem
from .files import STANDARD_INPUT
from .live import LivePrinter

POLL_SECONDS = 0.2
"""Seconds between two reads of a file without new data."""

_PIECE = 256 * 1024


def follow(path: str, printer: LivePrinter) -> None:
    """Show a trace from its beginning, and then new frames, until Ctrl-C or the end of a pipe.

    Raises:
        TraceError: It is not a trace.
        FileProblem: It cannot be read.
    """
    is_pipe = path == STANDARD_INPUT
    name = "standard input" if is_pipe else Path(path).name
    follower = TraceFollower(name, None if is_pipe else Path(path).parent)
    try:
        for piece in _read_pipe() if is_pipe else _read_file(path, follower, printer):
            if piece:
                _feed(piece, follower, printer)
            else:
                printer.tick()
        if follower.within_line:
            printer.say("the trace ends within a line")
    except OSError as error:
        raise FileProblem(path, error.strerror or str(error)) from error
    finally:
        printer.close()


def _feed(piece: bytes, follower: TraceFollower, printer: LivePrinter) -> None:
    known = follower.meta_lines
    for frame in follower.feed(piece):
        if follower.meta_lines != known:
            known = follower.meta_lines
            printer.add_meta(follower.meta)
        printer(frame)


def _read_pipe() -> Iterator[bytes]:
    stream = cast("io.BufferedReader", sys.stdin.buffer)
    while piece := stream.read1(_PIECE):
        yield piece


def _read_file(path: str, follower: TraceFollower, printer: LivePrinter) -> Iterator[bytes]:
    """Yield the content of a file and what is appended; an empty piece for each read without new data."""
    file = open(path, "rb")  # noqa: SIM115 - another one may take its place
    try:
        missing = False
        while True:
            piece = file.read(_PIECE)
            if piece:
                yield piece
                continue
            change = _change(path, file)
            if change == "removed" and not missing:
                printer.say("the file was removed; waiting for another one")
            missing = change == "removed"
            if change in ("replaced", "truncated"):
                printer.say(f"the file was {change}; the following is from its beginning")
                file.close()
                file = open(path, "rb")  # noqa: SIM115
                follower.restart()
                printer.restart()
                continue
            yield b""
            time.sleep(POLL_SECONDS)
    finally:
        file.close()


def _change(path: str, file: BinaryIO) -> str:
    """Return how a file changed; an empty string if it is still the one being read."""
    here = os.fstat(file.fileno())
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return "removed"
    if (here.st_ino, here.st_dev) != (there.st_ino, there.st_dev):
        return "replaced"
    return "truncated" if there.st_size < file.tell() else ""


__all__ = ["follow"]
