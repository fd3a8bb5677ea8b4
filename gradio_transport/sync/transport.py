# SPDX-License-Identifier: Apache-2.0
"""What a caller opens: `Transport`, and `Session`, one ``session_hash`` of it."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from ..adapter import Adapter
from ..commands import (
    Command,
)
from ..config import AppConfig, Endpoint
from ..driver import (
    App,
    CallOptions,
    Options,
    new_session_hash,
)
from ..engines.base import Engine
from ..errors import (
    GradioTransportError,
    LocalProtocolError,
)
from .call import Call
from .runner import JOIN_THREAD_SECONDS, Core, Runner


class Session:
    """One ``session_hash``: its calls share gr.State, and where the protocol has one, a stream."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._runners: dict[str, Runner] = {}
        self._closed = False
        self.session_hash = new_session_hash()

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
        """
        call, commands, runner = self._begin(endpoint, arguments, keywords, options)
        if runner.wire.machine.shared:
            try:
                runner.perform(commands)
            except BaseException:  # Ctrl-C in the middle of the join: nobody would hold the call
                call.cancel()
                raise
        else:
            self._core.workers.submit(lambda: runner.guarded(lambda: runner.perform(commands)))
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
        try:
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
        options = options or CallOptions()
        adapter, invocation = self._core.app.prepare(endpoint, arguments, keywords, options)
        timeouts = options.timeouts or self._core.app.options.timeouts
        with self._lock:
            runner = self._runner(adapter)
            call, commands = runner.begin(invocation, timeouts)
        return call, commands, runner

    def _runner(self, adapter: Adapter) -> Runner:
        if self._closed:
            raise LocalProtocolError("The session is closed.")
        runner = self._runners.get(adapter.name)
        if runner is not None and not runner.usable:
            # The server has forgotten the session with its stream; the hash would never work properly.
            self._core.discard(runner)
            self._retire(runner)
            self.session_hash = new_session_hash()
            runner = None
        if runner is None:
            runner = self._runners[adapter.name] = self._core.runner(adapter, self.session_hash)
        return runner

    def _retire(self, runner: Runner) -> None:
        runner.close("The session's stream was lost.")

    def close(self) -> None:
        """End the session's calls and close its stream. Idempotent."""
        with self._lock:
            self._closed = True
            runners, self._runners = list(self._runners.values()), {}
        for runner in runners:
            thread = runner.close("The session was closed while the call was under way.")
            self._core.discard(runner)
            if thread is not None and thread is not threading.current_thread():
                thread.join(JOIN_THREAD_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Transport:
    """An app, connected. Close it, or use it as a context manager."""

    def __init__(self, source: str, options: Options, engine: Engine | None = None) -> None:
        self._core = _open(App(source, options), engine)
        self._session = Session(self._core)

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
        """The app's named endpoints."""
        return self.config.named

    @property
    def session_hash(self) -> str:
        """The hash of the transport's own session."""
        return self._session.session_hash

    def explain(self, endpoint: str | int | None = None) -> str:
        """Return why each endpoint (or one) goes by its protocol, as a text for people."""
        return self._core.app.explain(endpoint)

    def session(self) -> Session:
        """Return a session of its own: gr.State kept apart, and a stream of its own."""
        return Session(self._core)

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

    def close(self) -> None:
        """End the calls under way and close every connection and thread. Idempotent."""
        self._core.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        core: Core | None = getattr(self, "_core", None)
        if core is not None and not core.closed:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
            core.close()

    def __repr__(self) -> str:
        state = "closed" if self._core.closed else "open"
        return f"<Transport {self._core.app.base} {state}>"


def _open(app: App, engine: Engine | None) -> Core:
    if engine is None:
        from ..engines.httpx_sync import HTTPXEngine

        engine = HTTPXEngine(app.options.http)
    core = Core(app, engine)
    try:
        core.discover()
    except BaseException as error:
        core.close()
        if isinstance(error, GradioTransportError):
            error.add_note(f"Last frames of the discovery:\n{app.taps.note(0)}")
        raise
    return core
