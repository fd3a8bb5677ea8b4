# SPDX-License-Identifier: Apache-2.0
"""Checks of a trace. Each finding is about the server, this library, or the trace."""

from __future__ import annotations

import enum
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, cast

import attrs

from ..adapter.registry import Registry, default_registry
from ..errors import GradioTransportError
from ..events import UnknownMessage
from ..protocol.frames import Direction, Frame, Kind
from ..protocol.headers import HARMLESS_HEADERS
from ..protocol.known_secrets import REDACTED
from ..protocol.secret_forms import is_secret_in_request, is_secret_name
from ..protocol.secret_search import take_out
from .adapters import is_gradio_adapter
from .conversation import Conversation, Entry, conversations
from .reader import Trace
from .redaction import placeholder
from .replay.replayer import replay
from .timeline.reading import Timeline


class Severity(enum.StrEnum):
    """The severity of a finding."""

    ERROR = "error"
    """The trace does not replay: this library sends other requests now, or leaves a call or stream open."""
    WARNING = "warning"
    """The server broke the order of the flow, or sent an unknown message; or the trace contains a secret."""
    NOTE = "note"
    """New fields, failed calls, incomplete traces."""


class Source(enum.StrEnum):
    """The subject of a finding."""

    SERVER = "server"
    """The server, or a proxy: it broke the protocol, or sent something unknown."""
    LIBRARY = "library"
    """This library: it would send other requests now, or leaves something open."""
    TRACE = "trace"
    """The file: it is cut off, incomplete, or may contain a secret."""
    OUTCOME = "outcome"
    """The failure of a call or of the discovery; `diagnose` has the details."""


@attrs.frozen
class Finding:
    """A result of the check.

    Attributes:
        where: The call, or the part of the trace.
        what: The text of the finding.
        source: Its subject.
        session: Number of the session, if it is about one.
        key: Key of the call in the session; an empty string if it is about no call.
        frames: Numbers of the frames that have it, counted from 0, in order.
        hint: What to do about it; may be empty.
    """

    severity: Severity
    where: str
    what: str
    source: Source = Source.SERVER
    session: int = 0
    key: str = ""
    frames: tuple[int, ...] = ()
    hint: str = ""

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
"""Fields of each message, of all versions from 3.1.5 to 6.31 together."""

OUTPUT_FIELDS = frozenset(
    {
        "data", "is_generating", "duration", "average_duration", "render_config", "changed_state_ids",
        "error", "visible", "title", "used_cache",
    }
)  # fmt: skip
"""Fields of ``output``."""

_NAMED_EVENTS = frozenset({"generating", "complete", "error", "heartbeat"})
"""Events of ``/call``, whose data is not a message."""


def lint_trace(
    trace: Trace, *, registry: Registry = default_registry, line: Timeline | None = None
) -> list[Finding]:
    """Return the findings of a trace, the most severe first.

    The same finding in several frames is one, with the numbers of all of them.

    Args:
        trace: The trace.
        registry: The registry of adapters.
        line: Its timeline, if you have it already.
    """
    findings = [*_replay_findings(trace, registry), *_file_findings(trace), *secret_findings(trace)]
    # Messages of other servers can only be checked by the replay with their adapter.
    others = {
        frame.session
        for frame in trace.frames
        if frame.kind is Kind.SESSION and not is_gradio_adapter(str(frame.payload["adapter"]), registry)
    }
    for conversation in conversations(trace, line=line):
        if conversation.session not in others:
            findings += _message_findings(conversation)
    order = list(Severity)
    return sorted(_merged(findings), key=lambda finding: order.index(finding.severity))


def _merged(findings: Iterable[Finding]) -> list[Finding]:
    frames: dict[Finding, dict[int, None]] = {}
    for finding in findings:
        frames.setdefault(attrs.evolve(finding, frames=()), {}).update(dict.fromkeys(finding.frames))
    return [attrs.evolve(finding, frames=tuple(numbers)) for finding, numbers in frames.items()]


def _replay_findings(trace: Trace, registry: Registry) -> Iterator[Finding]:
    try:
        result = replay(trace, registry=registry, light=True)
    except GradioTransportError as error:
        what = f"it cannot be replayed: {error.message.removesuffix('.')}"
        hint = "Only checks without a replay were done."
        yield Finding(Severity.WARNING, "the file", what, Source.TRACE, hint=hint)
        return
    for mismatch in result.mismatches:
        yield Finding(
            Severity.ERROR,
            f"frame {mismatch.frame}",
            str(mismatch),
            Source.LIBRARY,
            trace.frames[mismatch.frame].session,
            _call_key(trace.frames[mismatch.frame]),
            (mismatch.frame,),
            _MISMATCH_HINT,
        )
    for text in result.outstanding:
        what = f"left undone: {text}"
        yield Finding(Severity.ERROR, "at the end", what, Source.LIBRARY, hint="Report it with this trace.")
    for refusal in result.refusals:
        what = f"{type(refusal).__name__}: {refusal.message}"
        yield Finding(Severity.NOTE, "discovery", what, Source.OUTCOME)
    for (session, key), deviations in result.deviations.items():
        where = f"call {key} of session {session}, {result.endpoints[session, key]}"
        for deviation in deviations:
            yield Finding(Severity.WARNING, where, deviation, Source.SERVER, session, key, (), _ORDER_HINT)
    for (session, key), events in result.events.items():
        where = f"call {key} of session {session}, {result.endpoints[session, key]}"
        for name in dict.fromkeys(event.msg for event in events if isinstance(event, UnknownMessage)):
            what = f"the message {name!r:.80} is unknown"
            yield Finding(Severity.WARNING, where, what, Source.SERVER, session, key, (), _NEW_HINT)
        if not events or not events[-1].terminal:
            what = "the trace ends before the call"
            yield Finding(Severity.NOTE, where, what, Source.TRACE, session, key)
        failure: GradioTransportError | None = getattr(events[-1], "error", None) if events else None
        if failure is not None:
            what = f"{type(failure).__name__}: {failure.message}"
            yield Finding(Severity.NOTE, where, what, Source.OUTCOME, session, key)


_MISMATCH_HINT = (
    "The trace is of another version or client, or was edited. If not, this library has changed: report it "
    "with the trace."
)
_ORDER_HINT = (
    "A proxy may have reordered or repeated messages; otherwise this version does not know the server."
)
_SHARING_HINT = "Remove it before you share the trace: gradio-transport trace redact FILE -o OUT."
_NEW_HINT = "A newer Gradio may send it. Update gradio-transport, or report it with this trace."


def _file_findings(trace: Trace) -> Iterator[Finding]:
    if trace.truncated:
        what = "it was cut off within a line"
        yield Finding(Severity.NOTE, "the file", what, Source.TRACE, hint="All lines before it were read.")
    if not any(frame.kind is Kind.CALL for frame in trace.frames):
        yield Finding(Severity.NOTE, "the file", "it contains no call", Source.TRACE)


def secret_findings(trace: Trace) -> Iterator[Finding]:
    """Yield possible secrets with their frames and counts, never the values."""
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
                Severity.WARNING,
                f"frame {number}",
                f"it holds what looks like a secret: {what}{times}",
                Source.TRACE,
                frame.session,
                _call_key(frame),
                (number,),
                _SHARING_HINT,
            )


def _call_key(frame: Frame) -> str:
    """Return the key of a frame's call, or an empty string."""
    key = frame.channel.partition(".")[0]
    return key if frame.session and key.isdigit() else ""


def _texts(frame: Frame) -> Iterator[str]:
    """Yield the contents of a frame, without headers, as texts."""
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
            yield from _field_findings(conversation, entry, cast("dict[str, Any]", value))
        elif entry.what not in _NAMED_EVENTS:
            what = f"frame {entry.frame} is not a message: {value!r:.80}"
            yield _of_message(Severity.WARNING, conversation, entry, what, _NO_MESSAGE_HINT)


_NO_MESSAGE_HINT = "A proxy may have written into the stream; Gradio only sends JSON objects."


def _of_message(
    severity: Severity, conversation: Conversation, entry: Entry, what: str, hint: str = _NEW_HINT
) -> Finding:
    place = conversation.session, conversation.key
    return Finding(severity, conversation.title, what, Source.SERVER, *place, (entry.frame,), hint)


def _field_findings(
    conversation: Conversation, entry: Entry, message: Mapping[str, Any]
) -> Iterator[Finding]:
    name = entry.what
    if name in _NAMED_EVENTS and "msg" not in message:
        return
    known = FIELDS.get(name)
    if known is None:
        yield _of_message(Severity.WARNING, conversation, entry, f"the message {name!r:.80} is unknown")
        return
    for field in message:
        if field not in known:
            what = f"{name} has the new field {field!r:.80}"
            yield _of_message(Severity.NOTE, conversation, entry, what)
    output = message.get("output")
    if isinstance(output, dict):
        for field in cast("dict[str, Any]", output):
            if field not in OUTPUT_FIELDS:
                what = f"{name}.output has the new field {field!r:.80}"
                yield _of_message(Severity.NOTE, conversation, entry, what)


__all__ = ["FIELDS", "OUTPUT_FIELDS", "Finding", "Severity", "Source", "lint_trace", "secret_findings"]
