# SPDX-License-Identifier: Apache-2.0
"""The example programs, run as a user runs them, on recordings of real servers."""

from __future__ import annotations

import io
import runpy
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from gradio_transport_conformance.reenact import Reenactment, serve

EXAMPLES = Path(__file__).parents[2] / "examples"
GUIDES = EXAMPLES.parent / "docs" / "guides"
PROGRAMS = {path.parent.name: path for path in sorted(EXAMPLES.glob("*/*.py"))}


@pytest.fixture(scope="module")
def app() -> Iterator[Reenactment]:
    chats = ["chat_interface", "chat_interface_streaming"]
    with serve("6.31.0", ["hello", "count", "chat", "gallery", "raise_error", *chats]) as server:
        yield server
        assert server.off_tape == []


@pytest.fixture(scope="module")
def old_app() -> Iterator[Reenactment]:
    with serve("4.44.1", ["hello", "chat", "raise_error"]) as server:
        yield server
        assert server.off_tape == []


@attrs.frozen
class Done:
    """How a program ended."""

    stdout: str
    stderr: str
    returncode: int


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run a program in this process, which costs a tenth of starting another, in a directory of its own."""
    monkeypatch.chdir(tmp_path)

    def run(name: str, *arguments: str, given: str = "") -> Done:
        monkeypatch.setattr(sys, "argv", [str(PROGRAMS[name]), *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        status: Any = 0
        try:
            runpy.run_path(str(PROGRAMS[name]), run_name="__main__")
        except SystemExit as ended:
            status = ended.code or 0
        return Done(*capfd.readouterr(), status)

    return run


def test_a_chat_in_the_terminal_keeps_its_history(run: Run, app: Reenactment) -> None:
    done = run("chat-in-terminal", app.url_of("chat_interface"), given="hello\nagain\n")

    assert (done.stdout, done.stderr) == ("> turn 1: hello\n> turn 2: again\n> ", "")


def test_a_chat_in_the_terminal_shows_only_what_is_new(run: Run, app: Reenactment) -> None:
    url = app.url_of("chat_interface_streaming")
    done = run("chat-in-terminal", url, "--endpoint", "/chat_1", given="Who\n")

    assert (done.stdout, done.stderr) == ("> Dr. Who!!!\n> ", "")


def test_a_chat_in_the_terminal_goes_on_after_an_error(run: Run, app: Reenactment) -> None:
    done = run("chat-in-terminal", app.url, "--endpoint", "/raise_error", given="x\nx\n")

    assert done.stdout == "> (canonical failure)\n> (canonical failure)\n> "


def test_files_are_downloaded_for_each_line(run: Run, app: Reenactment, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("3\n3\n")
    done = run("download-files", app.url, "/gallery", "lines.txt", "images")

    assert (done.stderr, done.returncode) == ("", 0)
    paths = [tmp_path / line for line in done.stdout.splitlines()]
    assert len(paths) == len(set(paths)) == 6
    assert all(path.stat().st_size for path in paths)


def test_a_line_that_fails_is_named(run: Run, app: Reenactment, tmp_path: Path) -> None:
    (tmp_path / "lines.txt").write_text("x\n")
    done = run("download-files", app.url, "/raise_error", "lines.txt", "images")

    assert (done.stdout, done.stderr, done.returncode) == ("", "line 1: canonical failure\n", 1)


def test_a_stream_is_relayed(app: Reenactment) -> None:
    program = [sys.executable, str(PROGRAMS["relay-a-stream"]), app.url, "--port", "0"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as relay:
        try:
            assert relay.stdout is not None
            url = relay.stdout.readline().strip()
            assert events(f"{url}/count?n=3")[-1] == 'data: ["0 1 2"]'
            assert events(f"{url}/count?n=3")[0] == 'data: ["0"]'
            failed = events(f"{url}/raise_error?text=%22x%22")
            assert failed[-1] == 'event: error\ndata: "canonical failure"'
            assert events(f"{url}/raise_error?text=x")[0].startswith("event: error")
            assert "no endpoint" in events(f"{url}/nothing_like_it")[0]
        finally:
            relay.terminate()


def events(url: str) -> list[str]:
    with urllib.request.urlopen(url, timeout=20) as reply:
        return reply.read().decode().strip().split("\n\n")


def test_versions_are_compared(run: Run, app: Reenactment, old_app: Reenactment) -> None:
    calls = ['/hello ["Ada"]', '/raise_error ["x"]', '/chat ["hi", 6]']
    done = run("compare-versions", old_app.url, app.url, *calls)

    assert done.returncode == 1
    assert f"{done.stdout}```" in (GUIDES / "upgrade-a-space.md").read_text(encoding="utf-8")


def test_a_version_is_the_same_as_itself(run: Run, app: Reenactment) -> None:
    done = run("compare-versions", app.url, app.url, '/hello ["Ada"]', "/gallery [3]")

    assert (done.stdout, done.returncode) == ('same     /hello ["Ada"]\nsame     /gallery [3]\n', 0)


def test_an_app_that_answers_passes_ci(run: Run, app: Reenactment) -> None:
    done = run("doctor-in-ci", app.url, "--", "--hold", "0.3", "--call", "/hello", "Ada")

    assert "The app can be called" in done.stdout, done.stderr
    assert done.returncode == 0


def test_an_app_that_is_down_fails_ci(run: Run) -> None:
    done = run("doctor-in-ci", "http://127.0.0.1:9")

    assert "::error title=Gradio app, connection::" in done.stdout
    assert done.returncode == 4


def test_bad_usage_fails_ci(run: Run) -> None:
    assert run("doctor-in-ci", "http://127.0.0.1:9", "--", "--nonsense").returncode == 2


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_short_and_says_how_to_run_it(name: str) -> None:
    text = PROGRAMS[name].read_text(encoding="utf-8")
    assert text.count("\n") < 60
    assert f"\npython {PROGRAMS[name].name} http" in text


def test_the_page_of_guides_lists_all_examples() -> None:
    page = (GUIDES / "index.md").read_text(encoding="utf-8")
    for folder in EXAMPLES.iterdir():
        assert f"`examples/{folder.name}" in page, folder.name
