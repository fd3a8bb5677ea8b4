# SPDX-License-Identifier: Apache-2.0
"""What the scripted server says of its app: a config and an info, as Gradio 6 and 3.50 write them."""

from __future__ import annotations

from typing import Any

ENDPOINTS = (
    "hello", "grow", "stamps", "forever", "give_file", "take_file", "upper", "lower", "count", "chat",
)  # fmt: skip
"""Names in order of their numbers. Those from the seventh on are there to be read, as in any app."""

APP_ID = 1

HELLO, GROW, STAMPS, FOREVER, GIVE_FILE, TAKE_FILE = range(6)


def _components() -> list[dict[str, Any]]:
    props = {
        "lines": 1, "max_lines": 20, "label": "text", "show_label": True, "container": True, "min_width": 160,
        "interactive": True, "visible": True, "autofocus": False, "autoscroll": True, "elem_classes": [],
        "type": "text", "rtl": False, "buttons": [], "preserved_by_key": ["value"], "name": "textbox",
        "_selectable": False,
    }  # fmt: skip
    kinds = {2 * GROW + 2: "chatbot", 2 * GIVE_FILE + 2: "file", 2 * TAKE_FILE + 1: "file"}
    return [
        {"id": number, "type": kinds.get(number, "textbox"), "props": props, "skip_api": False,
         "component_class_id": "c" * 64, "key": None}
        for number in range(1, 2 * len(ENDPOINTS) + 1)
    ]  # fmt: skip


def _dependencies() -> list[dict[str, Any]]:
    return [
        {
            "id": number, "targets": [[2 * number + 1, "click"]], "inputs": [2 * number + 1],
            "outputs": [2 * number + 2], "backend_fn": True, "js": None, "queue": True, "api_name": name,
            "scroll_to_output": False, "show_progress": "full", "batch": False, "max_batch_size": 4,
            "cancels": [], "types": {"generator": name in ("grow", "stamps", "forever"), "cancel": False},
            "collects_event_data": False, "trigger_after": None, "trigger_only_on_success": False,
            "trigger_mode": "once", "api_visibility": "public", "rendered_in": None, "render_id": None,
            "connection": "sse", "time_limit": None, "stream_every": 0.5, "event_specific_args": None,
            "api_description": None, "zerogpu": False, "show_api": True,
        }
        for number, name in enumerate(ENDPOINTS)
    ]  # fmt: skip


def config(version: str, protocol: str | None, prefix: str, root: str) -> dict[str, Any]:
    """Return the config of a server of some version."""
    said = {
        "version": version, "api_prefix": prefix, "mode": "blocks", "app_id": APP_ID, "dev_mode": False,
        "analytics_enabled": False, "components": _components(), "dependencies": _dependencies(),
        "css": None, "connect_heartbeat": False, "js": "", "head": "", "title": "Gradio", "space_id": None,
        "enable_queue": True, "show_error": False, "fill_height": False, "is_space": False, "is_colab": False,
        "root": root, "username": None, "layout": {"id": 0, "children": []}, "max_file_size": None,
        "protocol": protocol,
    }  # fmt: skip
    return {name: value for name, value in said.items() if name != "protocol" or value is not None}


def info() -> dict[str, Any]:
    """Return the description of its endpoints."""
    parameter = {
        "label": "text", "parameter_name": "text", "parameter_has_default": False, "parameter_default": None,
        "type": {"type": "string"}, "python_type": {"type": "str", "description": ""},
        "component": "Textbox", "example_input": "Hello!!",
    }  # fmt: skip
    result = {
        "label": "out", "type": {"type": "string"}, "python_type": {"type": "str", "description": ""},
        "component": "Textbox",
    }  # fmt: skip
    described = {"parameters": [parameter], "returns": [result], "api_visibility": "public"}
    return {"named_endpoints": {f"/{name}": described for name in ENDPOINTS}, "unnamed_endpoints": {}}
