# SPDX-License-Identifier: Apache-2.0
"""Conversion of a message and a history in Gradio's forms to the ``messages`` of a chat completion.

Gradio has had pairs of user and bot (to 5.x), and messages with a role, whose content is a text, a file, a
component (4.x, 5.x), or a list of parts of these (6.x).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from gradio_transport.adapter import Phase, ValidationFailed, did_you_mean

from ._files import as_image, as_text, content_of, is_allowed
from ._settings import ChatSettings

ROLES = ("user", "assistant", "system", "developer")


def build_messages(
    settings: ChatSettings, message: Any, history: Any, *, placed: bool = True
) -> list[dict[str, Any]]:
    """Return the messages to send: the system message, the history, the new message.

    Args:
        settings: Settings of the endpoint.
        message: The new message.
        history: The earlier messages.
        placed: False for a check before the files of the call are read.

    Raises:
        ValidationFailed: The message names what cannot be sent.
    """
    problems: dict[str, str] = {}
    messages: list[dict[str, Any]] = []
    if settings.system_message is not None:
        messages.append({"role": "system", "content": settings.system_message})
    try:
        messages += _history(settings, history, placed)
    except ValueError as error:
        problems["history"] = str(error)
    try:
        messages.append({"role": "user", "content": _content(settings, message, placed)})
    except ValueError as error:
        problems["message"] = str(error)
    if problems:
        listed = "; ".join(f"{name}: {problem}" for name, problem in problems.items())
        end = "" if listed.endswith("?") else "."
        raise ValidationFailed(
            f"This cannot be sent to a chat: {listed}{end}", problems=problems, phase=Phase.JOIN
        )
    return messages


def _history(settings: ChatSettings, history: Any, placed: bool) -> Iterator[dict[str, Any]]:
    if history is None:
        return
    if not isinstance(history, Sequence) or isinstance(history, str | bytes):
        raise ValueError(f"it must be a list of messages, got {type(history).__name__}")
    for place, entry in enumerate(cast("Sequence[Any]", history)):
        try:
            for role, content in _turns(entry):
                yield {"role": role, "content": _content(settings, content, placed)}
        except ValueError as error:
            raise ValueError(f"entry {place}: {error}") from None


def _turns(entry: Any) -> Iterator[tuple[str, Any]]:
    """Yield role and content of the earlier messages: one for a message, up to two for a pair."""
    if isinstance(entry, list | tuple):
        pair = cast("Sequence[Any]", entry)
        if len(pair) != 2:
            raise ValueError(f"it must be a pair of user and bot, got {len(pair)} values")
        for who, said in zip(ROLES, pair, strict=False):
            if said is not None:
                # In this form a file is a tuple: its path, and optionally an alternative text.
                file = isinstance(said, list | tuple) and cast("Sequence[Any]", said)
                yield who, _Path(file[0]) if file else said
        return
    if isinstance(entry, Mapping):
        message = cast("Mapping[str, Any]", entry)
        role: Any = message.get("role")
        content: Any = message.get("content")
    else:  # such as gr.ChatMessage
        role = getattr(entry, "role", None)
        content = getattr(entry, "content", None)
    if role not in ROLES:
        raise ValueError(
            f"the role {role!r} is not one of {', '.join(ROLES)}.{did_you_mean(str(role), ROLES)}".rstrip(".")
        )
    yield role, content


class _Path:
    """A file with only a path."""

    def __init__(self, path: Any) -> None:
        self.path = path


def _content(settings: ChatSettings, value: Any, placed: bool) -> str | list[dict[str, Any]]:
    """Return the content of one message: text files in its text, images as parts."""
    texts: list[str] = []
    images: list[dict[str, Any]] = []
    for piece in _pieces(value):
        if isinstance(piece, str):
            texts.append(piece)
            continue
        file = content_of(piece, placed=placed)
        if not is_allowed(file, settings.file_types):
            allowed = ", ".join(map(repr, settings.file_types)) or "no files"
            raise ValueError(
                f"the file {file.name!r} ({file.media_type or 'of unknown type'}) is not allowed: "
                f"file_types= allows {allowed}"
            )
        if file.is_image:
            images.append(as_image(file))
        else:
            texts.append(as_text(file))
    text = "\n\n".join(text for text in texts if text)
    if not images:
        return text
    return [{"type": "text", "text": text}, *images] if text else images


def _pieces(value: Any) -> Iterator[Any]:
    """Yield the texts (str) and file values of a message, in order.

    Raises:
        ValueError: It contains another value.
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _parts_of_mapping(cast("Mapping[str, Any]", value))
    elif isinstance(value, list | tuple):
        for part in cast("Sequence[Any]", value):
            yield from _pieces(part)
    elif any(getattr(value, name, None) is not None for name in ("path", "url", "content", "data")):
        yield value
    else:
        raise ValueError(f"it must be a string, or a text with files, got {type(value).__name__}")


def _parts_of_mapping(value: Mapping[str, Any]) -> Iterator[Any]:
    if "component" in value:  # a component of the page, of which those that show a file can be sent
        shown = value.get("value")
        if not isinstance(shown, Mapping) or "path" not in shown:
            raise ValueError(f"a component of type {value['component']!r} cannot be sent to a model")
        yield cast("Mapping[str, Any]", shown)
    elif "file" in value:
        yield value["file"]
    elif "text" in value or "files" in value:
        yield _text(value.get("text"))
        files: Any = value.get("files") or []
        if not isinstance(files, list | tuple):
            raise ValueError(f"files must be a list, got {type(files).__name__}")
        for file in cast("Sequence[Any]", files):
            yield from [_Path(file)] if isinstance(file, str) else _pieces(file)
    elif "path" in value or "data" in value or "url" in value:
        yield value
    else:
        raise ValueError(f"neither text nor file: {', '.join(map(str, value)) or 'an empty mapping'}")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValueError(f"text must be a string, got {type(value).__name__}")
    return value
