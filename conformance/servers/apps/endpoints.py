# SPDX-License-Identifier: Apache-2.0
"""Binds functions to endpoints, on every Gradio that has Blocks, and records their positions.

Before 3.0.13 an endpoint has no name and is identified only by its position, and some listeners have a
position but no name on any version. So positions are recorded here while the app is built, in the order of
the `bind` calls, and checked against the finished config.
"""

from __future__ import annotations

import inspect
from typing import Any, Callable

import gradio as gr

from .versions import since


def has_default_limit() -> bool:
    """Whether the queue itself can say how many calls of one endpoint may run at a time."""
    return "default_concurrency_limit" in inspect.signature(gr.Blocks.queue).parameters


class Endpoints:
    """The endpoints of one app, in order; `scenarios` has their positions."""

    def __init__(self, demo: Any, *, queued: bool = True, workers: int = 1) -> None:
        self.queued = queued
        self.scenarios: dict[str, dict[str, Any]] = {}
        self.demo = demo
        # Gradio 4.0 has workers for each listener only, and no default for them all.
        self._defaults = {"concurrency_limit": workers} if since("4.0") and not has_default_limit() else {}

    def bind(self, name: str, function: Callable | None, inputs: Any, outputs: Any, **options: Any) -> Any:
        """Give `function` a button of its own, which makes it the endpoint `name`."""
        return self.listen(name, gr.Button(name).click, function, inputs, outputs, **options)

    def listen(
        self,
        name: str,
        listener: Callable,
        function: Callable | None,
        inputs: Any,
        outputs: Any,
        *,
        named: bool = True,
        visibility: str = "public",
        **options: Any,
    ) -> Any:
        """Bind `function` to any listener of any component."""
        named = named and since("3.0.13")
        if named:
            options["api_name"] = name
        options = {**self._defaults, **_visibility(visibility), **options}
        dependency = listener(function, inputs, outputs, **options)
        self.claim(name, named=named)
        return dependency

    def claim(self, name: str, **facts: Any) -> None:
        """Record that the dependency just created is the scenario `name`.

        Its position is asked of the app: a listener with `cancels` makes two dependencies, and the last one
        cancels.
        """
        self.scenarios[name] = {"fn_index": len(self.demo.fns) - 1, **facts}

    def adopt(self, name: str, api_name: str) -> None:
        """Record that the endpoint that Gradio itself made as `api_name` is the scenario `name`."""
        self.scenarios[name] = {"adopted": api_name}

    def check(self, config: dict[str, Any]) -> None:
        """Compare the positions with the app's config, and copy the values that only the config has."""
        dependencies = config["dependencies"]
        for name, scenario in self.scenarios.items():
            adopted = scenario.pop("adopted", None)
            if adopted is not None:
                scenario["fn_index"] = _position(dependencies, adopted)
            position = scenario["fn_index"]
            dependency = dependencies[position]
            if dependency.get("id", position) != position:
                raise RuntimeError(f"{name} is at position {position}, but has the id {dependency['id']}")
            api_name = dependency.get("api_name") or None
            if scenario.pop("named", False) and api_name != name:
                raise RuntimeError(f"{name} is at position {position}, but is called {api_name}")
            scenario["api_name"] = api_name
            queued = dependency.get("queue")
            scenario["queue"] = self.queued if queued is None else bool(queued)


def _position(dependencies: list[dict[str, Any]], api_name: str) -> int:
    for position, dependency in enumerate(dependencies):
        if dependency.get("api_name") == api_name:
            return dependency.get("id", position)
    named = ", ".join(str(dependency.get("api_name")) for dependency in dependencies)
    raise RuntimeError(f"no endpoint is called {api_name}; there are {named}")


def _visibility(visibility: str) -> dict[str, Any]:
    """The options that keep an endpoint out of the API or out of its documentation."""
    if visibility == "public":
        return {}
    if since("6.0"):
        return {"api_visibility": visibility}
    return {"api_name": False} if visibility == "private" else {"show_api": False}
