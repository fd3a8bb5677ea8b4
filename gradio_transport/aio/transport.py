# SPDX-License-Identifier: Apache-2.0
"""`AsyncTransport`: an async connection to an app."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import anyio.to_thread

from ..calls.app import App
from ..calls.description import Description
from ..calls.method_timeout import check_timeout
from ..calls.options import CallOptions, Options
from ..calls.representation import describe_transport
from ..calls.request_sequence import Requests
from ..calls.requests import add_elapsed
from ..calls.views import TransportView
from ..engines.base import AsyncEngine
from ..errors import GradioTransportError, LocalProtocolError
from ..protocol.urls import shown_url
from .call import AsyncCall
from .connection import Connection
from .session import AsyncSession
from .session_core import OpenSessions, SessionCore


class AsyncTransport(TransportView[AsyncCall, AsyncSession]):
    """A connection to an app, opened by ``async with``. Pickles as `gradio_transport.sync.Transport` does."""

    def __init__(self, source: str, options: Options, engine: AsyncEngine | None = None) -> None:
        self._described = App(source, options)
        self._engine = engine
        self._entered: tuple[OpenSessions, AsyncSession] | None = None
        self._description = Description.of(self._described, own_engine=engine is not None)
        self._from_pickle = False
        self._tasks: anyio.abc.TaskGroup | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_description, (type(self), self._description)

    @property
    def _sessions(self) -> OpenSessions:
        return self._parts()[0]

    @property
    def _app(self) -> App:
        return self._described

    @property
    def _session(self) -> AsyncSession:
        return self._parts()[1]

    def _parts(self) -> tuple[OpenSessions, AsyncSession]:
        if self._entered is None:
            raise LocalProtocolError("The transport is not connected: use it as 'async with ... as app'.")
        return self._entered

    def _new_session(
        self, headers: Mapping[str, str] | None = None, session_hash: str | None = None
    ) -> AsyncSession:
        return AsyncSession(SessionCore(self._sessions, headers, session_hash))

    def reset(self) -> None:
        """Take a new session hash for the transport's own session; see `AsyncSession.reset`."""
        self._session.reset()

    async def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a server-side function of a component; see `AsyncSession.component_server`."""
        return await self._session.component_server(component_id, fn_name, data, timeout=timeout)

    async def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint in the transport's own session; see `AsyncSession.call`."""
        return await self._session.call(endpoint, *arguments, options=options, **keywords)

    async def aclose(self, timeout: float | None = None) -> None:
        """End the calls in progress, and all tasks and connections. Idempotent.

        Args:
            timeout: The most seconds to wait for connections to close cleanly.
        """
        check_timeout(timeout)
        if self._entered is not None:
            await self._entered[0].aclose(timeout)

    async def __aenter__(self) -> Self:
        if self._entered is not None:
            raise LocalProtocolError("The transport was entered twice.")
        if self._from_pickle:
            self._description.check()
        engine = self._engine
        if engine is None:
            from ..engines.httpcore_async import AsyncHTTPEngine

            engine = AsyncHTTPEngine(self._described.options.http)
        connection = Connection(self._described, engine)
        sessions = OpenSessions(connection)
        try:
            if self._described.space is not None:
                await anyio.to_thread.run_sync(self._described.find_space, abandon_on_cancel=True)
            with add_elapsed():
                self._described.discovery = await connection.run(Requests.of_app(self._described).discover())
        except BaseException as error:
            await sessions.aclose()
            if isinstance(error, GradioTransportError):
                self._described.complete_error(error)
            raise
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        await self._tasks.start(connection.hold)
        self._entered = sessions, AsyncSession(SessionCore(sessions))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()
        assert self._tasks is not None
        # The task group does not get the block's exception, because it would wrap it in an ExceptionGroup.
        # The tasks of the transport never raise.
        await self._tasks.__aexit__(None, None, None)

    def __del__(self) -> None:
        entered = getattr(self, "_entered", None)
        if entered is not None and not entered[0].connection.closed:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        if self._entered is None:
            return f"<AsyncTransport of {shown_url(self._description.source)}, not connected>"
        closed = self._entered[0].connection.closed
        return describe_transport("AsyncTransport", self._described, closed=closed)


def _from_description(kind: type[AsyncTransport], description: Description) -> AsyncTransport:
    """Return a transport that connects when it is entered, and raises then if that is impossible."""
    transport = kind(description.source, Options(**description.options))
    transport._description, transport._from_pickle = description, True
    return transport
