# SPDX-License-Identifier: Apache-2.0
"""The apps of a run: connected, counted, paused while they fail, and resumed when they answer."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import TypeAlias, cast

import anyio
import anyio.abc
import attrs

from .._connect import AsyncLibrary, connect_async
from ..aio import AsyncTransport
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
    QueueFull,
    RateLimited,
    TimeoutExpired,
    TransportError,
)
from .controller import Controller, FetchTime

logger = logging.getLogger(__name__)

MakeTransport: TypeAlias = Callable[[], AsyncTransport]
Source: TypeAlias = str | AsyncTransport | MakeTransport
"""The URL of an app or the name of a Space; a transport of `connect_async`; a function that returns one."""

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds until a failed source gets another call; doubled after each further failure."""


def as_sources(given: Source | Iterable[Source]) -> tuple[Source, ...]:
    """Return the sources as a sequence: one, or several of the same app.

    Raises:
        LocalProtocolError: There is no source, or a value is not a source.
    """
    several = isinstance(given, Iterable) and not isinstance(given, str | AsyncTransport)
    sources = tuple(cast("Iterable[Source]", given)) if several else (cast("Source", given),)
    if not sources:
        raise LocalProtocolError("A run needs at least one source: a URL, a Space, or a transport.")
    for source in sources:
        if not isinstance(source, str | AsyncTransport) and not callable(source):
            raise LocalProtocolError(
                "A source must be the URL of an app, the name of a Space, a transport of connect_async, or a "
                f"function that returns one; got {type(source).__name__}."
            )
    return sources


def is_connected(transport: AsyncTransport) -> bool:
    """Return whether a transport is already entered: it is then used as it is, and stays open."""
    try:
        transport.endpoints  # noqa: B018 - asked for its refusal
    except LocalProtocolError:
        return False
    return True


def default_engine() -> AsyncLibrary:
    """Return the fastest installed engine."""
    return "httpx" if find_spec("aiohttp") is None else "aiohttp"


def open_transport(source: Source) -> AsyncTransport:
    """Return the transport of a source. It is connected only if the caller connected it."""
    if isinstance(source, str):
        return connect_async(source, engine=default_engine())
    return source if isinstance(source, AsyncTransport) else source()


@attrs.define(eq=False)
class Server:
    """One app of a run.

    Attributes:
        in_flight: Running calls.
        rank: The rank of the last call when it joined.
        resume_at: Time when it gets calls again, by `time.monotonic`.
        failures: Number of failures since it last answered.
        failing_since: Time of the first of these, or None.
    """

    source: Source
    controller: Controller
    transport: AsyncTransport | None = None
    in_flight: int = 0
    rank: int = 0
    resume_at: float = 0.0
    failures: int = 0
    failing_since: float | None = None
    last_error: GradioTransportError | None = None
    attaches_late: bool = True
    fetch_time: FetchTime = attrs.field(factory=FetchTime)
    _has_scout: bool = False
    _await_scout: list[anyio.CancelScope] = attrs.field(factory=list[anyio.CancelScope])

    @property
    def app(self) -> AsyncTransport:
        """The connected transport."""
        assert self.transport is not None  # noqa: S101 - it is asked for a server that has room
        return self.transport

    def has_room(self, now: float) -> bool:
        """Return whether a call may start. A failing source gets a single call as a test."""
        allowed = 1 if self.failures else self.controller.allowed
        return self.transport is not None and now >= self.resume_at and self.in_flight < allowed

    @property
    def load(self) -> float:
        """The number of its calls, relative to the number allowed."""
        return (self.in_flight + self.rank) / self.controller.allowed

    async def wait_to_fetch(self, begun: float, ended: anyio.Event) -> bool:
        """Wait until the stream of a late call should be opened, or the call has ended.

        While the duration of calls is unknown, one of them, the scout, is fetched at once to measure it.

        Returns:
            Whether the call is the scout. If so, call `scout_ended` at its end.
        """
        while self.fetch_time.seconds is None and not ended.is_set():
            if not self._has_scout:
                self._has_scout = True
                return True
            with anyio.CancelScope() as waiting:
                self._await_scout.append(waiting)
                await ended.wait()
        with anyio.move_on_after((self.fetch_time.seconds or 0.0) - (time.monotonic() - begun)):
            await ended.wait()
        return False

    def scout_ended(self) -> None:
        """Let the other calls use the scout's duration, or make another one the scout."""
        self._has_scout = False
        waiting, self._await_scout = self._await_scout, []
        for one in waiting:
            one.cancel()

    def answered(self, rank: int | None) -> None:
        """Record that a call ended with a reply of the app."""
        self.failures, self.failing_since, self.last_error = 0, None, None
        self.rank = rank or 0
        self.controller.joined(rank)

    def failed(self, error: GradioTransportError, now: float) -> None:
        """Record that a call ended without a reply, and pause the source if that indicates its state."""
        if isinstance(error, TimeoutExpired) and error.setting in ("total", "timeout"):
            return  # of this row
        if isinstance(error, QueueFull | RateLimited | TransportError):
            self.controller.refused()
        asked = getattr(error, "retry_after", None)
        if not (error.retryable or isinstance(error, TransportError) or asked):
            return
        self.last_error = error
        self.failing_since = now if self.failing_since is None else self.failing_since
        if now >= self.resume_at:  # concurrent calls fail together
            self.resume_at = now + min(FIRST_PAUSE * 2**self.failures, LONGEST_PAUSE)
            self.failures = min(self.failures + 1, 10)
        if isinstance(asked, int | float) and 0 < asked < math.inf:
            self.resume_at = max(self.resume_at, now + asked)


class Servers:
    """All apps of a run. It connects them, and chooses one for each call."""

    def __init__(
        self, sources: Sequence[Source], *, at_once: int | None, rate: float | None, patience: float
    ) -> None:
        share = None if at_once is None else max(1, math.ceil(at_once / len(sources)))
        self.all = [Server(source, Controller.of(share)) for source in sources]
        self._at_once = at_once
        self._pause = 0.0 if rate is None else 1 / rate
        self._next_call = 0.0
        self._patience = patience
        self._changed = anyio.Event()
        self._done = anyio.Event()
        self._in_flight = 0
        self._on_room: Callable[[], object] = lambda: None

    @property
    def allowed(self) -> int:
        """The most concurrent calls on all of them."""
        total = sum(server.controller.allowed for server in self.all)
        return total if self._at_once is None else min(total, self._at_once)

    async def connect(self, tasks: anyio.abc.TaskGroup, on_room: Callable[[], object]) -> None:
        """Connect all, and return when one is connected.

        Args:
            tasks: Task group for the tasks that keep the transports open.
            on_room: Called when a source is connected later.

        Raises:
            GradioTransportError: No source answers, or one cannot be used, for example because of a wrong
                login.
        """
        self._on_room = on_room
        failures: list[GradioTransportError] = []
        async with anyio.create_task_group() as connecting:
            for server in self.all:
                connecting.start_soon(self._start, tasks, server, failures)
        if all(server.transport is None for server in self.all):
            raise failures[0]
        for error in failures:
            if not isinstance(error, TransportError):
                raise error

    async def _start(
        self, tasks: anyio.abc.TaskGroup, server: Server, failures: list[GradioTransportError]
    ) -> None:
        try:
            await tasks.start(self._hold, server)
        except GradioTransportError as error:
            failures.append(error)
            logger.warning("a source of the run does not answer: %s", error)
            if isinstance(error, TransportError):
                tasks.start_soon(self._connect_later, tasks, server)

    async def _connect_later(self, tasks: anyio.abc.TaskGroup, server: Server) -> None:
        pause = FIRST_PAUSE
        while not self._done.is_set():
            with anyio.move_on_after(pause):
                await self._done.wait()
            pause = min(2 * pause, LONGEST_PAUSE)
            try:
                await tasks.start(self._hold, server)
            except TransportError as error:
                logger.info("a source of the run still does not answer: %s", error)
            except GradioTransportError as error:
                logger.warning("a source of the run cannot be used: %s", error)
                return
            else:
                self._on_room()
                return

    async def _hold(self, server: Server, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Keep a transport open until the end of the run. The task that entered it must leave it."""
        transport = open_transport(server.source)
        if is_connected(transport):
            server.transport = transport
            task_status.started()
            return
        async with transport:
            server.transport = transport
            self.wake()
            task_status.started()
            await self._done.wait()

    def close(self) -> None:
        """Close the transports that the run opened."""
        self._done.set()

    def wake(self) -> None:
        """Wake the tasks that wait for a slot."""
        self._changed.set()

    def has_room(self) -> bool:
        """Return whether an app can accept another call. The rate limit may still delay it."""
        return self._free(time.monotonic()) is not None

    def _free(self, now: float) -> Server | None:
        """Return the app with the lowest load that can accept another call."""
        if self._at_once is not None and self._in_flight >= self._at_once:
            return None
        found: Server | None = None
        for server in self.all:
            if server.has_room(now) and (found is None or server.load < found.load):
                found = server
        return found

    async def acquire(self) -> Server:
        """Wait until an app can accept another call, and count the call.

        Raises:
            GradioTransportError: No app answered for the patience of the run; it is the last error.
        """
        while True:
            now = time.monotonic()
            server = self._free(now) if now >= self._next_call else None
            if server is not None:
                server.in_flight += 1
                self._in_flight += 1
                self._next_call = max(now, self._next_call) + self._pause if self._pause else 0.0
                return server
            self._check_patience(now)
            if self._changed.is_set():
                self._changed = anyio.Event()
            with anyio.move_on_after(self._next_look(now) - now):
                await self._changed.wait()

    def _next_look(self, now: float) -> float:
        times = [server.resume_at for server in self.all if server.transport is not None]
        times += [
            self._next_call,
            *(one.failing_since + self._patience for one in self.all if one.failing_since),
        ]
        return max(min((when for when in times if when > now), default=now + self._patience), now + 0.001)

    def _check_patience(self, now: float) -> None:
        connected = [server for server in self.all if server.transport is not None]
        if all(
            one.failing_since is not None and now - one.failing_since >= self._patience for one in connected
        ):
            error = next((one.last_error for one in connected if one.last_error is not None), None)
            if error is not None:
                error.add_note(f"No source of the run has answered for {self._patience:g} s (patience=).")
                raise error

    def release(self, server: Server) -> None:
        """Count that a call is over."""
        server.in_flight -= 1
        self._in_flight -= 1
        self.wake()

    def at(self, url: str) -> Server | None:
        """Return the connected app of a URL."""
        return next((one for one in self.all if one.transport is not None and one.app.url == url), None)
