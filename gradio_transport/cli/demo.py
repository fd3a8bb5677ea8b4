# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport demo``: real calls through the real engine, to a server that replays a recording."""

from __future__ import annotations

import contextlib
import importlib.resources
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import click
from rich.text import Text

from .. import events as e
from .._connect import connect
from ..sync import Transport
from ..trace import read_trace
from .options import recorder, trace_option
from .terminal import Terminal, current
from .text import describe, plain, printable

TRACE = "traces/6.31.0/demo.jsonl"
"""In the conformance kit; recorded from a real Gradio 6.31.0."""

CALLS: Sequence[tuple[str, Any]] = (("/count", 12), ("/progress", 8))
"""What the recording answers, in its order."""

_STYLES: dict[type[e.Event], str] = {
    e.Estimation: "yellow",
    e.ProcessStarts: "yellow",
    e.Progress: "magenta",
    e.ProcessGenerating: "cyan",
    e.ProcessCompleted: "green",
}


class _Server(Protocol):
    """What the kit's replay server is, once it serves."""

    @property
    def url(self) -> str: ...


@click.command()
@trace_option
def demo(trace: str | None) -> None:
    """Show the message flow of two calls. Needs no network and no Gradio.

    A server on this machine replays what a real Gradio 6.31.0 sent, at the speed at which it sent it. The
    calls go through the same code as any other.
    """
    terminal = current()
    with _replayed() as server, recorder(trace) as tap, connect(server.url, tap=tap) as app:
        _say(terminal, Text(f"Gradio {app.config.version}, recorded, replayed at {app.url}", "bold"))
        for name, argument in CALLS:
            _show(terminal, app, name, argument)
    _say(terminal, Text("\nNow with a server of yours: gradio-transport list http://127.0.0.1:7860", "dim"))


def _replayed() -> contextlib.AbstractContextManager[_Server]:
    """Return a server on this machine that replays the recording, to be entered."""
    kit = importlib.import_module("gradio_transport_conformance.replay.server")
    trace = importlib.resources.files("gradio_transport_conformance").joinpath(TRACE)
    server: contextlib.AbstractContextManager[_Server] = kit.serve(read_trace(Path(str(trace))), speed=1.0)
    return server


def _show(terminal: Terminal, app: Transport, name: str, argument: Any) -> None:
    _say(terminal, Text(f"\napp.submit({name!r}, {argument!r}) by {app.protocol}", "bold"))
    began = time.monotonic()
    call = app.submit(name, argument)
    for event in call:
        _say(terminal, _line(event, time.monotonic() - began, terminal.out.width))
    outputs = call.result()
    _say(terminal, Text(f"result: {printable(', '.join(map(plain, outputs)))}", "bold green"))


def _line(event: e.Event, seconds: float, width: int) -> Text:
    kind = type(event)
    line = Text(f"{seconds:6.2f} s  ", "dim")
    line.append(f"{kind.__name__:18}", _STYLES.get(kind, ""))
    # An output is cut at its beginning, everything else at its end.
    line.append(describe(event, max(width - len(line), 20)))
    return line


def _say(terminal: Terminal, line: Text) -> None:
    terminal.out.print(line, soft_wrap=True)
