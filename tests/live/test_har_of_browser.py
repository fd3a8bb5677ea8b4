# SPDX-License-Identifier: Apache-2.0
"""A HAR that Chromium exports of a page of a real app becomes a trace that replays."""

import io
import os
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


ABORT_LATER = """
const abort = AbortController.prototype.abort;
AbortController.prototype.abort = function (...reason) { setTimeout(() => abort.apply(this, reason), 2000); };
"""
"""The page aborts a stream when it has read its last message. Of a reply that has not ended by then, Chromium keeps no
body, which is a race. The server ends the reply after that message, so a later abort finds it whole."""


@pytest.mark.parametrize("version", ["3.50.2", "4.44.1", "6.31.0"])
def test_a_har_of_chromium(version: str, tmp_path: Path) -> None:
    text, downloads = tmp_path / "some text.txt", tmp_path / "downloads"
    text.write_text("some text")
    downloads.mkdir()
    with serving(version) as app, tab_with_devtools() as (tab, devtools):
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=ABORT_LATER)
        use_page(tab, app, text, downloads)
        devtools.wait_for_replies()
        exported, sanitized = devtools.export(), devtools.export(sanitize=True)
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
