# SPDX-License-Identifier: Apache-2.0
"""The group of commands, and the one place where errors become exit statuses."""

from __future__ import annotations

from typing import Any

import click

from ..errors import GradioTransportError, MalformedMessage
from .about import adapters, explain
from .call import call
from .demo import demo
from .failures import EXIT_STATUSES, Status, report, status_of
from .list import list_endpoints
from .terminal import Terminal, tolerate_any_text


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; end as the documented statuses say."""
        try:
            return super().invoke(ctx)
        except GradioTransportError as error:
            raise _ended(error) from error
        except RecursionError as error:
            raise _ended(MalformedMessage("What the server sent is nested too deeply to print.")) from error
        except (KeyboardInterrupt, click.Abort):
            raise click.exceptions.Exit(int(Status.INTERRUPTED)) from None


def _ended(error: GradioTransportError) -> click.exceptions.Exit:
    report(error)
    return click.exceptions.Exit(int(status_of(error)))


@click.group(cls=_Commands, epilog=EXIT_STATUSES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="gradio-transport", prog_name="gradio-transport")
@click.pass_context
def commands(context: click.Context) -> None:
    """Talk to any Gradio app from 2.x on, by whatever protocol it speaks.

    SOURCE is the URL of an app, such as http://127.0.0.1:7860. Try `gradio-transport demo` first: it needs
    no network and no Gradio.
    """
    tolerate_any_text()
    context.obj = Terminal()


for command in (list_endpoints, call, explain, adapters, demo):
    commands.add_command(command)


def run() -> None:
    """Run the command line and exit."""
    commands(prog_name="gradio-transport")
