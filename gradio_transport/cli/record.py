# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport record``: record any client's traffic with an app."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import click

from ..errors import GradioTransportError
from ..policy import Timeouts
from ..protocol.frames import Frame, Kind, Tap
from ..protocol.urls import is_space_name
from ..recording import RecordingOptions, RecordingServer, default_path
from ..spaces import is_hidden, token_to_use
from .failures import FileProblem
from .options import credentials, header
from .terminal import Terminal, current_terminal
from .trace.live import LivePrinter

URL_VARIABLE = "GRADIO_URL"
"""The environment variable with the proxy's URL, for the command."""

PLACEHOLDER = "{}"
"""Placeholder for the proxy's URL in the arguments of the command."""

_TICK_SECONDS = 0.25

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
"""Exit statuses of a command that cannot be run, as in a shell."""

_KILLED = 128
"""The exit status of a command that a signal ended is this plus the signal's number, as in a shell."""


EPILOG = """\b
Examples:
  gradio-transport record http://127.0.0.1:7860 -o page.jsonl
  gradio-transport record owner/name -- python client.py {}
  gradio-transport trace show page.jsonl

\b
Exit status: that of COMMAND, or
  0    ended with Ctrl-C
  2    bad usage, or the port is in use
  3    the app refused
  4    no connection, or not a Gradio app
"""


@click.command(epilog=EPILOG)
@click.argument("source")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND...]")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The trace. By default a new file here, named by the app and the time.",
)
@click.option(
    "-p",
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    metavar="N",
    help="Port to listen at; by default any free one.",
)
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen at. If it is not a loopback address, other machines can use the proxy, and with "
    "it your token and headers.",
)
@click.option(
    "-t",
    "--token",
    envvar="GRADIO_TRANSPORT_TOKEN",
    metavar="TOKEN",
    help="Hugging Face token, added to requests for a Space on its own host that have no authorization. Or "
    "set GRADIO_TRANSPORT_TOKEN.",
)
@click.option("--token-origin", metavar="URL", help="Another origin that the token may be sent to.")
@click.option(
    "-H",
    "--header",
    "headers",
    multiple=True,
    metavar="'NAME: VALUE'",
    help="Header added to every request. Repeatable.",
)
@click.option(
    "--auth",
    envvar="GRADIO_TRANSPORT_AUTH",
    metavar="USER[:PASSWORD]",
    help="The app's own login, for the config that is recorded at the start. Clients log in themselves.",
)
@click.option("--trust-redirects", is_flag=True, help="Follow the app's config to another origin.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Limit of each step of connecting at the start. Clients have their own limits.",
)
@click.option("--insecure", is_flag=True, help="Do not check the server's TLS certificate.")
@click.option(
    "--secret", "secrets", multiple=True, metavar="TEXT", help="Also remove TEXT from the trace. Repeatable."
)
@click.option(
    "--no-redact",
    is_flag=True,
    help="Keep secrets in the trace. Use it only for traces that never leave your machine.",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not show the traffic.")
@click.option("-v", "--verbose", count=True, help="Log to stderr; -vv logs every detail.")  # fmt: skip
def record(
    *,
    source: str,
    command: tuple[str, ...],
    output: Path | None,
    port: int,
    host: str,
    token: str | None,
    token_origin: str | None,
    headers: tuple[str, ...],
    auth: str | None,
    trust_redirects: bool,
    timeout: float | None,
    insecure: bool,
    secrets: tuple[str, ...],
    no_redact: bool,
    quiet: bool,
    verbose: int,
) -> None:
    """Record the traffic of any client with the app at SOURCE.

    A proxy in front of the app writes a trace of all traffic: from browsers, gradio_client, @gradio/client,
    curl. Give clients its URL instead of the app's. It shows the calls as they happen. Ctrl-C ends it.

    Given a COMMAND, it runs the command with the proxy's URL in the environment variable GRADIO_URL and in
    place of {} in the arguments, and exits with the status of the command.
    """
    terminal = current_terminal()
    terminal.set_verbosity(verbose)
    calls = _Counter()
    # To stderr, because stdout belongs to the command.
    printer = None if quiet else LivePrinter(terminal, to_stderr=True)
    options = RecordingOptions(
        host=host,
        port=port,
        token=token,
        token_origin=token_origin,
        headers=dict(header(text) for text in headers),
        auth=credentials(auth),
        trust_redirects=trust_redirects,
        timeouts=_timeouts(timeout),
        verify=not insecure,
        redact=not no_redact,
        secrets=secrets,
        tap=calls if printer is None else _both(calls, printer),
    )  # fmt: skip
    path = default_path(source) if output is None else output
    try:
        status = asyncio.run(_record(source, path, options, command, terminal, printer))
    except GradioTransportError:  # some are also an OSError
        raise
    except OSError as error:
        raise FileProblem(str(path), error.strerror or str(error)) from error
    found = "no call" if not calls.count else "1 call" if calls.count == 1 else f"{calls.count} calls"
    terminal.print_line((f"Recorded {found}. See them: gradio-transport trace show {path}", "dim"))
    raise click.exceptions.Exit(status)


def _timeouts(seconds: float | None) -> Timeouts:
    defaults = Timeouts()
    if seconds is None:
        return defaults
    steps = ("connect", "space", "discover", "login")
    return defaults.replace(**{name: min(getattr(defaults, name), seconds) for name in steps})


async def _record(
    source: str,
    path: Path,
    options: RecordingOptions,
    command: Sequence[str],
    terminal: Terminal,
    printer: LivePrinter | None,
) -> int:
    async with _ticking(printer), _server(source, path, options) as server:
        if command:
            _introduce(server, options, terminal, ends="")
            return await _run(command, server.url, terminal)
        stop = asyncio.Event()
        with _signals({signal.SIGINT: stop.set, signal.SIGTERM: stop.set}):
            _introduce(server, options, terminal, ends=" (Ctrl-C ends)")
            await stop.wait()
        return 0


@contextlib.asynccontextmanager
async def _ticking(printer: LivePrinter | None) -> AsyncGenerator[None, None]:
    """Call the printer's `tick` regularly, and show unfinished requests at the end."""

    async def tick() -> None:
        while printer is not None:
            await asyncio.sleep(_TICK_SECONDS)
            printer.tick()

    ticking = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticking.cancel()
        if printer is not None:
            printer.close()


@contextlib.asynccontextmanager
async def _server(
    source: str, path: Path, options: RecordingOptions
) -> AsyncGenerator[RecordingServer, None]:
    """Start the proxy. If a Space is hidden without a token, retry with the saved one, as `call` does."""
    server = RecordingServer(source, path, options)
    try:
        await server.__aenter__()
    except GradioTransportError as error:
        hidden = options.token is None and is_space_name(source) and is_hidden(error)
        saved = token_to_use(None, saved=True) if hidden else None
        if saved is None:
            raise
        server = RecordingServer(source, path, attrs.evolve(options, token=saved))
        await server.__aenter__()
    try:
        yield server
    finally:
        await server.__aexit__(None, None, None)


def _introduce(server: RecordingServer, options: RecordingOptions, terminal: Terminal, ends: str) -> None:
    terminal.print_line(("Recording ", ""), (server.app_url, "bold"), (f" to {server.path}", ""))
    terminal.print_line(("Use this URL instead of the app's: ", ""), (server.url, "bold"), (ends, "dim"))
    if server.login:
        terminal.print_line(
            ("The app requires a login. Its config is recorded after a client logs in, or with --auth.", ""),
        )
    if server.note:
        terminal.print_line((server.note, "dim"))
    if not server.is_loopback:
        terminal.print_line(
            ("warning: ", "bold yellow"),
            (f"other machines can reach the app at {options.host}, with your token and headers.", "yellow"),
        )


# --- the command ---------------------------------------------------------------------------------------


async def _run(command: Sequence[str], url: str, terminal: Terminal) -> int:
    """Run a command with the proxy's URL, and return its exit status."""
    arguments = [argument.replace(PLACEHOLDER, url) for argument in command]
    try:
        process = await asyncio.create_subprocess_exec(*arguments, env={**os.environ, URL_VARIABLE: url})
    except OSError as error:
        reason = error.strerror or str(error)
        terminal.print_line(("error: ", "bold red"), (f"Cannot run {arguments[0]}: {reason}.", "red"))
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE

    def forward(number: signal.Signals) -> Callable[[], None]:
        def send() -> None:
            # Ctrl-C reaches every program in the foreground of the terminal by itself.
            if number is not signal.SIGINT or not _is_in_foreground():
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(number)

        return send

    forwarded = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP"):
        forwarded.append(signal.SIGHUP)
    with _signals({number: forward(number) for number in forwarded}):
        status = await process.wait()
    return _KILLED - status if status < 0 else status


def _is_in_foreground() -> bool:
    """Return whether this program is in the foreground of its terminal, if it has one."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


@contextlib.contextmanager
def _signals(handlers: dict[signal.Signals, Callable[[], None]]) -> Any:
    """Handle signals while the block runs."""
    loop = asyncio.get_running_loop()
    added: list[signal.Signals] = []
    for number, handler in handlers.items():
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C raises KeyboardInterrupt
            loop.add_signal_handler(number, handler)
            added.append(number)
    try:
        yield
    finally:
        for number in added:
            loop.remove_signal_handler(number)


# --- what is shown -------------------------------------------------------------------------------------


class _Counter:
    """A tap that counts the calls."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: Frame) -> None:
        self.count += frame.kind is Kind.CALL


def _both(first: Tap, second: Tap) -> Tap:
    def take(frame: Frame) -> None:
        first(frame)
        second(frame)

    return take


__all__ = ["record"]
