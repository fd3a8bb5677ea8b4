# SPDX-License-Identifier: Apache-2.0
"""What a caller opens: `Transport`, and `Session`, one ``session_hash`` of it."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

import attrs

from ..adapter.contract import Adapter
from ..app.config import AppConfig, Endpoint
from ..calls.app import App
from ..calls.component_server import component_reply, component_request
from ..calls.deadline import Allowance, Deadlines
from ..calls.description import Description
from ..calls.failures import closed_under_way, lost_under_way
from ..calls.forking import tell_after_fork
from ..calls.handle import Handle
from ..calls.options import CallOptions, Options
from ..calls.requests import timed
from ..calls.session_state import SessionState
from ..engines.base import Engine
from ..errors import GradioTransportError, LocalProtocolError, Phase
from ..events import Failed
from ..protocol.commands import Command
from .call import Call
from .core import JOIN_THREAD_SECONDS, Core, join
from .heartbeat import HeartbeatThread
from .runner import Runner


class Session(SessionState):
    """One ``session_hash``: its calls share gr.State, cookies, and where the protocol has one, a stream.

    It lives until it is closed, or its transport is. The server forgets it some time later (an hour after the
    heartbeat has ended, where it has one); after `reset`, or when the stream is lost, at once.
    """

    def __init__(
        self, core: Core, headers: Mapping[str, str] | None = None, session_hash: str | None = None
    ) -> None:
        super().__init__(core.app, headers, session_hash)
        self._core = core
        self._lock = threading.RLock()  # a done callback may come back to the session that is ending
        self._runners: dict[str, Runner] = {}
        self._beating: HeartbeatThread | None = None
        self._closed = False
        tell_after_fork(self)

    def begin_anew(self) -> None:
        """In a child of ``fork``, where it is called by itself: be a session of the child's own."""
        self._lock = threading.RLock()
        self._runners, self._beating = {}, None
        self.renew()

    def submit(
        self,
        endpoint: str | int,
        /,
        *arguments: Any,
        options: CallOptions | Any = None,
        **keywords: Any,
    ) -> Call:
        """Start a call and return at once (after the server has accepted it, where that is one request).

        Args:
            endpoint: Its name, such as ``"/predict"``, or its ``fn_index``.
            *arguments: Values of its parameters, in order.
            options: `CallOptions`. Anything else is an argument of the endpoint that happens to have this
                name.
            **keywords: Values of its parameters by name.

        Raises:
            EndpointNotFound: There is no such endpoint.
            ValidationFailed: The arguments do not fit it.
            TimeoutExpired: Its files were not with the app in time (``Timeouts(total=)``, or ``upload=`` without a
                sign of the server).
        """
        call, commands, runner = self._begin(endpoint, arguments, keywords, options)
        if runner.wire.machine.shared:
            try:
                runner.perform(commands)
            except BaseException:  # Ctrl-C in the middle of the join: nobody would hold the call
                call.cancel()
                raise
        else:
            self._core.workers.submit(partial(runner.drive, call, commands))
        return call

    def call(
        self,
        endpoint: str | int,
        /,
        *arguments: Any,
        options: CallOptions | Any = None,
        **keywords: Any,
    ) -> list[Any]:
        """Call an endpoint and return its output values; see `submit` for the arguments.

        Interrupting it (Ctrl-C) cancels the call upstream.

        Raises:
            AppError: The app's function raised.
            GradioTransportError: The call failed, in whatever way its type says.
        """
        call, commands, runner = self._begin(endpoint, arguments, keywords, options)
        call._awaits_result()
        try:
            if call._deadlines.finer_than_silence:  # somebody has to watch the clock while a thread drives it
                self._core.workers.submit(partial(runner.drive, call, commands))
            else:
                runner.guarded(lambda: runner.perform(commands))
            return call.result()
        except BaseException:
            if not call.done():
                call.cancel()
            raise

    def _begin(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions | Any,
    ) -> tuple[Call, list[Command], Runner]:
        if options is not None and not isinstance(options, CallOptions):
            keywords["options"] = options
            options = None
        options = self._core.app.completed(options or CallOptions())
        if options.own_session:
            return self._begin_apart(endpoint, arguments, keywords, options)
        deadlines = Deadlines(options.timeouts or self._core.app.options.timeouts, time.monotonic)
        adapter, invocation = self._core.app.prepare(self.config, endpoint, arguments, keywords, options)
        with timed(adapter.name):
            invocation = self._core.place(
                invocation, options, deadlines.timeouts, self.credentials, deadlines.total
            )
        with self._lock:
            runner = self._runner(adapter)
            call, commands = runner.begin(invocation, options, deadlines)
            call._resubmit = self._submit_again
            self._beat()
        return call, commands, runner

    def _submit_again(self, call: Call) -> None:
        """Make another try of a call whose stream was lost, with a new hash if that was lost with it."""
        try:
            with self._lock:
                runner = self._runner(self._core.app.options.registry.get(call.adapter))
                commands = runner.begin_again(call)
                self._beat()
        except GradioTransportError as error:
            call._end_between(Failed(event_id=call.event_id, error=error))
            return
        runner.guarded(lambda: runner.perform(commands))

    def _take_up(self, handle: Handle, options: CallOptions) -> Call:
        """Begin to fetch a call that was joined elsewhere, in this session."""
        deadlines = Deadlines(options.timeouts or self._core.app.options.timeouts, time.monotonic)
        adapter, invocation = self._core.app.taken_up(handle)
        with self._lock:
            runner = self._runner(adapter)
            call, commands = runner.begin(invocation, options, deadlines)
            self._beat()
        runner._aside(commands)
        return call

    def _begin_apart(
        self,
        endpoint: str | int,
        arguments: Sequence[Any],
        keywords: dict[str, Any],
        options: CallOptions,
    ) -> tuple[Call, list[Command], Runner]:
        """Begin a call in a session of its own, which ends with it."""
        apart = Session(self._core, self.credentials.headers)
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
            self._core.stop_beating(beating)
            self._beating = beating = None
        if beating is None and self.wants_heartbeat:
            self._beating = self._core.beat(self)

    def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a function that a component has on the server (3.47+), such as the FileExplorer's ``ls``.

        Args:
            component_id: Its id in ``config.components``.
            fn_name: The function.
            data: Its argument; to ``ls`` the path as a list of its parts (4.19+).
            timeout: Seconds to wait for its reply, instead of ``Timeouts(idle=)``.

        Returns:
            The JSON that it gave.

        Raises:
            EndpointNotFound: There is no such component, or it has no such function.
            ServerRefused: It failed.
        """
        app = self._core.app
        command = component_request(
            app.discovery.urls, self.config, self.session_hash, component_id, fn_name, data
        )
        app.taps.command(command, 0)
        what = f"The reply of the component's function {fn_name!r}"
        with Allowance(timeout, what, Phase.COMPLETE):
            response = self._core.request(
                command, app.options.timeouts, timeout, credentials=self.credentials
            )
        app.taps.response(command.channel, 0, response)
        return component_reply(response, fn_name, app.options.limits)

    def reset(self, timeout: float | None = None) -> None:
        """Begin anew: another session hash, and so fresh gr.State. Calls under way are ended.

        Args:
            timeout: Seconds to wait at most for the threads of the old one to end, which are told to in any
                case.
        """
        with self._lock:
            self.renew()
            threads = self._end("session was reset")
        join(threads, timeout)

    def _runner(self, adapter: Adapter) -> Runner:
        if self._closed:
            raise LocalProtocolError("The session is closed.")
        runner = self._runners.get(adapter.name)
        if runner is not None and not runner.usable:
            # The server has forgotten the session with its stream; the hash would never work properly.
            self._core.discard(runner)
            runner.close(lost_under_way())
            self.renew()
            runner = None
        if runner is None:
            runner = self._runners[adapter.name] = self._core.runner(adapter, self)
        return runner

    def close(self, timeout: float | None = None) -> None:
        """End the session's calls, its stream and its heartbeat. Idempotent.

        Args:
            timeout: Seconds to wait at most for its threads to end, which are told to in any case.
        """
        with self._lock:
            self._closed = True
            threads = self._end("session was closed")
        join(threads, timeout)

    def _end(self, what: str) -> list[threading.Thread]:
        """End what the session has under way, and return the threads that end with it."""
        runners, self._runners = list(self._runners.values()), {}
        threads: list[threading.Thread | None] = [self._beating]
        if self._beating is not None:
            self._core.stop_beating(self._beating)
            self._beating = None
        for runner in runners:
            threads.append(runner.close(closed_under_way(what)))
            self._core.discard(runner)
        return [thread for thread in threads if thread is not None]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Transport:
    """An app, connected. Close it, or use it as a context manager.

    A pickle of it is a description, without secrets: what is made of it connects anew when it is first used,
    with a session hash of its own. A copy is the transport itself.
    """

    def __init__(self, source: str, options: Options, engine: Engine | None = None) -> None:
        self._opening = threading.Lock()
        self._opened: tuple[Core, Session] | None = None
        app = App(source, options)
        self._description = Description.of(app, own_engine=engine is not None)
        core = _open(app, engine)
        self._opened = core, Session(core)

    @property
    def _core(self) -> Core:
        return self._parts()[0]

    @property
    def _session(self) -> Session:
        return self._parts()[1]

    def _parts(self) -> tuple[Core, Session]:
        """Return what there is once it is connected, which only one from a pickle is not yet."""
        if self._opened is None:
            with self._opening:
                if self._opened is None:
                    core = _open(App(self._description.source, self._description.check()), None)
                    self._opened = core, Session(core)
        return self._opened

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self._description)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    @property
    def config(self) -> AppConfig:
        """What the app said of itself."""
        return self._core.app.config

    @property
    def url(self) -> str:
        """Where requests go."""
        return self._core.app.discovery.urls.base

    @property
    def protocol(self) -> str:
        """The adapter that most of the app's calls go by, such as ``"sse_v3"``."""
        return self._core.app.protocol

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The app's named endpoints, with those that ``gr.render`` drew for the transport's own session."""
        return self._session.endpoints

    @property
    def session_hash(self) -> str:
        """The hash of the transport's own session."""
        return self._session.session_hash

    def explain(self, endpoint: str | int | None = None) -> str:
        """Return why each endpoint (or one) goes by its protocol, as a text for people."""
        return self._core.app.explain(endpoint)

    def session(self, *, headers: Mapping[str, str] | None = None) -> Session:
        """Return a session of its own: gr.State kept apart, and a stream and cookies of its own.

        Args:
            headers: Headers of all its requests to the app; they win over those of the transport.
        """
        return Session(self._core, headers)

    def reset(self, timeout: float | None = None) -> None:
        """Begin the transport's own session anew; see `Session.reset`."""
        self._session.reset(timeout)

    def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a function that a component has on the server; see `Session.component_server`."""
        return self._session.component_server(component_id, fn_name, data, timeout=timeout)

    def submit(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> Call:
        """Start a call in the transport's own session; see `Session.submit`."""
        return self._session.submit(endpoint, *arguments, options=options, **keywords)

    def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint in the transport's own session; see `Session.call`."""
        return self._session.call(endpoint, *arguments, options=options, **keywords)

    def attach(self, handle: Handle, *, options: CallOptions | None = None) -> Call:
        """Fetch a call that was made elsewhere: `Call.handle` there gave its handle.

        The result can be fetched once, and by one process: whoever opens the session's stream takes its
        messages. A second fetch hears nothing and ends with `TimeoutExpired` (``first_message``), one after the
        stream was lost with `SessionNotFound` or `StreamLost`, because no server can resume it. Credentials
        are not in the handle: connect with the same ones.

        Args:
            handle: Of a call to this app.
            options: `CallOptions`; those of the submission have no effect any more.

        Raises:
            LocalProtocolError: The handle is of another app, or of an endpoint that is not there.
            UnsupportedProtocol: Its protocol is not installed.
        """
        options = self._core.app.completed(options or CallOptions())
        apart = Session(self._core, session_hash=handle.session_hash)
        try:
            call = apart._take_up(handle, options)
        except BaseException:
            apart.close()
            raise
        call.add_done_callback(lambda _: apart.close())
        return call

    def close(self, timeout: float | None = None) -> None:
        """End the calls under way and close every connection and thread. Idempotent, from any thread.

        Args:
            timeout: Seconds to wait at most for the threads to end, which are told to in any case.
        """
        if self._opened is not None:
            self._opened[0].close(timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        opened: tuple[Core, Session] | None = getattr(self, "_opened", None)
        if opened is not None and not opened[0].closed:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
            if not sys.is_finalizing():
                _close_apart(opened[0])

    def __repr__(self) -> str:
        if self._opened is None:
            return f"<Transport {self._description.source} not connected>"
        state = "closed" if self._core.closed else "open"
        return f"<Transport {self._core.app.base} {state}>"


def _unpickled(kind: type[Transport], description: Description) -> Transport:
    """Return a transport that connects when it is first used."""
    made = kind.__new__(kind)
    made._opening, made._opened, made._description = threading.Lock(), None, description
    return made


def _close_apart(core: Core) -> None:
    """Close for the garbage collector, which may have struck any thread while it held any lock.

    Hence a thread of its own, and a bound to waiting for it.
    """
    closer = threading.Thread(target=core.close, name="gradio-transport-close", daemon=True)
    with suppress(RuntimeError):  # the interpreter is on its way out, which closes everything
        closer.start()
        closer.join(JOIN_THREAD_SECONDS)


def _open(app: App, engine: Engine | None) -> Core:
    if engine is None:
        from ..engines.httpx_sync import HTTPXEngine

        engine = HTTPXEngine(app.options.http)
    core = Core(app, engine)
    try:
        app.find_space()
        core.discover()
    except BaseException as error:
        core.close()
        if isinstance(error, GradioTransportError):
            error.add_note(f"Last frames of the discovery:\n{app.taps.note(0)}")
        raise
    return core
