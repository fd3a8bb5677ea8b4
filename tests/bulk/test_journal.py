"""What the journal keeps, and how a run goes on from it."""

from __future__ import annotations

import datetime as dt
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted import Reply, Scripted, completed, scripted
from working import working

import gradio_transport as gt
from gradio_transport import bulk
from gradio_transport.bulk.outcome import Outcome, from_json, to_json
from gradio_transport.bulk.rows import digest

JOIN = "/gradio_api/queue/join"


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "run.sqlite"


def numbers(count: int) -> list[list[str]]:
    return [[str(number)] for number in range(count)]


def joins(server: Scripted) -> int:
    return sum(path == JOIN for path, _ in server.seen)


def test_a_second_run_calls_nothing_and_has_the_same_outcomes(server: Scripted, journal: Path) -> None:
    first = list(bulk.map(server.url, "/hello", numbers(20), journal=journal, in_order=True))
    called = joins(server)
    second = list(bulk.map(server.url, "/hello", numbers(20), journal=journal, in_order=True))
    assert joins(server) == called == 20
    assert [(one.index, one.row, one.values) for one in second] == [
        (one.index, one.row, one.values) for one in first
    ]
    assert {one.recorded for one in first} == {False}
    assert {one.recorded for one in second} == {True}


def test_more_rows_are_added_to_what_was_done(server: Scripted, journal: Path) -> None:
    list(bulk.map(server.url, "/hello", numbers(5), journal=journal))
    outcomes = list(bulk.map(server.url, "/hello", numbers(12), journal=journal))
    assert len(outcomes) == 12
    assert joins(server) == 12


def test_stopping_and_going_on_does_every_row_once(journal: Path) -> None:
    with working(at_once=2, seconds=0.02) as server:
        outcomes = bulk.map(server.url, "/hello", numbers(30), journal=journal, at_once=3)
        next(outcomes)
        outcomes.stop()
        assert len(list(outcomes)) < 25
        rest = list(bulk.map(server.url, "/hello", numbers(30), journal=journal, at_once=3))
        assert {one.state for one in rest} == {"done"}
        assert server.ran == {str(number): 1 for number in range(30)}


def test_an_app_error_stays_unless_it_is_to_be_redone_and_may_be(server: Scripted, journal: Path) -> None:
    def run(**settings):
        (outcome,) = bulk.map(server.url, "/raise_error", [["x"]], journal=journal, **settings)
        return outcome

    first = run()
    for again in (run(), run(redo_failed=True), run(repeatable=True)):
        assert again.recorded
        assert isinstance(again.error, gt.AppError)
        assert (str(again.error), again.error.may_have_run) == (str(first.error), True)
    assert joins(server) == 1
    assert not run(redo_failed=True, repeatable=True).recorded
    assert joins(server) == 2


def test_a_row_that_was_refused_is_redone_if_asked(server: Scripted, journal: Path) -> None:
    answers = [{"detail": "what?"}]

    def join(reply: Reply) -> None:
        if answers:
            reply.json(answers.pop(), 422)
        else:
            server.join(reply)

    server.scripts = {JOIN: join}
    (first,) = bulk.map(server.url, "/hello", [["x"]], journal=journal)
    assert (first.state, first.may_have_run) == ("failed", False)
    (second,) = bulk.map(server.url, "/hello", [["x"]], journal=journal)
    assert second.recorded
    assert type(second.error) is type(first.error)
    (third,) = bulk.map(server.url, "/hello", [["x"]], journal=journal, redo_failed=True)
    assert third.state == "done"


def test_a_row_for_which_no_server_was_there_is_missing_and_not_failed(
    server: Scripted, journal: Path
) -> None:
    server.scripts = {JOIN: lambda reply: reply.json({"detail": "Queue is full."}, 503)}
    with pytest.raises(gt.errors.QueueFull):
        list(bulk.map(server.url, "/hello", numbers(10), journal=journal, patience=0.3))
    server.scripts.clear()
    outcomes = list(bulk.map(server.url, "/hello", numbers(10), journal=journal))
    assert {outcome.state for outcome in outcomes} == {"done"}


def test_a_row_that_was_begun_is_in_doubt_and_not_called_again(server: Scripted, journal: Path) -> None:
    list(bulk.map(server.url, "/hello", numbers(3), journal=journal))
    with sqlite3.connect(journal) as database:
        database.execute("UPDATE rows SET state = 'started', outcome = NULL WHERE number = 1")
    database.close()
    for recorded in (False, True):
        outcomes = list(bulk.map(server.url, "/hello", numbers(3), journal=journal, in_order=True))
        assert [one.state for one in outcomes] == ["done", "in doubt", "done"]
        assert isinstance(outcomes[1].error, gt.StreamLost)
        assert outcomes[1].may_have_run
        assert outcomes[1].recorded is recorded
    assert joins(server) == 3
    outcomes = list(bulk.map(server.url, "/hello", numbers(3), journal=journal, repeatable=True))
    assert {one.state for one in outcomes} == {"done"}
    assert joins(server) == 4


def test_a_call_that_cannot_be_asked_for_now_is_asked_for_by_a_later_run(journal: Path) -> None:
    with working(at_once=2, seconds=0.01) as server, scripted() as other:
        list(bulk.map(server.url, "/hello", numbers(2), journal=journal))
        handle = gt.Handle(
            url=other.url,
            session_hash="s1",
            event_id="event1",
            fn_index=0,
            endpoint="/hello",
            protocol="sse_v3",
        )
        with sqlite3.connect(journal) as database:
            database.execute(
                "UPDATE rows SET state = 'started', outcome = NULL, handle = ? WHERE number = 1",
                [handle.to_json()],
            )
        database.close()
        other.messages("s1").put({"msg": "estimation", "event_id": "event1", "rank": 0, "queue_size": 1})
        other.messages("s1").put(completed("Hello, 1!") | {"event_id": "event1"})
        away = list(
            bulk.map([server.url, "http://127.0.0.1:9"], "/hello", numbers(2), journal=journal, in_order=True)
        )
        assert [one.state for one in away] == ["done", "in doubt"]
        back = list(bulk.map([server.url, other.url], "/hello", numbers(2), journal=journal, in_order=True))
        assert [one.values for one in back] == [["Hello, 0!"], ["Hello, 1!"]]


def test_other_rows_are_refused(server: Scripted, journal: Path) -> None:
    list(bulk.map(server.url, "/hello", numbers(3), journal=journal))
    with pytest.raises(gt.errors.LocalProtocolError, match="Row 1 differs from that"):
        list(bulk.map(server.url, "/hello", [["0"], ["other"]], journal=journal))


def test_the_journal_of_another_endpoint_is_refused(server: Scripted, journal: Path) -> None:
    list(bulk.map(server.url, "/hello", numbers(3), journal=journal))
    with pytest.raises(gt.errors.LocalProtocolError, match="endpoint"):
        list(bulk.map(server.url, "/count", numbers(3), journal=journal))
    assert len(list(bulk.map(server.url, "hello", numbers(3), journal=journal))) == 3


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be seen as none" * 40])
def test_a_file_of_another_kind_is_refused_and_kept(server: Scripted, journal: Path, content: bytes) -> None:
    journal.write_bytes(content)
    with pytest.raises(gt.errors.LocalProtocolError, match="another kind"):
        list(bulk.map(server.url, "/hello", numbers(1), journal=journal))
    assert journal.read_bytes() == content


def test_two_runs_cannot_use_one_journal_at_once(server: Scripted, journal: Path) -> None:
    with bulk.map(server.url, "/hello", numbers(500), journal=journal, at_once=1) as first:
        next(first)
        with pytest.raises(gt.errors.LocalProtocolError, match="another run is using it"):
            list(bulk.map(server.url, "/hello", numbers(3), journal=journal))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_the_journal_is_the_users_alone(server: Scripted, journal: Path) -> None:
    list(bulk.map(server.url, "/hello", numbers(1), journal=journal))
    for file in journal.parent.glob("run.sqlite*"):
        assert file.stat().st_mode & 0o077 == 0


def test_a_journal_that_cannot_be_made_is_refused(server: Scripted, tmp_path: Path) -> None:
    with pytest.raises(gt.errors.LocalProtocolError, match="cannot be used"):
        list(bulk.map(server.url, "/hello", numbers(1), journal=tmp_path / "none" / "run.sqlite"))


def test_the_journal_has_one_line_a_row(server: Scripted, journal: Path) -> None:
    list(bulk.map(server.url, "/hello", numbers(4), journal=journal))
    with sqlite3.connect(journal) as database:
        lines = database.execute("SELECT number, state FROM rows ORDER BY number").fetchall()
    database.close()
    assert lines == [(number, "done") for number in range(4)]


ERRORS = [
    gt.AppError("why", title="Oh", phase=gt.errors.Phase.COMPLETE),
    gt.errors.RateLimited("slow", retry_after=3.0, status=429),
    gt.TimeoutExpired("late", setting="total", seconds=5.0, may_have_run=True),
    gt.ValidationFailed("no", problems={"a": "missing"}),
    gt.ConnectError("gone"),
    gt.StreamLost("lost", may_have_run=True),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_read_as_it_was_written(error) -> None:
    outcome = Outcome(index=1, row=[1], error=error, may_have_run=error.may_have_run, attempts=2)
    read = from_json(1, [1], to_json(outcome))
    assert type(read.error) is type(error)
    for name in ("message", "phase", "status", "retryable", "may_have_run"):
        assert getattr(read.error, name) == getattr(error, name), name
    for name in ("title", "retry_after", "setting", "problems"):
        assert getattr(read.error, name, None) == getattr(error, name, None), name
    assert (read.state, read.may_have_run, read.attempts) == (outcome.state, outcome.may_have_run, 2)


def test_values_are_read_as_they_were_written() -> None:
    values = ["text", 1.5, None, [Path("a/b"), {"url": "http://x", "path": "y"}], float("inf")]
    outcome = Outcome(index=0, row=[], values=values)
    assert from_json(0, [], to_json(outcome)).values == values


def test_a_row_is_known_again() -> None:
    one = {"b": Path("x"), "a": [1, (2, 3)], "when": dt.date(2026, 1, 2)}
    assert digest(one) == digest(dict(reversed(list(one.items()))))
    assert digest(one) != digest({**one, "a": [1, (2, 4)]})
    assert digest([gt.handle_file(b"x", name="n")]) != digest([gt.handle_file(b"y", name="n")])
    assert digest([object()]) == digest([object()])
    assert digest({1: "x", "y": 2})
