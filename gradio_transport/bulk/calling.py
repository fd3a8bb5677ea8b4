# SPDX-License-Identifier: Apache-2.0
"""The calls of a run in this process: each row in turn gets a slot, a call, and an outcome."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, cast

import anyio
import anyio.abc
import attrs

from ..aio import AsyncCall, AsyncTransport
from ..calls.handle import Handle
from ..calls.options import CallOptions
from ..errors import (
    AppError,
    ConnectError,
    GradioTransportError,
    LocalProtocolError,
    QuotaExceeded,
    RemoteProtocolError,
    SessionNotFound,
    TransportError,
    UnsupportedProtocol,
)
from ..events import Estimation, Event, Joined, ProcessCompleted
from ..files.inputs import InputFile, handle_file
from ..policy import Timeouts
from ..protocol.urls import is_space_name, shown_source, shown_url
from .outcome import Outcome, plain_values, state_of
from .rows import arguments
from .settings import Settings
from .sources import Server, Servers, Source
from .work import Accepted, Place, Runner

logger = logging.getLogger(__name__)

NOT_BY_ITSELF = 1e9
"""Seconds until a late call fetches its result by itself: never, because this module decides when."""

ATTACH_SECONDS = 10.0
"""Seconds for the first message of a call of an earlier run. The server has it ready, or has lost it."""


@attrs.frozen
class Calls:
    """Calls of an endpoint, on one app or on several that serve the same."""

    sources: Sequence[Source]
    settings: Settings

    @property
    def subject(self) -> Mapping[str, str]:
        """The endpoint."""
        endpoint = self.settings.endpoint
        named = endpoint if isinstance(endpoint, int) else "/" + endpoint.lstrip("/")
        return {"endpoint": json.dumps(named)}

    def runner(self) -> Runner:
        """Return the runner that makes the calls in this process."""
        return LocalRunner(self.sources, self.settings)

    def share(self, workers: int) -> Self:
        """Return the share of one of several workers."""
        return attrs.evolve(self, settings=self.settings.share(workers))

    def check_portable(self) -> None:
        """Reject sources that contain secrets. A transport itself refuses to be pickled with them.

        Raises:
            LocalProtocolError: A source contains one.
        """
        for source in self.sources:
            if isinstance(source, str) and may_hold_secrets(source):
                raise LocalProtocolError(
                    f"{shown_source(source)} has a login or parameters, which are not sent to workers. Pass "
                    f"a function that returns connect_async(...) instead, and that reads them from its "
                    f"environment."
                )

    def is_final(self, outcome: Outcome, *, redo_failed: bool) -> bool:
        """Return whether a row is not called again: it is done, may have run, or failed permanently."""
        if outcome.error is None:
            return True
        if outcome.error.retryable:
            return False
        repeatable = self.settings.repeatable
        again = redo_failed if state_of(outcome.error) == "failed" else repeatable
        return not (again and (repeatable or not outcome.may_have_run))


def may_hold_secrets(source: str) -> bool:
    """Return whether a source is a URL with a login or parameters."""
    return not is_space_name(source) and ("?" in source or "@" in source)


@attrs.define
class _Heard:
    """The listener of a call. It records the queue length, and for a late call its handle and times."""

    accepted: Accepted | None = None
    app: AsyncTransport | None = None
    call: AsyncCall | None = None
    rank: int | None = None
    first_message: float | None = None
    run: float | None = None
    options: CallOptions | None = None

    def __call__(self, event: Event) -> None:
        if isinstance(event, Joined):
            if self.accepted is not None and self.call is not None and event.event_id is not None:
                self.accepted(self._handle(event.event_id, self.call))
            return
        if self.first_message is None:
            self.first_message = time.monotonic()
        if self.rank is None and isinstance(event, Estimation):
            self.rank = event.rank
        elif isinstance(event, ProcessCompleted):
            self.run = event.duration

    def _handle(self, event_id: str, call: AsyncCall) -> Handle:
        # Why not call.handle(): it refuses after the stream is open, and this runs before that.
        assert self.app is not None  # noqa: S101 - set together
        return Handle(
            url=self.app.url,
            session_hash=call.session_hash,
            event_id=event_id,
            fn_index=call.endpoint.fn_index,
            endpoint=call.endpoint.name,
            protocol=call.adapter,
            gradio_version=self.app.config.version or None,
        )


class LocalRunner:
    """A runner that makes the calls of a run with the async API in this process."""

    def __init__(self, sources: Sequence[Source], settings: Settings) -> None:
        self.settings = settings
        self._listeners: list[_Heard] = []
        self.servers = Servers(
            sources, at_once=settings.at_once, rate=settings.rate, patience=settings.patience
        )

    @property
    def allowed(self) -> int:
        """The most concurrent calls."""
        return self.servers.allowed

    async def open(self, tasks: anyio.abc.TaskGroup, on_room: Callable[[], object]) -> None:
        """Connect."""
        await self.servers.connect(tasks, on_room)

    def close(self) -> None:
        """Disconnect."""
        self.servers.close()

    def check(self) -> None:
        """Do nothing: the run waits for a source that fails."""

    def has_room(self) -> bool:
        """Return whether a server can accept another call."""
        return self.servers.has_room()

    async def place(self) -> Place:
        """Wait until a server can accept another call."""
        return _LocalPlace(self, await self.servers.acquire())

    async def attach(self, handle: Handle, index: int, row: Any) -> Outcome | None:
        """Fetch a call by its handle, if its app still knows it.

        Raises:
            ConnectError: The app does not answer now, or is not one of the sources.
        """
        server = self.servers.at(handle.url)
        if server is None:
            raise ConnectError(
                f"No source of this run is connected to {shown_url(handle.url)}, which has the call."
            )
        started = time.monotonic()
        timeouts = Timeouts(first_message=ATTACH_SECONDS, total=self.settings.timeout, cancel_on_expiry=False)
        options = CallOptions(timeouts=timeouts, download_files=self.directory(index))
        try:
            values = await server.app.attach(handle, options=options).result()
        except AppError as error:
            return _outcome(index, row, server, 1, started, error=error)
        except GradioTransportError as error:
            if isinstance(error, ConnectError):
                raise
            logger.info("row %d of an earlier run cannot be fetched: %s", index, error)
            return None
        return _outcome(index, row, server, 1, started, values=plain_values(values))

    def directory(self, index: int) -> Path | None:
        """Return the directory of a row's files. Each has its own, because outputs have the same names."""
        return None if self.settings.files_to is None else self.settings.files_to / str(index)

    async def call(self, server: Server, index: int, row: Any, accepted: Accepted | None) -> list[Any]:
        """Make one call."""
        given, named = self._arguments(row)
        heard = self._listener(accepted, server)
        late = self._is_late(server)
        begun = time.monotonic()
        try:
            if late:
                values = await self._call_late(server, index, given, named, heard)
            else:
                heard.options = options = heard.options or self._options(index, heard)
                values = await server.app.call(self.settings.endpoint, *given, options=options, **named)
        except UnsupportedProtocol:
            if not late:
                raise
            server.attaches_late = False  # rejected before anything was sent
            return await self.call(server, index, row, accepted)
        except GradioTransportError as error:
            if isinstance(error, AppError) and not isinstance(error, QuotaExceeded):
                self._note(server, heard, begun)
            else:
                server.failed(error, time.monotonic())
            raise
        self._note(server, heard, begun)
        if not late and self.settings.files_to is None:
            self._listeners.append(heard)
        return plain_values(values)

    def _listener(self, accepted: Accepted | None, server: Server) -> _Heard:
        """Return a listener, reused from an ended call if possible, because options take time to make."""
        if not self._listeners:
            return _Heard(accepted, server.app)
        heard = self._listeners.pop()
        heard.accepted, heard.app, heard.call = accepted, server.app, None
        heard.rank = heard.first_message = heard.run = None
        return heard

    @staticmethod
    def _note(server: Server, heard: _Heard, begun: float) -> None:
        now = time.monotonic()
        server.fetch_time.ended(now - begun, now - (heard.first_message or now), heard.run)
        server.answered(heard.rank)

    def _is_late(self, server: Server) -> bool:
        wanted = self.settings.late
        return server.attaches_late and (server.fetch_time.is_long if wanted is None else wanted)

    async def _call_late(
        self, server: Server, index: int, given: Sequence[Any], named: Mapping[str, Any], heard: _Heard
    ) -> list[Any]:
        """Make a call whose stream is opened only when its result should be ready."""
        begun, changed = time.monotonic(), anyio.Event()
        options = self._options(index, heard, attach="late", own_session=True, fetch_after=NOT_BY_ITSELF)
        heard.call = call = server.app.submit(self.settings.endpoint, *given, options=options, **named)
        call.add_done_callback(lambda _: changed.set())
        is_scout = await server.wait_to_fetch(begun, changed)
        try:
            call.fetch()
            return await call.result()
        finally:
            if is_scout:
                server.scout_ended()

    def _options(self, index: int, heard: _Heard, **more: Any) -> CallOptions:
        timeout = self.settings.timeout
        timeouts = None if timeout is None else Timeouts(total=timeout)
        return CallOptions(listener=heard, timeouts=timeouts, download_files=self.directory(index), **more)

    def _arguments(self, row: Any) -> tuple[Sequence[Any], Mapping[str, Any]]:
        given, named = arguments(row)
        if self.settings.files:
            given = [
                _file(value) if place in self.settings.files else value for place, value in enumerate(given)
            ]
            named = {
                name: _file(value) if name in self.settings.files else value for name, value in named.items()
            }
        return given, named

    def calls_again(self, error: GradioTransportError, attempts: int) -> bool:
        """Return whether to call a row again after its call failed.

        Yes, if the function cannot have run and the patience of the run has not expired.
        """
        if error.retryable:  # false if the function may have run
            return True
        lost = isinstance(error, TransportError | SessionNotFound | RemoteProtocolError)
        return lost and self.settings.repeatable and attempts < self.settings.attempts


def _file(value: Any) -> Any:
    if value is None or isinstance(value, InputFile):
        return value
    if isinstance(value, list | tuple):
        return [_file(item) for item in cast("Sequence[Any]", value)]
    return handle_file(value)


@attrs.define
class _LocalPlace:
    """A slot of a server."""

    runner: LocalRunner
    server: Server
    may_have_run: bool = False

    def release(self) -> None:
        """Release the slot."""
        self.runner.servers.release(self.server)

    async def run(self, index: int, row: Any, accepted: Accepted | None) -> Outcome:
        """Call until there is an outcome, each time on the server with the lowest load."""
        runner, server, started = self.runner, self.server, time.monotonic()
        attempts, may_have_run = 0, False
        while True:
            attempts += 1
            self.may_have_run = True
            try:
                values = await runner.call(server, index, row, accepted)
                return _outcome(index, row, server, attempts, started, values=values)
            except GradioTransportError as error:
                may_have_run = error.may_have_run = may_have_run or error.may_have_run
                self.may_have_run = may_have_run
                failure = error
            finally:
                runner.servers.release(server)
            if not runner.calls_again(failure, attempts):
                return _outcome(index, row, server, attempts, started, error=failure)
            try:
                server = await runner.servers.acquire()
            except GradioTransportError:
                return _outcome(index, row, server, attempts, started, error=failure)


def _outcome(index: int, row: Any, server: Server, attempts: int, started: float, **end: Any) -> Outcome:
    error = end.get("error")
    return Outcome(
        index=index,
        row=row,
        attempts=attempts,
        elapsed=time.monotonic() - started,
        may_have_run=error is None or error.may_have_run,
        source=server.app.url,
        **end,
    )
