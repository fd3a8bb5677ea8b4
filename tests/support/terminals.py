# SPDX-License-Identifier: Apache-2.0
"""The command line in a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import termios

from forking import MAIN, start


def in_a_terminal(*words: str, columns: int = 80) -> tuple[int, str]:
    """Run the command with stdout and stderr in one terminal; return its status and all that was drawn."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}
    environment["TERM"] = "xterm-256color"
    process = start(MAIN, *words, environment=environment, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    drawn = bytearray()
    with contextlib.suppress(OSError):  # Linux ends a terminal whose other side is closed with an error
        while chunk := os.read(master, 65536):
            drawn += chunk
    os.close(master)
    return process.wait(), drawn.decode()


def without_escapes(drawn: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
