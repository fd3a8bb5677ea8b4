# SPDX-License-Identifier: Apache-2.0
"""Outcomes of calls: what they are, and which differences a caller would see."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gradio_transport import errors, events
from gradio_transport.files.outputs import ServerFile
from gradio_transport.trace import read_trace
from gradio_transport.trace.outcomes import (
    MOST_DIFFERENCES,
    Ending,
    Failure,
    Outcome,
    Tolerance,
    compare_outcomes,
    outcome_of,
    recorded_outcomes,
)
from gradio_transport_conformance.traces import shipped_trace


def completed(*values: Any, **more: Any) -> Outcome:
    return Outcome(Ending.COMPLETED, values, **more)


def failed(message: str = "no", kind: str = "AppError", **more: Any) -> Outcome:
    return Outcome(Ending.FAILED, failure=Failure(kind, message, **more))


def file(name: str = "a.png", size: int | None = 3) -> ServerFile:
    return ServerFile(url=f"http://x/file={name}", path=f"/tmp/{name}", orig_name=name, size=size)


# --- outcomes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "ending", "values"),
    [
        ("6.31.0/hello", Ending.COMPLETED, ["Hello, Ada!"]),
        ("6.31.0/count", Ending.COMPLETED, ["0 1 2"]),
        ("4.8.0/count", Ending.COMPLETED, ["0 1 2"]),
        ("3.50.2/count", Ending.COMPLETED, ["0 1 2"]),
        ("2.9.4/hello", Ending.COMPLETED, ["Hello, Ada!"]),
        ("6.31.0/call_count", Ending.COMPLETED, ["0 1 2"]),
        ("3.50.2/crash", Ending.FAILED, []),
        ("6.31.0/cancel_generator", Ending.CANCELLED, ["2"]),
    ],
)
def test_the_outcome_of_a_recorded_call(name: str, ending: Ending, values: list[Any]) -> None:
    (outcome,) = recorded_outcomes(read_trace(shipped_trace(name))).outcomes.values()
    assert (outcome.ending, list(outcome.values)) == (ending, values)


def test_state_is_left_out() -> None:
    found = recorded_outcomes(read_trace(shipped_trace("6.31.0/state"))).outcomes
    assert [list(outcome.values) for outcome in found.values()] == [["a"], ["a, b"], ["c"]]


def test_files_are_found() -> None:
    for name in ("3.50.2/file_out", "4.44.1/file_out", "6.31.0/file_out"):
        (outcome,) = recorded_outcomes(read_trace(shipped_trace(name))).outcomes.values()
        (value,) = outcome.values
        assert isinstance(value, ServerFile), name


def test_an_error_that_was_raised_is_a_failure() -> None:
    outcome = outcome_of([events.ProcessStarts()], errors.StreamLost("cut"))
    assert (outcome.ending, outcome.failure, outcome.started) == (
        Ending.FAILED, Failure("StreamLost", "cut"), True,
    )  # fmt: skip


def test_a_call_without_an_end_is_unfinished() -> None:
    assert outcome_of([events.ProcessGenerating(data=[1])]).ending is Ending.UNFINISHED


# --- the same ---------------------------------------------------------------------------------------------

SAME = [
    (completed(1), completed(1.0)),
    (completed(0.1 + 0.2), completed(0.3)),
    (completed(float("nan")), completed(float("nan"))),
    (completed("at http://127.0.0.1:7860/x"), completed("at http://127.0.0.1:4711/x")),
    (completed("in /tmp/gradio/0a1b/x.txt"), completed("in /tmp/other/9f/x.txt")),
    (completed("id " + "ab" * 16), completed("id " + "cd" * 16)),
    (completed("<function at 0x7f0011>"), completed("<function at 0x7f9922>")),
    (completed({"id": 3, "session_hash": "a"}), completed({"id": 4, "session_hash": "b"})),
    (completed(file("a.png")), completed(file("b7.png"))),
    (completed(file(size=None)), completed(file(size=9))),
    (completed("x", steps=[["a"], ["b"]]), completed("x", steps=[["a"]])),
    (completed("x", logs=[("info", "", "y")]), completed("x", logs=[("info", "Info", "y")])),
    (failed("no"), failed("no")),
    (Outcome(Ending.CANCELLED, ["1"]), Outcome(Ending.CANCELLED, ["1 2"])),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_what_differs_from_run_to_run_is_no_difference(old: Outcome, new: Outcome) -> None:
    assert compare_outcomes(old, new) == []


# --- different ----------------------------------------------------------------------------------------

DIFFERENT = [
    (completed("a"), completed("b"), 'output 1 was "a", is "b"'),
    (completed(1), completed("1"), 'output 1 was number 1, is text "1"'),
    (completed(True), completed(1), "output 1 was boolean true, is number 1"),
    (completed(None), completed("x"), 'output 1 was null, is "x"'),
    (completed(1), completed(1, 2), "there were 1 outputs, are 2"),
    (completed([1, 2]), completed([1]), "output 1 had 2 items, has 1"),
    (completed({"a": [1]}), completed({"a": [2]}), "output 1.a[0] was 1, is 2"),
    (completed({"a": 1}), completed({"b": 1}), "output 1.a is gone"),
    (completed({}), completed({"b": 1}), "output 1.b is new: 1"),
    (completed(file("a.png")), completed(file("a.webp")), 'output 1 was a file "a.png", is "a.webp"'),
    (completed(file(size=1)), completed(file(size=2)), "had 1 bytes, has 2"),
    (completed({"video": file()}), completed(file()), "output 1 was object"),
    (completed("x", steps=[["a"]]), completed("x"), "it yielded values, and now does not"),
    (completed("x"), completed("x", steps=[["a"]]), "it did not yield, and now yields"),
    (completed(logs=[("info", "", "y")]), completed(), 'its messages were info "y", are none'),
    (completed("x"), failed("no"), 'it completed with "x", and now failed with AppError: no'),
    (failed("no"), completed("x"), 'it failed with AppError: no, and now completed with "x"'),
    (failed("no"), failed("yes"), 'the error\'s text was "no", is "yes"'),
    (failed(), failed(kind="QueueFull"), "the error was AppError: no, is QueueFull: no"),
    (failed(), failed(hidden=True), "the app now hides the text of its errors"),
    (completed(), Outcome(Ending.UNFINISHED), "it completed, and now did not end"),
]


@pytest.mark.parametrize(("old", "new", "expected"), DIFFERENT)
def test_a_difference_is_described(old: Outcome, new: Outcome, expected: str) -> None:
    assert any(expected in line for line in compare_outcomes(old, new)), compare_outcomes(old, new)


def test_a_tolerance_can_be_set() -> None:
    old, new = completed("took 3 ms", 1.0), completed("took 5 ms", 1.05)
    assert len(compare_outcomes(old, new)) == 2
    assert compare_outcomes(old, new, Tolerance(numbers=0.1, ignored=[re.compile(r"\d+ ms")])) == []
    assert compare_outcomes(failed("a"), failed("b"), Tolerance(error_texts=False)) == []
    assert compare_outcomes(completed(logs=[("info", "", "y")]), completed(), Tolerance(logs=False)) == []
    steps = completed("x", steps=[["a"], ["b"]]), completed("x", steps=[["a"], ["c"]])
    assert compare_outcomes(*steps) == []
    assert compare_outcomes(*steps, Tolerance(all_steps=True)) == ['step 2: output 1 was "b", is "c"']


def test_differences_are_bounded() -> None:
    old, new = completed(list(range(1000))), completed([-one for one in range(1000)])
    found = compare_outcomes(old, new)
    assert (len(found), found[-1]) == (MOST_DIFFERENCES + 1, "and more")
    assert all(len(line) < 500 for line in compare_outcomes(completed("a" * 10**6), completed("b" * 10**6)))


def test_deep_values_do_not_overflow() -> None:
    old: Any = "a"
    new: Any = "b"
    for _ in range(5000):
        old, new = [old], [new]
    assert compare_outcomes(completed(old), completed(new)) == []
