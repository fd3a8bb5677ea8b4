# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace curl``: the script on stdout, and exit statuses. See tests/trace/test_curl.py."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result
from fake_gradio import fake_gradio

import gradio_transport as gt
from gradio_transport.cli.app import commands
from gradio_transport.trace import TraceWriter
from gradio_transport_conformance.traces import shipped_trace


def curl(*words: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(commands, ["trace", "curl", *words])


def test_the_script_is_stdout() -> None:
    result = curl(str(shipped_trace("6.31.0/hello")))
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("#!/bin/sh\n")


def test_the_server_and_the_call_can_be_chosen() -> None:
    path = str(shipped_trace("6.31.0/state"))
    result = curl(path, "--on", "https://app.example/x/", "--call", "2")
    assert "BASE='https://app.example/x/'" in result.stdout
    assert "# Call 2: " in result.stdout
    assert "# Call 1: " not in result.stdout


def test_standard_input(tmp_path: Path) -> None:
    path = tmp_path / "hello.jsonl"
    with fake_gradio() as server, TraceWriter(path) as tap, gt.connect(server.url, tap=tap) as app:
        app.call("/hello", "Ada")
    text = path.read_text()
    runner = CliRunner(catch_exceptions=False)
    assert "# Call 1: /hello" in runner.invoke(commands, ["trace", "curl", "-"], input=text).stdout


def test_bad_usage_is_status_2(tmp_path: Path) -> None:
    path = str(shipped_trace("6.31.0/hello"))
    (tmp_path / "empty").write_text('{"kind":"meta","format":"gradio-transport-trace","version":1}\n')
    for words in (
        [path, "--call", "7"],
        [path, "--call", "0"],
        [path, "--on", "file:///x"],
        [str(tmp_path / "empty")],
    ):
        assert curl(*words).exit_code == 2
    assert "has no call 7; it has 1 call" in curl(path, "--call", "7").stderr


def test_the_help_has_an_example() -> None:
    for command in ("curl", "play", "rerun"):
        result = CliRunner().invoke(commands, ["trace", command, "--help"], env={"COLUMNS": "80"})
        assert result.exit_code == 0
        assert "Example" in result.stdout
        assert all(len(line) <= 80 for line in result.stdout.splitlines())
