# SPDX-License-Identifier: Apache-2.0
"""Several tasks that wait for one call, several calls that end for one reason, many requests at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import anyio
import pytest
from faces import FACES, with_app
from scripted import Reply, Scripted, completed, scripted

import gradio_transport as gt
from gradio_transport.aio.connection import REQUESTS_AT_ONCE

JOIN, DATA, RUN = "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/run/direct"

BACKENDS = ("asyncio", "trio")


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


# --- one call, several waiters ------------------------------------------------------------------------


def hold_until(released: threading.Event) -> Callable[[Reply], None]:
    """Return a stream that says nothing before it is told to, and then completes the call."""

    def data(reply: Reply) -> None:
        reply.stream()
        assert released.wait(10)
        reply.send({**completed("done"), "event_id": "event1"})
        reply.send({"msg": "close_stream", "event_id": None})
        reply.end()

    return data


async def read(call: gt.AsyncCall) -> list[Any]:
    return [event async for event in call][-1].data


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("second", ["result", "iteration", "await"])
def test_two_tasks_may_wait_for_one_call(server: Scripted, backend: str, second: str) -> None:
    released = threading.Event()
    server.scripts[DATA] = hold_until(released)
    ended: list[list[Any]] = []

    async def main() -> None:
        async with gt.connect_async(server.url) as app:
            call = app.submit("/hello", "x")

            async def wait(how: str) -> None:
                ended.append(
                    await (call.result() if how == "result" else read(call) if how == "iteration" else call)
                )

            with anyio.fail_after(10):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(wait, "result")
                    while call.event_id is None:  # noqa: ASYNC110 - an attribute, not an event
                        await anyio.sleep(0.01)
                    # The join has woken the first, which waits again; now the second begins to.
                    await anyio.sleep(0.05)
                    tasks.start_soon(wait, second)
                    await anyio.sleep(0.05)
                    released.set()

    anyio.run(main, backend=backend)
    assert ended == [["done"]] * 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_two_tasks_may_read_one_call(server: Scripted, backend: str) -> None:
    """Each event goes to one of them, and the end to both."""
    released = threading.Event()
    server.scripts[DATA] = hold_until(released)

    async def main() -> list[gt.Event]:
        events: list[gt.Event] = []
        async with gt.connect_async(server.url) as app:
            call = app.submit("/hello", "x")

            async def read_all() -> None:
                async for event in call:
                    events.append(event)

            with anyio.fail_after(10):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(read_all)
                    await anyio.sleep(0.05)
                    tasks.start_soon(read_all)
                    await anyio.sleep(0.05)
                    released.set()
        return events

    events = anyio.run(main, backend=backend)
    assert [type(event).__name__ for event in events] == ["Joined", "ProcessCompleted"]


# --- one reason, an error for each call ---------------------------------------------------------------


@pytest.mark.parametrize("face", FACES)
def test_every_call_that_a_close_ends_has_an_error_of_its_own(server: Scripted, face: str) -> None:
    server.scripts[DATA] = lambda reply: (reply.stream(), reply.hold())  # type: ignore[func-returns-value]

    async def use(app: Any, wait: Any) -> list[Any]:
        session = app.session()
        calls = [session.submit("/hello", "x") for _ in range(3)]
        await wait(session.close() if face == "sync" else session.aclose())
        errors = []
        for call in calls:
            with pytest.raises(gt.errors.LocalProtocolError, match="session was closed") as caught:
                await wait(call.result())
            errors.append(caught.value)
        return errors

    errors = with_app(face, server.url, use)
    assert len({id(error) for error in errors}) == 3
    assert len({error.elapsed for error in errors}) == 3
    for error in errors:
        assert len(error.__notes__) == 1


@pytest.mark.parametrize("face", FACES)
def test_every_call_that_a_fault_ends_has_an_error_of_its_own(
    server: Scripted, face: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gradio_transport.calls.tap import TappedSession

    joined = threading.Barrier(2)

    def data(reply: Reply) -> None:
        reply.stream()
        joined.wait(10)
        reply.chunk(b": anything\n\n")
        reply.hold()

    def fault(self: TappedSession, channel: str, chunk: bytes) -> Any:
        raise ValueError("a fault of the adapter")

    server.scripts[DATA] = data
    monkeypatch.setattr(TappedSession, "data_received", fault)

    async def use(app: Any, wait: Any) -> list[Any]:
        calls = [app.submit("/hello", "x") for _ in range(3)]
        if face != "sync":
            while not all(call.event_id for call in calls):  # noqa: ASYNC110 - attributes, not events
                await anyio.sleep(0.01)
        threading.Thread(target=joined.wait, args=(10,)).start()
        errors = []
        for call in calls:
            with pytest.raises(gt.errors.RemoteProtocolError, match="a fault of the adapter") as caught:
                await wait(call.result(10))
            errors.append(caught.value)
        return errors

    errors = with_app(face, server.url, use)
    assert len({id(error) for error in errors}) == 3
    assert {type(error.__cause__) for error in errors} == {ValueError}


# --- requests take turns ------------------------------------------------------------------------------


class Crowd:
    """Counts how many requests a path has at once, and holds them until they are released."""

    def __init__(self, server: Scripted, path: str) -> None:
        self.now = self.most = 0
        self.released = threading.Event()
        self._lock = threading.Lock()
        self._answer = server.default(path)
        server.scripts[path] = self._take

    def _take(self, reply: Reply) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        assert self.released.wait(20)
        with self._lock:
            self.now -= 1
        self._answer(reply)

    async def reach(self, count: int) -> None:
        with anyio.fail_after(10):
            while self.now < count:  # noqa: ASYNC110 - counted by the threads of the server
                await anyio.sleep(0.01)


@pytest.mark.parametrize("backend", BACKENDS)
def test_joins_take_turns(server: Scripted, backend: str) -> None:
    crowd = Crowd(server, JOIN)

    async def main() -> None:
        limits = gt.Limits(connections=4 * REQUESTS_AT_ONCE)
        async with gt.connect_async(server.url, limits=limits) as app, app.session() as session:
            calls = [session.submit("/hello", str(number)) for number in range(2 * REQUESTS_AT_ONCE)]
            await crowd.reach(REQUESTS_AT_ONCE)
            await anyio.sleep(0.3)  # one more than may be would have come by now
            crowd.released.set()
            with anyio.fail_after(20):
                for number, call in enumerate(calls):
                    assert await call == [f"Hello, {number}!"]

    anyio.run(main, backend=backend)
    assert crowd.most == REQUESTS_AT_ONCE


@pytest.mark.parametrize("backend", BACKENDS)
def test_direct_calls_do_not_take_the_turns_of_short_requests(server: Scripted, backend: str) -> None:
    """A direct call takes as long as its function: as many as there are turns leave room for all other requests."""
    crowd = Crowd(server, RUN)

    async def main() -> None:
        limits = gt.Limits(connections=4 * REQUESTS_AT_ONCE)
        async with gt.connect_async(server.url, limits=limits) as app, app.session() as session:
            calls = [session.submit("/direct", str(number)) for number in range(REQUESTS_AT_ONCE + 8)]
            await crowd.reach(REQUESTS_AT_ONCE + 8)
            with anyio.fail_after(10):
                assert await session.call("/hello", "x") == ["Hello, x!"]
            crowd.released.set()
            with anyio.fail_after(20):
                for number, call in enumerate(calls):
                    assert await call == [str(number)]

    anyio.run(main, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_turn_is_given_back_by_a_request_that_fails(server: Scripted, backend: str) -> None:
    server.scripts[JOIN] = Reply.reset

    async def main() -> None:
        async with gt.connect_async(server.url) as app, app.session() as session:
            for _ in range(REQUESTS_AT_ONCE + 1):
                with anyio.fail_after(10), pytest.raises(gt.StreamLost):
                    await session.call("/hello", "x")
            server.scripts = {}
            with anyio.fail_after(10):
                assert await session.call("/hello", "x") == ["Hello, x!"]

    anyio.run(main, backend=backend)
