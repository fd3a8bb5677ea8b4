# SPDX-License-Identifier: Apache-2.0
"""The variants of the canonical app for Gradio 2.x, where an app is one Interface and has one endpoint.

So a variant is a family here: every scenario is an app of its own, with a URL of its own. The first of a
family is /hello, and the variant's URL is its URL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable

import gradio as gr

from . import functions, media
from .serving import App
from .versions import since

CREDENTIALS = ("admin", "secret")


@dataclass(frozen=True)
class Scenario:
    """One Interface: a function, its inputs and its outputs."""

    function: Callable
    inputs: Callable[[], list[Any]]
    outputs: Callable[[], list[Any]]


def _texts(*labels: str) -> Callable[[], list[Any]]:
    return lambda: [gr.inputs.Textbox(label=label) for label in labels]


def _numbers(*labels: str) -> Callable[[], list[Any]]:
    return lambda: [gr.inputs.Number(label=label) for label in labels]


def _text_output(label: str) -> Callable[[], list[Any]]:
    return lambda: [gr.outputs.Textbox(label=label)]


def _presets() -> list[Any]:
    return [gr.inputs.Textbox(label="text", default="preset"), gr.inputs.Number(label="number", default=7)]


def _text_and_state() -> list[Any]:
    return [gr.inputs.Textbox(label="item"), "state"]


def _remember_in_cookie(item: str) -> str:
    """State before 2.8: it travels in the Flask session cookie."""
    items, state = functions.remember(item, gr.get_state())
    gr.set_state(state)
    return items


def _remember() -> Scenario:
    if not since("2.8"):
        return Scenario(_remember_in_cookie, _texts("item"), _text_output("items"))
    outputs = lambda: [gr.outputs.Textbox(label="items"), "state"]  # noqa: E731 - its neighbours are factories too
    return Scenario(functions.remember, _text_and_state, outputs)


def _scenarios() -> dict[str, Scenario]:
    """All scenarios of a 2.x app, /hello first."""
    pair_outputs = lambda: [gr.outputs.Textbox(label="upper"), gr.outputs.Textbox(label="length")]  # noqa: E731
    return {
        "hello": Scenario(functions.hello, _texts("name"), _text_output("greeting")),
        "add": Scenario(functions.add, _numbers("a", "b"), _text_output("sum")),
        "pair": Scenario(functions.pair, _texts("text"), pair_outputs),
        "remember": _remember(),
        "crash": Scenario(functions.crash, _texts("text"), _text_output("never")),
        "slow": Scenario(functions.slow, _numbers("seconds"), _text_output("slept")),
        "defaults": Scenario(functions.defaults, _presets, _text_output("both")),
        "large": Scenario(functions.large, _numbers("characters"), _text_output("text")),
        "file_in": Scenario(
            media.describe_upload, lambda: [gr.inputs.File(label="file")], _text_output("facts")
        ),
        "file_out": Scenario(functions.make_file, _texts("text"), lambda: [gr.outputs.File(label="file")]),
        "image": Scenario(
            media.flip, lambda: [gr.inputs.Image(label="image")], lambda: [gr.outputs.Image("numpy")]
        ),
    }


def unavailable(variant: str) -> str | None:
    """Why this Gradio cannot serve `variant`, or None if it can."""
    if variant in {"full", "concurrency"}:
        return "the queue of Gradio 2.x has one worker and no maximum size"
    if variant == "hidden" and not since("2.7"):
        return "show_error cannot be turned off before Gradio 2.7"
    if variant in {"spaces", "mounted"}:
        return "an app of Gradio 2.x is one Interface, and is served by itself alone"
    return None


def _chosen(variant: str) -> list[str]:
    chosen = {"hidden": ["hello", "crash"], "auth": ["hello", "file_out"]}
    return chosen.get(variant, list(_scenarios()))


def apps(variant: str) -> list[App]:
    """The family of `variant`, built but not launched."""
    every = _scenarios()
    queued = variant in {"canonical", "hidden"}
    return [_app(variant, name, every[name], queued) for name in _chosen(variant)]


def _app(variant: str, name: str, scenario: Scenario, queued: bool) -> App:
    options: dict[str, Any] = {"auth": CREDENTIALS} if variant == "auth" else {}
    facts = {"fn_index": 0, "api_name": None, "queue": queued}
    family_name = variant if name == "hello" else f"{variant}/{name}"

    def launch(prevent_thread_lock: bool, **place: Any) -> Any:
        options["prevent_thread_lock"] = prevent_thread_lock
        if not since("2.7"):
            # Where an app listens and whether it queues belonged to the app before it belonged to its launch.
            return _interface(scenario, enable_queue=queued, allow_flagging=False, **place).launch(**options)
        app = _interface(scenario, allow_flagging="never")
        return app.launch(enable_queue=queued, show_error=variant != "hidden", **options, **place)

    return App(name=family_name, launch=launch, scenarios={name: facts})


def _interface(scenario: Scenario, **options: Any) -> Any:
    inputs, outputs = scenario.inputs(), scenario.outputs()
    return gr.Interface(scenario.function, inputs, outputs, analytics_enabled=False, **options)
