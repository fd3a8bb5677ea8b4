# SPDX-License-Identifier: Apache-2.0
"""A HAR that Chromium exports of a page of a real app becomes a trace that replays."""

import io
import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from browser import find_chromium
from devtools import tab_with_devtools

from gradio_transport.events import ProcessCompleted
from gradio_transport.trace import Severity, TraceWriter, lint_trace, read_trace, replay
from gradio_transport.trace.har.importing import choose_app, import_har
from gradio_transport.trace.har.reader import read_har

from .test_record import serving, use_page

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def needs_chromium() -> None:
    if find_chromium() is None:
        if os.environ.get("CI") == "true":
            pytest.fail("There is no Chromium. .ci/run installs one: apt-get install chromium")
        pytest.skip("There is no Chromium (Debian: apt-get install chromium).")


ATTEMPTS = 6
"""The page aborts a stream when it has read its last message. If the connection has not ended by then, Chromium
does not keep what has come, which happens in every second visit on a busy machine."""


def exports(app: str, text: Path, downloads: Path) -> Iterator[tuple[str, str]]:
    """Visit the page, again and again, each time in a new browser; yield the HAR, and the sanitized one."""
    while True:
        for old in downloads.iterdir():
            old.unlink()
        with tab_with_devtools() as (tab, devtools):
            use_page(tab, app, text, downloads)
            devtools.wait_for_replies()
            yield devtools.export(), devtools.export(sanitize=True)


def is_whole(exported: str) -> bool:
    streams = [
        entry["response"]
        for entry in json.loads(exported)["log"]["entries"]
        if "/queue/data" in entry["request"]["url"]
    ]
    return all(one["content"].get("text") and not one.get("_error") for one in streams)


@pytest.mark.parametrize("version", ["3.50.2", "4.44.1", "6.31.0"])
def test_a_har_of_chromium(version: str, tmp_path: Path) -> None:
    text, downloads = tmp_path / "some text.txt", tmp_path / "downloads"
    text.write_text("some text")
    downloads.mkdir()
    with serving(version) as app:
        exported, sanitized = next(
            (found for found in islice(exports(app, text, downloads), ATTEMPTS) if is_whole(found[0])),
            ("", ""),
        )
    if not exported:
        pytest.skip(f"Chromium kept the bodies of all streams in none of {ATTEMPTS} visits.")
    har = read_har(io.StringIO(exported))
    assert har.creator.startswith("WebInspector ")
    chosen = choose_app(har)
    assert chosen.url == app
    assert chosen.calls == 3
    assert chosen.has_config
    with TraceWriter(tmp_path / "trace.jsonl", meta={"recorder": "har"}) as writer:
        report = import_har(har, writer, chosen)
    assert report.calls == 3
    assert report.missing == []
    trace = read_trace(tmp_path / "trace.jsonl")
    assert trace.meta["gradio"] == version
    result = replay(trace)
    assert result.mismatches == []
    assert sorted(result.endpoints.values()) == ["/count", "/greet", "/shout"]
    assert all(isinstance(events[-1], ProcessCompleted) for events in result.events.values())
    assert [one for one in lint_trace(trace) if one.severity is not Severity.NOTE] == []
    # By default Chromium leaves the messages of streams out, and an import says so.
    har = read_har(io.StringIO(sanitized))
    report = import_har(har, lambda frame: None, choose_app(har))
    assert report.calls == 3
    assert all("sensitive data" in text for text in report.missing)
