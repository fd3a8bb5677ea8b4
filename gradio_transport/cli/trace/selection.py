# SPDX-License-Identifier: Apache-2.0
"""The selection of the calls and steps of a trace to show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs
import click

from ...trace.timeline.reading import CallTimeline, Step, StepKind, Timeline

KNOWN = frozenset(
    {
        "app_id", "cancel", "chat", "complete", "component_server", "data", "discover", "download", "file",
        "heartbeat", "join", "login", "push", "reset", "run", "send", "socket", "status", "stream", "upload",
    }
)  # fmt: skip
"""Channels and phases of this version. A trace may have others, which you can also name."""


@attrs.frozen
class Selection:
    """The calls and steps to show.

    Attributes:
        calls: Numbers of calls; empty for all.
        events: Whether only messages of the server are shown.
        only: Channels and phases; empty for all.
        discovery: Whether the discovery and heartbeats are shown in full.
    """

    calls: frozenset[int] = frozenset()
    events: bool = False
    only: frozenset[str] = frozenset()
    discovery: bool = False

    @classmethod
    def of(cls, calls: Iterable[int], events: bool, only: str | None, discovery: bool) -> Selection:
        """Return the selection that the options of the command line describe."""
        names = frozenset(name.strip().lower() for name in (only or "").split(",") if name.strip())
        return cls(frozenset(calls), events, names, discovery or bool(names & {"discover", "heartbeat"}))

    @property
    def narrow(self) -> bool:
        """Whether some steps of a call are left out."""
        return self.events or bool(self.only)

    def check(self, line: Timeline, name: str) -> None:
        """Reject a selection that the trace does not have.

        Raises:
            click.UsageError: It has no such call, channel or phase.
        """
        missing = sorted(number for number in self.calls if number > len(line.calls))
        if missing:
            has = f"calls 1 to {len(line.calls)}" if line.calls else "no call"
            raise click.UsageError(f"--call {missing[0]}: {name} has {has}.")
        unknown = self.only - KNOWN
        if unknown:
            present = {one for step in _all_steps(line) for one in names_of(step)}
            if unknown - present:
                known = ", ".join(sorted(present & KNOWN))
                raise click.UsageError(f"--only {min(unknown - present)}: {name} has {known}.")

    def has_call(self, call: CallTimeline) -> bool:
        """Return whether a call is shown."""
        return not self.calls or call.number in self.calls

    def has_step(self, step: Step) -> bool:
        """Return whether a step of a shown call is shown."""
        if self.events and step.kind is not StepKind.EVENT:
            return False
        return not self.only or not self.only.isdisjoint(names_of(step))

    def has_other(self, step: Step) -> bool:
        """Return whether a step outside any session is shown: heartbeats only if they failed."""
        quiet = step.channel == "heartbeat" and not step.failed and not self.discovery
        return self.has_step(step) and not quiet


def names_of(step: Step) -> set[str]:
    """Return the names of a step: its channel without the number of the call, and its phase."""
    name = channel_name(step.channel) or step.name
    return {name, step.phase} if step.phase else {name}


def channel_name(channel: str) -> str:
    """Return the name of a channel without the number of its call: ``join`` of ``3.join``."""
    name = channel.partition(".")[2] if channel[:1].isdigit() else channel
    return "send" if name.startswith("send-") else name


def _all_steps(line: Timeline) -> Iterator[Step]:
    yield from line.discovery
    yield from line.others
    for session in line.sessions:
        yield from session.steps
    for call in line.calls:
        yield from call.steps


__all__ = ["KNOWN", "Selection", "channel_name", "names_of"]
