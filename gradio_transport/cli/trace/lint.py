# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace lint``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import click

from ...trace import Diagnosis, Finding, Severity, Source, Trace, diagnose, lint_trace, timeline
from ..terminal import Part, Terminal, current_terminal, write
from ..text import to_json
from .files import FINDINGS, read_readable, trace_arguments
from .report import count, frames_text, heading, print_group

_GROUPS = {Source.SERVER: "Server", Source.LIBRARY: "This library", Source.TRACE: "The trace"}

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


@click.command()
@trace_arguments
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each trace, on one line.")
@click.option("--strict", is_flag=True, help="Exit with 1 also for warnings.")
def lint(*, paths: tuple[str, ...], as_json: bool, strict: bool) -> None:
    """Check traces, and show what probably went wrong in their calls.

    A finding is about the server (it broke the protocol, or sent something unknown), this library (it would
    send something else today), or the trace itself (it is cut off, or may contain a secret). The diagnosis
    names the cause of failed calls, and the frames that show it. Exits with 1 if there is an error, and with
    2 if a file cannot be read, after the others were checked.

    \b
    Example:
      gradio-transport trace lint stall.jsonl
    """  # noqa: D301 - click reads the character
    terminal = current_terminal()
    found: list[Finding] = []
    for path, trace in read_readable(paths):
        line = timeline(trace)
        findings, diagnoses = lint_trace(trace, line=line), diagnose(trace, line=line)
        found += findings
        if as_json:
            write(to_json(_document(path, findings, diagnoses)) + "\n")
        else:
            _print(terminal, path, trace, findings, diagnoses)
    severities = {finding.severity for finding in found}
    if Severity.ERROR in severities or (strict and Severity.WARNING in severities):
        raise click.exceptions.Exit(FINDINGS)


def _print(
    terminal: Terminal,
    path: str,
    trace: Trace,
    findings: Sequence[Finding],
    diagnoses: Sequence[Diagnosis],
) -> None:
    told = [finding for finding in findings if finding.source in _GROUPS]
    counts = Counter(finding.severity for finding in told)
    numbers = [count(counts[severity], severity.value) for severity in Severity if counts[severity]]
    if not numbers:
        calls = count(len(diagnoses), "failure") if diagnoses else ""
        numbers = [f"no findings, {calls} diagnosed" if calls else "no findings"]
    terminal.print_line((heading(path, trace, *numbers), "bold"), to=terminal.out)
    for source, name in _GROUPS.items():
        print_group(terminal, name, _finding_lines(one for one in told if one.source is source))
    print_group(terminal, "Diagnosis", _diagnosis_lines(diagnoses))


def _finding_lines(findings: Iterator[Finding]) -> Iterator[Sequence[Part]]:
    for finding in findings:
        # If a finding has one frame, its place already names the frame.
        where = "" if finding.where.startswith("frame ") else frames_text(finding.frames)
        yield (
            (f"{finding.severity.value}: ", _STYLES[finding.severity]),
            (f"{finding.where}: {finding.what}{where}.", ""),
            (f" {finding.hint}" if finding.hint else "", "dim"),
        )


def _diagnosis_lines(diagnoses: Sequence[Diagnosis]) -> Iterator[Sequence[Part]]:
    for one in diagnoses:
        yield (
            (f"{one.where}: ", "cyan"),
            (f"{one.text}", ""),
            (f" {one.advice}" if one.advice else "", "dim"),
            (frames_text(one.frames), "dim"),
        )


def _document(path: str, findings: Sequence[Finding], diagnoses: Sequence[Diagnosis]) -> dict[str, Any]:
    return {
        "file": path,
        "findings": [
            {
                "source": one.source.value,
                "severity": one.severity.value,
                "where": one.where,
                "what": one.what,
                "session": one.session or None,
                "call": one.key or None,
                "frames": list(one.frames),
                "hint": one.hint or None,
            }
            for one in findings
        ],
        "diagnoses": [
            {
                "code": one.code,
                "where": one.where,
                "session": one.session or None,
                "call": one.key or None,
                "text": one.text,
                "advice": one.advice or None,
                "frames": list(one.frames),
            }
            for one in diagnoses
        ],
    }
