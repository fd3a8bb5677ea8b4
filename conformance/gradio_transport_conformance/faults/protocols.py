# SPDX-License-Identifier: Apache-2.0
"""The proper behaviour of every protocol, which faults change: the paths of requests, and the messages.

All of them serve one function, number 0 and named ``count``, that yields ``"0"`` and ends with ``"0 1"``.  In
the phase ``upload`` its argument is a file; in ``download`` and ``read`` its output is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

VALUE = ["0 1"]
"""The value that the call returns without a fault."""

EVENT_ID = "e1"
"""The event id of the call."""

GIVEN_NAME = "given file.txt"
"""The file that a client uploads."""

MADE_NAME = "made file.txt"
"""The file that the function returns."""

USER, PASSWORD = "ann", "open sesame"
"""The login."""

COOKIE = "access-token-bench=t0k3n"
"""The cookie that a login sets."""

_BODY: dict[str, Any] = {"data": VALUE, "is_generating": False, "duration": 0.1, "average_duration": 0.1}

MESSAGES: Mapping[str, dict[str, Any]] = {
    "estimation": {"msg": "estimation", "rank": 0, "queue_size": 1, "rank_eta": None},
    "start": {"msg": "process_starts", "eta": None},
    "progress": {"msg": "progress", "progress_data": [{"index": 1, "length": 2, "unit": "steps"}]},
    "log": {"msg": "log", "log": "hello", "level": "info"},
    "first": {"msg": "process_generating", "success": True, "output": {"data": ["0"], "is_generating": True}},
    "done": {"msg": "process_completed", "success": True, "output": _BODY},
    "beat": {"msg": "heartbeat"},
    "close_stream": {"msg": "close_stream", "event_id": None},
}
"""The messages that a script of a fault can name."""

HAPPY = ("estimation", "start", "first", "done")


def _chunk(delta: dict[str, Any], why: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": why}]}


CHUNKS: Mapping[str, dict[str, Any]] = {
    "start": _chunk({"role": "assistant", "content": ""}),
    "first": _chunk({"content": "0"}),
    "done": _chunk({"content": " 1"}, "stop"),
    "beat": {"choices": []},
}
"""The same on the stream of a chat, which a message ``over`` ends."""


@attrs.frozen(kw_only=True)
class Protocol:
    """One protocol of the bench, as in one Gradio version.

    Attributes:
        name: Its name in the bench.
        adapter: The ``protocol`` that a client selects.
        version: The Gradio version that is played.
        kind: The shape: ``shared`` (sse_v1 to v3), ``own`` (sse v0), ``websocket``, ``direct``, ``polling``,
            ``call`` or ``chat``.
        says: The ``protocol`` of its config.
        prefix: The path of the API.
        queue: Whether the function goes through the queue.
        besides: Phases of requests beside the call; one protocol for each Gradio version is enough for them.
        alone: Faults occur only in those phases, because in the others it is like another protocol.
        settings: Additional keywords of `connect`.
    """

    name: str
    adapter: str
    version: str
    kind: str
    says: str | None = None
    prefix: str = ""
    queue: bool = True
    besides: tuple[str, ...] = ()
    alone: bool = False
    settings: Mapping[str, Any] = attrs.field(factory=dict[str, Any])

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases in which faults can occur."""
        if self.alone:
            return self.besides
        info = ("info",) if self.at_least(3, 26) else ()
        return ("config", *info, *_PHASES[self.kind], *self.besides)

    def at_least(self, *release: int) -> bool:
        """Return whether the version is that or later."""
        return tuple(int(part) for part in self.version.split(".")) >= release

    @property
    def diffs(self) -> bool:
        """Whether later frames of a generator are edits."""
        return self.kind == "shared" and self.at_least(4, 17)

    def config(self, phase: str = "") -> dict[str, Any]:
        """Return the body of ``/config``, of an app with the features that the phase needs."""
        if self.kind == "chat":
            return {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "us"}]}
        kinds = ("file" if phase == "upload" else "textbox", "file" if phase in FILE_PHASES else "textbox")
        if not self.at_least(3, 0):
            boxes = [{"name": kind, "label": "text"} for kind in kinds]
            return {
                "version": self.version,
                "input_components": boxes[:1],
                "output_components": boxes[1:],
                "queue": self.queue,
                "allow_flagging": "never",
            }
        components: list[Any] = [
            {"id": number, "type": kind, "props": {}} for number, kind in enumerate(kinds, 1)
        ]
        dependency = {"id": 0, "api_name": "count", "inputs": [1], "outputs": [2], "queue": self.queue}
        dependency |= {"backend_fn": True, "types": {"generator": self.kind != "direct"}}
        config: dict[str, Any] = {"version": self.version, "enable_queue": True, "components": components}
        config["dependencies"] = [dependency]
        if self.at_least(4, 25):
            config["connect_heartbeat"] = phase == "heartbeat"
        return config | ({"protocol": self.says, "api_prefix": self.prefix} if self.says else {})

    def output_file(self) -> dict[str, Any]:
        """Return the file in the function's output, as this version writes it (docs/wire.md §10.1)."""
        path = f"/tmp/gradio/1/{MADE_NAME}"  # noqa: S108 - a path on the server
        if not self.at_least(4, 0):
            return {"name": path, "orig_name": MADE_NAME, "size": None, "data": None, "is_file": True}
        file: dict[str, Any] = {"path": path, "url": None, "orig_name": MADE_NAME, "size": None}
        return file | ({"meta": {"_type": "gradio.FileData"}} if self.at_least(4, 21) else {})

    def login_required(self) -> tuple[int, Any]:
        """Return the status and JSON of the reply to a request without a login (docs/wire.md §12.1)."""
        if not self.at_least(2, 7):  # in its config, the only request before the login
            return 200, {"auth_required": True, "auth_message": None}
        if self.at_least(5, 36):
            return 401, {"detail": {"error": "Not authenticated", "auth_message": None}}
        return 401, {"detail": "Not authenticated"}

    def login_accepted(self) -> tuple[int, Any, dict[str, str]]:
        """Return the reply to the correct login: status, JSON, headers."""
        cookie = {"set-cookie": f"{COOKIE}; Path=/; HttpOnly"}
        if self.at_least(3, 17):
            return 200, {"success": True}, cookie
        return 302, None, {**cookie, "location": "/"}

    def info(self) -> dict[str, Any]:
        """Return the body of ``/info``."""
        parameter = {"parameter_name": "text", "label": "text", "type": {"type": "string"}}
        endpoint = {"parameters": [parameter], "returns": [{"label": "out"}]}
        return {"named_endpoints": {"/count": endpoint}, "unnamed_endpoints": {}}

    def phase(self, method: str, path: str) -> str | None:
        """Return the phase of a request, or None if this version has no such path."""
        if path in ("/config", "/config/"):
            return "config"
        if (method, path) == ("POST", "/login"):
            return "login"
        if not path.startswith(self.prefix + "/"):
            return None
        return self._phase(method, path.removeprefix(self.prefix))

    def _phase(self, method: str, path: str) -> str | None:
        known = _PATHS[self.kind].get((method, path))
        if known is not None or self.kind == "chat":
            return known
        if self.kind == "call" and path.startswith("/call/"):
            return "join" if method == "POST" else "stream"
        if method == "GET":
            return next((phase for start, phase in _PLACES.items() if path.startswith(start)), None)
        return {"/upload": "upload", "/cancel": "cancel", "/reset": "cancel"}.get(path)

    def join_reply(self) -> Any:
        """Return the reply to a join."""
        if self.kind == "chat":
            message = {"role": "assistant", "content": VALUE[0]}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return {"id": EVENT_ID, "object": "chat.completion", "choices": [choice]}
        return {"hash": EVENT_ID, "queue_position": 0} if self.kind == "polling" else {"event_id": EVENT_ID}

    def text(self, message: Mapping[str, Any]) -> str:
        """Return the JSON of a message as this protocol writes it, without framing."""
        if self.kind == "chat":
            return json.dumps({"id": EVENT_ID, "object": "chat.completion.chunk", **message})
        return json.dumps({"event_id": EVENT_ID, **message} if self.kind == "shared" else dict(message))

    def frame(self, text: str, name: str = "") -> bytes:
        """Return a message as part of an event stream."""
        head = f"event: {name}\n" if name else ""
        return f"{head}data: {text}\n\n".encode("utf-8", "surrogateescape")

    @property
    def proper_script(self) -> tuple[str, ...]:
        """The messages of a successful call."""
        return ("start", "first", "done", "over") if self.kind == "chat" else HAPPY

    def named_message(self, name: str, output: str | None = None) -> tuple[str, str]:
        """Return a message that a script names as (name of its event, text); see `message`."""
        if self.kind != "chat":
            return self.message(MESSAGES[name], output)
        return "", "[DONE]" if name == "over" else self.text(CHUNKS[name])

    def message(self, message: Mapping[str, Any], output: str | None = None) -> tuple[str, str]:
        """Return a message as (name of its event, text); ``output`` replaces the outputs by other JSON."""
        if self.kind == "call":
            return _call_message(message, output)
        if output is None:
            return "", self.text(message)
        mark = "@output@"
        return "", self.text({**message, "output": mark}).replace(json.dumps(mark), output)


MODEL = "parrot"
"""The model of a chat endpoint."""

FILE_PHASES = ("download", "read")
"""Two ways to fetch a file: into a directory, and into memory."""

_PLACES = {"/info": "info", "/file": "download", "/heartbeat/": "heartbeat"}

_PHASES = {
    "shared": ("join", "stream", "cancel"),
    "own": ("data", "stream"),
    "websocket": ("join", "stream"),
    "direct": ("join",),
    "polling": ("join", "stream"),
    "call": ("join", "stream", "cancel"),
    "chat": ("join", "stream"),
}

_PATHS: Mapping[str, Mapping[tuple[str, str], str]] = {
    "shared": {("POST", "/queue/join"): "join", ("GET", "/queue/data"): "stream"},
    "own": {("GET", "/queue/join"): "stream", ("POST", "/queue/data"): "data"},
    "websocket": {("GET", "/queue/join"): "join"},
    "direct": {("POST", "/api/predict/"): "join", ("POST", "/run/count"): "join"},
    "polling": {("POST", "/api/queue/push/"): "join", ("POST", "/api/queue/status/"): "stream"},
    "call": {},
    "chat": {("GET", "/models"): "config", ("POST", "/chat/completions"): "join"},
}


def _call_message(message: Mapping[str, Any], output: str | None) -> tuple[str, str]:
    kind, body = message["msg"], message.get("output")
    if kind == "heartbeat":
        return "heartbeat", "null"
    if kind == "process_generating":
        return "generating", json.dumps(body["data"] if isinstance(body, dict) and "data" in body else body)
    if kind != "process_completed":
        return str(kind), json.dumps(dict(message))
    if output is None:
        good = message.get("success") is not False and isinstance(body, dict) and "data" in body
        return ("complete", json.dumps((body or {})["data"])) if good else ("error", json.dumps(body))
    try:
        inner = json.loads(output)
    except (ValueError, RecursionError):
        return "complete", output
    if isinstance(inner, dict) and "data" in inner:
        return "complete", json.dumps(inner["data"])
    return ("error" if isinstance(inner, dict) and "error" in inner else "complete"), output


PROTOCOLS: Mapping[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol(
            name="sse_v3", adapter="sse_v3", version="6.31.0", kind="shared", says="sse_v3",
            prefix="/gradio_api", besides=("upload", "download", "read", "login", "heartbeat"),
        ),
        Protocol(name="sse_v2.1", adapter="sse_v2.1", version="4.21.0", kind="shared", says="sse_v2.1"),
        Protocol(name="sse_v2", adapter="sse_v2", version="4.19.2", kind="shared", says="sse_v2"),
        Protocol(name="sse_v1", adapter="sse_v1", version="4.11.0", kind="shared", says="sse_v1"),
        Protocol(
            name="sse", adapter="sse", version="4.8.0", kind="own", says="sse",
            besides=("upload", "download"),
        ),
        Protocol(name="websocket A", adapter="websocket", version="3.1.6", kind="websocket"),
        Protocol(name="websocket B", adapter="websocket", version="3.4.1", kind="websocket"),
        Protocol(
            name="websocket C", adapter="websocket", version="3.50.2", kind="websocket",
            besides=("upload", "download", "login"),
        ),
        Protocol(name="polling", adapter="polling", version="3.1.4", kind="polling"),
        Protocol(
            name="direct 2.x", adapter="direct", version="2.9.4", kind="direct", queue=False,
            besides=("login",),
        ),
        Protocol(
            name="Flask", adapter="direct", version="2.3.6", kind="direct", queue=False, besides=("login",),
            alone=True,
        ),
        Protocol(
            name="direct", adapter="direct", version="6.31.0", kind="direct", says="sse_v3",
            prefix="/gradio_api", queue=False,
        ),
        Protocol(
            name="call", adapter="call", version="6.31.0", kind="call", says="sse_v3", prefix="/gradio_api",
            besides=("heartbeat",),
        ),
        Protocol(
            name="call_v2", adapter="call_v2", version="6.31.0", kind="call", says="sse_v3",
            prefix="/gradio_api",
        ),
        Protocol(name="openai_chat", adapter="openai_chat", version="0", kind="chat", prefix="/v1"),
        Protocol(
            name="chat in one piece", adapter="openai_chat", version="0", kind="chat", prefix="/v1",
            besides=("join",), alone=True, settings={"streaming": False},
        ),
    )
}  # fmt: skip
"""Every protocol of the bench by its name."""

__all__ = [
    "COOKIE", "EVENT_ID", "FILE_PHASES", "GIVEN_NAME", "HAPPY", "MADE_NAME", "MESSAGES", "PASSWORD",
    "PROTOCOLS", "Protocol", "USER", "VALUE",
]  # fmt: skip
