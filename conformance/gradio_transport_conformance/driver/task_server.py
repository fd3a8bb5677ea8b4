# SPDX-License-Identifier: Apache-2.0
"""The driver protocol by HTTP: ``GET /-/task`` returns a message of the host, ``POST /-/answer`` takes one.

It listens on the loopback, which every program and every page in the user's browser can reach.  So each
request needs the token that the run prints.  With it, a page of any origin may be the driver; without it, a
reply has no headers that let a page read it.
"""

from __future__ import annotations

import enum
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import partial
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from .process import MAX_LINE_BYTES
from .reading import InvalidMessage, Message, read_line

TASK, ANSWER = "/-/task", "/-/answer"

WAIT_SECONDS = 20.0
"""Seconds that a request waits for a task. The timeouts of proxies and browsers are longer."""

_HANDLERS = 32
"""Connections that are served at once."""

_CONNECTION_SECONDS = 60.0
"""The longest pause of a client in the middle of a request."""


class Nothing(enum.Enum):
    """The reason why a request for a task returns none."""

    YET = HTTPStatus.NO_CONTENT
    """Ask again."""
    MORE = HTTPStatus.GONE
    """The run has ended."""
    OTHER = HTTPStatus.CONFLICT
    """A later request for a task replaced it, such as one of a second page."""


class Mailbox(ABC):
    """The source of the replies to requests. Its methods are called by the threads of the server."""

    @abstractmethod
    def next_message(self, seconds: float) -> bytes | Nothing:
        """Return the next message for the driver, once there is one."""

    @abstractmethod
    def not_delivered(self, message: bytes) -> None:
        """Take back a message that the driver did not get."""

    @abstractmethod
    def take(self, message: Message | InvalidMessage) -> bool:
        """Accept a message of the driver; return whether it was expected."""


class TaskServer:
    """A server for one driver.

    Args:
        mailbox: The source of the replies.
        port: Port on the loopback; 0 chooses a free one.

    Raises:
        OSError: The port is in use.
    """

    def __init__(self, mailbox: Mailbox, port: int = 0) -> None:
        self._token = secrets.token_urlsafe(24)
        self._server = _Server(("127.0.0.1", port), partial(_Handler, mailbox, self._token))
        self._thread = threading.Thread(
            target=partial(self._server.serve_forever, poll_interval=0.05), name="driver-tasks", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL from which the driver fetches tasks, with the token."""
        return f"http://127.0.0.1:{self._server.server_port}{TASK}?token={self._token}"

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 2 * _HANDLERS

    def __init__(self, *arguments: Any) -> None:
        self._free = threading.BoundedSemaphore(_HANDLERS)
        super().__init__(*arguments)

    def server_bind(self) -> None:
        """Bind without the standard library's name lookup, which takes seconds without a network."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()[:2]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread, or close it where there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that closed its connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _CONNECTION_SECONDS
    server_version, sys_version = "gradio-transport-conformance", ""

    def __init__(self, mailbox: Mailbox, token: str, *arguments: Any) -> None:
        self._mailbox = mailbox
        self._token = token
        server = cast("_Server", arguments[2])
        self._own_names = [f"{name}:{server.server_port}" for name in ("127.0.0.1", "localhost")]
        super().__init__(*arguments)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the library
        """Write nothing: standard error has the count of the run."""

    def do_GET(self) -> None:
        """Answer a request for a task."""
        if not self._is_for(TASK):
            return
        found = self._mailbox.next_message(WAIT_SECONDS)
        if isinstance(found, Nothing):
            self._reply(found.value, b"")
            return
        try:
            self._reply(HTTPStatus.OK, found, "application/json")
        except OSError:
            self._mailbox.not_delivered(found)

    def do_POST(self) -> None:
        """Take an answer."""
        if not self._is_for(ANSWER):
            return
        length = self.headers.get("content-length", "")
        if not length.isdecimal():
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "Send the length of the message in content-length.")
        elif len(length) > len(str(MAX_LINE_BYTES)) or int(length) > MAX_LINE_BYTES:
            problem = InvalidMessage(f"a message of more than {MAX_LINE_BYTES // 1_048_576} MB")
            self._mailbox.take(problem)
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(problem))
        else:
            self._take(self.rfile.read(int(length)), int(length))

    def _take(self, body: bytes, length: int) -> None:
        if len(body) < length:
            self.close_connection = True
            return
        try:
            message = read_line(body)
        except InvalidMessage as error:
            self._mailbox.take(error)
            self._reply(HTTPStatus.BAD_REQUEST, f"{error}\n".encode())
            return
        if message is None:
            self._reply(HTTPStatus.BAD_REQUEST, b"This is no message of the driver protocol.\n")
        elif self._mailbox.take(message):
            self._reply(HTTPStatus.NO_CONTENT, b"")
        else:
            self._reply(HTTPStatus.CONFLICT, b"No answer to that task is waited for.\n")

    def do_OPTIONS(self) -> None:
        """Answer the preflight of a browser."""
        if self._is_for(TASK, ANSWER):
            self._reply(HTTPStatus.NO_CONTENT, b"", more=_PREFLIGHT)

    def _is_for(self, *paths: str) -> bool:
        """Return whether a request is for one of the paths and may be made; else it was refused."""
        url = urlsplit(self.path)
        token = parse_qs(url.query).get("token", [""])[0]
        # A name of someone else that resolves to the loopback makes a page one of this origin.
        is_own_name = self.headers.get("host", "") in self._own_names
        if not is_own_name or not compare_digest(token.encode(), self._token.encode()):
            self._refuse(HTTPStatus.FORBIDDEN, "Use the URL that the run has printed, with its token.")
            return False
        if url.path not in paths:
            self._refuse(HTTPStatus.NOT_FOUND, f"There is GET {TASK}, and POST {ANSWER}.")
            return False
        return True

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        """Refuse a request whose body is not read."""
        self.close_connection = True
        self._reply(status, f"{why}\n".encode(), readable=status is not HTTPStatus.FORBIDDEN)

    def _reply(
        self,
        status: HTTPStatus,
        body: bytes,
        kind: str = "text/plain; charset=utf-8",
        *,
        readable: bool = True,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", **(more or {})}
        if status is not HTTPStatus.NO_CONTENT:
            headers |= {"content-type": kind, "content-length": str(len(body))}
        if readable:
            headers["access-control-allow-origin"] = "*"  # no cookie is read: the token is what counts
        if self.close_connection:
            headers["connection"] = "close"
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


_PREFLIGHT = {
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": "content-type",
    "access-control-allow-private-network": "true",
    "access-control-max-age": "600",
}


__all__ = ["ANSWER", "TASK", "WAIT_SECONDS", "Mailbox", "Nothing", "TaskServer"]
