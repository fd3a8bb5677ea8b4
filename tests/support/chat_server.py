# SPDX-License-Identifier: Apache-2.0
"""An OpenAI-compatible chat endpoint on loopback, as the public API reference describes it.

It repeats what it is told, word by word.  Texts that begin with a slash make it misbehave: see `CHATS`.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from scripted import Reply, Scripted, scripted

TOKEN = "sk-secret"
MODELS = ("parrot", "macaw")


def models(reply: Reply) -> None:
    if not _admitted(reply):
        return
    listed = [{"id": name, "object": "model", "created": 1, "owned_by": "us"} for name in MODELS]
    reply.json({"object": "list", "data": listed})


def chat(reply: Reply) -> None:
    if not _admitted(reply):
        return
    if reply.body["model"] not in MODELS:
        _refuse(reply, 404, "The model does not exist", "model_not_found")
        return
    said = reply.body["messages"][-1]["content"]
    text = said if isinstance(said, str) else said[0]["text"]
    CHATS.get(text, _repeat)(reply, text)


def _admitted(reply: Reply) -> bool:
    if reply.headers.get("authorization") == f"Bearer {TOKEN}":
        return True
    _refuse(reply, 401, "Incorrect API key provided", "invalid_api_key")
    return False


def _refuse(reply: Reply, status: int, message: str, code: str | None, **headers: str) -> None:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    reply.json({"error": error}, status, **headers)


def _repeat(reply: Reply, text: str) -> None:
    usage = {
        "prompt_tokens": 3,
        "completion_tokens": len(text.split()),
        "total_tokens": 3 + len(text.split()),
    }
    if not reply.body["stream"]:
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        reply.json({"id": "chatcmpl-1", "object": "chat.completion", "choices": [choice], "usage": usage})
        return
    reply.stream("text/event-stream; charset=utf-8")
    _say(reply, {"role": "assistant", "content": ""})
    for word in text.split(" "):
        _say(reply, {"content": word if text.startswith(word) else f" {word}"})
    _say(reply, {}, "stop")
    if reply.body.get("stream_options") == {"include_usage": True}:
        _event(reply, {"choices": [], "usage": usage})
    reply.chunk(b"data: [DONE]\n\n")
    reply.end()


def _say(reply: Reply, delta: dict[str, Any], finish: str | None = None) -> None:
    _event(reply, {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]})


def _event(reply: Reply, fields: dict[str, Any], end: bytes = b"\n") -> None:
    """Send one chunk, in two parts of the HTTP body."""
    whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "parrot"} | fields
    data = b"data: " + json.dumps(whole).encode() + end * 2
    reply.chunk(data[: len(data) // 2])
    reply.chunk(data[len(data) // 2 :])


def _crlf(reply: Reply, text: str) -> None:
    """Lines that end in CR LF, comments, an object over several lines, no [DONE]."""
    reply.stream()
    reply.chunk(b": keep-alive\r\n\r\n")
    _event(reply, {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "one"}}]}, b"\r\n")
    reply.chunk(b'data: {"choices":\r\ndata: [{"index": 0, "delta": {"content": " two"}}]}\r\n\r\n')
    _event(reply, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}, b"\r\n")
    reply.end()


def _cut(reply: Reply, text: str) -> None:
    reply.stream()
    _say(reply, {"content": "half of"})
    reply.cut()


def _hold(reply: Reply, text: str) -> None:
    reply.stream()
    _say(reply, {"content": "on and on"})
    reply.hold()


def _break(reply: Reply, text: str) -> None:
    reply.stream()
    _say(reply, {"content": "half of"})
    _event(reply, {"error": {"message": "The server is overloaded", "type": "server_error", "code": None}})
    reply.end()


def _strict(reply: Reply, text: str) -> None:
    """A server of the time before ``stream_options``."""
    if "stream_options" in reply.body:
        _refuse(reply, 400, "Unrecognized request argument supplied: stream_options", None)
    else:
        _repeat(reply, text)


CHATS: dict[str, Callable[[Reply, str], None]] = {
    "/crlf": _crlf,
    "/cut": _cut,
    "/hold": _hold,
    "/break": _break,
    "/strict": _strict,
    "/long": lambda reply, _: _refuse(reply, 400, "Too many tokens", "context_length_exceeded"),
    "/limit": lambda reply, _: _refuse(reply, 429, "Slow down", "rate_limit_exceeded", retry_after="3"),
    "/down": lambda reply, _: reply.text("down", 503),
    "/nonsense": lambda reply, _: (reply.stream(), reply.chunk(b"data: {oh no\n\n"), reply.end())[0],
}


@contextlib.contextmanager
def chat_server() -> Iterator[Scripted]:
    """Run it; the base of the API is ``url`` with ``/v1`` behind it."""
    with scripted() as server:
        server.scripts = {"/v1/models": models, "/v1/chat/completions": chat}
        yield server
