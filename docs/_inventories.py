# SPDX-License-Identifier: Apache-2.0
"""Writes the inventories that intersphinx would fetch from other projects, so that a build needs no network.

Only the names that our docstrings and types use are listed. A name that is missing here is a warning of the
build, and a warning is an error.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import TypeAlias

Pages: TypeAlias = dict[str, dict[str, list[str]]]
"""Page, kind and names. Each name stands on its page under an anchor of its own full name."""

PYTHON: Pages = {
    "library/asyncio-future.html": {"function": ["asyncio.wrap_future"]},
    "library/collections.abc.html": {
        "class": [
            f"collections.abc.{name}"
            for name in (
                "AsyncGenerator",
                "AsyncIterable",
                "AsyncIterator",
                "Awaitable",
                "Callable",
                "Collection",
                "Generator",
                "Iterable",
                "Iterator",
                "Mapping",
                "Sequence",
            )
        ],
    },
    "library/concurrent.futures.html": {
        "class": ["concurrent.futures.Future"],
        "exception": ["concurrent.futures.CancelledError"],
        "function": ["concurrent.futures.as_completed"],
    },
    "library/datetime.html": {"class": ["datetime.datetime"]},
    "library/enum.html": {"class": ["enum.Enum", "enum.StrEnum"]},
    "library/os.html": {"class": ["os.PathLike"]},
    "library/pathlib.html": {"class": ["pathlib.Path"]},
    "library/ssl.html": {"class": ["ssl.SSLContext"]},
    "library/time.html": {"function": ["time.monotonic"]},
}

HTTPX: Pages = {"api/": {"class": ["httpx.AsyncClient", "httpx.Client"]}}

PACKAGING: Pages = {"version.html": {"class": ["packaging.version.Version"]}}

OPENTELEMETRY: Pages = {"api/trace.html": {"class": ["opentelemetry.trace.TracerProvider"]}}

PROJECTS = {
    "python": ("https://docs.python.org/3/", PYTHON),
    "httpx": ("https://www.python-httpx.org/", HTTPX),
    "opentelemetry": ("https://opentelemetry-python.readthedocs.io/en/latest/", OPENTELEMETRY),
    "packaging": ("https://packaging.pypa.io/en/stable/", PACKAGING),
}


def write(folder: Path) -> dict[str, tuple[str, str]]:
    """Write an inventory for each project; return the value of ``intersphinx_mapping``."""
    folder.mkdir(parents=True, exist_ok=True)
    mapping: dict[str, tuple[str, str]] = {}
    for project, (home, pages) in PROJECTS.items():
        path = folder / f"{project}.inv"
        path.write_bytes(_inventory(project, pages))
        mapping[project] = (home, str(path))
    return mapping


def _inventory(project: str, pages: Pages) -> bytes:
    """Return an inventory in version 2 of the format, which Sphinx describes in `sphinx.util.inventory`."""
    head = (
        f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    lines = [
        f"{name} py:{kind} 1 {page}#$ -\n"
        for page, kinds in pages.items()
        for kind, names in kinds.items()
        for name in names
    ]
    return head.encode() + zlib.compress("".join(lines).encode())
