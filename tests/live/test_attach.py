# SPDX-License-Identifier: Apache-2.0
"""Real servers keep what they have to say of a call until somebody opens its stream, here or elsewhere."""

import subprocess
import sys
import time
from typing import Any

import anyio
import attrs
import pytest

import gradio_transport as gt
from conformance.servers import Scenario, Server
from gradio_transport.trace import Frame
from gradio_transport_conformance.cases import numbers

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

TIMEOUTS = gt.Timeouts(total=30)
LATE = gt.CallOptions(attach="late", own_session=True)
PROTOCOLS = pytest.mark.parametrize("protocol", ["auto", "call"])

SUBMIT = """
import sys, time, gradio_transport as gt
url, endpoint, protocol, *arguments = sys.argv[1:]
with gt.connect(url, protocol=protocol) as app:
    options = gt.CallOptions(attach="late", own_session=True)
    call = app.submit(endpoint, *map(eval, arguments), options=options)
    while call.event_id is None:
        time.sleep(0.01)
    print(call.handle().to_json())
"""
"""A process that makes a call and exits: what it prints is all that is left of it."""


def need(server: Server, scenario: str, protocol: str = "auto") -> Scenario:
    if numbers(server.version) < numbers("4.20" if protocol == "call" else "4.9"):
        pytest.skip(f"Gradio {server.version} keeps nothing")
    return server.scenario(scenario)


def elsewhere(place: Scenario, protocol: str, *arguments: Any) -> gt.Handle:
    """Make a call in another process, and return its handle once that has ended."""
    command = [sys.executable, "-c", SUBMIT, place.url, f"/{place.api_name}", protocol, *map(repr, arguments)]
    done = subprocess.run(command, check=True, timeout=60, stdout=subprocess.PIPE)
    return gt.Handle.from_json(done.stdout)


@PROTOCOLS
def test_a_call_of_another_process_is_fetched_after_that_has_exited(server: Server, protocol: str) -> None:
    place = need(server, "count", protocol)
    handle = elsewhere(place, protocol, 3)
    with gt.connect(place.url, timeouts=TIMEOUTS) as app:
        call = app.attach(handle)
        events = list(call)
        assert isinstance(events[-1], gt.ProcessCompleted)
        expected = list(app.submit(f"/{place.api_name}", 3, options=gt.CallOptions(protocol=protocol)))
    # Everything that was said while nobody listened comes in its order, complete.
    assert steps(events) == steps(expected)
    assert call.result() == expected[-1].data


def steps(events: list[gt.Event]) -> list[Any]:
    return [event.data for event in events if isinstance(event, gt.ProcessGenerating | gt.ProcessCompleted)]


@PROTOCOLS
def test_a_function_runs_on_while_nobody_listens(server: Server, protocol: str) -> None:
    place = need(server, "slow", protocol)
    handle = elsewhere(place, protocol, 1.5)
    time.sleep(2.5)
    begun = time.monotonic()

    async def fetch() -> list[Any]:
        async with gt.connect_async(place.url, timeouts=TIMEOUTS) as app:
            return await app.attach(handle)

    assert anyio.run(fetch)
    assert time.monotonic() - begun < 1.5  # it had run before anybody asked


@PROTOCOLS
def test_a_late_call_opens_its_stream_at_its_time(server: Server, protocol: str) -> None:
    place = need(server, "slow", protocol)
    opened: list[float] = []

    def tap(frame: Frame) -> None:
        if frame.kind == "request" and frame.session and frame.payload.get("stream"):
            opened.append(frame.t)

    options = attrs.evolve(LATE, fetch_after=1.0, protocol=protocol)
    with gt.connect(place.url, timeouts=TIMEOUTS, tap=tap) as app:
        begun = time.monotonic()
        assert app.call(f"/{place.api_name}", 0.3, options=options)
    assert len(opened) == 1
    assert 1.0 <= opened[0] - begun < 2.0


@PROTOCOLS
def test_a_result_is_fetched_once(server: Server, protocol: str) -> None:
    place = need(server, "hello", protocol)
    handle = elsewhere(place, protocol, "you")
    once = gt.CallOptions(timeouts=gt.Timeouts(first_message=3, total=30))
    with gt.connect(place.url, timeouts=TIMEOUTS) as app:
        assert app.attach(handle).result() == ["Hello, you!"]
        with pytest.raises((gt.TimeoutExpired, gt.errors.SessionNotFound, gt.StreamLost)) as caught:
            app.attach(handle, options=once).result()
    if isinstance(caught.value, gt.TimeoutExpired):
        assert caught.value.setting == "first_message"


def test_a_session_that_the_server_does_not_know_says_so(server: Server) -> None:
    place = need(server, "hello")
    handle = attrs.evolve(elsewhere(place, "auto", "you"), session_hash="nobodyknows")
    lost = pytest.raises((gt.errors.SessionNotFound, gt.StreamLost))
    with gt.connect(place.url, timeouts=TIMEOUTS) as app, lost as caught:
        app.attach(handle).result()
    assert caught.value.phase is gt.errors.Phase.STREAM


def test_an_expired_total_stops_a_running_generator(server: Server) -> None:
    place = need(server, "forever")
    frames: list[Frame] = []
    with gt.connect(place.url, tap=frames.append) as app:
        options = gt.CallOptions(timeouts=gt.Timeouts(total=1))
        call = app.submit(f"/{place.api_name}", options=options)
        with pytest.raises(gt.TimeoutExpired) as caught:
            call.result()
        assert caught.value.setting == "total"
        assert app.call("/" + str(server.scenario("hello").api_name), "you") == ["Hello, you!"]
    told = [one for one in frames if one.kind == "request" and one.channel.endswith(".cancel")]
    assert len(told) == 1
