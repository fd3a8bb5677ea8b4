# SPDX-License-Identifier: Apache-2.0
"""Launching apps, each in a process forked from one interpreter that has already imported Gradio.

Importing Gradio takes 5 to 25 seconds, so it happens once. Apps do not share a process because old queues are
global: the queue of 2.x is a SQLite file in the working directory, that of 3.1 an attribute of a class.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import threading
import traceback
from dataclasses import dataclass
from typing import Any, Callable

from .versions import since

HOST = "127.0.0.1"
PORT_ATTEMPTS = 5

BUSY = "localhost is not accessible"
"""Part of what Gradio raises if its own page takes more than 3 s, as if all start on a busy machine."""


@dataclass(frozen=True)
class App:
    """An app that is built and can be launched: its name, how to launch it, and what it serves.

    `launch` takes the options of `gr.Blocks.launch`, and may return the URL of the app.
    """

    name: str
    launch: Callable[..., Any]
    scenarios: dict[str, dict[str, Any]]


class LaunchFailed(Exception):
    """An app did not start; the text is its traceback."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def launch_here(app: App, port: int | None) -> str:
    """Launch `app` in this process and return its base URL."""
    options: dict[str, Any] = {"server_name": HOST, "prevent_thread_lock": True}
    if since("3.1.4"):
        options["quiet"] = True
    for attempt in range(PORT_ATTEMPTS):
        chosen = port or free_port()
        try:
            launched = app.launch(server_port=chosen, **options)
        except OSError:
            # Another program took the port between the probe and the launch.
            if port or attempt == PORT_ATTEMPTS - 1:
                raise
        else:
            # A mounted app returns its own URL; `gr.Blocks.launch` returns a tuple.
            return launched if isinstance(launched, str) else f"http://{HOST}:{chosen}"
    raise AssertionError("the loop above returns or raises")


def _serve_forked(make: Callable[[], App], port: int | None, answer: int) -> None:
    """The main function of a forked process: launch, report through `answer`, serve until a signal."""
    try:
        directory = tempfile.mkdtemp(prefix="app-")
        os.chdir(directory)
        app = make()
        url = launch_here(app, port)
        report: dict[str, Any] = {"name": app.name, "url": url, "scenarios": app.scenarios}
    except BaseException:  # noqa: BLE001 - old Gradio calls sys.exit when it cannot launch
        report = {"error": traceback.format_exc()}
    os.write(answer, json.dumps(report).encode())
    os.close(answer)
    if "error" in report:
        os._exit(1)
    threading.Event().wait()


def _fork(make: Callable[[], App], port: int | None) -> int:
    """Start one app in a process of its own; the returned descriptor carries its report."""
    reader, writer = os.pipe()
    if os.fork():
        os.close(writer)
        return reader
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.close(reader)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    _serve_forked(make, port, writer)
    os._exit(0)


def _report(reader: int) -> dict[str, Any]:
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    if not text:
        raise LaunchFailed("the process of an app ended without a report")
    report = json.loads(text)
    if "error" in report:
        raise LaunchFailed(report["error"])
    return report


def launch_all(makers: list[Callable[[], App]], first_port: int | None) -> list[dict[str, Any]]:
    """Launch every app at the same time; each report has the app's `name`, `url` and `scenarios`."""
    ports = [first_port + position if first_port else None for position in range(len(makers))]
    readers = [_fork(make, port) for make, port in zip(makers, ports)]
    return [_patient_report(*launched) for launched in zip(readers, makers, ports)]


def _patient_report(reader: int, make: Callable[[], App], port: int | None) -> dict[str, Any]:
    """The report of an app, launched again if the machine was too busy for it at first."""
    try:
        return _report(reader)
    except LaunchFailed as failed:
        if BUSY not in str(failed):
            raise
    return _report(_fork(make, port))
