# SPDX-License-Identifier: Apache-2.0
"""What watches the calls of a transport from outside: an `Observer`, such as that of OpenTelemetry."""

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
    """A call that begins.

    Attributes:
        url: URL of the app, without user, password and query.
        endpoint: Name of the endpoint, such as ``"/predict"``.
        fn_index: Its number; None if the call was refused before that was known.
        protocol: Name of the adapter; None if the call was refused before that was chosen.
        gradio: Version of the server, if it reports one.
    """

    url: str
    endpoint: str
    fn_index: int | None = None
    protocol: str | None = None
    gradio: str | None = None


class CallObserver(Protocol):
    """Watches one call. Its methods are called under the call's locks: they must be quick and not wait."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that the call's own requests are sent with, such as ``traceparent``; may be empty."""
        ...

    def event(self, event: Event) -> None:
        """Take an event of the call, as soon as it is known. The last one is terminal."""
        ...


class Observer(Protocol):
    """Watches the calls of a transport. If it raises, that is logged, and the call goes on unobserved."""

    def start(self, call: ObservedCall) -> CallObserver:
        """Return what watches a call that begins now, in the caller's thread or task."""
        ...

    def refuse(self, call: ObservedCall, error: GradioTransportError) -> None:
        """Record a call that was refused before it began, such as one with wrong arguments."""
        ...


def guarded(step: Callable[[], T]) -> T | None:
    """Return what an observer returns, or None if it raises: no fault of it may end a call."""
    try:
        return step()
    except Exception as error:
        if is_foreign(error):
            raise
        logger.exception("the observer of the calls failed")
        return None
