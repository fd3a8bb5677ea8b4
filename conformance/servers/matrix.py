# SPDX-License-Identifier: Apache-2.0
"""The available versions, as listed in `matrix.toml`."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .errors import UnknownVersion

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Entry:
    """One server of the matrix.

    Attributes:
        version: The Gradio release, as its distribution is numbered.
        wire: The protocol of this server, in words.
        python: The Python minor version of its environment.
        lock: The exact requirements of its environment.
    """

    version: str
    wire: str
    python: str
    lock: Path


@cache
def matrix() -> dict[str, Entry]:
    """Every server, by version, oldest first."""
    tables = tomllib.loads((HERE / "matrix.toml").read_text(encoding="utf-8"))["server"]
    entries = [
        Entry(version=table["gradio"], wire=table["wire"], python=table["python"], lock=HERE / table["lock"])
        for table in tables
    ]
    return {entry.version: entry for entry in entries}


def find(version: str) -> Entry:
    """The entry of `version`, or `UnknownVersion`."""
    try:
        return matrix()[version]
    except KeyError:
        raise UnknownVersion(f"{version} is not in the matrix; it has {', '.join(matrix())}") from None
