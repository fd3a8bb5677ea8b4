# SPDX-License-Identifier: Apache-2.0
"""The shared public members of calls, sessions and transports in both APIs."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

from ..app.config import AppConfig, Endpoint
from ..errors import LocalProtocolError
from ..events import Event
from ..protocol.flow import State
from .app import App
from .call_state import CallState
from .handle import Handle
from .options import CallOptions
from .representation import describe_call, describe_session
from .session_core import SessionCore
from .setting_checks import check_callable, check_instance

PendingT = TypeVar("PendingT", bound=CallState)
CoreT = TypeVar("CoreT", bound=SessionCore[Any, Any, Any])
CallT = TypeVar("CallT", bound="CallView[Any]")
SessionT = TypeVar("SessionT", bound="SessionView[Any, Any]")


def _handle_of(call: CallState) -> Handle:
    """Return the handle of a call, if another process can fetch it."""
    if call.event_id is None and not call.done():
        raise _no_handle_error(call, "has not been accepted by the server yet")
    if call.event_id is None or call.done():
        raise _no_handle_error(call, f"is over ({call.status.value})")
    exchange, session = call.exchange, call.tapped.session
    if exchange.fetched or getattr(session, "streaming", False):
        raise _no_handle_error(
            call,
            "has a stream in this process, which receives its messages: submit it with "
            "CallOptions(attach='late')",
        )
    if session.shared and len(session.active) > 1:
        raise _no_handle_error(
            call, "shares its session with other calls: submit it with CallOptions(own_session=True)"
        )
    return Handle(
        url=exchange.context.urls.base,
        session_hash=call.session_hash,
        event_id=call.event_id,
        fn_index=call.endpoint.fn_index,
        endpoint=call.endpoint.name,
        protocol=call.adapter,
        gradio_version=exchange.context.config.version,
    )


def _no_handle_error(call: CallState, why: str) -> LocalProtocolError:
    return LocalProtocolError(f"There is no handle for this call of {call.endpoint.display_name}: it {why}.")


class CallView(Generic[PendingT]):
    """A call in progress, without the waiting methods."""

    def __init__(self, pending: PendingT) -> None:
        self._pending = pending
        self._transport: object = None

    def _keep(self, transport: object) -> None:
        """Keep the transport alive until the call is over, for a caller that only holds the call.

        Why not in the pending call: threads hold that, so an unreferenced transport with its calls could
        never be garbage-collected.
        """
        self._transport = transport
        view: weakref.ref[CallView[Any]] = weakref.ref(self)
        self._pending.add_done_callback(lambda: _release(view))

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "A call cannot be pickled, because it needs a connection of this process. Use call.handle()."
        )

    def __repr__(self) -> str:
        app: App = self._pending.connection.app
        return app.secrets.hide(describe_call(type(self).__name__, self._pending))

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that is called."""
        return self._pending.endpoint

    @property
    def event_id(self) -> str | None:
        """The server's id of the call, or None."""
        return self._pending.event_id

    @property
    def session_hash(self) -> str:
        """The session hash of the call."""
        return self._pending.session_hash

    @property
    def adapter(self) -> str:
        """The protocol of the call, such as ``"sse_v3"``."""
        return self._pending.adapter

    @property
    def status(self) -> State:
        """The state of the call."""
        return self._pending.status

    @property
    def last_event(self) -> Event | None:
        """The newest event, read or not."""
        return self._pending.last_event

    @property
    def deviations(self) -> Sequence[str]:
        """The server's deviations from the protocol, such as messages out of order or too many outputs.

        They are not errors, but useful when you debug a server. They are logged when the call ends.
        """
        return self._pending.deviations

    @property
    def deadline(self) -> float | None:
        """Time when the next deadline of the call expires, by `time.monotonic`; None if there is none."""
        return self._pending.deadline

    def done(self) -> bool:
        """Return whether the outcome is known."""
        return self._pending.done()

    def add_done_callback(self, callback: Callable[[Self], object]) -> None:
        """Call `callback` with this call when it is done, in the thread or task that receives the end.

        That is often the reader of the session's stream. So a callback must not wait for a call of the same
        session, because its messages would not be read meanwhile.
        """
        check_callable("callback", callback)
        self._pending.add_done_callback(lambda: callback(self))

    def fetch(self) -> None:
        """Open the stream of a call with ``attach="late"``, without waiting.

        `result` and iteration do this themselves, unless ``fetch_after`` sets the time. It does nothing if
        the stream is open or the call is over.
        """
        self._pending.fetch()

    def handle(self) -> Handle:
        """Return a handle for another process to fetch the result; see `Handle` and `Transport.attach`.

        Do not use the call in this process after the other one fetches it: the server sends every message
        once, to the first reader. Its session must have no other call, so make such a call with
        ``CallOptions(attach="late", own_session=True)``.

        Raises:
            LocalProtocolError: The server has not accepted the call (yet), it is over, or an open stream of
                this process receives its messages.
        """
        return _handle_of(self._pending)


def _release(view: weakref.ref[CallView[Any]]) -> None:
    call = view()
    if call is not None:
        call._transport = None


class SessionView(Generic[CoreT, CallT]):
    """One ``session_hash``, without the waiting methods."""

    _call_type: ClassVar[type[Any]]

    def __init__(self, core: CoreT) -> None:
        self._core = core
        self._transport: object = None  # set for a session that may be the caller's only reference

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError(
            "A session cannot be pickled. Pickle the transport, and create a session from the copy."
        )

    def __repr__(self) -> str:
        core = self._core
        return describe_session(type(self).__name__, core.state, core.call_count, closed=core.closed)

    @property
    def config(self) -> AppConfig:
        """The app's config for this session, including its endpoints from ``gr.render``."""
        return self._core.state.config

    @property
    def endpoints(self) -> Mapping[str, Endpoint]:
        """The named endpoints, documented ones first, including those from ``gr.render`` for this session."""
        return self._core.state.endpoints

    @property
    def session_hash(self) -> str:
        """The server's id of the session; `reset` changes it."""
        return self._core.state.session_hash

    def submit(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> CallT:
        """Start a call, and return it at once.

        Args:
            endpoint: The endpoint's name, such as ``"/predict"``, or its ``fn_index``.
            *arguments: Values of its parameters, in order.
            options: `CallOptions`. Any other value is an argument for a parameter of the endpoint with this
                name.
            **keywords: Values of its parameters by name.

        Raises:
            EndpointNotFound: There is no such endpoint.
            ValidationFailed: The arguments do not fit it.
            TimeoutExpired: Its files were not uploaded in time (``Timeouts(total=)``, or ``upload=`` while
                the server does not reply). In the async API the call raises it.
        """
        call: CallT = self._call_type(self._core.submit(endpoint, arguments, keywords, options))
        if self._transport is not None:
            call._keep(self._transport)
        return call

    def _attach(self, handle: Handle, options: CallOptions) -> CallT:
        try:
            call: CallT = self._call_type(self._core.attach(handle, options))
        except BaseException:
            self._core.close()
            raise
        return call


class TransportView(Generic[CallT, SessionT]):
    """A connection to an app, without the waiting methods."""

    @property
    def _app(self) -> App:
        raise NotImplementedError

    @property
    def _session(self) -> SessionT:
        """The transport's own session."""
        raise NotImplementedError

    def _new_session(
        self, headers: Mapping[str, str] | None = None, session_hash: str | None = None
    ) -> SessionT:
        """Return another session."""
        raise NotImplementedError

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: Any) -> Self:
        return self

    @property
    def config(self) -> AppConfig:
        """The config of the app."""
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
        """The app's named endpoints, including those from ``gr.render`` for the transport's own session.

        Documented endpoints come first, in the order of the app's documentation.
        """
        return self._session.endpoints

    @property
    def session_hash(self) -> str:
        """The hash of the transport's own session."""
        return self._session.session_hash

    def explain(self, endpoint: str | int | None = None) -> str:
        """Return a text that explains which protocol each documented endpoint (or one) uses, and why."""
        return self._app.explain(endpoint)

    def session(self, *, headers: Mapping[str, str] | None = None) -> SessionT:
        """Return a new session with its own gr.State, stream and cookies.

        Args:
            headers: Headers of all its requests to the app; they override those of the transport.
        """
        session = self._new_session(headers)
        session._transport = self
        return session

    def submit(
        self, endpoint: str | int, /, *arguments: Any, options: CallOptions | Any = None, **keywords: Any
    ) -> CallT:
        """Start a call in the transport's own session; see `Session.submit`."""
        call: CallT = self._session.submit(endpoint, *arguments, options=options, **keywords)
        call._keep(self)
        return call

    def attach(self, handle: Handle, *, options: CallOptions | None = None) -> CallT:
        """Fetch a call of another process, by the handle that `Call.handle` returned there.

        Only one process can fetch the result, and only once: the process that opens the session's stream
        receives the messages. A second fetch gets no message and ends with `TimeoutExpired`
        (``first_message``). A fetch after the stream was lost ends with `SessionNotFound` or `StreamLost`,
        because no server can resume it. The handle has no credentials, so connect with the same ones.

        Args:
            handle: Handle of a call to this app.
            options: `CallOptions`; those of the submission do not apply.

        Raises:
            LocalProtocolError: The handle is for another app, or for an endpoint that does not exist.
            UnsupportedProtocol: Its protocol is not installed.
        """
        check_instance("handle", handle, Handle, "a gradio_transport.Handle")
        options = CallOptions() if options is None else options
        check_instance("options", options, CallOptions, "gradio_transport.CallOptions(...)")
        options = self._app.complete_options(options)
        own = self._new_session(session_hash=handle.session_hash)
        call: CallT = own._attach(handle, options)
        call._keep(self)
        return call


__all__ = ["CallView", "SessionView", "TransportView"]
