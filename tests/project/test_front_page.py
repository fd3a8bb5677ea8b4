# SPDX-License-Identifier: Apache-2.0
"""The front page, the README and llms.txt say what the data behind them say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from conformance.servers import report
from gradio_transport.protocol.flow import State

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text(encoding="utf-8")

QUEUES = {"polling", "websocket", "sse", "sse_v1", "sse_v2", "sse_v2.1", "sse_v3"}
"""The adapters of queues."""


def script(name: str) -> dict[str, Any]:
    """Return the names of a script in docs/."""
    return runpy.run_path(str(DOCS / name))


def rows(text: str, begin: str) -> list[list[str]]:
    """Return the cells of the table rows that begin so, as a regular expression says."""
    found = re.findall(rf"^\|\s*(?:{begin}).*\|$", text, re.MULTILINE)
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in found]


@pytest.mark.parametrize("name", ["_overview_svg.py", "_matrix_svg.py"])
def test_the_file_of_a_picture_is_the_generated_one(name: str) -> None:
    picture = script(name)
    assert picture["FILE"].read_text(encoding="utf-8") == picture["file"](), f"run python docs/{name}"


def test_the_overview_has_nine_generations_the_flow_and_the_ways_in() -> None:
    overview = script("_overview_svg.py")
    generations = overview["generations"]()
    assert len(generations) == 9
    assert {name.split()[0] for name in generations} == QUEUES
    for picture in (overview["svg"](), overview["svg"](narrow=True)):
        shown = set(re.findall(r">([^<>]+)</text>", picture))
        assert {*generations, *(use for use, _ in overview["USES"])} <= shown
        assert {state.value for state in State} - {"idle"} <= shown
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    for use, _ in overview["USES"]:
        assert f"**{use}**" in index


def test_the_picture_of_the_matrix_has_the_versions_and_the_faults_of_the_page() -> None:
    matrix = script("_matrix_svg.py")
    page = (DOCS / "support-matrix.md").read_text(encoding="utf-8")
    squares = matrix["squares"]()
    assert rows(page, "scenario")[0][1:] == [*squares]
    faults = [
        version
        for row in rows(page, "`")
        for version, sign in zip(squares, row[1:], strict=True)
        if sign not in ("✓", "·", "")
    ]
    assert sorted(faults) == sorted(
        version
        for version, row in squares.items()
        for square in row.values()
        for _ in range(square.known + square.failed)
    )
    for picture in (matrix["svg"](), matrix["svg"](narrow=True)):
        assert picture.count("<title>") == sum(map(len, squares.values()))


def test_the_readme_fits_on_a_few_screens() -> None:
    assert README.count("\n") < 150


def test_the_readme_has_what_the_report_says_of_the_matrix() -> None:
    assert f"{report.BEGIN}\n{report.summary(report.load())}\n{report.END}" in README


def counted() -> dict[tuple[str, str, str], dict[str, int]]:
    """Return the counts on the page of clients, each by its sign: by Gradio version, client and release."""
    page = (DOCS / "clients.md").read_text(encoding="utf-8")
    table = page.partition("## Counts")[2].partition("\n## ")[0]
    (head,) = rows(table, "Gradio")
    found: dict[tuple[str, str, str], dict[str, int]] = {}
    for version, *cells in rows(table, r"\d"):
        for client, cell in zip(head[1:], cells, strict=True):
            for run in filter(None, cell.split("<br>")):
                release, _, counts = run.partition(":")
                signs = re.findall(r"(\d+)\s(\S)", counts)
                found[version, client, release] = {sign: int(number) for number, sign in signs}
    return found


def test_the_readme_compares_clients_by_the_counts_of_their_page() -> None:
    counts = counted()
    (head,) = rows(README, r"\| gradio-transport")
    compared = 0
    for name, *cells in rows(README, r"Gradio \d"):
        _, version, number, _ = re.split(r",? ", name)
        for client, said in zip(head[1:], cells, strict=True):
            program, release = client.split()
            found = re.fullmatch(r"(?:([\d.]+): )?(\d+) right(?:, (\d+) wrong)?", said)
            if found is None:
                assert said in ("not graded", "\N{EN DASH}")
                assert not any(key[:2] == (version, program) for key in counts)
                continue
            run = counts[version, program, found[1] or release]
            assert (int(found[2]), int(found[3] or 0)) == (run["✓"], run.get("✗", 0)), (name, client)
            assert sum(run.values()) == int(number)
            compared += 1
    assert compared > 8


def test_the_list_for_language_models_names_every_page() -> None:
    llms = script("_llms.py")
    text = llms["FILE"].read_text(encoding="utf-8")
    assert text == llms["text"](), "run python docs/_llms.py"
    assert set(re.findall(r"\]\((\S+)\.md\): \S", text)) == {*llms["pages"]()} - {"index"}
    assert {*llms["ABOUT"]} <= {*llms["pages"]()}


def test_the_list_for_language_models_has_the_required_format() -> None:
    title, empty, summary, *rest = (DOCS / "llms.txt").read_text(encoding="utf-8").splitlines()
    assert (title, empty) == ("# gradio-transport", "")
    assert summary.startswith("> ")
    sections = [line for line in rest if line.startswith("#")]
    assert sections[:4] == ["## Tutorial", "## How-to guides", "## Explanation", "## Reference"]
    for line in rest[rest.index(sections[0]) :]:
        assert line == "" or line in sections or re.fullmatch(r"- \[[^\]]+\]\([^)]+\): .+", line), line
