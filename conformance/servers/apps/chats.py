# SPDX-License-Identifier: Apache-2.0
"""`gr.ChatInterface` as Spaces use it: plain, streaming with additional inputs, and with files."""

import inspect
import time
from collections.abc import Iterator
from typing import Any

import gradio as gr

from . import functions
from .endpoints import Endpoints
from .versions import between, since


def add_chat_interfaces(endpoints: Endpoints) -> None:
    if not since("3.37"):
        return
    _add("chat_interface", endpoints, chat=_answer)
    inputs = [gr.Textbox(value="Dr.", label="title"), gr.Slider(1, 9, value=3, step=1, label="words")]
    _add("chat_interface_streaming", endpoints, chat=_words, additional_inputs=inputs)
    # Its first releases do not pass the files of a caller on.
    if since("4.37") and "multimodal" in inspect.signature(gr.ChatInterface.__init__).parameters:
        _add("chat_interface_files", endpoints, chat=_count_files, multimodal=True)


def _add(name: str, endpoints: Endpoints, *, chat: Any, **options: Any) -> None:
    """One chat interface; its endpoint is called `chat` on all versions, made unique with a number."""
    if between("5.0", "6.0"):
        options["type"] = "messages"
    # From 6.0 on, the endpoint has the name of the function.
    chat.__name__ = "chat"
    gr.ChatInterface(chat, **options)
    taken = sum(scenario.get("adopted", "").startswith("chat") for scenario in endpoints.scenarios.values())
    endpoints.adopt(name, f"chat_{taken}" if taken else "chat")


def _turn(history: list) -> int:
    """The number of this turn: the history is pairs up to 4.x, and messages from 5.0 on."""
    if not history or not isinstance(history[0], dict):
        return len(history) + 1
    return sum(message["role"] == "user" for message in history) + 1


def _answer(message: str, history: list) -> str:
    return f"turn {_turn(history)}: {message}"


def _words(message: str, history: list, title: str, words: float) -> Iterator[str]:
    for count in range(1, int(words) + 1):
        time.sleep(functions.STEP_SECONDS)
        yield f"{title} {message}" + "!" * count


def _count_files(message: Any, history: list) -> str:
    sizes = []
    for file in message["files"]:
        with open(file if isinstance(file, str) else file["path"], "rb") as opened:
            sizes.append(len(opened.read()))
    return f"{message['text']}: {sizes}"
