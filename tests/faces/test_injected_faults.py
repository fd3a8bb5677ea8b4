# SPDX-License-Identifier: Apache-2.0
"""A fault at each place where one can be: the call that it concerns says what it was, and the next one works.

A run without a fault counts the places: each step before and after it is performed, each answer of a
session's machine, each tap, each thread that starts, each done callback. Then there is one run for each place.
"""

from __future__ import annotations

import json
import linecache
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import pytest
from faces import FACES
from scripted import CONFIG, Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.aio.connection import Connection as AsyncConnection
from gradio_transport.calls.tap import TappedSession
from gradio_transport.sync.connection import Connection

TIMEOUTS = gt.Timeouts(connect=5, join=5, first_message=4, idle=4)
BOUND_SECONDS = 3.0
"""Less than each of the deadlines: a call that only a deadline ends has failed the test."""

EVERY_LINE = 11
"""Of the lines that run in the caller's thread, each how many-th is interrupted."""

OWN = tuple(str(Path(gt.__file__).parent / room) for room in ("sync", "calls", "adapter"))


class Injected(Exception):
    """The fault."""


class Places:
    """Counts the places that a run passes, and raises at one of them."""

    def __init__(self, face: str = "sync", at: int | None = None) -> None:
        self.at = at
        # In a task it would end the loop, as it should.
        self.of_callback: type[BaseException] = SystemExit if face == "sync" else Injected
        self.kinds: list[str] = []
        self.armed = False
        self._lock = threading.Lock()

    def reach(self, kind: str, make: Callable[[], BaseException] = Injected) -> None:
        with self._lock:
            if not self.armed:
                return
            self.kinds.append(kind)
            struck = len(self.kinds) - 1 == self.at
        if struck:
            raise make()


places = Places()


def no_thread() -> BaseException:
    return RuntimeError("can't start new thread")


@pytest.fixture
def server() -> Iterator[Scripted]:
    def own_stream(reply: Reply) -> None:
        reply.stream()
        for name, data in (("generating", ["0"]), ("complete", ["0 1"])):
            reply.chunk(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
        reply.end()

    with scripted() as running:
        running.scripts = {
            "/config": lambda reply: reply.json({**CONFIG, "connect_heartbeat": True}),
            "/gradio_api/call/count": lambda reply: reply.json({"event_id": "e1"}),
            "/gradio_api/call/count/e1": own_stream,
        }
        yield running


@pytest.fixture(autouse=True)
def instrumented(monkeypatch: pytest.MonkeyPatch) -> None:
    perform, perform_async = Connection._perform, AsyncConnection._perform
    shown, begin = TappedSession._show_output, threading.Thread.start

    def performed(self: Connection, step: Any) -> Any:
        places.reach(f"before {type(step).__name__}")
        answer = perform(self, step)
        places.reach(f"after {type(step).__name__}")
        return answer

    async def performed_async(self: AsyncConnection, step: Any) -> Any:
        places.reach(f"before {type(step).__name__}")
        answer = await perform_async(self, step)
        places.reach(f"after {type(step).__name__}")
        return answer

    def show(self: TappedSession, turn: Any) -> Any:
        answer = shown(self, turn)
        places.reach("machine")
        return answer

    def start(self: threading.Thread) -> None:
        if self.name.startswith("gradio-transport"):
            places.reach("thread", no_thread)
        begin(self)

    monkeypatch.setattr(Connection, "_perform", performed)
    monkeypatch.setattr(AsyncConnection, "_perform", performed_async)
    monkeypatch.setattr(TappedSession, "_show_output", show)
    monkeypatch.setattr(threading.Thread, "start", start)


def tap(frame: Any) -> None:
    places.reach("tap")


def listener(event: gt.Event) -> None:
    places.reach("listener")


def ended(call: Any) -> None:
    places.reach("callback", places.of_callback)


Wait = Callable[[Any], Any]


async def queued(session: Any, wait: Wait) -> None:
    call = session.submit("/count", "x", options=gt.CallOptions(listener=listener))
    call.add_done_callback(ended)
    assert await wait(call.result()) == ["0 1"]


async def called(session: Any, wait: Wait) -> None:
    assert await wait(session.call("/count", "x")) == ["0 1"]


async def two_at_once(session: Any, wait: Wait) -> None:
    calls = [session.submit(name, "x") for name in ("/count", "/hello")]
    for call in calls:
        await wait(call.result())


async def cancelled(session: Any, wait: Wait) -> None:
    call = session.submit("/forever", "x")
    call.add_done_callback(ended)
    await wait(call.cancel())
    with pytest.raises(CancelledError):
        await wait(call.result())


async def direct(session: Any, wait: Wait) -> None:
    call = session.submit("/direct", "x")
    call.add_done_callback(ended)
    assert await wait(call.result()) == ["x"]
    assert await wait(session.call("/direct", "x")) == ["x"]


async def with_own_stream(session: Any, wait: Wait) -> None:
    call = session.submit("/count", "x", options=gt.CallOptions(protocol="call"))
    assert await wait(call.result()) == ["0 1"]


async def late(session: Any, wait: Wait) -> None:
    call = session.submit("/count", "x", options=gt.CallOptions(attach="late", fetch_after=0.01))
    assert await wait(call.result()) == ["0 1"]


async def in_own_session(session: Any, wait: Wait) -> None:
    call = session.submit("/count", "x", options=gt.CallOptions(own_session=True))
    assert await wait(call.result()) == ["0 1"]


SCENARIOS = (queued, called, two_at_once, cancelled, direct, with_own_stream, late, in_own_session)


def ours() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("gradio-transport")]


class Outcome:
    """What a run came to."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def check(self, kind: str) -> None:
        error = self.error
        if error is None or (kind == "callback" and isinstance(error, SystemExit)):  # in the main thread
            return
        assert isinstance(error, gt.GradioTransportError | CancelledError), (kind, error)
        assert not isinstance(error, gt.TimeoutExpired), (kind, error)
        if kind in ("tap", "listener"):
            assert type(error) is gt.errors.LocalProtocolError, (kind, error)
            assert f"The {kind} {kind} raised Injected" in str(error)
        if kind == "thread":
            assert "could not be started" in str(error)


def by_threads(url: str, scenario: Any) -> Outcome:
    error: BaseException | None = None
    with gt.connect(url, tap=tap, timeouts=TIMEOUTS) as app:
        session = app.session()
        places.armed = True
        began = time.monotonic()
        try:
            run(scenario(session, itself))
        except (gt.GradioTransportError, CancelledError, Injected, SystemExit) as caught:
            error = caught
        assert time.monotonic() - began < BOUND_SECONDS
        places.armed = False
        run(later_calls(app, session, itself))
        began = time.monotonic()
    assert time.monotonic() - began < BOUND_SECONDS
    assert ours() == []
    return Outcome(error)


def by_tasks(url: str, scenario: Any, face: str) -> Outcome:
    face, _, engine = face.partition("+")

    async def main() -> BaseException | None:
        error: BaseException | None = None
        connected = gt.connect_async(url, tap=tap, timeouts=TIMEOUTS, engine=engine or "httpx")
        async with connected as app:
            session = app.session()
            places.armed = True
            with anyio.fail_after(BOUND_SECONDS):
                try:
                    await scenario(session, awaited)
                except (gt.GradioTransportError, CancelledError, Injected) as caught:
                    error = caught
            places.armed = False
            with anyio.fail_after(BOUND_SECONDS):
                await later_calls(app, session, awaited)
            began = time.monotonic()
        assert time.monotonic() - began < BOUND_SECONDS
        return error

    return Outcome(anyio.run(main, backend=face))


async def later_calls(app: Any, session: Any, wait: Wait) -> None:
    """Make calls after the fault; one that begins at the moment of the fault may still end with it."""
    try:
        result = await wait(session.call("/hello", "b"))
    except gt.GradioTransportError as error:
        assert isinstance(error.__cause__, Injected)  # noqa: PT017
        result = await wait(session.call("/hello", "b"))
    assert result == ["Hello, b!"]
    assert await wait(session.submit("/direct", "c").result()) == ["c"]
    assert await wait(app.session().call("/hello", "d")) == ["Hello, d!"]


async def itself(value: Any) -> Any:
    return value


async def awaited(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


def run(coroutine: Any) -> None:
    with pytest.raises(StopIteration):
        coroutine.send(None)


def play(face: str, url: str, scenario: Any) -> Outcome:
    return by_threads(url, scenario) if face == "sync" else by_tasks(url, scenario, face)


PLAYED = [
    pytest.param(face, scenario, id=f"{scenario.__name__}-{face}")
    for scenario in SCENARIOS
    for face in FACES
    if "+" not in face or scenario in (queued, with_own_stream)  # the engine differs in its streams only
]


@pytest.mark.parametrize(("face", "scenario"), PLAYED)
def test_a_fault_anywhere_ends_its_call_and_no_later_one(
    server: Scripted, face: str, scenario: Any, caplog: pytest.LogCaptureFixture
) -> None:
    global places
    places = Places(face)
    assert play(face, server.url, scenario).error is None
    kinds = places.kinds
    assert len(kinds) > 5
    for place, kind in enumerate(kinds):
        places = Places(face, place)
        outcome = play(face, server.url, scenario)
        if places.kinds[place:] and places.kinds[place] == kind:  # else threads took turns in another way
            outcome.check(kind)


class Interrupting:
    """Raises KeyboardInterrupt at one of the lines of the drivers that run in this thread."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.count = 0

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self.line if frame.f_code.co_filename.startswith(OWN) else None

    def line(self, frame: FrameType, event: str, argument: Any) -> Any:
        text = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        # No signal handler runs just before a `try`, or before a `with` block calls its exit: neither would end.
        if event == "line" and text != "try:" and not text.startswith("with "):
            self.count += 1
            if self.count == self.at:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self.line


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.__name__)
def test_an_interrupt_at_any_line_hurts_no_later_call(server: Scripted, scenario: Any) -> None:
    before, at = sys.gettrace(), 1
    with gt.connect(server.url, timeouts=TIMEOUTS) as app:
        while True:
            session = app.session()
            interrupting = Interrupting(at)
            began = time.monotonic()
            sys.settrace(interrupting)
            try:
                run(scenario(session, itself))
            except KeyboardInterrupt:
                pass
            except CancelledError:
                pass  # the interrupt came in a done callback, or where the call had just been cancelled
            finally:
                sys.settrace(before)
            assert time.monotonic() - began < BOUND_SECONDS, at
            began = time.monotonic()
            assert session.call("/hello", "b") == ["Hello, b!"], at
            session.close()
            assert time.monotonic() - began < BOUND_SECONDS, at
            if interrupting.count < at:
                break
            at += EVERY_LINE
    assert at > EVERY_LINE
    assert ours() == []
