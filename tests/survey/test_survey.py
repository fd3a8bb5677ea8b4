# SPDX-License-Identifier: Apache-2.0
"""Surveys as runs: sources read as they are needed, each app once, and a journal to go on from."""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from forking import MAIN, Forked, start
from many_apps import ManyApps, many_apps
from nginx import free_port
from scripted import scripted

from gradio_transport import bulk
from gradio_transport.errors import LocalProtocolError
from gradio_transport.survey import Reason, SurveyedEndpoint, SurveyResult, survey
from gradio_transport.survey.result import result_from_json
from gradio_transport.survey.sources import distinct_sources

CLOSED = "http://127.0.0.1:9"


@pytest.fixture
def apps() -> Iterator[ManyApps]:
    with many_apps() as running:
        yield running


# --- sources -------------------------------------------------------------------------------------------


def test_lines_have_comments_and_blanks() -> None:
    lines = [
        "# all of mine\n",
        "\n",
        "  owner/name  \n",
        "http://a:1#part # old\n",
        "#x\n",
        "\t\n",
        "http://b/#",
    ]
    assert list(distinct_sources(lines)) == ["owner/name", "http://a:1#part", "http://b/#"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("owner/name", "Owner/Name/"),
        ("owner/name", "https://huggingface.co/spaces/owner/name"),
        ("http://a:7860", "a:7860/"),
        ("http://Host/Path", "http://host/Path"),
        ("http://a/?x=1", "http://a?x=1#part"),
    ],
)
def test_an_app_that_is_named_twice_is_one(one: str, other: str) -> None:
    assert list(distinct_sources([one, other])) == [one]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://a", "https://a"),
        ("http://a/X", "http://a/x"),
        ("http://a?x=1", "http://a?x=2"),
        ("http://Ann@a", "http://ann@a"),
        ("http://[", "http://[["),
    ],
)
def test_apps_that_may_differ_are_two(one: str, other: str) -> None:
    assert list(distinct_sources([one, other])) == [one, other]


def test_sources_are_read_as_they_are_needed() -> None:
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        for read in itertools.count(1):
            yield f"http://[{read}"

    with survey(endless()) as results:
        first = [next(results) for _ in range(20)]
    assert {one.reason for one in first} == {Reason.NOT_A_SOURCE}
    assert read < 500


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ("http://a", "sources= takes"),
        (b"x", "sources= takes"),
        (5, "sources= takes"),
        ([5], "number 0 is int"),
    ],
)
def test_what_are_no_sources_is_refused(sources: object, message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        list(survey(sources))  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", [{"at_once": 0}, {"rate": -1}, {"timeout": None}, {"verify": 1}])
def test_a_setting_of_no_sense_is_refused(setting: dict[str, object]) -> None:
    with pytest.raises(LocalProtocolError, match=f"{next(iter(setting))}="):
        survey([], **setting)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url", ["http://user:word@127.0.0.1:9", "http://127.0.0.1:9/?key=word", "u:word@a:1"]
)
def test_a_source_with_a_secret_is_not_sent_to_workers(url: str) -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(LocalProtocolError) as caught:
        list(survey([url], executor=executor))
    assert "word" not in str(caught.value)


# --- runs ----------------------------------------------------------------------------------------------


def test_results_come_in_order_if_that_is_wanted(apps: ManyApps) -> None:
    found = list(survey([CLOSED, *apps.sources(20)], in_order=True))
    assert [one.index for one in found] == list(range(21))
    assert found[0].reason is Reason.REFUSED
    assert [one.title for one in found[1:]] == [f"app {number}" for number in range(20)]


def test_the_rate_bounds_how_many_begin(apps: ManyApps) -> None:
    began = time.monotonic()
    assert len(list(survey(apps.sources(6), rate=10))) == 6
    assert time.monotonic() - began >= 0.5


def test_a_survey_that_is_stopped_ends_with_those_under_way() -> None:
    with many_apps(0.05) as apps:
        results = survey(apps.sources(100), at_once=4)
        found = [next(results)]
        results.stop()
        found += results
    assert all(one.answers for one in found)
    assert len(found) == len(apps.examined) < 100


def test_a_survey_that_is_left_does_not_wait_for_its_apps() -> None:
    with scripted() as silent:
        silent.below["/"] = lambda reply: reply.hold()
        began = time.monotonic()
        with survey([CLOSED, silent.url], timeout=20) as results:
            assert next(results).reason is Reason.REFUSED
        assert time.monotonic() - began < 10


# --- the journal ---------------------------------------------------------------------------------------


def test_a_second_run_examines_what_is_missing(apps: ManyApps, tmp_path: Path) -> None:
    journal = tmp_path / "survey.sqlite"
    first = list(survey(apps.sources(10), journal=journal, in_order=True))
    again = list(survey(apps.sources(12), journal=journal, in_order=True))
    assert [one.recorded for one in again] == [True] * 10 + [False] * 2
    assert [one.as_json() for one in again[:10]] == [one.as_json() for one in first]
    assert apps.examined == {str(number): 1 for number in range(12)}


def test_apps_that_failed_for_a_passing_reason_are_examined_again_if_asked(
    apps: ManyApps, tmp_path: Path
) -> None:
    journal = tmp_path / "survey.sqlite"
    apps.away = {"1", "2"}
    sources = [*apps.sources(4), "http://["]

    def reasons(**settings: bool) -> list[Reason]:
        return [one.reason for one in survey(sources, journal=journal, in_order=True, **settings)]

    broken = [Reason.ANSWERS, Reason.SERVER_ERROR, Reason.SERVER_ERROR, Reason.ANSWERS, Reason.NOT_A_SOURCE]
    assert reasons() == broken
    apps.away = {"2"}
    assert reasons() == broken
    assert reasons(redo_failed=True) == [Reason.ANSWERS, Reason.ANSWERS, *broken[2:]]
    assert apps.examined == {"0": 1, "1": 1, "3": 1}


def test_a_journal_of_calls_is_refused(apps: ManyApps, tmp_path: Path) -> None:
    journal = tmp_path / "run.sqlite"
    list(bulk.map(f"{apps.url}/0", "/hello", [], journal=journal))
    with pytest.raises(
        LocalProtocolError, match=r'belongs to another run \(endpoint "/hello", not survey 1\)'
    ):
        list(survey([CLOSED], journal=journal))


def test_a_journal_of_other_sources_is_refused(tmp_path: Path) -> None:
    list(survey([CLOSED], journal=tmp_path / "survey.sqlite"))
    with pytest.raises(LocalProtocolError, match="Row 0 differs from that"):
        list(survey(["http://127.0.0.1:10"], journal=tmp_path / "survey.sqlite"))


def test_a_survey_that_is_killed_goes_on(tmp_path: Path) -> None:
    journal, out = tmp_path / "survey.sqlite", tmp_path / "out.jsonl"
    with many_apps(0.05) as apps, open(os.devnull, "r+b") as null:
        (tmp_path / "sources.txt").write_text("\n".join(apps.sources(60)))
        words = (
            "survey", str(tmp_path / "sources.txt"), "-o", str(out), "--journal", str(journal), "--at-once", "4",
        )  # fmt: skip

        def begin() -> Forked:
            streams = dict.fromkeys(("stdin", "stdout", "stderr"), null.fileno())
            return start(MAIN, *words, environment=os.environ, **streams)

        for enough in (10, 30):
            process = begin()
            deadline = time.monotonic() + 30
            while len(apps.examined) < enough and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert 30 <= len(apps.examined) < 60
        assert begin().wait() == 0
    results = [json.loads(line) for line in out.read_text().splitlines()]
    assert sorted(one["index"] for one in results) == list(range(60))
    assert {one["reason"] for one in results} == {"answers"}
    # What was under way at a kill, four each time, was examined once more.
    assert sum(apps.examined.values()) <= 60 + 2 * 4
    assert os.stat(journal).st_mode & 0o077 == 0


# --- results as JSON -----------------------------------------------------------------------------------


def test_a_result_is_the_same_from_its_json() -> None:
    result = SurveyResult(
        index=3, source="owner/name", reason=Reason.SLEEPING, why="It sleeps.", step="space", stage="SLEEPING",
        endpoints=(SurveyedEndpoint("/a", "sse_v3"), SurveyedEndpoint("/b", None)), endpoint_count=7,
        gradio="6.31.0", generation=6, protocol="sse_v3", title="x", url="http://a", seconds=1.5,
    )  # fmt: skip
    found = json.loads(json.dumps(result.as_json()))
    assert (found["answers"], found["adapters"]) == (False, ["sse_v3"])
    assert result_from_json(found) == result


def test_a_closed_port_is_asked_about_once() -> None:
    (result,) = survey([f"http://127.0.0.1:{free_port()}"])
    assert result.reason is Reason.REFUSED
