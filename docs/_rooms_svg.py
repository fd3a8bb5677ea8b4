# SPDX-License-Identifier: Apache-2.0
"""Draws the packages of the library and the order in which they may import each other.

Both come from the contracts of import-linter in ``pyproject.toml``; only the places are chosen here.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CORE = "gradio_transport"

ROW, BOX = 46, 34
LEFT, RIGHT, TOP = 270, 700, 44
SIDE_WIDTH = 215
GAP = 12

_STYLE = (
    ".rooms text{font:13px sans-serif;fill:currentColor}.rooms text.title{font-weight:600}"
    ".rooms text.note{font-size:11px;opacity:.75}"
    ".rooms rect{fill:currentColor;fill-opacity:.06;stroke:currentColor;stroke-width:1.3}"
    ".rooms rect.module{fill:none;stroke-dasharray:4 3}.rooms rect.group{fill:none;stroke-opacity:.5}"
    ".rooms path{fill:none;stroke:currentColor;stroke-width:1.3}"
)


@functools.cache
def _contracts() -> list[dict[str, Any]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return project["tool"]["importlinter"]["contracts"]


def layers() -> list[list[str]]:
    """Return the rows of the contract of layers, the upper one first."""
    (contract,) = [contract for contract in _contracts() if contract["type"] == "layers"]
    return [[name.strip() for name in row.split("|")] for row in contract["layers"]]


def adapters() -> list[str]:
    """Return the packages that must not import each other."""
    (contract,) = [contract for contract in _contracts() if contract["type"] == "independence"]
    return list(contract["modules"])


def mermaid() -> str:
    """Return the same as source of a Mermaid diagram."""
    rows = layers()
    lines = ["flowchart TD", *(f'    row{place}["{" | ".join(row)}"]' for place, row in enumerate(rows))]
    lines.append("    " + " --> ".join(f"row{place}" for place in range(len(rows))))
    (own,) = [place for place, row in enumerate(rows) if "adapter" in row]
    lines.append(f'    adapters["{"<br/>".join(adapters())}"] --> row{own}')
    return "\n".join(lines) + "\n"


def svg() -> str:
    """Return the picture."""
    height = TOP + len(layers()) * ROW + 14
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rooms" viewBox="0 0 {RIGHT + 14} {height}" '
        'role="img" '
        'aria-label="The packages of the library from top to bottom; each may import those below it" '
        f'style="max-width:100%;height:auto"><style>{_STYLE}</style>'
        '<defs><marker id="import" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L8,4 L0,8"/></marker></defs>'
        f"{''.join(_parts())}</svg>"
    )


def _parts() -> Iterator[str]:
    rows = layers()
    yield _rect("group", LEFT - GAP, 8, RIGHT - LEFT + 2 * GAP, TOP + len(rows) * ROW - 8)
    yield _text("title", LEFT, 30, CORE, "start")
    yield _text("note", RIGHT, 30, "each may import what is below it", "end")
    for place, row in enumerate(rows):
        width = (RIGHT - LEFT - GAP * (len(row) - 1)) / len(row)
        for column, name in enumerate(row):
            x, y = LEFT + column * (width + GAP), TOP + place * ROW
            yield _rect("room" if (ROOT / CORE / name).is_dir() else "module", x, y, width, BOX)
            yield _text("title", x + width / 2, y + 22, name)
            if name == "adapter":
                yield from _packages(x, y)


def _packages(x: float, y: float) -> Iterator[str]:
    """Draw the adapters, one above the other; their arrow ends at the package they may import."""
    names = adapters()
    first = y - (len(names) - 1) * ROW
    yield _text("note", 8, first - 8, "import nothing else of the core, nor each other", "start")
    for place, name in enumerate(names):
        top = first + place * ROW
        yield _rect("room", 8, top, SIDE_WIDTH, BOX)
        yield _text("title", 8 + SIDE_WIDTH / 2, top + 22, name)
    bend, middle = 8 + SIDE_WIDTH + 14, y + BOX / 2
    for place in range(len(names)):
        yield f'<path d="M{8 + SIDE_WIDTH},{first + place * ROW + BOX / 2} H{bend} V{middle}"/>'
    yield f'<path d="M{bend},{middle} H{x}" marker-end="url(#import)"/>'


def _rect(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7"/>'


def _text(kind: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'
