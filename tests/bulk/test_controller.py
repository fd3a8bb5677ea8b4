"""How many calls are under way, and when streams are opened: simulated."""

from __future__ import annotations

import pytest

from gradio_transport.bulk.controller import LONG_SECONDS, MOST, Controller, FetchTime


def settled(at_once: int, others: int = 0) -> float:
    """Return the limit after many calls to a server that runs so many at once."""
    controller = Controller()
    for _ in range(500):
        controller.joined(max(0, controller.allowed + others - at_once - 1))
    return controller.limit


@pytest.mark.parametrize("at_once", [1, 2, 5, 20, 40])
def test_the_limit_settles_a_little_above_what_the_server_runs(at_once: int) -> None:
    assert 0.85 * at_once <= settled(at_once) <= 1.1 * at_once + 4


def test_the_limit_falls_where_others_wait_too() -> None:
    assert settled(10, others=8) < 8


def test_the_limit_has_bounds() -> None:
    assert settled(1000) == MOST
    controller = Controller()
    for _ in range(1000):
        controller.refused()
    assert controller.allowed == 1


def test_one_refusal_of_many_calls_halves_once() -> None:
    controller = Controller(limit=16)
    for _ in range(8):
        controller.refused()
    assert controller.limit == 8


def test_a_number_that_is_set_stays() -> None:
    controller = Controller.of(12)
    for rank in (0, 50, None):
        controller.joined(rank)
        controller.refused()
    assert controller.allowed == 12


def test_without_a_rank_the_limit_stays() -> None:
    controller = Controller()
    for _ in range(100):
        controller.joined(None)
    assert controller.allowed == 8


def fetched(takes: float, calls: int = 200) -> FetchTime:
    time = FetchTime()
    for _ in range(calls):
        opened = (time.seconds or 0.0) if time.is_long else 0.0
        end = max(takes, opened)
        time.ended(end, max(0.001, takes - opened), takes)
    return time


@pytest.mark.parametrize("takes", [1.5, 10.0, 600.0])
def test_streams_of_long_calls_are_opened_shortly_before_their_end(takes: float) -> None:
    time = fetched(takes)
    assert time.is_long
    assert 0.7 * takes <= time.seconds <= 1.1 * takes


def test_short_calls_are_not_fetched_late() -> None:
    assert FetchTime().is_long
    assert not fetched(0.1).is_long
    assert not fetched(LONG_SECONDS / 2).is_long
