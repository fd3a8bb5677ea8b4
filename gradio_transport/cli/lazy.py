# SPDX-License-Identifier: Apache-2.0
"""`LazyGroup`: a group of commands that imports a command when it is used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands are imported one by one.

    The imports of all commands take longer than most commands run.

    Args:
        lazy: Name of a command -> ``"package.module:attribute"``.
        attributes: As for `click.Group`.
    """

    def __init__(self, *, lazy: Mapping[str, str], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._lazy = dict(lazy)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, sorted as click sorts them."""
        return sorted({*self._lazy, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command, and return it. Return None if there is no such command."""
        place = self._lazy.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command
