# SPDX-License-Identifier: Apache-2.0
"""What a caller opens: `AsyncTransport`, and `AsyncSession`, one ``session_hash`` of it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import anyio.to_thread
import attrs

from ..adapter.contract import Adapter
from ..app.config import AppConfig, Endpoint
from ..calls.app import App
from ..calls.component_server import component_reply, component_request
from ..calls.deadline import Deadlines
from ..calls.description import Description
from ..calls.failures import closed_under_way, lost_under_way
from ..calls.handle import Handle
from ..calls.options import CallOptions, Options
from ..calls.session_state import SessionState
from ..engines.base import AsyncEngine
from ..errors import GradioTransportError, LocalProtocolError, Phase
from ..events import Failed
from .call import AsyncCall
from .core import Core
from .files import within
from .heartbeat import HeartbeatTask
from .runner import Begin, Runner


class AsyncSession(SessionState):
    """One ``session_hash``; see `gradio_transport.sync.Session`."""

    def __init__(
        self, core: Core, headers: Mapping[str, str] | None = None, session_hash: str | None = None
    ) -> None:
        super().__init__(core.app, headers, session_hash)
        self._core = core
        self._runners: dict[str, Runner] = {}
        self._beating: HeartbeatTask | None = None
        self._closed = False

    def submit(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> AsyncCall:
        """Start a call in a task of the transport; see `gradio_transport.sync.Session.submit`."""
        call, begun, runner = self._begin(endpoint, arguments, keywords, options)
        self._core.spawn(runner.drive, call, begun)
        return call

    async def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint and return its output values. Cancelling the task cancels the call upstream.

        Raises:
            AppError: The app's function raised.
            GradioTransportError: The call failed, in whatever way its type says.
        """
        call, begun, runner = self._begin(endpoint, arguments, keywords, options)
        call._awaits_result()
        try:
            if call._deadlines.finer_than_silence:  # somebody has to watch the clock while a task drives it
                self._core.spawn(runner.drive, call, begun)
            else:
                await runner.drive(call, begun)
            return await call.result()
        except BaseException:
            if not call.done():
                with anyio.CancelScope(shield=True):
                    await call.cancel()
            raise

    def _begin(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions | Any,
    ) -> tuple[AsyncCall, Begin, Runner]:
        if options is not None and not isinstance(options, CallOptions):
            keywords["options"] = options
            options = None
        options = self._core.app.completed(options or CallOptions())
        if options.own_session:
            return self._begin_apart(endpoint, arguments, keywords, options)
        deadlines = Deadlines(options.timeouts or self._core.app.options.timeouts, time.monotonic)
        adapter, invocation = self._core.app.prepare(self.config, endpoint, arguments, keywords, options)
        runner = self._runner(adapter)
        call, begun = runner.begin(invocation, options, deadlines)
        call._resubmit = self._submit_again
        self._beat()
        return call, begun, runner

    async def _submit_again(self, call: AsyncCall) -> None:
        """Make another try of a call whose stream was lost, with a new hash if that was lost with it."""
        try:
            runner = self._runner(self._core.app.options.registry.get(call.adapter))
            commands = runner.begin_again(call)
            self._beat()
        except GradioTransportError as error:
            call._deliver(Failed(event_id=call.event_id, error=error), 0)
            return
        await runner.drive(call, commands)

    def _take_up(self, handle: Handle, options: CallOptions) -> AsyncCall:
        """Begin to fetch a call that was joined elsewhere, in this session."""
        deadlines = Deadlines(options.timeouts or self._core.app.options.timeouts, time.monotonic)
        adapter, invocation = self._core.app.taken_up(handle)
        runner = self._runner(adapter)
        call, begun = runner.begin(invocation, options, deadlines)
        self._core.spawn(runner.drive, call, begun)
        self._beat()
        return call

    def _begin_apart(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions,
    ) -> tuple[AsyncCall, Begin, Runner]:
        """Begin a call in a session of its own, which ends with it."""
        apart = AsyncSession(self._core, self.credentials.headers)
        try:
            begun = apart._begin(endpoint, arguments, keywords, attrs.evolve(options, own_session=False))
        except BaseException:
            apart.close()
            raise
        begun[0].add_done_callback(lambda _: apart.close())
        return begun

    def _beat(self) -> None:
        """Show the server that the session lives, where the app needs it."""
        beating = self._beating
        if beating is not None and beating.session_hash != self.session_hash:
            beating.stop()
            self._beating = beating = None
        if beating is None and self.wants_heartbeat:
            self._beating = self._core.beat(self)

    async def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a function that a component has on the server; see the sync `Session.component_server`."""
        app = self._core.app
        command = component_request(
            app.discovery.urls, self.config, self.session_hash, component_id, fn_name, data
        )
        app.taps.command(command, 0)
        what = f"The reply of the component's function {fn_name!r}"
        work = self._core.request(command, app.options.timeouts, credentials=self.credentials)
        response = await within(timeout, what, Phase.COMPLETE, work)
        app.taps.response(command.channel, 0, response)
        return component_reply(response, fn_name, app.options.limits)

    def reset(self) -> None:
        """Begin anew: another session hash, and so fresh gr.State. Calls under way are ended."""
        self._end("session was reset")
        self.renew()

    def _runner(self, adapter: Adapter) -> Runner:
        if self._closed:
            raise LocalProtocolError("The session is closed.")
        runner = self._runners.get(adapter.name)
        if runner is not None and not runner.usable:
            self._core.discard(runner)
            runner.close(lost_under_way())
            self.renew()
            runner = None
        if runner is None:
            runner = self._runners[adapter.name] = self._core.runner(adapter, self)
        return runner

    def close(self) -> None:
        """End the session's calls, its stream and its heartbeat. Idempotent."""
        self._closed = True
        self._end("session was closed")

    def _end(self, what: str) -> None:
        runners, self._runners = list(self._runners.values()), {}
        if self._beating is not None:
            self._beating.stop()
            self._beating = None
        for runner in runners:
            runner.close(closed_under_way(what))
            self._core.discard(runner)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncTransport:
    """An app, to be connected by ``async with``; pickled as `gradio_transport.sync.Transport`."""

    def __init__(self, source: str, options: Options, engine: AsyncEngine | None = None) -> None:
        self._app = App(source, options)
        self._engine = engine
        self._entered: tuple[Core, AsyncSession] | None = None
        self._description = Description.of(self._app, own_engine=engine is not None)
        self._from_pickle = False
        self._tasks: anyio.abc.TaskGroup | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self._description)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    @property
    def _core(self) -> Core:
        return self._parts()[0]

    def _parts(self) -> tuple[Core, AsyncSession]:
        if self._entered is None:
            raise LocalProtocolError("The transport is not connected: use it as 'async with ... as app'.")
        return self._entered

    @property
    def config(self) -> AppConfig:
        """What the app said of itself."""
        return self._app.config

    @property
    def url(self) -> str:
        """Where requests go."""
        return self._app.discovery.urls.base

    @property
    def protocol(self) -> str:
        """The adapter that most of the app's calls go by, such as ``"sse_v3"``."""
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
        """Return why each endpoint (or one) goes by its protocol, as a text for people."""
        return self._app.explain(endpoint)

    def session(self, *, headers: Mapping[str, str] | None = None) -> AsyncSession:
        """Return a session of its own; see `gradio_transport.sync.Transport.session`."""
        return AsyncSession(self._core, headers)

    def reset(self) -> None:
        """Begin the transport's own session anew; see `AsyncSession.reset`."""
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
        options = self._core.app.completed(options or CallOptions())
        apart = AsyncSession(self._core, session_hash=handle.session_hash)
        try:
            call = apart._take_up(handle, options)
        except BaseException:
            apart.close()
            raise
        call.add_done_callback(lambda _: apart.close())
        return call

    async def aclose(self, timeout: float | None = None) -> None:
        """End the calls under way, and every task and connection. Idempotent.

        Args:
            timeout: Seconds to wait at most for connections to end politely.
        """
        if self._entered is not None:
            await self._entered[0].close(timeout)

    async def __aenter__(self) -> Self:
        if self._entered is not None:
            raise LocalProtocolError("The transport was entered twice.")
        if self._from_pickle:
            self._description.check()
        engine = self._engine
        if engine is None:
            from ..engines.httpx_async import AsyncHTTPXEngine

            engine = AsyncHTTPXEngine(self._app.options.http)
        core = Core(self._app, engine)
        try:
            if self._app.space is not None:
                await anyio.to_thread.run_sync(self._app.find_space, abandon_on_cancel=True)
            await core.discover()
        except BaseException as error:
            await core.close()
            if isinstance(error, GradioTransportError):
                error.add_note(f"Last frames of the discovery:\n{self._app.taps.note(0)}")
            raise
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        await self._tasks.start(core.hold)
        self._entered = core, AsyncSession(core)
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
        if entered is not None and not entered[0].closed:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)

    def __repr__(self) -> str:
        state = "open" if self._entered is not None and not self._entered[0].closed else "closed"
        return f"<AsyncTransport {self._app.base} {state}>"


def _unpickled(kind: type[AsyncTransport], description: Description) -> AsyncTransport:
    """Return a transport that connects when it is entered, and says then if that is impossible."""
    made = kind(description.source, Options(**description.options))
    made._description, made._from_pickle = description, True
    return made
