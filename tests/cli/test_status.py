# SPDX-License-Identifier: Apache-2.0
"""The live status of a call: what it does, for how long, and a preview of its outputs."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from gradio_transport import events as e
from gradio_transport.cli.status import PREVIEW_LINES, CallStatus
from gradio_transport.cli.text import SHOWN_UNITS


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def status(clock):
    return CallStatus("connecting", clock)


def drawn(status, width=60):
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(status)
    return console.file.getvalue().splitlines()


def test_the_time_is_shown_from_a_second_on_and_whole(status, clock):
    assert status.line == "connecting"
    clock.now += 0.9
    assert status.line == "connecting"
    clock.now += 3.0
    assert status.line == "connecting · 3.0 s"


def test_each_activity_starts_its_own_time(status, clock):
    clock.now += 5
    status.update(e.Joined())
    assert status.line == "accepted"
    clock.now += 2
    status.update(e.Estimation(rank=1, queue_size=3))
    assert status.line == "place 2 of 3 in the queue"


def test_the_usual_time_is_shown_only_while_the_function_runs(status):
    status.update(e.ProcessStarts(eta=12))
    assert status.line == "running (usually 12 s)"
    status.update(e.ProcessStarts())
    assert status.line == "running"


def test_progress_and_outputs_do_not_change_the_activity(status, clock):
    status.update(e.ProcessStarts())
    clock.now += 2
    status.update(e.Progress(units=(e.ProgressUnit(index=1, length=4, unit="steps", desc="load"),)))
    status.update(e.ProcessGenerating(data=["first", "second"]))
    assert status.line == "running · 2.0 s"
    lines = drawn(status)
    assert "running" in lines[0]
    assert "1/4 steps" in lines[1]
    assert "load" in lines[1]
    assert [line.strip() for line in lines[2:]] == ["first", "second"]


def test_the_preview_is_bounded_in_lines_and_width(status):
    status.update(e.ProcessGenerating(data=["x" * 500 + str(number) for number in range(PREVIEW_LINES + 3)]))
    lines = drawn(status, width=40)
    assert len(lines) == 1 + PREVIEW_LINES
    assert max(map(len, lines)) <= 40
    assert lines[1].rstrip().endswith("0")  # of a text its end


def test_many_bars_of_progress_are_counted_and_not_drawn(status):
    status.update(e.Progress(units=(e.ProgressUnit(index=1, length=4, unit="\x1b]0;t\x07" * 100),) * 20_000))
    lines = drawn(status)
    assert len(lines) == 1 + SHOWN_UNITS + 1
    assert lines[-1].strip() == "and 19,994 more"
    assert max(map(len, lines)) <= 60
    assert "\x1b]" not in "".join(lines)
