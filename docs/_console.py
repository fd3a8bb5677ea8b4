# SPDX-License-Identifier: Apache-2.0
"""Writes the output of commands into pages: each ``console`` block that begins with ``$ gradio-transport``.

    python docs/_console.py docs/debugging.md docs/debugging/trace.md

A block is run in a copy of the folder of the page's recordings, in a terminal of 100 columns.
``http://127.0.0.1:7860`` stands for a server that replays one of the recordings, or, with the comment
``<!-- played: CASE -->`` before the block, for the recorded app of that case. A test checks that every block
is current.
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
from pathlib import Path

from gradio_transport_conformance import reenact
from gradio_transport_conformance.replay.server import serve

COLUMNS = 100

BLOCK = re.compile(
    r"(?:<!-- played: (?P<case>\S+) -->\n)?"
    r"```console\n\$ (?P<command>gradio-transport [^\n]*)\n(?P<shown>.*?)```",
    re.DOTALL,
)
_STYLE = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


SERVER = "http://127.0.0.1:7860"
SERVED = "changed-6.31.jsonl"
VERSION = "6.31.0"


def output(command: str, folder: Path, case: str | None = None) -> str:
    """Return what a command of ours prints to a terminal, without colours, and its exit status if not 0."""
    if case:
        with reenact.serve(VERSION, [case]) as app, tempfile.TemporaryDirectory() as empty:
            url = app.url_of(case)
            return _piped(command.replace(SERVER, url), Path(empty)).replace(url, SERVER)
    with tempfile.TemporaryDirectory() as copied:  # a command may write files
        copy = Path(shutil.copytree(folder, copied, dirs_exist_ok=True))
        if SERVER not in command:
            return _run(command, copy)
        with serve(copy / SERVED, speed=1.0) as served:
            return _run(command.replace(SERVER, served.url), copy).replace(served.url, SERVER)


def recordings(page: Path) -> Path:
    """Return the folder with the recordings of a page: that of its name, or the one it is in."""
    own = page.with_suffix("")
    return own if own.is_dir() else page.parent


def _program(command: str) -> list[str]:
    return [sys.executable, "-m", "gradio_transport", *shlex.split(command)[1:]]


def _piped(command: str, folder: Path) -> str:
    """Return what a command prints to a pipe: a terminal would have the spinner of a call in it."""
    done = subprocess.run(  # noqa: S603
        _program(command),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout + (f"exit {done.returncode}\n" if done.returncode else "")


def _run(command: str, folder: Path) -> str:
    main, side = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(COLUMNS), "LINES": "50", "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(  # noqa: S603
        _program(command), cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=side, stderr=side
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
    text = _STYLE.sub("", b"".join(parts).decode()).replace("\r\n", "\n")
    lines = [line.rstrip() for line in text.rstrip().split("\n")]
    return "\n".join([*lines, *([f"exit {status}"] if status else [])]) + "\n"


def written(page: Path) -> str:
    """Return the text of a page with the current output in every block."""
    folder = recordings(page)

    def block(found: re.Match[str]) -> str:
        before = found[0].partition("```")[0]
        shown = output(found["command"], folder, found["case"])
        return f"{before}```console\n$ {found['command']}\n{shown}```"

    return BLOCK.sub(block, page.read_text(encoding="utf-8"))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(written(Path(name)), encoding="utf-8")
