# SPDX-License-Identifier: Apache-2.0
"""A server of the protocol `shout`, of the standard library: ``python -m gradio_transport_shout.server``."""

from __future__ import annotations

import contextlib
import json
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CONFIG: dict[str, Any] = {
    "version": "6.31.0",  # of the Gradio whose form the config has
    "protocol": "shout",
    "components": [{"id": number, "type": "textbox", "props": {"label": "text"}} for number in (1, 2)],
    "dependencies": [
        {"id": 0, "api_name": "shout", "inputs": [1], "outputs": [2], "queue": True},
        {"id": 1, "api_name": "grumble", "inputs": [1], "outputs": [2], "queue": True},
    ],
}

INFO: dict[str, Any] = {
    "named_endpoints": {
        f"/{one['api_name']}": {
            "parameters": [{"parameter_name": "text", "label": "text", "type": {"type": "string"}}],
            "returns": [{"label": "loud", "type": {"type": "string"}}],
        }
        for one in CONFIG["dependencies"]
    },
    "unnamed_endpoints": {},
}

MOST_BYTES = 1_000_000
"""Bound of a request's body."""


class ShoutServer(ThreadingHTTPServer):
    """Shouts.

    Args:
        port: Port on the loopback; 0 takes any free one.
        pause: Seconds before each word but the first.
    """

    daemon_threads = True

    def __init__(self, port: int = 0, pause: float = 0.1) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.pause = pause
        self.calls: dict[str, threading.Event] = {}
        """The calls under way, each with what stops it."""
        self.url = f"http://127.0.0.1:{self.server_port}"

    def new_call(self) -> tuple[str, threading.Event]:
        """Return the name of a new call, and what stops it."""
        name, stopped = str(len(self.calls) + 1), threading.Event()
        self.calls[name] = stopped
        return name, stopped


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ShoutServer

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Say nothing."""

    def do_GET(self) -> None:
        found = {"/config": CONFIG, "/info": INFO}.get(self.path)
        self._reply(200 if found else 404, found or {"detail": "Not Found"})

    def do_DELETE(self) -> None:
        stopped = self.server.calls.get(self.path.removeprefix("/shout/"))
        if stopped is not None:
            stopped.set()
        self._reply(200 if stopped else 404, {"stopped": stopped is not None})

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.close_connection = True
            self._reply(413, {"detail": "The body is too long."})
            return
        body = self.rfile.read(int(length))
        match self.path, _parsed(body):
            case "/shout", {"fn_index": 0 | 1 as number, "data": [str(text)]}:
                with contextlib.suppress(ConnectionError):  # the client left
                    self._shout(number, text)
            case "/shout", _:
                self._reply(422, {"detail": "A call has a fn_index and one text in its data."})
            case _:
                self._reply(404, {"detail": "Not Found"})

    def _shout(self, number: int, text: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        name, stopped = self.server.new_call()
        self._say(kind="accepted", id=name)
        if number == 1:
            self._say(kind="error", text=f"I do not like {text!r}.")
        else:
            said = self._words(text.upper().split(), stopped)
            self._say(kind="done", text=f"{said}!")
        self.wfile.write(b"0\r\n\r\n")

    def _words(self, words: list[str], stopped: threading.Event) -> str:
        """Say one word after the other, and return what was said."""
        said = ""
        for word in words:
            if said and stopped.wait(self.server.pause):
                break
            said = f"{said} {word}".strip()
            self._say(kind="word", text=said)
        return said

    def _say(self, **message: Any) -> None:
        data = f"data: {json.dumps(message)}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _reply(self, status: int, value: Any) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


@contextlib.contextmanager
def serving(pause: float = 0.1) -> Generator[ShoutServer, None, None]:
    """Run a server in a thread until the block is left."""
    with ShoutServer(pause=pause) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    with ShoutServer(int(sys.argv[1]) if sys.argv[1:] else 0) as server:
        print(server.url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.serve_forever()
