# SPDX-License-Identifier: Apache-2.0
"""``serve`` and ``faults serve``: the servers of a run, for a browser or a debugger."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

import click

from gradio_transport.errors import visible

from ..faults.play import make_challenge
from ..run.faults import serve_cell
from ..run.selection import SelectionError, select_faults, select_versions
from ..run.serving import ServeMode, default_mode, serve_case, serve_version


@click.command()
@click.argument("version")
@click.argument("case")
@click.option("-p", "--port", type=click.IntRange(0, 65535), default=0, help="Port; by default a free one.")
@click.option(
    "--serve", "mode", type=click.Choice([one.value for one in ServeMode]),
    help="Byte for byte, or message by message in the order of the client's requests.",
)  # fmt: skip
def serve(*, version: str, case: str, port: int, mode: str | None) -> None:
    """Serve the recording of CASE of a Gradio VERSION until Ctrl-C; `all` serves every case."""
    chosen = default_mode() if mode is None else ServeMode(mode)
    try:
        exact = select_versions(version)[-1]
        if case == "all" and chosen is ServeMode.BYTES:
            raise click.UsageError(
                "--serve bytes serves one case at a time. Name a case, or use --serve messages."
            )
        serving = (
            serve_version(exact, port=port) if case == "all" else serve_case(exact, case, chosen, port=port)
        )
        with _explained(port), serving as server:
            click.echo(f"Gradio {exact}, {case}, as {chosen.value}: {server.url}")
            _wait()
    except (SelectionError, LookupError) as error:
        raise click.UsageError(str(error.args[0])) from error
    for line in [*server.findings, *(f"off tape: {one}" for one in server.off_tape)]:
        click.echo(visible(line))


@click.group()
def faults() -> None:
    """Serve faults: servers that misbehave in one defined way."""


@faults.command("serve")
@click.argument("cell")
def serve_fault_cell(*, cell: str) -> None:
    """Serve the fault CELL until Ctrl-C; `list --faults` prints the names."""
    try:
        found = select_faults([cell])[0]
    except SelectionError as error:
        raise click.UsageError(str(error)) from error
    with serve_cell(found) as server:
        challenge = make_challenge(found, server.url)
        click.echo(f"{found.name}: {server.url}")
        click.echo(f"Call function 0, /count, with {challenge.argument!r}. Expected: {found.expect}")
        if server.authority:
            click.echo(f"Trust the certificates of {server.authority}")
        _wait()


@contextmanager
def _explained(port: int) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise click.ClickException(f"Port {port} cannot be used: {error.strerror}.") from error


def _wait() -> None:
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


__all__ = ["faults", "serve"]
