# SPDX-License-Identifier: Apache-2.0
"""Makes the calls of a trace again on another server, and compares their outcomes.

Calls of one recorded session run in one session, and a call that began after another had ended waits for that
one; calls that ran at once run at once. A cancelled call is cancelled after as many values as then.
"""

from __future__ import annotations

import base64
import binascii
import enum
import json
import mimetypes
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any, cast

import attrs

from .app.config import AppConfig, Endpoint, Parameter
from .calls.options import CallOptions
from .errors import GradioTransportError, LocalProtocolError, TransportError, did_you_mean
from .events import Event, ProcessGenerating, ProcessStarts, ProcessStreaming
from .files.forms import MAX_DEPTH
from .files.inputs import InputFile, handle_file
from .files.outputs import ServerFile
from .files.paths import takes_files
from .protocol.frames import Frame, Kind
from .protocol.known_secrets import REDACTED
from .sync import Call, Session, Transport
from .trace.conversation import conversations
from .trace.outcomes import (
    Ending,
    Outcome,
    Recorded,
    Tolerance,
    compare_outcomes,
    excerpt,
    outcome_of,
    recorded_outcomes,
)
from .trace.reader import Trace

MOST_AT_ONCE = 64
"""Calls that run at once; a trace may have more, and the next then waits for the oldest."""

MOST_PLACEHOLDER_BYTES = 100_000_000
"""A trace says how large a file was, and may be anybody's."""

_CHOSEN = frozenset({"call", "call_v2", "direct"})
"""Adapters whose routes other programs call, such as curl."""

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,")


class Status(enum.StrEnum):
    """What came of making a call again."""

    SAME = "same"
    DIFFERS = "differs"
    ERROR = "error"
    """It could not be compared: the connection was lost, or a deadline expired."""
    SKIPPED = "skipped"


@attrs.frozen
class RecordedCall:
    """A call of a trace.

    Attributes:
        number: From 1, in the order of their start.
        start: Number of the frame with which it began.
        end: Number of the frame that ended it, or None.
        chunks: The chunks of a streaming input after the first.
    """

    number: int
    session: int
    key: str
    name: str | None
    fn_index: int | None
    data: Sequence[Any]
    outcome: Outcome
    start: int
    end: int | None
    source: str = ""
    adapter: str = ""
    event_data: Any = None
    attached: bool = False
    chunks: Sequence[Sequence[Any]] = ()

    @property
    def display_name(self) -> str:
        """The endpoint for people."""
        return self.name or f"fn_index {self.fn_index}"


@attrs.frozen(kw_only=True)
class Inputs:
    """What a trace does not have, and a caller may give.

    Attributes:
        files: Recorded name of a file -> the file to send.
        placeholders: Send zeros of the recorded size for files that are not given.
        values: Name of a parameter -> the value to send where the recorded one was redacted.
    """

    files: Mapping[str, Path] = attrs.field(factory=dict[str, Path])
    placeholders: bool = False
    values: Mapping[str, Any] = attrs.field(factory=dict[str, Any])


@attrs.frozen
class EarlierFile:
    """A file in the outputs of an earlier call, as an argument.

    Attributes:
        call: Number of that call.
        place: Its place among the files of those outputs.
    """

    name: str
    call: int
    place: int


@attrs.frozen
class PlannedCall:
    """A recorded call, and how it is made again.

    Attributes:
        endpoint: What is called; None if there is no such endpoint.
        arguments: By the names of the endpoint's parameters; a file of an earlier call as `EarlierFile`.
        protocol: Adapter to use; None for the best one.
        changes: What callers have to change, such as names of parameters.
        notes: What else is worth knowing.
        skip: Why it is not made; empty if it is.
    """

    recorded: RecordedCall
    endpoint: Endpoint | None = None
    arguments: Mapping[str, Any] = attrs.field(factory=dict[str, Any], repr=False)
    changes: Sequence[str] = ()
    notes: Sequence[str] = ()
    skip: str = ""
    protocol: str | None = None

    @property
    def title(self) -> str:
        """The call with its arguments, to print."""
        values = self.arguments.values() if self.arguments else self.recorded.data
        shown = ", ".join(excerpt(_plain(value, MAX_DEPTH)) for value in values)
        return f"{self.recorded.display_name}({shown})"


@attrs.frozen
class Result:
    """A call that was made again, or not.

    Attributes:
        differences: How the outcome differs, and what callers have to change.
        outcome: What came of it now; None if it was not made.
        seconds: How long it took.
    """

    planned: PlannedCall
    status: Status
    differences: Sequence[str] = ()
    outcome: Outcome | None = None
    seconds: float = 0.0


# --- what was recorded ------------------------------------------------------------------------------------


def recorded_calls(trace: Trace, recorded: Recorded | None = None) -> list[RecordedCall]:
    """Return the calls of a trace with their outcomes.

    Raises:
        TraceError: The trace lacks frames that a replay needs.
    """
    known = recorded_outcomes(trace) if recorded is None else recorded
    ends = {
        (one.session, one.key): max(entry.frame for entry in (one.messages or one.entries))
        for one in conversations(trace)
    }
    calls: list[RecordedCall] = []
    sources: dict[int, tuple[str, str]] = {}
    chunks: dict[tuple[int, str], list[Sequence[Any]]] = {}
    for number, frame in enumerate(trace.frames):
        key = frame.session, frame.channel
        if frame.kind is Kind.SESSION:
            payload = frame.payload
            sources[frame.session] = str(payload.get("source") or ""), str(payload.get("adapter") or "")
        elif frame.kind is Kind.SEND and key in chunks:
            chunks[key].append(_list(frame.payload.get("data")))
        elif frame.kind is Kind.CALL:
            chunks[key] = []
            calls.append(
                _recorded_call(
                    len(calls) + 1, number, frame, known.outcomes.get(key, Outcome(Ending.UNFINISHED)),
                    ends.get(key), sources.get(frame.session, ("", "")), chunks[key],
                )
            )  # fmt: skip
    return calls


def _recorded_call(
    number: int,
    start: int,
    frame: Frame,
    outcome: Outcome,
    end: int | None,
    opened: tuple[str, str],
    chunks: Sequence[Sequence[Any]],
) -> RecordedCall:
    payload = frame.payload
    name, fn_index = payload.get("endpoint"), payload.get("fn_index")
    return RecordedCall(
        number=number,
        session=frame.session,
        key=frame.channel,
        name=name if isinstance(name, str) and name else None,
        fn_index=fn_index if isinstance(fn_index, int) else None,
        data=_list(payload.get("data")),
        outcome=outcome,
        start=start,
        end=end if outcome.ending is not Ending.UNFINISHED else None,
        source=opened[0],
        adapter=opened[1],
        event_data=payload.get("event_data"),
        attached=payload.get("event_id") is not None,
        chunks=chunks,
    )


def _list(value: Any) -> Sequence[Any]:
    return cast("Sequence[Any]", value) if isinstance(value, list) else []


# --- the plan ---------------------------------------------------------------------------------------------


def plan(
    trace: Trace,
    config: AppConfig,
    *,
    inputs: Inputs | None = None,
    only: Sequence[int] = (),
    source: str | None = None,
    keep_protocol: bool = True,
) -> list[PlannedCall]:
    """Return how the calls of a trace can be made on another app. Pure: nothing is called.

    Args:
        trace: The recording.
        config: The app to call.
        inputs: What the trace does not have.
        only: Numbers of the calls to make; all others are left out. Empty for all.
        source: Address of the recorded app whose calls are made, if the trace has several; else the first.
        keep_protocol: Call by the recorded route where callers choose it: ``/call`` and direct HTTP.

    Raises:
        TraceError: The trace lacks frames that a replay needs.
    """
    recorded = recorded_outcomes(trace)
    calls = recorded_calls(trace, recorded)
    wanted = source if source is not None else next((call.source for call in calls), "")
    planner = _Planner(trace, recorded, calls, config, inputs or Inputs())
    planned: list[PlannedCall] = []
    for call in calls:
        if only and call.number not in only:
            continue
        if call.source != wanted:
            planned.append(PlannedCall(call, skip=f"it was a call of another app, {call.source}"))
        else:
            one = planner.plan(call)
            planned.append(one if keep_protocol else attrs.evolve(one, protocol=None))
    return planned


class _Skipped(Exception):
    """A call cannot be made."""


class _Planner:
    def __init__(
        self,
        trace: Trace,
        recorded: Recorded,
        calls: Sequence[RecordedCall],
        config: AppConfig,
        inputs: Inputs,
    ) -> None:
        self._recorded = recorded
        self._earlier: dict[str, EarlierFile] = {}
        for call in calls:
            for place, file in enumerate(_files_of(call.outcome.values, MAX_DEPTH)):
                if file.path:
                    self._earlier.setdefault(file.path, EarlierFile(file.name, call.number, place))
        self._notes: list[str] = []
        self._config = config
        self._inputs = inputs
        self._uploaded = _uploaded_files(trace.frames)

    def plan(self, call: RecordedCall) -> PlannedCall:
        if call.attached:
            return PlannedCall(call, skip="it was started by another program, and only fetched in this trace")
        old = self._old_endpoint(call)
        if old is None and call.session in self._recorded.configs:
            return PlannedCall(call, skip="gr.render drew the endpoint, after the app had been discovered")
        new = self._new_endpoint(call, old)
        if isinstance(new, str):
            return PlannedCall(call, skip=new)
        try:
            arguments, changes, notes = self._bind(call, old, new)
        except _Skipped as why:
            return PlannedCall(call, new, skip=str(why))
        if new.fn_index != call.fn_index:
            notes = [*notes, f"its fn_index was {call.fn_index}, is {new.fn_index}"]
        # These are routes that a caller chooses; the rest is what this library, or a page, chose then.
        chosen = call.adapter in _CHOSEN and not (call.adapter == "direct" and new.generator)
        return PlannedCall(
            call, new, arguments, changes, [*notes, *self._notes], protocol=call.adapter if chosen else None
        )

    def _old_endpoint(self, call: RecordedCall) -> Endpoint | None:
        config = self._recorded.configs.get(call.session)
        alike = [one for one in config.endpoints if one.fn_index == call.fn_index] if config else []
        return next((one for one in alike if one.name == call.name), alike[0] if alike else None)

    def _new_endpoint(self, call: RecordedCall, old: Endpoint | None) -> Endpoint | str:
        """Return the endpoint to call: of the same name, or of the same number and signature; or why none."""
        callable_ones = self._config.callable
        if call.name is not None:
            found = next((one for one in callable_ones if one.name == call.name), None)
            if found is not None:
                return found
            if any(one.name == call.name for one in self._config.endpoints):
                return f"the endpoint {call.name} is private in this app"
            hint = did_you_mean(call.name, list(self._config.named))
            return f"the endpoint {call.name} is not there any more.{hint}".removesuffix(".")
        wanted = _signature(old)
        found = next((one for one in callable_ones if one.fn_index == call.fn_index), None)
        if found is not None and wanted is not None and _signature(found) == wanted:
            return found
        alike = [one for one in callable_ones if wanted is not None and _signature(one) == wanted]
        if len(alike) == 1:
            return alike[0]
        return f"no endpoint is the one that was fn_index {call.fn_index}: it has no name to find it by"

    def _bind(
        self, call: RecordedCall, old: Endpoint | None, new: Endpoint
    ) -> tuple[dict[str, Any], list[str], list[str]]:
        self._notes = []
        values = _parameter_values(call, old)
        changes: list[str] = []
        notes: list[str] = []
        arguments: dict[str, Any] = {}
        by_name = all(parameter is not None and not parameter.is_numbered for parameter, _ in values)
        old_names = {parameter.name for parameter, _ in values if parameter is not None}
        for place, (parameter, value) in enumerate(values):
            target = new.by_keyword.get(parameter.name) if by_name and parameter is not None else None
            if target is None and place < len(new.parameters):
                target = new.parameters[place]
                if by_name and (target.name in old_names or target.name in arguments):
                    target = None
            if target is None:
                raise _Skipped(_gone(parameter, place, new))
            if by_name and parameter is not None and target.name != parameter.name:
                changes.append(f"the parameter {parameter.name!r} is now called {target.name!r}")
            if parameter is not None and parameter.component and target.component != parameter.component:
                notes.append(f"{target.name!r} was a {parameter.component}, is a {target.component}")
            arguments[target.name] = self._value(value, target, parameter)
        for parameter in new.parameters:
            if parameter.name not in arguments and not parameter.has_default:
                raise _Skipped(f"the new parameter {parameter.name!r} has no default")
            if parameter.name not in arguments:
                notes.append(f"the parameter {parameter.name!r} is new; its default was sent")
        return arguments, changes, notes

    # --- values --------------------------------------------------------------------------------------

    def _value(self, value: Any, target: Parameter, old: Parameter | None) -> Any:
        names = [target.name, target.keyword, *((old.name, old.keyword) if old else ())]
        if _holds_redacted(value):
            given = next((name for name in names if name in self._inputs.values), None)
            if given is None:
                raise _Skipped(f"its argument {target.name!r} was redacted; pass --value {target.name}=VALUE")
            return self._inputs.values[given]
        if takes_files(target) or (old is not None and takes_files(old)):
            return self._files_in(value, MAX_DEPTH)
        return value

    def _files_in(self, value: Any, depth: int) -> Any:
        """Return a value with its files: those of the caller, and those that the value itself has."""
        if isinstance(value, str):
            if value in self._uploaded:
                return self._upload(value)
            return _inline_file(value, "") or value
        if not depth:
            return value
        if isinstance(value, list):
            return [self._files_in(item, depth - 1) for item in cast("list[Any]", value)]
        if not isinstance(value, dict):
            return value
        mapping = cast("dict[str, Any]", value)
        path, name, data = mapping.get("path"), mapping.get("name"), mapping.get("data")
        if isinstance(mapping.get("video"), dict) and mapping.keys() <= {"video", "subtitles"}:
            return self._files_in(mapping["video"], depth - 1)
        if isinstance(name, str) and isinstance(data, str):
            found = _inline_file(data, name)
            if found is not None:
                return found
        if isinstance(path, str):
            return self._server_file(path, mapping)
        if isinstance(name, str) and mapping.get("is_file") is True:
            return self._server_file(name, mapping)
        return {key: self._files_in(item, depth - 1) for key, item in mapping.items()}

    def _server_file(self, path: str, mapping: Mapping[str, Any]) -> InputFile | EarlierFile:
        if path in self._uploaded:
            return self._upload(path)
        if path in self._earlier:
            return self._earlier[path]
        # A URL too: a trace may come from a stranger, and must not choose what is fetched from this machine.
        given = mapping.get("orig_name")
        name = given if isinstance(given, str) and given else re.split(r"[/\\]", path)[-1]
        size = mapping.get("size")
        return self._given(name, size if isinstance(size, int) else 0)

    def _upload(self, path: str) -> InputFile:
        name, size = self._uploaded[path]
        return self._given(name, size)

    def _given(self, name: str, size: int) -> InputFile:
        found = self._inputs.files.get(name)
        if found is not None:
            return handle_file(found, name=name, allow_empty=True)
        if self._inputs.placeholders and not 0 <= size <= MOST_PLACEHOLDER_BYTES:
            raise _Skipped(f"it needs the file {name}, too large for a placeholder ({size} bytes)")
        if self._inputs.placeholders:
            self._notes.append(f"{size} zeros were sent in place of the file {name}")
            return handle_file(bytes(size), name=name, allow_empty=True)
        raise _Skipped(f"it needs the file {name} ({size} bytes); pass --file {name}=PATH, or --placeholders")


def _plain(value: Any, depth: int) -> Any:
    """Return a value with its files as short texts."""
    if isinstance(value, InputFile | EarlierFile):
        return f"file {value.name}"
    if isinstance(value, list) and depth:
        return [_plain(item, depth - 1) for item in cast("list[Any]", value)]
    if not isinstance(value, dict) or not depth:
        return cast("Any", value)
    mapping = cast("dict[str, Any]", value)
    if isinstance(mapping.get("path"), str) or mapping.get("is_file") is True:
        name = mapping.get("orig_name") or mapping.get("path") or mapping.get("name")
        return f"file {name}"
    return {key: _plain(item, depth - 1) for key, item in mapping.items()}


def _parameter_values(call: RecordedCall, old: Endpoint | None) -> list[tuple[Parameter | None, Any]]:
    """Return the recorded values with their parameters, without those of State and layout."""
    if old is None or not old.inputs:
        parameters: Sequence[Parameter] = old.parameters if old is not None else ()
        padded = [*parameters, *([None] * len(call.data))]
        return [(padded[place], value) for place, value in enumerate(call.data)]
    visible = iter(old.parameters)
    return [
        (next(visible, None), value)
        for slot, value in zip(old.inputs, call.data, strict=False)
        if not slot.skipped
    ]


def _files_of(value: Any, depth: int) -> Iterator[ServerFile]:
    """Yield the files in output values, in order."""
    if isinstance(value, ServerFile):
        yield value
    elif isinstance(value, list | tuple) and depth:
        for item in cast("Sequence[Any]", value):
            yield from _files_of(item, depth - 1)
    elif isinstance(value, dict) and depth:
        for item in cast("dict[str, Any]", value).values():
            yield from _files_of(item, depth - 1)


def _signature(endpoint: Endpoint | None) -> tuple[Any, ...] | None:
    if endpoint is None:
        return None
    return (
        tuple(parameter.component.lower() for parameter in endpoint.parameters),
        tuple(parameter.label for parameter in endpoint.parameters),
        tuple(one.component.lower() for one in endpoint.returns),
    )


def _gone(parameter: Parameter | None, place: int, new: Endpoint) -> str:
    which = f"the parameter {parameter.shown_name!r}" if parameter is not None else f"parameter {place + 1}"
    return f"{which} is gone; {new.display_name} takes {_names(new) or 'no values'}"


def _names(endpoint: Endpoint) -> str:
    return ", ".join(repr(parameter.name) for parameter in endpoint.parameters[:20])


def _holds_redacted(value: Any) -> bool:
    if isinstance(value, str):
        return REDACTED in value
    try:
        return isinstance(value, list | dict) and f'"{REDACTED}"' in json.dumps(value)
    except (ValueError, RecursionError):
        return False


def _inline_file(text: str, name: str) -> InputFile | None:
    found = _DATA_URL.match(text)
    if found is None:
        return None
    try:
        content = base64.b64decode(text[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        return None
    plain = re.split(r"[/\\]", name)[-1] or f"file{mimetypes.guess_extension(found[1] or '') or ''}"
    return handle_file(content, name=plain, mime_type=found[1], allow_empty=True)


def _uploaded_files(frames: Sequence[Frame]) -> dict[str, tuple[str, int]]:
    """Return name and size of each file that was uploaded, by its path on the recorded server."""
    found: dict[str, tuple[str, int]] = {}
    waiting: list[Frame] = []
    for frame in frames:
        if frame.channel != "upload" or frame.retried:
            continue
        if frame.kind is Kind.REQUEST:
            waiting.append(frame)
        elif frame.kind in (Kind.RESPONSE, Kind.ERROR) and waiting:
            files = _list(waiting.pop(0).payload.get("files"))
            try:
                paths = _list(json.loads(frame.payload.get("body") or b"[]"))
            except (ValueError, RecursionError):
                continue
            for path, file in zip(paths, files, strict=False):
                if isinstance(path, str) and isinstance(file, dict):
                    described = cast("dict[str, Any]", file)
                    size = described.get("size")
                    found[path] = str(described.get("name")), size if isinstance(size, int) else 0
    return found


# --- making the calls -------------------------------------------------------------------------------------


def rerun(
    app: Transport, planned: Sequence[PlannedCall], tolerance: Tolerance | None = None
) -> Iterator[Result]:
    """Make the planned calls, and yield what came of each as soon as it is known.

    If the iterator is closed early, the calls under way are cancelled on the server.

    Args:
        app: The app to call.
        planned: Of `plan`, for the same app.
        tolerance: What is no difference.
    """
    yield from _Runner(app, tolerance or Tolerance()).run(planned)


class _Runner:
    def __init__(self, app: Transport, tolerance: Tolerance) -> None:
        self._app = app
        self._tolerance = tolerance
        self._sessions: dict[int, Session] = {}
        self._running: dict[int, _Running] = {}
        self._outcomes: dict[int, Outcome] = {}

    def run(self, planned: Sequence[PlannedCall]) -> Iterator[Result]:
        steps: list[tuple[float, int, PlannedCall]] = []
        for one in planned:
            if one.skip:
                yield Result(one, Status.SKIPPED, [one.skip])
                continue
            recorded = one.recorded
            steps.append((recorded.start, 0, one))
            end = float("inf") if recorded.end is None else max(recorded.end, recorded.start)
            steps.append((end, 1, one))
        try:
            for _, ends, one in sorted(steps, key=lambda step: step[:2]):
                if ends:
                    yield from self._finish(one.recorded.number)
                    continue
                if len(self._running) >= MOST_AT_ONCE:
                    yield from self._finish(next(iter(self._running)))
                self._running[one.recorded.number] = self._start(one)
        finally:
            for running in self._running.values():
                running.cancel()
            for session in self._sessions.values():
                session.close()

    def _start(self, planned: PlannedCall) -> _Running:
        number = planned.recorded.session
        if number not in self._sessions:
            self._sessions[number] = self._app.session()
        running = _Running(planned, self._sessions[number])
        try:
            arguments = {name: self._value(value, MAX_DEPTH) for name, value in planned.arguments.items()}
        except LookupError as missing:
            running.error = LocalProtocolError(str(missing.args[0]))
        else:
            running.start(arguments)
        return running

    def _value(self, value: Any, depth: int) -> Any:
        """Return an argument with the files of earlier calls filled in."""
        if isinstance(value, EarlierFile):
            outcome = self._outcomes.get(value.call)
            files = list(_files_of(outcome.values, MAX_DEPTH)) if outcome is not None else []
            if value.place >= len(files):
                raise LookupError(
                    f"Call {value.call} gave no file that this call could take as {value.name}."
                )
            return files[value.place]
        if isinstance(value, list) and depth:
            return [self._value(item, depth - 1) for item in cast("list[Any]", value)]
        if isinstance(value, dict) and depth:
            items = cast("dict[str, Any]", value).items()
            return {name: self._value(item, depth - 1) for name, item in items}
        return cast("Any", value)

    def _finish(self, number: int) -> Iterator[Result]:
        running = self._running.get(number)
        if running is None:  # finished early, to make room
            return
        running.wait()
        del self._running[number]
        yield self._result(running)

    def _result(self, running: _Running) -> Result:
        planned = running.planned
        outcome = outcome_of(running.events, running.error)
        self._outcomes[planned.recorded.number] = outcome
        differences = [
            *planned.changes,
            *compare_outcomes(planned.recorded.outcome, outcome, self._tolerance),
        ]
        lost = isinstance(running.error, TransportError)
        same_loss = planned.recorded.outcome.failure == outcome.failure
        status = Status.ERROR if lost and not same_loss else Status.DIFFERS if differences else Status.SAME
        return Result(planned, status, differences, outcome, running.seconds)


class _Running:
    """A call under way, read by a thread of its own, because others run at the same time."""

    def __init__(self, planned: PlannedCall, session: Session) -> None:
        self.planned = planned
        self.events: list[Event] = []
        self.error: BaseException | None = None
        self.seconds = 0.0
        self._session = session
        self._call: Call | None = None
        self._thread = threading.Thread(target=self._read, name="rerun", daemon=True)
        self._began = time.monotonic()

    def start(self, arguments: Mapping[str, Any]) -> None:
        """Submit the call, so that the calls of a session are submitted in order, and read it."""
        endpoint = self.planned.endpoint
        assert endpoint is not None  # noqa: S101 - such calls are skipped
        which = endpoint.fn_index if endpoint.name is None else endpoint.name
        options = CallOptions(event_data=self.planned.recorded.event_data, protocol=self.planned.protocol)
        try:
            self._call = self._session.submit(which, options=options, **arguments)
        except GradioTransportError as error:
            self.error = error
            self.seconds = time.monotonic() - self._began
            return
        self._thread.start()

    def wait(self) -> None:
        """Wait for the end."""
        if self._call is not None:
            self._thread.join()

    def cancel(self) -> None:
        """Cancel it if it runs."""
        if self._call is not None and not self._call.done():
            self._call.cancel()

    def _read(self) -> None:
        call = self._call
        assert call is not None  # noqa: S101 - started by `start`
        chunks = iter(self.planned.recorded.chunks)
        try:
            self._cancel_if_then(call)
            for event in call:
                self.events.append(event)
                self._cancel_if_then(call)
                if isinstance(event, ProcessStreaming):
                    chunk = next(chunks, None)
                    if chunk is None:
                        call.finish()
                    else:
                        call.send(*chunk)
        except (GradioTransportError, CancelledError) as error:
            self.error = error
        self.seconds = time.monotonic() - self._began

    def _cancel_if_then(self, call: Call) -> None:
        """Cancel the call where the recorded one was cancelled: after as many values."""
        recorded = self.planned.recorded
        if recorded.outcome.ending is not Ending.CANCELLED or call.done():
            return
        values = sum(isinstance(event, ProcessGenerating | ProcessStreaming) for event in self.events)
        started = any(isinstance(event, ProcessStarts) for event in self.events)
        if values >= len(recorded.outcome.steps) and (started or values or not recorded.outcome.started):
            call.cancel()


__all__ = [
    "Inputs", "PlannedCall", "RecordedCall", "Result", "Status", "plan", "recorded_calls", "rerun",
]  # fmt: skip
