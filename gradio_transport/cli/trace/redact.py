# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace redact``."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ...trace import Redaction, redact_trace
from ..failures import FileProblem
from ..terminal import Terminal, current_terminal, write
from .files import FINDINGS, STANDARD_INPUT, read, title, trace_argument
from .report import count

ENVIRONMENT_VARIABLE = "GRADIO_TRANSPORT_SECRETS"
"""The environment variable whose lines are texts to remove."""

_SHOWN_LEFT = 10


@click.command()
@trace_argument
@click.option(
    "-o", "--output", "output", metavar="OUT",
    help="The new trace, which must not exist; - is standard output. By default FILE.redacted.jsonl.",
)  # fmt: skip
@click.option(
    "--secret", "given", multiple=True, metavar="TEXT",
    help="Remove this text, in every encoding. Other users of this machine can see it while the command "
         "runs.",
)  # fmt: skip
@click.option(
    "--secret-file", "files", multiple=True, metavar="PATH",
    help="Remove each line of this file; - is standard input.",
)  # fmt: skip
@click.option(
    "--argument", "arguments", multiple=True, metavar="NAME",
    help="Remove the arguments of the parameter with this name or label, and their echoes.",
)  # fmt: skip
@click.option(
    "--values", is_flag=True,
    help="Replace all arguments, outputs and files by placeholders. Errors, logs and the config stay.",
)  # fmt: skip
def redact(
    *,
    path: str,
    output: str | None,
    given: tuple[str, ...],
    files: tuple[str, ...],
    arguments: tuple[str, ...],
    values: bool,
) -> None:
    """Write a copy of a trace with more redacted, before you share it.

    It also removes what recording removes by default, if the trace was written without redaction. The lines
    of the environment variable GRADIO_TRANSPORT_SECRETS are removed like those of --secret-file. The new
    trace replays as the old one. Exits with 1 if it may still contain a secret, no longer replays, or has no
    parameter of a name that you gave.

    \b
    Example:
      gradio-transport trace redact call.jsonl -o shared.jsonl --argument prompt
    """  # noqa: D301 - click reads the character
    if [path, *files].count(STANDARD_INPUT) > 1:
        raise click.UsageError("Standard input (-) can be read only once.")
    if output is None and path == STANDARD_INPUT:
        raise click.UsageError("For standard input, name the new trace with -o OUT.")
    terminal = current_terminal()
    secrets = [*dict.fromkeys(text for text in _secrets(given, files) if text.strip())]
    trace = read(path)
    if output == STANDARD_INPUT:
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder) / "trace.jsonl"
            found = redact_trace(trace, target, secrets=secrets, arguments=arguments, values=values)
            write(target.read_text("utf-8", errors="surrogateescape"))
    else:
        target = Path(output or _default_name(path))
        try:
            found = redact_trace(trace, target, secrets=secrets, arguments=arguments, values=values)
        except FileExistsError:
            raise click.UsageError(f"{target} exists already. Choose another name, or delete it.") from None
        except OSError as error:
            raise FileProblem(str(target), error.strerror or str(error)) from error
    if trace.truncated:
        what = f"{title(path)} is cut off within a line; all lines before it were read."
        terminal.print_line(("warning: ", "yellow"), (what, ""))
    _report(
        terminal, path, found, secrets, values=values, name="" if output == STANDARD_INPUT else str(target)
    )
    if found.left or found.problem or found.arguments:
        raise click.exceptions.Exit(FINDINGS)


def _default_name(path: str) -> str:
    return f"{path.removesuffix('.jsonl')}.redacted.jsonl"


def _secrets(given: Sequence[str], files: Sequence[str]) -> Iterator[str]:
    yield from given
    yield from os.environ.get(ENVIRONMENT_VARIABLE, "").splitlines()
    for name in files:
        try:
            data = sys.stdin.buffer.read() if name == STANDARD_INPUT else Path(name).read_bytes()
        except OSError as error:
            raise FileProblem(name, error.strerror or str(error)) from error
        yield from data.decode("utf-8", "replace").splitlines()


def _report(
    terminal: Terminal, path: str, found: Redaction, secrets: Sequence[str], *, values: bool, name: str
) -> None:
    """Report on stderr what was removed and what is left, never the texts themselves."""
    written = f" → {name}" if name else ""
    terminal.print_line((f"{title(path)}{written}", "bold"))
    for number, times in enumerate(found.secrets, 1):
        if times:
            terminal.print_line((f"  secret {number} of {len(secrets)}: removed, {count(times, 'time')}", ""))
        else:
            terminal.print_line((f"  secret {number} of {len(secrets)}: not in the trace", "yellow"))
    if found.values.values or found.values.files or values:
        files = f", {count(found.values.files, 'piece')} of files" if found.values.files else ""
        terminal.print_line((f"  placeholders: {count(found.values.values, 'value')}{files}", ""))
    for argument in found.arguments:
        terminal.print_line((f"  no endpoint of the trace has a parameter {argument!r}", "yellow"))
    for finding in found.left[:_SHOWN_LEFT]:
        terminal.print_line((f"  left: {finding.where}: {finding.what}", "yellow"))
    if len(found.left) > _SHOWN_LEFT:
        terminal.print_line((f"  left: {len(found.left) - _SHOWN_LEFT:,} more", "yellow"))
    if found.problem:
        terminal.print_line((f"  the new trace no longer replays: {found.problem}", "yellow"))
    if not found.left and not found.arguments:
        terminal.print_line(
            ("  found no other text that looks like a secret; check it yourself before you share it", "")
        )
