# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport demo``: real calls over HTTP, to local servers that replay recordings."""

from __future__ import annotations

import contextlib
import importlib
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .. import events as e
from .._connect import connect
from ..errors import did_you_mean
from ..protocol.frames import Frame, Kind, Tap
from ..sync import Transport
from ..trace import Trace, TraceWriter, read_trace
from ..trace.page import page_parts
from .failures import Misuse
from .options import recorder, trace_option
from .replaying import replay_server
from .terminal import Part, Terminal, current_terminal, shown, write
from .text import describe, plain_text
from .trace.page import check_target, open_page, save_page

RECORDINGS: Mapping[str, Sequence[str]] = {
    "direct": ("2.3.6/direct_hello", "3.50.2/direct", "6.31.0/direct"),
    "polling": ("2.3.6/hello", "3.1.4/slow"),
    "websocket": ("3.1.7/hello", "3.4.1/count", "3.50.2/progress"),
    "sse": ("4.0.2/count", "4.8.0/progress"),
    "sse_v1": ("4.9.0/count", "4.16.0/progress"),
    "sse_v2": ("4.17.0/count", "4.20.1/progress"),
    "sse_v2.1": ("4.21.0/count", "4.21.0/progress"),
    "sse_v3": ("6.31.0/demo",),
    "call": ("4.20.1/call_count", "6.31.0/call_count"),
    "call_v2": ("6.31.0/call_v2_add",),
}
"""Protocol -> traces of the conformance kit, each recorded from a real Gradio: version and case."""

DEFAULT = "sse_v3"
"""The protocol of the current Gradio."""

SPEED = 1.0
"""1.0 replays at the recorded pace."""

_LIST = "list"
"""The value of ``--protocol`` without a name."""

_STYLES: dict[type[e.Event], str] = {
    e.Estimation: "yellow",
    e.ProcessStarts: "yellow",
    e.Progress: "magenta",
    e.ProcessGenerating: "cyan",
    e.ProcessCompleted: "green",
}


@click.command()
@click.option(
    "--protocol", is_flag=False, flag_value=_LIST, default=DEFAULT, show_default=True, metavar="[NAME]",
    help="The protocol to show. Without a name, list the protocols and the recorded versions.",
)  # fmt: skip
@click.option(
    "--open", "opens", is_flag=True,
    help="Write the calls as a timeline page, demo-NAME.html, and open it in a browser.",
)  # fmt: skip
@trace_option
def demo(*, protocol: str, opens: bool, trace: str | None) -> None:
    """Show the flow of recorded calls, without a network or Gradio.

    A local server replays the replies of a real Gradio server, at their original speed. The calls use the
    same code as any other call. `--protocol` shows another generation of Gradio.
    """
    terminal = current_terminal()
    if protocol == _LIST:
        write("".join(f"{name:10} Gradio {_versions(name)}\n" for name in RECORDINGS))
        return
    recordings = _recordings(protocol)
    target = Path(f"demo-{protocol}.html")
    if opens:
        check_target(target, "Move it, or run the command in another directory.")
    with contextlib.ExitStack() as stack:
        taps = [stack.enter_context(recorder(trace))]
        if opens:
            taps.append(stack.enter_context(_page(target, protocol)))
        for recording in recordings:
            _show_recording(terminal, recording, protocol, [tap for tap in taps if tap is not None])
    if protocol == DEFAULT:
        _print_line(terminal, ("Other protocols: gradio-transport demo --protocol", "dim"))
    _print_line(terminal, ("Your own server: gradio-transport list http://127.0.0.1:7860", "dim"))
    if opens:
        _print_line(terminal, (f"Timeline: {target}", "bold"))
        open_page(target)


def _recordings(protocol: str) -> list[Trace]:
    """Return the recordings of a protocol.

    Raises:
        Misuse: There are none.
    """
    if protocol not in RECORDINGS:
        known = tuple(RECORDINGS)
        raise Misuse(
            f"There is no recording of a protocol {protocol!r}.{did_you_mean(protocol, known)} "
            f"There are recordings of {', '.join(known)}."
        )
    kit = importlib.import_module("gradio_transport_conformance.traces")
    return [read_trace(kit.shipped_trace(name)) for name in RECORDINGS[protocol]]


def _versions(protocol: str) -> str:
    """Return the recorded versions of a protocol, such as ``"4.0.2, 4.8.0"``."""
    return ", ".join(dict.fromkeys(name.partition("/")[0] for name in RECORDINGS[protocol]))


@contextlib.contextmanager
def _page(target: Path, protocol: str) -> Generator[Tap, None, None]:
    """Record a trace, and write its page at the end."""
    with tempfile.TemporaryDirectory(prefix="gradio-transport-demo-") as folder:
        path = Path(folder) / "demo.jsonl"
        # A trace takes its version from its first server, and here each recording has a server.
        with TraceWriter(path, meta={"gradio": _versions(protocol)}) as tap:
            yield tap
        save_page(target, page_parts(read_trace(path), f"demo --protocol {protocol}"))


def _show_recording(terminal: Terminal, recording: Trace, protocol: str, taps: Sequence[Tap]) -> None:
    """Make the calls of a recording to a server that replays it."""

    def tap(frame: Frame) -> None:
        for one in taps:
            one(frame)

    server = replay_server(recording, speed=SPEED)
    with server as served, connect(served.url, protocol=protocol, tap=tap) as app:
        # Not the version of the app: the first servers send none.
        title = f"Gradio {recording.meta['gradio']}, recorded, replayed at {app.url}"
        _print_line(terminal, (title, "bold"))
        for frame in recording.frames:
            if frame.kind is Kind.CALL:
                terminal.out.print()
                _show_call(terminal, app, frame.payload["endpoint"], frame.payload["data"])
    terminal.out.print()


def _show_call(terminal: Terminal, app: Transport, name: str, arguments: Sequence[Any]) -> None:
    call = ", ".join(map(repr, (name, *arguments)))
    _print_line(terminal, (f"app.submit({call}) by {app.protocol}", "bold"))
    began = time.monotonic()
    running = app.submit(name, *arguments)
    for event in running:
        _print_line(terminal, *_line(event, time.monotonic() - began, terminal.out.width))
    outputs = running.result()
    _print_line(terminal, (f"result: {', '.join(map(plain_text, outputs))}", "bold green"))


def _line(event: e.Event, seconds: float, width: int) -> tuple[Part, ...]:
    kind = type(event)
    time_since, name = f"{seconds:6.2f} s  ", f"{kind.__name__:18}"
    # The description gets the rest of the line; `describe` keeps the end of long outputs.
    rest = describe(event, max(width - len(time_since + name), 20))
    return (time_since, "dim"), (name, _STYLES.get(kind, "")), (rest, "dim")


def _print_line(terminal: Terminal, *parts: Part) -> None:
    terminal.out.print(shown(*parts), soft_wrap=True)
