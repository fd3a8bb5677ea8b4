# SPDX-License-Identifier: Apache-2.0
"""A small Gradio of the sse_v3 generation on loopback, for tests of what sits on top of a transport.

It says what a real server says, without a function behind it: see `FUNCTIONS` for its endpoints.
"""

from __future__ import annotations

import contextlib
import json
import queue
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Message = dict[str, Any]

NUMBER = {"type": "number"}
TEXT = {"type": "string"}


def completed(*data: Any) -> Message:
    output = {"data": list(data), "is_generating": False, "duration": 0.1}
    return {"msg": "process_completed", "output": output, "success": True}


def generating(*data: Any) -> Message:
    output = {"data": list(data), "is_generating": True}
    return {"msg": "process_generating", "output": output, "success": True}


def _count(data: list[Any]) -> list[Message]:
    numbers = [str(number) for number in range(int(data[0]))]
    edits = [[["append", [], f" {number}"]] for number in numbers[1:]]
    return [generating(numbers[0]), *map(generating, edits), completed(" ".join(numbers))]


def _steps(data: list[Any]) -> list[Message]:
    return [generating(0), generating([["replace", [], 1]]), completed(1)]


def _chatty(data: list[Any]) -> list[Message]:
    def log(text: str, level: str, **more: Any) -> Message:
        return {"msg": "log", "log": text, "level": level, **more}

    unit = {"index": 1, "length": 2, "unit": "steps", "progress": None, "desc": "half"}
    return [
        log("seen", "info", title="Info", visible=True),
        log("hidden", "info", visible=False),
        log("\x1b[31mescaped", "warning"),
        {"msg": "progress", "progress_data": [unit]},
        completed("done"),
    ]


def _progress(data: list[Any]) -> list[Message]:
    unit = {"index": 1, "length": data[0], "unit": "steps", "progress": None, "desc": "step 1"}
    return [{"msg": "progress", "progress_data": [unit]}, completed(f"{data[0]} steps")]


def _raise_error(data: list[Any]) -> list[Message]:
    output = {"error": "the app failed", "title": "Error", "visible": True}
    return [{"msg": "process_completed", "output": output, "success": False}]


FUNCTIONS: dict[str, tuple[dict[str, Any], list[Any], Callable[[list[Any]], list[Message]]]] = {
    # name: parameters, types of the outputs, messages after process_starts
    "hello": ({"name": TEXT}, [TEXT], lambda data: [completed(f"Hello, {data[0]}!")]),
    "add": ({"a": NUMBER, "b": NUMBER}, [NUMBER], lambda data: [completed(data[0] + data[1])]),
    "pair": ({"text": TEXT}, [TEXT, {}], lambda data: [completed(data[0].upper(), {"n": len(data[0])})]),
    "echo": ({"value": {}}, [{}], lambda data: [completed(data[0])]),
    "odd": ({}, [{}, TEXT], lambda data: [completed(float("nan"), "\ud800")]),
    "count": ({"n": NUMBER}, [TEXT], _count),
    "steps": ({}, [NUMBER], _steps),
    "chatty": ({}, [TEXT], _chatty),
    "raise_error": ({}, [TEXT], _raise_error),
    "forever": ({}, [TEXT], lambda data: [generating("on and on")]),  # until /cancel
    "full": ({}, [TEXT], lambda data: []),  # the join is answered with 503
    "progress": ({"n": NUMBER}, [TEXT], _progress),
    "private": ({"text": TEXT}, [TEXT], lambda data: []),
}


def config() -> dict[str, Any]:
    names = list(FUNCTIONS)
    dependencies = [
        {
            "id": number,
            "api_name": name,
            "api_visibility": "private" if name == "private" else "public",
            "inputs": [1 + place for place in range(len(FUNCTIONS[name][0]))],
            "outputs": [10 + place for place in range(len(FUNCTIONS[name][1]))],
            "queue": True,
            "types": {"generator": name in ("count", "steps", "forever")},
        }
        for number, name in enumerate(names)
    ]
    dependencies.append({"id": len(names), "api_name": None, "inputs": [], "outputs": [10], "queue": True})
    components = [
        {"id": number, "type": "textbox", "props": {"label": f"c{number}"}} for number in (1, 2, 10, 11)
    ]
    return {
        "version": "6.31.0",
        "title": "fake",
        "protocol": "sse_v3",
        "api_prefix": "/gradio_api",
        "components": components,
        "dependencies": dependencies,
    }


def info() -> dict[str, Any]:
    def described(parameters: dict[str, Any], outputs: list[Any]) -> dict[str, Any]:
        types = {"number": "float", "string": "str"}
        return {
            "parameters": [
                {
                    "parameter_name": name,
                    "type": schema,
                    "python_type": {"type": types.get(schema.get("type"), "Any")},
                    "parameter_has_default": name == "b",
                    "parameter_default": 2 if name == "b" else None,
                }
                for name, schema in parameters.items()
            ],
            "returns": [
                {"label": f"out{place}", "type": schema, "python_type": {"type": "str"}}
                for place, schema in enumerate(outputs)
            ],
        }

    named = {
        f"/{name}": described(parameters, outputs)
        for name, (parameters, outputs, _) in FUNCTIONS.items()
        if name != "private"
    }
    return {"named_endpoints": named, "unnamed_endpoints": {str(len(FUNCTIONS)): described({}, [TEXT])}}


class FakeGradio(ThreadingHTTPServer):
    """The server. What it saw is in `requests`; `seen` waits for a path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, dict[str, str], Any]] = []
        self._changed = threading.Condition()
        self._sessions: dict[str, queue.SimpleQueue[Message | None]] = {}
        self._calls = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def record(self, path: str, headers: dict[str, str], body: Any) -> None:
        with self._changed:
            self.requests.append((path, headers, body))
            self._changed.notify_all()

    def seen(self, path: str, timeout: float = 20.0) -> bool:
        """Wait until somebody has asked for a path."""
        with self._changed:
            return self._changed.wait_for(lambda: any(one[0] == path for one in self.requests), timeout)

    def session(self, session_hash: str) -> queue.SimpleQueue[Message | None]:
        with self._changed:
            return self._sessions.setdefault(session_hash, queue.SimpleQueue())

    def join(self, body: dict[str, Any]) -> tuple[int, Any]:
        number = body["fn_index"]
        name = list(FUNCTIONS)[number] if number < len(FUNCTIONS) else "raise_error"
        if name == "full":
            return 503, {"detail": "Queue is full. Max size is 1 and size is 1."}
        with self._changed:
            self._calls += 1
            event_id = f"event{self._calls}"
        messages = [
            {"msg": "estimation", "rank": 0, "queue_size": 1, "rank_eta": 2.5},
            {"msg": "process_starts", "eta": 1.5},
            *FUNCTIONS[name][2](body["data"]),
        ]
        stream = self.session(body["session_hash"])
        for message in messages:
            stream.put({**message, "event_id": event_id})
        if name != "forever":
            stream.put({"msg": "close_stream", "event_id": None})
        return 200, {"event_id": event_id}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that have left."""

    def server_close(self) -> None:
        for stream in self._sessions.values():
            stream.put(None)
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FakeGradio

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.record(url.path, dict(self.headers), None)
        match url.path:
            case "/config":
                self._reply(200, config())
            case "/gradio_api/info":
                self._reply(200, info())
            case "/gradio_api/queue/data":
                self._stream(parse_qs(url.query)["session_hash"][0])
            case _:
                self._reply(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"null")
        match self.path:
            case "/gradio_api/queue/join":
                self._reply(*self.server.join(body))
            case "/gradio_api/cancel":
                self._reply(200, {"success": True})
            case _:
                self._reply(404, {"detail": "Not Found"})
        self.server.record(self.path, dict(self.headers), body)

    def _reply(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, session_hash: str) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.end_headers()
        stream = self.server.session(session_hash)
        while (message := stream.get()) is not None:
            self.wfile.write(f"data: {json.dumps(message)}\n\n".encode())
            if message["msg"] == "close_stream":
                return

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def fake_gradio() -> Iterator[FakeGradio]:
    """Serve until the end of the block."""
    server = FakeGradio()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
