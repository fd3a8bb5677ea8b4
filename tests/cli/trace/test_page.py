"""``gradio-transport trace page``: where pages go, and what they never replace."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tracing import program

from gradio_transport.cli.app import commands
from gradio_transport.cli.trace import page as page_command
from gradio_transport.trace import TraceWriter

TRACES = Path(__file__).parents[3] / "conformance" / "gradio_transport_conformance" / "traces"


def run(*words: object, **options: object) -> Result:
    return CliRunner(catch_exceptions=False).invoke(commands, ["trace", "page", *map(str, words)], **options)  # type: ignore[arg-type]


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    with TraceWriter(tmp_path / "count.jsonl", meta={"gradio": "6.31.0"}) as tap:
        for frame in program().frames:
            tap(frame)
    return tmp_path / "count.jsonl"


def title(path: Path) -> str:
    return path.read_text(encoding="utf-8").partition("<title>")[2].partition("</title>")[0]


def test_the_page_is_beside_the_trace_and_a_newer_one_replaces_it(trace: Path) -> None:
    for _ in range(2):
        done = run(trace)
        assert done.exit_code == 0, done.output
        assert done.stdout == ""
        assert "count.html: 0.1 MB" in done.stderr
    assert title(trace.with_suffix(".html")) == "count.jsonl: Gradio 6.31.0, sse_v3, 1 call"
    assert sorted(path.name for path in trace.parent.iterdir()) == ["count.html", "count.jsonl"]
    assert trace.with_suffix(".html").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["count.jsonl", "notes.txt", "."])
def test_no_other_file_is_replaced(trace: Path, name: str) -> None:
    (trace.parent / "notes.txt").write_text("mine", encoding="utf-8")
    (trace.parent / "count.html").mkdir()
    before = trace.read_bytes()
    done = run(trace, *([] if name == "." else ["-o", trace.parent / name]))
    assert done.exit_code == 2
    assert "exists and is not the page of a trace. Give another name with -o." in done.output
    assert trace.read_bytes() == before
    assert (trace.parent / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_several_traces_make_several_pages_in_a_directory(trace: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert run(trace, TRACES / "3.50.2" / "count.jsonl", "-o", out).exit_code == 2  # the same name
    assert run(trace, TRACES / "3.50.2" / "add.jsonl", "-o", out).exit_code == 0
    assert sorted(path.name for path in out.iterdir()) == ["add.html", "count.html"]
    assert run(trace, TRACES / "3.50.2" / "add.jsonl", "-o", out / "one.html").exit_code == 2


def test_standard_input_and_output(trace: Path) -> None:
    piped = run("-", "-o", "-", input=trace.read_bytes())
    assert piped.exit_code == 0
    assert "<title>standard input: Gradio 6.31.0, sse_v3, 1 call</title>" in piped.stdout
    assert run("-", input=trace.read_bytes()).exit_code == 2
    assert run(trace, trace, "-o", "-").exit_code == 2


def test_what_is_no_trace_makes_no_page(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text(json.dumps({"a": 1}), encoding="utf-8")
    done = run(tmp_path / "x.jsonl")
    assert done.exit_code == 2
    assert "is not a trace" in done.output
    assert run(tmp_path / "missing.jsonl").exit_code != 0
    assert [path.name for path in tmp_path.iterdir()] == ["x.jsonl"]


def test_a_directory_that_cannot_be_written_to_is_an_error(trace: Path) -> None:
    done = run(trace, "-o", trace.parent / "nowhere" / "x.html")
    assert done.exit_code == 2
    assert "x.html cannot be written: No such file or directory." in done.output


@pytest.mark.parametrize("found", [True, False])
def test_the_browser_opens_the_page_if_asked(
    trace: Path, monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or found)
    done = run(trace, "--open")
    page = trace.with_suffix(".html")
    assert (done.exit_code, done.stdout, opened) == (0, "", [page.as_uri()])
    hint = f"No browser can be opened here. Open the file in one: {page}"
    assert (hint in done.stderr) is not found


def test_a_large_trace_is_checked_only_if_asked(trace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(page_command, "_UNCHECKED_BYTES", 10)
    monkeypatch.setattr(page_command, "page_parts", lambda *_, check: asked.append(check) or iter("x"))
    for option in ((), ("--check",), ("--no-check",)):
        assert run(trace, *option, "-o", "-").exit_code == 0
    assert asked == [False, True, False]


def test_the_help_shows_an_example() -> None:
    done = run("--help")
    assert "gradio-transport trace page stall.jsonl -o timeline.html" in done.output
