# SPDX-License-Identifier: Apache-2.0
"""The discovery: one endpoint, ``/chat``, with one model of the server."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

import attrs

from gradio_transport.adapter import (
    AppConfig,
    AppURLs,
    Component,
    Discovery,
    DiscoveryContext,
    Endpoint,
    EndpointNotFound,
    Handshake,
    LocalProtocolError,
    Parameter,
    Phase,
    RemoteProtocolError,
    Request,
    Response,
    SendRequest,
    UnsupportedProtocol,
    did_you_mean,
    excerpt,
    list_texts,
    percent_encode,
)

from ._errors import refusal_error
from ._settings import ChatSettings

NAME = "openai_chat"

_ABSENT = (404, 405, 501)
"""Statuses of servers without ``/models``; many proxies only have the chat."""

_PARAMETERS = (
    Parameter(name="message", label="Message", python_type="str | dict(text: str, files: list)"),
    Parameter(name="history", label="History", python_type="list", has_default=True, default=[]),
)
_RETURNS = (Parameter(name="response", label="Response", python_type="str", schema={"type": "string"}),)


def discover(context: DiscoveryContext, settings: ChatSettings) -> Handshake:
    """Request the server's models, and check or choose the model.

    Raises:
        AuthenticationRequired: The server requires a token, or another one.
        EndpointNotFound: The server does not have the model.
        LocalProtocolError: No model is named, and there is not exactly one.
        UnsupportedProtocol: The server does not list models.
    """
    response = yield _get(f"{context.base}/models")
    raw: dict[str, Any] = {}
    names: list[str] | None = None
    if response.status not in _ABSENT:
        raw = _parse_models(response, context.base, settings)
        names = _names(raw)
    model = yield from _choose_model(context.base, settings, names)
    endpoint = Endpoint(
        name="/chat",
        fn_index=0,
        parameters=_PARAMETERS,
        returns=_RETURNS,
        outputs=(Component(0, "textbox"),),
        queue=False,
        generator=settings.streaming,
        description=f"Says something to {model}, and returns the answer.",
    )
    config = AppConfig(
        release=(),
        protocol=NAME,
        title=model,
        endpoints=(endpoint,),
        raw=raw,
        settings=attrs.evolve(settings, model=model),
    )
    return Discovery(config, AppURLs(context.base))


def _get(url: str) -> SendRequest:
    return SendRequest("discover", Request.get(url), Phase.DISCOVER, idempotent=True)


def _parse_models(response: Response, base: str, settings: ChatSettings) -> dict[str, Any]:
    """Return the reply to ``/models``."""
    if 300 <= response.status < 400:
        raise RemoteProtocolError(
            f"{base}/models redirects to {excerpt(response.headers.get('location', 'nowhere'))}. Pass the "
            f"URL that it redirects to: a token is not sent to another origin.",
            phase=Phase.DISCOVER,
            status=response.status,
        )
    if response.status != 200:
        raise refusal_error(response, Phase.DISCOVER, model=settings.model)
    try:
        value = response.json()
    except ValueError:
        value = None
    if not isinstance(value, dict) or not isinstance(cast("dict[str, Any]", value).get("data"), list):
        kind = response.headers.get("content-type", "no content type")
        raise UnsupportedProtocol(
            f"The server at {base}/models does not list models as in the OpenAI API (HTTP 200, {kind}). "
            "Check the URL: it usually ends in /v1.",
            phase=Phase.DISCOVER,
            status=response.status,
            body=excerpt(response.body),
        )
    return cast("dict[str, Any]", value)


def _names(listed: dict[str, Any]) -> list[str]:
    entries = [cast("dict[str, Any]", entry) for entry in listed["data"] if isinstance(entry, dict)]
    return [entry["id"] for entry in entries if isinstance(entry.get("id"), str) and entry["id"]]


def _choose_model(
    base: str, settings: ChatSettings, names: list[str] | None
) -> Generator[SendRequest, Response, str]:
    """Return the chosen model."""
    wanted = settings.model
    if not wanted:
        if names is not None and len(names) == 1:
            return names[0]
        raise LocalProtocolError(f"Pass a model: model=. {_lists_model(base, names)}", phase=Phase.DISCOVER)
    if names is None or wanted in names:
        return wanted
    # Aliases are not always listed ('llama3' for 'llama3:latest'), but a server that has them finds them.
    response = yield _get(f"{base}/models/{percent_encode(wanted, '/:')}")
    if response.status == 200:
        return wanted
    raise EndpointNotFound(
        f"The server has no model {wanted!r}.{did_you_mean(wanted, names)} {_lists_model(base, names)}",
        phase=Phase.DISCOVER,
        status=response.status,
    )


def _lists_model(base: str, names: list[str] | None) -> str:
    if names is None:
        return f"{base} does not list what it has (no /models)."
    return f"{base} has: {list_texts(names) or 'none'}."
