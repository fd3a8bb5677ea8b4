# SPDX-License-Identifier: Apache-2.0
"""Which calls are submitted again after their stream was lost, and how often."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import anyio
import attrs
import pytest
from faces import FACES, with_app
from scripted import Reply, Scripted, completed, scripted

import gradio_transport as gt

JOIN = "/gradio_api/queue/join"
DATA = "/gradio_api/queue/data"
POLICY = gt.RetryPolicy(attempts=4, base=0.01, cap=1)
REPEATABLE = gt.CallOptions(repeatable=True)

each_face = pytest.mark.parametrize("face", FACES)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def lost_at_first(server: Scripted, times: int, how: Callable[[Reply], None]) -> None:
    """Lose so many streams, then do what is usual."""
    counter = itertools.count()

    def data(reply: Reply) -> None:
        if next(counter) >= times:
            server.data(reply)
            return
        reply.stream()
        how(reply)

    server.scripts = {DATA: data}


def forgotten(reply: Reply) -> None:
    reply.send({"msg": "unexpected_error", "message": "404: Not Found", "session_not_found": True})
    reply.end()


LOSSES = {"reset": Reply.reset, "cut": Reply.cut, "session not found": forgotten}


def joins(server: Scripted) -> list[str]:
    return [body["session_hash"] for path, body in server.seen if path == JOIN]


@each_face
@pytest.mark.parametrize("loss", LOSSES)
def test_a_repeatable_call_is_submitted_again_with_a_new_session(
    server: Scripted, face: str, loss: str
) -> None:
    lost_at_first(server, 2, LOSSES[loss])

    async def use(app, wait):
        return await wait(app.call("/hello", "x", options=REPEATABLE))

    assert with_app(face, server.url, use, retry=POLICY) == ["Hello, x!"]
    assert len(set(joins(server))) == len(joins(server)) == 3


@each_face
@pytest.mark.parametrize("own", [False, True])
def test_its_events_say_that_it_begins_anew(server: Scripted, face: str, own: bool) -> None:
    lost_at_first(server, 1, Reply.cut)
    options = attrs.evolve(REPEATABLE, own_session=own)

    async def use(app, wait):
        call = app.submit("/hello", "x", options=options)
        result = await wait(call.result(timeout=10))
        events = [call._pending.mailbox.get() for _ in range(len(call._pending.mailbox))]
        return result, events, call.session_hash

    result, events, session = with_app(face, server.url, use, retry=POLICY)
    assert result == ["Hello, x!"]
    (again,) = [event for event in events if isinstance(event, gt.events.Resubmitted)]
    assert again.attempt == 2
    assert isinstance(again.error, gt.StreamLost)
    assert sum(isinstance(event, gt.events.Joined) for event in events) == 2
    assert session == joins(server)[1]


@each_face
@pytest.mark.parametrize(
    ("options", "policy"),
    [
        (gt.CallOptions(), POLICY),
        (REPEATABLE, gt.RetryPolicy.none()),
        (REPEATABLE, gt.RetryPolicy(attempts=5, base=1000, cap=1000, budget=0.001)),
    ],
    ids=["not declared", "no policy", "no budget"],
)
def test_no_other_call_is_submitted_again(server: Scripted, face: str, options, policy) -> None:
    lost_at_first(server, 9, Reply.cut)

    async def use(app, wait):
        with pytest.raises(gt.StreamLost) as caught:
            await wait(app.call("/hello", "x", options=options))
        return caught.value.may_have_run

    assert with_app(face, server.url, use, retry=policy) is True
    assert len(joins(server)) == 1


@each_face
def test_the_policy_bounds_how_often(server: Scripted, face: str) -> None:
    lost_at_first(server, 99, Reply.cut)

    async def use(app, wait):
        with pytest.raises(gt.StreamLost):
            await wait(app.call("/hello", "x", options=REPEATABLE))

    with_app(face, server.url, use, retry=POLICY)
    assert len(joins(server)) == POLICY.attempts


@each_face
@pytest.mark.parametrize("script", [Reply.reset, lambda r: r.text("", 502)], ids=["reset", "502"])
def test_a_join_that_may_have_been_accepted_is_not_made_again_even_then(
    server: Scripted, face: str, script
) -> None:
    server.scripts = {JOIN: script}

    async def use(app, wait):
        with pytest.raises(gt.GradioTransportError):
            await wait(app.call("/hello", "x", options=REPEATABLE))

    with_app(face, server.url, use, retry=POLICY)
    assert len(joins(server)) == 1


@each_face
def test_an_error_of_the_app_is_no_loss(server: Scripted, face: str) -> None:
    async def use(app, wait):
        with pytest.raises(gt.AppError):
            await wait(app.call("/raise_error", "x", options=REPEATABLE))

    with_app(face, server.url, use, retry=POLICY)
    assert len(joins(server)) == 1


# A pause that no test waits for: the call is between two tries all the while.
LONG = gt.RetryPolicy(attempts=2, base=1e6, cap=1e6, budget=1e7)


@each_face
def test_a_call_can_be_cancelled_between_two_tries(server: Scripted, face: str) -> None:
    lost_at_first(server, 9, Reply.cut)

    async def use(app, wait):
        call = app.submit("/hello", "x", options=REPEATABLE)
        await resubmitted(call, wait)
        begun = time.monotonic()
        await wait(call.cancel())
        return call.done(), time.monotonic() - begun

    done, seconds = with_app(face, server.url, use, retry=LONG)
    assert done
    assert seconds < 2
    assert len(joins(server)) == 1


@each_face
def test_closing_the_transport_ends_a_call_between_two_tries(server: Scripted, face: str) -> None:
    lost_at_first(server, 9, Reply.cut)

    async def use(app, wait):
        call = app.submit("/hello", "x", options=REPEATABLE)
        await resubmitted(call, wait)
        return call

    call = with_app(face, server.url, use, retry=LONG)
    assert call.done()
    with pytest.raises(gt.errors.LocalProtocolError):
        raise call._pending.outcome.error


async def resubmitted(call, wait) -> None:
    while not isinstance(await next_event(call, wait), gt.events.Resubmitted):
        pass


async def next_event(call, wait):
    events = call.events(timeout=10)
    return next(events) if wait.__name__ == "_itself" else await anext(events)


@each_face
def test_the_total_deadline_spans_all_tries(server: Scripted, face: str) -> None:
    lost_at_first(server, 99, Reply.cut)
    options = attrs.evolve(REPEATABLE, timeouts=gt.Timeouts(total=0.5))

    async def use(app, wait):
        begun = time.monotonic()
        with pytest.raises(gt.TransportError):
            await wait(app.call("/hello", "x", options=options))
        return time.monotonic() - begun

    policy = gt.RetryPolicy(attempts=10_000, base=0.2, cap=0.2, budget=1000)
    assert with_app(face, server.url, use, retry=policy) < 5


def second_join_held_back(server: Scripted) -> None:
    """Cut the first stream when a second call is joining, and answer that join when there is a third."""
    second, third = 1, 2
    numbers = itertools.count()

    def join(reply: Reply) -> None:
        number = next(numbers)
        if number == second:
            with server.changed:
                server.changed.wait_for(lambda: len(joins(server)) > third, timeout=20)
        reply.json({"event_id": f"event{number}"})

    def data(reply: Reply) -> None:
        reply.stream()
        with server.changed:
            assert server.changed.wait_for(lambda: len(joins(server)) > second, timeout=20)
        if len(joins(server)) == third:
            reply.cut()
        else:
            reply.send({**completed("done"), "event_id": f"event{third}"})
            reply.end()

    server.scripts = {JOIN: join, DATA: data}


def check_joining_lost(server: Scripted, error: gt.StreamLost) -> None:
    assert "was being joined" in error.message
    assert error.may_have_run is True
    assert len(set(joins(server))) == 2


def test_a_call_still_joining_when_its_session_is_replaced_ends_as_lost(server: Scripted) -> None:
    second_join_held_back(server)
    with gt.connect(server.url) as app, ThreadPoolExecutor(1) as pool:
        lost = app.submit("/hello", "x")
        joining = pool.submit(app.call, "/hello", "x")
        with pytest.raises(gt.StreamLost):
            lost.result(20)
        assert app.submit("/hello", "x").result(20) == ["done"]
        with pytest.raises(gt.StreamLost) as told:
            joining.result(20)
        check_joining_lost(server, told.value)


@pytest.mark.parametrize("face", FACES[1:])
def test_a_task_still_joining_when_its_session_is_replaced_ends_as_lost(server: Scripted, face: str) -> None:
    second_join_held_back(server)

    async def use(app, wait):
        lost = app.submit("/hello", "x")
        while lost.event_id is None:  # noqa: ASYNC110
            await anyio.sleep(0.005)
        joining = app.submit("/hello", "x")
        with pytest.raises(gt.StreamLost):
            await lost.result(20)
        assert await app.submit("/hello", "x").result(20) == ["done"]
        with pytest.raises(gt.StreamLost) as told:
            await joining.result(20)
        check_joining_lost(server, told.value)

    with_app(face, server.url, use)
