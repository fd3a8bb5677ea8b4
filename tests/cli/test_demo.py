"""``gradio-transport demo``: every generation, from shipped recordings of real servers."""

from __future__ import annotations

import re
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gradio_transport.adapter.registry import default_registry
from gradio_transport.cli.app import commands
from gradio_transport.cli.demo import DEFAULT, RECORDINGS
from gradio_transport.trace import read_trace, replay
from gradio_transport.trace.timeline.reading import timeline
from gradio_transport_conformance.replay import server as replay_server
from gradio_transport_conformance.traces import shipped_trace

EVENT = re.compile(r"^ *[\d.]+ s  (\w+)", re.MULTILINE)


def run(*words: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(commands, ["demo", *words])


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that a browser was asked to open."""
    urls: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: urls.append(url) or True)
    return urls


@pytest.fixture(autouse=True)
def speeds(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The speeds that the demo asked for. The replies come without pauses, and only to the recorded requests."""
    asked: list[float] = []
    heard: list[replay_server.Heard] = []
    serve = replay_server.serve

    def strict(trace: Any, **options: Any) -> AbstractContextManager[replay_server.Served]:
        asked.append(options["speed"])
        return serve(trace, **{**options, "speed": 0.0, "strict": True, "log": heard.append})

    monkeypatch.setattr(replay_server, "serve", strict)
    yield asked
    # The check for a restart of the app between two calls is newer than the recordings.
    assert [one for one in heard if one.refusal and not one.target.endswith("/app_id")] == []


def title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("<title>")[2].partition("</title>")[0]


def test_every_adapter_of_ours_has_recordings_except_that_of_chats() -> None:
    ours = {name for name in default_registry.names() if default_registry.package(name) == "gradio-transport"}
    assert set(RECORDINGS) == ours - {"openai_chat"}


@pytest.mark.parametrize("protocol", RECORDINGS)
def test_the_calls_of_a_protocol_have_the_recorded_events_and_results(
    protocol: str, speeds: list[float]
) -> None:
    result = run("--protocol", protocol)
    traces = [read_trace(shipped_trace(name)) for name in RECORDINGS[protocol]]
    calls = [events for trace in traces for events in replay(trace).events.values()]

    assert result.exit_code == 0, result.output
    assert {name for trace in traces for name in timeline(trace).adapters} == {protocol}
    assert EVENT.findall(result.stdout) == [type(event).__name__ for events in calls for event in events]
    assert re.findall(r"^result: (.*)", result.stdout, re.MULTILINE) == [
        str(events[-1].data[0]) for events in calls
    ]
    assert result.stdout.count(f"by {protocol}\n") == len(calls)
    for trace in traces:
        assert f"Gradio {trace.meta['gradio']}, recorded, replayed at http://127.0.0.1:" in result.stdout
    assert speeds == [1.0] * len(traces)  # the recorded pace


def test_the_default_shows_a_queue_a_growing_text_and_progress(folder: Path, opened: list[str]) -> None:
    result = run()
    kinds = EVENT.findall(result.stdout)

    assert kinds[:3] == ["Joined", "Estimation", "ProcessStarts"]
    assert kinds.count("ProcessGenerating") == 12
    assert kinds[-2:] == ["Progress", "ProcessCompleted"]
    assert "result: 0 1 2 3 4 5 6 7 8 9 10 11\n" in result.stdout
    assert "result: 8 steps\n" in result.stdout
    assert "Other protocols: gradio-transport demo --protocol\n" in result.stdout
    assert (list(folder.iterdir()), opened) == ([], [])


def test_without_a_name_the_protocols_and_their_versions_are_listed(speeds: list[float]) -> None:
    result = run("--protocol")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(RECORDINGS)
    assert "websocket  Gradio 3.1.7, 3.4.1, 3.50.2\n" in result.stdout
    assert speeds == []


@pytest.mark.parametrize("name", ["openai_chat", "sse_v9", "", "../../x"])
def test_an_unknown_name_is_refused_with_the_known_ones(name: str, folder: Path) -> None:
    result = run("--open", "--protocol", name)
    assert result.exit_code == 2
    message = " ".join(result.stderr.split())
    assert f"There is no recording of a protocol {name!r}." in message
    assert f"There are recordings of {', '.join(RECORDINGS)}." in message
    assert ("Did you mean 'sse_v3'" in message) is (name == "sse_v9")
    assert list(folder.iterdir()) == []


def test_a_package_that_websockets_need_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gradio_transport_conformance.replay.websockets", raising=False)
    monkeypatch.setitem(sys.modules, "simple_websocket", None)
    result = run("--protocol", "websocket")
    assert result.exit_code == 2
    assert "The trace has websockets, for which simple_websocket is missing." in result.stderr


# --- traces and pages --------------------------------------------------------------------------------


def test_the_demo_can_be_traced(folder: Path) -> None:
    assert run("--trace", "demo.jsonl", "--open").exit_code == 0
    line = timeline(read_trace(folder / "demo.jsonl"))
    assert (len(line.calls), line.adapters) == (2, ["sse_v3"])
    assert sorted(path.name for path in folder.iterdir()) == ["demo-sse_v3.html", "demo.jsonl"]


@pytest.mark.parametrize(
    ("protocol", "about"),
    [
        (DEFAULT, "Gradio 6.31.0, sse_v3, 2 calls"),
        ("direct", "Gradio 2.3.6, 3.50.2, 6.31.0, direct, 3 calls"),
        ("websocket", "Gradio 3.1.7, 3.4.1, 3.50.2, websocket, 3 calls"),
    ],
)
def test_the_page_has_all_calls_and_is_opened(
    protocol: str, about: str, folder: Path, opened: list[str]
) -> None:
    result = run("--open", "--protocol", protocol)
    assert result.exit_code == 0, result.output
    page = folder / f"demo-{protocol}.html"
    assert title(page) == f"demo --protocol {protocol}: {about}"
    assert page.stat().st_mode & 0o777 == 0o600
    assert result.stdout.endswith(f"\nTimeline: {page.name}\n")
    assert opened == [page.as_uri()]
    assert list(folder.iterdir()) == [page]


def test_without_a_browser_the_path_of_the_page_is_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    for _ in range(2):  # a newer page replaces an older one
        result = run("--protocol", "call_v2", "--open")
        assert result.exit_code == 0
    page = folder / "demo-call_v2.html"
    assert page.is_file()
    assert f"No browser can be opened here. Open the file in one: {page}\n" in result.stderr


def test_another_file_is_not_replaced_and_no_call_is_made(folder: Path, speeds: list[float]) -> None:
    (folder / "demo-sse_v3.html").write_text("mine", encoding="utf-8")
    result = run("--open")
    assert result.exit_code == 2
    assert "demo-sse_v3.html exists and is not the page of a trace. Move it, or run" in result.output
    assert (folder / "demo-sse_v3.html").read_text(encoding="utf-8") == "mine"
    assert speeds == []
