# SPDX-License-Identifier: Apache-2.0
"""The reply object of a direct call, of every version: results, errors, and others (docs/wire.md §2).

The polling queue passes on the same object (or text), so both adapters use this module.
"""

from __future__ import annotations

from typing import Any, cast

from gradio_transport.adapter import (
    MAX_JSON_DEPTH,
    AppConfig,
    Endpoint,
    Event,
    Failed,
    MalformedMessage,
    Phase,
    ProcessCompleted,
    Response,
    ServerRefused,
    app_error,
    decode_json,
    decode_output,
    excerpt,
    refusal,
)


def has_state(endpoint: Endpoint) -> bool:
    """Return whether an endpoint reads or writes gr.State, which the server keeps by session hash."""
    return any(slot.type in ("state", "variable") for slot in (*endpoint.inputs, *endpoint.outputs))


def quotes_errors(config: AppConfig) -> bool:
    """Return whether the text of a ``gr.Error`` is a repr (3.1.7 to 5.1, docs/wire.md §14.1)."""
    return config.at_least(3, 1, 7) and not config.at_least(5, 2)


def hides_errors_as_text(config: AppConfig) -> bool:
    """Return whether an app that hides its errors answers with plain text instead of ``{"error": null}``."""
    return not config.at_least(3, 1, 7)


def json_object(text: str | bytes, max_depth: int = MAX_JSON_DEPTH) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: It is not a JSON object.
    """
    value = decode_json(text, max_depth)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return cast("dict[str, Any]", value)


def not_json_end(response: Response, error: ValueError, phase: Phase = Phase.COMPLETE) -> Failed:
    """Return the end of a call whose reply cannot be parsed."""
    return Failed(
        error=MalformedMessage(
            f"The reply is not JSON as Gradio writes it ({error}): {excerpt(response.body)!r}.",
            phase=phase,
            status=response.status,
            body=excerpt(response.body),
        )
    )


def completion(reply: dict[str, Any]) -> ProcessCompleted:
    """Return the completion for a reply object."""
    return decode_output(reply)


def app_failure(body: str | bytes, config: AppConfig) -> ProcessCompleted | None:
    """Return the app's own error in the body of a failed call, or None for an error of the server."""
    try:
        raw = json_object(body)
    except ValueError:
        raw = {}
    if "error" not in raw:
        if not hides_errors_as_text(config):
            return None
        # An unhandled exception comes from the function here: no other part of the handler can raise.
        raw = {"error": None}
    error = app_error(raw, quoted=quotes_errors(config))
    error.status = 500
    return ProcessCompleted(raw=raw, success=False, error=error)


def refusal_end(response: Response, endpoint: Endpoint, config: AppConfig) -> Event:
    """Return the end of a call whose reply is not a success."""
    if response.status == 500:
        event = app_failure(response.body, config)
        if event is not None:
            return event
    elif _refusal_detail(response, config):
        return Failed(
            error=ServerRefused(
                f"{endpoint.display_name} does not accept direct calls on this server (its api_open is off, "
                "as on every Space from Gradio 4.0 on). Use protocol='auto', which joins the queue.",
                phase=Phase.JOIN,
                status=response.status,
                body=excerpt(response.body),
            )
        )
    return Failed(error=refusal(response, Phase.JOIN))


def _refusal_detail(response: Response, config: AppConfig) -> bool:
    """Return "join the queue" for its status: 401 in 3.7 to 3.42, 404 from 3.43 on."""
    if response.status == 404:
        return config.at_least(3, 43)
    return response.status == 401 and "skip the queue" in response.text.lower()


__all__ = [
    "completion",
    "app_failure",
    "has_state",
    "json_object",
    "not_json_end",
    "quotes_errors",
    "refusal_end",
]
