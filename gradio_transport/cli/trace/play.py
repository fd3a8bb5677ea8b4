# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace play``."""

from __future__ import annotations

import importlib
import socket
import threading
from functools import partial
from typing import Protocol

import click

from ...protocol.frames import Kind
from ...trace import Trace
from ..failures import Misuse
from ..replaying import Heard, Served, replay_server
from ..terminal import Terminal, current_terminal, write
from .files import read, title, trace_argument

_HELP = """Serve the trace FILE to any client: send the recorded replies again.

stdout has the URL as soon as the server accepts connections; stderr has a line for each request. The session
hash and the address in the replies are those of the client. Ctrl-C ends it.

\b
Example:
  gradio-transport trace play count.jsonl --port 7860 --speed 0
  gradio-transport call http://127.0.0.1:7860 /count 3

A request that was not recorded gets the reply to the most similar one of the same path, or 404. With --strict
it gets status 500, a websocket is closed with code 1008, and stderr shows the request and the expected one. A
stream or websocket that broke breaks again. A stream that the recorded client closed stays open until the
client closes it.

With --serve messages the server follows the client: it replies to recorded calls in any order, as often as
they come, and by other routes of that Gradio version. A request without a recorded reply gets status 501, and
stderr shows it. It ignores the recorded times, and needs a trace that begins before the client connects, of
an app without a login.
"""

_NOT_FOUND = 404
"""The status of an unknown path; it needs no explanation."""

_OFF_TAPE = 501
"""The status of a request that the recording lacks."""

_LOOK_SECONDS = 0.2
"""Seconds between two queries of the requests that the server of messages could not reply to."""

_MESSAGES = "gradio_transport_conformance.own_traces"


class _ServedMessages(Served, Protocol):
    @property
    def off_tape(self) -> list[str]: ...
    @property
    def findings(self) -> list[str]: ...


@click.command(help=_HELP)
@trace_argument
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N",
    help="Port on the loopback; without it, or with 0, a free one.",
)  # fmt: skip
@click.option(
    "--speed", type=click.FloatRange(min=0), default=1.0, show_default=True, metavar="X",
    help="1 keeps the recorded pace, 2 is twice as fast, 0 does not wait.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Refuse requests that differ from the recording.")
@click.option(
    "--serve", "mode", type=click.Choice(["bytes", "messages"]), default="bytes", show_default=True,
    help="Recorded bytes in their order, or messages in the order of the client's requests.",
)  # fmt: skip
def play(*, path: str, port: int, speed: float, strict: bool, mode: str) -> None:
    """Run the command; its help is above."""
    trace = read(path)
    if not any(frame.kind in (Kind.REQUEST, Kind.WS_OPEN) for frame in trace.frames):
        raise Misuse(f"{title(path)} has no requests, so there is nothing to serve.")
    terminal = current_terminal()
    if mode == "messages":
        _play_messages(trace, path, port, terminal)
        return
    server = replay_server(trace, speed=speed, port=port, strict=strict, log=partial(_print, terminal))
    _check_port(port)
    with server as served:
        _announce(served, trace, path, terminal)
        threading.Event().wait()


def _announce(served: Served, trace: Trace, path: str, terminal: Terminal) -> None:
    write(f"{served.url}\n")
    recorded = f"Gradio {trace.meta['gradio']}" if trace.meta.get("gradio") else "A server"
    terminal.print_line((f"{recorded}, recorded in {title(path)}. Ctrl-C ends it.", "dim"))


def _play_messages(trace: Trace, path: str, port: int, terminal: Terminal) -> None:
    """Serve the messages of a trace, and print the requests without a recorded reply."""
    context = click.get_current_context()
    given = click.core.ParameterSource.COMMANDLINE
    for name in ("strict", "speed"):
        if context.get_parameter_source(name) is given:
            raise Misuse(f"--{name} is for --serve bytes: messages have no recorded order and no pace.")
    try:
        kit = importlib.import_module(_MESSAGES)
    except ImportError as error:
        advice = "pip install 'gradio-transport[conformance]'"
        raise Misuse(f"To serve messages, {error.name} is missing. Install it with: {advice}") from error
    _check_port(port)
    served: _ServedMessages | None = None
    try:
        with kit.serve_own_trace(trace, port=port) as served:
            assert served is not None  # noqa: S101 - only the type says that it may be
            _announce(served, trace, path, terminal)
            _print_off_tape(served, terminal)
    except kit.CannotServeMessages as error:
        advice = "Use --serve bytes, which does not need that."
        raise Misuse(f"{title(path)} {error} {advice}") from error
    except ImportError as error:
        raise Misuse(str(error)) from error
    finally:
        for finding in served.findings if served is not None else ():
            terminal.print_line((f"the client {finding}", ""))


def _print_off_tape(served: _ServedMessages, terminal: Terminal) -> None:
    """Print the requests without a recorded reply, until Ctrl-C."""
    printed = 0
    stopped = False
    while not stopped:
        try:
            threading.Event().wait(_LOOK_SECONDS)
        except KeyboardInterrupt:
            stopped = True
        missing = served.off_tape[printed:]
        printed += len(missing)
        for one in missing:
            terminal.print_line((f" {_OFF_TAPE} ", "red"), (f"not recorded: the client {one}", ""))
    raise KeyboardInterrupt


def _check_port(port: int) -> None:
    """Raise with advice if a port is in use."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError as error:
            advice = "Pass another --port, or none for a free one."
            raise Misuse(f"Port {port} cannot be used: {error.strerror}. {advice}") from error


def _print(terminal: Terminal, heard: Heard) -> None:
    status = "cut" if heard.status is None else str(heard.status)
    failed = bool(heard.refusal) or heard.status is None
    parts = [
        (f"{status:>4} ", "red" if failed else "green"),
        (f"{heard.method} {heard.target}".rstrip("?"), ""),
    ]
    terminal.print_line(*parts)
    # Whether a heartbeat was recorded depends on the duration of the calls.
    if heard.refusal and heard.status != _NOT_FOUND and "/heartbeat/" not in heard.target:
        terminal.print_line((f"     {heard.refusal}", "red"))
