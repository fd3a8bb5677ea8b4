# SPDX-License-Identifier: Apache-2.0
"""The outcomes of calls, recorded or live, and their comparison from a caller's view.

Values that differ from run to run are ignored: times, ids, addresses, temporary paths, file names, the number
of queue estimates, and the number of steps of a generator.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, cast

import attrs

from .. import events as e
from ..app.config import AppConfig, Component
from ..errors import AppError, GradioTransportError
from ..files.outputs import FileReader, ServerFile
from ..protocol.frames import Kind
from ..protocol.urls import AppURLs
from .reader import Trace
from .replay.discoveries import Discoveries
from .replay.replayer import replay
from .replay.result import CallKey, Replay

MOST_DIFFERENCES = 20
"""The most differences that are described for one call."""

_EXCERPT_CHARACTERS = 100
_MOST_DEPTH = 100

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:https?://)?\b(?:127\.0\.0\.1|localhost|0\.0\.0\.0)(?::\d+)?\b"), "ADDRESS"),
    (re.compile(r"0x[0-9a-f]{6,}"), "0xADDRESS"),
    (re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"\b[0-9a-f]{32,64}\b"), "HASH"),
    (re.compile(r"\bsession-\d+\b"), "SESSION"),
    (re.compile(r"/(?:tmp|var|private|home|root)(?:/[\w.+-]+)+/(?=[\w.+ -]+)"), "/TMP/"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?"), "TIME"),
)

_IDS = frozenset({"component_id", "event_id", "id", "session_hash", "target_id", "_id"})
"""Keys whose numbers and texts are named by the server."""


class Ending(enum.StrEnum):
    """The kind of a call's end."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNFINISHED = "unfinished"


@attrs.frozen
class Failure:
    """The failure of a call.

    Attributes:
        type: Name of the class of errors.
        of_app: Whether the app's own function raised.
        hidden: Whether the app hides the text of its errors.
    """

    type: str
    message: str
    title: str | None = None
    of_app: bool = False
    hidden: bool = False

    def __str__(self) -> str:
        return f"{self.type}: {self.message}"


@attrs.frozen
class Outcome:
    """The outcome of a call, as its caller sees it.

    Attributes:
        values: The outputs, files in them as `ServerFile`. For a call that did not complete, the last ones.
        steps: The outputs of each step of a generator, before the last.
        logs: Messages of ``gr.Info`` and ``gr.Warning``: level, title and text.
        failure: The failure, if any.
        started: Whether the server reported that the function runs.
    """

    ending: Ending
    values: Sequence[Any] = ()
    steps: Sequence[Sequence[Any]] = ()
    logs: Sequence[tuple[str, str, str]] = ()
    failure: Failure | None = None
    started: bool = False

    def summary(self) -> str:
        """Return it as a short text."""
        if self.failure is not None:
            return f"failed with {_shortened(str(self.failure))}"
        if self.ending is Ending.COMPLETED:
            return _shortened(", ".join(excerpt(value) for value in self.values)) or "completed, no outputs"
        return self.ending.value


@attrs.frozen(kw_only=True)
class Tolerance:
    """Deviations that do not count as differences.

    Attributes:
        numbers: Relative difference up to which numbers count as equal.
        ignored: Patterns of texts that may differ.
        all_steps: Compare each step of generators, not only whether there were any.
        logs: Compare messages of ``gr.Info`` and ``gr.Warning``.
        error_texts: Compare the texts of errors, not only their types.
    """

    numbers: float = 1e-6
    ignored: Sequence[re.Pattern[str]] = ()
    all_steps: bool = False
    logs: bool = True
    error_texts: bool = True


def outcome_of(events: Sequence[e.Event], error: BaseException | None = None) -> Outcome:
    """Return the outcome of a call from its events, and the error that ended it if one was raised."""
    steps: list[Sequence[Any]] = []
    logs: list[tuple[str, str, str]] = []
    values: Sequence[Any] = ()
    ending, failure = Ending.UNFINISHED, None
    for event in events:
        match event:
            case e.ProcessGenerating() | e.ProcessStreaming():
                steps.append(event.data)
                values = event.data
            case e.Log():
                logs.append((event.level, event.title or "", event.message))
            case e.ProcessCompleted():
                ending = Ending.COMPLETED if event.success else Ending.FAILED
                values = event.data if event.success else values
                failure = None if event.error is None else failure_of(event.error)
            case e.Failed():
                ending, failure = Ending.FAILED, failure_of(event.error)
            case e.Cancelled():
                ending, failure = Ending.CANCELLED, None
            case _:
                pass
    if error is not None and ending is not Ending.CANCELLED:
        ending, failure = Ending.FAILED, failure or failure_of(error)
    started = any(isinstance(event, e.ProcessStarts) for event in events)
    return Outcome(ending, values, steps, logs, failure, started)


def failure_of(error: BaseException) -> Failure:
    """Return the failure of a call."""
    message = error.message if isinstance(error, GradioTransportError) else str(error)
    of_app = isinstance(error, AppError)
    title, hidden = (error.title, error.hidden) if isinstance(error, AppError) else (None, False)
    return Failure(type(error).__name__, message, title, of_app, hidden)


@attrs.frozen
class Recorded:
    """The outcomes of the calls of a trace.

    Attributes:
        outcomes: By session and key.
        configs: The recorded app config of each session.
    """

    outcomes: Mapping[CallKey, Outcome]
    configs: Mapping[int, AppConfig]


def recorded_outcomes(trace: Trace) -> Recorded:
    """Return the outcomes of the calls of a trace, from a replay of it.

    Raises:
        TraceError: The trace lacks frames that a replay needs.
    """
    played = replay(trace)
    discoveries = Discoveries(trace)
    configs: dict[int, AppConfig] = {}
    urls: dict[int, AppURLs] = {}
    slots: dict[CallKey, Sequence[Component]] = {}
    for number, frame in enumerate(trace.frames):
        if frame.kind is Kind.SESSION:
            found = discoveries.find(str(frame.payload.get("source", "")), number)
            configs[frame.session], urls[frame.session] = found.config, found.urls
        elif frame.kind is Kind.CALL and frame.session in configs:
            wanted = frame.payload.get("fn_index"), frame.payload.get("endpoint")
            alike = [one for one in configs[frame.session].endpoints if one.fn_index == wanted[0]]
            chosen = next((one for one in alike if one.name == wanted[1]), alike[0] if alike else None)
            slots[frame.session, frame.channel] = chosen.outputs if chosen else ()
    outcomes = {
        key: _with_files(played, key, FileReader(configs[key[0]], urls[key[0]], _same), slots.get(key, ()))
        for key in played.events
        if key[0] in configs
    }
    return Recorded(outcomes, configs)


def _same(file: ServerFile) -> Any:
    return file


def _with_files(played: Replay, key: CallKey, reader: FileReader, slots: Sequence[Component]) -> Outcome:
    """Return an outcome with the files of its values found, as a live call finds them."""
    found = outcome_of(played.events[key])
    return attrs.evolve(
        found,
        values=reader.outputs(list(found.values), slots),
        steps=[reader.outputs(list(step), slots) for step in found.steps],
    )


# --- comparison -----------------------------------------------------------------------------------------


def compare_outcomes(old: Outcome, new: Outcome, tolerance: Tolerance | None = None) -> list[str]:
    """Return the differences of a new outcome from an old one; empty if it is the same to a caller."""
    comparison = _Comparison(tolerance or Tolerance())
    found: list[str] = []
    for difference in comparison.outcomes(old, new):
        if len(found) >= MOST_DIFFERENCES:
            found.append("and more")
            break
        if difference not in found:
            found.append(difference)
    return found


class _Comparison:
    def __init__(self, tolerance: Tolerance) -> None:
        self._tolerance = tolerance

    def outcomes(self, old: Outcome, new: Outcome) -> Iterator[str]:
        if old.ending is not new.ending:
            yield f"it {_verb(old)}, and now {_verb(new)}"
        elif old.ending is Ending.FAILED:
            yield from self._failures(old.failure, new.failure)
        elif old.ending is Ending.COMPLETED:
            yield from self._values(old.values, new.values)
            yield from self._steps(old.steps, new.steps)
        if self._tolerance.logs and old.ending is new.ending is not Ending.CANCELLED:
            yield from self._logs(old.logs, new.logs)

    def _failures(self, old: Failure | None, new: Failure | None) -> Iterator[str]:
        if old is None or new is None:
            return
        if old.type != new.type:
            yield f"the error was {_shortened(str(old))}, is {_shortened(str(new))}"
        elif old.hidden != new.hidden:
            yield f"the app {'no longer hides' if old.hidden else 'now hides'} the text of its errors"
        elif self._tolerance.error_texts and self._text(old.message) != self._text(new.message):
            yield f"the error's text was {excerpt(old.message)}, is {excerpt(new.message)}"

    def _values(self, old: Sequence[Any], new: Sequence[Any]) -> Iterator[str]:
        if len(old) != len(new):
            yield f"there were {len(old)} outputs, are {len(new)}"
        for place, (left, right) in enumerate(zip(old, new, strict=False), 1):
            yield from self._value(left, right, f"output {place}", "", 0)

    def _steps(self, old: Sequence[Sequence[Any]], new: Sequence[Sequence[Any]]) -> Iterator[str]:
        if bool(old) != bool(new):
            before, now = "yielded values" if old else "did not yield", "yields" if new else "does not"
            yield f"it {before}, and now {now}"
        if not self._tolerance.all_steps:
            return
        if len(old) != len(new):
            yield f"it yielded {len(old)} times, and now {len(new)} times"
        for place, (left, right) in enumerate(zip(old, new, strict=False), 1):
            for change in self._values(left, right):
                yield f"step {place}: {change}"

    def _logs(
        self, old: Sequence[tuple[str, str, str]], new: Sequence[tuple[str, str, str]]
    ) -> Iterator[str]:
        # Not the titles: since 5.2 servers fill them in.
        before, after = ([(level, self._text(text)) for level, _, text in logs] for logs in (old, new))
        if before != after:
            yield f"its messages were {_log_texts(old)}, are {_log_texts(new)}"

    # --- values --------------------------------------------------------------------------------------

    def _value(self, old: Any, new: Any, where: str, key: str, depth: int) -> Iterator[str]:
        if old is new or depth > _MOST_DEPTH:
            return
        if isinstance(old, ServerFile) and isinstance(new, ServerFile):
            yield from self._files(old, new, where)
        elif isinstance(old, dict) and isinstance(new, dict):
            yield from self._objects(cast("dict[str, Any]", old), cast("dict[str, Any]", new), where, depth)
        elif isinstance(old, list) and isinstance(new, list):
            yield from self._lists(cast("list[Any]", old), cast("list[Any]", new), where, depth)
        elif not self._is_equal(old, new, key):
            kinds = _kind(old), _kind(new)
            shown = excerpt(old), excerpt(new)
            if kinds[0] != kinds[1] and None not in (old, new):
                yield f"{where} was {kinds[0]} {shown[0]}, is {kinds[1]} {shown[1]}"
            else:
                yield f"{where} was {shown[0]}, is {shown[1]}"

    def _is_equal(self, old: Any, new: Any, key: str) -> bool:
        if isinstance(old, bool) or isinstance(new, bool):
            return old is new
        if isinstance(old, int | float) and isinstance(new, int | float):
            if old == new or (old != old and new != new) or key in _IDS:
                return True
            return abs(old - new) <= self._tolerance.numbers * max(abs(old), abs(new))
        if isinstance(old, str) and isinstance(new, str):
            return old == new or key in _IDS or self._text(old) == self._text(new)
        return bool(type(old) is type(new) and old == new)

    def _files(self, old: ServerFile, new: ServerFile, where: str) -> Iterator[str]:
        kinds = [PurePosixPath(file.name).suffix.lower() for file in (old, new)]
        if kinds[0] != kinds[1]:
            yield f"{where} was a file {excerpt(old.name)}, is {excerpt(new.name)}"
        elif old.size is not None and new.size is not None and old.size != new.size:
            yield f"{where}, the file {excerpt(new.name)}, had {old.size} bytes, has {new.size}"

    def _objects(
        self, old: Mapping[str, Any], new: Mapping[str, Any], where: str, depth: int
    ) -> Iterator[str]:
        for key in old:
            if key not in new:
                yield f"{where}.{_shortened(key, 40)} is gone"
            else:
                yield from self._value(old[key], new[key], f"{where}.{_shortened(key, 40)}", key, depth + 1)
        yield from (
            f"{where}.{_shortened(key, 40)} is new: {excerpt(new[key])}" for key in new if key not in old
        )

    def _lists(self, old: Sequence[Any], new: Sequence[Any], where: str, depth: int) -> Iterator[str]:
        if len(old) != len(new):
            yield f"{where} had {len(old)} items, has {len(new)}"
        for place, (left, right) in enumerate(zip(old, new, strict=False)):
            yield from self._value(left, right, f"{where}[{place}]", "", depth + 1)

    def _text(self, text: str) -> str:
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        for ignored in self._tolerance.ignored:
            text = ignored.sub("", text)
        return text


def _verb(outcome: Outcome) -> str:
    match outcome.ending:
        case Ending.FAILED:
            return f"failed with {_shortened(str(outcome.failure))}"
        case Ending.CANCELLED:
            return "was cancelled"
        case Ending.UNFINISHED:
            return "did not end"
        case _:
            return "completed" + (f" with {outcome.summary()}" if outcome.values else "")


def _log_texts(logs: Sequence[tuple[str, str, str]]) -> str:
    return _shortened(", ".join(f"{level} {excerpt(text)}" for level, _, text in logs)) or "none"


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return "text"
        case list():
            return "list"
        case ServerFile():
            return "file"
        case _:
            return "object"


def excerpt(value: Any) -> str:
    """Return a value as a short text."""
    if isinstance(value, str):
        value = value[: 2 * _EXCERPT_CHARACTERS]
    return _shortened(json.dumps(value, ensure_ascii=False, default=_file_text))


def _file_text(value: Any) -> Any:
    return f"file {value.name}" if isinstance(value, ServerFile) else f"{type(value).__name__}"


def _shortened(text: str, longest: int = _EXCERPT_CHARACTERS) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


__all__ = [
    "Ending", "Failure", "Outcome", "Recorded", "Tolerance", "compare_outcomes", "excerpt", "outcome_of",
    "recorded_outcomes",
]  # fmt: skip
