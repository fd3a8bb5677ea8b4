# SPDX-License-Identifier: Apache-2.0
"""A growing chat completion: chunks are added, and the result looks as if it had not been streamed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from gradio_transport.adapter import AppError, Event, Log, Phase, ProcessCompleted

_GROWING = ("refusal", "reasoning", "reasoning_content")
"""Texts besides ``content`` that arrive in pieces; the last two are not in the reference, but common."""

_REMARKS: Mapping[str, str] = {
    "length": "The answer is cut off: it reached the limit of tokens.",
    "content_filter": "The server's content filter held back some of the answer.",
}


class Answer:
    """The first choice. Requests ask for only one, and others are ignored.

    Attributes:
        text: The text so far.
        begun: Whether a chunk has arrived.
    """

    def __init__(self) -> None:
        self.text = ""
        self.begun = False
        self._top: dict[str, Any] = {}
        self._choice: dict[str, Any] = {"index": 0}
        self._message: dict[str, Any] = {"role": "assistant"}
        self._calls: dict[int, dict[str, Any]] = {}

    @property
    def id(self) -> str | None:
        """The server's id of it."""
        name = self._top.get("id")
        return name if isinstance(name, str) and name else None

    @property
    def finished(self) -> bool:
        """Whether the model has sent a finish reason; later chunks are not part of the answer."""
        return self._choice.get("finish_reason") is not None

    def add(self, chunk: Mapping[str, Any]) -> tuple[str, ...]:
        """Add a chunk, and return the names of its new fields, except roles and nulls.

        Raises:
            ValueError: It is not a chunk of a chat completion.
        """
        self.begun = True
        self._top |= {key: value for key, value in chunk.items() if key != "choices" and value is not None}
        choice = _first_choice(chunk)
        self._choice |= {key: value for key, value in choice.items() if key != "delta" and value is not None}
        delta: Any = choice.get("delta") or {}
        if not isinstance(delta, dict):
            raise ValueError("a delta that is not an object")
        news = {
            key: value for key, value in cast("dict[str, Any]", delta).items() if value not in (None, "", [])
        }
        for key, value in news.items():
            self._merge_delta(key, value)
        return tuple(key for key in news if key != "role")

    def take(self, reply: Mapping[str, Any]) -> None:
        """Process a full completion.

        Raises:
            ValueError: It is not a completion.
        """
        choice = _first_choice(reply)
        message = choice.get("message")
        if not isinstance(message, dict):
            raise ValueError("no choice with a message")
        self._top = dict(reply)
        self._choice = dict(choice)
        self._message = cast("dict[str, Any]", message)
        self.text = _text(self._message.get("content"))

    def _merge_delta(self, key: str, value: Any) -> None:
        if key == "content":
            self.text += _text(value)
        elif key == "tool_calls":
            self._add_calls(value)
        elif key in _GROWING and isinstance(value, str):
            self._message[key] = _append_text(self._message.get(key), value)
        else:
            self._message[key] = value

    def _add_calls(self, pieces: Any) -> None:
        """Join tool calls: each piece names its call by ``index``, and adds to the arguments."""
        if not isinstance(pieces, list):
            raise ValueError("tool_calls that are not a list")
        for place, piece in enumerate(cast("list[Any]", pieces)):
            if not isinstance(piece, dict):
                raise ValueError("a tool call that is not an object")
            part = cast("dict[str, Any]", piece)
            index = part.get("index", place)
            call = self._calls.setdefault(index if isinstance(index, int) else place, {})
            function = part.get("function")
            call |= {key: value for key, value in part.items() if key not in ("index", "function")}
            if isinstance(function, dict):
                _add_function(call.setdefault("function", {}), cast("dict[str, Any]", function))

    @property
    def raw(self) -> dict[str, Any]:
        """The full completion, including ``usage``."""
        message = dict(self._message)
        message.setdefault("content", self.text)
        if self._calls:
            message["tool_calls"] = list(self._calls.values())
        kind = str(self._top.get("object", "chat.completion")).removesuffix(".chunk")
        return {**self._top, "object": kind, "choices": [{**self._choice, "message": message}]}

    def end_events(self) -> list[Event]:
        """Return the end of the call, after warnings about what its text does not show."""
        raw = self.raw
        remarks, text = _warnings_of(raw), self.text
        refusal = raw["choices"][0]["message"].get("refusal")
        if not text and isinstance(refusal, str):
            text = refusal
        if not text and remarks and raw["choices"][0].get("finish_reason") != "length":
            error = AppError(f"The model answered without text. {' '.join(remarks)}", phase=Phase.COMPLETE)
            return [ProcessCompleted(event_id=self.id, raw=raw, success=False, error=error)]
        logs = [Log(event_id=self.id, raw=raw, message=remark, level="warning") for remark in remarks]
        return [*logs, ProcessCompleted(event_id=self.id, raw=raw, data=[text])]


def _first_choice(completion: Mapping[str, Any]) -> dict[str, Any]:
    """Return the first choice, or an empty one if there is none, as in the chunk with the usage."""
    choices = completion.get("choices")
    if choices is None or choices == []:
        return {}
    if not isinstance(choices, list):
        raise ValueError("choices that are not a list")
    found = [
        cast("dict[str, Any]", choice) for choice in cast("list[Any]", choices) if isinstance(choice, dict)
    ]
    if not found:
        raise ValueError("a choice that is not an object")
    first = [choice for choice in found if choice.get("index") in (0, None)]
    return first[0] if first else {}


def _text(content: Any) -> str:
    """Return the text of a content, which may be a list of parts."""
    if isinstance(content, str):
        return content
    parts = cast("list[Any]", content) if isinstance(content, list) else []
    objects = [cast("dict[str, Any]", part) for part in parts if isinstance(part, dict)]
    texts = [part.get("text") for part in objects if part.get("type") == "text"]
    return "".join(text for text in texts if isinstance(text, str))


def _append_text(text: Any, piece: str) -> str:
    """Return a text with one more piece. A value that is not a string is replaced."""
    return text + piece if isinstance(text, str) else piece


def _add_function(whole: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        if key == "arguments" and isinstance(value, str):
            whole[key] = _append_text(whole.get(key), value)
        elif value is not None:
            whole[key] = value


def _warnings_of(completion: Mapping[str, Any]) -> Sequence[str]:
    """Return warnings that the text alone does not show."""
    choice = completion["choices"][0]
    message = choice["message"]
    remarks: list[str] = []
    if isinstance(message.get("refusal"), str) and message["refusal"]:
        remarks.append("The model refused to answer.")
    if message.get("tool_calls") or message.get("function_call"):
        remarks.append(
            f"The model asks for tools ({', '.join(_tool_names(message))}), which are not run here. The "
            "calls are in the event's raw."
        )
    remarks += [remark for reason, remark in _REMARKS.items() if choice.get("finish_reason") == reason]
    return remarks


def _tool_names(message: Mapping[str, Any]) -> list[str]:
    calls = message.get("tool_calls")
    listed = cast("list[Any]", calls) if isinstance(calls, list) else []
    functions: list[Any] = [
        cast("dict[str, Any]", call).get("function") for call in listed if isinstance(call, dict)
    ]
    functions.append(message.get("function_call"))
    found = [cast("dict[str, Any]", function) for function in functions if isinstance(function, dict)]
    return [str(function.get("name") or "unnamed") for function in found] or ["unnamed"]
