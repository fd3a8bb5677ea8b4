# SPDX-License-Identifier: Apache-2.0
"""Whether a request may have reached the app, by its outcome: the decision behind every retry."""

from __future__ import annotations

from ..errors import ConnectError, GradioTransportError, Phase, TransportError
from .commands import Response

TEMPORARY = (502, 503, 504)
"""Statuses after which a safe request may succeed if repeated."""

_IN_DOUBT = (303, 408, 499)
"""Statuses below 500 that prove nothing.

303 is the reply to a processed POST (RFC 9110 §15.4.4), and some gateways use the others for a late reply.
"""


def may_have_reached(outcome: Response | GradioTransportError) -> bool:
    """Return whether a request may have reached the app and taken effect.

    Only two outcomes prove that it has not: there was no connection, or a reply refuses it. A server error is
    not such a reply: a gateway that forwarded the request sends 500, 502, 503, 504, 520, 522 or 524 if the
    reply is late or lost.
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
    """Return whether a reply proves that nothing was accepted, but may be later."""
    return response.status == 429 or is_queue_full(response)


def is_queue_full(response: Response) -> bool:
    """Return whether the app's queue is full, by the text: gateways and starting Spaces also send 503."""
    return response.status == 503 and "queue is full" in response.text.lower()


def _is_queue_stopped(response: Response) -> bool:
    """Return whether the app is shutting down and takes no more calls (4.11+, docs/wire.md §5.1)."""
    return response.status == 503 and "queue is stopped" in response.text.lower()
