# SPDX-License-Identifier: Apache-2.0
"""The order of steps: what is skipped, what is bounded, what is shown."""

from __future__ import annotations

import threading
import time

import pytest
from examined import examined, text
from heartbeats import app
from nginx import free_port

from gradio_transport.calls.options import Options
from gradio_transport.doctor import STEPS, Patient, examination, examine, examine_patient
from gradio_transport.doctor.report import (
    LONGEST,
    Finding,
    Report,
    Result,
    failure,
    ok,
    skipped,
    tidy,
    warning,
)
from gradio_transport.engines.deadline import Deadline
from gradio_transport.errors import TimeoutExpired


def plan(monkeypatch: pytest.MonkeyPatch, **checks: object) -> None:
    """Put other checks in the place of some steps."""
    steps = [
        examination.PlannedStep(one.name, one.title, checks.get(one.name, one.check), one.needs)  # type: ignore[arg-type]
        for one in STEPS
    ]
    monkeypatch.setattr(examination, "STEPS", steps)


def test_names_are_unique_and_needs_come_before() -> None:
    names = [one.name for one in STEPS]
    assert len(set(names)) == len(names)
    for place, one in enumerate(STEPS):
        assert set(one.needs) <= set(names[:place])


def test_what_needs_a_failed_step_is_skipped_with_the_reason() -> None:
    report = examined(f"http://127.0.0.1:{free_port()}")

    assert report.step("tcp").result is Result.FAILURE
    after = [one for one in report.steps if one.blocked_by]
    assert {one.blocked_by for one in after} == {"tcp"}
    assert after[0].seen == ("Not checked, because of the step 'connection'.",)
    assert report.step("name").result is Result.OK


def test_a_failed_step_does_not_stop_independent_ones() -> None:
    with app() as server:
        for path in ("/gradio_api/heartbeat/", "/gradio_api/queue/"):
            server.below[path] = lambda reply: reply.text("no", 404)
        report = examined(server.url)

    assert report.step("stream").result is Result.FAILURE
    assert report.step("hold").blocked_by == "stream"
    for name in ("keep-alive", "replicas", "upload", "clock"):
        assert report.step(name).result is Result.OK


def test_a_step_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    plan(monkeypatch, clock=lambda patient: over.wait(20))
    monkeypatch.setattr(examination, "STEP_SECONDS", 1.2)
    with app() as server:
        began = time.monotonic()
        steps = list(examine(server.url, Options(), hold=0.3))
        over.set()

    step = Report(tuple(steps)).step("clock")
    assert step.result is Result.FAILURE
    assert "It did not end within 1.5 s." in text(step)
    assert time.monotonic() - began < 15
    assert steps[-1].name == "call"


@pytest.mark.parametrize("slow", ["a step", "a server"])
def test_an_examination_ends_at_its_deadline(monkeypatch: pytest.MonkeyPatch, slow: str) -> None:
    over = threading.Event()
    if slow == "a step":
        plan(monkeypatch, login=lambda patient: over.wait(20))
    with app() as server:
        if slow == "a server":
            server.scripts["/config"] = lambda reply: over.wait(20)
        began = time.monotonic()
        patient = Patient(source=server.url, options=Options(), deadline=Deadline.after(1.0, "timeout"))
        steps = list(examine_patient(patient, examination.STEPS))
        over.set()

    failed = [step.name for step in steps if step.result is Result.FAILURE]
    assert failed[0] == ("login" if slow == "a step" else "gradio")
    assert isinstance(Report(tuple(steps)).step(failed[0]).error, TimeoutExpired)
    assert time.monotonic() - began < 10


def test_a_fault_of_ours_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    plan(monkeypatch, clock=lambda patient: 1 // 0)
    with app() as server, pytest.raises(ZeroDivisionError):
        list(examine(server.url, Options(), hold=0.1))


def test_an_examination_may_be_ended_early() -> None:
    with app() as server:
        steps = examine(server.url, Options())
        assert next(steps).name == "address"
        steps.close()

    for thread in threading.enumerate():  # those of other tests may still be on their way out
        if thread.name.startswith("gradio-transport-"):
            thread.join(10)
            assert not thread.is_alive()


def test_each_step_is_named_before_it_begins() -> None:
    begun: list[str] = []
    with app() as server:
        steps = list(examine(server.url, Options(), hold=0.1, on_begin=lambda one: begun.append(one.name)))

    assert begun == [one.name for one in steps] == [one.name for one in STEPS]


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "c4n4ry-of-this-test"
    with app() as server:
        server.below["/"] = lambda reply: reply.text(f"You sent {dict(reply.headers)}", 500)
        url = f"{server.url.replace('://', f'://ann:{secret}@')}/?sign={secret}"
        report = examined(url, headers={"x-key": secret}, cookies={"key": secret})

    assert report.result is Result.FAILURE
    assert secret not in str([step.as_json() for step in report.steps])


def test_sentences_are_tidied() -> None:
    assert tidy("a\nb\x1b[2J") == "a b\\x1b[2J"
    assert len(tidy("x" * 10**6)) == LONGEST + 1


def test_the_worst_result_counts() -> None:
    def report(*findings: Finding) -> Report:
        return Report(
            tuple(
                examination.Step(name=str(place), title="", result=one.result)
                for place, one in enumerate(findings)
            )
        )

    assert report(ok(), skipped()).result is Result.OK
    assert report(ok(), warning("w")).result is Result.WARNING
    assert report(failure("f"), warning("w")).result is Result.FAILURE
    with pytest.raises(KeyError):
        report().step("none")
