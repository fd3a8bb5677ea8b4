# SPDX-License-Identifier: Apache-2.0
"""The output of the commands that check traces: a title, and groups of lines with places in the trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, cast

from ...trace import Kind, Trace
from ..terminal import Part, Terminal
from ..text import duration
from .files import title

SHOWN = 50
"""The most lines that are printed of a group; ``--json`` has all."""

_SHOWN_FRAMES = 5


def heading(path: str, trace: Trace, *more: str) -> str:
    """Return the title of a trace: its name, version, adapter, size, and the findings."""
    meta = trace.meta
    version = meta.get("gradio")
    adapters: Any = meta.get("adapter")
    names = ", ".join(map(str, cast("list[Any]", adapters))) if isinstance(adapters, list) else ""
    calls = sum(frame.kind is Kind.CALL for frame in trace.frames)
    parts = [
        f"Gradio {version}" if isinstance(version, str) else "",
        f"by {names}" if names else "",
    ]
    if trace.truncated:
        more = (*more, "cut off within a line")
    length = trace.frames[-1].t - trace.frames[0].t if trace.frames else 0.0
    about = [" ".join(part for part in parts if part), count(calls, "call"), duration(length), *more]
    return f"{title(path)}: {', '.join(part for part in about if part)}"


def count(number: int, what: str) -> str:
    """Return ``"1 call"`` or ``"3 calls"``."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def frames_text(frames: Sequence[int]) -> str:
    """Return the place of a finding, such as ``" (frames 12, 15 and 40 more)"``; empty without frames."""
    if not frames:
        return ""
    if len(frames) == 1:
        return f" (frame {frames[0]})"
    named = ", ".join(map(str, frames[:_SHOWN_FRAMES]))
    more = f" and {len(frames) - _SHOWN_FRAMES:,} more" if len(frames) > _SHOWN_FRAMES else ""
    return f" (frames {named}{more})"


def print_group(
    terminal: Terminal, name: str, lines: Iterable[Sequence[Part]], most: int | None = SHOWN
) -> None:
    """Print the first lines of a group under its name; nothing for a group without lines."""
    found = list(lines)
    if not found:
        return
    terminal.print_line((name, "bold"), to=terminal.out)
    for parts in found[:most]:
        terminal.print_line(("- ", "dim"), *parts, to=terminal.out)
    if most is not None and len(found) > most:
        terminal.print_line((f"- and {len(found) - most:,} more (--json has all)", "dim"), to=terminal.out)


__all__ = ["SHOWN", "count", "frames_text", "heading", "print_group"]
