# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace rerun``: what it prints, and its exit statuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gradio_transport.cli.app import commands
from gradio_transport_conformance.httpserver import serve_with_websockets
from gradio_transport_conformance.traces import shipped_trace


def rerun(name: str, on: str, *options: str, heard: list[Any] | None = None) -> Result:
    log = [] if heard is None else heard
    with serve_with_websockets(shipped_trace(on), log=log.append) as served:
        words = ["trace", "rerun", str(shipped_trace(name)), "--on", served.url, "--timeout", "20", *options]
        return CliRunner(catch_exceptions=False).invoke(commands, words)


def test_the_same_is_one_line_and_status_0() -> None:
    result = rerun("4.44.1/hello", "6.31.0/hello")
    first, last = result.stdout.splitlines()
    assert result.exit_code == 0
    assert first.startswith('same    call 1  /hello("Ada")')
    assert last == "1 call: 1 same"
    assert "recorded on Gradio 4.44.1" in result.stderr
    assert "1 call will be made on" in result.stderr
    assert ": /hello" in result.stderr


def test_differences_are_below_and_status_1() -> None:
    result = rerun("4.44.1/chat", "6.31.0/chat")
    lines = result.stdout.splitlines()
    assert result.exit_code == 1
    assert lines[0].startswith("differs call 1  /chat(")
    assert lines[1] == "  output 1 had 2 items, has 4"
    assert lines[-1] == "1 call: 1 differs"


def test_what_is_skipped_says_why_and_is_status_1() -> None:
    result = rerun("4.44.1/files", "6.31.0/files")
    assert result.exit_code == 1
    assert result.stdout.splitlines()[0].startswith(
        'skipped call 1  /files(["file one.txt", "file two.txt"])'
    )
    assert "pass --file one.txt=PATH" in result.stdout


def test_files_can_be_given(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("hello")
    (tmp_path / "2").write_text("hello world")
    options = ["--file", str(tmp_path / "one.txt"), "--file", f"two.txt={tmp_path / '2'}"]
    assert rerun("4.44.1/files", "6.31.0/files", *options).exit_code == 0
    assert rerun("4.44.1/files", "6.31.0/files", "--placeholders").exit_code == 0


def test_a_dry_run_calls_nothing() -> None:
    heard: list[Any] = []
    result = rerun("4.44.1/state", "6.31.0/state", "--dry-run", heard=heard)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["call", "call", "call"]
    assert "3 calls would be made" in result.stderr
    assert not any("queue" in one.target for one in heard)


def test_json() -> None:
    result = rerun("4.44.1/chat", "6.31.0/chat", "--json")
    document = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (document["recorded"]["gradio"], document["on"]["gradio"]) == ("4.44.1", "6.31.0")
    assert document["summary"] == {"same": 0, "differs": 1, "error": 0, "skipped": 0}
    (call,) = document["calls"]
    assert (call["call"], call["endpoint"], call["status"]) == (1, "/chat", "differs")
    assert "output 1 had 2 items, has 4" in call["differences"]
    assert call["recorded"]["ending"] == call["now"]["ending"] == "completed"
    plan = json.loads(rerun("4.44.1/files", "6.31.0/files", "--dry-run", "--json", "--placeholders").stdout)
    assert plan[0]["skipped"] is None


def test_the_tolerance_can_be_set() -> None:
    assert rerun("4.44.1/log", "6.31.0/log").exit_code == 1
    assert rerun("4.44.1/log", "6.31.0/log", "--no-logs").exit_code == 0


def test_one_call_can_be_chosen() -> None:
    result = rerun("4.44.1/state", "6.31.0/state", "--call", "3")
    assert result.stdout.splitlines()[0].startswith('same    call 3  /remember("c")')
    assert rerun("4.44.1/state", "6.31.0/state", "--call", "99").exit_code == 2


def test_no_connection_is_status_4() -> None:
    path = str(shipped_trace("6.31.0/hello"))
    result = CliRunner().invoke(commands, ["trace", "rerun", path, "--on", "http://127.0.0.1:1"])
    assert result.exit_code == 4
    assert "ConnectError" in result.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--file", "no.txt=/nowhere"],
        ["--value", "x"],
        ["--value", "x=@/nowhere"],
        ["--ignore", "("],
        ["--call", "0"],
    ],
)
def test_bad_options_are_status_2(options: list[str]) -> None:
    path = str(shipped_trace("6.31.0/hello"))
    result = CliRunner().invoke(commands, ["trace", "rerun", path, "--on", "http://127.0.0.1:1", *options])
    assert result.exit_code == 2


def test_a_file_that_is_no_trace_is_status_2(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    result = CliRunner().invoke(
        commands, ["trace", "rerun", str(tmp_path / "x"), "--on", "http://127.0.0.1:1"]
    )
    assert result.exit_code == 2
    assert "is not a trace" in result.stderr
