# SPDX-License-Identifier: Apache-2.0
"""Requests beside the calls, on both faces: which may be repeated, and what their replies mean."""

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
"""How long the reason of a refusal is waited for; what is refused is known without it."""


def input_request(command: FetchFile) -> SendRequest:
    """Return the request for a URL of the caller's, for what it may take."""
    return SendRequest("input", Request("GET", command.url), Phase.UPLOAD, idempotent=True)


def input_content(response: Response, command: FetchFile) -> bytes:
    """Return what a URL of the caller's held.

    Raises:
        InvalidPayload: It could not be had.
    """
    if response.status == 200 and response.body:
        return response.body
    raise InvalidPayload(
        f"The input {shown_url(command.url)} could not be fetched (HTTP {response.status}, "
        f"{len(response.body)} bytes). Nothing was called.",
        phase=Phase.UPLOAD,
        status=response.status,
        body=excerpt(response.body),
    )


@contextmanager
def add_elapsed(
    adapter: str | None = None, began: float | None = None, secrets: KnownSecrets | None = None
) -> Generator[None, None, None]:
    """Add to errors outside a call's own messages how long it took, and for which protocol.

    Args:
        adapter: The protocol of the call that it is done for, if there is one already.
        began: When it began, by `time.monotonic`; None: now.
        secrets: What to hide in them, where nothing else that they pass does so.
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
    """Return whether the head is that of an event stream, which can be read."""
    kind = response.headers.get("content-type", "")
    if response.unsupported_coding is not None:
        return False
    return response.status == 200 and kind.partition(";")[0].strip().lower() == "text/event-stream"
