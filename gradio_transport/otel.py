# SPDX-License-Identifier: Apache-2.0
"""Spans of OpenTelemetry for calls. Extra ``[otel]``: the API of OpenTelemetry alone.

Attributes and names follow the semantic conventions for HTTP clients (1.40) where those fit. The others begin
with ``gradio.``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeAlias
from urllib.parse import urlsplit

from . import events as e
from .calls.observing import CallObserver, ObservedCall
from .errors import GradioTransportError, excerpt, one_line

try:
    from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider, get_tracer
    from opentelemetry.trace import set_span_in_context as _context_of
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise ImportError(
        f"{error.name} is not installed; spans need it: pip install 'gradio-transport[otel]'.",
        name=error.name,
    ) from None

Value: TypeAlias = str | int | float | bool

_NAMES: Mapping[type[e.Event], str] = MappingProxyType(
    {
        e.Joined: "joined",
        e.ProcessStarts: "process_starts",
        e.Resubmitted: "resubmitted",
        e.Cancelled: "cancelled",
    }
)
"""Events that are always an event of the span. A call may have thousands of the others."""


class OpenTelemetry:
    """An observer that makes a span for each call: ``connect(url, observer=OpenTelemetry())``.

    A span is of kind CLIENT and begins when the call is submitted, under the caller's current span. It has
    the states of the flow as events: joined, each new place in the queue, process_starts, the first output.
    A span has no values of arguments or outputs, but it has the message of an error.

    Args:
        tracer_provider: Where spans go; by default the global provider.
        propagate: Whether requests of the call carry the span's ``traceparent`` and ``tracestate``
            (W3C Trace Context). Off by default, because the app is usually a third party's server. Baggage is
            never sent.
    """

    def __init__(self, *, tracer_provider: TracerProvider | None = None, propagate: bool = False) -> None:
        self._tracer: Tracer = get_tracer("gradio_transport", tracer_provider=tracer_provider)
        self._propagate = propagate

    def start(self, call: ObservedCall) -> CallObserver:
        """Begin the span of a call."""
        span = self._start(call)
        headers: dict[str, str] = {}
        if self._propagate:
            TraceContextTextMapPropagator().inject(headers, _context_of(span))
        return _CallSpan(span, headers)

    def refuse(self, call: ObservedCall, error: GradioTransportError) -> None:
        """Make a span for a call that was rejected before it started."""
        span = self._start(call)
        _set_error(span, error)
        span.end()

    def _start(self, call: ObservedCall) -> Span:
        parts = urlsplit(call.url)
        attributes: dict[str, Value | None] = {
            "url.full": call.url,
            "server.address": parts.hostname,
            "server.port": parts.port or {"http": 80, "https": 443}.get(parts.scheme),
            "gradio.endpoint": call.endpoint,
            "gradio.fn_index": call.fn_index,
            "gradio.protocol": call.protocol,
            "gradio.version": call.gradio,
        }
        present = {name: value for name, value in attributes.items() if value is not None}
        return self._tracer.start_span(f"call {call.endpoint}", kind=SpanKind.CLIENT, attributes=present)


class _CallSpan:
    """The span of one call."""

    def __init__(self, span: Span, headers: Mapping[str, str]) -> None:
        self.headers = headers
        self._span = span
        self._rank: int | None = None
        self._outputs = 0

    def event(self, event: e.Event) -> None:
        """Note an event, and end the span with the last one."""
        name = _NAMES.get(type(event))
        if name is not None:
            self._span.add_event(name)
        if isinstance(event, e.Joined) and event.event_id is not None:
            self._span.set_attribute("gradio.event_id", one_line(event.event_id[:200]))
        elif isinstance(event, e.Estimation) and event.rank is not None and event.rank != self._rank:
            self._rank = event.rank
            self._span.add_event("estimation", {"gradio.rank": event.rank})
        elif isinstance(event, e.ProcessGenerating | e.ProcessStreaming):
            self._outputs += 1
            if self._outputs == 1:
                self._span.add_event("process_generating")
        if event.terminal:
            self._end(event)

    def _end(self, event: e.Event) -> None:
        error = getattr(event, "error", None)
        if isinstance(error, GradioTransportError):
            _set_error(self._span, error)
        outcome = "cancelled" if isinstance(event, e.Cancelled) else "failed" if error else "completed"
        self._span.set_attribute("gradio.outcome", outcome)
        self._span.set_attribute("gradio.outputs", self._outputs)
        self._span.end(time.time_ns())


def _set_error(span: Span, error: GradioTransportError) -> None:
    span.set_attribute("error.type", type(error).__name__)
    span.set_attribute("gradio.may_have_run", error.may_have_run)
    if error.phase is not None:
        span.set_attribute("gradio.phase", error.phase.value)
    if error.status is not None:
        span.set_attribute("http.response.status_code", error.status)
    span.set_status(StatusCode.ERROR, excerpt(error.message))


__all__ = ["OpenTelemetry"]
