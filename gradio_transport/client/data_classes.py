# SPDX-License-Identifier: Apache-2.0
"""Types of JSON objects, in the module where the Gradio Python client has them."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class FileData(TypedDict, total=False):
    """A file in a value of the wire: `path`, `url` and `meta` since Gradio 4.0, `name` and `data` before."""

    path: str | None
    url: str | None
    size: int | None
    orig_name: str | None
    mime_type: str | None
    is_stream: bool
    meta: dict[str, Any]
    name: str | None
    data: str | None
    is_file: bool


class ParameterInfo(TypedDict):
    """A parameter of an endpoint, as ``view_api(return_format="dict")`` and ``/info`` have it."""

    label: str
    parameter_name: str
    parameter_has_default: NotRequired[bool]
    parameter_default: NotRequired[Any]
    type: dict[str, Any]
    python_type: dict[str, Any]
    component: str
    example_input: Any


__all__ = ["FileData", "ParameterInfo"]
