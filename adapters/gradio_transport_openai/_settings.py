# SPDX-License-Identifier: Apache-2.0
"""The settings of a chat endpoint, as keywords of `connect`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import attrs

from gradio_transport.adapter import AppConfig, LocalProtocolError, Phase, did_you_mean

NAMES = ("model", "system_message", "streaming", "file_types")

TEXT, IMAGE = "text_encoded", "image"
"""The kinds of files in ``gr.load_chat``."""


@attrs.frozen(kw_only=True)
class ChatSettings:
    """The settings of calls.

    Attributes:
        model: Its id on the server; ``""`` until the discovery has found the only one.
        system_message: The start of the conversation.
        streaming: Whether the answer is streamed.
        file_types: The allowed files: ``"text_encoded"``, ``"image"``, extensions such as ``".md"``,
            media types such as ``"image/png"``.
    """

    model: str = ""
    system_message: str | None = None
    streaming: bool = True
    file_types: tuple[str, ...] = (TEXT,)


def settings_of(config: AppConfig) -> ChatSettings | None:
    """Return the settings that the discovery stored in a config; None for another discovery."""
    return config.settings if isinstance(config.settings, ChatSettings) else None


def read_settings(given: Mapping[str, Any]) -> ChatSettings:
    """Return the checked keywords of a caller.

    Raises:
        LocalProtocolError: One of them has an invalid value.
    """
    model, system = given.get("model"), given.get("system_message")
    streaming = given.get("streaming", True)
    if model is not None and not (isinstance(model, str) and model.strip()):
        raise _setting_error(
            "model", model, "the id of a model, such as 'llama3.2', or None for the only one"
        )
    if system is not None and not isinstance(system, str):
        raise _setting_error("system_message", system, "a string or None")
    if not isinstance(streaming, bool):
        raise _setting_error("streaming", streaming, "True or False")
    return ChatSettings(
        model=model or "",
        system_message=system,
        streaming=streaming,
        file_types=_file_types(given.get("file_types", TEXT)),
    )


def _file_types(given: Any) -> tuple[str, ...]:
    kinds = (given,) if isinstance(given, str) else () if given is None else given
    if not isinstance(kinds, list | tuple):
        raise _setting_error(
            "file_types", given, "'text_encoded', 'image', a list of types, or None for no files"
        )
    for kind in cast("list[Any]", kinds):
        if not isinstance(kind, str) or not (kind in (TEXT, IMAGE) or kind.startswith(".") or "/" in kind):
            hint = did_you_mean(str(kind), (TEXT, IMAGE))
            raise _setting_error("file_types", kind, "'text_encoded', 'image', '.md' or 'image/png'", hint)
    return tuple(kind.lower() for kind in cast("list[str]", kinds))


def _setting_error(name: str, value: Any, wanted: str, hint: str = "") -> LocalProtocolError:
    return LocalProtocolError(f"{name}={value!r} is not valid; pass {wanted}.{hint}", phase=Phase.DISCOVER)
