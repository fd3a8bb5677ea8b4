# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport record``."""

from __future__ import annotations

import os
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


def calls(path: Path) -> list[object]:
    return [frame.payload["endpoint"] for frame in read_trace(path).frames if frame.kind is Kind.CALL]


@pytest.mark.parametrize("status", [0, 7])
def test_a_command_runs_with_the_url_and_decides_the_exit_status(
    server: Scripted, tmp_path: Path, status: int
) -> None:
    done = run(
        server.url, "-o", "x.jsonl", "--", *program(tmp_path, CLIENT), "{}/x", str(status), cwd=tmp_path
    )
    assert done.returncode == status, done.stderr
    assert done.stdout == "['Hello, you!']\n"
    assert calls(tmp_path / "x.jsonl") == ["/hello"]
    assert replay(read_trace(tmp_path / "x.jsonl")).mismatches == []
    assert f"Recording {server.url} to x.jsonl" in done.stderr
    assert re.search(r"Use this URL in its place: http://127\.0\.0\.1:\d+$", done.stderr, re.MULTILINE)
    assert re.search(r'call 1  /hello\("you"\)', done.stderr)
    assert "call 1 completed" in done.stderr
    assert "on stderr" in done.stderr
    assert done.stderr.endswith("Recorded 1 call. See them: gradio-transport trace show x.jsonl\n")


def test_quiet_shows_no_traffic_and_the_default_name_says_where(server: Scripted, tmp_path: Path) -> None:
    done = run(server.url, "-q", "--", *program(tmp_path, CLIENT), "{}", "0", cwd=tmp_path)
    assert done.returncode == 0
    assert "/hello" not in done.stderr
    (path,) = tmp_path.glob("127.0.0.1-*.jsonl")
    assert f"to {path.name}" in done.stderr
    assert calls(path) == ["/hello"]


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


def test_a_command_that_is_killed(server: Scripted, tmp_path: Path) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    done = run(server.url, "-o", "x.jsonl", "--", sys.executable, "-c", kill, cwd=tmp_path)
    assert done.returncode == 128 + signal.SIGKILL


def test_a_command_that_cannot_run(server: Scripted, tmp_path: Path) -> None:
    done = run(server.url, "-o", "x.jsonl", "--", "no-such-program", cwd=tmp_path)
    assert (done.returncode, "Cannot run no-such-program: No such file" in done.stderr) == (127, True)
    (tmp_path / "plain").write_text("x")
    done = run(server.url, "-o", "x.jsonl", "--", "./plain", cwd=tmp_path)
    assert (done.returncode, "Cannot run ./plain: Permission denied" in done.stderr) == (126, True)


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


def test_other_machines_are_warned_of(server: Scripted, tmp_path: Path) -> None:
    done = run(server.url, "--host", "0.0.0.0", "-o", "x.jsonl", "--", "true", cwd=tmp_path)
    assert done.returncode == 0
    assert "warning: other machines can reach the app by 0.0.0.0" in done.stderr


def test_a_login_and_another_address_are_told(server: Scripted, tmp_path: Path) -> None:
    server.config = {**server.config, "root": "https://public.example/app"}
    done = run(server.url, "-o", "x.jsonl", "--", "true", cwd=tmp_path)
    assert "The app names itself https://public.example/app" in done.stderr
    server.scripts["/config"] = lambda reply: reply.json({"detail": "Not authenticated"}, 401)
    done = run(server.url, "-o", "y.jsonl", "--", "true", cwd=tmp_path)
    assert done.returncode == 0
    assert "The app wants a login." in done.stderr


def test_what_cannot_be_recorded(server: Scripted, tmp_path: Path) -> None:
    os.chdir(tmp_path)
    invoke = CliRunner(catch_exceptions=False).invoke
    gone = invoke(commands, ["record", "http://127.0.0.1:9", "-o", "x.jsonl"])
    assert (gone.exit_code, "ConnectError" in gone.stderr) == (4, True)
    used = invoke(commands, ["record", server.url, "-o", "x.jsonl", "-p", str(server.server_port)])
    assert (used.exit_code, "Address already in use" in used.stderr) == (2, True)
    place = invoke(commands, ["record", server.url, "-o", "missing/x.jsonl"])
    assert (place.exit_code, "missing/x.jsonl" in place.stderr) == (1, True)
    server.scripts["/config"] = server.scripts["/"] = lambda reply: reply.text("<p>hello</p>")
    other = invoke(commands, ["record", server.url, "-o", "x.jsonl"])
    assert (other.exit_code, "NotAGradioApp" in other.stderr) == (4, True)


def test_the_help_shows_an_example() -> None:
    shown = CliRunner().invoke(commands, ["record", "--help"], terminal_width=80).output
    assert "Examples:\n    gradio-transport record http://127.0.0.1:7860 -o page.jsonl\n" in shown
    assert max(map(len, shown.splitlines())) <= 80
