# SPDX-License-Identifier: Apache-2.0
"""A reverse proxy on loopback that has an illness: it holds back, cuts off, refuses, compresses, takes turns."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import threading
import zlib
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Middle(ThreadingHTTPServer):
    """The proxy.

    Attributes:
        upstreams: URLs of the servers behind it, which take turns.
        buffers: Whether it sends nothing of a reply before the reply is complete.
        first_only: Whether it passes on the first piece of a reply, and holds back the rest.
        cut_after: Seconds after which it ends a stream.
        gzip: Whether it compresses streams.
        max_body: Bytes of a body; larger ones are 413.
        prefix: Path below which the app is; the rest is refused.
        refusal: The status of that.
        login: ``Basic ...`` that a request must have.
        closes: Whether it closes each connection after its reply.
        headers: Added to each reply.
        date: The date of each reply; None is now, an empty text is none.
        dropped: Headers of a reply that are not passed on.
    """

    daemon_threads = True

    def __init__(self, upstreams: Sequence[str], **settings: Any) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstreams = itertools.cycle(upstreams)
        self.buffers = self.first_only = self.gzip = self.closes = False
        self.cut_after: float | None = None
        self.max_body: int | None = None
        self.refusal = 404
        self.prefix = self.login = ""
        self.headers: dict[str, str] = {}
        self.date: str | None = None
        self.dropped: set[str] = set()
        self.ended = threading.Event()
        for name, value in settings.items():
            assert hasattr(self, name), name
            setattr(self, name, value)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that have left."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Middle

    def do_GET(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._pass_on()

    do_POST = do_GET  # noqa: N815

    def _pass_on(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if self.server.max_body is not None and length > self.server.max_body:
            self.close_connection = True
            return self._say(413, "<html><title>413 Request Entity Too Large</title></html>")
        body = self.rfile.read(length)
        if self.server.login and self.headers.get("authorization") != self.server.login:
            return self._say(401, "<html>401</html>", **{"www-authenticate": 'Basic realm="staff"'})
        if not self.path.startswith(self.server.prefix):
            return self._say(self.server.refusal, "<html><title>No such page</title></html>")
        upstream = urlsplit(next(self.server.upstreams))
        connection = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=20)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}
        headers["content-length"] = str(length)
        try:
            connection.request(self.command, self.path[len(self.server.prefix) :], body, headers)
            self._reply(connection.getresponse())
        finally:
            connection.close()

    def send_response(self, code: int, message: str | None = None) -> None:
        """Send the status, and the date that the proxy has."""
        self.send_response_only(code, message)
        date = self.date_time_string() if self.server.date is None else self.server.date
        if date:
            self.send_header("date", date)

    def _say(self, status: int, text: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-type": "text/html", "content-length": str(len(text)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    def _reply(self, reply: http.client.HTTPResponse) -> None:
        is_stream = (reply.getheader("content-type") or "").startswith("text/event-stream")
        held = b""
        if is_stream and self.server.buffers:
            if not self.server.ended.wait(15):  # such a stream has no end
                held = reply.read()
            return
        self.send_response(reply.status)
        for name, value in reply.getheaders():
            if name.lower() not in _HOP_BY_HOP | self.server.dropped | {"date"}:
                self.send_header(name, value)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        if self.server.closes:
            self.send_header("connection", "close")
        if not is_stream:
            held = reply.read()
            self.send_header("content-length", str(len(held)))
            self.end_headers()
            self.wfile.write(held)
            return
        self._pass_stream(reply)

    def _pass_stream(self, reply: http.client.HTTPResponse) -> None:
        packer = zlib.compressobj(wbits=31) if self.server.gzip else None
        if packer is not None:
            self.send_header("content-encoding", "gzip")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        if self.server.cut_after is not None:
            threading.Timer(self.server.cut_after, self._cut).start()
        while data := reply.read1(65536):
            if packer is not None:
                data = packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
            self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            self.wfile.flush()
            if self.server.first_only:
                self.server.ended.wait(15)
                return
        self.wfile.write(b"0\r\n\r\n")

    def _cut(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.shutdown(2)

    def log_message(self, *args: Any) -> None:
        """Write nothing to stderr."""


@contextlib.contextmanager
def middle(*upstreams: str, **settings: Any) -> Iterator[Middle]:
    """Serve until the end of the block."""
    server = Middle(upstreams, **settings)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.ended.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
