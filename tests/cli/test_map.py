# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport map``: rows from files, outcomes to files, interrupts, statuses."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from scripted import Reply, Scripted, scripted
from terminals import in_a_terminal, without_escapes
from working import working

from gradio_transport import bulk
from gradio_transport.cli.app import commands
from gradio_transport.cli.map import WorkerSource
from gradio_transport.cli.map_view import Tally
from gradio_transport.cli.run_view import Pace
from gradio_transport.errors import AppError, LocalProtocolError, StreamLost

COMMAND = (sys.executable, "-m", "gradio_transport", "map")


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def run(*words: object, **options: Any) -> Result:
    return CliRunner(catch_exceptions=False).invoke(commands, ["map", *map(str, words)], **options)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def write_rows(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_rows_of_json_lines_become_outcomes_of_json_lines(server: Scripted, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", {"text": "a"}, ["b"])
    result = run(server.url, "/hello", rows, "-o", tmp_path / "out.jsonl", "--in-order")
    assert result.exit_code == 0
    assert result.stdout == ""
    first, second = lines((tmp_path / "out.jsonl").read_text())
    assert first.pop("elapsed") > 0
    assert first == {
        "index": 0, "state": "done", "row": {"text": "a"}, "values": ["Hello, a!"], "attempts": 1,
        "may_have_run": True, "source": server.url,
    }  # fmt: skip
    assert (second["index"], second["row"], second["values"]) == (1, ["b"], ["Hello, b!"])
    assert result.stderr.startswith("2 of 2 rows done; ")


def test_stdin_and_stdout_are_the_default_of_a_pipe(server: Scripted) -> None:
    result = run(server.url, "/hello", "-", input='["a"]\n\n{"text": "b"}\n')
    assert result.exit_code == 0
    assert sorted(line["values"][0] for line in lines(result.stdout)) == ["Hello, a!", "Hello, b!"]


def test_columns_of_csv_have_the_types_of_the_parameters(server: Scripted, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text('text\n"a, b"\n5\n', encoding="utf-8")
    result = run(server.url, "/hello", rows, "--in-order")
    assert [line["values"] for line in lines(result.stdout)] == [["Hello, a, b!"], ["Hello, 5!"]]
    assert result.stderr.startswith("2 of 2 rows done; ")


def test_parquet_goes_in_and_out(server: Scripted, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra 'arrow'")
    import pyarrow as pa

    parquet.write_table(pa.table({"text": ["a", "b", "c"]}), tmp_path / "rows.parquet")
    result = run(
        server.url, "/hello", tmp_path / "rows.parquet", "-o", tmp_path / "out.parquet", "--in-order"
    )
    assert result.exit_code == 0
    found = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert [json.loads(row["values"]) for row in found] == [["Hello, a!"], ["Hello, b!"], ["Hello, c!"]]
    assert json.loads(found[0]["row"]) == {"text": "a"}
    assert {row["error"] for row in found} == {None}


def test_failures_are_lines_and_a_status(server: Scripted, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", ["a"], ["b"], {"wrong": 1})
    result = run(server.url, "/raise_error", rows, "--in-order")
    assert result.exit_code == 1
    found = lines(result.stdout)
    assert [line["state"] for line in found] == ["failed"] * 3
    assert found[0]["error"]["type"] == "AppError"
    assert found[0]["error"]["message"] == "why"
    assert "0 of 3 rows done, 3 failed (AppError 2, ValidationFailed 1)" in result.stderr


def test_a_journal_goes_on_and_writes_all_outcomes_again(server: Scripted, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", *([str(number)] for number in range(10)))
    options = (server.url, "/hello", rows, "-o", tmp_path / "out.jsonl", "--journal", tmp_path / "run.sqlite")
    assert run(*options).exit_code == 0
    joined = sum(path.endswith("/join") for path, _ in server.seen)
    result = run(*options)
    assert result.exit_code == 0
    assert sum(path.endswith("/join") for path, _ in server.seen) == joined == 10
    assert "10 of 10 rows done, 10 of these results from an earlier run" in result.stderr
    assert sorted(line["index"] for line in lines((tmp_path / "out.jsonl").read_text())) == list(range(10))


def test_files_are_sent_only_for_parameters_that_are_named(server: Scripted, tmp_path: Path) -> None:
    uploaded: list[Any] = []

    def upload(reply: Reply) -> None:
        uploaded.append(reply.body)
        reply.json(["/tmp/gradio/1.txt"])

    server.scripts = {"/gradio_api/upload": upload}
    (tmp_path / "a.txt").write_text("content")
    rows = write_rows(tmp_path / "rows.jsonl", {"text": str(tmp_path / "a.txt")})
    assert run(server.url, "/hello", rows).exit_code == 0
    assert not uploaded
    run(server.url, "/hello", rows, "--file", "text")
    assert len(uploaded) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("/helo", "rows.jsonl"), "Did you mean '/hello'"),
        (("/hello", "none.jsonl"), "No such file"),
        (("/hello", "bad.jsonl"), "line 2 is not JSON"),
        (("/hello", "scalar.jsonl"), "line 1 is neither an object nor a list"),
        (("/hello", "rows.jsonl", "--file", "audio"), "no such parameter"),
        (("/hello", "rows.jsonl", "--on", "spark://x:1"), "is not a cluster"),
        (("/hello", "rows.jsonl", "--on", "dask://x:1", "-H", "x: y"), "--header"),
        (("/hello", "rows.jsonl", "--on", "dask://x:1", "--set", "key=x"), "--set"),
        (("/hello", "rows.jsonl", "-o", "none/out.jsonl"), "No such file"),
    ],
)
def test_bad_usage_has_status_2_and_says_what(server: Scripted, tmp_path: Path, words, message: str) -> None:
    write_rows(tmp_path / "rows.jsonl", ["a"])
    (tmp_path / "bad.jsonl").write_text('["a"]\n{"b"\n')
    (tmp_path / "scalar.jsonl").write_text("5\n")
    paths = [str(tmp_path / word) if word.endswith(".jsonl") else word for word in words]
    result = run(server.url, *paths)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_a_server_that_is_not_there_has_status_4(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", ["a"])
    assert run("http://127.0.0.1:9", "/hello", rows).exit_code == 4


def test_one_source_of_several_may_be_away(server: Scripted, tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", ["a"], ["b"])
    result = run(f"http://127.0.0.1:9,{server.url}", "/hello", rows)
    assert result.exit_code == 0
    assert {line["source"] for line in lines(result.stdout)} == {server.url}


def test_a_run_that_ends_early_says_what_is_done(server: Scripted, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('["a"]\n["b"]\n["c"\n')
    result = run(
        server.url, "/hello", rows, "-o", tmp_path / "out.jsonl", "--journal", tmp_path / "run.sqlite"
    )
    assert result.exit_code == 2
    assert "line 3 is not JSON" in result.stderr
    assert len(lines((tmp_path / "out.jsonl").read_text())) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to a child alone")
def test_ctrl_c_finishes_what_runs_and_the_same_command_goes_on(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", *([str(number)] for number in range(60)))
    out = tmp_path / "out.jsonl"
    with working(at_once=2, seconds=0.1) as server:
        command = [
            *COMMAND, server.url, "/hello", str(rows), "-o", str(out), "--journal", str(tmp_path / "run.sqlite"),
        ]  # fmt: skip
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while sum(server.ran.values()) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=40)
        assert process.returncode == 130
        assert "Waiting for the running calls" in errors
        assert "To resume, run the same command again" in errors
        stopped = lines(out.read_text())
        assert {line["state"] for line in stopped} == {"done"}
        assert 4 <= len(stopped) < 60
        done = subprocess.run(command, capture_output=True, text=True, timeout=50)
        assert done.returncode == 0, done.stderr
        assert server.ran == {str(number): 1 for number in range(60)}
    assert sorted(line["index"] for line in lines(out.read_text())) == list(range(60))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")
def test_a_terminal_sees_a_bar(tmp_path: Path) -> None:
    rows = write_rows(tmp_path / "rows.jsonl", *([str(number)] for number in range(20)))
    with working(at_once=2, seconds=0.05) as server:
        status, drawn = in_a_terminal(
            "map", server.url, "/hello", str(rows), "-o", str(tmp_path / "out.jsonl"), columns=120
        )
    assert status == 0
    text = without_escapes(drawn)
    assert re.search(r"rows ━*.* \d+/20 \d+\.\d rows/s", text)
    assert "20 of 20 rows done; " in text


def test_workers_take_secrets_from_their_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    source = WorkerSource("http://127.0.0.1:9", {}, has_token=False, has_auth=True)
    with pytest.raises(LocalProtocolError, match="GRADIO_TRANSPORT_AUTH"):
        source()
    monkeypatch.setenv("GRADIO_TRANSPORT_AUTH", "user:password")
    assert "password" not in repr(source())


def test_the_tally_says_rate_rest_and_failures() -> None:
    now = [0.0]
    tally = Tally(Pace(total=10, clock=lambda: now[0]))
    for index, error in enumerate([None, None, AppError("x"), StreamLost("y", may_have_run=True)]):
        tally.add(bulk.Outcome(index=index, row=[], values=None if error else [], error=error))
    now[0] = 2.0
    assert tally.pace.speed == "2.0 rows/s, 3.0 s left"
    assert tally.failures == "1 failed (AppError 1), 1 in doubt"
    assert tally.summary == "2 of 10 rows done, 1 failed (AppError 1), 1 in doubt; 2.0 s, 2.0 rows/s"
