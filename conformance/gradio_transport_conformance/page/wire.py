# SPDX-License-Identifier: Apache-2.0
"""The traffic of a cell: the timeline of its trace in few rows, with the beginnings of the messages."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

from gradio_transport.trace.reader import TraceError, read_trace
from gradio_transport.trace.timeline.reading import Step, StepKind, Timeline, timeline

from .limits import cut

ROWS = 120
"""Rows of a cell. Of a longer conversation the middle is left out."""

FIRST_ROWS = 80

BODY = 300
"""Characters of a body or message."""

NAME = 200
"""Characters of a path or a name."""

_NUMBERED = re.compile(r"request-\d+")
"""A channel without a name of its own: each request has one."""


def wire_log(trace: str | None) -> dict[str, Any] | None:
    """Return the traffic of a cell, or None if there is none.

    It has ``seconds`` (its length), ``left_out`` (rows that are left out after row 80), and ``rows``: the
    owner, start and end in seconds, kind of step, name, path or text, HTTP status, bytes, the data sent, the
    reply, whether it failed.
    """
    if not trace:
        return None
    try:
        line = timeline(read_trace(io.StringIO(trace)))
    except (TraceError, ValueError) as error:
        return {"seconds": 0, "left_out": 0, "rows": [], "problem": cut(str(error), BODY)}
    rows = sorted(_rows(line), key=lambda row: row[1])
    left_out = max(0, len(rows) - ROWS)
    if left_out:
        rows = rows[:FIRST_ROWS] + rows[FIRST_ROWS + left_out :]
    return {"seconds": round(line.end - line.start, 4), "left_out": left_out, "rows": rows}


def _rows(line: Timeline) -> Iterator[list[Any]]:
    seen: set[int] = set()
    for owner, step in _steps(line):
        if id(step) not in seen and not step.derived:
            seen.add(id(step))
            yield _row(owner, step, line.start)


def _steps(line: Timeline) -> Iterator[tuple[str, Step]]:
    """Yield each step with the name of its owner; a step of a call may also belong to its session."""
    for call in line.calls:
        for step in call.steps:
            if not step.shared:
                yield cut(f"call {call.number} {call.display_name}", NAME), step
    for session in line.sessions:
        for step in session.steps:
            yield f"session {session.number}", step
    for step in line.discovery:
        yield "discovery", step
    for step in line.others:
        yield "" if _NUMBERED.fullmatch(step.channel) else cut(step.channel, NAME), step
    for call in line.calls:
        for step in call.steps:
            yield cut(f"call {call.number} {call.display_name}", NAME), step


def _row(owner: str, step: Step, start: float) -> list[Any]:
    is_request = step.kind is StepKind.REQUEST
    end = step.stream.end if step.stream is not None and step.stream.end is not None else step.end
    return [
        owner,
        round(step.t - start, 4),
        round(max(end, step.t) - start, 4),
        step.kind.value,
        cut(step.name, NAME),
        cut(step.target if is_request else _local_text(step), NAME),
        step.status,
        step.reply_size if is_request else step.size,
        _beginning(step.text) if step.kind is not StepKind.LOCAL else "",
        _beginning(step.reply_body) if is_request else "",
        int(step.failed),
    ]


def _local_text(step: Step) -> str:
    return ": ".join(filter(None, (step.error, step.message)))


def _beginning(body: str | bytes | None) -> str:
    if not body:
        return ""
    if isinstance(body, bytes):
        text = body[: 4 * BODY].decode("utf-8", "replace")
        return cut(text, BODY, total=max(len(body), len(text)))
    return cut(body, BODY)


__all__ = ["wire_log"]
