"""A source for workers that tests kill: it says in a directory which process has made a transport."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import attrs

import gradio_transport as gt


@attrs.frozen
class NotedSource:
    """Returns a transport, and leaves a file that is named by the process."""

    url: str
    directory: str

    def __call__(self) -> gt.AsyncTransport:
        Path(self.directory, str(os.getpid())).touch()
        return gt.connect_async(self.url)


def noted_workers(directory: Path) -> set[int]:
    """Return the processes that have made a transport."""
    return {int(file.name) for file in directory.iterdir()} - {os.getpid()}


def kill_one(directory: Path, how: signal.Signals = signal.SIGKILL) -> int:
    """Kill the worker that was there first, or stop it, and return its process."""
    deadline = time.monotonic() + 20
    while not (found := noted_workers(directory)) and time.monotonic() < deadline:
        time.sleep(0.01)
    victim = min(found)
    os.kill(victim, how)
    return victim
