# SPDX-License-Identifier: Apache-2.0
"""Both faces over a loopback server: order, cancellation, many calls at once, and what is left behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import anyio
import pytest
from scripted import Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.protocol.flow import State

FACES = ("asyncio", "trio")
ENGINES = ("httpx", "httpx2")

CANCEL, DATA, RUN = "/gradio_api/cancel", "/gradio_api/queue/data", "/gradio_api/run/direct"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("gradio-transport")]


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def eventually(condition: Callable[[], bool]) -> bool:
    """Give the other end of closed sockets a moment."""
    until = time.monotonic() + 5
    while not condition() and time.monotonic() < until:
        gc.collect()
        time.sleep(0.02)
    return condition()


def hang(reply: Reply) -> None:
    reply.stream()
    reply.hold()


# --- sync ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_events_come_in_order_and_the_result_is_the_last_value(server: Scripted, engine: Any) -> None:
    with gt.connect(server.url, engine=engine) as app:
        call = app.submit("/count", "x")
        kinds = [type(event).__name__ for event in call]
        assert kinds == [
            "Joined", "Estimation", "ProcessStarts", "ProcessGenerating", "ProcessGenerating", "ProcessCompleted",
        ]  # fmt: skip
        assert call.result() == ["0 1"]
        assert call.status is State.COMPLETED
        assert call.done()
        assert list(call) == []


def test_the_same_call_by_name_by_position_and_by_number(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        assert app.call("/hello", "a") == app.call("hello", text="a") == app.call(0, "a") == ["Hello, a!"]
        assert app.call("/direct", "d") == ["d"]
        assert app.protocol == "sse_v3"
        assert "→ direct" in app.explain("/direct")


@pytest.mark.parametrize(
    ("arguments", "keywords", "problem"),
    [
        ((), {}, "text"),
        (("a", "b"), {}, "argument 2"),
        (("a",), {"text": "b"}, "text"),
        (("a",), {"txet": "b"}, "txet"),
        (("a",), {"options": 5}, "options"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_sent(server, arguments, keywords, problem) -> None:
    with gt.connect(server.url) as app:
        with pytest.raises(gt.ValidationFailed) as caught:
            app.submit("/hello", *arguments, **keywords)
        assert problem in caught.value.problems
        assert "/hello(text: " in str(caught.value)
        assert not any(path.endswith("join") for path, _ in server.seen)


def test_an_unknown_endpoint_is_refused_with_the_nearest_names(server: Scripted) -> None:
    with gt.connect(server.url) as app, pytest.raises(gt.EndpointNotFound, match="'/hello'"):
        app.call("/helo", "x")


def test_an_error_of_the_app_is_the_last_event_and_raised_by_the_result(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        call = app.submit("/raise_error", "x")
        last = list(call)[-1]
        assert isinstance(last, gt.ProcessCompleted)
        assert not last.success
        with pytest.raises(gt.AppError, match="why") as caught:
            call.result()
        assert caught.value.title == "Error"


def test_waiting_for_a_result_may_be_given_up_without_the_call(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        call = app.submit("/forever", "x")
        with pytest.raises(gt.TimeoutExpired) as caught:
            call.result(timeout=0.05)
        assert caught.value.setting == "timeout"
        assert not call.done()


def test_cancelling_returns_at_once_and_tells_the_server(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        call = app.submit("/forever", "x")
        for event in call:
            if isinstance(event, gt.ProcessGenerating):
                break
        began = time.monotonic()
        assert call.cancel() is gt.events.Achieved.STOPPING
        assert time.monotonic() - began < 2
        assert server.wait_for(CANCEL)
        body = next(body for path, body in server.seen if path == CANCEL)
        assert body == {"event_id": call.event_id, "fn_index": 2, "session_hash": app.session_hash}
        with pytest.raises(CancelledError):
            call.result()
        assert isinstance(list(call)[-1], gt.Cancelled)
        assert call.cancel() is gt.events.Achieved.STOPPING


def test_a_sibling_is_not_killed_by_a_cancellation(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        first, second = app.submit("/forever", "x"), app.submit("/forever", "y")
        assert first.cancel() is gt.events.Achieved.RUNS_ON
        assert not any(path == CANCEL for path, _ in server.seen)
        assert not second.done()


def test_an_interrupt_while_waiting_cancels_upstream(server: Scripted, monkeypatch) -> None:
    from gradio_transport.sync.pending_call import PendingCall

    def interrupted(self: PendingCall, timeout: float | None = None) -> list[Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(PendingCall, "result", interrupted)
    with gt.connect(server.url) as app:
        with pytest.raises(KeyboardInterrupt):
            app.call("/forever", "x")
        assert server.wait_for(CANCEL)


def test_callbacks_run_once_the_call_is_done(server: Scripted) -> None:
    done = threading.Event()
    with gt.connect(server.url) as app:
        call = app.submit("/hello", "x")
        call.add_done_callback(lambda one: done.set())
        assert done.wait(5)
        again = threading.Event()
        call.add_done_callback(lambda one: again.set())
        assert again.is_set()


def test_a_callback_holds_up_no_other_thread(server: Scripted) -> None:
    entered, leave = threading.Event(), threading.Event()

    def dawdle(call: gt.Call) -> None:
        entered.set()
        leave.wait(10)

    def gated(reply: Reply) -> None:
        if reply.server.wait_for("/listening"):
            server.data(reply)

    server.scripts = {DATA: gated}
    with gt.connect(server.url) as app:
        app.submit("/hello", "x").add_done_callback(dawdle)
        with server.changed:
            server.seen.append(("/listening", None))
            server.changed.notify_all()
        assert entered.wait(5)
        began = time.monotonic()
        app.submit("/hello", "y")
        assert time.monotonic() - began < 5
        leave.set()


def test_a_thousand_calls_at_once_on_one_session(server: Scripted) -> None:
    before = len(ours())
    with gt.connect(server.url) as app:
        calls = [app.submit("/hello", str(number)) for number in range(1000)]
        assert len(ours()) - before <= 2
        assert [call.result(30) for call in calls] == [[f"Hello, {number}!"] for number in range(1000)]
    assert ours() == []


def test_a_thousand_calls_at_once_on_many_sessions(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        sessions = [app.session() for _ in range(50)]
        calls = [sessions[number % 50].submit("/hello", str(number)) for number in range(1000)]
        assert len(ours()) <= 51
        assert [call.result(30) for call in calls] == [[f"Hello, {number}!"] for number in range(1000)]
    assert ours() == []


def test_nothing_grows_with_the_number_of_calls(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        app.call("/hello", "warm up")
        before = descriptors()
        for number in range(200):
            app.call("/hello", str(number))
        assert eventually(lambda: descriptors() <= before + 4)
    assert ours() == []


def test_transports_leave_no_descriptor_behind(server: Scripted) -> None:
    def once() -> None:
        with gt.connect(server.url) as app:
            app.call("/count", "x")
            app.submit("/forever", "x")

    once()
    assert eventually(lambda: True)
    before = descriptors()
    for _ in range(20):
        once()
    assert eventually(lambda: descriptors() <= before + 4)
    assert ours() == []


@pytest.mark.parametrize("endpoint", ["/forever", "/direct"])
def test_closing_ends_what_is_under_way(server: Scripted, endpoint: str) -> None:
    server.scripts = {DATA: hang, RUN: Reply.hold}
    app = gt.connect(server.url)
    call = app.submit(endpoint, "x")
    assert server.wait_for(DATA if endpoint == "/forever" else RUN)
    began = time.monotonic()
    app.close()
    app.close()
    assert time.monotonic() - began < 3
    with pytest.raises(gt.errors.LocalProtocolError, match="closed"):
        call.result()
    with pytest.raises(gt.errors.LocalProtocolError, match="closed"):
        app.call("/hello", "x")
    assert ours() == []


def test_a_transport_that_was_not_closed_says_so(server: Scripted) -> None:
    app = gt.connect(server.url)
    with pytest.warns(ResourceWarning, match="not closed"):
        del app
    gc.collect()
    assert ours() == []


def test_after_a_loss_the_session_goes_on_with_a_fresh_hash(server: Scripted) -> None:
    with gt.connect(server.url) as app:
        before = app.session_hash
        server.scripts = {DATA: Reply.reset}
        with pytest.raises(gt.StreamLost):
            app.call("/hello", "x")
        server.scripts = {}
        assert app.call("/hello", "x") == ["Hello, x!"]
        assert app.session_hash != before


def test_a_caller_that_does_not_read_hurts_nobody_else(server: Scripted) -> None:
    def many(reply: Reply) -> None:
        reply.stream()
        event = {
            "msg": "process_generating",
            "event_id": "event1",
            "output": {"data": [[["append", [], "x" * 50]]]},
        }
        reply.send({**event, "output": {"data": ["x"]}}, *[event] * 500)
        for number in range(2, 102):
            output = {"data": [f"other {number}"]}
            reply.send(
                {"msg": "process_completed", "event_id": f"event{number}", "success": True, "output": output}
            )
        done = {"data": ["x" * 25_001]}
        reply.send({"msg": "process_completed", "event_id": "event1", "success": True, "output": done})
        reply.end()

    def gated(reply: Reply) -> None:
        if reply.server.wait_for("/all joined"):
            many(reply)

    server.scripts = {DATA: gated}
    with gt.connect(server.url, limits=gt.Limits(mailbox_bytes=4000)) as app:
        slow = app.submit("/count", "x")
        others = [app.submit("/hello", str(number)) for number in range(100)]
        with server.changed:
            server.seen.append(("/all joined", None))
            server.changed.notify_all()
        assert [call.result(20) for call in others] == [[f"other {number}"] for number in range(2, 102)]
        assert slow.result(20) == ["x" * 25_001]
        frames = [event for event in slow if isinstance(event, gt.ProcessGenerating)]
        assert len(frames) + sum(frame.skipped for frame in frames) == 501
        assert frames[-1].data == ["x" * 25_001]
        assert len(frames) < 200


def test_a_caller_that_must_not_lose_frames_is_told(server: Scripted) -> None:
    def many(reply: Reply) -> None:
        reply.stream()
        event = {"msg": "process_generating", "event_id": "event1", "output": {"data": [[]]}}
        reply.send(*[event] * 200)
        reply.hold()

    server.scripts = {DATA: many}
    limits = gt.Limits(mailbox_bytes=2000, mailbox_policy="fail")
    with (
        gt.connect(server.url, limits=limits) as app,
        pytest.raises(gt.errors.SlowConsumer, match="mailbox_bytes"),
    ):
        app.submit("/count", "x").result(10)


def test_a_silent_server_does_not_keep_the_interpreter(server: Scripted) -> None:
    server.scripts = {DATA: hang, RUN: Reply.hold}
    program = (
        "import sys, gradio_transport as gt\n"
        f"app = gt.connect({server.url!r})\n"
        "app.submit('/forever', 'x'); app.submit('/direct', 'x')\n"
        "print('leaving', flush=True)\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout == "leaving\n"
    assert done.stderr == ""
    assert done.returncode == 0
    assert time.monotonic() - began < 15


# --- async --------------------------------------------------------------------------------------------


@pytest.fixture(params=[*FACES, "asyncio+aiohttp"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    backend, _, engine = request.param.partition("+")
    if engine:
        connect = gt.connect_async
        monkeypatch.setattr(
            gt, "connect_async", lambda url, **more: connect(url, **{**more, "engine": engine})
        )
    return lambda main: anyio.run(main, backend=backend)


@pytest.mark.parametrize("engine", ENGINES)
def test_async_events_and_results(server: Scripted, run: Any, engine: Any) -> None:
    async def main() -> None:
        async with gt.connect_async(server.url, engine=engine) as app:
            call = app.submit("/count", "x")
            kinds = [type(event).__name__ async for event in call]
            assert kinds[0] == "Joined"
            assert kinds[-1] == "ProcessCompleted"
            assert await call == ["0 1"]
            assert await app.call("/direct", "d") == ["d"]
            with pytest.raises(gt.AppError):
                await app.call("/raise_error", "x")

    run(main)


def test_async_thousand_calls_at_once_without_a_thread(server: Scripted, run: Any) -> None:
    async def main() -> None:
        async with gt.connect_async(server.url) as app:
            threads = threading.active_count() - len(server_threads())
            calls = [app.submit("/hello", str(number)) for number in range(1000)]
            assert [await call for call in calls] == [[f"Hello, {number}!"] for number in range(1000)]
            assert threading.active_count() - len(server_threads()) <= threads
        async with gt.connect_async(server.url) as app:
            sessions = [app.session() for _ in range(50)]
            calls = [sessions[number % 50].submit("/hello", str(number)) for number in range(1000)]
            assert [await call for call in calls] == [[f"Hello, {number}!"] for number in range(1000)]

    run(main)
    assert ours() == []


def server_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "process_request_thread" in thread.name]


def test_async_cancelling_tells_the_server(server: Scripted, run: Any) -> None:
    async def main() -> None:
        async with gt.connect_async(server.url) as app:
            call = app.submit("/forever", "x")
            async for event in call:
                if isinstance(event, gt.ProcessGenerating):
                    break
            assert await call.cancel() is gt.events.Achieved.STOPPING
            with pytest.raises(CancelledError):
                await call

    run(main)
    assert server.wait_for(CANCEL)


def test_cancelling_the_task_cancels_the_call_upstream(server: Scripted, run: Any) -> None:
    async def main() -> None:
        async with gt.connect_async(server.url) as app:
            with anyio.move_on_after(0.3) as scope:
                await app.call("/forever", "x")
            assert scope.cancelled_caught

    run(main)
    assert server.wait_for(CANCEL)


def test_leaving_the_block_ends_what_is_under_way(server: Scripted, run: Any) -> None:
    server.scripts = {DATA: hang, RUN: Reply.hold}

    async def main() -> None:
        async with gt.connect_async(server.url) as app:
            calls = [app.submit("/forever", "x"), app.submit("/direct", "x")]
            await anyio.to_thread.run_sync(server.wait_for, DATA)
        for call in calls:
            with pytest.raises(gt.errors.LocalProtocolError, match="closed"):
                await call

    began = time.monotonic()
    run(main)
    assert time.monotonic() - began < 5


def test_the_block_passes_its_own_exception_on_as_it_is(server: Scripted, run: Any) -> None:
    async def main() -> None:
        async with gt.connect_async(server.url) as app:
            await app.call("/hello", "x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(main)


def test_a_transport_is_entered_once_and_before_it_is_used(server: Scripted, run: Any) -> None:
    async def main() -> None:
        transport = gt.connect_async(server.url)
        with pytest.raises(gt.errors.LocalProtocolError, match="async with"):
            transport.submit("/hello", "x")
        async with transport as app:
            with pytest.raises(gt.errors.LocalProtocolError, match="twice"):
                await app.__aenter__()

    run(main)
