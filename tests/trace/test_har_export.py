# SPDX-License-Identifier: Apache-2.0
"""A trace as a HAR file: what crossed the line, as browsers write it."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, read_trace
from gradio_transport.trace.har.exporting import har_of, write_har
from gradio_transport.trace.har.reader import read_har
from gradio_transport_conformance.traces import shipped_trace, traces


def entries(name: str) -> list[dict[str, Any]]:
    return har_of(read_trace(shipped_trace(name)))["log"]["entries"]


def entry(listed: list[dict[str, Any]], path: str) -> dict[str, Any]:
    return next(one for one in listed if path in one["request"]["url"])


def frame(t: float, direction: Direction, kind: Kind, channel: str = "discover", **payload: Any) -> Frame:
    return Frame(t, direction, kind, channel, payload)


def test_requests_have_their_times_headers_and_bodies() -> None:
    join = entry(entries("6.31.0/count"), "/queue/join")
    trace = read_trace(shipped_trace("6.31.0/count"))
    request, response = [one for one in trace.frames if one.channel == "1.join"]
    assert join["request"]["method"] == "POST"
    assert json.loads(join["request"]["postData"]["text"])["fn_index"] == 18
    assert join["request"]["postData"]["mimeType"] == "application/json"
    assert join["request"]["bodySize"] == len(request.payload["body"])
    assert join["response"]["status"] == 200
    assert join["response"]["statusText"] == "OK"
    assert "event_id" in join["response"]["content"]["text"]
    assert join["time"] == pytest.approx((response.t - request.t) * 1000, abs=0.01)
    assert join["startedDateTime"].endswith("Z")
    assert join["comment"] == "session 1, /count, 1.join"
    parts = [value for value in join["timings"].values() if value >= 0]
    assert join["time"] == pytest.approx(sum(parts), abs=0.01)


def test_a_stream_is_there_by_message_and_as_text() -> None:
    stream = entry(entries("6.31.0/count"), "/queue/data")
    messages = [json.loads(one["data"]) for one in stream["_eventSourceMessages"]]
    assert [one["msg"] for one in messages][:2] == ["estimation", "process_starts"]
    assert messages[-1] == {"msg": "close_stream", "event_id": None}
    assert stream["response"]["content"]["text"].count("data: ") == len(messages)
    times = [one["time"] for one in stream["_eventSourceMessages"]]
    assert times == sorted(times)
    assert times[0] > 1_700_000_000  # of the day of the recording, by the header date


def test_a_websocket_has_its_messages_and_its_end() -> None:
    socket = entry(entries("3.50.2/count"), "/queue/join")
    assert socket["request"]["url"].startswith("ws://")
    assert socket["response"]["status"] == 101
    first, second = socket["_webSocketMessages"][:2]
    assert (first["type"], first["opcode"]) == ("receive", 1)
    assert json.loads(first["data"]) == {"msg": "send_hash"}
    assert (second["type"], json.loads(second["data"])["fn_index"]) == ("send", 17)
    assert socket["_webSocketClosed"]["ending"] in ("clean", "local")


def test_what_was_redacted_stays_so() -> None:
    text = write_har(read_trace(shipped_trace("6.31.0/login")))
    login = entry(json.loads(text)["log"]["entries"], "/login")
    assert login["request"]["postData"]["text"] == "REDACTED"
    assert "secret" not in login["request"]["postData"]["text"]


def test_bytes_that_are_no_text_are_base64() -> None:
    file = entry(entries("6.31.0/audio_out"), "file=")
    content = file["response"]["content"]
    assert content["encoding"] == "base64"
    assert base64.b64decode(content["text"])[:4] == b"RIFF"


def test_uploads_name_their_files() -> None:
    upload = entry(entries("6.31.0/file_in"), "/upload")
    assert upload["request"]["postData"]["params"] == [{"name": "files", "fileName": "plain.txt"}]


def test_requests_without_a_reply_and_streams_that_broke() -> None:
    frames = [
        frame(0.0, Direction.OUT, Kind.REQUEST, method="GET", url="http://a.test/config"),
        frame(1.0, Direction.IN, Kind.ERROR, error="ConnectError", message="refused"),
        frame(2.0, Direction.OUT, Kind.REQUEST, "heartbeat", method="GET", url="http://a.test/heartbeat/x"),
        frame(2.1, Direction.IN, Kind.RESPONSE_HEAD, "heartbeat", status=200, headers={}),
        frame(2.2, Direction.IN, Kind.END, "heartbeat", ending="reset", reason="gone"),
        frame(3.0, Direction.OUT, Kind.REQUEST, "file", method="GET", url="http://a.test/file=1"),
    ]
    failed, broken, pending = har_of(Trace({}, frames))["log"]["entries"]
    assert failed["response"]["status"] == 0
    assert failed["response"]["_error"] == "ConnectError: refused"
    assert failed["time"] == 1000
    assert broken["response"]["_error"] == "net::ERR_CONNECTION_RESET"
    assert "gone" in broken["comment"]
    assert pending["_pending"] is True


def test_further_attempts_are_entries_of_their_own() -> None:
    frames = [
        frame(0.0, Direction.OUT, Kind.REQUEST, method="GET", url="http://a.test/config"),
        frame(0.1, Direction.IN, Kind.RESPONSE, status=307, headers={"location": "/x"}, body=b"", attempt=1),
        frame(0.2, Direction.OUT, Kind.REQUEST, method="GET", url="http://a.test/x", attempt=2),
        frame(0.3, Direction.IN, Kind.RESPONSE, status=200, headers={}, body=b"{}"),
    ]
    first, second = har_of(Trace({}, frames))["log"]["entries"]
    assert (first["response"]["status"], first["response"]["redirectURL"]) == (307, "/x")
    assert (second["response"]["status"], second["comment"]) == (200, "discover, attempt 2")


def test_half_a_surrogate_pair_can_be_written() -> None:
    frames = [
        frame(0.0, Direction.OUT, Kind.REQUEST, method="POST", url="http://a.test/x", body=b"\xed\xa0\x80"),
    ]
    text = write_har(Trace({}, frames))
    assert read_har(io.StringIO(text)).entries[0].request_body == b"\xed\xa0\x80"


def check(path: Path) -> None:
    trace = read_trace(path)
    har = read_har(io.StringIO(write_har(trace)))
    sent = [one for one in trace.frames if one.kind in (Kind.REQUEST, Kind.WS_OPEN)]
    assert len(har.entries) == len(sent)
    assert sorted(one.url for one in har.entries) == sorted(one.payload["url"] for one in sent)


@pytest.mark.parametrize("version", ["2.9.4", "3.50.2", "4.8.0", "6.31.0"])
def test_traces_of_every_generation_become_har(version: str) -> None:
    for path in traces(version)[::8]:
        check(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", traces()[::9], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_traces_of_the_kit_become_har(path: Path) -> None:
    check(path)
