# SPDX-License-Identifier: Apache-2.0
"""A survey of the recordings of every version of the kit: in this process, and by the workers of a pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from recordings import UNNAMED, VERSIONS, recordings

from gradio_transport.survey import Reason, SurveyResult, survey
from gradio_transport_conformance.traces import versions

SPAWN = get_context("forkserver")
SPAWN.set_forkserver_preload(["gradio_transport.bulk.executors.worker", "gradio_transport.survey"])


@pytest.fixture(scope="module")
def apps() -> Iterator[dict[str, str]]:
    with recordings("hello") as served:
        yield served


@pytest.fixture(scope="module")
def found(apps: dict[str, str]) -> dict[str, SurveyResult]:
    """The results of all apps, by version."""
    return {apps[result.source]: result for result in survey(apps)}


def main_adapter(result: SurveyResult) -> str | None:
    return Counter(one.adapter for one in result.endpoints).most_common(1)[0][0]


def test_the_table_has_every_version_of_the_kit() -> None:
    assert set(VERSIONS) == set(versions())


@pytest.mark.parametrize("version", VERSIONS)
def test_an_app_of_each_version_answers(found: dict[str, SurveyResult], version: str) -> None:
    result = found[version]
    protocol, adapter, generation = VERSIONS[version]
    assert (result.answers, result.reason, result.why, result.step) == (True, Reason.ANSWERS, "", None)
    assert result.gradio == (None if version in UNNAMED else version)
    assert (result.generation, result.protocol) == (generation, protocol)
    assert main_adapter(result) == adapter
    assert set(result.adapters) <= {adapter, "direct"}
    names = [one.name for one in result.endpoints]
    assert result.endpoint_count == len(names) >= 1
    assert "/hello" in names or adapter == "polling"  # before 3.1.7 few have names
    assert result.url == result.source
    assert 0 < result.seconds < 30


def test_apps_that_require_a_login_are_results() -> None:
    with recordings("no_login") as served:
        results = {served[result.source]: result for result in survey(served, in_order=True)}
    assert {result.reason for result in results.values()} == {Reason.LOGIN}
    assert {result.step for result in results.values()} == {"login"}
    assert "--auth USER:PASSWORD" in results["6.31.0"].advice
    assert set(results) == set(VERSIONS)


def test_a_pool_of_processes_examines_the_apps(apps: dict[str, str], found: dict[str, SurveyResult]) -> None:
    with ProcessPoolExecutor(2, SPAWN) as executor:
        results = list(survey(apps, executor=executor, workers=2, in_order=True))
    assert [apps[result.source] for result in results] == list(apps.values())
    for result in results:
        expected = found[apps[result.source]]
        assert (result.gradio, result.endpoints) == (expected.gradio, expected.endpoints)
