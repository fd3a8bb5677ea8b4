# SPDX-License-Identifier: Apache-2.0
"""The parts of a script: variables of the environment, shell functions, and lines."""

from __future__ import annotations

import attrs

from .text import Variable


@attrs.define
class EnvironmentVariable:
    """A variable of the environment that a script reads.

    Attributes:
        name: Its name.
        what: What its value is, for people.
        required: Whether the script refuses to run without it.
    """

    name: str
    what: str
    required: bool = True


class ScriptParts:
    """The parts of a script, in the order in which they are found.

    Attributes:
        variables: The variables of the environment, by name.
        functions: The texts of the shell functions.
        lines: The lines that make the requests.
    """

    def __init__(self) -> None:
        self.variables: dict[str, EnvironmentVariable] = {}
        self.functions: list[str] = []
        self.lines: list[str] = []

    def use(self, *texts: str) -> None:
        """Include shell functions."""
        self.functions += [text for text in texts if text not in self.functions]

    def need(self, name: str, what: str, *, required: bool = True) -> Variable:
        """Declare a variable of the environment."""
        self.variables.setdefault(name, EnvironmentVariable(name, what, required))
        return Variable(name)

    def add(self, *lines: str) -> None:
        """Add lines."""
        self.lines += lines


__all__ = ["EnvironmentVariable", "ScriptParts"]
