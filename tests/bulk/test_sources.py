"""Sources that are full, limited, gone and back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from scripted import Reply, Scripted, scripted
from working import working

import gradio_transport as gt
from gradio_transport import bulk
from gradio_transport.bulk.controller import Controller
from gradio_transport.bulk.sources import Server

JOIN = "/gradio_api/queue/join"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def numbers(count: int) -> list[list[str]]:
    return [[str(number)] for number in range(count)]


def joins(server: Scripted) -> int:
    return sum(path == JOIN for path, _ in server.seen)


def test_calls_go_to_all_sources() -> None:
    with working(at_once=2, seconds=0.02) as one, working(at_once=2, seconds=0.02) as two:
        outcomes = list(bulk.map([one.url, two.url], "/hello", numbers(40), at_once=8))
        assert {outcome.state for outcome in outcomes} == {"done"}
        assert sum(one.ran.values()) >= 10
        assert sum(two.ran.values()) >= 10
        assert Counter(one.ran + two.ran) == {str(number): 1 for number in range(40)}


def test_the_faster_source_gets_more() -> None:
    with working(at_once=1, seconds=0.005) as fast, working(at_once=1, seconds=0.1) as slow:
        list(bulk.map([fast.url, slow.url], "/hello", numbers(60), at_once=6))
        assert sum(fast.ran.values()) > 2 * sum(slow.ran.values())


def test_a_full_queue_is_waited_for_and_loses_no_row() -> None:
    with working(at_once=1, seconds=0.02) as server:
        server.full_from = 2
        outcomes = list(bulk.map(server.url, "/hello", numbers(12)))
        assert {outcome.state for outcome in outcomes} == {"done"}
        assert max(server.ran.values()) == 1
        assert max(outcome.attempts for outcome in outcomes) > 1


def test_retry_after_holds_for_all_rows(server: Scripted) -> None:
    refused: list[float] = []
    taken: list[float] = []

    def join(reply: Reply) -> None:
        if not refused:
            refused.append(time.monotonic())
            reply.json({"detail": "slow down"}, 429, retry_after="1")
        else:
            taken.append(time.monotonic())
            server.join(reply)

    server.scripts = {JOIN: join}
    outcomes = list(bulk.map(server.url, "/hello", numbers(5), at_once=1))
    assert {outcome.state for outcome in outcomes} == {"done"}
    assert taken[0] - refused[0] >= 1


def test_a_source_that_dies_is_left_and_taken_back(server: Scripted) -> None:
    down = True

    def join(reply: Reply) -> None:
        if down:
            reply.json({"detail": "Queue is full."}, 503)
        else:
            server.join(reply)

    server.scripts = {JOIN: join}
    with working(at_once=1, seconds=0.02) as healthy:
        outcomes = bulk.map([server.url, healthy.url], "/hello", numbers(120), at_once=4)
        sources = Counter[str | None]()
        for outcome in outcomes:
            assert outcome.state == "done"
            sources[outcome.source] += 1
            down = sum(sources.values()) < 20
        assert sources[healthy.url] >= 20
        assert sources[server.url] > 5


def test_a_run_whose_sources_stay_away_ends_with_their_error(server: Scripted) -> None:
    server.scripts = {JOIN: lambda reply: reply.json({"detail": "Queue is full."}, 503)}
    outcomes = bulk.map(server.url, "/hello", numbers(1000), patience=1)
    seen: list[bulk.Outcome] = []
    with pytest.raises(gt.errors.QueueFull):
        seen.extend(outcomes)
    assert joins(server) < 60


def test_one_source_that_is_not_there_does_not_end_the_run(server: Scripted) -> None:
    outcomes = list(bulk.map([server.url, "http://127.0.0.1:9"], "/hello", numbers(5)))
    assert {outcome.state for outcome in outcomes} == {"done"}


def test_a_lost_stream_leaves_a_row_in_doubt_and_a_repeatable_one_is_called_again(server: Scripted) -> None:
    with ExitStack() as stack:
        for repeatable in (False, True):
            lost = iter([True])

            def data(reply: Reply, lost=lost, server: Scripted = server) -> None:
                if next(lost, False):
                    server.messages(reply.query["session_hash"]).get()
                    reply.stream()
                    reply.cut()
                else:
                    server.data(reply)

            server.scripts = {"/gradio_api/queue/data": data}
            stack.callback(server.scripts.clear)
            (outcome,) = bulk.map(server.url, "/hello", [["x"]], repeatable=repeatable)
            assert outcome.may_have_run
            if repeatable:
                assert (outcome.state, outcome.attempts) == ("done", 2)
            else:
                assert (outcome.state, outcome.attempts) == ("in doubt", 1)
                assert isinstance(outcome.error, gt.StreamLost)


def test_a_row_that_takes_longer_than_its_timeout_is_in_doubt_and_does_not_stop_others(
    server: Scripted,
) -> None:
    begun = time.monotonic()
    outcomes = list(bulk.map(server.url, "/forever", numbers(4), timeout=0.3, at_once=2))
    assert {outcome.state for outcome in outcomes} == {"in doubt"}
    assert {type(outcome.error) for outcome in outcomes} == {gt.TimeoutExpired}
    assert time.monotonic() - begun < 10


def test_a_quota_that_is_used_up_pauses_its_source() -> None:
    server = Server("owner/space", Controller())
    server.failed(gt.errors.QuotaExceeded("Try again in 0:01:40.", retry_after=100.0), now=50.0)
    assert server.resume_at == 150.0
    assert server.failing_since == 50.0
    server.answered(0)
    assert server.failing_since is None


def test_without_at_once_the_queue_of_the_server_stays_short() -> None:
    with working(at_once=2, seconds=0.02) as server:
        list(bulk.map(server.url, "/hello", numbers(60)))
        server.most = 0
        list(bulk.map(server.url, "/hello", numbers(10), at_once=4))
        assert server.most <= 4
