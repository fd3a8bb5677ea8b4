# SPDX-License-Identifier: Apache-2.0
"""`Transport`: a connection to an app."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..calls.app import App
from ..calls.description import Description
from ..calls.method_timeout import check_timeout
from ..calls.options import CallOptions, Options
from ..calls.representation import describe_transport
from ..calls.request_sequence import Requests
from ..calls.requests import add_elapsed
from ..calls.views import TransportView
from ..engines.base import Engine
from ..errors import GradioTransportError, LocalProtocolError
from ..protocol.urls import shown_url
from .call import Call
from .closing import Closing
from .connection import Connection
from .session import Session
from .session_core import CLOSE_SECONDS, OpenSessions, SessionCore
from .threads import is_own_thread, make_thread, start


class Transport(TransportView[Call, Session], Closing):
    """A connection to an app. Close it, or use it as a context manager.

    A pickle of it is a description, without secrets. The unpickled transport connects on first use, with its
    own session hash. A copy is the transport itself.
    """

    def __init__(self, source: str, options: Options, engine: Engine | None = None) -> None:
        self._opening = threading.RLock()
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
        """Return the parts of the transport. Connect first if it comes from a pickle."""
        if self._opened is None:
            with self._opening:
                # Again, because another thread may have connected while this one waited for the lock.
                if self._opened is None:
                    opened = _open(App(self._description.source, self._description.check()), None)
                    if self._opened is not None:  # by a signal handler of this thread
                        opened[0].close()
                    else:
                        self._opened = opened
        return self._opened

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_description, (type(self), self._description)

    def _new_session(
        self, headers: Mapping[str, str] | None = None, session_hash: str | None = None
    ) -> Session:
        return Session(SessionCore(self._sessions, headers, session_hash))

    def reset(self, timeout: float | None = None) -> None:
        """Take a new session hash for the transport's own session; see `Session.reset`."""
        self._session.reset(timeout)

    def component_server(
        self, component_id: int, fn_name: str, data: Any = None, *, timeout: float | None = None
    ) -> Any:
        """Call a server-side function of a component; see `Session.component_server`."""
        return self._session.component_server(component_id, fn_name, data, timeout=timeout)

    def call(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> list[Any]:
        """Call an endpoint in the transport's own session; see `Session.call`."""
        return self._session.call(endpoint, *arguments, options=options, **keywords)

    def close(self, timeout: float | None = None) -> None:
        """End the calls in progress, and close all connections and threads. Idempotent, from any thread.

        Args:
            timeout: The most seconds to wait for the threads to end. They end in any case.
        """
        check_timeout(timeout)
        if self._opened is not None:
            self._opened[0].close(timeout)

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
    """Return a transport that connects on first use."""
    transport = kind.__new__(kind)
    transport._opening, transport._opened, transport._description = threading.RLock(), None, description
    return transport


def _close_for_collector(sessions: OpenSessions) -> None:
    """Close on behalf of the garbage collector.

    Why not here: the collector may interrupt a thread that holds any lock, and closing would wait for that
    lock. Hence a separate thread, and a bound on the wait for it.
    """
    closer = make_thread("close", sessions.close_collected)
    with suppress(LocalProtocolError):  # the interpreter is exiting, which closes everything
        start(closer)
        if not is_own_thread():  # the thread that dropped the last reference, and for which the closer waits
            closer.join(CLOSE_SECONDS)


def _open(app: App, engine: Engine | None) -> tuple[OpenSessions, Session]:
    if engine is None:
        from ..engines.httpcore_sync import HTTPEngine

        engine = HTTPEngine(app.options.http)
    sessions = OpenSessions(Connection(app, engine))
    try:
        app.find_space()
        with add_elapsed():
            app.discovery = sessions.connection.run(Requests.of_app(app).discover())
    except BaseException as error:
        sessions.close()
        if isinstance(error, GradioTransportError):
            app.complete_error(error)
        raise
    return sessions, Session(SessionCore(sessions))
