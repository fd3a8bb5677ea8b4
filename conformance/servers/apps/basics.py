# SPDX-License-Identifier: Apache-2.0
"""Endpoints that return once: texts, numbers, state, errors, and the ways to expose an endpoint."""

import gradio as gr

from . import functions
from .endpoints import Endpoints
from .versions import between, since


def state() -> object:
    """An empty session state. `gr.State` was called `gr.Variable` at first."""
    component = getattr(gr, "State", None) or gr.Variable
    return component(value=[])


def add_core(endpoints: Endpoints) -> None:
    """The endpoints of every app in every variant: the first five positions."""
    endpoints.bind("hello", functions.hello, [gr.Textbox(label="name")], [gr.Textbox(label="greeting")])
    numbers = [gr.Number(label="a"), gr.Number(label="b")]
    endpoints.bind("add", functions.add, numbers, [gr.Number(label="sum")])
    outputs = [gr.Textbox(label="upper"), gr.Number(label="length")]
    endpoints.bind("pair", functions.pair, [gr.Textbox(label="text")], outputs)
    seen = state()
    inputs = [gr.Textbox(label="item"), seen]
    endpoints.bind("remember", functions.remember, inputs, [gr.Textbox(label="items"), seen])
    endpoints.bind("crash", functions.crash, [gr.Textbox(label="text")], [gr.Textbox(label="never")])


def add_slow(endpoints: Endpoints, name: str = "slow", **options: object) -> None:
    inputs = [gr.Number(label="seconds")]
    endpoints.bind(name, functions.slow, inputs, [gr.Textbox(label="slept")], **options)


def add_shapes(endpoints: Endpoints) -> None:
    """Payloads of unusual shape: none, only outputs, initial values, an update, a big text, a NaN."""
    endpoints.bind("nothing", functions.nothing, [], [])
    endpoints.bind("constant", functions.constant, [], [gr.Textbox(label="constant")])
    presets = [gr.Textbox(label="text", value="preset"), gr.Number(label="number", value=7)]
    endpoints.bind("defaults", functions.defaults, presets, [gr.Textbox(label="both")])
    endpoints.bind("large", functions.large, [gr.Number(label="characters")], [gr.Textbox(label="text")])
    endpoints.bind("not_a_number", functions.not_a_number, [], [gr.Number(label="number")])

    def update(text: str) -> object:
        make = gr.update if hasattr(gr, "update") else gr.Textbox.update
        return make(value=f"{text}!", visible=True)

    endpoints.bind("update", update, [gr.Textbox(label="text")], [gr.Textbox(label="updated")])


def add_exposure(endpoints: Endpoints) -> None:
    """The ways an endpoint can be reached, or be kept from being reached."""

    def text() -> list:
        return [gr.Textbox(label="text")]

    endpoints.bind("direct", functions.direct, text(), [gr.Textbox(label="direct")], queue=False)
    endpoints.bind("unnamed", functions.anonymous, text(), [gr.Textbox(label="unnamed")], named=False)
    # Before 3.36 an api_name of False is just a missing name.
    if since("3.36"):
        output = [gr.Textbox(label="private")]
        visibility = {"named": since("6.0"), "visibility": "private"}
        endpoints.bind("private", functions.private, text(), output, **visibility)
    if since("4.12"):
        output = [gr.Textbox(label="undocumented")]
        endpoints.bind("undocumented", functions.undocumented, text(), output, visibility="undocumented")


def add_errors(endpoints: Endpoints) -> None:
    if not hasattr(gr, "Error"):
        return

    def raise_error(text: str) -> str:
        raise gr.Error(functions.FAILURE_MESSAGE)

    outputs = [gr.Textbox(label="never")]
    endpoints.bind("raise_error", raise_error, [gr.Textbox(label="text")], outputs)


def add_batch(endpoints: Endpoints) -> None:
    # Until 4.9 of the 4.x series one batch event kills the queue's thread for good.
    if not since("3.7") or between("4.0", "4.10"):
        return
    inputs, outputs = [gr.Textbox(label="text")], [gr.Textbox(label="batched")]
    endpoints.bind("batch", functions.batch, inputs, outputs, batch=True, max_batch_size=4)
