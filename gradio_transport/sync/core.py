# SPDX-License-Identifier: Apache-2.0
"""What the sessions of one transport share: engine, workers, alarms, and the requests beside the calls."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..adapter.contract import Adapter
from ..adapter.exchange import Invocation
from ..app.credentials import Credentials
from ..app.handshake import login
from ..calls.app import App
from ..calls.deadline import left, too_late
from ..calls.failures import closed_under_way
from ..calls.forking import tell_after_fork
from ..calls.options import CallOptions
from ..calls.requests import REASON_SECONDS, check_addresses, input_content, input_request, renewable, timed
from ..calls.retries import Retries
from ..calls.session_state import SessionState
from ..engines.base import Engine, ResponseStream
from ..errors import GradioTransportError, LocalProtocolError, Phase, TransportError
from ..files.disk import read_upload
from ..files.fetch import file_unavailable, locate
from ..files.upload import FetchFile, FileCommand, FileReply, ReadFile
from ..policy import Timeouts
from ..protocol.commands import OpenStream, Request, Response, SendRequest
from ..protocol.refusals import wants_login
from .alarms import Alarms
from .heartbeat import HeartbeatThread
from .runner import Runner
from .workers import Workers

T = TypeVar("T")

JOIN_THREAD_SECONDS = 5.0
"""How long `close` waits for a thread that has been told to end."""


class Core:
    """What all sessions of a transport share. Threads refer to this, never to the `Transport`."""

    def __init__(self, app: App, engine: Engine) -> None:
        self.app = app
        self.engine = engine
        if os.environ.get("GRADIO_TRANSPORT_TRACE"):  # the trace package is loaded only then
            from ..trace import environment_tap

            recorder = environment_tap()
            if recorder is not None:
                app.taps.add(recorder)
        self.workers = Workers(app.options.limits.workers)
        self._runners: set[Runner] = set()
        self._heartbeats: set[HeartbeatThread] = set()
        self._lock = threading.Lock()
        self._login_lock = threading.Lock()
        self.closing = threading.Event()
        self.alarms = Alarms()
        self.closed = False
        tell_after_fork(self)

    def begin_anew(self) -> None:
        """In a child of ``fork``: leave connections, threads and calls to the parent; have none yet."""
        runners, self._runners, self._heartbeats = list(self._runners), set(), set()
        self._lock, self._login_lock = threading.Lock(), threading.Lock()
        self.workers, self.closing = Workers(self.app.options.limits.workers), threading.Event()
        self.alarms = Alarms()
        begin_anew: Callable[[], None] | None = getattr(self.engine, "begin_anew", None)
        if begin_anew is None:  # an engine of the caller's that knows nothing of forks
            self.closed = True
        else:
            begin_anew()
        for runner in runners:
            runner.begin_anew()

    def request(
        self,
        command: SendRequest,
        timeouts: Timeouts,
        remaining: float | None = None,
        *,
        credentials: Credentials | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one request with what its origin may see; repeat it where that is safe and wanted.

        An expired login is renewed once: what was refused for it was not accepted.
        """
        credentials = credentials or self.app.credentials
        logins = self.app.logins
        until = None if remaining is None else time.monotonic() + remaining
        response = self._tried(command, timeouts, until, credentials, extra)
        if wants_login(response) and renewable(command) and self.log_in_again(logins, until):
            response = self._tried(command, timeouts, until, credentials, extra)
        return response

    def _tried(
        self,
        command: SendRequest,
        timeouts: Timeouts,
        until: float | None,
        credentials: Credentials,
        extra: Mapping[str, str] | None,
    ) -> Response:
        request = self.app.dressed(command.request, credentials, extra)
        retries = Retries(self.app.options.retry, command)
        while True:
            patience = self.app.patience(command, timeouts, left(until, timeouts, command.phase))
            try:
                outcome: Response | TransportError = self.engine.request(request, patience)
            except TransportError as error:
                outcome = error
            pause = retries.pause(outcome, None if until is None else until - time.monotonic())
            if pause is None or self.closing.wait(pause):
                break
        if isinstance(outcome, TransportError):
            raise outcome
        self.app.take_cookies(credentials, request.url, outcome.set_cookie)
        return outcome

    def log_in_again(self, logins: int, until: float | None = None) -> bool:
        """Log in, unless another thread has since `logins` were counted; False: there is no login, or enough.

        Raises:
            AuthenticationRequired: The login is refused now.
            TimeoutExpired: The time of the call that wants it is over.
        """
        if logins < 0 or self.app.options.auth is None:
            return False
        timeouts = self.app.options.timeouts
        rest = left(until, timeouts, Phase.LOGIN)
        if not self._login_lock.acquire(timeout=-1 if rest is None else rest):
            raise too_late(timeouts, Phase.LOGIN)
        try:
            if self.app.logins == logins:
                sequence = login(self.app.discovery.urls.base, self.app.options.auth)
                self.run(sequence, timeouts, until=until)
                self.app.logins += 1
        finally:
            self._login_lock.release()
        return True

    def run(
        self,
        sequence: Generator[FileCommand, Any, T],
        timeouts: Timeouts,
        credentials: Credentials | None = None,
        until: float | None = None,
    ) -> T:
        """Run a sequence that belongs to no session's machine, such as an upload.

        Args:
            sequence: What is to be done.
            timeouts: Bounds of each request.
            credentials: What may be shown.
            until: When the time of the call is over that it is done for, by `time.monotonic`.
        """
        try:
            command = next(sequence)
            while True:
                command = sequence.send(self._fed(command, timeouts, credentials, until))
        except StopIteration as stop:
            value: T = stop.value
            return value

    def place(
        self,
        invocation: Invocation,
        options: CallOptions,
        timeouts: Timeouts,
        credentials: Credentials,
        until: float | None,
    ) -> Invocation:
        """Bring the files of an invocation to the app, and return it with their places."""
        placing = self.app.placing(invocation, options.upload_progress)
        return invocation if placing is None else self.run(placing, timeouts, credentials, until)

    def _fed(
        self, command: FileCommand, timeouts: Timeouts, credentials: Credentials | None, until: float | None
    ) -> FileReply:
        if isinstance(command, ReadFile):
            return read_upload(command.path)
        if isinstance(command, FetchFile):
            return self._fetch_input(command, timeouts, until)
        self.app.taps.command(command, 0)
        rest = left(until, timeouts, command.phase)
        response = self.request(command, timeouts, rest, credentials=credentials)
        self.app.taps.response(command.channel, 0, response)
        return response

    def _fetch_input(self, command: FetchFile, timeouts: Timeouts, until: float | None) -> bytes:
        """Get what a URL of the caller's holds, for servers that would not; it is shown no credentials."""
        request = input_request(command)
        sequence = locate(request.request.url, self.app.options.limits.max_redirects)
        wanted = next(sequence)
        while True:
            patience = self.app.patience(request, timeouts, left(until, timeouts, Phase.UPLOAD))
            response = self.engine.request(wanted, patience)
            try:
                wanted = sequence.send(response)
            except StopIteration:
                return input_content(response, command)

    def open_file(
        self,
        url: str,
        credentials: Credentials,
        remaining: float | None = None,
        timeouts: Timeouts | None = None,
    ) -> ResponseStream:
        """Begin to fetch a file that the server named, following redirects as far as that is allowed.

        Raises:
            FileUnavailable: It is not handed out.
            RemoteProtocolError: It lies where files are not fetched from.
            TransportError: No answer came.
        """
        logins = self.app.logins
        until = None if remaining is None else time.monotonic() + remaining
        sequence = locate(url, self.app.options.limits.max_redirects)
        request = next(sequence)
        while True:
            stream = self._open_file(request, credentials, remaining, timeouts or self.app.options.timeouts)
            if wants_login(stream.head) and self.log_in_again(logins, until):
                logins = -1  # once
                stream.close()
                continue
            try:
                request = sequence.send(stream.head)
            except StopIteration:
                break
            except BaseException:
                stream.close()
                raise
            stream.close()
        if stream.head.status == 200:
            return stream
        try:
            body = stream.read(REASON_SECONDS)
        except GradioTransportError:
            body = b""
        finally:
            stream.close()
        raise file_unavailable(stream.head.with_body(body), request.url)

    def _open_file(
        self, request: Request, credentials: Credentials, remaining: float | None, timeouts: Timeouts
    ) -> ResponseStream:
        if not self.app.may_fetch(request.url):
            check_addresses(request.url, addresses(request.url))
        command = OpenStream("file", request, Phase.DOWNLOAD)
        self.app.taps.command(command, 0)
        patience = self.app.patience(command, timeouts, remaining)
        stream = self.engine.stream(self.app.dressed(request, credentials), patience)
        self.app.taps.response("file", 0, stream.head, head=True)
        self.app.take_cookies(credentials, request.url, stream.head.set_cookie)
        return stream

    def discover(self) -> None:
        """Run the handshake."""
        with timed():
            self._discover()

    def _discover(self) -> None:
        sequence = self.app.handshake()
        try:
            command = next(sequence)
            while True:
                self.app.taps.command(command, 0)
                response = self.request(command, self.app.options.timeouts)
                self.app.taps.response(command.channel, 0, response)
                self.app.credentials.rebind(response.url or command.request.url)
                command = sequence.send(response)
        except StopIteration as stop:
            self.app.discovery = stop.value

    def beat(self, state: SessionState) -> HeartbeatThread:
        """Show the server that a session lives, until told otherwise."""
        beating = HeartbeatThread(self, state)
        with self._lock:
            if self.closed:
                raise LocalProtocolError("The transport is closed.")
            self._heartbeats.add(beating)
        beating.start()
        return beating

    def stop_beating(self, beating: HeartbeatThread) -> None:
        """End a heartbeat."""
        with self._lock:
            self._heartbeats.discard(beating)
        beating.stop()

    def runner(self, adapter: Adapter, state: SessionState) -> Runner:
        """Return a driver for a new session."""
        runner = Runner(self, self.app.wire(adapter, state.session_hash), state)
        with self._lock:
            if self.closed:
                raise LocalProtocolError("The transport is closed.")
            self._runners.add(runner)
        return runner

    def discard(self, runner: Runner) -> None:
        """Forget a session."""
        with self._lock:
            self._runners.discard(runner)

    def close(self, timeout: float | None = None) -> None:
        """Close everything, and leave no thread behind, unless one does not end within `timeout` seconds."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            self.closing.set()
            runners, heartbeats = list(self._runners), list(self._heartbeats)
            self._heartbeats.clear()
        readers = [runner.close(closed_under_way("transport was closed")) for runner in runners]
        for beating in heartbeats:
            beating.stop()
        self.engine.close()
        join([*readers, *heartbeats, self.alarms.close(), *self.workers.close()], timeout)


def join(threads: Iterable[threading.Thread | None], timeout: float | None = None) -> None:
    """Wait for threads that have been told to end, all in all `timeout` seconds at most."""
    end = None if timeout is None else time.monotonic() + timeout
    for thread in threads:
        if thread is not None and thread is not threading.current_thread():
            left = JOIN_THREAD_SECONDS if end is None else end - time.monotonic()
            thread.join(min(JOIN_THREAD_SECONDS, max(0.0, left)))


def addresses(url: str) -> list[str]:
    """Return the addresses of a URL's host; none if nobody knows it (the request will say so)."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(one[4][0]) for one in found]
