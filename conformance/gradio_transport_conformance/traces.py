# SPDX-License-Identifier: Apache-2.0
"""The traces that the kit ships: recorded from real servers, one for each version and case."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from .cases import numbers


def folder() -> Path:
    """Return where the traces are."""
    return Path(str(resources.files(__name__.rpartition(".")[0]))) / "traces"


def versions() -> list[str]:
    """Return the Gradio versions that were recorded, oldest first."""
    return sorted((one.name for one in folder().iterdir() if one.is_dir()), key=numbers)


def traces(version: str | None = None) -> list[Path]:
    """Return the paths of all traces, or those of a version, oldest version first, then by name."""
    chosen = versions() if version is None else [version]
    return [path for one in chosen for path in sorted((folder() / one).glob("*.jsonl"))]


def shipped_trace(name: str) -> Path:
    """Return the path of a trace, named by version and case: ``"6.31.0/count"``.

    Raises:
        LookupError: There is none; the message names those of the version, or the versions.
    """
    version, _, case = name.removesuffix(".jsonl").partition("/")
    path = folder() / version / f"{case}.jsonl"
    if version in versions() and path in traces(version):
        return path
    known = [one.stem for one in traces(version)] if version in versions() else versions()
    raise LookupError(f"no trace {name!r} is shipped; there are {', '.join(known)}")


__all__ = ["folder", "shipped_trace", "traces", "versions"]
