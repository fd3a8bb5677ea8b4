# SPDX-License-Identifier: Apache-2.0
"""`rerun`: make the planned calls, and compare their outcomes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any, cast

from ..calls.options import CallOptions
from ..errors import GradioTransportError, LocalProtocolError, TransportError
from ..events import Event, ProcessGenerating, ProcessStarts, ProcessStreaming
from ..files.forms import MAX_DEPTH
from ..sync import Call, Session, Transport
from ..trace.outcomes import (
    Ending,
    Outcome,
    Tolerance,
    compare_outcomes,
    outcome_of,
)
from .files import files_of
from .planned import EarlierFile, PlannedCall, Result, Status

MOST_AT_ONCE = 64
"""The most concurrent calls; if a trace has more, the next one waits for the oldest."""


def rerun(
    app: Transport, planned: Sequence[PlannedCall], tolerance: Tolerance | None = None
) -> Iterator[Result]:
    """Make the planned calls, and yield each result as soon as it is known.

    If the iterator is closed early, running calls are cancelled on the server.

    Args:
        app: The app to call.
        planned: The result of `plan`, for the same app.
        tolerance: Deviations that do not count as differences.
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
            files = list(files_of(outcome.values, MAX_DEPTH)) if outcome is not None else []
            if value.place >= len(files):
                raise LookupError(
                    f"Call {value.call} returned no file that this call could take as {value.name}."
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
    """A running call, read by its own thread, because others run at the same time."""

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
        """Submit the call at once, so that the calls of a session are submitted in order, and read it."""
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
        """Cancel the call if it is running."""
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
        """Cancel the call after as many values as the recorded one, if that was cancelled."""
        recorded = self.planned.recorded
        if recorded.outcome.ending is not Ending.CANCELLED or call.done():
            return
        values = sum(isinstance(event, ProcessGenerating | ProcessStreaming) for event in self.events)
        started = any(isinstance(event, ProcessStarts) for event in self.events)
        if values >= len(recorded.outcome.steps) and (started or values or not recorded.outcome.started):
            call.cancel()
