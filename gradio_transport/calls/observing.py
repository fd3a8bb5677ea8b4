# SPDX-License-Identifier: Apache-2.0
"""`Observer`: watches the calls of a transport, for example for OpenTelemetry."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

import attrs

from ..engines.interruptions import is_foreign
from ..errors import GradioTransportError
from ..events import Event

logger = logging.getLogger(__name__)

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class ObservedCall:
    """A call that starts.

    Attributes:
        url: URL of the app, without user, password and query.
        endpoint: Name of the endpoint, such as ``"/predict"``.
        fn_index: Its number; None if the call was rejected before it was known.
        protocol: Name of the adapter; None if the call was rejected before it was chosen.
        gradio: Version of the server, if it reports one.
    """

    url: str
    endpoint: str
    fn_index: int | None = None
    protocol: str | None = None
    gradio: str | None = None


class CallObserver(Protocol):
    """An observer of one call. Its methods run under the call's locks: they must be quick and not wait."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers to add to the call's own requests, such as ``traceparent``; may be empty."""
        ...

    def event(self, event: Event) -> None:
        """Receive an event of the call as soon as it is known. The last one is terminal."""
        ...


class Observer(Protocol):
    """An observer of a transport's calls. If it raises, that is logged, and the call continues unobserved."""

    def start(self, call: ObservedCall) -> CallObserver:
        """Return the observer of a call that starts now, in the caller's thread or task."""
        ...

    def refuse(self, call: ObservedCall, error: GradioTransportError) -> None:
        """Record a call that was rejected before it started, such as one with wrong arguments."""
        ...


def guarded(step: Callable[[], T]) -> T | None:
    """Return the result of an observer's method, or None if it raises, because it must not end a call."""
    try:
        return step()
    except Exception as error:
        if is_foreign(error):
            raise
        logger.exception("the observer of the calls failed")
        return None
