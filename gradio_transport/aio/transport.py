# SPDX-License-Identifier: Apache-2.0
"""`AsyncTransport`: an app, connected by ``async with``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import anyio.to_thread

from ..app.config import AppConfig, Endpoint
from ..calls.app import App
from ..calls.description import Description
from ..calls.handle import Handle
from ..calls.options import CallOptions, Options
from ..calls.representation import describe_transport, shown_url
from ..engines.base import AsyncEngine
from ..errors import GradioTransportError, LocalProtocolError
from .call import AsyncCall
from .connection import Connection
from .session import AsyncSession
from .session_core import OpenSessions, SessionCore


class AsyncTransport:
    """An app, connected by ``async with``; pickled as `gradio_transport.sync.Transport`."""

    def __init__(self, source: str, options: Options, engine: AsyncEngine | None = None) -> None:
        self._app = App(source, options)
        self._engine = engine
        self._entered: tuple[OpenSessions, AsyncSession] | None = None
        self._description = Description.of(self._app, own_engine=engine is not None)
        self._from_pickle = False
        self._tasks: anyio.abc.TaskGroup | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_description, (type(self), self._description)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    @property
    def _sessions(self) -> OpenSessions:
        return self._parts()[0]

    def _parts(self) -> tuple[OpenSessions, AsyncSession]:
        if self._entered is None:
            raise LocalProtocolError("The transport is not connected: use it as 'async with ... as app'.")
        return self._entered

    @property
    def config(self) -> AppConfig:
        """What the app says of itself."""
        return self._app.config

    @property
    def url(self) -> str:
        """The URL that requests go to."""
        return self._app.discovery.urls.base

    @property
    def protocol(self) -> str:
        """The adapter of most of the app's calls, such as ``"sse_v3"``."""
        return self._app.protocol

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The app's named endpoints, with those that ``gr.render`` drew for the transport's own session."""
        return self._parts()[1].endpoints

    @property
    def session_hash(self) -> str:
        """The hash of the transport's own session."""
        return self._parts()[1].session_hash

    def explain(self, endpoint: str | int | None = None) -> str:
        """Return which protocol each endpoint (or one) uses and why, as a text for people."""
        return self._app.explain(endpoint)

    def session(self, *, headers: Mapping[str, str] | None = None) -> AsyncSession:
        """Return another session; see `gradio_transport.sync.Transport.session`."""
        return AsyncSession(SessionCore(self._sessions, headers))

    def reset(self) -> None:
        """Take another session hash for the transport's own session; see `AsyncSession.reset`."""
        self._parts()[1].reset()

    async def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a function that a component has on the server; see `AsyncSession.component_server`."""
        return await self._parts()[1].component_server(component_id, fn_name, data, timeout=timeout)

    def submit(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> AsyncCall:
        """Start a call in the transport's own session; see `AsyncSession.submit`."""
        return self._parts()[1].submit(endpoint, *arguments, options=options, **keywords)

    async def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint in the transport's own session; see `AsyncSession.call`."""
        return await self._parts()[1].call(endpoint, *arguments, options=options, **keywords)

    def attach(self, handle: Handle, *, options: CallOptions | None = None) -> AsyncCall:
        """Fetch a call that was made elsewhere; see `gradio_transport.sync.Transport.attach`."""
        options = self._app.complete_options(options or CallOptions())
        own = SessionCore(self._sessions, session_hash=handle.session_hash)
        try:
            return AsyncCall(own.attach(handle, options))
        except BaseException:
            own.close()
            raise

    async def aclose(self, timeout: float | None = None) -> None:
        """End the calls under way, and every task and connection. Idempotent.

        Args:
            timeout: Seconds to wait at most for connections to end politely.
        """
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

            engine = AsyncHTTPEngine(self._app.options.http)
        connection = Connection(self._app, engine)
        sessions = OpenSessions(connection)
        try:
            if self._app.space is not None:
                await anyio.to_thread.run_sync(self._app.find_space, abandon_on_cancel=True)
            await connection.discover()
        except BaseException as error:
            await sessions.aclose()
            if isinstance(error, GradioTransportError):
                error.add_note(f"Last frames of the discovery:\n{self._app.taps.note(0)}")
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
        # The block's own exception is not shown to the group, which would wrap it in an ExceptionGroup; our
        # tasks never raise one.
        await self._tasks.__aexit__(None, None, None)

    def __del__(self) -> None:
        entered = getattr(self, "_entered", None)
        if entered is not None and not entered[0].connection.closed:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        if self._entered is None:
            return f"<AsyncTransport of {shown_url(self._description.source)}, not connected>"
        closed = self._entered[0].connection.closed
        return describe_transport("AsyncTransport", self._app, closed=closed)


def _from_description(kind: type[AsyncTransport], description: Description) -> AsyncTransport:
    """Return a transport that connects when it is entered, and says then if that is impossible."""
    transport = kind(description.source, Options(**description.options))
    transport._description, transport._from_pickle = description, True
    return transport


__all__ = ["AsyncTransport"]
