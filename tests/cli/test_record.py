# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport record``."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted import Scripted, scripted

from gradio_transport.cli.app import commands
from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import read_trace, replay

COMMAND = (sys.executable, "-m", "gradio_transport", "record")
SECONDS = 50

CLIENT = """
    import os, sys
    import gradio_transport as gt
    url = sys.argv[1]
    assert os.environ["GRADIO_URL"] == url.removesuffix("/x"), os.environ["GRADIO_URL"]
    with gt.connect(os.environ["GRADIO_URL"]) as app:
        print(app.call("/hello", "you"))
    print("on stderr", file=sys.stderr)
    raise SystemExit(int(sys.argv[2]))
"""

SLEEPER = """
    import signal, sys, time
    def ended(number, frame):
        print("got", number, flush=True)
        raise SystemExit(9)
    signal.signal(signal.SIGTERM, ended)
    signal.signal(signal.SIGINT, ended)
    print("ready", flush=True)
    time.sleep(50)
"""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def program(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(text))
    return [sys.executable, str(path)]


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], capture_output=True, text=True, cwd=cwd, timeout=SECONDS, check=False
    )


def invoke(*words: str) -> tuple[int, str]:
    """Run the command in this process, which is quicker; what its command prints is not captured."""
    done = CliRunner(catch_exceptions=False).invoke(commands, ["record", *words])
    return done.exit_code, done.stderr


def calls(path: Path) -> list[object]:
    return [frame.payload["endpoint"] for frame in read_trace(path).frames if frame.kind is Kind.CALL]


def test_a_command_runs_with_the_url_and_decides_the_exit_status(server: Scripted, tmp_path: Path) -> None:
    done = run(server.url, "-o", "x.jsonl", "--", *program(tmp_path, CLIENT), "{}/x", "7", cwd=tmp_path)
    assert done.returncode == 7, done.stderr
    assert done.stdout == "['Hello, you!']\n"
    assert calls(tmp_path / "x.jsonl") == ["/hello"]
    assert replay(read_trace(tmp_path / "x.jsonl")).mismatches == []
    assert f"Recording {server.url} to x.jsonl" in done.stderr
    assert re.search(
        r"Use this URL instead of the app's: http://127\.0\.0\.1:\d+$", done.stderr, re.MULTILINE
    )
    assert re.search(r'call 1  /hello\("you"\)', done.stderr)
    assert "call 1 completed" in done.stderr
    assert "on stderr" in done.stderr
    assert done.stderr.endswith("Recorded 1 call. See them: gradio-transport trace show x.jsonl\n")


def test_quiet_shows_no_traffic_and_the_default_name_says_where(
    server: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, shown = invoke(server.url, "-q", "--", "true")
    assert (status, "/config" in shown) == (0, False)
    (path,) = tmp_path.glob("127.0.0.1-*.jsonl")
    assert f"to {path.name}" in shown
    assert read_trace(path).meta["gradio"] == "6.31.0"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_go_to_the_command(server: Scripted, tmp_path: Path, number: signal.Signals) -> None:
    words = [*COMMAND, server.url, "-q", "-o", "x.jsonl", "--", *program(tmp_path, SLEEPER)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, start_new_session=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "ready\n"
        running.send_signal(number)
        out, err = running.communicate(timeout=SECONDS)
    assert (running.returncode, out) == (9, f"got {int(number)}\n"), err
    assert not read_trace(tmp_path / "x.jsonl").truncated


def test_a_command_that_is_killed_or_cannot_run(server: Scripted, tmp_path: Path) -> None:
    words = (server.url, "-q", "-o", str(tmp_path / "x.jsonl"), "--")
    assert invoke(*words, "sh", "-c", "kill -9 $$")[0] == 128 + signal.SIGKILL
    status, shown = invoke(*words, "no-such-program")
    assert (status, "Cannot run no-such-program: No such file" in shown) == (127, True)
    (tmp_path / "plain").write_text("x")
    status, shown = invoke(*words, str(tmp_path / "plain"))
    assert (status, "plain: Permission denied" in shown) == (126, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_cleanly(server: Scripted, tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        [*COMMAND, server.url, "-o", "x.jsonl"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as running:
        assert running.stderr is not None
        while "Use this URL" not in running.stderr.readline():
            assert running.poll() is None
        running.send_signal(number)
        out, err = running.communicate(timeout=SECONDS)
    assert (running.returncode, out) == (0, ""), err
    assert err.endswith("Recorded no call. See them: gradio-transport trace show x.jsonl\n")
    assert read_trace(tmp_path / "x.jsonl").meta["gradio"] == "6.31.0"


def test_what_the_user_should_know_is_told(server: Scripted, tmp_path: Path) -> None:
    words = (server.url, "-q", "-o", str(tmp_path / "x.jsonl"))
    status, shown = invoke(*words, "--host", "0.0.0.0", "--", "true")
    assert (status, "warning: other machines can reach the app at 0.0.0.0" in shown) == (0, True)
    server.config = {**server.config, "root": "https://public.example/app"}
    assert "The app names itself https://public.example/app" in invoke(*words, "--", "true")[1]
    server.scripts["/config"] = lambda reply: reply.json({"detail": "Not authenticated"}, 401)
    status, shown = invoke(*words, "--", "true")
    assert (status, "The app requires a login." in shown) == (0, True)


def test_what_cannot_be_recorded(server: Scripted, tmp_path: Path) -> None:
    path = str(tmp_path / "x.jsonl")
    status, shown = invoke("http://127.0.0.1:9", "-o", path)
    assert (status, "ConnectError" in shown) == (4, True)
    status, shown = invoke(server.url, "-o", path, "-p", str(server.server_port))
    assert (status, "Address already in use" in shown) == (2, True)
    status, shown = invoke(server.url, "-o", str(tmp_path / "missing" / "x.jsonl"))
    assert (status, "missing/x.jsonl" in shown) == (2, True)
    server.scripts["/config"] = server.scripts["/"] = lambda reply: reply.text("<p>hello</p>")
    status, shown = invoke(server.url, "-o", path)
    assert (status, "NotAGradioApp" in shown) == (4, True)


def test_the_help_shows_an_example() -> None:
    shown = CliRunner().invoke(commands, ["record", "--help"], terminal_width=80).stdout
    assert "Examples:\n    gradio-transport record http://127.0.0.1:7860 -o page.jsonl\n" in shown
    assert max(map(len, shown.splitlines())) <= 80
