# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport survey``: sources from files, results to files and a page, interrupts, statuses."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from forking import MAIN, start
from heartbeats import app
from many_apps import ManyApps, many_apps
from terminals import in_a_terminal, without_escapes

from gradio_transport.cli.app import commands
from gradio_transport.cli.run_view import Pace
from gradio_transport.cli.survey_view import SurveyTally
from gradio_transport.errors import STEERING
from gradio_transport.survey import Reason, SurveyResult

CLOSED = "http://127.0.0.1:9"


@pytest.fixture
def apps() -> Iterator[ManyApps]:
    with many_apps() as running:
        yield running


def run(*words: object, **options: Any) -> Result:
    return CliRunner(catch_exceptions=False).invoke(commands, ["survey", *map(str, words)], **options)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def write(path: Path, *sources: str) -> Path:
    path.write_text("".join(f"{source}\n" for source in sources), encoding="utf-8")
    return path


def test_lines_of_text_become_results_of_json_lines(apps: ManyApps, tmp_path: Path) -> None:
    sources = write(tmp_path / "sources.txt", "# mine", *apps.sources(2), "", f"{CLOSED}  # gone", CLOSED)
    result = run(sources, "-o", tmp_path / "survey.jsonl", "--in-order")
    assert (result.exit_code, result.stdout) == (0, "")
    first, _, closed = lines((tmp_path / "survey.jsonl").read_text())
    assert first.pop("seconds") > 0
    endpoints = [
        {"name": f"/{name}", "adapter": "direct" if name == "direct" else "sse_v3"}
        for name in ("hello", "count", "forever", "direct", "raise_error")
    ]
    assert first == {
        "index": 0, "source": f"{apps.url}/0", "answers": True, "reason": "answers", "why": "", "advice": "",
        "step": None, "url": f"{apps.url}/0", "stage": None, "gradio": "6.31.0", "generation": 6,
        "protocol": "sse_v3", "adapters": ["sse_v3", "direct"], "title": "app 0", "endpoint_count": 5,
        "endpoints": endpoints,
    }  # fmt: skip
    assert (closed["source"], closed["reason"], closed["step"]) == (CLOSED, "refused", "tcp")
    summary, generations, reasons = result.stderr.splitlines()
    assert summary.startswith("3 of 3 apps surveyed: 2 answer, 1 do not; ")
    assert generations == "  Gradio versions of the apps that answer: 6.x 2"
    assert reasons == "  Reasons of the others: refused 1"


def test_stdin_and_stdout_are_the_default_of_a_pipe(apps: ManyApps) -> None:
    result = run("-", input=f"\ufeff{apps.url}/0\n{CLOSED}\n")
    assert result.exit_code == 0
    assert sorted(line["reason"] for line in lines(result.stdout)) == ["answers", "refused"]
    assert result.stderr.startswith("2 apps surveyed: 1 answer, 1 do not; ")


def test_results_can_be_the_sources_of_a_further_survey(apps: ManyApps, tmp_path: Path) -> None:
    sources = write(tmp_path / "sources.txt", f'"{apps.url}/0"', json.dumps({"source": CLOSED, "stars": 5}))
    assert run(sources, "-o", tmp_path / "one.jsonl").exit_code == 0
    again = run(tmp_path / "one.jsonl", "-o", tmp_path / "two.jsonl")
    assert again.stderr.startswith("2 of 2 apps surveyed: 1 answer, 1 do not; ")


def test_a_column_of_csv_has_the_sources(apps: ManyApps, tmp_path: Path) -> None:
    sources = tmp_path / "mine.csv"
    sources.write_text(f"\ufeffsource,stars\n{apps.url}/0,5\n,\n{apps.url}/1\n", encoding="utf-8")
    result = run(sources)
    assert sorted(line["source"] for line in lines(result.stdout)) == apps.sources(2)


def test_a_page_is_written_beside_the_results(apps: ManyApps, tmp_path: Path) -> None:
    sources = write(tmp_path / "sources.txt", *apps.sources(3))
    result = run(sources, "-o", tmp_path / "survey.jsonl", "--page", tmp_path / "survey.html")
    assert result.exit_code == 0
    assert "<title>Survey of 3 apps</title>" in (tmp_path / "survey.html").read_text()


def test_a_journal_goes_on_and_writes_all_results_again(apps: ManyApps, tmp_path: Path) -> None:
    apps.away = {"1"}
    sources = write(tmp_path / "sources.txt", *apps.sources(3))
    words = (sources, "-o", tmp_path / "survey.jsonl", "--journal", tmp_path / "survey.sqlite")
    assert run(*words).exit_code == 0
    apps.away = set()
    result = run(*words)
    assert "2 answer, 1 do not, 3 of them examined by an earlier run; " in result.stderr
    result = run(*words, "--redo-failed")
    assert "3 answer, 0 do not, 2 of them examined by an earlier run; " in result.stderr
    assert apps.examined == {"0": 1, "1": 1, "2": 1}
    assert len(lines((tmp_path / "survey.jsonl").read_text())) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("none.txt",), "No such file"),
        (("bad.jsonl",), "line 2 is not JSON"),
        (("other.jsonl",), "line 1 has no string 'source'"),
        (("other.csv",), "has no column 'source'"),
        (("binary.txt",), "not UTF-8 text"),
        (("good.txt", "--at-once", "0"), "--at-once"),
        (("good.txt", "--on", "spark://x:1"), "is not a cluster"),
        (("good.txt", "-o", "none/out.jsonl"), "No such file"),
        (("good.txt", "--page", "none/page.html"), "No such file"),
        (("good.txt", "-o", "good.txt"), "has the sources"),
        (("good.txt", "--page", "good.txt"), "has the sources"),
        (("good.txt", "--journal", "good.txt"), "cannot be used"),
    ],
)
def test_bad_usage_has_status_2_and_says_what(
    tmp_path: Path, words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("good.txt"), CLOSED)
    Path("bad.jsonl").write_text(f'"{CLOSED}"\n{{"b"\n')
    Path("other.jsonl").write_text('{"url": "http://a"}\n')
    Path("other.csv").write_text("url\nhttp://a\n")
    Path("binary.txt").write_bytes(b"\xff\xfe\x00")
    result = run(*words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert Path("good.txt").read_text() == f"{CLOSED}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a child alone")
def test_ctrl_c_finishes_what_runs_and_the_same_command_goes_on(tmp_path: Path) -> None:
    out, page, log = tmp_path / "survey.jsonl", tmp_path / "survey.html", tmp_path / "log"
    with many_apps(0.06) as apps, log.open("wb") as errors, open(os.devnull, "r+b") as null:
        sources = write(tmp_path / "sources.txt", *apps.sources(24))
        words = (
            "survey", str(sources), "-o", str(out), "--page", str(page), "--journal", str(tmp_path / "j"),
            "--at-once", "2",
        )  # fmt: skip
        process = start(
            MAIN,
            *words,
            environment=os.environ,
            stdin=null.fileno(),
            stdout=null.fileno(),
            stderr=errors.fileno(),
        )
        deadline = time.monotonic() + 30
        while len(apps.examined) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait() == 130
        said = log.read_text()
        assert "Waiting for the apps being examined" in said
        assert "To resume, run the same command again" in said
        stopped = lines(out.read_text())
        assert {line["reason"] for line in stopped} == {"answers"}
        assert 5 <= len(stopped) < 24
        assert f"Survey of {len(stopped)} apps" in page.read_text()
        assert run(*words[1:]).exit_code == 0
        assert apps.examined == {str(number): 1 for number in range(24)}
    assert sorted(line["index"] for line in lines(out.read_text())) == list(range(24))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
def test_a_terminal_sees_a_bar_and_nothing_that_steers(tmp_path: Path) -> None:
    with many_apps(0.05) as apps, app(title="\x1b[2J\u202egone", version="6.31.0\x1b[31m") as hostile:
        sources = write(tmp_path / "sources.txt", *apps.sources(12), CLOSED, hostile.url)
        status, drawn = in_a_terminal("survey", str(sources), "--at-once", "2", columns=120)
    assert status == 0
    text = without_escapes(drawn)
    assert re.search(r"apps ━*.* \d+/14 \d+\.\d apps/s", text)
    assert "14 of 14 apps surveyed: 13 answer, 1 do not; " in text
    assert "1 do not answer (refused 1)" in text
    assert "\x1b[2J" not in drawn
    assert r"\\x1b[2J\\u202egone" in text.replace("\r\n", "")


def test_the_tally_counts_generations_and_reasons() -> None:
    now = [0.0]
    tally = SurveyTally(Pace(total=10, unit="apps", clock=lambda: now[0]))
    for index, (reason, generation) in enumerate(
        [
            *[(Reason.ANSWERS, major) for major in (3, 6, 6)],
            *[(reason, None) for reason in (Reason.REFUSED, Reason.REFUSED, Reason.LOGIN, Reason.TLS)],
            *[(Reason.HUB, None), (Reason.DEADLINE, None)],
        ]
    ):
        tally.add(SurveyResult(index=index, source="x", reason=reason, generation=generation))
    now[0] = 3.0
    assert tally.pace.speed == "3.0 apps/s, 0.33 s left"
    assert tally.failures == "6 do not answer (refused 2, login 1, tls 1, hub 1, ...)"
    assert tally.summary == "9 of 10 apps surveyed: 3 answer, 6 do not; 3.0 s, 3.0 apps/s"
    assert list(tally.details) == [
        "Gradio versions of the apps that answer: 6.x 2, 3.x 1",
        "Reasons of the others: refused 2, login 1, tls 1, hub 1, deadline 1",
    ]
    assert not STEERING.search(tally.summary)
