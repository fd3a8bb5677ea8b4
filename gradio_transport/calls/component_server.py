# SPDX-License-Identifier: Apache-2.0
"""Server-side functions of components (3.47+, docs/wire.md §13)."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from ..app.config import AppConfig
from ..errors import (
    EndpointNotFound,
    GradioTransportError,
    MalformedMessage,
    Phase,
    excerpt,
)
from ..policy import Limits
from ..protocol.commands import Request, Response, SendRequest
from ..protocol.reach import may_have_reached
from ..protocol.refusals import refusal
from ..protocol.urls import AppURLs
from .setting_checks import check_instance
from .values import Place, is_json, to_json


def component_request(
    urls: AppURLs, config: AppConfig, session_hash: str, component_id: int, fn_name: str, data: Any
) -> SendRequest:
    """Return the request to a server-side function of a component (3.47+, docs/wire.md §13).

    Raises:
        LocalProtocolError: The name of the function is not a string.
        EndpointNotFound: The app has no such component. Servers only report a failure.
        ValidationFailed: The data is not JSON.
    """
    check_instance("fn_name", fn_name, str, "the name of the component's function as a text")
    if not is_json([data]):
        data = to_json(data, Place("data", f"the component's function {fn_name!r}", takes_files=False))
    if not isinstance(cast("object", component_id), int) or component_id not in config.components:
        raise EndpointNotFound(
            f"The app has no component {component_id!r} in this session. "
            "The ids are the keys of config.components.",
            phase=Phase.JOIN,
        )
    body = {"session_hash": session_hash, "component_id": component_id, "fn_name": fn_name, "data": data}
    return SendRequest(
        "component_server", Request.post_json(urls.api("component_server/"), body), Phase.COMPLETE
    )


@contextmanager
def judge_component_call() -> Generator[None, None, None]:
    """Set on errors of the block whether the component's function may have run."""
    try:
        yield
    except GradioTransportError as error:
        error.may_have_run = may_have_reached(error)
        raise


def component_reply(response: Response, fn_name: str, limits: Limits) -> Any:
    """Return the JSON result of a component's function.

    Raises:
        EndpointNotFound: The component has no such function.
        ServerRefused: The function failed.
    """
    if response.status != 200:
        error = refusal(response, Phase.COMPLETE, what=f"The component's function {fn_name!r}")
        error.may_have_run = may_have_reached(response)
        raise error
    try:
        return response.json(limits.max_json_depth)
    except ValueError as error:
        raise MalformedMessage(
            f"The function {fn_name!r} of the component did not return JSON ({error}): "
            f"{excerpt(response.body)!r}.",
            phase=Phase.COMPLETE,
            may_have_run=True,
        ) from None
