# SPDX-License-Identifier: Apache-2.0
"""Draws the message flow for the built pages, where nothing renders Mermaid without a network.

What stands in it comes from `gradio_transport.protocol.flow.TRANSITIONS`; only the places are chosen here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from html import escape

from gradio_transport.protocol.flow import FINAL, TRANSITIONS, State

WAY = (State.IDLE, State.JOINING, State.QUEUED, State.RUNNING)
ENDS = (State.CANCELLED, State.COMPLETED, State.FAILED)
COLOURS = {State.COMPLETED: "#2e9e5b", State.FAILED: "#d1495b", State.CANCELLED: "#c98a1b"}
WIDTH, HEIGHT = 130, 38
TOP, BOTTOM = 150, 330
LINE = 14

_STYLE = (
    "text{font:12px sans-serif;fill:currentColor}text.state{font-size:14px;font-weight:600}"
    "rect{fill:none;stroke:currentColor;stroke-width:1.5}path{fill:none;stroke:currentColor;stroke-width:1.2}"
)


def svg() -> str:
    """Return the picture."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 960 450" role="img" '
        'aria-label="The states of a call, and the events that lead from one to the next" '
        f'style="max-width:100%;height:auto"><style>{_STYLE}</style>'
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0,0 L8,4 L0,8" style="stroke:context-stroke"/></marker></defs>'
        f"{''.join(_parts())}</svg>"
    )


def _parts() -> Iterator[str]:
    for state in WAY:
        yield _box(state, _left(state), TOP)
        stays = _events(state, state)
        if stays:
            x = _left(state) + WIDTH / 2
            yield _path(f"M{x - 14},{TOP} C{x - 26},{TOP - 26} {x + 26},{TOP - 26} {x + 14},{TOP}")
            yield from _above(stays, x, TOP - 26)
    for one, other in itertools.pairwise(WAY):
        right, y = _left(one) + WIDTH, TOP + HEIGHT / 2
        yield _path(f"M{right},{y} L{_left(other)},{y}")
        yield from _above(_events(one, other) or ["submit"], (right + _left(other)) / 2, y - 6)
    yield from _overtaking()
    for end in ENDS:
        yield _box(end, _end_left(end), BOTTOM, COLOURS[end])
        named = dict.fromkeys(name for state in WAY for name in _events(state, end))
        for place, name in enumerate(named, 1):
            yield _text(name, _end_left(end) + WIDTH / 2, BOTTOM + HEIGHT + 2 + place * LINE)
        for place, state in enumerate(WAY):
            if _events(state, end):
                x = _left(state) + WIDTH * (ENDS.index(end) + 1) / 4
                to = _end_left(end) + WIDTH * (place + 1) / 5
                yield _path(f"M{x},{TOP + HEIGHT} L{to},{BOTTOM}", COLOURS[end])


def _overtaking() -> Iterator[str]:
    """Draw what leaves out a state: from joining straight to running."""
    for one, other in itertools.combinations(WAY, 2):
        names = _events(one, other)
        if names and WAY.index(other) > WAY.index(one) + 1:
            begin, end = _left(one) + WIDTH - 20, _left(other) + 6
            yield _path(f"M{begin},{TOP} C{begin + 30},10 {end - 50},10 {end},{TOP}")
            yield _text(", ".join(names), (begin + end) / 2 - 5, 38)


def _events(one: State, other: State) -> list[str]:
    return [event.__name__ for event, following in TRANSITIONS[one].items() if following is other]


def _left(state: State) -> float:
    return 10 + WAY.index(state) * 270


def _end_left(state: State) -> float:
    return 145 + ENDS.index(state) * 270


def _box(state: State, x: float, y: float, colour: str = "currentColor") -> str:
    def frame(inset: int) -> str:
        width, height = WIDTH - 2 * inset, HEIGHT - 2 * inset
        place = f'x="{x + inset}" y="{y + inset}" width="{width}" height="{height}"'
        return f'<rect {place} rx="{10 - inset / 2}" style="stroke:{colour}"/>'

    return (
        frame(0)
        + (frame(4) if state in FINAL else "")
        + f'<text class="state" x="{x + WIDTH / 2}" y="{y + 24}" text-anchor="middle">{state.value}</text>'
    )


def _path(way: str, colour: str = "currentColor") -> str:
    return f'<path d="{way}" style="stroke:{colour}" marker-end="url(#arrow)"/>'


def _above(names: list[str], x: float, y: float) -> Iterator[str]:
    for place, name in enumerate(reversed(names)):
        yield _text(name, x, y - place * LINE)


def _text(text: str, x: float, y: float) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="middle">{escape(text)}</text>'
