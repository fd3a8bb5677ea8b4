# SPDX-License-Identifier: Apache-2.0
"""Endpoints that answer more than once: growing texts and values, progress, failures midway, cancelling."""

import time
from collections.abc import Iterator
from typing import Any

import gradio as gr
import pandas as pd

from . import functions
from .endpoints import Endpoints
from .versions import between, since

TURN_WORDS = 3


def add_count(endpoints: Endpoints) -> None:
    if since("3.3"):
        endpoints.bind("count", functions.count, [gr.Number(label="n")], [gr.Textbox(label="numbers")])


def add_generators(endpoints: Endpoints) -> None:
    """All generators. There are none before 3.3."""
    if not since("3.3"):
        return
    add_count(endpoints)
    _add_chat(endpoints)
    _add_shrink(endpoints)
    add_late_errors(endpoints)
    _add_progress(endpoints)
    _add_forever(endpoints)


def _chatbot(label: str) -> Any:
    return gr.Chatbot(label=label, type="messages") if between("5.0", "6.0") else gr.Chatbot(label=label)


def chat_value(turns: list[tuple[str, str]]) -> list:
    """A chatbot's value: messages with a role since 5.0, pairs before."""
    if not since("5.0"):
        return [list(turn) for turn in turns]
    roles = ("user", "assistant")
    return [{"role": role, "content": text} for turn in turns for role, text in zip(roles, turn)]


def chat_turns(message: str, step: int) -> list[tuple[str, str]]:
    """The conversation after `step` words, a new turn beginning every few of them."""
    turns = []
    for first in range(0, step, TURN_WORDS):
        words = range(first, min(first + TURN_WORDS, step))
        turns.append((message, "said " + " ".join(str(word) for word in words)))
    return turns


def _add_chat(endpoints: Endpoints) -> None:
    def chat(message: str, n: float) -> Iterator[list]:
        for step in range(1, int(n) + 1):
            time.sleep(functions.STEP_SECONDS)
            yield chat_value(chat_turns(message, step))

    inputs = [gr.Textbox(label="message"), gr.Number(label="n")]
    endpoints.bind("chat", chat, inputs, [_chatbot("conversation")])


def table_of(size: int) -> pd.DataFrame:
    """A square table: both its rows and its headers shrink with it, which nests one deletion in another."""
    columns = [f"column {number}" for number in range(size)]
    rows = [[row * 10 + column for column in range(size)] for row in range(size)]
    return pd.DataFrame(rows, columns=columns)


def json_of(size: int) -> dict[str, Any]:
    return {"size": size, "items": list(range(size)), "nested": [{"row": list(range(size))}]}


def _add_shrink(endpoints: Endpoints) -> None:
    def shrink(n: float) -> Iterator[tuple]:
        for size in functions.shrinking_sizes(int(n)):
            time.sleep(functions.STEP_SECONDS)
            conversation = [(f"question {number}", f"answer {number}") for number in range(size)]
            yield json_of(size), chat_value(conversation), table_of(size)

    outputs = [gr.JSON(label="json"), _chatbot("conversation"), gr.Dataframe(label="table")]
    endpoints.bind("shrink", shrink, [gr.Number(label="n")], outputs)


def add_late_errors(endpoints: Endpoints) -> None:
    """Generators that yield twice, then fail: with the app's own error, and with any other."""
    if not since("3.3"):
        return

    def late_error(text: str) -> Iterator[str]:
        for word in ("first", "second"):
            time.sleep(functions.STEP_SECONDS)
            yield f"{word} {text}"
        raise gr.Error(functions.LATE_FAILURE_MESSAGE)

    for name, function in (("late_error", late_error), ("late_crash", functions.late_crash)):
        endpoints.bind(name, function, [gr.Textbox(label="text")], [gr.Textbox(label="words")])


def _add_progress(endpoints: Endpoints) -> None:
    # Gradio 3.x refuses to launch an app with progress and no queue.
    if not since("3.16") or not endpoints.queued:
        return

    def progress(n: float, progress: gr.Progress = gr.Progress()) -> str:  # noqa: B008 - how Gradio asks for it
        steps = int(n)
        progress(0, desc="start")
        for step in range(steps):
            time.sleep(0.1)
            progress((step + 1, steps), desc=f"step {step + 1}")
        time.sleep(0.1)
        return f"{steps} steps"

    endpoints.bind("progress", progress, [gr.Number(label="n")], [gr.Textbox(label="done")])


def _add_forever(endpoints: Endpoints) -> None:
    event = endpoints.bind("forever", functions.forever, [], [gr.Textbox(label="number")])
    # Cancelling came in 3.6, and an app with a canceller and no queue does not launch in 3.x.
    if since("3.6") and endpoints.queued:
        endpoints.bind("cancel_forever", None, None, None, named=False, cancels=[event])
