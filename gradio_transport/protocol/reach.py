# SPDX-License-Identifier: Apache-2.0
"""Whether a request may have reached the app, by what came of it: the one decision behind every retry."""

from __future__ import annotations

from ..errors import ConnectError, GradioTransportError, Phase, TransportError
from .commands import Response

TEMPORARY = (502, 503, 504)
"""Statuses after which a safe request may succeed if simply made again."""

_IN_DOUBT = (303, 408, 499)
"""Statuses below 500 that prove nothing: 303 answers a POST that was processed (RFC 9110 §15.4.4), and some
gateways use the others for a reply that did not come in time."""


def may_have_reached(outcome: Response | GradioTransportError) -> bool:
    """Return whether a request may have reached the app and begun what it asks for.

    Only two outcomes prove that it has not: there was no connection, or an answer says no. An error of the
    server is no such answer: a gateway that has passed the request on answers 500, 502, 503, 504, 520, 522 or
    524 when the reply is late or lost.
    """
    if isinstance(outcome, GradioTransportError):
        # Engines call an error of a call's request retryable only if nothing was sent. A login follows a
        # refusal of the request that needs it.
        is_unsent = isinstance(outcome, TransportError) and outcome.retryable
        return not (is_unsent or isinstance(outcome, ConnectError) or outcome.phase is Phase.LOGIN)
    if is_queue_full(outcome) or _is_queue_stopped(outcome):
        return False
    return not 300 <= outcome.status < 500 or outcome.status in _IN_DOUBT


def is_refused_for_now(response: Response) -> bool:
    """Return whether an answer proves that nothing was accepted, and that it may be later."""
    return response.status == 429 or is_queue_full(response)


def is_queue_full(response: Response) -> bool:
    """Return whether the app's queue is full, by its words: gateways and starting Spaces answer 503 too."""
    return response.status == 503 and "queue is full" in response.text.lower()


def _is_queue_stopped(response: Response) -> bool:
    """Return whether the app is shutting down and takes no more calls (4.11+, docs/wire.md §5.1)."""
    return response.status == 503 and "queue is stopped" in response.text.lower()
