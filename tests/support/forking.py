# SPDX-License-Identifier: Apache-2.0
"""Programs in processes of their own that start at once: forks of one that has imported the command line.

The imports take most of a second of CPU, and most tests of a terminal need only a process whose streams are one.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

MAIN = "from gradio_transport.cli.__main__ import main\nmain()\n"
"""The program `gradio-transport`."""

SECONDS = 60.0

_PRELOADED = ("about", "call", "demo", "doctor", "doctor_view", "list", "record", "trace.group")


class Forked:
    """A running program."""

    def __init__(self, talk: socket.socket) -> None:
        self._lines = talk.makefile()
        talk.close()
        self.pid = int(self._lines.readline())

    def wait(self) -> int:
        """Return its exit status; that of a signal is negative."""
        with self._lines:
            return int(self._lines.readline())


def start(
    program: str,
    *arguments: str,
    environment: Mapping[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
) -> Forked:
    """Run a program, given as its source, with file descriptors as its streams."""
    ours, theirs = socket.socketpair()
    ours.settimeout(SECONDS)
    with theirs:
        socket.send_fds(_server(), [b"."], [theirs.fileno(), stdin, stdout, stderr])
    request = {"program": program, "argv": arguments, "environment": dict(environment), "cwd": os.getcwd()}
    ours.sendall(json.dumps(request).encode() + b"\n")
    return Forked(ours)


@functools.cache
def _server() -> socket.socket:
    """Start the process that is forked, once for each process of pytest."""
    ours, theirs = socket.socketpair()
    with theirs:
        words = [sys.executable, __file__, str(theirs.fileno())]
        process = subprocess.Popen(words, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def end() -> None:
        ours.close()
        process.wait(SECONDS)

    atexit.register(end)
    return ours


# --- in the other processes ------------------------------------------------------------------------------


def _serve(control: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system collects the watchers
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 1, 4)
        if not data:
            return
        if os.fork() == 0:
            control.close()
            _watch(socket.socket(fileno=descriptors[0]), descriptors[1:])
        for descriptor in descriptors:
            os.close(descriptor)


def _watch(talk: socket.socket, streams: Sequence[int]) -> None:
    """Run one program, and tell the test its process and its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request = json.loads(talk.makefile().readline())
    pid = os.fork()
    if pid == 0:
        talk.close()
        _run(request, streams)
    for stream in streams:
        os.close(stream)
    talk.sendall(f"{pid}\n".encode())
    _, status = os.waitpid(pid, 0)
    talk.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _run(request: dict[str, Any], streams: Sequence[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["cwd"])
    sys.argv = ["gradio-transport", *request["argv"]]
    sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False), encoding="utf-8")
    sys.stdout = _output(1, "strict")
    sys.stderr = _output(2, "backslashreplace")
    status = 0
    try:
        exec(request["program"], {"__name__": "__main__"})
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001 - shown, as Python does
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def _output(descriptor: int, errors: str) -> io.TextIOWrapper:
    """Return a stream as Python opens one: by lines for stderr and for a terminal."""
    by_lines = descriptor == 2 or os.isatty(descriptor)
    raw = io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, line_buffering=by_lines)


if __name__ == "__main__":
    for _name in _PRELOADED:
        importlib.import_module(f"gradio_transport.cli.{_name}")
    _serve(socket.socket(fileno=int(sys.argv[1])))
