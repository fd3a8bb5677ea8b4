# SPDX-License-Identifier: Apache-2.0
"""Features of real Spaces: image tools, examples, downloads, timers, listeners other than a click."""

import inspect
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import gradio as gr

from . import functions
from .endpoints import Endpoints
from .versions import since


def add_listeners(endpoints: Endpoints) -> None:
    """Listeners other than a click: of the page, of a timer, of several components, and without a trigger."""
    load, outputs = endpoints.demo.load, [gr.Textbox(label="loaded")]
    # Early versions of this listener take no name.
    named = "api_name" in inspect.signature(load).parameters
    endpoints.listen("on_load", load, functions.constant, [], outputs, named=named)
    if hasattr(gr, "Timer"):
        _add_timer(endpoints)
    if hasattr(gr, "on"):
        _add_several_triggers(endpoints)
    if hasattr(gr, "api"):
        _add_api(endpoints)
    if since("3.0.13"):
        _add_name_twice(endpoints)


def _add_timer(endpoints: Endpoints) -> None:
    def tick(count: float) -> tuple[float, Any]:
        return count + 1, gr.Timer(active=False)

    timer, count = gr.Timer(3600), gr.Number(label="count", value=0)
    endpoints.listen("timer_tick", timer.tick, tick, [count], [count, timer])


def _add_several_triggers(endpoints: Endpoints) -> None:
    text, button = gr.Textbox(label="name"), gr.Button("several triggers")

    def listener(*arguments: Any, **options: Any) -> Any:
        return gr.on([text.submit, button.click], *arguments, **options)

    endpoints.listen("several_triggers", listener, functions.hello, [text], [gr.Textbox(label="greeting")])


def _add_api(endpoints: Endpoints) -> None:
    """Endpoints without components: their types are those of the function's annotations."""

    def total(numbers: list[float], factor: float = 2) -> dict[str, float]:
        return {"total": sum(numbers) * factor}

    def steps(n: int) -> Iterator[int]:
        yield from range(int(n))

    gr.api(total, api_name="api_total")
    endpoints.claim("api_total", named=True)
    # Servers before cannot describe an iterator, and with it no endpoint at all.
    if since("5.44"):
        gr.api(steps, api_name="api_steps")
        endpoints.claim("api_steps", named=True)


def _add_name_twice(endpoints: Endpoints) -> None:
    """Two listeners with the same name. Gradio appends a number to the second."""
    endpoints.bind("twice", functions.direct, [gr.Textbox(label="text")], [gr.Textbox(label="first")])
    gr.Button("twice again").click(
        functions.anonymous, [gr.Textbox(label="text")], [gr.Textbox(label="second")], api_name="twice"
    )
    endpoints.claim("twice_again")


def add_image_tools(endpoints: Endpoints) -> None:
    if hasattr(gr, "AnnotatedImage"):

        def annotate(image: Any) -> tuple:
            return image, [((1, 1, 4, 4), "corner"), ((2, 2, 7, 7), "middle")]

        endpoints.bind(
            "annotate", annotate, [gr.Image(label="image")], [gr.AnnotatedImage(label="annotated")]
        )
    if hasattr(gr, "ImageEditor"):

        def edit(edited: Any) -> tuple[Any, list[int]]:
            image = edited["composite"]
            # The first editors do not take a plain image.
            result = image if since("4.16") else {"background": image, "layers": [], "composite": image}
            return result, [len(edited["layers"]), *edited["background"].shape]

        outputs = [gr.ImageEditor(label="same"), gr.JSON(label="facts")]
        endpoints.bind("edit_image", edit, [gr.ImageEditor(label="editor")], outputs)


def add_download_button(endpoints: Endpoints) -> None:
    if hasattr(gr, "DownloadButton"):
        inputs, outputs = [gr.Textbox(label="text")], [gr.DownloadButton("save")]
        endpoints.bind("download_button", functions.make_file, inputs, outputs)


def add_examples(endpoints: Endpoints) -> None:
    """Examples of an app: choosing one calls an endpoint that returns its inputs, private before 4.12."""
    if not since("4.12"):
        return
    path = os.path.join(tempfile.mkdtemp(prefix="example-"), "example.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("example")
    inputs = [gr.Textbox(label="name"), gr.File(label="file")]
    before = len(endpoints.demo.fns)
    gr.Examples([["Ada", path], ["Grace", path]], inputs)
    if len(endpoints.demo.fns) > before:
        endpoints.claim("examples")
