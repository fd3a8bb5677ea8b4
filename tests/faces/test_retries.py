# SPDX-License-Identifier: Apache-2.0
"""What is tried again, and what never is."""

from __future__ import annotations

import email.utils
import itertools
import random
import time
from collections.abc import Iterator

import anyio
import pytest
from scripted import Reply, Scripted, scripted

import gradio_transport as gt
from gradio_transport.calls.backoff import delays
from gradio_transport.calls.retries import Retries
from gradio_transport.engines.httpcore_async import AsyncHTTPEngine
from gradio_transport.engines.httpcore_sync import HTTPEngine
from gradio_transport.protocol.commands import OpenStream, OpenWebSocket, Request, Response, SendRequest
from gradio_transport.protocol.retry_after import retry_after

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
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


def call(
    face: str, url: str, retry: gt.RetryPolicy, timeouts: gt.Timeouts | None = None, protocol: str = "auto"
) -> list:
    timeouts = timeouts or gt.Timeouts()
    calling = gt.CallOptions(protocol=protocol)
    face, _, engine = face.partition("+")

    async def by_tasks() -> list:
        options = {"retry": retry, "timeouts": timeouts, "engine": engine or "httpx"}
        async with gt.connect_async(url, **options) as app:
            return await app.call("/hello", "x", options=calling)

    if face != "sync":
        return anyio.run(by_tasks, backend=face)
    with gt.connect(url, retry=retry, timeouts=timeouts) as app:
        return app.call("/hello", "x", options=calling)


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
    with pytest.raises(gt.errors.QueueFull):
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
    with pytest.raises(gt.errors.RateLimited) as caught:
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


class Clock:
    """Simulated seconds since the epoch."""

    def __init__(self, now: float = 1_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def retries(policy: gt.RetryPolicy, clock: Clock, seed: int = 1) -> Retries:
    command = SendRequest("join", Request.post_json("http://x/join", {}), gt.errors.Phase.JOIN)
    return Retries(policy, command, random.Random(seed), clock)


def limited(retry_after: str | None = None) -> Response:
    return Response(429, {} if retry_after is None else {"retry-after": retry_after})


def pauses(tries: Retries, clock: Clock, outcome) -> list[float]:
    """Wait, by the simulated clock, as often as the policy wants."""
    waited = []
    while (pause := tries.pause(outcome(clock) if callable(outcome) else outcome)) is not None:
        waited.append(pause)
        clock.now += pause
    return waited


@pytest.mark.parametrize("seed", range(20))
def test_pauses_are_drawn_from_all_of_a_doubling_range(seed: int) -> None:
    policy = gt.RetryPolicy(attempts=6, base=1, cap=8, budget=1000)
    waited = pauses(retries(policy, clock := Clock(), seed), clock, limited())
    assert len(waited) == policy.attempts - 1
    assert all(0 <= pause <= most for pause, most in zip(waited, (1, 2, 4, 8, 8), strict=True))


def test_full_jitter_reaches_the_whole_range() -> None:
    policy = gt.RetryPolicy(attempts=2, base=1, cap=8, budget=1000)
    drawn = [pauses(retries(policy, clock := Clock(), seed), clock, limited())[0] for seed in range(200)]
    assert min(drawn) < 0.05
    assert max(drawn) > 0.95
    assert 0.4 < sum(drawn) / len(drawn) < 0.6


def test_the_budget_counts_what_the_server_asks_for() -> None:
    policy = gt.RetryPolicy(attempts=100, base=0.001, cap=30, budget=25)
    assert pauses(retries(policy, clock := Clock(), 1), clock, limited("10")) == [10.0, 10.0]


def test_a_date_is_waited_for_and_one_that_has_passed_is_not() -> None:
    policy = gt.RetryPolicy(attempts=3, base=0.001, cap=30, budget=100)
    clock = Clock()
    date = email.utils.formatdate(clock.now + 12, usegmt=True)
    first, second = pauses(retries(policy, clock), clock, limited(date))
    assert first == 12
    assert second < 0.01


@pytest.mark.parametrize("asked", ["31", email.utils.formatdate(1_000_000 + 31, usegmt=True)])
def test_who_asks_for_more_than_the_cap_is_not_asked_again(asked: str) -> None:
    policy = gt.RetryPolicy(attempts=3, cap=30, budget=1000)
    assert pauses(retries(policy, clock := Clock()), clock, limited(asked)) == []


def test_no_pause_reaches_beyond_the_end_of_the_call() -> None:
    tries = retries(gt.RetryPolicy(attempts=9, base=0.001, cap=30, budget=1000), Clock())
    assert tries.pause(limited("5"), remaining=6) == 5
    assert tries.pause(limited("5"), remaining=5) is None


def test_what_may_have_been_accepted_takes_no_pause() -> None:
    tries = retries(gt.RetryPolicy(attempts=9), Clock())
    assert tries.pause(Response(500)) is None
    assert tries.pause(Response(503, body=b'{"detail":"Queue is stopped."}')) is None
    assert tries.pause(gt.StreamLost("cut")) is None
    assert tries.pause(gt.TimeoutExpired("late", setting="join")) is None
    assert tries.pause(gt.ConnectError("refused")) is not None
    assert tries.pause(gt.ConnectError("a bad certificate", retryable=False)) is None


FULL = b'{"detail": "Queue is full. Max size is 1 and size is 1."}'
NEVER_SENT = [
    gt.ConnectError("refused"),
    gt.TimeoutExpired("no connection", setting="connect", retryable=True),
]
PERHAPS_TAKEN = [
    gt.StreamLost("cut"), gt.TimeoutExpired("late", setting="join"), gt.TimeoutExpired("late", setting="total"),
]  # fmt: skip


def wanted(
    phase: gt.errors.Phase, outcome: Response | gt.TransportError, *, idempotent: bool = False
) -> bool:
    command = SendRequest("one", Request("POST", "http://x"), phase, idempotent=idempotent)
    return Retries(gt.RetryPolicy(attempts=9), command, random.Random(1)).pause(outcome) is not None


def test_of_all_answers_to_a_join_only_those_that_refuse_it_for_now_are_tried_again() -> None:
    bodies = (b"", FULL, b'{"detail": "Queue is stopped."}', b"<h1>queue</h1>")
    again = {
        (status, body)
        for status in range(100, 600)
        for body in bodies
        if wanted(gt.errors.Phase.JOIN, Response(status, body=body))
    }
    assert again == {(503, FULL), *((429, body) for body in bodies)}


@pytest.mark.parametrize("phase", [one for one in gt.errors.Phase if one is not gt.errors.Phase.JOIN])
def test_what_is_no_join_and_not_safe_by_itself_is_tried_again_only_if_it_never_left(
    phase: gt.errors.Phase,
) -> None:
    assert not any(wanted(phase, Response(status, body=FULL)) for status in range(100, 600))
    assert not any(wanted(phase, error) for error in PERHAPS_TAKEN)
    assert all(wanted(phase, error) for error in NEVER_SENT)


@pytest.mark.parametrize("phase", gt.errors.Phase)
def test_what_is_safe_by_itself_is_tried_again_after_every_trouble_of_the_way(phase: gt.errors.Phase) -> None:
    tried = {
        status for status in range(100, 600) if wanted(phase, Response(status, body=b"x"), idempotent=True)
    }
    assert tried == {429, 502, 503, 504}
    assert all(wanted(phase, error, idempotent=True) for error in (*NEVER_SENT, *PERHAPS_TAKEN))


STREAM = Request.get("http://x/queue/data")
STALE = gt.StreamLost("cut", stale=True)


@pytest.mark.parametrize(
    ("command", "outcomes", "expected"),
    [
        (OpenStream("stream", STREAM, joined=True), [STALE, STALE], [0.0, None]),
        (OpenStream("stream", STREAM, joined=True), [gt.StreamLost("cut"), STALE], [None, 0.0]),
        (OpenStream("stream", STREAM), [STALE], [None]),
        (OpenStream("file", STREAM, idempotent=True), [gt.StreamLost("cut"), STALE], [0.0, None]),
        (OpenWebSocket("socket", "ws://x/queue/join"), [STALE], [None]),
        (SendRequest("join", STREAM, gt.errors.Phase.JOIN), [STALE], [None]),
    ],
    ids=["a joined stream", "after another loss", "one that joins", "a file", "a websocket", "a join"],
)
def test_without_a_policy_only_what_joins_nothing_is_made_again_at_once(command, outcomes, expected) -> None:
    tries = Retries(gt.RetryPolicy.none(), command)
    assert [tries.pause(outcome) for outcome in outcomes] == expected


@pytest.mark.parametrize("error", NEVER_SENT, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("face", ["sync", "asyncio"])
def test_a_join_for_which_there_was_no_connection_is_made_again(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, face: str, error: gt.TransportError
) -> None:
    failures = iter([error, error])
    for kind in (HTTPEngine, AsyncHTTPEngine):
        usual = kind.request

        def request(self, one, patience, usual=usual):
            if one.url.endswith(JOIN) and (failure := next(failures, None)) is not None:
                raise failure
            return usual(self, one, patience)

        monkeypatch.setattr(kind, "request", request)
    assert call(face, server.url, POLICY) == ["Hello, x!"]
    assert asked(server, JOIN) == 1
    assert next(failures, None) is None


SIMPLE, ITS_STREAM = "/gradio_api/call/hello", "/gradio_api/call/hello/event1"
OPENED = {"shared": DATA, "its own": ITS_STREAM}


def answered(server: Scripted, which: str) -> Scripted:
    """Have a server refuse the stream of a call twice."""

    def result(reply: Reply) -> None:
        reply.stream()
        reply.chunk(b'event: complete\ndata: ["Hello, x!"]\n\n')
        reply.end()

    usual = {DATA: server.data, ITS_STREAM: result}[OPENED[which]]
    refused = first_then(REFUSED["rate limit"], times=2, path_default=usual)
    server.scripts = {SIMPLE: lambda reply: reply.json({"event_id": "event1"}), OPENED[which]: refused}
    return server


@pytest.mark.parametrize("which", OPENED)
@pytest.mark.parametrize("face", ["sync", "asyncio", "trio", "asyncio+aiohttp"])
def test_a_stream_that_is_refused_for_now_is_opened_again(server: Scripted, face: str, which: str) -> None:
    protocol = "auto" if which == "shared" else "call"
    assert call(face, answered(server, which).url, POLICY, protocol=protocol) == ["Hello, x!"]
    assert asked(server, OPENED[which]) == 3


@pytest.mark.parametrize("which", OPENED)
@pytest.mark.parametrize("face", ["sync", "asyncio", "trio", "asyncio+aiohttp"])
def test_without_a_policy_a_refused_stream_is_the_end(server: Scripted, face: str, which: str) -> None:
    protocol = "auto" if which == "shared" else "call"
    with pytest.raises(gt.errors.RateLimited):
        call(face, answered(server, which).url, gt.RetryPolicy.none(), protocol=protocol)
    assert asked(server, OPENED[which]) == 1


@pytest.mark.parametrize("error", NEVER_SENT, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("face", ["sync", "asyncio"])
def test_a_stream_for_which_there_was_no_connection_is_opened_again(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, face: str, error: gt.TransportError
) -> None:
    failures = iter([error, error])
    for kind in (HTTPEngine, AsyncHTTPEngine):
        usual = kind.stream

        def stream(self, one, patience, usual=usual):
            if DATA in one.url and (failure := next(failures, None)) is not None:
                raise failure
            return usual(self, one, patience)

        monkeypatch.setattr(kind, "stream", stream)
    assert call(face, server.url, POLICY) == ["Hello, x!"]
    assert asked(server, DATA) == 1


@pytest.mark.parametrize("which", OPENED)
def test_a_session_that_is_closed_does_not_wait_for_another_try(server: Scripted, which: str) -> None:
    answered(server, which)
    server.scripts[OPENED[which]] = lambda reply: reply.text("slow down", 429, retry_after="20")
    options = gt.CallOptions(protocol="auto" if which == "shared" else "call")
    with gt.connect(server.url, retry=gt.RetryPolicy(attempts=9, cap=30)) as app:
        submitted = app.submit("/hello", "x", options=options)
        assert server.wait_for(OPENED[which])
        begun = time.monotonic()
    assert time.monotonic() - begun < 4
    assert submitted.done()
    assert asked(server, OPENED[which]) == 1


@pytest.mark.parametrize("face", ["sync", "asyncio", "trio"])
def test_a_call_does_not_wait_for_a_try_that_would_come_too_late(server: Scripted, face: str) -> None:
    server.scripts = {JOIN: lambda r: r.text("", 429, retry_after="20")}
    policy = gt.RetryPolicy(attempts=9, cap=30)
    begun = time.monotonic()
    with pytest.raises(gt.errors.RateLimited):
        call(face, server.url, policy, gt.Timeouts(total=5))
    assert time.monotonic() - begun < 4
    assert asked(server, JOIN) == 1


def test_ever_so_many_attempts_stay_within_the_cap() -> None:
    policy = gt.RetryPolicy(attempts=5000, base=1, cap=0.001, budget=1e9)
    waited = list(delays(policy, random.Random(1)))
    assert len(waited) == 4999
    assert max(waited) <= 0.001


@pytest.mark.parametrize("field", ["attempts", "base", "cap", "budget"])
def test_a_policy_of_nothing_is_refused(field: str) -> None:
    with pytest.raises(gt.errors.LocalProtocolError, match=field):
        gt.RetryPolicy(**{field: 0})
