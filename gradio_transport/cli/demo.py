# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport demo``: real calls over HTTP, to a local server that replays a recording."""

from __future__ import annotations

import contextlib
import importlib
import time
from collections.abc import Sequence
from typing import Any, Protocol

import click

from .. import events as e
from .._connect import connect
from ..sync import Transport
from ..trace import read_trace
from .options import recorder, trace_option
from .terminal import Part, Terminal, current_terminal, shown
from .text import describe, plain_text

TRACE = "6.31.0/demo"
"""A trace in the conformance kit, recorded from a real Gradio 6.31.0."""

CALLS: Sequence[tuple[str, Any]] = (("/count", 12), ("/progress", 8))
"""The calls of the recording, in its order."""

_STYLES: dict[type[e.Event], str] = {
    e.Estimation: "yellow",
    e.ProcessStarts: "yellow",
    e.Progress: "magenta",
    e.ProcessGenerating: "cyan",
    e.ProcessCompleted: "green",
}


class _Server(Protocol):
    """The running replay server of the conformance kit."""

    @property
    def url(self) -> str: ...


@click.command()
@trace_option
def demo(trace: str | None) -> None:
    """Show the message flow of two calls, without a network or Gradio.

    A local server replays the replies of a real Gradio 6.31.0, at their original speed. The calls use the
    same code as any other call.
    """
    terminal = current_terminal()
    with _replay_server() as server, recorder(trace) as tap, connect(server.url, tap=tap) as app:
        title = f"Gradio {app.config.version}, recorded, replayed at {app.url}"
        _print_line(terminal, (title, "bold"))
        for name, argument in CALLS:
            _show(terminal, app, name, argument)
    terminal.out.print()
    _print_line(terminal, ("Now try your own server: gradio-transport list http://127.0.0.1:7860", "dim"))


def _replay_server() -> contextlib.AbstractContextManager[_Server]:
    """Return a context manager of a local server that replays the recording.

    Imported by name, because the kit is a separate package that may be missing and that the core does not
    import.
    """
    kit = importlib.import_module("gradio_transport_conformance.replay.server")
    path = importlib.import_module("gradio_transport_conformance.traces").shipped_trace(TRACE)
    server: contextlib.AbstractContextManager[_Server] = kit.serve(read_trace(path), speed=1.0)
    return server


def _show(terminal: Terminal, app: Transport, name: str, argument: Any) -> None:
    terminal.out.print()
    _print_line(terminal, (f"app.submit({name!r}, {argument!r}) by {app.protocol}", "bold"))
    began = time.monotonic()
    call = app.submit(name, argument)
    for event in call:
        _print_line(terminal, *_line(event, time.monotonic() - began, terminal.out.width))
    outputs = call.result()
    _print_line(terminal, (f"result: {', '.join(map(plain_text, outputs))}", "bold green"))


def _line(event: e.Event, seconds: float, width: int) -> tuple[Part, ...]:
    kind = type(event)
    time_since, name = f"{seconds:6.2f} s  ", f"{kind.__name__:18}"
    # The description gets the rest of the line; `describe` keeps the end of long outputs.
    rest = describe(event, max(width - len(time_since + name), 20))
    return (time_since, "dim"), (name, _STYLES.get(kind, "")), (rest, "dim")


def _print_line(terminal: Terminal, *parts: Part) -> None:
    terminal.out.print(shown(*parts), soft_wrap=True)
