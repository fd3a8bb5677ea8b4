# SPDX-License-Identifier: Apache-2.0
"""Checks a trace for unknown messages and fields, for secrets, and for differences of its replay."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast

import attrs

from ..adapter.registry import Registry, default_registry
from ..errors import GradioTransportError
from ..protocol.frames import Direction, Frame, Kind
from ..protocol.headers import HARMLESS_HEADERS
from ..protocol.known_secrets import REDACTED
from ..protocol.secret_forms import is_secret_in_request, is_secret_name
from ..protocol.secret_search import take_out
from .conversation import Conversation, conversations
from .reader import Trace
from .redaction import placeholder
from .replay import replay


class Severity(enum.StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """The trace does not replay: this library sends something else today, or leaves a call or stream open."""
    WARNING = "warning"
    """The server broke the order of the flow, or sent an unknown message; or the trace holds a secret."""
    NOTE = "note"
    """New fields, failed calls, incomplete traces."""


@attrs.frozen
class Finding:
    """A result of the check.

    Attributes:
        where: The call, or the part of the trace.
        what: The text of the finding.
    """

    severity: Severity
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.severity.value}: {self.where}: {self.what}"


FIELDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        name: frozenset({"msg", "event_id", *fields.split()})
        for name, fields in {
            "send_hash": "",
            "send_data": "",
            "estimation": "rank queue_size rank_eta queue_eta avg_event_process_time "
            "avg_event_concurrent_process_time",
            "queue_full": "",
            "process_starts": "eta",
            "progress": "progress_data",
            "log": "log level duration visible title",
            "process_generating": "output success time_limit",
            "process_streaming": "output success time_limit",
            "process_completed": "output success title used_cache cache_duration avg_time",
            "heartbeat": "",
            "alive?": "",
            "close_stream": "",
            "server_stopped": "success message",
            "unexpected_error": "message success session_not_found",
        }.items()
    }
)
"""Fields of each message, of all generations from 3.1.5 to 6.31 together."""

OUTPUT_FIELDS = frozenset(
    {
        "data", "is_generating", "duration", "average_duration", "render_config", "changed_state_ids",
        "error", "visible", "title", "used_cache",
    }
)  # fmt: skip
"""Fields of ``output``."""

_NAMED_EVENTS = frozenset({"generating", "complete", "error", "heartbeat"})
"""Events of ``/call``, whose data is not a message."""


def lint_trace(trace: Trace, *, registry: Registry = default_registry) -> list[Finding]:
    """Return the findings of a trace, the most severe first.

    Raises:
        TraceError: It cannot be replayed at all.
    """
    findings = [*_replay_findings(trace, registry), *_file_findings(trace), *_secret_findings(trace)]
    for conversation in conversations(trace):
        findings += _message_findings(conversation)
    order = list(Severity)
    return sorted(dict.fromkeys(findings), key=lambda finding: order.index(finding.severity))


def _replay_findings(trace: Trace, registry: Registry) -> Iterator[Finding]:
    result = replay(trace, registry=registry)
    for mismatch in result.mismatches:
        yield Finding(Severity.ERROR, f"frame {mismatch.frame}", str(mismatch))
    for text in result.outstanding:
        yield Finding(Severity.ERROR, "at the end", f"left undone: {text}")
    for error in result.refusals:
        yield Finding(Severity.NOTE, "discovery", f"{type(error).__name__}: {error.message}")
    for key, deviations in result.deviations.items():
        where = f"call {key[1]} of session {key[0]}, {result.endpoints[key]}"
        yield from (Finding(Severity.WARNING, where, deviation) for deviation in deviations)
    for key, events in result.events.items():
        where = f"call {key[1]} of session {key[0]}, {result.endpoints[key]}"
        if not events or not events[-1].terminal:
            yield Finding(Severity.NOTE, where, "the trace ends before it does")
        failure: GradioTransportError | None = getattr(events[-1], "error", None) if events else None
        if failure is not None:
            yield Finding(Severity.NOTE, where, f"{type(failure).__name__}: {failure.message}")


def _file_findings(trace: Trace) -> Iterator[Finding]:
    if trace.truncated:
        yield Finding(Severity.NOTE, "the file", "it was cut off in the middle of a line")
    if not any(frame.kind is Kind.CALL for frame in trace.frames):
        yield Finding(Severity.NOTE, "the file", "it holds no call")


def _secret_findings(trace: Trace) -> Iterator[Finding]:
    """Yield what looks like a secret, in which frame and how often; never the value."""
    known: dict[str, Counter[str]] = {}
    for number, frame in enumerate(trace.frames):
        found = Counter[str]()
        for text in _texts(frame):
            if text not in known:
                is_secret = is_secret_name if frame.direction is Direction.IN else is_secret_in_request
                known[text] = Counter(one.what for one in take_out(text, is_secret)[1])
            found += known[text]
        found += Counter(
            f"the value of the header {name!r}"
            for name, value in cast("Mapping[str, str]", frame.payload.get("headers") or {}).items()
            if name.lower() not in HARMLESS_HEADERS and value != REDACTED
        )
        for what, count in found.items():
            times = "" if count == 1 else f", {count} times"
            yield Finding(
                Severity.WARNING, f"frame {number}", f"it holds what looks like a secret: {what}{times}"
            )


def _texts(frame: Frame) -> Iterator[str]:
    """Yield what a frame carries besides headers, as texts."""
    for name, value in frame.payload.items():
        if isinstance(value, bytes):
            yield value.decode("utf-8", "replace")
        elif isinstance(value, str):
            yield value
        elif name != "headers":
            yield json.dumps(value, default=placeholder)


def _message_findings(conversation: Conversation) -> Iterator[Finding]:
    for entry in conversation.messages:
        value: object = entry.value
        if isinstance(value, dict):
            yield from _field_findings(conversation, entry.what, cast("dict[str, Any]", value))
        elif entry.what not in _NAMED_EVENTS:
            what = f"frame {entry.frame} is no message: {value!r:.80}"
            yield Finding(Severity.WARNING, conversation.title, what)


def _field_findings(conversation: Conversation, name: str, message: Mapping[str, Any]) -> Iterator[Finding]:
    if name in _NAMED_EVENTS and "msg" not in message:
        return
    known = FIELDS.get(name)
    if known is None:
        yield Finding(Severity.WARNING, conversation.title, f"the message {name!r} is unknown")
        return
    for field in message:
        if field not in known:
            yield Finding(Severity.NOTE, conversation.title, f"{name} has the new field {field!r}")
    output = message.get("output")
    if isinstance(output, dict):
        for field in cast("dict[str, Any]", output):
            if field not in OUTPUT_FIELDS:
                yield Finding(Severity.NOTE, conversation.title, f"{name}.output has the new field {field!r}")


__all__ = ["FIELDS", "OUTPUT_FIELDS", "Finding", "Severity", "lint_trace"]
