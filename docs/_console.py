# SPDX-License-Identifier: Apache-2.0
"""Writes the output of commands into pages: each ``console`` block that begins with ``$ gradio-transport``.

    python docs/_console.py docs/debugging.md docs/debugging/trace.md

A block is run in a copy of the folder of the page's recordings, in a terminal of 100 columns.
``http://127.0.0.1:7860`` stands for a server that replays one of the recordings, or, for the tutorial, those
of a Gradio version. A test checks that every block is current.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from gradio_transport_conformance import reenact
from gradio_transport_conformance.replay.server import serve

COLUMNS = 100

BLOCK = re.compile(r"```console\n\$ (gradio-transport [^\n]*)\n(.*?)```", re.DOTALL)
_ERASED = re.compile(r"[^\n]*\n[^\n]*\x1b\[1A\x1b\[2K|[^\n]*\x1b\[2K")
"""What a status showed before the terminal was told to erase its line, or the line above."""

_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


SERVER = "http://127.0.0.1:7860"
SERVED = "changed-6.31.jsonl"
VERSIONS = {"tutorial": "6.31.0"}
"""Pages whose server replays all recordings of a version."""


def output(command: str, page: Path) -> str:
    """Return what a command of ours prints to a terminal, without colours, and its exit status if not 0."""
    with tempfile.TemporaryDirectory() as copied:  # a command may write files
        copy = Path(copied)
        if page.stem not in VERSIONS:
            shutil.copytree(recordings(page), copy, dirs_exist_ok=True)
        if SERVER not in command:
            return _run(command, copy)
        with _server(page, copy) as url:
            return _run(command.replace(SERVER, url), copy).replace(url, SERVER)


@contextmanager
def _server(page: Path, folder: Path) -> Generator[str, None, None]:
    if page.stem in VERSIONS:
        with reenact.serve(VERSIONS[page.stem]) as served:
            yield served.url
    else:
        with serve(folder / SERVED, speed=1.0) as replayed:
            yield replayed.url


def recordings(page: Path) -> Path:
    """Return the folder with the recordings of a page: that of its name, or the one it is in."""
    own = page.with_suffix("")
    return own if own.is_dir() else page.parent


def _run(command: str, folder: Path) -> str:
    main, side = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": "50", "TERM": "xterm", "NO_COLOR": "1"}
    program = [sys.executable, "-m", "gradio_transport", *shlex.split(command)[1:]]
    with subprocess.Popen(  # noqa: S603
        program, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=side, stderr=side
    ) as process:
        os.close(side)
        parts: list[bytes] = []
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:  # how Linux reports the end
                break
            if not part:
                break
            parts.append(part)
        status = process.wait()
    os.close(main)
    text = _STYLE.sub("", _ERASED.sub("", b"".join(parts).decode())).replace("\r\n", "\n")
    lines = [line.rstrip() for line in text.rstrip().split("\n")]
    return "\n".join([*lines, *([f"exit {status}"] if status else [])]) + "\n"


def written(page: Path) -> str:
    """Return the text of a page with the current output in every block."""

    def block(found: re.Match[str]) -> str:
        return f"```console\n$ {found[1]}\n{output(found[1], page)}```"

    return BLOCK.sub(block, page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(written(Path(name)), encoding="utf-8")
