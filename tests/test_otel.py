# SPDX-License-Identifier: Apache-2.0
"""Spans of OpenTelemetry: what a call's has, and what it costs nothing to leave out."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from faces import FACES, with_app
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from scripted import Scripted, scripted

import gradio_transport as gt
from gradio_transport.calls.observing import ObservedCall
from gradio_transport.errors import GradioTransportError, LocalProtocolError
from gradio_transport.events import Event
from gradio_transport.otel import OpenTelemetry

TIMEOUTS = gt.Timeouts(total=9)
JOIN = "/gradio_api/queue/join"

faces = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as started:
        yield started


class Spans:
    """A provider whose spans are kept."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def finished(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def only(self) -> ReadableSpan:
        (span,) = self.finished
        return span


@pytest.fixture
def spans() -> Spans:
    return Spans()


def call(face: str, url: str, spans: Spans, *arguments: Any, **options: Any) -> Any:
    async def use(app: Any, wait: Any) -> Any:
        return await wait(app.call(*arguments))

    observer = OpenTelemetry(tracer_provider=spans.provider, **options)
    return with_app(face, url, use, observer=observer, timeouts=TIMEOUTS)


@faces
def test_a_call_is_one_span_with_the_states_of_its_flow(face: str, server: Scripted, spans: Spans) -> None:
    assert call(face, server.url, spans, "/count", "x")
    span = spans.only()
    port = int(server.url.rpartition(":")[2])
    assert (span.name, span.kind, span.status.status_code) == (
        "call /count", SpanKind.CLIENT, StatusCode.UNSET,
    )  # fmt: skip
    attributes = dict(span.attributes or {})
    assert len(attributes.pop("gradio.event_id")) > 0
    assert attributes.pop("gradio.outputs") > 0
    assert attributes == {
        "url.full": server.url,
        "server.address": "127.0.0.1",
        "server.port": port,
        "gradio.endpoint": "/count",
        "gradio.fn_index": 1,
        "gradio.protocol": "sse_v3",
        "gradio.version": "6.31.0",
        "gradio.outcome": "completed",
    }
    names = [event.name for event in span.events]
    assert names[0] == "joined"
    assert names.count("process_generating") == 1
    assert names.index("process_starts") < names.index("process_generating")
    assert (span.end_time or 0) >= (span.start_time or 0) > 0


@faces
def test_an_error_of_the_app_is_the_error_of_the_span(face: str, server: Scripted, spans: Spans) -> None:
    with pytest.raises(gt.AppError) as caught:
        call(face, server.url, spans, "/raise_error", "x")
    span = spans.only()
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description == caught.value.message
    attributes = dict(span.attributes or {})
    assert attributes["error.type"] == "AppError"
    assert attributes["gradio.phase"] == "complete"
    assert attributes["gradio.outcome"] == "failed"


@faces
def test_a_refusal_of_the_server_has_its_status(face: str, server: Scripted, spans: Spans) -> None:
    server.scripts[JOIN] = lambda reply: reply.json({"detail": "no"}, 422)
    with pytest.raises(GradioTransportError):
        call(face, server.url, spans, "/hello", "x")
    attributes = dict(spans.only().attributes or {})
    assert attributes["http.response.status_code"] == 422
    assert attributes["gradio.phase"] == "join"


@faces
def test_a_call_that_is_refused_before_it_begins_has_a_span(
    face: str, server: Scripted, spans: Spans
) -> None:
    with pytest.raises(gt.EndpointNotFound):
        call(face, server.url, spans, "/nonsense")
    span = spans.only()
    assert span.name == "call /nonsense"
    assert dict(span.attributes or {})["error.type"] == "EndpointNotFound"


@faces
def test_a_cancelled_call_is_no_error(face: str, server: Scripted, spans: Spans) -> None:
    async def use(app: Any, wait: Any) -> None:
        begun = app.submit("/forever", "x")
        await wait(begun.cancel())

    observer = OpenTelemetry(tracer_provider=spans.provider)
    with_app(face, server.url, use, observer=observer, timeouts=TIMEOUTS)
    span = spans.only()
    assert dict(span.attributes or {})["gradio.outcome"] == "cancelled"
    assert span.status.status_code is StatusCode.UNSET


@faces
def test_the_span_is_below_that_of_the_caller(face: str, server: Scripted, spans: Spans) -> None:
    tracer = spans.provider.get_tracer("test")

    async def use(app: Any, wait: Any) -> None:
        with tracer.start_as_current_span("caller"):
            await wait(app.call("/hello", "x"))

    with_app(face, server.url, use, observer=OpenTelemetry(tracer_provider=spans.provider), timeouts=TIMEOUTS)
    made, caller = spans.finished
    assert (caller.name, made.name) == ("caller", "call /hello")
    assert made.parent is not None
    assert made.parent.span_id == caller.context.span_id


@faces
@pytest.mark.parametrize("propagate", [False, True])
def test_the_server_sees_the_trace_context_only_if_asked(
    face: str, propagate: bool, server: Scripted, spans: Spans
) -> None:
    seen: list[dict[str, str]] = []
    join = server.default(JOIN)

    def record(reply: Any) -> None:
        seen.append(reply.headers)
        join(reply)

    server.scripts[JOIN] = record
    call(face, server.url, spans, "/hello", "x", propagate=propagate)
    (headers,) = seen
    context = spans.only().context
    wanted = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    assert headers.get("traceparent") == (wanted if propagate else None)
    assert "baggage" not in headers


def test_no_argument_and_no_secret_is_in_a_span(server: Scripted, spans: Spans) -> None:
    url = server.url.replace("http://", "http://me:hidden-password@") + "/?sign=hidden-signature"
    with gt.connect(url, observer=OpenTelemetry(tracer_provider=spans.provider)) as app:
        app.call("/hello", "hidden-argument")
    assert "hidden" not in spans.only().to_json()


class Broken:
    """An observer that raises wherever it can."""

    def start(self, call: ObservedCall) -> Any:
        raise ValueError("start")

    def refuse(self, call: ObservedCall, error: GradioTransportError) -> None:
        raise ValueError("refuse")


class BrokenLater(Broken):
    headers: dict[str, str] = {}  # noqa: RUF012

    def start(self, call: ObservedCall) -> Any:
        return self

    def event(self, event: Event) -> None:
        raise ValueError("event")


@pytest.mark.parametrize("observer", [Broken(), BrokenLater()])
@faces
def test_an_observer_that_raises_is_logged_and_ends_no_call(
    face: str, observer: Broken, server: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(app: Any, wait: Any) -> None:
        assert await wait(app.call("/hello", "x"))
        with pytest.raises(gt.EndpointNotFound):
            await wait(app.call("/nonsense", "x"))

    with_app(face, server.url, use, observer=observer, timeouts=TIMEOUTS)
    assert "the observer of the calls failed" in caplog.text


def test_what_is_no_observer_is_refused() -> None:
    with pytest.raises(LocalProtocolError, match="observer= takes an observer of calls"):
        gt.connect("http://127.0.0.1:9", observer=object())  # type: ignore[arg-type]


def test_a_pickle_has_no_observer(server: Scripted, spans: Spans) -> None:
    with gt.connect(server.url, observer=OpenTelemetry(tracer_provider=spans.provider)) as app:
        again = pickle.loads(pickle.dumps(app))
    with again:
        assert again.call("/hello", "x")
    assert spans.finished == []


def test_without_the_extra_the_import_names_it() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None; sys.modules['opentelemetry.trace'] = None\n"
        "import gradio_transport\n"
        "try:\n    import gradio_transport.otel\n"
        "except ImportError as error:\n    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50
    )
    assert "pip install 'gradio-transport[otel]'" in done.stdout


def test_a_call_without_an_observer_loads_nothing_of_opentelemetry(server: Scripted) -> None:
    program = (
        "import sys, gradio_transport as gt\n"
        f"with gt.connect({server.url!r}) as app: app.call('/hello', 'x')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout.strip() == "[]"
