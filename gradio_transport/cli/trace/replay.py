# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace replay``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import click

from ...errors import GradioTransportError
from ...events import Event
from ...trace import Replay, Trace
from ...trace import replay as replay_trace
from ..terminal import Part, Terminal, current_terminal, write
from ..text import describe, error_object, event_object, one_line, to_json, wire_name
from .files import FINDINGS, read_each, trace_arguments
from .report import count, heading, print_group

_SHOWN_WIDTH = 200


@click.command()
@trace_arguments
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each trace, on one line.")
@click.option("--events", "with_events", is_flag=True, help="Print every event of the calls.")
def replay(*, paths: tuple[str, ...], as_json: bool, with_events: bool) -> None:
    """Replay traces through the adapters of this version, without a network.

    It shows how this version reads the recorded replies: the events and the result of each call. A mismatch
    is a request that this version would send differently. Exits with 1 if there is one.

    \b
    Example:
      gradio-transport trace replay count.jsonl --events
    """  # noqa: D301 - click reads the character
    terminal = current_terminal()
    is_exact = True
    for path, trace in zip(paths, read_each(paths), strict=True):
        result, failure = _replayed(trace, light=not with_events)
        is_exact = is_exact and failure is None and not (result.mismatches or result.outstanding)
        if as_json:
            write(to_json(_document(path, result, failure, with_events)) + "\n")
        else:
            _print(terminal, path, trace, result, failure, with_events)
    if not is_exact:
        raise click.exceptions.Exit(FINDINGS)


def _replayed(trace: Trace, *, light: bool) -> tuple[Replay, GradioTransportError | None]:
    try:
        return replay_trace(trace, light=light), None
    except GradioTransportError as error:
        return Replay(), error


def _print(
    terminal: Terminal,
    path: str,
    trace: Trace,
    result: Replay,
    failure: GradioTransportError | None,
    with_events: bool,
) -> None:
    wrong = len(result.mismatches) + len(result.outstanding)
    if failure is not None:
        said = "cannot be replayed"
    else:
        said = ("1 mismatch" if wrong == 1 else f"{wrong:,} mismatches") if wrong else "replays exactly"
    terminal.print_line((heading(path, trace, said), "bold"), to=terminal.out)
    if failure is not None:
        terminal.print_line(("- ", "dim"), ("error: ", "bold red"), (failure.message, ""), to=terminal.out)
    print_group(terminal, "Discovery", [((_error_line(error), "yellow"),) for error in result.refusals])
    for (session, key), events in result.events.items():
        name = f"Call {key} of session {session}, {result.endpoints[session, key]}: {_outcome(events)}"
        if with_events:
            print_group(terminal, name, _event_lines(events), most=None)
        else:
            terminal.print_line((name, ""), to=terminal.out)
    print_group(terminal, "Mismatches", _mismatch_lines(trace, result))


def _outcome(events: Sequence[Event]) -> str:
    number = count(len(events), "event")
    if not events or not events[-1].terminal:
        return f"{number}, not over"
    error: object = getattr(events[-1], "error", None)
    if isinstance(error, GradioTransportError):
        return f"{number}, {wire_name(events[-1])}: {one_line(_error_line(error), _SHOWN_WIDTH)}"
    return f"{number}, {wire_name(events[-1])}: {describe(events[-1], _SHOWN_WIDTH)}".rstrip(": ")


def _event_lines(events: Sequence[Event]) -> Iterator[Sequence[Part]]:
    for event in events:
        said = describe(event, _SHOWN_WIDTH)
        yield (wire_name(event), "cyan"), (f" {said}" if said else "", "")


def _mismatch_lines(trace: Trace, result: Replay) -> Iterator[Sequence[Part]]:
    for mismatch in result.mismatches:
        frame = trace.frames[mismatch.frame]
        where = f"after frame {mismatch.frame} ({frame.kind.value} {frame.channel}".rstrip() + ")"
        yield (
            (where, "cyan"),
            (": expected ", "dim"),
            (mismatch.expected, ""),
            (", got ", "dim"),
            (mismatch.actual, ""),
        )
    for text in result.outstanding:
        yield (("at the end", "cyan"), (f": {text}", ""))


def _error_line(error: GradioTransportError) -> str:
    return f"{type(error).__name__}: {error.message}"


def _document(
    path: str, result: Replay, failure: GradioTransportError | None, with_events: bool
) -> dict[str, Any]:
    return {
        "file": path,
        "error": None if failure is None else error_object(failure),
        "discovery": [error_object(error) for error in result.refusals],
        "calls": [
            {
                "session": session,
                "call": key,
                "endpoint": result.endpoints[session, key],
                "over": bool(events) and events[-1].terminal,
                "events": len(events),
                "last": event_object(events[-1], 0.0) if events else None,
                "deviations": result.deviations.get((session, key), []),
                **({"all": [event_object(event, 0.0) for event in events]} if with_events else {}),
            }
            for (session, key), events in result.events.items()
        ],
        "mismatches": [
            {"frame": one.frame, "expected": one.expected, "got": one.actual} for one in result.mismatches
        ],
        "outstanding": list(result.outstanding),
    }
