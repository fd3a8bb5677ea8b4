# SPDX-License-Identifier: Apache-2.0
"""Endpoints with more than a payload: requests, events of the page, toasts, streams, renders."""

from typing import Any, Callable

import gradio as gr

from . import functions
from .endpoints import Endpoints
from .versions import between, since

ECHOED_HEADERS = ("user-agent", "x-canonical", "x-gradio-user")


def add_log(endpoints: Endpoints) -> None:
    if not since("3.36"):
        return

    def log(text: str) -> str:
        gr.Info(f"canonical info: {text}")
        gr.Warning(f"canonical warning: {text}")
        if hasattr(gr, "Success"):
            gr.Success(f"canonical success: {text}")
        return text

    endpoints.bind("log", log, [gr.Textbox(label="text")], [gr.Textbox(label="same")])


def header(request: Any, name: str) -> Any:
    """One header of a `gr.Request`: they are a mapping or, through the websocket, an object's attributes."""
    headers = request.headers
    getter = getattr(headers, "get", None)
    if callable(getter):
        return getter(name)
    return vars(headers).get(name)


def _query(request: Any) -> dict[str, str]:
    try:
        return {str(name): str(value) for name, value in dict(request.query_params).items()}
    except TypeError:
        return {str(name): str(value) for name, value in vars(request.query_params).items()}


def add_request(endpoints: Endpoints) -> None:
    if not since("3.16"):
        return

    def echo_request(request: gr.Request) -> dict[str, Any]:
        return {
            "headers": {name: header(request, name) for name in ECHOED_HEADERS},
            "query": _query(request),
            "session_hash": getattr(request, "session_hash", None),
            "username": getattr(request, "username", None),
        }

    endpoints.bind("echo_request", echo_request, [], [gr.JSON(label="request")])


def add_event_data(endpoints: Endpoints) -> None:
    """One handler for each kind of event data there is; each returns the fields it got."""
    if hasattr(gr, "SelectData"):
        _add_select(endpoints)
    if hasattr(gr, "LikeData"):
        _add_like(endpoints)
    if hasattr(gr, "KeyUpData"):
        _add_key_up(endpoints)
    if hasattr(gr, "DeletedFileData"):
        _add_delete(endpoints)
    if hasattr(gr, "DownloadData"):
        _add_download(endpoints)
    conversation = _conversation()
    if hasattr(gr, "RetryData"):
        _add_second_thoughts(endpoints, conversation)
    if hasattr(gr, "CopyData"):
        _add_copy(endpoints, conversation)
    if hasattr(gr, "EditData"):
        _add_edit(endpoints, conversation)


def _hear(endpoints: Endpoints, name: str, listener: Callable, function: Callable) -> None:
    endpoints.listen(name, listener, function, [], [gr.JSON(label="event")])


def _fields(event: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(event, name, None) for name in names}


def _conversation() -> Any:
    return gr.Chatbot(type="messages") if between("5.0", "6.0") else gr.Chatbot()


def _add_select(endpoints: Endpoints) -> None:
    def on_select(event: gr.SelectData) -> dict[str, Any]:
        return _fields(event, "index", "value", "selected")

    _hear(endpoints, "on_select", gr.Textbox(label="selectable").select, on_select)


def _add_like(endpoints: Endpoints) -> None:
    def on_like(event: gr.LikeData) -> dict[str, Any]:
        return _fields(event, "index", "value", "liked")

    _hear(endpoints, "on_like", _conversation().like, on_like)


def _add_key_up(endpoints: Endpoints) -> None:
    def on_key_up(event: gr.KeyUpData) -> dict[str, Any]:
        return _fields(event, "key", "input_value")

    _hear(endpoints, "on_key_up", gr.Dropdown(["one", "two"], label="typed").key_up, on_key_up)


def _add_delete(endpoints: Endpoints) -> None:
    def on_delete(event: gr.DeletedFileData) -> dict[str, Any]:
        return {"orig_name": event.file.orig_name}

    _hear(endpoints, "on_delete", gr.File(label="deletable").delete, on_delete)


def _add_download(endpoints: Endpoints) -> None:
    def on_download(event: gr.DownloadData) -> dict[str, Any]:
        return {"orig_name": event.file.orig_name}

    _hear(endpoints, "on_download", gr.File(label="downloadable").download, on_download)


def _add_second_thoughts(endpoints: Endpoints, conversation: Any) -> None:
    def on_retry(event: gr.RetryData) -> dict[str, Any]:
        return _fields(event, "index", "value")

    def on_undo(event: gr.UndoData) -> dict[str, Any]:
        return _fields(event, "index", "value")

    _hear(endpoints, "on_retry", conversation.retry, on_retry)
    _hear(endpoints, "on_undo", conversation.undo, on_undo)


def _add_copy(endpoints: Endpoints, conversation: Any) -> None:
    def on_copy(event: gr.CopyData) -> dict[str, Any]:
        return _fields(event, "value")

    _hear(endpoints, "on_copy", conversation.copy, on_copy)


def _add_edit(endpoints: Endpoints, conversation: Any) -> None:
    def on_edit(event: gr.EditData) -> dict[str, Any]:
        return _fields(event, "index", "previous_value", "value")

    _hear(endpoints, "on_edit", conversation.edit, on_edit)


def add_validate(endpoints: Endpoints) -> None:
    if not since("5.45"):
        return

    def long_enough(text: str) -> Any:
        return gr.validate(len(text) >= 5, f"too short: {text}")

    inputs, outputs = [gr.Textbox(label="text")], [gr.Textbox(label="greeting")]
    endpoints.bind("validate", functions.hello, inputs, outputs, validator=long_enough)


def add_cached(endpoints: Endpoints) -> None:
    """A function and a generator whose second call with the same input is answered inside the join."""
    if not hasattr(gr, "cache"):
        return
    inputs = [gr.Number(label="seconds")]
    endpoints.bind("cached", gr.cache(functions.slow), inputs, [gr.Textbox(label="slept")])
    inputs = [gr.Number(label="n")]
    endpoints.bind("cached_count", gr.cache(functions.count), inputs, [gr.Textbox(label="numbers")])


def add_streaming_input(endpoints: Endpoints) -> None:
    """A `.stream()` listener with text as input: the content does not matter for the protocol."""
    if not since("5.0"):
        return

    def stream_input(chunk: str) -> str:
        return f"chunk {chunk}"

    camera = gr.Image(label="camera", sources=["webcam"], streaming=True)
    inputs, outputs = [gr.Textbox(label="chunk")], [gr.Textbox(label="heard")]
    limits = {"stream_every": 0.1, "time_limit": 10}
    endpoints.listen("stream_input", camera.stream, stream_input, inputs, outputs, **limits)


def add_render(endpoints: Endpoints) -> None:
    """An event that makes new components and endpoints, which exist for the calling session only."""
    # The first releases with gr.render, seen on 4.31.5, refuse listeners inside of it.
    if not since("4.36"):
        return
    number = gr.Number(label="n")
    trigger = gr.Button("render")

    @gr.render(inputs=[number], triggers=[trigger.click])
    def render(n: float) -> None:
        for position in range(int(n)):
            text, greeting = gr.Textbox(label=f"name {position}"), gr.Textbox(label=f"greeting {position}")
            button = gr.Button(f"rendered {position}")
            button.click(functions.hello, [text], [greeting], api_name=f"rendered_{position}")

    endpoints.claim("render")
