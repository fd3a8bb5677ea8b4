# SPDX-License-Identifier: Apache-2.0
"""The happy course of every protocol, which faults then spoil: where requests go, and what is said.

All of them serve one function, number 0 and named ``count``, that yields ``"0"`` and ends with ``"0 1"``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

VALUE = ["0 1"]
"""What the call returns when all goes well."""

EVENT_ID = "e1"
"""The server's name for the call."""

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


@attrs.frozen(kw_only=True)
class Protocol:
    """One protocol of the bench, as one Gradio version speaks it.

    Attributes:
        name: Its name in the bench.
        adapter: What a client writes to get it; None means that it must be chosen without being told.
        version: The Gradio version that is played.
        kind: The shape: ``shared`` (sse_v1 to v3), ``own`` (sse v0), ``websocket``, ``direct``, ``polling``
            or ``call``.
        says: What the config names as its protocol.
        prefix: Where the API is.
        queue: Whether the function goes through the queue.
    """

    name: str
    adapter: str
    version: str
    kind: str
    says: str | None = None
    prefix: str = ""
    queue: bool = True

    @property
    def phases(self) -> tuple[str, ...]:
        """Where faults can strike, in the order of a call."""
        info = ("info",) if self.at_least(3, 26) else ()
        return ("config", *info, *_PHASES[self.kind])

    def at_least(self, *release: int) -> bool:
        """Return whether the version is that or later."""
        return tuple(int(part) for part in self.version.split(".")) >= release

    @property
    def diffs(self) -> bool:
        """Whether later frames of a generator are edits."""
        return self.kind == "shared" and self.at_least(4, 17)

    def config(self) -> dict[str, Any]:
        """Return what ``/config`` says."""
        if not self.at_least(3, 0):
            box = {"name": "textbox", "label": "text"}
            return {
                "version": self.version,
                "input_components": [box],
                "output_components": [box],
                "queue": self.queue,
                "allow_flagging": "never",
            }
        components: list[Any] = [{"id": number, "type": "textbox", "props": {}} for number in (1, 2)]
        dependency = {"id": 0, "api_name": "count", "inputs": [1], "outputs": [2], "queue": self.queue}
        dependency |= {"backend_fn": True, "types": {"generator": self.kind != "direct"}}
        config: dict[str, Any] = {"version": self.version, "enable_queue": True, "components": components}
        config["dependencies"] = [dependency]
        return config | ({"protocol": self.says, "api_prefix": self.prefix} if self.says else {})

    def info(self) -> dict[str, Any]:
        """Return what ``/info`` says."""
        parameter = {"parameter_name": "text", "label": "text", "type": {"type": "string"}}
        endpoint = {"parameters": [parameter], "returns": [{"label": "out"}]}
        return {"named_endpoints": {"/count": endpoint}, "unnamed_endpoints": {}}

    def phase(self, method: str, path: str) -> str | None:
        """Return what a request is for, or None where this version has no such path."""
        if path in ("/config", "/config/"):
            return "config"
        if not path.startswith(self.prefix + "/"):
            return None
        return self._phase(method, path.removeprefix(self.prefix))

    def _phase(self, method: str, path: str) -> str | None:
        known = _PATHS[self.kind].get((method, path))
        if known is None and path == "/info":
            return "info"
        if known is None and path in ("/cancel", "/reset"):
            return "cancel"
        if known is None and self.kind == "call" and path.startswith("/call/"):
            return "join" if method == "POST" else "stream"
        return known

    def accepted(self) -> Any:
        """Return the reply to a join."""
        return {"hash": EVENT_ID, "queue_position": 0} if self.kind == "polling" else {"event_id": EVENT_ID}

    def text(self, message: Mapping[str, Any]) -> str:
        """Return the JSON of a message as this protocol writes it, without framing."""
        return json.dumps({"event_id": EVENT_ID, **message} if self.kind == "shared" else dict(message))

    def frame(self, text: str, name: str = "") -> bytes:
        """Return a message as part of an event stream."""
        head = f"event: {name}\n" if name else ""
        return f"{head}data: {text}\n\n".encode("utf-8", "surrogateescape")

    def told(self, message: Mapping[str, Any], output: str | None = None) -> tuple[str, str]:
        """Return a message as (name of its event, text); ``output`` replaces the outputs by other JSON."""
        if self.kind == "call":
            return _of_call(message, output)
        if output is None:
            return "", self.text(message)
        mark = "@output@"
        return "", self.text({**message, "output": mark}).replace(json.dumps(mark), output)


_PHASES = {
    "shared": ("join", "stream", "cancel"),
    "own": ("data", "stream"),
    "websocket": ("join", "stream"),
    "direct": ("join",),
    "polling": ("join", "stream"),
    "call": ("join", "stream", "cancel"),
}

_PATHS: Mapping[str, Mapping[tuple[str, str], str]] = {
    "shared": {("POST", "/queue/join"): "join", ("GET", "/queue/data"): "stream"},
    "own": {("GET", "/queue/join"): "stream", ("POST", "/queue/data"): "data"},
    "websocket": {("GET", "/queue/join"): "join"},
    "direct": {("POST", "/api/predict/"): "join", ("POST", "/run/count"): "join"},
    "polling": {("POST", "/api/queue/push/"): "join", ("POST", "/api/queue/status/"): "stream"},
    "call": {},
}


def _of_call(message: Mapping[str, Any], output: str | None) -> tuple[str, str]:
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
    one.name: one
    for one in (
        Protocol(
            name="sse_v3", adapter="sse_v3", version="6.31.0", kind="shared", says="sse_v3",
            prefix="/gradio_api",
        ),
        Protocol(name="sse_v2.1", adapter="sse_v2.1", version="4.21.0", kind="shared", says="sse_v2.1"),
        Protocol(name="sse_v2", adapter="sse_v2", version="4.19.2", kind="shared", says="sse_v2"),
        Protocol(name="sse_v1", adapter="sse_v1", version="4.11.0", kind="shared", says="sse_v1"),
        Protocol(name="sse", adapter="sse", version="4.8.0", kind="own", says="sse"),
        Protocol(name="websocket A", adapter="websocket", version="3.1.6", kind="websocket"),
        Protocol(name="websocket B", adapter="websocket", version="3.4.1", kind="websocket"),
        Protocol(name="websocket C", adapter="websocket", version="3.50.2", kind="websocket"),
        Protocol(name="polling", adapter="polling", version="3.1.4", kind="polling"),
        Protocol(name="direct 2.x", adapter="direct", version="2.9.4", kind="direct", queue=False),
        Protocol(
            name="direct", adapter="direct", version="6.31.0", kind="direct", says="sse_v3",
            prefix="/gradio_api", queue=False,
        ),
        Protocol(
            name="call", adapter="call", version="6.31.0", kind="call", says="sse_v3", prefix="/gradio_api"
        ),
        Protocol(
            name="call_v2", adapter="call_v2", version="6.31.0", kind="call", says="sse_v3",
            prefix="/gradio_api",
        ),
    )
}  # fmt: skip
"""Every protocol of the bench by its name."""

__all__ = ["EVENT_ID", "HAPPY", "MESSAGES", "PROTOCOLS", "VALUE", "Protocol"]
