# SPDX-License-Identifier: Apache-2.0
"""Requests outside calls, in both APIs: which may be repeated, and the meaning of their replies."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager

from ..errors import (
    GradioTransportError,
    InvalidPayload,
    Phase,
    excerpt,
)
from ..files.upload import FetchFile
from ..protocol.commands import Request, Response, SendRequest
from ..protocol.known_secrets import KnownSecrets
from ..protocol.urls import shown_url
from .failures import hide_secrets

REASON_SECONDS = 2.0
"""Seconds to wait for the body of a refusal, which only adds the reason."""


def input_request(command: FetchFile) -> SendRequest:
    """Return the request for a URL of the caller, with its limits."""
    return SendRequest("input", Request("GET", command.url), Phase.UPLOAD, idempotent=True)


def input_content(response: Response, command: FetchFile) -> bytes:
    """Return the content of a URL of the caller.

    Raises:
        InvalidPayload: It could not be fetched.
    """
    if response.status == 200 and response.body:
        return response.body
    raise InvalidPayload(
        f"The input {shown_url(command.url)} could not be fetched (HTTP {response.status}, "
        f"{len(response.body)} bytes). The function was not called.",
        phase=Phase.UPLOAD,
        status=response.status,
        body=excerpt(response.body),
    )


@contextmanager
def add_elapsed(
    adapter: str | None = None, began: float | None = None, secrets: KnownSecrets | None = None
) -> Generator[None, None, None]:
    """Add the time and protocol to errors outside a call's own messages.

    Args:
        adapter: The protocol of the call, if it is known.
        began: Start time, by `time.monotonic`; None is now.
        secrets: Secrets to hide in them, if no other code does so.
    """
    began = time.monotonic() if began is None else began
    try:
        yield
    except GradioTransportError as error:
        error.adapter = error.adapter or adapter
        if error.elapsed is None:
            error.elapsed = time.monotonic() - began
        if secrets is not None:
            hide_secrets(error, secrets)
        raise


def is_event_stream(response: Response) -> bool:
    """Return whether the head is that of a readable event stream."""
    kind = response.headers.get("content-type", "")
    if response.unsupported_coding is not None:
        return False
    return response.status == 200 and kind.partition(";")[0].strip().lower() == "text/event-stream"
