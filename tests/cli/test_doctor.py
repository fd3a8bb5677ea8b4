# SPDX-License-Identifier: Apache-2.0
"""The command `doctor`: what it prints, and its exit status."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from heartbeats import app, elsewhere
from middle import middle
from nginx import free_port
from scripted import Scripted, scripted
from terminals import in_a_terminal, without_escapes

from gradio_transport.cli.app import commands
from gradio_transport.doctor import STEPS, connections, streams


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(streams, "FIRST_BYTE_SECONDS", 0.6)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.2)


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with app() as server:
        yield server


def run(*words: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(commands, ["doctor", *words])


def test_a_healthy_app(server: Scripted) -> None:
    result = run(server.url, "--hold", "0.2")

    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == f"ok      address      {server.url}: host 127.0.0.1, port {server.server_port}."
    assert lines[-1] == "The app can be called. No problem was found."
    assert not re.search("^(FAILURE|warning)", result.stdout, re.MULTILINE)


def test_a_failure_says_what_to_do() -> None:
    result = run(f"http://127.0.0.1:{free_port()}")

    assert result.exit_code == 4
    assert "FAILURE connection   127.0.0.1:" in result.stdout
    assert f"\n{'':21}-> No program listens on port" in result.stdout
    assert "The app cannot be called. The reason is in: connection." in result.stdout
    assert "Not checked" not in result.stdout  # one sentence of the summary stands for all of them
    assert "16 steps were not checked because of it." in result.stdout


def test_a_warning_is_no_failure(server: Scripted) -> None:
    with middle(server.url, closes=True) as proxy:
        result = run(proxy.url, "--hold", "0.2")

    assert result.exit_code == 0
    assert "warning keep-alive" in result.stdout
    assert result.stdout.endswith("The app can be called. There is a warning in: keep-alive.\n")


def test_json(server: Scripted) -> None:
    result = run(server.url, "--hold", "0.2", "--json")
    report = json.loads(result.stdout)

    assert result.exit_code == report["status"] == 0
    assert report["result"] == "ok"
    assert report["source"] == server.url
    assert [step["step"] for step in report["steps"]] == [one.name for one in STEPS]
    assert set(report["steps"][0]) == {
        "step", "title", "result", "seen", "advice", "blocked_by", "error", "seconds",
    }  # fmt: skip


def test_json_of_a_failure() -> None:
    result = run("htp://example.org", "--json")
    report = json.loads(result.stdout)

    assert result.exit_code == report["status"] == 2
    assert report["steps"][0]["error"] == "LocalProtocolError"
    assert report["steps"][0]["advice"] == ["Did you mean http://example.org?"]
    assert report["steps"][1]["blocked_by"] == "address"


@pytest.mark.parametrize(
    ("status", "kind", "text", "exit_code"),
    [
        (401, "application/json", '{"detail":"Not authenticated"}', 3),
        (403, "text/html", "<h1>Forbidden</h1>", 3),
        (200, "text/html", "<h1>Cats</h1>", 4),
        (404, "application/json", '{"detail":"Not Found"}', 4),
        (502, "text/html", "<h1>Bad gateway</h1>", 4),
        (429, "text/html", "<h1>Slow down</h1>", 4),
    ],
)
def test_exit_statuses(status: int, kind: str, text: str, exit_code: int) -> None:
    with scripted() as server:
        result = run(elsewhere(server, text, status, kind))

    assert result.exit_code == exit_code, result.stdout


def test_a_call(server: Scripted) -> None:
    result = run(server.url, "--hold", "0.2", "--call", "/hello", "Ada")

    assert result.exit_code == 0
    assert "ok      call         /hello returned within" in result.stdout


def test_a_call_that_raises(server: Scripted) -> None:
    assert run(server.url, "--hold", "0.2", "--call", "/raise_error", "x").exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--call", "/helo", "Ada"),
        ("--call", "/hello", "a", "b"),
        ("--call", "/hello", "nme=Ada"),
        ("Ada",),
        ("--hold", "0"),
        ("--protocol", "sse_v3", "--set", "model=x"),
    ],
)
def test_bad_usage(server: Scripted, words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(commands, ["doctor", server.url, "--hold", "0.1", *words])

    assert result.exit_code == 2, result.output


def test_hostile_text_does_not_steer_and_makes_no_line_of_its_own() -> None:
    with scripted() as server:
        url = elsewhere(server, "<h1>\x1b]0;owned\x07 \u202e</h1>\r\nok      Gradio       all is well", 500)
        result = run(url)

    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "\nok      Gradio" not in result.stdout


def test_the_trace_has_what_was_sent(server: Scripted, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    run(server.url, "--hold", "0.2", "--trace", str(path))

    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    urls = [line.get("payload", line).get("url", "") for line in lines]
    assert any(str(url).endswith("/config") for url in urls)


def test_secrets_are_not_shown() -> None:
    secret = "s3cretOfTheCommandLine"
    with scripted() as server:
        server.below["/"] = lambda reply: reply.text(f"{dict(reply.headers)}", 500)
        result = run(
            server.url.replace("://", f"://ann:{secret}@"),
            "-H",
            f"x-key: {secret}",
            "--auth",
            f"ann:{secret}",
        )

    assert secret not in result.output


def test_help_has_examples() -> None:
    result = run("--help")

    assert "gradio-transport doctor http://127.0.0.1:7860 --call /count 3" in result.stdout
    assert "Exit status:" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_a_terminal_of_80_columns(server: Scripted) -> None:
    with middle(server.url, closes=True, max_body=1_000) as proxy:
        status, drawn = in_a_terminal("doctor", proxy.url, "--hold", "0.2")

    assert status == 0
    lines = [line.rpartition("\r")[2] for line in without_escapes(drawn).replace("\r\n", "\n").split("\n")]
    assert max(map(len, lines)) <= 80
    place = next(number for number, line in enumerate(lines) if line.startswith("warning upload"))
    assert lines[place + 1].startswith(" " * 21)
    assert any(line.startswith(f"{'':21}→ ") for line in lines)


def test_an_interruption_ends_it() -> None:
    with scripted() as server:
        server.scripts["/config"] = lambda reply: reply.hold()
        process = subprocess.Popen(
            [sys.executable, "-m", "gradio_transport", "doctor", server.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert server.wait_for("/config")
        process.send_signal(2)
        assert process.wait(20) == 130
        process.communicate()
