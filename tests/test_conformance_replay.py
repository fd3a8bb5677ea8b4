# SPDX-License-Identifier: Apache-2.0
"""Every shipped trace against its adapter: as recorded, cut in every way, and cancelled everywhere."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import pytest

from gradio_transport.trace import read_trace
from gradio_transport_conformance.cases import all_cases
from gradio_transport_conformance.replaying import (
    as_recorded,
    cancelled_everywhere,
    read_by_sseclient,
    rechunked,
    shipped_traces,
    split_everywhere,
)

TRACES = shipped_traces()


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def versions() -> list[str]:
    return sorted({path.parent.name for path in TRACES})


@pytest.mark.parametrize("version", versions())
def test_traces_replay_as_recorded_and_however_they_are_cut(version: str) -> None:
    problems: list[str] = []
    for path in (path for path in TRACES if path.parent.name == version):
        trace = read_trace(path)
        result, found = as_recorded(trace)
        found += rechunked(trace, result) + read_by_sseclient(trace)
        problems += [f"{name(path)}: {problem}" for problem in found]
    assert problems == []


@pytest.mark.parametrize("version", versions())
def test_a_cancellation_at_any_point_leaves_nothing_open(version: str) -> None:
    problems: list[str] = []
    for path in (path for path in TRACES if path.parent.name == version):
        trace = read_trace(path)
        result, _ = as_recorded(trace)
        problems += [f"{name(path)}: {problem}" for problem in cancelled_everywhere(trace, result)]
    assert problems == []


@pytest.mark.parametrize("version", versions())
def test_a_small_trace_may_be_split_at_every_point(version: str) -> None:
    trace = read_trace(next(path for path in TRACES if path.parent.name == version and path.stem == "hello"))
    result, _ = as_recorded(trace)
    assert split_everywhere(trace, result) == []


def test_every_version_has_a_trace_of_every_case_that_it_allows() -> None:
    assert len(versions()) >= 22
    shipped = {
        version: {path.stem for path in paths}
        for version, paths in groupby(TRACES, lambda one: one.parent.name)
    }
    for version, cases in shipped.items():
        possible = {
            case.name for case in all_cases() if case.unsupported(version) is None and case.applies(version)
        }
        assert cases <= possible
        assert {"hello", "add", "slow", "state"} <= cases
