# SPDX-License-Identifier: Apache-2.0
"""Draws the support matrix: protocols by Gradio versions, from the results behind docs/support-matrix.md.

    python docs/_matrix_svg.py       write docs/support-matrix.svg, for the README

The pages have the picture in two forms: versions from left to right for wide windows, from top to bottom for
narrow ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path

import attrs

from gradio_transport_conformance.cases import numbers
from gradio_transport_conformance.grading import Grade

FILE = Path(__file__).parent / "support-matrix.svg"

ORDER = ("polling", "websocket", "sse", "sse_v1", "sse_v2", "sse_v2.1", "sse_v3", "direct", "call", "call_v2")

PASSED, KNOWN, FAILED = "#2e9e5b", "#c98a1b", "#d1495b"
LEGEND = ((PASSED, "every case passes"), (KNOWN, "all pass but for a bug of that server"))

_STYLE = (
    ".matrix text{font:12px sans-serif;fill:currentColor}.matrix text.name{font-size:13.5px;font-weight:600}"
    ".matrix path{stroke:currentColor;stroke-opacity:.18;fill:none}"
    ".matrix text.sign{fill:#fff;font-weight:700}"
)
_OF_A_FILE = "svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}"
"""A file that a page shows as an image takes no colour from the page."""


@attrs.frozen
class Square:
    """What one adapter got on one version: the cases of each grade."""

    passed: int
    known: int
    failed: int


def squares() -> dict[str, dict[str, Square]]:
    """Return the squares by version, the oldest first, and by adapter."""
    folder = files("gradio_transport_conformance") / "results"
    names = sorted((one.name.removesuffix(".json") for one in folder.iterdir()), key=numbers)
    return {
        version: _squares(json.loads((folder / f"{version}.json").read_text(encoding="utf-8")))
        for version in names
    }


def _squares(rows: list[Mapping[str, str]]) -> dict[str, Square]:
    cases: dict[str, dict[str, set[str]]] = {}
    for row in rows:
        if row.get("adapter") and row["grade"] != Grade.UNSUPPORTED.value:
            cases.setdefault(row["adapter"], {}).setdefault(row["case"], set()).add(row["grade"])
    return {adapter: _square(list(grades.values())) for adapter, grades in cases.items()}


def _square(cases: list[set[str]]) -> Square:
    """Count cases; one that two faces played has the worse grade."""
    passed = sum(grades == {Grade.PASS.value} for grades in cases)
    known = sum(grades <= {Grade.PASS.value, Grade.KNOWN_FAIL.value} for grades in cases) - passed
    return Square(passed, known, len(cases) - passed - known)


def pictures() -> str:
    """Return the picture for a page: one for wide windows, one for narrow ones."""
    return f'<div class="wide-only">{svg()}</div><div class="narrow-only">{svg(narrow=True)}</div>'


def svg(*, narrow: bool = False, style: str = "") -> str:
    """Return the picture, with versions from left to right, or from top to bottom."""
    found = squares()
    step = 14.5 if narrow else 19.0
    places: dict[str, float] = {}
    place, major = 0.0, ""
    for version in found:
        place += (6 if major and version.split(".")[0] != major else 0) + (step if places else 0)
        major = version.split(".")[0]
        places[version] = place
    end = place + step
    if narrow:
        width, height = 360.0, 78 + end + 52
        body = _squares_at(found, {v: 78 + p for v, p in places.items()}, narrow, step)
        legend = _legend(4, 78 + end + 18, below=True)
    else:
        width, height = 84 + end + 2, len(ORDER) * 22 + 50 + 30
        body = _squares_at(found, {v: 84 + p for v, p in places.items()}, narrow, step)
        legend = _legend(84, height - 10, below=False)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="matrix" viewBox="0 0 {width:g} {height:g}" '
        f'role="img" aria-label="Which protocol each of {len(found)} Gradio versions speaks, '
        'and whether every case passes there" '
        f'style="max-width:100%;height:auto"><style>{_STYLE}{style}</style>'
        f"{''.join(body)}{''.join(legend)}</svg>"
    )


def _squares_at(
    found: Mapping[str, Mapping[str, Square]], places: Mapping[str, float], narrow: bool, step: float
) -> Iterator[str]:
    """Draw names, lines and squares; `places` are along the versions."""
    first, last = min(places.values()), max(places.values()) + step
    for row, name in enumerate(ORDER):
        if narrow:
            x = 50 + row * 31
            yield f'<path d="M{x + 15:g},{first:g} V{last:g}"/>'
            yield _text("name", x + 19, first - 6, name, "start", turned=True)
        else:
            y = 4 + row * 22
            yield f'<path d="M{first:g},{y + 9:g} H{last:g}"/>'
            yield _text("name", first - 8, y + 13, name, "end")
    for version, place in places.items():
        if narrow:
            yield _text("version", 44, place + 11, version, "end")
        else:
            yield _text("version", place + step / 2 + 4, len(ORDER) * 22 + 6, version, "end", turned=True)
        for name, square in found[version].items():
            row = ORDER.index(name)
            x, y = (50 + row * 31, place) if narrow else (place, 4 + row * 22)
            yield _drawn(square, f"{name} on Gradio {version}", x, y, *((30, 13) if narrow else (18, 18)))


def _drawn(square: Square, where: str, x: float, y: float, width: float, height: float) -> str:
    colour = FAILED if square.failed else KNOWN if square.known else PASSED
    words = f"{where}: {square.passed} cases pass" + (
        f", {square.known} known to fail" if square.known else ""
    )
    sign = "" if colour == PASSED else _text("sign", x + width / 2, y + height / 2 + 4, "✗", "middle")
    return (
        f'<g><title>{escape(words)}</title><rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'rx="3" fill="{colour}"/>{sign}</g>'
    )


def _legend(x: float, y: float, *, below: bool) -> Iterator[str]:
    for place, (colour, words) in enumerate(LEGEND):
        left, base = (x, y + place * 20) if below else (x + place * 160, y)
        yield f'<rect x="{left:g}" y="{base - 10:g}" width="12" height="12" rx="3" fill="{colour}"/>'
        yield _text("legend", left + 18, base, words, "start")


def _text(kind: str, x: float, y: float, text: str, anchor: str, *, turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:g} {y:g})"' if turned else ""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}"{turn}>{escape(text)}</text>'


def file() -> str:
    """Return the picture as a file of its own, in the colours of the reader's system."""
    return svg(style=_OF_A_FILE) + "\n"


if __name__ == "__main__":
    FILE.write_text(file(), encoding="utf-8")
