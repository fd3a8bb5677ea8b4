# SPDX-License-Identifier: Apache-2.0
"""Recordings of every protocol, served on loopback to both faces over every HTTP library.

The cases are played as they were when they were recorded: all their calls, those at once and those that are
cancelled included.  The server is strict: a request that differs from the recorded one ends a case.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path

import anyio
import pytest
from observations import hashes, seen
from pytest_httpserver import HTTPServer

from gradio_transport.protocol.frames import Frame, Kind
from gradio_transport.trace import Trace, read_trace, replay
from gradio_transport_conformance.httpserver import play_on
from gradio_transport_conformance.play import play, play_async
from gradio_transport_conformance.replay.machine import (
    EndpointLocation,
    case_of,
    locate_endpoints,
    observe_replay,
    version_of,
)
from gradio_transport_conformance.replay.recording import Recording
from gradio_transport_conformance.traces import traces
from gradio_transport_http import polling

VERSIONS = {
    "2.9.4": "polling and direct, Flask",
    "3.1.4": "polling",
    "3.1.7": "websocket A",
    "3.4.1": "websocket B",
    "3.50.2": "websocket C",
    "4.8.0": "sse",
    "4.16.0": "sse_v1",
    "4.20.1": "sse_v2",
    "4.21.0": "sse_v2.1",
    "4.44.1": "sse_v3, call",
    "6.31.0": "sse_v3, call, call_v2",
}
"""Every protocol and dialect at least once, with all of its cases."""

CASES = ("hello", "count", "late_error", "call_count", "login")
"""Those of the other versions."""

WAYS = {
    "sync-httpx": (play, None, "httpx"),
    "sync-httpx2": (play, None, "httpx2"),
    "asyncio-httpx": (play_async, "asyncio", "httpx"),
    "asyncio-httpx2": (play_async, "asyncio", "httpx2"),
    "asyncio-aiohttp": (play_async, "asyncio", "aiohttp"),
    "trio-httpx": (play_async, "trio", "httpx"),
}

NAMED_BY_THE_CLIENT = ("websocket", "sse")
"""Protocols whose server learns which call a stream is of when it has begun to answer."""


def playable(path: Path) -> bool:
    """Return whether what a trace says depends on nothing but the requests."""
    trace = read_trace(path)
    case = case_of(trace)
    sessions = [frame.payload for frame in trace.frames if frame.kind is Kind.SESSION]
    if case is None or len({one["source"] for one in sessions}) > 1:
        return False  # of several apps (before 3.0) one is served
    if any(step.component for group in case.steps_for(version_of(trace)) for step in group):
        return False  # a trace does not say which component a number is of
    errors = {frame.payload["error"] for frame in trace.frames if frame.kind is Kind.ERROR}
    if errors & {"Timeout", "TimeoutExpired"}:  # the name that it had when the older traces were recorded
        return False  # it would take as long again
    late = any(one["adapter"] in NAMED_BY_THE_CLIENT for one in sessions)
    # Of calls of one function at once, the one that comes first is answered as the one that came first.
    return not late or all(
        len({str(step.data) for step in group if step.call == one.call}) == 1
        for group in case.steps_for(version_of(trace))
        for one in group
    )


def parameters() -> Iterator[object]:
    ways = itertools.cycle(WAYS)
    for path in traces():
        name = f"{path.parent.name}/{path.stem}"
        if (path.parent.name in VERSIONS or path.stem in CASES) and playable(path):
            # One way for each trace, all for each protocol: all for each would take minutes.
            way = next(ways)
            yield pytest.param(path, way, id=f"{name}-{way}")


@pytest.fixture(scope="module")
def server() -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1", port=0, threaded=True) as running:
        yield running
    assert not running.is_running()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll without the pauses that are for the sake of real servers."""
    wake = polling.PollingExchange._schedule_poll
    monkeypatch.setattr(
        polling.PollingExchange, "_schedule_poll", lambda self, now, delay=0.0: wake(self, now, 0.01)
    )


APP = "http://app"
"""What the address of an app is called, recorded or served."""


def recorded_base(trace: Trace) -> str:
    first = next(frame for frame in trace.frames if frame.kind is Kind.REQUEST)
    return str(first.payload["url"]).removesuffix("/config")


@pytest.mark.parametrize(("path", "way"), list(parameters()))
def test_a_case_over_sockets_gives_the_events_of_the_recording(
    server: HTTPServer, path: Path, way: str
) -> None:
    trace = read_trace(path)
    case = case_of(trace)
    assert case is not None
    known = locate_endpoints(trace)
    frames: list[Frame] = []
    player, backend, engine = WAYS[way]
    with play_on(server, trace, strict=True) as served:

        def locate(name: str) -> EndpointLocation:
            there = known.get(name, EndpointLocation("", 0, name))
            return EndpointLocation(served.url, there.fn_index, there.api_name)

        run = partial(player, case, version_of(trace), locate, tap=frames.append, engine=engine)
        observed = iter(anyio.run(run, backend=backend) if backend is not None else run())
    expected = iter(observe_replay(trace, replay(trace)))
    here = {served.url: APP, **hashes(frames)}
    # Behind a proxy, an app may give its files another address than the one that it is asked at.
    shown = {address: APP for address in (recorded_base(trace), Recording(trace).shown) if address}
    there = {**shown, **hashes(trace.frames)}
    for group in case.steps_for(version_of(trace)):
        then = [seen(one, there) for one in islice(expected, len(group))]
        now = [seen(one, here) for one in islice(observed, len(group))]
        # Of calls at once, each may get what another got then. What never came to a server is in no trace.
        assert not then or sorted(now) == sorted(then)
