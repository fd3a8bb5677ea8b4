# SPDX-License-Identifier: Apache-2.0
"""HAR files of browsers and proxies become traces with the calls that are in them."""

import base64
import contextlib
import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from retelling import source_of

from gradio_transport.events import ProcessCompleted
from gradio_transport.protocol.frames import Frame, Kind
from gradio_transport.trace import Trace, TraceError, TraceWriter, describe, lint_trace, read_trace, replay
from gradio_transport.trace.har.exporting import har_of, write_har
from gradio_transport.trace.har.importing import ImportReport, choose_app, har_apps, import_har
from gradio_transport.trace.har.reader import HarError, read_har
from gradio_transport.trace.late_arguments import with_late_arguments
from gradio_transport_conformance.traces import shipped_trace, traces

Har = dict[str, Any]


def har(name: str) -> Har:
    made: Har = json.loads(write_har(read_trace(shipped_trace(name))))
    return made


def imported(document: Har | str, app: str | None = None) -> tuple[Trace, ImportReport]:
    text = document if isinstance(document, str) else json.dumps(document)
    read = read_har(io.StringIO(text))
    frames: list[Frame] = []
    report = import_har(read, frames.append, choose_app(read, app))
    return Trace({"recorder": "har"}, with_late_arguments(tuple(frames))), report


def outcomes(trace: Trace) -> list[tuple[str, list[str]]]:
    result = replay(trace)
    return sorted(
        (result.endpoints[key], list(map(describe, events))) for key, events in result.events.items()
    )


def check(path: Path) -> None:
    trace = read_trace(path)
    again, report = imported(write_har(trace), source_of(trace))
    assert report.missing == []
    assert not report.skipped
    assert replay(again).mismatches == []
    # As of `test_inference`: sockets that name no function, calls that this library ended, several apps.
    if path.stem in ("queue_full", "queue_position", "siblings") and path.parent.name < "3.5":
        return
    assert outcomes(again) == outcomes(trace)


@pytest.mark.parametrize("case", ["hello", "count", "cancel_generator", "file_in", "no_login", "crash"])
@pytest.mark.parametrize("version", ["2.9.4", "3.1.7", "3.50.2", "4.8.0", "4.44.1", "6.31.0"])
def test_a_trace_comes_back_with_the_same_events(version: str, case: str) -> None:
    for path in traces(version):
        if path.stem == case:
            check(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", traces()[::9], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_traces_of_the_kit_come_back_with_the_same_events(path: Path) -> None:
    check(path)


# --- as others write it -----------------------------------------------------------------------------------------


def strip(document: Har, *names: str) -> None:
    for entry in document["log"]["entries"]:
        for name in names:
            entry.pop(name, None)


def as_chrome(document: Har) -> None:
    """Chrome: the text of a stream is missing if the page has left it; its messages have no times of their own."""
    document["log"]["creator"] = {"name": "WebInspector", "version": "537.36"}
    strip(document, "_webSocketClosed", "comment")
    for entry in document["log"]["entries"]:
        for message in entry.get("_eventSourceMessages") or ():
            message["time"] = 1.0
        if entry.get("_eventSourceMessages"):
            del entry["response"]["content"]["text"]
            entry["response"]["_error"] = "net::ERR_ABORTED"


def as_firefox(document: Har) -> None:
    """Firefox: no messages of streams, local times, sizes of 0."""
    document["log"] |= {"version": "1.2", "creator": {"name": "Firefox", "version": "145.0"}}
    strip(document, "_eventSourceMessages", "_resourceType", "comment")
    for entry in document["log"]["entries"]:
        entry["startedDateTime"] = entry["startedDateTime"].replace("Z", "+00:00")
        entry["timings"] |= {"blocked": 1, "dns": 0, "connect": 0, "ssl": 0}


def as_mitmproxy(document: Har) -> None:
    """mitmproxy: everything as base64, headers as sent, websockets under their HTTP address."""
    document["log"]["creator"] = {"name": "mitmproxy", "version": "12.0"}
    strip(document, "_eventSourceMessages", "_webSocketClosed")
    for entry in document["log"]["entries"]:
        content = entry["response"]["content"]
        if "text" in content and "encoding" not in content:
            content |= {"text": base64.b64encode(content["text"].encode()).decode(), "encoding": "base64"}
        entry["request"]["url"] = entry["request"]["url"].replace("ws://", "http://")
        for header in entry["response"]["headers"]:
            header["name"] = header["name"].title()


def as_charles(document: Har) -> None:
    """Charles: a mark of the byte order, null in place of what is missing, HTTP/2 pseudo headers."""
    document["log"] |= {"creator": {"name": "Charles Proxy", "version": "5.0"}, "pages": None}
    strip(document, "_eventSourceMessages", "_webSocketClosed")
    for entry in document["log"]["entries"]:
        entry["request"]["headers"].insert(0, {"name": ":authority", "value": "a.test"})
        entry["request"].setdefault("postData", None)
        entry["cache"] = None
        entry["connection"] = None


DIALECTS: list[Callable[[Har], None]] = [as_chrome, as_firefox, as_mitmproxy, as_charles]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "name", ["6.31.0/count", "4.44.1/count", "4.8.0/count", "3.50.2/count", "2.9.4/hello"]
)
def test_dialects_of_har(dialect: Callable[[Har], None], name: str) -> None:
    document = har(name)
    dialect(document)
    text = ("\ufeff" if dialect is as_charles else "") + json.dumps(document)
    trace, report = imported(text)
    assert report.calls == 1
    assert report.missing == []
    result = replay(trace)
    assert result.mismatches == []
    (events,) = result.events.values()
    assert isinstance(events[-1], ProcessCompleted)
    assert [one for one in lint_trace(trace) if one.severity == "error"] == []


def test_a_closed_socket_whose_end_no_browser_tells() -> None:
    document = har("3.50.2/cancel_generator")
    strip(document, "_webSocketClosed")
    trace, _ = imported(document)
    end = next(frame for frame in trace.frames if frame.kind is Kind.END)
    assert end.payload["reason"] == "the HAR file does not show how it ended"


def test_messages_without_the_text_of_the_stream_keep_their_times() -> None:
    document = har("6.31.0/count")
    before, _ = imported(document)
    for entry in document["log"]["entries"]:
        if entry.get("_eventSourceMessages"):
            del entry["response"]["content"]["text"]
    after, _ = imported(document)
    chunks = [
        [round(one.t, 3) for one in trace.frames if one.kind is Kind.CHUNK and one.session]
        for trace in (before, after)
    ]
    assert chunks[0] == chunks[1]
    assert len(set(chunks[0])) > 3


def test_bodies_that_are_missing_are_named() -> None:
    document = har("6.31.0/hello")
    for entry in document["log"]["entries"]:
        if "/queue/" in entry["request"]["url"]:
            entry["response"]["content"] = {"size": 100, "mimeType": "x"}
            entry["request"].pop("postData", None)
            entry.pop("_eventSourceMessages", None)
    _, report = imported(document)
    assert [text.partition(" ")[2].partition(" ")[2] for text in report.missing] == [
        "(POST /gradio_api/queue/join) lacks what was sent",
        "(POST /gradio_api/queue/join) lacks the reply",
        "(GET /gradio_api/queue/data) lacks the reply",
    ]


def test_messages_that_chrome_left_out_for_safety_are_named() -> None:
    document = har("6.31.0/hello")
    for entry in document["log"]["entries"]:
        for message in entry.get("_eventSourceMessages") or ():
            del message["data"]
        if "_eventSourceMessages" in entry:
            del entry["response"]["content"]["text"]
    _, report = imported(document)
    (missing,) = report.missing
    assert "exported without sensitive data" in missing


def test_several_apps_in_one_file() -> None:
    document = har("6.31.0/hello")
    other = har("4.44.1/hello")
    document["log"]["entries"] += other["log"]["entries"]
    read = read_har(io.StringIO(json.dumps(document)))
    first, second = har_apps(read)
    assert first.calls == second.calls == 1
    with pytest.raises(HarError, match="several Gradio apps") as caught:
        choose_app(read)
    assert first.url in str(caught.value)
    assert second.url in str(caught.value)
    trace, _ = imported(document, second.url)
    assert {
        frame.payload["url"].startswith(second.url) for frame in trace.frames if "url" in frame.payload
    } == {True}
    with pytest.raises(HarError, match=r"no traffic of http://other\.test"):
        choose_app(read, "http://other.test")
    with pytest.raises(HarError, match="is not an http"):
        choose_app(read, "ftp://x")


def test_an_app_that_is_only_loaded_does_not_count_beside_one_that_is_called() -> None:
    document = har("6.31.0/hello")
    document["log"]["entries"] += har("4.44.1/hello")["log"]["entries"][:1]
    _, report = imported(document)
    assert report.app.calls == 1


def test_an_app_below_a_path_and_the_page_that_names_it() -> None:
    text = write_har(read_trace(shipped_trace("6.31.0/hello")))
    source = source_of(read_trace(shipped_trace("6.31.0/hello")))
    _, report = imported(text.replace(source, "https://host.test/some/app"))
    assert report.app.url == "https://host.test/some/app"
    assert report.app.has_config


def test_secrets_are_taken_out(tmp_path: Path) -> None:
    document = har("6.31.0/hello")
    canary = "canary-91be77d3"
    for entry in document["log"]["entries"]:
        entry["request"]["headers"].append({"name": "Authorization", "value": f"Bearer {canary}"})
        entry["request"]["headers"].append({"name": "cookie", "value": f"access-token={canary}-cookie"})
        entry["request"]["cookies"] = [{"name": "access-token", "value": f"{canary}-cookie"}]
    read = read_har(io.StringIO(json.dumps(document)))
    for redact in (True, False):
        path = tmp_path / f"{redact}.jsonl"
        with TraceWriter(path, redact=redact, meta={"recorder": "har"}) as writer:
            import_har(read, writer, choose_app(read))
        assert (canary in path.read_text()) is not redact
        assert replay(read_trace(path)).mismatches == []


# --- files that are wrong ---------------------------------------------------------------------------------------


def first_entry(**values: Any) -> str:
    document = har("6.31.0/hello")
    entry = document["log"]["entries"][0]
    for path, value in values.items():
        target = entry
        *parents, name = path.split("__")
        for parent in parents:
            target = target[parent]
        target[name] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a HAR file: it is not JSON"),
        ("[" * 200_000, "nested too deeply"),
        ("[]", "no log.entries"),
        ('{"log": {"entries": {}}}', "no log.entries"),
        ('{"log": {"entries": [5]}}', "Entry 1 of .* is not a JSON object"),
        ('{"log": {"entries": [{"request": 5}]}}', "Entry 1 of .* has no JSON object as request"),
        (first_entry(request__url=5), "Entry 1 of .* has no text as request.url"),
        (first_entry(startedDateTime="yesterday"), "Entry 1 of .* has no time as startedDateTime"),
        (first_entry(startedDateTime=None), "Entry 1 of .* has no time as startedDateTime"),
        (first_entry(time=1e300), "Entry 1 of .* which is years"),
        (first_entry(request__headers={}), "Entry 1 of .* has headers that are not a list"),
        (first_entry(response__status="ok"), "Entry 1 of .* has the status 'ok'"),
        (first_entry(response__content={"text": "?!", "encoding": "base64"}), "Entry 1 of .* is not base64"),
        (first_entry(_webSocketMessages=5), "Entry 1 of .* _webSocketMessages that are not a list"),
        (first_entry(_eventSourceMessages={}), "Entry 1 of .* _eventSourceMessages that are not a list"),
        (first_entry(request__url="http://a/" + "x" * 2_000_000), "Entry 1 of .* more than 1000000"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_number_of_the_entry(text: str, message: str) -> None:
    with pytest.raises(TraceError, match=message):
        read_har(io.StringIO(text))


def test_a_file_without_gradio_is_refused() -> None:
    document = har("6.31.0/hello")
    for entry in document["log"]["entries"]:
        entry["request"]["url"] = "https://example.test/index.html"
        entry["response"]["content"] = {"size": 1, "mimeType": "text/html", "text": "x"}
    document["log"]["entries"].append(copy.deepcopy(document["log"]["entries"][0]))
    document["log"]["entries"][-1]["request"]["url"] = "data:text/plain,x"
    read = read_har(io.StringIO(json.dumps(document)))
    assert read.ignored == 1
    with pytest.raises(HarError, match="no traffic of a Gradio app"):
        choose_app(read)


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, [None], {"a": None}, True, -1, 1e308, [[]]])
def test_any_value_in_any_field_is_an_error_or_taken(value: Any) -> None:
    document = har("3.4.1/hello")  # with a websocket, and a small config
    taken = 0
    for number, entry in enumerate(document["log"]["entries"]):
        for path in paths(entry):
            broken = copy.deepcopy(document)
            target: Any = broken["log"]["entries"][number]
            for part in path[:-1]:
                target = target[part]
            target[path[-1]] = value
            with contextlib.suppress(TraceError):
                imported(broken)
                taken += 1
    assert taken


def paths(value: Any, *before: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    items: Any = (
        value.items()
        if isinstance(value, dict)
        else list(enumerate(value))[:1]
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        found += [(*before, key), *paths(item, *before, key)]
    return found


def test_a_large_file_is_read_in_linear_time() -> None:
    document = har_of(read_trace(shipped_trace("6.31.0/count")))
    stream = next(one for one in document["log"]["entries"] if "_eventSourceMessages" in one)
    beat = {**stream["_eventSourceMessages"][0], "data": '{"msg": "heartbeat"}'}
    stream["_eventSourceMessages"][1:1] = [beat] * 20_000
    content = stream["response"]["content"]
    first, _, rest = content["text"].partition("\n\n")
    content["text"] = first + "\n\n" + 'data: {"msg": "heartbeat"}\n\n' * 20_000 + rest
    trace, report = imported(document)
    assert report.missing == []
    assert sum(frame.kind is Kind.CHUNK for frame in trace.frames) > 20_000
    assert replay(trace).mismatches == []


def test_the_trace_of_an_import_says_so(tmp_path: Path) -> None:
    read = read_har(io.StringIO(json.dumps(har("6.31.0/hello"))))
    with TraceWriter(tmp_path / "x.jsonl", meta={"recorder": "har", "imported": read.creator}) as writer:
        import_har(read, writer, choose_app(read))
    trace = read_trace(tmp_path / "x.jsonl")
    assert trace.meta["recorder"] == "har"
    assert trace.meta["gradio"] == "6.31.0"
    assert attrs.asdict(choose_app(read))["calls"] == 1
