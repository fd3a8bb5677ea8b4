# SPDX-License-Identifier: Apache-2.0
"""`Transport`: an app, connected."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from ..app.config import AppConfig, Endpoint
from ..calls.app import App
from ..calls.description import Description
from ..calls.handle import Handle
from ..calls.options import CallOptions, Options
from ..calls.representation import describe_transport, shown_url
from ..engines.base import Engine
from ..errors import GradioTransportError
from .call import Call
from .connection import Connection
from .session import Session
from .session_core import JOIN_THREAD_SECONDS, OpenSessions, SessionCore


class Transport:
    """An app, connected. Close it, or use it as a context manager.

    A pickle of it is a description, without secrets. The transport made of it connects when it is first used,
    with a session hash of its own. A copy is the transport itself.
    """

    def __init__(self, source: str, options: Options, engine: Engine | None = None) -> None:
        self._opening = threading.Lock()
        self._opened: tuple[OpenSessions, Session] | None = None
        app = App(source, options)
        self._description = Description.of(app, own_engine=engine is not None)
        self._opened = _open(app, engine)

    @property
    def _sessions(self) -> OpenSessions:
        return self._parts()[0]

    @property
    def _app(self) -> App:
        return self._sessions.connection.app

    @property
    def _session(self) -> Session:
        return self._parts()[1]

    def _parts(self) -> tuple[OpenSessions, Session]:
        """Return what the transport consists of, connecting first if it comes from a pickle."""
        if self._opened is None:
            with self._opening:
                # Again, because another thread may have connected while this one waited for the lock.
                if self._opened is None:
                    self._opened = _open(App(self._description.source, self._description.check()), None)
        return self._opened

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_description, (type(self), self._description)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

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
        return self._session.endpoints

    @property
    def session_hash(self) -> str:
        """The hash of the transport's own session."""
        return self._session.session_hash

    def explain(self, endpoint: str | int | None = None) -> str:
        """Return which protocol each endpoint (or one) uses and why, as a text for people."""
        return self._app.explain(endpoint)

    def session(self, *, headers: Mapping[str, str] | None = None) -> Session:
        """Return another session: with its own gr.State, stream and cookies.

        Args:
            headers: Headers of all its requests to the app; they win over those of the transport.
        """
        return Session(SessionCore(self._sessions, headers))

    def reset(self, timeout: float | None = None) -> None:
        """Take another session hash for the transport's own session; see `Session.reset`."""
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
        """Fetch a call that was made elsewhere, by the handle that `Call.handle` returned there.

        The result can be fetched once, and by one process: the one that opens the session's stream takes its
        messages. A second fetch gets nothing and ends with `TimeoutExpired` (``first_message``), one after
        the stream was lost with `SessionNotFound` or `StreamLost`, because no server can resume it.
        Credentials are not in the handle: connect with the same ones.

        Args:
            handle: Of a call to this app.
            options: `CallOptions`; those of the submission have no effect any more.

        Raises:
            LocalProtocolError: The handle is of another app, or of an endpoint that is not there.
            UnsupportedProtocol: Its protocol is not installed.
        """
        options = self._app.complete_options(options or CallOptions())
        own = SessionCore(self._sessions, session_hash=handle.session_hash)
        try:
            return Call(own.attach(handle, options))
        except BaseException:
            own.close()
            raise

    def close(self, timeout: float | None = None) -> None:
        """End the calls under way and close every connection and thread. Idempotent, from any thread.

        Args:
            timeout: Seconds to wait at most for the threads to end, which they do in any case.
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
        opened: tuple[OpenSessions, Session] | None = getattr(self, "_opened", None)
        if opened is not None and not opened[0].connection.closed:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
            if not sys.is_finalizing():
                _close_for_collector(opened[0])

    def __repr__(self) -> str:
        if self._opened is None:
            return f"<Transport of {shown_url(self._description.source)}, not connected>"
        return describe_transport("Transport", self._app, closed=self._sessions.connection.closed)


def _from_description(kind: type[Transport], description: Description) -> Transport:
    """Return a transport that connects when it is first used."""
    transport = kind.__new__(kind)
    transport._opening, transport._opened, transport._description = threading.Lock(), None, description
    return transport


def _close_for_collector(sessions: OpenSessions) -> None:
    """Close on behalf of the garbage collector.

    Why not here: the collector may interrupt any thread while that holds any lock, which closing would wait
    for. Hence a thread of its own, and a bound to waiting for it.
    """
    closer = threading.Thread(target=sessions.close, name="gradio-transport-close", daemon=True)
    with suppress(RuntimeError):  # the interpreter is on its way out, which closes everything
        closer.start()
        closer.join(JOIN_THREAD_SECONDS)


def _open(app: App, engine: Engine | None) -> tuple[OpenSessions, Session]:
    if engine is None:
        from ..engines.httpcore_sync import HTTPEngine

        engine = HTTPEngine(app.options.http)
    sessions = OpenSessions(Connection(app, engine))
    try:
        app.find_space()
        sessions.connection.discover()
    except BaseException as error:
        sessions.close()
        if isinstance(error, GradioTransportError):
            error.add_note(f"Last frames of the discovery:\n{app.taps.note(0)}")
        raise
    return sessions, Session(SessionCore(sessions))


__all__ = ["Transport"]
