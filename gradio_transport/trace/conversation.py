# SPDX-License-Identifier: Apache-2.0
"""The entries of a trace, decoded and sorted by call: the level at which traces are compared.

A view of the `timeline`: a request and its reply, which are one step there, are two entries here, and times
do not count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from .reader import Trace
from .timeline.model import UNKNOWN_REQUEST
from .timeline.reading import Step, StepKind, Timeline, timeline

DISCOVERY = (0, "")
"""Session and key of the entries before any call."""


@attrs.frozen
class Entry:
    """A request, reply, message or event of a conversation.

    Attributes:
        frame: Number of the frame that completed it.
        out: Whether it went from the client to the server.
        what: Its name: ``"POST /queue/join"``, ``"reply 200"``, ``"process_completed"``, ``"end"`` ...
        value: Its decoded JSON, the text if it is not JSON, or None if there is no body.
        message: Whether it is a message of the flow.
    """

    frame: int
    out: bool
    what: str
    value: Any = attrs.field(default=None, repr=False)
    message: bool = False


@attrs.define
class Conversation:
    """The entries of one call, in order.

    Attributes:
        session: Number of its session; 0 for the discovery.
        key: Key of the call in its session; ``""`` for the discovery, and for what belongs to no call.
        endpoint: The endpoint that was called.
    """

    session: int
    key: str
    endpoint: str = ""
    entries: list[Entry] = attrs.field(factory=list[Entry])

    @property
    def title(self) -> str:
        """A title to print."""
        if not self.session:
            return self.key or "discovery"
        if not self.key:
            return f"session {self.session}"
        return f"call {self.key} of session {self.session}, {self.endpoint}"

    @property
    def messages(self) -> list[Entry]:
        """The messages of the flow."""
        return [entry for entry in self.entries if entry.message]


def conversations(trace: Trace, *, line: Timeline | None = None) -> list[Conversation]:
    """Return the conversations of a trace: the discovery first, then the others in the order of their start.

    Messages of a shared stream go to the call that their event_id names. Messages without an event_id belong
    to the session.

    Args:
        trace: The trace.
        line: Its timeline, if you have it already.
    """
    line = line or timeline(trace)
    found = [Conversation(*DISCOVERY)]
    _add(found[0], line.discovery)
    beside: dict[str, Conversation] = {}
    for step in line.others:
        if step.channel not in beside:
            beside[step.channel] = Conversation(0, step.channel)
        _add(beside[step.channel], [step])
    for session in line.sessions:
        found.append(Conversation(session.number, ""))
        _add(found[-1], session.steps)
    for call in line.calls:
        if not call.session:  # refused before it was sent
            beside.setdefault("refused", Conversation(0, "refused"))
            _add(beside["refused"], call.steps)
            continue
        found.append(Conversation(call.session, call.key, call.display_name))
        _add(found[-1], (step for step in call.steps if not step.shared))
    found += beside.values()
    for conversation in found:
        conversation.entries.sort(key=lambda entry: entry.frame)
    kept = [conversation for conversation in found if conversation.entries]
    return sorted(kept, key=lambda conversation: conversation.entries[0].frame)


def _add(conversation: Conversation, steps: Iterable[Step]) -> None:
    for step in steps:
        conversation.entries += _entries(step)


def _entries(step: Step) -> Iterator[Entry]:
    """Yield the entries of a step."""
    match step.kind:
        case StepKind.LOCAL:
            what = f"adapter {step.message}" if step.name == "session" else step.name
            what = f"error {step.error}" if step.error else what
            value = step.message if step.error else step.given if step.name == "call" else None
            yield Entry(step.frame, True, what, value)
        case StepKind.REQUEST:
            yield from _request(step)
        case StepKind.EVENT if not step.derived:
            yield Entry(step.frame, False, step.name, step.value, message=True)
        case StepKind.SENT:
            yield Entry(step.frame, True, "send", step.value)
        case StepKind.END:
            if step.closed_here:
                socket = step.stream is not None and step.stream.is_socket
                yield Entry(step.frame, True, "ws-close" if socket else "stream-close")
            yield from _end(step)
        case _:
            pass


def _request(step: Step) -> Iterator[Entry]:
    if step.name != UNKNOWN_REQUEST:
        suffix = f" (attempt {step.attempt})" if step.attempt > 1 else ""
        name = "open" if step.name == "WS" else step.name
        yield Entry(step.frame, True, f"{name} {step.target}{suffix}", step.value)
    if step.reply_frame is not None:
        suffix = f" (attempt {step.attempt})" if step.retried else ""
        what, value = _reply(step)
        yield Entry(step.reply_frame, False, what + suffix, value)
    if not step.channel[:1].isdigit() and step.channel != "stream":
        yield from _end(step)  # elsewhere it is a step of its own


def _reply(step: Step) -> tuple[str, Any]:
    if step.error:
        return f"error {step.error}", step.message
    if step.name == "WS" and step.status == 101:
        return "ws-accept", None
    return (f"reply {step.status}", step.reply) if step.stream is None else (f"stream {step.status}", None)


def _end(step: Step) -> Iterator[Entry]:
    stream = step.stream
    if stream is not None and stream.end_frame is not None:
        code = "" if stream.code is None else f" {stream.code}"
        yield Entry(stream.end_frame, False, f"end {stream.ending}{code}")


__all__ = ["DISCOVERY", "Conversation", "Entry", "conversations"]
