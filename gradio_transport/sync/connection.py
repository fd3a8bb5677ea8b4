# SPDX-License-Identifier: Apache-2.0
"""The connection to one app: engine, workers, alarms, and the requests beside the calls."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ..adapter.exchange import Invocation
from ..app.credentials import Credentials
from ..app.handshake import login
from ..calls.app import App
from ..calls.deadline import seconds_left, total_timeout_error
from ..calls.requests import (
    REASON_SECONDS,
    add_elapsed,
    check_addresses,
    input_content,
    input_request,
    is_renewable,
)
from ..calls.retries import Retries
from ..engines.base import Engine, ResponseStream
from ..errors import GradioTransportError, Phase, TransportError
from ..files.disk import read_upload
from ..files.fetch import file_unavailable_error, locate
from ..files.upload import FetchFile, FileCommand, FileReply, ReadFile
from ..policy import Timeouts
from ..protocol.commands import OpenStream, Request, Response, SendRequest
from ..protocol.multipart import UploadProgress
from ..protocol.refusals import wants_login
from .alarms import Alarms
from .workers import Workers

T = TypeVar("T")


class Connection:
    """The requests to one app, and the threads they take. Knows no session."""

    def __init__(self, app: App, engine: Engine) -> None:
        self.app = app
        self.engine = engine
        if os.environ.get("GRADIO_TRANSPORT_TRACE"):  # the trace package is loaded only then
            from ..trace import environment_tap

            recorder = environment_tap()
            if recorder is not None:
                app.taps.add(recorder)
        self.closing = threading.Event()
        self._start_without_threads()

    def _start_without_threads(self) -> None:
        self.workers = Workers(self.app.options.limits.workers)
        self.alarms = Alarms()
        self._login_lock = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether it is closed, or about to be."""
        return self.closing.is_set()

    def reset_after_fork(self) -> None:
        """Leave connections and threads to the parent, in a child of ``fork``."""
        self.closing = threading.Event()
        self._start_without_threads()
        reset: Callable[[], None] | None = getattr(self.engine, "reset_after_fork", None)
        if reset is None:  # an engine of the caller's, which would use the parent's sockets
            self.closing.set()
        else:
            reset()

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
        response = self._send_with_retries(command, timeouts, until, credentials, extra)
        if wants_login(response) and is_renewable(command) and self.log_in_again(logins, until):
            response = self._send_with_retries(command, timeouts, until, credentials, extra)
        return response

    def _send_with_retries(
        self,
        command: SendRequest,
        timeouts: Timeouts,
        until: float | None,
        credentials: Credentials,
        extra: Mapping[str, str] | None,
    ) -> Response:
        request = self.app.with_headers(command.request, credentials, extra)
        retries = Retries(self.app.options.retry, command)
        while True:
            patience = self.app.patience(command, timeouts, seconds_left(until, timeouts, command.phase))
            try:
                outcome: Response | TransportError = self.engine.request(request, patience)
            except TransportError as error:
                outcome = error
            pause = retries.pause(outcome, None if until is None else until - time.monotonic())
            # Why not `time.sleep`: closing the transport must not wait for the pause.
            if pause is None or self.closing.wait(pause):
                break
        if isinstance(outcome, TransportError):
            raise outcome
        self.app.store_cookies(credentials, request.url, outcome.set_cookie)
        return outcome

    def log_in_again(self, logins: int, until: float | None = None) -> bool:
        """Log in, unless another thread has done so since `logins` were counted; False: no login to make.

        Raises:
            AuthenticationRequired: The login is refused now.
            TimeoutExpired: The time of the call that wants it is over.
        """
        if logins < 0 or self.app.options.auth is None:
            return False
        timeouts = self.app.options.timeouts
        rest = seconds_left(until, timeouts, Phase.LOGIN)
        # Why one at a time: every call whose login has expired comes here at once, and one new login serves
        # all.
        if not self._login_lock.acquire(timeout=-1 if rest is None else rest):
            raise total_timeout_error(timeouts, Phase.LOGIN)
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
        """Run a sequence of requests that belongs to no session, such as an upload.

        Args:
            sequence: The requests, and what comes of them.
            timeouts: Bounds of each request.
            credentials: Of the session, or None for those of the app.
            until: When the time of its call is over, by `time.monotonic`.
        """
        try:
            command = next(sequence)
            while True:
                command = sequence.send(self._perform_file_command(command, timeouts, credentials, until))
        except StopIteration as stop:
            value: T = stop.value
            return value

    def place_files(
        self,
        invocation: Invocation,
        timeouts: Timeouts,
        credentials: Credentials,
        until: float | None,
        progress: UploadProgress | None = None,
    ) -> Invocation:
        """Upload the files of an invocation, and return it with their places."""
        sequence = self.app.place_files(invocation, progress)
        return invocation if sequence is None else self.run(sequence, timeouts, credentials, until)

    def _perform_file_command(
        self, command: FileCommand, timeouts: Timeouts, credentials: Credentials | None, until: float | None
    ) -> FileReply:
        if isinstance(command, ReadFile):
            return read_upload(command.path)
        if isinstance(command, FetchFile):
            return self._fetch_input(command, timeouts, until)
        self.app.taps.command(command, 0)
        rest = seconds_left(until, timeouts, command.phase)
        response = self.request(command, timeouts, rest, credentials=credentials)
        self.app.taps.response(command.channel, 0, response)
        return response

    def _fetch_input(self, command: FetchFile, timeouts: Timeouts, until: float | None) -> bytes:
        """Get what a URL of the caller's holds, for servers that would not; it is shown no credentials."""
        request = input_request(command)
        sequence = locate(request.request.url, self.app.options.limits.max_redirects)
        wanted = next(sequence)
        while True:
            patience = self.app.patience(request, timeouts, seconds_left(until, timeouts, Phase.UPLOAD))
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
        raise file_unavailable_error(stream.head.with_body(body), request.url)

    def _open_file(
        self, request: Request, credentials: Credentials, remaining: float | None, timeouts: Timeouts
    ) -> ResponseStream:
        if not self.app.may_fetch(request.url):
            check_addresses(request.url, resolve_host(request.url))
        command = OpenStream("file", request, Phase.DOWNLOAD)
        self.app.taps.command(command, 0)
        patience = self.app.patience(command, timeouts, remaining)
        stream = self.engine.stream(self.app.with_headers(request, credentials), patience)
        self.app.taps.response("file", 0, stream.head, head=True)
        self.app.store_cookies(credentials, request.url, stream.head.set_cookie)
        return stream

    def discover(self) -> None:
        """Run the handshake."""
        with add_elapsed():
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

    def close(self) -> list[threading.Thread]:
        """Close every connection, and return the threads that end with them, to be joined."""
        self.closing.set()
        self.engine.close()
        alarms = self.alarms.close()
        return [*self.workers.close(), *([alarms] if alarms is not None else [])]


def resolve_host(url: str) -> list[str]:
    """Return the addresses of a URL's host; none if it has none (the request will then fail and say so)."""
    try:
        found = socket.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(address[4][0]) for address in found]
