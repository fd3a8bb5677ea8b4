# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace show``."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence

import attrs
import click

from ...trace import Finding, Severity, Timeline, Trace
from ...trace.adapters import is_gradio_adapter
from ...trace.timeline.reading import (
    DEFAULT_SILENCE,
    CallTimeline,
    Outcome,
    SessionTimeline,
    Silence,
    Step,
    StepKind,
    timeline,
)
from ..terminal import current_terminal
from .brief import CUT, count, size, took
from .files import read_each, title, trace_arguments
from .findings import Findings, find
from .follow import follow
from .frames import frame_lines
from .lines import CLUE, Line, error_lines, header, note, phases, silence_line, step_lines, text_lines
from .live import LivePrinter
from .printing import Printer
from .selection import Selection
from .show_json import document


@click.command()
@trace_arguments
@click.option("--call", "calls", type=click.IntRange(1), multiple=True, metavar="N", help="Show only call N.")
@click.option("--frames", is_flag=True, help="Show every frame, with headers and whole bodies.")
@click.option("--events", is_flag=True, help="Show only the messages of the server.")
@click.option(
    "--only", metavar="NAMES",
    help="Show only these channels or phases, separated by commas: stream,join,upload.",
)  # fmt: skip
@click.option("--discovery", is_flag=True, help="Also show the requests of the discovery, and heartbeats.")
@click.option(
    "--silence", type=click.FloatRange(0.001), default=DEFAULT_SILENCE, show_default=True, metavar="SECONDS",
    help="Mark silences of at least this length.",
)  # fmt: skip
@click.option("--lint/--no-lint", default=True, help="Show the findings of lint.", show_default=True)
@click.option(
    "-f", "--follow", "follows", is_flag=True, help="Keep showing what is added to the file, until Ctrl-C."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for each file.")
def show(
    *,
    paths: Sequence[str],
    calls: Sequence[int],
    frames: bool,
    events: bool,
    only: str | None,
    discovery: bool,
    silence: float,
    lint: bool,
    follows: bool,
    as_json: bool,
) -> None:
    """Show the calls of a trace, with their requests, events and times.

    A call has a title with its outcome, and below it the steps, with seconds since the start of the trace: →
    sent, ← received, • done by the client, ✗ a failure, ┆ a silence, ! a finding of lint.

    \b
    Example:
      gradio-transport trace show count.jsonl
      gradio-transport trace show --call 2 --events count.jsonl
      gradio-transport trace show --follow count.jsonl
    """  # noqa: D301 - click reads the character
    terminal = current_terminal()
    selection = Selection.of(calls, events, only, discovery)
    if follows:
        if len(paths) > 1 or frames:
            raise click.UsageError("--follow takes one file, and excludes --frames.")
        follow(paths[0], LivePrinter(terminal, selection=selection, silence=silence, as_json=as_json))
        return
    traces = read_each(paths)
    for place, (path, trace) in enumerate(zip(paths, traces, strict=True)):
        line = timeline(trace)
        selection.check(line, title(path))
        found = find(trace, line) if lint else Findings()
        if as_json:
            Printer(terminal).print_object(document(title(path), line, found, selection))
            continue
        shown = _Show(Printer(terminal), selection, silence, line, found)
        if place:
            shown.printer.blank()
        shown.print_title(title(path))
        if frames:
            shown.print_frames(trace)
        else:
            shown.print_all()


_RECORDERS = {"proxy": "recorded by a proxy", "har": "from a HAR file"}


@attrs.frozen
class _Show:
    """The printing of one trace."""

    printer: Printer
    selection: Selection
    silence: float
    line: Timeline
    found: Findings

    def print_title(self, name: str) -> None:
        """Print the line about the whole trace."""
        line = self.line
        version = line.meta.get("gradio")
        is_gradio = all(is_gradio_adapter(name) for name in line.adapters)
        app = f"Gradio {version}" if version else "Gradio" if is_gradio else ""
        adapters = f"by {', '.join(line.adapters)}" if line.adapters else ""
        parts = [
            f"{app} {adapters}".strip(),
            count(len(line.sessions), "session"),
            count(len(line.calls), "call"),
            took(line.seconds),
        ]
        recorder = _RECORDERS.get(str(line.meta.get("recorder")))
        if recorder is not None:
            parts.append(recorder)
        cut = ", cut off within a line" if line.truncated else ""
        text = ", ".join(parts) + cut
        room = max(self.printer.width - len(text) - 2, 12)
        name = name if len(name) <= room else CUT + name[1 - room :]
        self.printer.print(Line([(f"{name}: ", "bold"), (text, "")]))
        self._print_findings(self.found.whole)
        self._print_diagnoses(0)

    def print_all(self) -> None:
        """Print the discovery, the calls in the order of their start, and the steps outside calls."""
        if not self.selection.calls:
            self._print_discovery()
        inside, between = self._place_others()
        for call in self.line.calls:
            self._print_between(between.get(call.number - 1, ()))
            if self.selection.has_call(call):
                self._print_call(call, inside.get(call.number, ()))
        self._print_between(between.get(len(self.line.calls), ()))
        if not self.selection.calls:
            for session in self.line.sessions:
                self._print_session(session)

    def print_frames(self, trace: Trace) -> None:
        """Print every frame."""
        for lines in frame_lines(trace, self.line, self.selection):
            self.printer.blank()
            for line in lines:
                self.printer.print(line, whole=True)

    # --- the discovery, and the steps outside calls -------------------------------------------------

    def _print_discovery(self) -> None:
        steps = self.line.discovery
        if not steps or self.selection.events:
            return
        told = {step.message for step in steps if step.kind is StepKind.REQUEST and step.error}
        wanted = [
            step
            for step in steps
            if self.selection.has_step(step) and not (step.kind is StepKind.LOCAL and step.message in told)
        ]
        broken = [
            step for step in steps if step.error or (step.status or 0) >= 500 or step.reply_frame is None
        ]
        if self.selection.discovery or broken or len(self.line.calls) == 0:
            if wanted:
                self.printer.blank()
                self._print_recorder()
                self.printer.print(Line([("discovery", "bold")], [(self._discovery_text(), "dim")]))
                self._print_steps(wanted)
        elif not self.selection.only:
            self.printer.print(Line([("discovery: ", "dim"), (self._discovery_text(), "dim")]))

    def _print_recorder(self) -> None:
        meta = self.line.meta
        names = ("library", "python", "platform", "engine", "source")
        values = [f"{name} {meta[name]}" for name in names if isinstance(meta.get(name), str)]
        if self.selection.discovery and values:
            self.printer.print(Line([(", ".join(values), "dim")]))

    def _discovery_text(self) -> str:
        steps = [step for step in self.line.discovery if step.kind is StepKind.REQUEST]
        received = sum(step.reply_size or 0 for step in steps)
        login = ", with a login" if any(step.channel == "login" for step in steps) else ""
        seconds = max((step.end for step in steps), default=0.0) - min(
            (step.t for step in steps), default=0.0
        )
        return f"{count(len(steps), 'request')}, {size(received)}, {took(seconds)}{login}"

    def _place_others(self) -> tuple[dict[int, list[Step]], dict[int, list[Step]]]:
        """Return the steps outside calls, by the call that they happen during or follow."""
        calls = self.line.calls
        starts = [call.start for call in calls]
        inside: dict[int, list[Step]] = {}
        between: dict[int, list[Step]] = {}
        for step in self.line.others:
            if not self.selection.has_other(step):
                continue
            place = bisect.bisect_right(starts, step.t)
            if place and step.t <= calls[place - 1].end and self.selection.has_call(calls[place - 1]):
                inside.setdefault(place, []).append(step)
            elif not self.selection.calls:
                between.setdefault(place, []).append(step)
        return inside, between

    def _print_between(self, steps: Sequence[Step]) -> None:
        if steps:
            self.printer.blank()
            self._print_steps(steps)

    def _print_session(self, session: SessionTimeline) -> None:
        """Print the steps without a call, such as messages with an id that no reply to a join has."""
        steps = [
            step
            for step in session.steps
            if not step.shared and step.event != "heartbeat" and step.name != "session"
            and self.selection.has_step(step)
        ]  # fmt: skip
        if steps:
            self.printer.blank()
            self.printer.print(Line([(f"session {session.number}, of no call", "bold")]))
            self._print_steps(steps)

    # --- calls ---------------------------------------------------------------------------------------

    def _print_call(self, call: CallTimeline, others: Sequence[Step]) -> None:
        self.printer.blank()
        self.printer.print(header(call, len(self.line.sessions), self.printer.width))
        if call.outcome is not Outcome.CANCELLED:
            for line in error_lines(call, self.printer.wrap_width):
                self.printer.print(line)
        times = phases(call)
        if times is not None and not self.selection.narrow:
            self.printer.print(times)
        silences = {silence.before: silence for silence in call.silences(self.silence)}
        self._print_steps(call.steps, silences, others)
        silence = silences.get(len(call.steps))
        if silence is not None and not self.selection.narrow:
            self.printer.print(silence_line(silence.seconds, silence.heartbeats))
        self._print_diagnoses(call.number)
        self._print_findings(self.found.calls.get(call.number, ()))

    def _print_steps(
        self,
        steps: Sequence[Step],
        silences: dict[int, Silence] | None = None,
        others: Sequence[Step] = (),
    ) -> None:
        values = 0
        waiting = list(reversed(others))
        for place, step in enumerate(steps):
            while waiting and waiting[-1].t <= step.t:
                self._print_step(waiting.pop())
            values += step.event == "process_generating"
            silence = (silences or {}).get(place)
            if silence is not None and not self.selection.narrow:
                self.printer.print(silence_line(silence.seconds, silence.heartbeats))
            if self.selection.has_step(step):
                self._print_step(step, values if step.event == "process_generating" else 0)
        for step in reversed(waiting):
            self._print_step(step)

    def _print_step(self, step: Step, nth: int = 0) -> None:
        for line in step_lines(step, self.printer.width, nth, wrap=self.printer.wrap_width):
            self.printer.print(line)
        for finding in self.found.of_step(step):
            self.printer.print(note(CLUE, _finding_text(finding), _style(finding)))

    def _print_findings(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            text = f"{finding.where}: {_finding_text(finding)}"
            self._print_text(f"{CLUE} ", text, _style(finding))

    def _print_diagnoses(self, number: int) -> None:
        for one in self.found.diagnoses.get(number, ()):
            where = "" if number else f"{one.where}: "
            self._print_text("diagnosis: ", f"{where}{one.text} {one.advice}".rstrip(), "")

    def _print_text(self, mark: str, text: str, style: str) -> None:
        for line in text_lines(mark, text, self.printer.wrap_width, style):
            self.printer.print(line)


def _finding_text(finding: Finding) -> str:
    more = f" ({len(finding.frames)} times)" if len(finding.frames) > 1 else ""
    return f"{finding.severity.value}: {finding.what}{more}"


def _style(finding: Finding) -> str:
    return {Severity.ERROR: "red", Severity.WARNING: "yellow"}.get(finding.severity, "dim")
