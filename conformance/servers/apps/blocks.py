# SPDX-License-Identifier: Apache-2.0
"""The variants of the canonical app for Gradio 3.0 and newer: one Blocks with many endpoints each.

Positions must not change, because 3.0.2 has no endpoint names: `add_core` comes first in every
variant that has it, so hello, add, pair, remember and crash are functions 0 to 4.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable

import gradio as gr

from . import basics, chats, files, generators, interaction, spaces
from .endpoints import Endpoints, has_default_limit
from .mounted import serve_mounted
from .serving import App
from .versions import since

PARALLEL_CALLS = 8
CREDENTIALS = ("admin", "secret")


@dataclass(frozen=True)
class Variant:
    """How one app is built and launched."""

    build: Callable[[Endpoints], None]
    launch: dict[str, Any] = field(default_factory=dict)
    queue: bool = True
    workers: int = PARALLEL_CALLS
    waiting: int | None = None
    mounted: bool = False


def _canonical(endpoints: Endpoints) -> None:
    basics.add_core(endpoints)
    basics.add_slow(endpoints)
    basics.add_shapes(endpoints)
    basics.add_exposure(endpoints)
    basics.add_errors(endpoints)
    basics.add_batch(endpoints)
    generators.add_generators(endpoints)
    files.add_files(endpoints)
    interaction.add_log(endpoints)
    interaction.add_request(endpoints)
    interaction.add_event_data(endpoints)
    interaction.add_validate(endpoints)
    interaction.add_cached(endpoints)
    interaction.add_streaming_input(endpoints)
    interaction.add_render(endpoints)
    files.add_static(endpoints)


def _hidden(endpoints: Endpoints) -> None:
    basics.add_core(endpoints)
    basics.add_errors(endpoints)
    generators.add_late_errors(endpoints)


def _full(endpoints: Endpoints) -> None:
    basics.add_core(endpoints)
    basics.add_slow(endpoints)


def _auth(endpoints: Endpoints) -> None:
    basics.add_core(endpoints)
    generators.add_count(endpoints)
    files.add_file_out(endpoints)
    interaction.add_request(endpoints)


def _noqueue(endpoints: Endpoints) -> None:
    basics.add_core(endpoints)
    basics.add_slow(endpoints)
    basics.add_shapes(endpoints)
    generators.add_count(endpoints)
    files.add_files(endpoints)


def _concurrency(endpoints: Endpoints) -> None:
    """Two at a time; from 4.0 on also one at a time, and two endpoints that share one place."""
    if not since("4.0"):
        basics.add_slow(endpoints)
        return
    basics.add_slow(endpoints, concurrency_limit=2)
    basics.add_slow(endpoints, "slow_alone", concurrency_limit=1)
    shared = {"concurrency_id": "shared", "concurrency_limit": 1}
    basics.add_slow(endpoints, "slow_shared_first", **shared)
    basics.add_slow(endpoints, "slow_shared_second", **shared)


def _spaces(endpoints: Endpoints) -> None:
    chats.add_chat_interfaces(endpoints)
    spaces.add_listeners(endpoints)
    spaces.add_image_tools(endpoints)
    spaces.add_download_button(endpoints)
    spaces.add_examples(endpoints)


def _mounted(endpoints: Endpoints) -> None:
    basics.add_core(endpoints)
    generators.add_count(endpoints)
    files.add_files(endpoints)


PLANS: dict[str, Variant] = {
    "canonical": Variant(_canonical),
    "hidden": Variant(_hidden, launch={"show_error": False}),
    "full": Variant(_full, workers=1, waiting=1),
    # Until 3.9 Gradio refuses to launch with both a login and a queue.
    "auth": Variant(_auth, launch={"auth": CREDENTIALS}, queue=since("3.9.1")),
    "noqueue": Variant(_noqueue, queue=False),
    "concurrency": Variant(_concurrency, workers=2),
    "spaces": Variant(_spaces),
    "mounted": Variant(_mounted, mounted=True),
}


def unavailable(variant: str) -> str | None:
    """Why this Gradio cannot serve `variant`, or None if it can."""
    if variant == "noqueue" and since("4.0"):
        return "the queue cannot be turned off since Gradio 4.0"
    if variant == "full" and not since("3.1.6"):
        return "the queue has no maximum size before Gradio 3.1.6"
    if variant == "concurrency" and not since("3.1.5"):
        return "the queue has exactly one worker before Gradio 3.1.5"
    if variant == "mounted" and not hasattr(gr, "mount_gradio_app"):
        return "an app cannot be mounted before Gradio 3.0.18"
    return None


def apps(variant: str) -> list[App]:
    """The one app of `variant`, built but not launched."""
    plan = PLANS[variant]
    with gr.Blocks(title=f"{variant} app") as demo:
        endpoints = Endpoints(demo, queued=plan.queue, workers=plan.workers)
        plan.build(endpoints)
    options = {"show_error": True, **plan.launch}
    _queue(demo, plan, options)
    endpoints.check(demo.get_config_file())
    if plan.mounted:
        return [App(variant, lambda server_port, **_: serve_mounted(demo, server_port), endpoints.scenarios)]
    return [
        App(name=variant, launch=lambda **more: demo.launch(**options, **more), scenarios=endpoints.scenarios)
    ]


def _queue(demo: Any, plan: Variant, options: dict[str, Any]) -> None:
    """Turn the queue on, in the way of this generation."""
    if since("4.0"):
        limit = {"default_concurrency_limit": plan.workers} if has_default_limit() else {}
        demo.queue(max_size=plan.waiting, **limit)
    elif not plan.queue:
        return
    elif since("3.1.5"):
        demo.queue(concurrency_count=plan.workers, max_size=plan.waiting)
    else:
        options["enable_queue"] = True
