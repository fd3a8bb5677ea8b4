# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport completion``."""

from __future__ import annotations

from typing import cast

import click
from click.shell_completion import ShellComplete, get_completion_class

from .terminal import write

_LINES = {
    "bash": 'eval "$(gradio-transport completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(gradio-transport completion zsh)"   # in ~/.zshrc',
    "fish": "gradio-transport completion fish > ~/.config/fish/completions/gradio-transport.fish",
}

_HELP = "Print the script that completes commands in a SHELL.\n\n\b\n" + "\n".join(
    f"  {line}" for line in _LINES.values()
)


@click.command(help=_HELP)
@click.argument("shell", type=click.Choice(list(_LINES)))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Run the command; its help is above."""
    kind = cast("type[ShellComplete]", get_completion_class(shell))
    root = context.find_root().command
    write(kind(root, {}, "gradio-transport", "_GRADIO_TRANSPORT_COMPLETE").source() + "\n")
