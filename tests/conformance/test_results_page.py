# SPDX-License-Identifier: Apache-2.0
"""The page of results, as data: what of the runs is in it, that none of it is markup, and its size; comparisons."""

from __future__ import annotations

import base64
import json
import re
import runpy
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from gradio_transport.trace import TraceWriter, read_trace
from gradio_transport_conformance.cli.app import commands
from gradio_transport_conformance.grading import Grade
from gradio_transport_conformance.page import build_page, write_page
from gradio_transport_conformance.page.comparison import Change, compare_runs, comparison_text
from gradio_transport_conformance.page.joining import join_runs
from gradio_transport_conformance.page.limits import json_text
from gradio_transport_conformance.page.wire import ROWS, wire_log
from gradio_transport_conformance.run.results import CellResult, RunResults, write_json
from gradio_transport_conformance.traces import shipped_trace

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r'<script type="text/plain" id="([\w-]+)">([^<]*)</script>')
HOSTILE = "</script><script>alert(1)</script><!--\x00\u202e\ud800"


def cell(version: str, case: str, grade: Grade = Grade.PASS, **fields: Any) -> CellResult:
    return CellResult(name=f"{version}/{case}", kind="case", row=version, column=case, grade=grade, **fields)


def fault(protocol: str, name: str, grade: Grade = Grade.PASS, **fields: Any) -> CellResult:
    return CellResult(
        name=f"{protocol} | {name}", kind="fault", row=protocol, column=name, grade=grade, **fields
    )


def trace_text() -> str:
    """Return a trace as the results of a run have it: whole, and without the texts that recordings share."""
    trace = read_trace(shipped_trace("6.31.0/count"))
    with TemporaryDirectory() as folder:
        path = Path(folder, "trace.jsonl")
        with TraceWriter(path, meta=dict(trace.meta)) as write:
            for frame in trace.frames:
                write(frame)
        return path.read_text("utf-8")


def run_of(*cells: CellResult, client: str = "peer 1.0", **fields: Any) -> RunResults:
    return RunResults(client=client, cells=cells, started="2026-01-02T03:04:05+00:00", **fields)


def data_of(page: str) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the index of a page, and what is behind its cells by their names."""
    blocks = {name: json.loads(zlib.decompress(base64.b64decode(text))) for name, text in BLOCK.findall(page)}
    index = blocks.pop("index")
    return index, {one["name"]: one for block in blocks.values() for one in block}


def test_a_page_has_a_matrix_of_cases_and_one_of_faults() -> None:
    first = run_of(
        cell("6.31.0", "hello"),
        cell("3.50.2", "count", Grade.FAIL, cause="died"),
        fault("sse_v3", "join | a"),
    )
    second = run_of(cell("6.31.0", "count", Grade.CANNOT), cell("6.31.0", "my own"), client="other 2")
    index, cells = data_of(build_page([first, second]))
    cases, faults = index["matrices"]
    assert cases["columns"] == [[0, "3.50.2"], [0, "6.31.0"], [1, "6.31.0"]]
    assert [row[0] for row in cases["rows"]] == ["count", "hello", "my own"], "in the order of the suite"
    assert cases["grades"] == ["F.C", ".P.", "..P"]
    assert index["strings"][cases["causes"][0][0]] == "died"
    assert cases["first"] == [0, 2, 3]
    assert faults["rows"] == [["join | a", "join", ""]]
    assert [run["label"] for run in index["runs"]] == ["peer 1.0", "other 2"]
    assert set(cells) == {
        "6.31.0/hello",
        "3.50.2/count",
        "sse_v3 | join | a",
        "6.31.0/count",
        "6.31.0/my own",
    }


def test_runs_of_one_client_are_told_apart_by_date_or_number() -> None:
    runs = [run_of(cell("6.31.0", "hello")) for _ in range(2)]
    later = attrs.evolve(runs[0], started="2026-02-03T00:00:00+00:00")
    labels = [run["label"] for run in data_of(build_page([*runs, later]))[0]["runs"]]
    assert labels == [
        "peer 1.0, 2026-01-02 03:04 (1)",
        "peer 1.0, 2026-01-02 03:04 (2)",
        "peer 1.0, 2026-02-03 00:00",
    ]


def test_what_is_behind_a_cell_is_whole_where_it_is_short() -> None:
    shown = cell(
        "6.31.0",
        "count",
        Grade.FAIL,
        reason="why",
        expected=["/count(3) returns [3]"],
        source="cases/generators.yaml",
        task={"type": "task", "id": "6.31.0/count", "url": "http://127.0.0.1:1"},
        answer={"steps": [{"value": [float("nan")]}]},
        findings=["polls config 3 times"],
        off_tape=["GET /x"],
        output="stray",
        seconds=1.25,
        trace=trace_text(),
    )
    _, cells = data_of(build_page([run_of(shown)]))
    found = cells["6.31.0/count"]
    assert (found["reason"], found["expected"], found["source"]) == (
        "why",
        ["/count(3) returns [3]"],
        "cases/generators.yaml",
    )
    assert json.loads(found["task"]) == {"url": "http://127.0.0.1:1"}
    assert "NaN" in found["answer"]
    assert (found["findings"], found["off_tape"], found["output"], found["seconds"]) == (
        ["polls config 3 times"],
        ["GET /x"],
        "stray",
        1.25,
    )
    names = [row[4] for row in found["wire"]["rows"]]
    assert names.count("process_generating") == 3
    assert "process_completed" in names


def test_a_wire_log_is_bounded_and_its_end_is_kept() -> None:
    whole = wire_log(trace_text())
    assert whole is not None
    lines = trace_text().splitlines()
    requests = [line for line in lines if '"kind":"request"' in line][:1] * 500
    cut = wire_log("\n".join([lines[0], *requests, *lines[1:]]))
    assert cut is not None
    assert len(cut["rows"]) == ROWS
    assert cut["left_out"] > 300
    assert cut["rows"][-1][4] == whole["rows"][-1][4]
    assert max(len(str(one)) for row in cut["rows"] for one in row) < 400


def test_traffic_that_cannot_be_read_says_so_in_its_cell() -> None:
    found = wire_log('{"kind": "no trace"}')
    assert found is not None
    assert found["problem"]
    assert wire_log(None) is None


def test_no_text_of_a_driver_is_in_the_page_as_it_is() -> None:
    hostile = cell(
        HOSTILE,
        HOSTILE,
        Grade.FAIL,
        cause=HOSTILE,
        reason=HOSTILE,
        answer={HOSTILE: [HOSTILE]},
        output=HOSTILE,
    )
    page = build_page([run_of(hostile, client=HOSTILE, language=HOSTILE, problems=[HOSTILE])])
    assert HOSTILE not in page
    title = page[page.index("<title>") : page.index("</title>")]
    assert "<script" not in title
    assert not set("\x00\u202e\ud800") & set(page)
    assert page.count("<script") == len(BLOCK.findall(page)) + 1
    assert "http://" not in BLOCK.sub("", page)


def test_an_answer_of_megabytes_takes_kilobytes_of_the_page(tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    answer = {"text": "x" * 1_000_000, "list": list(range(100_000)), "deep": deep, "y" * 100_000: 1}
    large = cell("6.31.0", "count", Grade.FAIL, reason="r" * 1_000_000, answer=answer, output="o" * 1_000_000)
    path = tmp_path / "page.html"
    write_page(run_of(large), path)
    assert path.stat().st_size < len(build_page([run_of(cell("6.31.0", "count"))])) + 10_000
    assert "(1,000,000 in all)" in json_text(answer)


def test_cells_of_many_versions_take_few_bytes_each() -> None:
    trace = trace_text()
    task = {"url": "http://127.0.0.1:1", "groups": [[{"endpoint": "/count", "fn_index": 3, "data": [3]}]]}
    cells = [
        cell(
            f"6.{minor}.0",
            "count",
            Grade.FAIL,
            cause=f"cause {minor % 3}",
            task=task,
            answer=task,
            trace=trace,
        )
        for minor in range(60)
    ]
    empty = len(build_page([run_of()]))
    assert (len(build_page([run_of(*cells)])) - empty) / len(cells) < 300


# Comparisons.


OLD = run_of(
    cell("6.31.0", "hello"),
    cell("6.31.0", "add", Grade.FAIL, cause="a"),
    cell("6.31.0", "pair"),
    cell("6.31.0", "count", Grade.FAIL, cause="a"),
    cell("6.31.0", "chat", Grade.CANNOT),
    cell("6.31.0", "gone"),
    cell("6.31.0", "large"),
)
NEW = run_of(
    cell("6.31.0", "hello", Grade.FAIL, cause="it hangs"),
    cell("6.31.0", "add"),
    cell("6.31.0", "pair", Grade.OFF_TAPE),
    cell("6.31.0", "count", Grade.FAIL, cause="b"),
    cell("6.31.0", "chat", Grade.OFF_TAPE),
    cell("6.31.0", "new"),
    cell("6.31.0", "large"),
)


def test_a_comparison_tells_each_kind_of_change() -> None:
    compared = compare_runs(OLD, NEW)
    assert {one.name.partition("/")[2]: one.change for one in compared.changed} == {
        "hello": Change.NEWLY_WRONG,
        "add": Change.NEWLY_RIGHT,
        "pair": Change.NO_LONGER_RIGHT,
        "count": Change.OTHER_CAUSE,
        "chat": Change.OTHER,
        "new": Change.ADDED,
        "gone": Change.REMOVED,
    }
    assert compared.same == 1
    text = comparison_text(compared)
    assert "Newly wrong: 1\n  6.31.0/hello: right -> wrong  (it hangs)" in text
    assert text.endswith("1 unchanged")


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        (OLD, NEW, 1),
        (OLD, OLD, 0),
        (run_of(cell("6.31.0", "add", Grade.FAIL)), run_of(cell("6.31.0", "add")), 0),
        (run_of(cell("6.31.0", "add")), run_of(cell("6.31.0", "add", Grade.CANNOT)), 1),
        (run_of(cell("6.31.0", "add", Grade.FAIL)), run_of(cell("6.31.0", "add", Grade.FAIL)), 0),
        (OLD, attrs.evolve(OLD, complete=False), 1),
    ],
    ids=["worse", "same", "better", "no longer right", "still wrong", "interrupted"],
)
def test_the_exit_status_of_compare_says_whether_something_became_worse(
    old: RunResults, new: RunResults, status: int, tmp_path: Path
) -> None:
    write_json(old, tmp_path / "old.json")
    write_json(new, tmp_path / "new.json")
    page = tmp_path / "page.html"
    done = CliRunner().invoke(
        commands, ["compare", str(tmp_path / "old.json"), str(tmp_path / "new.json"), "--html", str(page)]
    )
    assert done.exit_code == status, done.output
    assert data_of(page.read_text("utf-8"))[0]["compare"] == [0, 1]


def test_results_become_a_page_by_a_command(tmp_path: Path) -> None:
    write_json(OLD, tmp_path / "old.json")
    page = tmp_path / "page.html"
    done = CliRunner().invoke(commands, ["page", str(tmp_path / "old.json"), "-o", str(page)])
    assert done.exit_code == 0, done.output
    assert data_of(page.read_text("utf-8"))[0]["compare"] is None


def test_runs_of_one_client_on_other_versions_are_joined(tmp_path: Path) -> None:
    parts = [run_of(cell(version, "add"), seconds=1.0) for version in ("6.31.0", "3.50.2", "6.31.0")]
    other = run_of(cell("4.44.1", "add"), client="other 1")
    first, again, last = join_runs([*parts, other])
    assert [one.row for one in first.cells] == ["6.31.0", "3.50.2"]
    assert first.seconds == 2.0
    assert (again, last) == (parts[2], other)


@pytest.mark.parametrize("text", ["", "[]", '{"format": "x", "version": 1}', "[" * 100_000], ids=len)
def test_a_file_that_holds_no_results_is_bad_usage(text: str, tmp_path: Path) -> None:
    path = tmp_path / "no.json"
    path.write_text(text, "utf-8")
    for arguments in (
        ["compare", str(path), str(path)],
        ["page", str(path), "-o", str(tmp_path / "page.html")],
    ):
        done = CliRunner().invoke(commands, arguments)
        assert done.exit_code == 2, done.output
        assert "does not contain the results" in done.output


# The page of clients in the docs.

CLIENTS = runpy.run_path(str(ROOT / "docs" / "_clients.py"))


def test_the_page_of_clients_is_the_generated_one() -> None:
    text = (ROOT / "docs" / "clients.md").read_text("utf-8")
    assert CLIENTS["with_tables"](text) == text, "run python docs/_clients.py"


def test_kept_results_have_the_grade_and_cause_of_each_case(tmp_path: Path) -> None:
    path = CLIENTS["keep"](NEW, tmp_path)
    (client,) = CLIENTS["read_clients"](tmp_path)
    assert path.name == "peer-1.0.json"
    assert client.grades("6.31.0") == {
        "hello": "wrong",
        "count": "wrong",
        "add": "right",
        "new": "right",
        "large": "right",
        "pair": "off tape",
        "chat": "off tape",
    }
    assert client.causes("wrong") == {"it hangs": {"hello": ["6.31.0"]}, "b": {"count": ["6.31.0"]}}
    # A later run of the same version replaces it, and that of another one is added.
    CLIENTS["keep"](
        run_of(cell("6.31.0", "add"), cell("3.50.2", "add", Grade.FAIL, cause="<b>*x*")), tmp_path
    )
    (client,) = CLIENTS["read_clients"](tmp_path)
    assert client.grades("6.31.0") == {"add": "right"}
    assert r"\<b\>\*x\*" in CLIENTS["tables"]([client])


def test_causes_name_ranges_of_the_versions_that_were_run() -> None:
    ran = ["4.0.2", "4.8.0", "4.9.0", "5.0.2", "6.31.0"]
    assert CLIENTS["_ranges"](ran[:3], ran) == "4.0.2 to 4.9.0"
    assert CLIENTS["_ranges"]([*ran[:2], "6.31.0"], ran) == "4.0.2, 4.8.0, 6.31.0"
    cases = {"a": ran[:1], "b": ran[:1], "c": ran[4:]}
    assert CLIENTS["_places"](cases, ran) == "`a`, `b` on 4.0.2; `c` on 6.31.0"


def test_each_client_is_run_on_the_versions_that_the_page_says() -> None:
    clients = {
        version: [name for _, name in CLIENTS["planned"](version)]
        for version in ("2.9.4", "3.50.2", "4.8.0", "6.31.0")
    }
    assert clients == {
        "2.9.4": ["sync"],
        "3.50.2": ["sync", "gradio_client==0.6.1", "@gradio/client@0.5.2"],
        "4.8.0": [
            "sync", "gradio_client==0.7.0", "gradio_client==1.3.0", "gradio_client==2.7.2",
            "@gradio/client@2.7.0",
        ],
        "6.31.0": ["sync", "gradio_client==2.7.2", "@gradio/client@2.7.0", "curl"],
    }  # fmt: skip
