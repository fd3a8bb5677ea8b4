# SPDX-License-Identifier: Apache-2.0
"""The file with the results of a run: what traces repeat is in it once, and reading it restores them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gradio_transport_conformance.grading import Grade
from gradio_transport_conformance.run import bodies
from gradio_transport_conformance.run.bodies import ADDRESS, SHORTEST, BodyTable, Unfolding
from gradio_transport_conformance.run.results import CellResult, RunResults, read_json, to_json, write_json
from gradio_transport_conformance.traces import shipped_trace

HELLO = shipped_trace("6.31.0/hello").read_text("utf-8")
LONG = "x" * SHORTEST


def results(*traces: str | None) -> RunResults:
    cells = [
        CellResult(name=f"6.31.0/{number}", kind="case", row="6.31.0", column=f"{number}", grade=Grade.PASS, trace=trace)
        for number, trace in enumerate(traces)
    ]  # fmt: skip
    return RunResults(client="mine 1.0", cells=cells)


def traces_of(run: RunResults) -> list[str | None]:
    return [cell.trace for cell in run.cells]


class TestWriting:
    def test_what_several_traces_repeat_is_written_once(self, tmp_path: Path) -> None:
        config = json.dumps({"body": f'{{"root": "http://127.0.0.1:40001", "text": "{LONG * 40}"}}'})
        run = results(config, config.replace("40001", "40002"), config.replace("40001", "40003"), None)
        write_json(run, tmp_path / "r.json")
        assert traces_of(read_json(tmp_path / "r.json")) == traces_of(run)
        written = (tmp_path / "r.json").read_text("utf-8")
        assert written.count(LONG * 40) == 1
        assert len(to_json(run)["bodies"]) == 1

    @pytest.mark.parametrize(
        "name", ["2.9.4/hello", "3.50.2/large", "4.8.0/large", "6.31.0/count", "6.31.0/file_out"]
    )
    def test_a_recorded_trace_is_restored_to_the_character(self, name: str) -> None:
        trace = shipped_trace(name).read_text("utf-8")
        table = BodyTable()
        first, second = table.fold(trace), table.fold(trace)
        known = len(table.bodies)
        assert known
        assert first == second
        assert len(table.bodies) == known
        assert Unfolding(json.loads(json.dumps(table.bodies))).unfold(json.loads(json.dumps(first))) == trace

    @pytest.mark.parametrize(
        "trace",
        [
            "",
            "no JSON at all",
            f'"{LONG}',  # an end that is missing
            f'{{"a": "{LONG}\\"", "b": "{LONG}\\\\"}}',
            f'"{LONG} 127.0.0.1:1 127.0.0.1:2"',  # two addresses
            f'"{LONG} 127.0.0.1:1 127.0.0.1:12"',
            f'"{LONG}{ADDRESS} 127.0.0.1:1"',
            f'"{LONG} 127.0.0.1:123456"',
        ],
    )
    def test_any_text_is_restored(self, trace: str) -> None:
        table = BodyTable()
        assert Unfolding(table.bodies).unfold(table.fold(trace)) == trace


class TestReading:
    def write(self, path: Path, **changed: Any) -> Path:
        path.write_text(json.dumps({**to_json(results(HELLO)), **changed}), "utf-8")
        return path

    def test_a_file_of_the_first_version_is_read(self, tmp_path: Path) -> None:
        run = results(HELLO, None)
        old = to_json(run)
        del old["bodies"]
        for cell, written in zip(run.cells, old["cells"], strict=True):
            written["trace"] = cell.trace
        path = tmp_path / "old.json"
        path.write_text(json.dumps({**old, "version": 1}), "utf-8")
        assert traces_of(read_json(path)) == [HELLO, None]

    def test_a_file_of_a_later_version_is_refused_with_the_versions(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "new.json", version=3)
        with pytest.raises(ValueError, match="its format has version 3, and this suite reads 1 to 2"):
            read_json(path)

    @pytest.mark.parametrize(
        ("trace", "problem"),
        [
            ("a text", "not a list of parts"),
            ([{"body": 9}], "refers to a body"),
            ([{"body": -1}], "refers to a body"),
            ([{"body": True}], "refers to a body"),
            ([{"body": 0, "at": 1}], "refers to a body"),
            ([7], "refers to a body"),
            ([{"body": 1}], "a body is not a string"),
        ],
    )
    def test_a_trace_that_is_none_is_refused(self, trace: Any, problem: str, tmp_path: Path) -> None:
        cells = to_json(results(None))["cells"]
        cells[0]["trace"] = trace
        path = self.write(tmp_path / "bad.json", cells=cells, bodies=["body", 5])
        with pytest.raises(ValueError, match=problem):
            read_json(path)

    def test_a_file_without_its_bodies_is_refused(self, tmp_path: Path) -> None:
        path = self.write(tmp_path / "bad.json", bodies=None)
        with pytest.raises(ValueError, match="does not contain the results of a run"):
            read_json(path)

    @pytest.mark.parametrize("part", [{"body": 0}, {"body": 1, "at": "y" * 60}])
    def test_a_small_file_cannot_become_a_large_trace(
        self, part: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bodies, "MOST_RESTORED", 1000)
        cells = to_json(results(None))["cells"]
        cells[0]["trace"] = [part] * 30
        path = self.write(tmp_path / "bomb.json", cells=cells, bodies=["x" * 50, ADDRESS * 20])
        with pytest.raises(ValueError, match="its traffic has more than 1,000 characters"):
            read_json(path)
