# SPDX-License-Identifier: Apache-2.0
"""The recorded runs: a file for each in ``benchmarks/results``, named by its time (UTC) and its commit.

``2026-11-25T1034-2abc6969.json`` is a run of the drivers, ``growth-...json`` one of the curves. The newest
of a kind is the last by name. A file holds the value of each round, from which medians and spreads are
computed, and the versions of Python, of the packages and of the library.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .environments import ROOT, versions

RESULTS = Path(__file__).parent / "results"

PACKAGES = ("aiohttp", "anyio", "gradio_client", "httpcore", "httpx", "uvloop", "websocket-client")
"""Packages whose versions change the figures."""


def about(rounds: int, environments: Sequence[str]) -> dict[str, Any]:
    """Return what a result says of its run: when, of what, by which versions.

    Args:
        rounds: How many rounds were measured.
        environments: Names of the environments that drivers ran in; the versions are those installed there.
    """
    installed: dict[str, str] = {}
    for name in environments:
        installed |= {_normal(package): version for package, version in versions(name).items()}
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H%M"),
        "commit": commit(),
        "library": importlib.metadata.version("gradio-transport"),
        "python": platform.python_version(),
        "system": platform.system(),
        "cores": os.cpu_count(),
        "rounds": rounds,
        "versions": {name: installed[_normal(name)] for name in PACKAGES if _normal(name) in installed},
    }


def _normal(package: str) -> str:
    return re.sub("[-_.]+", "_", package.lower())


def commit() -> str:
    """Return the short name of the commit checked out; a ``+`` follows if tracked files differ from it."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    name = git("rev-parse", "--short=8", "HEAD") or "unknown"
    return f"{name}+" if git("status", "--porcelain", "--untracked-files=no") else name


def record(document: dict[str, Any], kind: str = "", folder: Path = RESULTS) -> Path:
    """Write a result as a file of its own, and return its path."""
    said = document["about"]
    path = folder / f"{_prefix(kind)}{said['date']}-{said['commit']}.json"
    write(document, path)
    return path


def write(document: dict[str, Any], path: Path) -> None:
    """Write a result, the rounds of a figure on one line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1)
    path.write_text(re.sub(r"\[[^\[\]{}]*\]", _on_one_line, text) + "\n", encoding="utf-8")


def _on_one_line(found: re.Match[str]) -> str:
    return re.sub(r"\s*\n\s*", " ", found[0]).replace("[ ", "[").replace(" ]", "]")


def newest(kind: str = "", folder: Path = RESULTS) -> Path:
    """Return the path of the newest recorded run of a kind.

    Raises:
        FileNotFoundError: There is none.
    """
    found = sorted(folder.glob(f"{_prefix(kind)}[0-9]*.json"))
    if not found:
        raise FileNotFoundError(f"{folder} holds no recorded run{f' of kind {kind!r}' if kind else ''}.")
    return found[-1]


def _prefix(kind: str) -> str:
    return f"{kind}-" if kind else ""


def load(name: str | Path, folder: Path = RESULTS) -> dict[str, Any]:
    """Read a result by its path, by its name in ``benchmarks/results``, or by ``newest``.

    Raises:
        FileNotFoundError: There is no such file; the message lists the recorded runs.
    """
    names = (
        [newest(folder=folder)] if name == "newest" else [Path(name), folder / name, folder / f"{name}.json"]
    )
    path = next((one for one in names if one.is_file()), None)
    if path is None:
        known = ", ".join(sorted(one.stem for one in folder.glob("*.json")))
        raise FileNotFoundError(
            f"There is no result {str(name)!r}. Give a path, 'newest', or one of: {known}."
        )
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document
