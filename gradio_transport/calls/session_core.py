# SPDX-License-Identifier: Apache-2.0
"""The calls of one session: each is prepared, its files are uploaded, then it is opened and started."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, ClassVar, Generic, Self, TypeVar

import attrs

from ..adapter.contract import Adapter
from ..adapter.exchange import Invocation
from ..engines.deadline import Deadline
from ..engines.interruptions import is_foreign
from ..errors import GradioTransportError, LocalProtocolError, Phase
from ..events import Failed
from ..protocol.commands import Command, SendRequest
from .app_identity import check_component
from .call_state import CallState
from .component_server import component_reply, component_request, judge_component_call
from .failures import closed_error, collected_error, hide_secrets, internal_error, stream_lost_error
from .handle import Handle
from .heartbeat import Heartbeat
from .method_timeout import bounded
from .options import CallOptions
from .request_sequence import Requests
from .requests import add_elapsed
from .session_driver import SessionDriver, requests_of
from .session_state import SessionState
from .steps import Exclusive, Steps

C = TypeVar("C", bound=CallState)
D = TypeVar("D", bound=SessionDriver[Any])
H = TypeVar("H", bound=Heartbeat)


class ending:  # noqa: N801 - a context manager, as those of contextlib
    """Ends a call if an exception prevents it, such as Ctrl-C, because its caller gets no call to cancel.

    Raises:
        GradioTransportError: The exception that prevented it, if it is an error of the library.
    """

    # Why not a generator with `contextmanager`: each call enters this, and that takes twice as long.

    def __init__(self, call: CallState) -> None:
        self._call = call

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            return
        call, foreign = self._call, is_foreign(error)
        if not call.done():
            with suppress(Exception):  # a second error must not replace the first
                if foreign:
                    call.cancel_now()
                else:
                    call.abandon(internal_error(error))
        else:
            call.run_callbacks()  # the callbacks that the interrupt has skipped
        if foreign or isinstance(error, GradioTransportError) or not isinstance(call.outcome, Failed):
            return
        raise call.outcome.error from error


class SessionCore(Generic[C, D, H]):
    """One ``session_hash``: it starts calls, and keeps a driver for each of their adapters."""

    # The classes that the API creates; each gets the connection as its first argument.
    _call_type: ClassVar[type[Any]]
    _driver_type: ClassVar[type[Any]]
    _files_type: ClassVar[type[Any]]
    _heartbeat_type: ClassVar[type[Any]]

    def __init__(
        self,
        sessions: Any,
        headers: Mapping[str, str] | None = None,
        session_hash: str | None = None,
    ) -> None:
        self._sessions = sessions
        self.connection = sessions.connection
        self.state = SessionState(sessions.connection.app, headers, session_hash)
        self.closed = False
        self._discovery = sessions.connection.app.discovery
        """The discovery of the app when the drivers and the session hash were made."""
        self._drivers: dict[str, D] = {}
        self._unopened: set[C] = set()
        self._heartbeat: H | None = None
        # Reentrant, because a done callback of a call that `close` ends may call the session again.
        self._lock = threading.RLock()
        sessions.add(self)

    # --- implemented by the sync and async APIs
    # ------------------------------------------------------------------------------

    def submit(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: Any
    ) -> C:
        """Start a call; see `Session.submit`."""
        raise NotImplementedError

    def close(self) -> None:
        """End the session and all its calls and streams."""
        raise NotImplementedError

    # --- calls -----------------------------------------------------------------------------------------

    @property
    def call_count(self) -> int:
        """Number of calls in progress."""
        return len(self._unopened) + sum(driver.call_count for driver in list(self._drivers.values()))

    def _new_call(self, adapter: str, invocation: Invocation, options: CallOptions) -> C:
        source = self._files_type(self.connection, self.state.credentials)
        files = self.state.app.file_reader(invocation.endpoint, source.remote_file)
        call: C = self._call_type(self.connection, self.state, adapter, invocation, options, files)
        # Checked now, because the files of a call are sent without its headers, and before its join.
        self.state.credentials.check_given(call.headers, invocation.oauth_token)
        if self.state.app.options.observer is not None:
            call.start_observing(self.state.app.options.observer)
        return call

    def _new_driver(self, adapter: Adapter) -> D:
        self._check_connected()
        tapped = self.state.app.open_session(adapter, self.state.session_hash)
        driver: D = self._driver_type(self.connection, self.state, tapped, self.resubmit)
        return driver

    def _check_connected(self) -> None:
        if self.connection.collected:
            raise collected_error()
        if self.connection.closed:
            raise LocalProtocolError("The transport is closed.")

    def prepare(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: Any
    ) -> tuple[Self, C]:
        """Return a checked call, whose time starts now, and its session.

        Raises:
            GradioTransportError: See `Session.submit`.
        """
        app = self.state.app
        options = app.call_options(options, keywords)
        if options.own_session:
            return self._prepare_in_own_session(endpoint, arguments, keywords, options)
        try:
            adapter, invocation = app.prepare(self.state.config, endpoint, arguments, keywords, options)
            call = self._new_call(adapter.name, invocation, options)
            with self._lock:
                self._check_open()
                self._unopened.add(call)
        except GradioTransportError as error:
            hide_secrets(error, app.secrets)
            app.refuse(endpoint, error)
            raise
        return self, call

    def _prepare_in_own_session(
        self, endpoint: str | int, arguments: Sequence[Any], keywords: dict[str, Any], options: CallOptions
    ) -> tuple[Self, C]:
        """Return a call in its own session, which ends with the call."""
        own = type(self)(self._sessions, self.state.credentials.headers)
        try:
            options = attrs.evolve(options, own_session=False)
            prepared = own.prepare(endpoint, arguments, keywords, options)
        except BaseException:
            own.close()
            raise
        prepared[1].add_done_callback(own.close)
        return prepared

    def _check_open(self) -> None:
        if self.closed:
            raise LocalProtocolError("The session is closed.")

    def steps_before_open(self, call: C) -> Steps[None] | None:
        """Return the steps that a call needs before `open`, or None if it can start at once.

        They check whether the server still runs the app, if that is not certain, and upload the call's files.
        """
        app = self.state.app
        is_known = call.discovery is app.discovery and app.identity.is_certain()
        if is_known and app.place_files(call.invocation) is None:
            return None
        call.add_done_callback(lambda: self._unopened.discard(call))  # the call may end before it is opened
        return self._prepare_to_open(call)

    def _prepare_to_open(self, call: C) -> Steps[None]:
        with add_elapsed(call.adapter):
            yield from self._confirm(call)
            call.preparing = Phase.UPLOAD
            sequence = self.state.app.place_files(call.invocation, call.options.upload_progress)
            if sequence is not None:
                call.invocation = yield from requests_of(self.state, call).run(sequence)

    def _confirm(self, call: C) -> Steps[None]:
        """Check whether the server still runs the app, if that is not certain, and address the call to it.

        Raises:
            AppChanged: The app no longer has the endpoint, or has it with other parameters.
            GradioTransportError: The app cannot be discovered again.
        """
        app = self.state.app
        yield from self._confirm_app(call.total)
        if call.discovery is not app.discovery:
            adapter, invocation = app.prepare_again(call.invocation, call.options.protocol)
            source = self._files_type(self.connection, self.state.credentials)
            files = app.file_reader(invocation.endpoint, source.remote_file)
            call.address_again(adapter.name, invocation, files)

    def _confirm_app(self, deadline: Deadline) -> Steps[None]:
        app = self.state.app
        if not app.identity.is_certain():
            steps = Requests.of_app(app, deadline).confirm(app.identity.confirmed_at)
            yield Exclusive(steps, deadline, Phase.DISCOVER)

    def open(self, call: C) -> tuple[D, Sequence[Command]]:
        """Open and start a call or its next attempt. Return its driver and the first commands.

        Raises:
            LocalProtocolError: The session or the transport is closed.
        """
        with self._lock:
            self._unopened.discard(call)
            self._check_open()
            stale = self._remove_unusable(call.adapter)
            driver = self._find_driver(call.adapter)
            heartbeat = self._renew_heartbeat()
        # Without the lock, because threads start, and taps and callbacks run. A driver that is closed
        # meanwhile rejects the call.
        for one in stale:
            one.close(one.fault or stream_lost_error())
        if heartbeat is not None:
            self._start_heartbeat(heartbeat)
        return driver, driver.begin(call)

    def resubmit(self, call: C) -> None:
        """Resubmit a call whose stream was lost, with a new session hash if the session was lost with it."""
        try:
            self._check_connected()
            call.driver.start(self._submit_again(call), call)
        except Exception as error:  # noqa: BLE001 - whatever it is, the call is told
            call.abandon(internal_error(error))

    def _start(self, call: C) -> None:
        """Open and start a call, and perform its commands in the background."""
        driver, commands = self.open(call)
        driver.start(driver.drive(call, commands), call)

    def _submit_again(self, call: C) -> Steps[None]:
        try:
            yield from self._confirm(call)
            driver, commands = self.open(call)
        except Exception as error:  # noqa: BLE001 - whatever it is, the call is told
            call.abandon(internal_error(error))
        else:
            yield from driver.drive(call, commands)

    def attach(self, handle: Handle, options: CallOptions) -> C:
        """Start to fetch a call that another process joined, in this session, which ends with the call."""
        adapter, invocation = self.state.app.prepare_attach(handle)
        call = self._new_call(adapter.name, invocation, options)
        self._start(call)
        call.add_done_callback(self.close)
        return call

    def _remove_unusable(self, adapter: str) -> Sequence[D]:
        """Remove the drivers that accept no more calls, and return them to close."""
        if self._discovery is not self.state.app.discovery:
            return self._leave_old_app()
        driver = self._drivers.get(adapter)
        if driver is None or driver.usable:
            return []
        # Why not open the stream again: the server has forgotten the session with it, but still replies with
        # 200.
        self.state.renew_hash()
        return [self._drivers.pop(adapter)]

    def _leave_old_app(self) -> Sequence[D]:
        """Remove the drivers of a restarted app, whose server has forgotten the session, and return them."""
        self._discovery = self.state.app.discovery
        self.state.renew_hash()
        drivers, self._drivers = list(self._drivers.values()), {}
        return drivers

    def _find_driver(self, adapter: str) -> D:
        driver = self._drivers.get(adapter)
        if driver is not None:
            return driver
        made = self._new_driver(self.state.app.options.registry.get(adapter))
        # A signal handler may have made another driver meanwhile.
        return self._drivers.setdefault(adapter, made)

    def _renew_heartbeat(self) -> H | None:
        """Return a new heartbeat to start if the app needs one now."""
        heartbeat = self._heartbeat
        if heartbeat is not None and heartbeat.session_hash != self.state.session_hash:
            heartbeat.stop()
            self._heartbeat = heartbeat = None
        if heartbeat is not None or not self.state.needs_heartbeat:
            return None
        made: H = self._heartbeat_type(self.connection, self.state, self)
        self._heartbeat = made
        return made

    def _start_heartbeat(self, heartbeat: H) -> None:
        try:
            heartbeat.start()
        except GradioTransportError:
            self._heartbeat = None
            raise

    def call_component(self, component_id: int, fn_name: str, data: Any, timeout: float | None) -> Steps[Any]:
        """Call a server-side function of a component; see `Session.component_server`."""
        app, state = self.state.app, self.state
        state.credentials.check_given()
        what = f"The reply of the component's function {fn_name!r}"
        with bounded(timeout, what, Phase.COMPLETE) as deadline:
            command = self._component_request(component_id, fn_name, data)
            yield from self._confirm_app(deadline)
            known = self._discovery.config.components.get(component_id)
            if self._discovery is not app.discovery:
                with self._lock:
                    stale = self._leave_old_app()
                for driver in stale:
                    driver.close(stream_lost_error())
                command = self._component_request(component_id, fn_name, data)
                check_component(known, state.config.components[component_id])
            requests = Requests(
                app=app, credentials=state.credentials, timeouts=app.options.timeouts, deadline=deadline
            )
            with judge_component_call():
                response = yield from requests.perform(command)
        return component_reply(response, fn_name, app.options.limits)

    def _component_request(self, component_id: int, fn_name: str, data: Any) -> SendRequest:
        urls, state = self.state.app.discovery.urls, self.state
        return component_request(urls, state.config, state.session_hash, component_id, fn_name, data)

    # --- the end ---------------------------------------------------------------------------------------

    def end(self, what: str) -> tuple[list[D], H | None]:
        """End the calls and streams of the session, and return the objects that may take a moment to end."""
        with self._lock:
            drivers, self._drivers = self._drivers, {}
            unopened, self._unopened = self._unopened, set()
            heartbeat, self._heartbeat = self._heartbeat, None
        with ExitStack() as stack:  # an exception of one must not keep the others open
            for driver in drivers.values():
                stack.callback(driver.close, closed_error(what))
            for call in unopened:
                stack.callback(call.fail, closed_error(what))
            if heartbeat is not None:
                stack.callback(heartbeat.stop)
        return list(drivers.values()), heartbeat


__all__ = ["SessionCore", "ending"]
