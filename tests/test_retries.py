# SPDX-License-Identifier: Apache-2.0
"""What is tried again, and what never is."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import anyio
import pytest
from scripted import Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.backoff import delays, retry_after

JOIN = "/gradio_api/queue/join"
POLICY = gt.RetryPolicy(attempts=4, base=0.01, cap=1)


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def first_then(script, *, times: int, path_default):
    """Fail so many times, then do what is usual."""
    counter = itertools.count()

    def run(reply: Reply) -> None:
        (script if next(counter) < times else path_default)(reply)

    return run


def call(face: str, url: str, retry: gt.RetryPolicy) -> list:
    face, _, engine = face.partition("+")

    async def by_tasks() -> list:
        async with gt.connect_async(url, retry=retry, engine=engine or "httpx") as app:
            return await app.call("/hello", "x")

    if face != "sync":
        return anyio.run(by_tasks, backend=face)
    with gt.connect(url, retry=retry) as app:
        return app.call("/hello", "x")


def asked(server: Scripted, path: str) -> int:
    return sum(one == path for one, _ in server.seen)


REFUSED = {
    "queue full": lambda r: r.json({"detail": "Queue is full. Max size is 1."}, 503),
    "rate limit": lambda r: r.text("slow down", 429, retry_after="0"),
}


@pytest.mark.parametrize("face", ["sync", "asyncio", "trio", "asyncio+aiohttp"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_join_that_was_not_accepted_may_be_made_again(server: Scripted, name: str, face: str) -> None:
    server.scripts = {JOIN: first_then(REFUSED[name], times=2, path_default=server.join)}
    assert call(face, server.url, POLICY) == ["Hello, x!"]
    assert asked(server, JOIN) == 3


@pytest.mark.parametrize("face", ["sync", "asyncio", "trio", "asyncio+aiohttp"])
def test_without_a_policy_nothing_is_made_again(server: Scripted, face: str) -> None:
    server.scripts = {JOIN: first_then(REFUSED["queue full"], times=1, path_default=server.join)}
    with pytest.raises(gt.QueueFull):
        call(face, server.url, gt.RetryPolicy.none())
    assert asked(server, JOIN) == 1


@pytest.mark.parametrize("face", ["sync", "asyncio", "trio", "asyncio+aiohttp"])
@pytest.mark.parametrize("script", [Reply.reset, lambda r: r.text("", 502), lambda r: r.text("oops", 500)])
def test_a_join_that_may_have_been_accepted_is_never_made_again(server: Scripted, script, face: str) -> None:
    server.scripts = {JOIN: script}
    with pytest.raises(gt.GradioTransportError):
        call(face, server.url, POLICY)
    assert asked(server, JOIN) == 1


@pytest.mark.parametrize("face", ["sync", "asyncio", "trio", "asyncio+aiohttp"])
def test_a_broken_discovery_is_made_once_more_even_without_a_policy(server: Scripted, face: str) -> None:
    usual = server.default("/config")
    server.scripts = {"/config": first_then(Reply.reset, times=1, path_default=usual)}
    assert call(face, server.url, gt.RetryPolicy.none()) == ["Hello, x!"]


def test_a_server_that_asks_for_more_than_the_cap_is_not_waited_for(server: Scripted) -> None:
    server.scripts = {JOIN: lambda r: r.text("", 429, retry_after="3600")}
    with pytest.raises(gt.RateLimited) as caught:
        call("sync", server.url, POLICY)
    assert caught.value.retry_after == 3600
    assert asked(server, JOIN) == 1


def test_delays_grow_within_the_cap_and_the_budget() -> None:
    policy = gt.RetryPolicy(attempts=50, base=1, cap=8, budget=60)
    waited = list(delays(policy, random.Random(1)))
    assert waited
    assert max(waited) <= 8
    assert sum(waited) <= 60
    assert list(delays(gt.RetryPolicy.none())) == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds) -> None:
    assert retry_after(value, now=60.0) == seconds
