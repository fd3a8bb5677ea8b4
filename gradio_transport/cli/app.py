# SPDX-License-Identifier: Apache-2.0
"""The group of commands. It turns errors into exit statuses."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

import click

from ..errors import GradioTransportError, MalformedMessage
from .failures import EXIT_STATUSES, ExitStatus, exit_status, report
from .lazy import LazyGroup
from .terminal import Terminal, tolerate_any_text

COMMANDS: Mapping[str, str] = {
    "adapters": f"{__package__}.about:adapters",
    "call": f"{__package__}.call:call",
    "completion": f"{__package__}.completion:completion",
    "demo": f"{__package__}.demo:demo",
    "doctor": f"{__package__}.doctor:doctor",
    "explain": f"{__package__}.about:explain",
    "list": f"{__package__}.list:list_endpoints",
    "map": f"{__package__}.map:map_rows",
    "predict": f"{__package__}.call:predict",
    "record": f"{__package__}.record:record",
    "survey": f"{__package__}.survey:survey",
    "trace": f"{__package__}.trace.group:trace",
}
"""The module of each command; see `LazyGroup`."""

ALIASES: Mapping[str, str] = {"ls": "list", "info": "list", "run": "call"}
"""Aliases of commands, known from other Gradio tools."""


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""Errors of an output that accepts no more data."""


class _Commands(LazyGroup):
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by its name or an alias."""
        return super().get_command(ctx, ALIASES.get(cmd_name, cmd_name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands and their aliases."""
        super().format_commands(ctx, formatter)
        with formatter.section("Other names"):
            formatter.write_dl([(alias, f"the same as {name}") for alias, name in ALIASES.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, and exit with the documented status."""
        try:
            return super().invoke(ctx)
        except GradioTransportError as error:
            raise _exit(error) from error
        except OSError as error:
            if error.errno not in _FULL:  # after a closed pipe click exits without a message
                raise
            raise click.ClickException(f"The output cannot be written: {error.strerror}.") from error
        except RecursionError as error:
            raise _exit(MalformedMessage("The reply of the server is nested too deeply to print.")) from error
        except (KeyboardInterrupt, click.Abort):
            raise click.exceptions.Exit(int(ExitStatus.INTERRUPTED)) from None


def _exit(error: GradioTransportError) -> click.exceptions.Exit:
    report(error)
    return click.exceptions.Exit(int(exit_status(error)))


@click.group(
    cls=_Commands,
    lazy=COMMANDS,
    epilog=EXIT_STATUSES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="gradio-transport", prog_name="gradio-transport")
@click.pass_context
def commands(context: click.Context) -> None:
    """Call any Gradio app from version 2.x on, with the protocol of its version.

    SOURCE is the URL of an app, such as http://127.0.0.1:7860, or the name of a Space, owner/name. Try
    `gradio-transport demo` first: it needs no network and no Gradio.
    """
    tolerate_any_text()
    context.obj = Terminal()


def run() -> None:
    """Run the command line and exit."""
    commands(prog_name="gradio-transport")
