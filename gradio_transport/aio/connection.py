# SPDX-License-Identifier: Apache-2.0
"""The connection to one app: engine, task group, and the requests beside the calls."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Generator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.abc
import anyio.to_thread

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
from ..engines.base import AsyncEngine, AsyncResponseStream
from ..errors import GradioTransportError, LocalProtocolError, Phase, TransportError
from ..files.disk import read_upload
from ..files.fetch import file_unavailable_error, locate
from ..files.upload import FetchFile, FileCommand, FileReply, ReadFile
from ..policy import Timeouts
from ..protocol.commands import OpenStream, Request, Response, SendRequest
from ..protocol.refusals import wants_login

T = TypeVar("T")

CLOSE_SECONDS = 1.0
"""Seconds for closing the connections, even where no time is left."""

REQUESTS_AT_ONCE = 32
"""Joins, polls and cancellations under way at once: a thousand new connections in one moment would swamp the
server's accept queue, and the pool."""


class Connection:
    """The requests to one app, and the task group they run in. Knows no session."""

    def __init__(self, app: App, engine: AsyncEngine) -> None:
        self.app = app
        self.engine = engine
        if os.environ.get("GRADIO_TRANSPORT_TRACE"):  # the trace package is loaded only then
            from ..trace import environment_tap

            recorder = environment_tap()
            if recorder is not None:
                app.taps.add(recorder)
        self.closed = False
        self.tasks: anyio.abc.TaskGroup | None = None
        self._ended: anyio.Event | None = None
        self._turns = anyio.Semaphore(REQUESTS_AT_ONCE)
        self._login_lock = anyio.Lock()

    async def hold(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Hold the task group of the transport.

        Why not the caller's own group: `aclose` in the middle of the caller's block has to end the tasks, and
        only them.
        """
        self._ended = anyio.Event()
        try:
            async with anyio.create_task_group() as self.tasks:
                task_status.started()
                await anyio.sleep_forever()
        finally:
            self._ended.set()

    def spawn(self, work: Callable[..., Any], *arguments: Any) -> None:
        """Run work in a task of the transport."""
        if self.tasks is None or self.closed:
            raise LocalProtocolError("The transport is closed, or not yet entered with 'async with'.")
        self.tasks.start_soon(work, *arguments)

    async def request(
        self,
        command: SendRequest,
        timeouts: Timeouts,
        remaining: float | None = None,
        *,
        credentials: Credentials | None = None,
        extra: Mapping[str, str] | None = None,
        on_send: Callable[[], object] | None = None,
    ) -> Response:
        """Send one request with what its origin may see; repeat it where that is safe and wanted.

        An expired login is renewed once: what was refused for it was not accepted.  `on_send` is called when
        the request has its turn.
        """
        credentials = credentials or self.app.credentials
        logins = self.app.logins
        until = None if remaining is None else time.monotonic() + remaining
        response = await self._send_with_retries(command, timeouts, until, credentials, extra, on_send)
        if wants_login(response) and is_renewable(command) and await self.log_in_again(logins, until):
            response = await self._send_with_retries(command, timeouts, until, credentials, extra, on_send)
        return response

    async def _send_with_retries(
        self,
        command: SendRequest,
        timeouts: Timeouts,
        until: float | None,
        credentials: Credentials,
        extra: Mapping[str, str] | None,
        on_send: Callable[[], object] | None,
    ) -> Response:
        request = self.app.with_headers(command.request, credentials, extra)
        # Why not direct calls too: they take as long as their functions, and would keep short requests
        # waiting.
        takes_turns = command.phase is not Phase.COMPLETE
        retries = Retries(self.app.options.retry, command)
        while True:
            if takes_turns:
                await self._take_turn(seconds_left(until, timeouts, command.phase), timeouts, command.phase)
            try:
                patience = self.app.patience(command, timeouts, seconds_left(until, timeouts, command.phase))
                if on_send is not None:
                    on_send()
                outcome: Response | TransportError = await self.engine.request(request, patience)
            except TransportError as error:
                outcome = error
            finally:
                if takes_turns:
                    self._turns.release()
            pause = retries.pause(outcome, None if until is None else until - time.monotonic())
            if pause is None or self.closed:
                break
            await anyio.sleep(pause)
        if isinstance(outcome, TransportError):
            raise outcome
        self.app.store_cookies(credentials, request.url, outcome.set_cookie)
        return outcome

    async def _take_turn(self, seconds: float | None, timeouts: Timeouts, phase: Phase) -> None:
        """Wait until fewer than `REQUESTS_AT_ONCE` short requests are under way.

        Raises:
            TimeoutExpired: None ended in the time that the call has left.
        """
        try:
            # Why not always with a timeout: a cancel scope for each request takes time.
            self._turns.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(seconds) as waiting:
                await self._turns.acquire()
            if waiting.cancelled_caught:
                raise total_timeout_error(timeouts, phase) from None

    async def log_in_again(self, logins: int, until: float | None = None) -> bool:
        """Log in, unless another task has done so since `logins` were counted; False: no login to make.

        Raises:
            AuthenticationRequired: The login is refused now.
            TimeoutExpired: The time of the call that wants it is over.
        """
        if logins < 0 or self.app.options.auth is None:
            return False
        timeouts = self.app.options.timeouts
        with anyio.move_on_after(seconds_left(until, timeouts, Phase.LOGIN)):
            # Why one at a time: every call whose login has expired comes here at once; one login serves all.
            async with self._login_lock:
                if self.app.logins == logins:
                    sequence = login(self.app.discovery.urls.base, self.app.options.auth)
                    await self.run(sequence, timeouts, until=until)
                    self.app.logins += 1
            return True
        raise total_timeout_error(timeouts, Phase.LOGIN)

    async def run(
        self,
        sequence: Generator[FileCommand, Any, T],
        timeouts: Timeouts,
        credentials: Credentials | None = None,
        until: float | None = None,
    ) -> T:
        """Run a sequence of requests that belongs to no session; see the sync `Connection.run`."""
        try:
            command = next(sequence)
            while True:
                command = sequence.send(
                    await self._perform_file_command(command, timeouts, credentials, until)
                )
        except StopIteration as stop:
            value: T = stop.value
            return value

    async def _perform_file_command(
        self, command: FileCommand, timeouts: Timeouts, credentials: Credentials | None, until: float | None
    ) -> FileReply:
        if isinstance(command, ReadFile):
            return await anyio.to_thread.run_sync(read_upload, command.path)
        if isinstance(command, FetchFile):
            return await self._fetch_input(command, timeouts, until)
        self.app.taps.command(command, 0)
        rest = seconds_left(until, timeouts, command.phase)
        response = await self.request(command, timeouts, rest, credentials=credentials)
        self.app.taps.response(command.channel, 0, response)
        return response

    async def _fetch_input(self, command: FetchFile, timeouts: Timeouts, until: float | None) -> bytes:
        """Get what a URL of the caller's holds, for servers that would not; it is shown no credentials."""
        request = input_request(command)
        sequence = locate(request.request.url, self.app.options.limits.max_redirects)
        wanted = next(sequence)
        while True:
            patience = self.app.patience(request, timeouts, seconds_left(until, timeouts, Phase.UPLOAD))
            response = await self.engine.request(wanted, patience)
            try:
                wanted = sequence.send(response)
            except StopIteration:
                return input_content(response, command)

    async def open_file(
        self, url: str, credentials: Credentials, timeouts: Timeouts | None = None
    ) -> AsyncResponseStream:
        """Begin to fetch a file that the server named; see the sync `Connection.open_file`."""
        logins = self.app.logins
        sequence = locate(url, self.app.options.limits.max_redirects)
        request = next(sequence)
        while True:
            stream = await self._open_file(request, credentials, timeouts or self.app.options.timeouts)
            if wants_login(stream.head) and await self.log_in_again(logins):
                logins = -1  # once
                await stream.aclose()
                continue
            try:
                request = sequence.send(stream.head)
            except StopIteration:
                break
            except BaseException:
                await stream.aclose()
                raise
            await stream.aclose()
        if stream.head.status == 200:
            return stream
        try:
            body = await stream.read(REASON_SECONDS)
        except GradioTransportError:
            body = b""
        finally:
            await stream.aclose()
        raise file_unavailable_error(stream.head.with_body(body), request.url)

    async def _open_file(
        self, request: Request, credentials: Credentials, timeouts: Timeouts
    ) -> AsyncResponseStream:
        if not self.app.may_fetch(request.url):
            check_addresses(request.url, await resolve_host(request.url))
        command = OpenStream("file", request, Phase.DOWNLOAD)
        self.app.taps.command(command, 0)
        patience = self.app.patience(command, timeouts)
        stream = await self.engine.stream(self.app.with_headers(request, credentials), patience)
        self.app.taps.response("file", 0, stream.head, head=True)
        self.app.store_cookies(credentials, request.url, stream.head.set_cookie)
        return stream

    async def discover(self) -> None:
        """Run the handshake."""
        with add_elapsed():
            await self._discover()

    async def _discover(self) -> None:
        sequence = self.app.handshake()
        try:
            command = next(sequence)
            while True:
                self.app.taps.command(command, 0)
                response = await self.request(command, self.app.options.timeouts)
                self.app.taps.response(command.channel, 0, response)
                self.app.credentials.rebind(response.url or command.request.url)
                command = sequence.send(response)
        except StopIteration as stop:
            self.app.discovery = stop.value

    async def aclose(self, timeout: float | None = None) -> None:
        """End every task and close every connection, and return when no task is left or `timeout` is over."""
        self.closed = True
        if self.tasks is not None:
            self.tasks.cancel_scope.cancel()
        with anyio.move_on_after(timeout, shield=True) as waiting:
            if self._ended is not None:
                await self._ended.wait()
        # Connections are closed even when the tasks took all the time.
        deadline = max(waiting.deadline, anyio.current_time() + CLOSE_SECONDS)
        with anyio.CancelScope(deadline=deadline, shield=True):
            await self.engine.aclose()


async def resolve_host(url: str) -> list[str]:
    """Return the addresses of a URL's host; none if it has none (the request will then fail and say so)."""
    try:
        found = await anyio.getaddrinfo(urlsplit(url).hostname, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(address[4][0]) for address in found]
