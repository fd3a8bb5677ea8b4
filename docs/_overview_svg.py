# SPDX-License-Identifier: Apache-2.0
"""Draws what the library does: apps of every generation, one message flow, three uses.

    python docs/_overview_svg.py       write docs/overview.svg, for the README

The generations are those of the recorded versions, the states those of `gradio_transport.protocol.flow`;
only the places are chosen here. The pages have the picture in two forms, for wide and for narrow windows.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from pathlib import Path

from gradio_transport.protocol.flow import TRANSITIONS, State
from gradio_transport_conformance.reenact.generation import Generation
from gradio_transport_conformance.traces import versions

FILE = Path(__file__).parent / "overview.svg"

USES = (
    ("Call an app", "events, files, sessions, retries: from threads, asyncio or trio"),
    ("Test a version", "recordings of real servers, faults, and grades for any client"),
    ("Debug the wire", "record, replay and compare the traffic of any program"),
)

_COLOURS = {"polling": "#b7791f", "websocket": "#8a63d2", "sse": "#2e9e5b"}
_ENDS = {State.COMPLETED: "#2e9e5b", State.FAILED: "#d1495b", State.CANCELLED: "#b7791f"}

_STYLE = (
    ".overview text{font:13px sans-serif;fill:currentColor}"
    ".overview text.title{font-weight:700;font-size:15px}"
    ".overview text.name{font-weight:600}.overview text.note{font-size:11.5px;opacity:.8}"
    ".overview rect{fill:currentColor;fill-opacity:.05;stroke:currentColor;stroke-width:1.3}"
    ".overview path{fill:none;stroke:currentColor;stroke-width:1.6}"
)
_OF_A_FILE = "svg{color:#1f2328}@media(prefers-color-scheme:dark){svg{color:#e6edf3}}"
"""A file that a page shows as an image takes no colour from the page."""

_TITLE, _LINE = 30, 15


def generations() -> dict[str, tuple[str, str]]:
    """Return the first and the last recorded version of each generation, the oldest first.

    A generation is the protocol of a plain call; the websocket has three dialects, each one of its own.
    """
    found: dict[str, tuple[str, str]] = {}
    for version in versions():
        name = protocol(version)
        if name == "websocket":
            name = Generation(version).queue.value
        first, _ = found.get(name, (version, version))
        found[name] = (first, version)
    return found


def protocol(version: str) -> str:
    """Return the adapter that the last run against a real server of a version chose for a plain call."""
    path = files("gradio_transport_conformance") / "results" / f"{version}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))
    return next(row["adapter"] for row in rows if row["case"] == "hello")


def pictures() -> str:
    """Return the picture for a page: one for wide windows, one for narrow ones."""
    return f'<div class="wide-only">{svg()}</div><div class="narrow-only">{svg(narrow=True)}</div>'


def svg(*, narrow: bool = False, style: str = "") -> str:
    """Return the picture: its parts beside each other, or one below the other."""
    parts: list[str] = []
    if narrow:
        width, y = 360, 0.0
        for place, draw in enumerate((_apps, _flow, _uses)):
            if place:
                parts.append(_arrow(f"M180,{y} V{y + 26}", narrow))
                y += 34
            drawn, height = draw(1, y, width - 2)
            parts.append(drawn)
            y += height + 8
        height = y
    else:
        width, each = 800, 225
        columns = ((_apps, 1), (_flow, 287), (_uses, 573))
        height = max(draw(0, 0, each)[1] for draw, _ in columns)
        for draw, x in columns:
            parts.append(draw(x, (height - draw(x, 0, each)[1]) / 2, each)[0])
        parts += [_arrow(f"M{x + each + 6},{height / 2} h48", narrow) for _, x in columns[:2]]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="overview" viewBox="0 0 {width} {height + 2:g}" '
        'role="img" aria-label="Apps of nine Gradio generations, one message flow, three uses" '
        f'style="max-width:100%;height:auto"><style>{_STYLE}{style}</style>'
        f'<defs><marker id="{_marker(narrow)}" viewBox="0 0 8 8" refX="8" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto"><path d="M0,0 L8,4 L0,8"/></marker></defs>'
        f"{''.join(parts)}</svg>"
    )


def _apps(x: float, y: float, width: float) -> tuple[str, float]:
    """Draw the generations, with the recorded versions of each; return the picture and its height."""
    parts = [_text("title", x + width / 2, y + 18, "Apps of nine generations")]
    top = y + _TITLE
    for name, (first, last) in generations().items():
        colour = next(colour for kind, colour in _COLOURS.items() if name.startswith(kind))
        span = first if first == last else f"{first} to {last}"
        parts += [
            _rect(x, top, width, 28, colour),
            _text("name", x + 12, top + 19, name, "start"),
            _text("note", x + width - 12, top + 19, f"Gradio {span}", "end"),
        ]
        top += 34
    return "".join(parts), top - 6 - y


def _flow(x: float, y: float, width: float) -> tuple[str, float]:
    """Draw the states of a call, each with the events that are new in it."""
    middle, top = x + width / 2, y + _TITLE
    parts = [_text("title", middle, y + 18, "One message flow")]
    seen: set[str] = set()
    for state in (State.JOINING, State.QUEUED, State.RUNNING):
        own = [event.__name__ for event, after in TRANSITIONS[state].items() if after is state]
        lines = textwrap.wrap(", ".join(name for name in own if name not in seen), 36)
        seen.update(own)
        parts += _card(x, top, width, state.value, lines, middle=True)
        top += 28 + len(lines) * _LINE
        parts.append(f'<path d="M{middle:g},{top:g} v14"/>')
        top += 14
    each = (width - 8 * (len(_ENDS) - 1)) / len(_ENDS)
    for place, (end, colour) in enumerate(_ENDS.items()):
        left = x + place * (each + 8)
        parts += [
            _rect(left, top, each, 28, colour),
            _text("note", left + each / 2, top + 19, end.value),
        ]
    return "".join(parts), top + 28 - y


def _uses(x: float, y: float, width: float) -> tuple[str, float]:
    """Draw the three uses."""
    parts = [_text("title", x + width / 2, y + 18, "Three uses")]
    top = y + _TITLE
    for title, words in USES:
        lines = textwrap.wrap(words, 34)
        parts += _card(x, top, width, title, lines)
        top += 28 + len(lines) * _LINE + 14
    return "".join(parts), top - 14 - y


def _card(
    x: float, y: float, width: float, title: str, lines: list[str], *, middle: bool = False
) -> Iterator[str]:
    left, anchor = (x + width / 2, "middle") if middle else (x + 14, "start")
    yield _rect(x, y, width, 28 + len(lines) * _LINE)
    yield _text("name", left, y + 19, title, anchor)
    for place, line in enumerate(lines, 1):
        yield _text("note", left, y + 20 + place * _LINE, line, anchor)


def _rect(x: float, y: float, width: float, height: float, colour: str = "") -> str:
    style = f' style="stroke:{colour};fill:{colour};fill-opacity:.12"' if colour else ""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="7"{style}/>'


def _arrow(way: str, narrow: bool) -> str:
    return f'<path d="{way}" marker-end="url(#{_marker(narrow)})"/>'


def _marker(narrow: bool) -> str:
    """Return the name of the arrowhead; two pictures of one page must not share one that may be hidden."""
    return "overview-narrow" if narrow else "overview-wide"


def _text(kind: str, x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def file() -> str:
    """Return the picture as a file of its own, in the colours of the reader's system."""
    return svg(style=_OF_A_FILE) + "\n"


if __name__ == "__main__":
    FILE.write_text(file(), encoding="utf-8")
