"""Runs that are killed at random moments, and go on from their journals."""

from __future__ import annotations

import collections
import json
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import mapped
import pytest
from working import Working, working

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["gradio_transport.bulk", "gradio_transport.aio", "aiohttp", "mapped"])


def run(settings: dict[str, object], output: Path, kill_after: float | None) -> int | None:
    """Run once in a process of its own, and return its exit status."""
    process = PROCESSES.Process(target=mapped.run_to, args=(json.dumps(settings), str(output)))
    process.start()
    process.join(kill_after)
    if kill_after is not None and process.is_alive():
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
    process.join(50)
    assert process.exitcode is not None
    return process.exitcode


def killed_until_done(
    server: Working, tmp_path: Path, *, count: int, kills: int, seed: int, **settings: object
) -> tuple[list[tuple[int, str, list[str] | None]], int]:
    """Kill a run so many times, let it end, and return its outcomes and how often it was killed."""
    chance = random.Random(seed)
    output = tmp_path / "out.jsonl"
    everything = {
        "url": server.url, "count": count, "journal": str(tmp_path / "run.sqlite"), "at_once": 8, **settings,
    }  # fmt: skip
    killed = 0
    for _ in range(kills):
        killed += run(everything, output, chance.uniform(0.05, 0.5)) == -signal.SIGKILL
    assert run(everything, output, None) == 0
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    return [(index, state, values) for index, state, values in lines], killed


def check(
    server: Working, outcomes: list[tuple[int, str, list[str] | None]], count: int
) -> collections.Counter[str]:
    """Check that each row has ended once, ran once at most, and that what is done is right."""
    assert sorted(index for index, _, _ in outcomes) == list(range(count))
    assert max(server.ran.values()) == 1
    for index, state, values in outcomes:
        if state == "done":
            assert values == [f"Hello, {index}!"]
            assert server.ran[str(index)] == 1
        else:
            assert state == "in doubt"
    return collections.Counter(state for _, state, _ in outcomes)


@pytest.mark.parametrize("late", [True, False])
def test_a_killed_run_loses_no_row_and_runs_none_twice(tmp_path: Path, late: bool) -> None:
    with working(at_once=4, seconds=0.02) as server:
        outcomes, killed = killed_until_done(server, tmp_path, count=100, kills=4, seed=1, late=late)
        check(server, outcomes, 100)
    assert killed


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_fifty_kills_lose_none_of_500_rows_and_run_none_twice(tmp_path: Path) -> None:
    with working(at_once=4, seconds=0.05) as server:
        outcomes, killed = killed_until_done(server, tmp_path, count=500, kills=50, seed=2, late=True)
        check(server, outcomes, 500)
    assert killed >= 25


def test_what_was_joined_and_not_fetched_is_fetched_by_the_next_run(tmp_path: Path) -> None:
    with working(at_once=8, seconds=0.6) as server:
        settings = {
            "url": server.url, "count": 8, "journal": str(tmp_path / "run.sqlite"), "late": True,
        }  # fmt: skip
        process = PROCESSES.Process(
            target=mapped.run_to, args=(json.dumps(settings), str(tmp_path / "out.jsonl"))
        )
        process.start()
        deadline = time.monotonic() + 20
        while sum(server.ran.values()) < 8 and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.1)  # for the last handle to be written
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join(20)
        assert run(settings, tmp_path / "out.jsonl", None) == 0
        lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
        done = [[index, values] for index, state, values in sorted(lines) if state == "done"]
        # The first call of a run is fetched at once, to see how long calls take.
        assert done == [[number, [f"Hello, {number}!"]] for number in range(8) if number or len(done) == 8]
        assert len(lines) == 8
        assert server.ran == {str(number): 1 for number in range(8)}


def test_a_repeatable_run_ends_with_every_row_done(tmp_path: Path) -> None:
    with working(at_once=4, seconds=0.02) as server:
        outcomes, _ = killed_until_done(server, tmp_path, count=60, kills=3, seed=3, repeatable=True)
        assert sorted(outcomes) == [(number, "done", [f"Hello, {number}!"]) for number in range(60)]
