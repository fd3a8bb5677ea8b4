# SPDX-License-Identifier: Apache-2.0
"""Decoding of messages and replies of any version, without their adapters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias, cast

import attrs

from ...errors import GradioTransportError, Phase
from ...events import Cancelled, ProcessCompleted
from ...protocol.commands import Response
from ...protocol.json import decode_json
from ...protocol.messages import decode_completed, decode_output, event_id_of
from ...protocol.refusals import app_error, refusal
from .model import Outcome, Step, decode_body

Version: TypeAlias = tuple[int, ...]
"""The Gradio version of a trace; empty if it is not known."""

_NUMBERS = re.compile(r"\d{1,6}")

_PHASES: Mapping[str, str] = {
    "estimation": "queue",
    "send_data": "queue",
    "process_starts": "run",
    "progress": "run",
    "log": "run",
    "process_generating": "stream",
    "process_streaming": "stream",
}
"""The phase of a call that a message begins, if the call is not further on."""

_KNOWN = frozenset(
    {
        *_PHASES, "send_hash", "queue_full", "process_completed", "close_stream", "server_stopped",
        "unexpected_error",
    }
)  # fmt: skip

_SHOWN_NAME = 100


@attrs.frozen
class End:
    """The end of a call, with the reason."""

    outcome: Outcome
    error: str = ""
    message: str = ""
    phase: str = ""


@attrs.frozen
class Message:
    """A decoded message.

    Attributes:
        name: Its name on the wire.
        event: Its name in sse_v3, or an empty string.
        event_id: The call that it names.
        data: Output values, or edits of them.
        delta: Text that a chat completion grows by.
        end: How it ends the call.
        phase: The phase that it begins.
        text: Text for people, of a log.
        completing: Whether it is the last one if no request follows.
        has_output: Whether it has output values.
    """

    name: str
    event: str = ""
    event_id: str | None = None
    data: list[Any] | None = None
    delta: str | None = None
    end: End | None = None
    phase: str = ""
    text: str = ""
    completing: bool = False
    has_output: bool = False


def version_of(meta: Mapping[str, Any]) -> Version:
    """Return the Gradio version of a trace."""
    text = meta.get("gradio")
    return tuple(int(number) for number in _NUMBERS.findall(text)[:3]) if isinstance(text, str) else ()


def read_event(name: str, text: str, version: Version, *, named: bool) -> Message:
    """Return what an event of a stream or a text of a websocket means.

    Args:
        name: The name of the event.
        text: Its data.
        version: The version of the server.
        named: Whether it came on a channel of its call, where an event without ``msg`` can be one of
            ``/call`` or of a chat completion.
    """
    try:
        value = decode_json(text)
    except ValueError as problem:
        return _not_json(name, text, problem)
    if isinstance(value, dict):
        message = cast("dict[str, Any]", value)
        if "msg" in message or message.get("message") == "Server stopped unexpectedly.":
            return _read_gradio(message, version)
        if named and name == "message" and ("choices" in message or "error" in message):
            return _read_chat(message)
    if named or name != "message":
        return _read_named(name, value, version)
    error = End(Outcome.FAILED, "MalformedMessage", "The stream has an unknown message.", "stream")
    return Message(name, end=None if isinstance(value, dict) else error)


def _not_json(name: str, text: str, error: ValueError) -> Message:
    if not text.strip() or name in ("ping", "heartbeat"):
        return Message(name, "heartbeat")
    if text.strip() == "[DONE]":
        return Message("[DONE]", "process_completed", end=End(Outcome.COMPLETED))
    what = f"A message is not JSON ({error})."
    return Message(name, end=End(Outcome.FAILED, "MalformedMessage", what, "stream"), text=what)


def _read_gradio(message: Mapping[str, Any], version: Version) -> Message:
    """Return the meaning of a message with ``msg``, of 3.1.5 to now."""
    kind = message.get("msg")
    name = str(kind)[:_SHOWN_NAME]
    event_id = event_id_of(message)
    output = message.get("output")
    outputs = cast("dict[str, Any]", output) if isinstance(output, dict) else {}
    data = outputs.get("data")
    event = name if name in _KNOWN else ""
    if name in ("heartbeat", "alive?"):
        event = "heartbeat"
    elif not event and message.get("message") == "Server stopped unexpectedly.":
        event = "unexpected_error"
    return Message(
        name,
        event,
        event_id,
        data=cast("list[Any]", data) if isinstance(data, list) else None,
        end=_gradio_end(event, message, version),
        phase=_PHASES.get(event, ""),
        text=str(message.get("log") or "") if event == "log" else "",
        has_output="output" in message,
    )


def _gradio_end(event: str, message: Mapping[str, Any], version: Version) -> End | None:
    if event == "process_completed":
        cancellable = version >= (4, 31)
        quoted = (3, 1, 7) <= version < (5, 2)
        decoded = decode_completed(message, quoted_errors=quoted, cancellable=cancellable)
        return _completion_end(decoded)
    if event == "queue_full":
        return End(Outcome.FAILED, "QueueFull", "The app's queue is full.", "join")
    if event == "server_stopped":
        return End(Outcome.FAILED, "StreamLost", "The server stopped.", "stream")
    if event == "unexpected_error":
        text = message.get("message")
        text = text if isinstance(text, str) else ""
        missing = message.get("session_not_found") is True or text.startswith("404: ")
        return End(Outcome.FAILED, "SessionNotFound" if missing else "StreamLost", text, "stream")
    return None


def _completion_end(event: object) -> End:
    if isinstance(event, Cancelled):
        return End(Outcome.CANCELLED, message="The server completed the call with an empty output.")
    error = event.error if isinstance(event, ProcessCompleted) else None
    return End(Outcome.COMPLETED) if error is None else _error_end(error)


def _error_end(error: GradioTransportError) -> End:
    phase = error.phase.value if error.phase is not None else ""
    return End(Outcome.FAILED, type(error).__name__, error.message, phase)


def _read_named(name: str, value: Any, version: Version) -> Message:
    """Return the meaning of an event of ``/call``, whose data are the bare values."""
    if name == "heartbeat":
        return Message(name, "heartbeat")
    if name == "generating" and isinstance(value, list):
        return Message(name, "process_generating", data=cast("list[Any]", value), phase="stream")
    if name == "complete" and isinstance(value, list):
        end = End(Outcome.COMPLETED)
        return Message(name, "process_completed", data=cast("list[Any]", value), end=end)
    if name == "complete" and value is None and (not version or version >= (4, 31)):
        return Message(name, "process_completed", end=End(Outcome.CANCELLED))
    if name == "error":
        return Message(name, "process_completed", end=_named_error(value))
    return Message(name[:_SHOWN_NAME])


def _named_error(value: Any) -> End:
    if isinstance(value, str):
        kind = "SessionNotFound" if value.startswith("404: ") else "StreamLost"
        return End(Outcome.FAILED, kind, value, "stream")
    if isinstance(value, dict):
        return _error_end(app_error(cast("dict[str, Any]", value), quoted=False))
    return End(Outcome.FAILED, "AppError", "The app's function raised an error.", "complete")


def _read_chat(message: Mapping[str, Any]) -> Message:
    """Return the meaning of a chunk of a chat completion, or of a whole one."""
    if message.get("error"):
        error = message["error"]
        text = cast("dict[str, Any]", error).get("message") if isinstance(error, dict) else error
        return Message(
            "error", "process_completed", end=End(Outcome.FAILED, "ServerRefused", str(text), "stream")
        )
    texts: list[str] = []
    finished = False
    choices = message.get("choices")
    for choice in cast("list[Any]", choices) if isinstance(choices, list) else []:
        if isinstance(choice, dict):
            one = cast("dict[str, Any]", choice)
            said = one.get("delta", one.get("message"))
            content = cast("dict[str, Any]", said).get("content") if isinstance(said, dict) else None
            texts += [content] if isinstance(content, str) else []
            finished = finished or bool(one.get("finish_reason"))
    text = "".join(texts)
    event = "process_generating" if text else ""
    return Message("chunk", event, delta=text or None, phase="stream", text=text, completing=finished)


def read_reply(channel: str, step: Step, version: Version) -> Iterator[Message]:
    """Yield what a successful whole reply means: of the polling queue, of direct calls, of chats.

    Args:
        channel: Its channel in the call, such as ``"status"``.
        step: The request with its reply.
        version: The version of the server.
    """
    value = decode_body(step.reply_body)
    reply = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    if channel == "push":
        if isinstance(reply.get("queue_position"), int):
            yield Message("queue_position", "estimation", text=_place(reply["queue_position"]))
    elif channel == "status":
        yield from _read_status(reply, version)
    elif step.phase == "complete" or channel == "chat":
        if "choices" in reply:
            chunk = _read_chat(reply)
            yield attrs.evolve(chunk, name="reply", event="process_completed", end=End(Outcome.COMPLETED))
        else:
            yield _read_direct(value, reply)


def _place(rank: Any) -> str:
    """Return a place in the queue for people; 2.3 counts from -1 on an idle queue."""
    return f"place {max(rank, 0) + 1}" if isinstance(rank, int) else ""


def _read_direct(value: Any, reply: Mapping[str, Any]) -> Message:
    if not isinstance(value, dict):
        what = "The reply is not JSON as Gradio writes it."
        return Message(
            "reply", "process_completed", end=End(Outcome.FAILED, "MalformedMessage", what, "complete")
        )
    data = reply.get("data")
    values = cast("list[Any]", data) if isinstance(data, list) else None
    if reply.get("is_generating") is True and values is not None:
        return Message("reply", "process_generating", data=values, phase="stream", completing=True)
    end = _completion_end(decode_output(reply))
    return Message("reply", "process_completed", data=values, end=end)


def _read_status(reply: Mapping[str, Any], version: Version) -> Iterator[Message]:
    status, data = reply.get("status"), reply.get("data")
    name = str(status)[:_SHOWN_NAME]
    if status == "QUEUED":
        yield Message(name, "estimation", phase="queue", text=_place(data))
    elif status == "PENDING":
        yield Message(name, "process_starts", phase="run")
    elif status == "COMPLETE" and isinstance(data, dict):
        output = cast("dict[str, Any]", data)
        values = output.get("data")
        yield Message(
            name,
            "process_completed",
            data=cast("list[Any]", values) if isinstance(values, list) else None,
            end=_completion_end(decode_output(output)),
        )
    elif status == "FAILED" and isinstance(data, str):
        yield Message(name, "process_completed", end=_failed_text(data, version))
    elif status != "NOT FOUND":
        what = "The server sent an unknown status."
        yield Message(name, end=End(Outcome.FAILED, "MalformedMessage", what, "stream"))
    else:
        yield Message(name)


def failure(end: End) -> Message:
    """Return the message of a refusal that carries the error of the app itself."""
    return Message("error", "process_completed", end=end)


def _failed_text(text: str, version: Version) -> End:
    value = decode_body(text)
    if isinstance(value, dict) and "error" in value:
        return _error_end(app_error(cast("dict[str, Any]", value), quoted=(3, 1, 7) <= version < (5, 2)))
    if version < (3, 1, 7):
        return _error_end(app_error({"error": None}, quoted=False))
    return End(Outcome.FAILED, "ServerRefused", f"The queue's own call failed: {text}", "complete")


def refusal_of(step: Step, payload: Mapping[str, Any], *, version: Version = ()) -> End:
    """Return how a call ends whose request was answered with a refusal."""
    body = step.reply_body or b""
    status = step.status or 0
    if status == 500 and step.phase == "complete":
        value = decode_body(body)
        if isinstance(value, dict) and "error" in value:
            quoted = (3, 1, 7) <= version < (5, 2)
            return _error_end(app_error(cast("dict[str, Any]", value), quoted=quoted))
        if version < (3, 1, 7):
            return _error_end(app_error({"error": None}, quoted=False))
    headers = payload.get("headers")
    texts = {str(name).lower(): str(value) for name, value in cast("dict[Any, Any]", headers or {}).items()}
    try:
        phase = Phase(step.phase)
    except ValueError:
        phase = Phase.JOIN
    response = Response(status=status, headers=texts, body=body, url=step.url)
    return _error_end(refusal(response, phase))


__all__ = ["End", "Message", "Version", "failure", "read_event", "read_reply", "refusal_of", "version_of"]
