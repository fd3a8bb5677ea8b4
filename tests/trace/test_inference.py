# SPDX-License-Identifier: Apache-2.0
"""Calls are found in the traffic of any client, in whatever order it comes, and nothing raises."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retelling import retell, retold

from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import (
    Severity,
    Trace,
    TraceWriter,
    describe,
    lint_trace,
    read_trace,
    replay,
)
from gradio_transport.trace.late_arguments import with_late_arguments
from gradio_transport.trace.traffic.inference import Inference
from gradio_transport_conformance.traces import shipped_trace, traces

BASE = "http://app.test/sub"
JSON = {"content-type": "application/json"}
STREAM = {"content-type": "text/event-stream"}

WITHOUT_A_NAME = {"queue_full"}
"""Cases in which sockets end before their client has named a function (up to 3.5)."""

ENDED_HERE = {"queue_position"}
"""Cases in which this library's own deadline ended a call, which no proxy can see."""

SEVERAL_APPS = {"siblings"}
"""Cases with an app for each function, in 2.x."""


class Client:
    """Traffic of a made-up client with an app of a real config."""

    def __init__(self, version: str = "6.31.0", *, config: bool = True, **options: Any) -> None:
        self.frames: list[Frame] = []
        self.inference = Inference(BASE, self.frames.append, **options)
        self.t = 0.0
        self.last = 0
        prefix = "" if version.startswith(("2", "3", "4")) else "/gradio_api"
        self.api = f"{BASE}{prefix}"
        recorded = read_trace(shipped_trace(f"{version}/hello"))
        if not config:
            return
        for frame in recorded.frames:
            if frame.channel == "discover" and frame.kind is Kind.RESPONSE:
                path = str(frame.payload["url"]).partition("://")[2].partition("/")[2]
                self.whole("GET", f"{BASE}/{path}", reply=frame.payload["body"])

    def tick(self, seconds: float = 0.01) -> float:
        self.t += seconds
        return self.t

    def ask(self, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None) -> int:
        self.last += 1
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        self.inference.request(self.last, self.tick(), method, url, headers or JSON, data)
        return self.last

    def reply(self, number: int, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.inference.response(number, self.tick(), status, headers or JSON)
        self.inference.data(number, self.tick(), data)
        self.inference.end(number, self.tick())

    def whole(self, method: str, url: str, body: Any = None, *, reply: Any, status: int = 200) -> None:
        self.reply(self.ask(method, url, body), reply, status)

    def stream(self, url: str) -> int:
        number = self.ask("GET", url)
        self.inference.response(number, self.tick(), 200, STREAM)
        return number

    def say(self, number: int, **message: Any) -> None:
        self.inference.data(number, self.tick(), f"data: {json.dumps(message)}\n\n".encode())

    def completes(self, number: int, event_id: str, value: str) -> None:
        self.say(number, msg="process_starts", event_id=event_id)
        output = {"data": [value], "is_generating": False, "duration": 0.1}
        self.say(number, msg="process_completed", event_id=event_id, output=output, success=True)

    def join(self, session_hash: str, value: str = "you", **more: Any) -> int:
        fn_index = self.function("/hello")
        body = {"data": [value], "fn_index": fn_index, "session_hash": session_hash, **more}
        return self.ask("POST", f"{self.api}/queue/join", body)

    def function(self, name: str) -> int:
        config = self.inference.config
        assert config is not None
        return config.endpoint(name).fn_index

    @property
    def trace(self) -> Trace:
        self.inference.close()
        return Trace({"recorder": "proxy"}, with_late_arguments(tuple(self.frames)))

    def outcomes(self) -> list[str]:
        result = replay(self.trace)
        assert result.mismatches == []
        assert result.outstanding == []
        findings = [one for one in lint_trace(self.trace) if one.severity is not Severity.NOTE]
        assert [one for one in findings if "like a secret" not in one.what] == []  # it is not redacted
        return [describe(events[-1]) if events else "nothing" for events in result.events.values()]


def outcomes(trace: Trace) -> list[tuple[str, list[str]]]:
    result = replay(trace)
    return sorted(
        (result.endpoints[key], list(map(describe, events))) for key, events in result.events.items()
    )


def check(path: Path) -> None:
    trace = read_trace(path)
    again = retold(trace)
    again = attrs.evolve(again, frames=with_late_arguments(again.frames))
    assert replay(again).mismatches == []
    times = [frame.t for frame in again.frames]
    if path.stem in WITHOUT_A_NAME | ENDED_HERE | SEVERAL_APPS and path.parent.name < "3.5":
        return
    recorded = [frame.t for frame in trace.frames]
    if recorded == sorted(recorded):  # two threads may have told the time in another order than they wrote
        assert times == sorted(times)
    assert outcomes(again) == outcomes(trace)


@pytest.mark.parametrize("case", ["hello", "count", "cancel_generator", "siblings", "file_in"])
@pytest.mark.parametrize("version", ["2.9.4", "3.1.7", "3.50.2", "4.8.0", "4.44.1", "6.31.0"])
def test_calls_of_every_generation_are_found(version: str, case: str) -> None:
    paths = [path for path in traces(version) if path.stem == case]
    for path in paths:
        check(path)


@pytest.mark.slow
@pytest.mark.parametrize("path", traces()[::9], ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_calls_of_traces_of_the_kit_are_found(path: Path) -> None:
    check(path)


# --- clients differ -------------------------------------------------------------------------------------------


def test_a_stream_that_is_opened_before_the_join() -> None:
    client = Client()
    stream = client.stream(f"{client.api}/queue/data?session_hash=abcdefgh")
    join = client.join("abcdefgh", event_data=None, trigger_id=None)
    client.reply(join, {"event_id": "e1"})
    client.completes(stream, "e1", "Hello you")
    client.say(stream, msg="close_stream", event_id=None)
    client.inference.end(stream, client.tick())
    (outcome,) = client.outcomes()
    assert "ProcessCompleted" in outcome
    assert "Hello you" in outcome


def test_a_message_that_comes_before_the_reply_to_its_join() -> None:
    client = Client()
    stream = client.stream(f"{client.api}/queue/data?session_hash=abcdefgh")
    join = client.join("abcdefgh")
    client.completes(stream, "e1", "early")
    client.reply(join, {"event_id": "e1"})
    client.inference.end(stream, client.tick(), Ending.LOCAL)
    assert "early" in client.outcomes()[0]


def test_a_client_that_opens_the_next_stream_before_the_end_of_the_last_is_seen() -> None:
    client = Client()
    first_join = client.join("abcdefgh", "one")
    client.reply(first_join, {"event_id": "e1"})
    first = client.stream(f"{client.api}/queue/data?session_hash=abcdefgh")
    client.completes(first, "e1", "one")
    client.say(first, msg="close_stream", event_id=None)
    second_join = client.join("abcdefgh", "two")
    client.reply(second_join, {"event_id": "e2"})
    second = client.stream(f"{client.api}/queue/data?session_hash=abcdefgh")
    client.inference.end(first, client.tick(), Ending.LOCAL)
    client.completes(second, "e2", "two")
    client.inference.end(second, client.tick(), Ending.LOCAL)
    made = client.outcomes()
    assert [("one" in text, "two" in text) for text in made] == [(True, False), (False, True)]
    ends = [frame.payload["reason"] for frame in client.frames if frame.kind is Kind.END]
    assert ends == ["the client opened another stream", "the client closed it"]


def test_a_client_that_goes_on_with_a_session_whose_stream_broke() -> None:
    client = Client()
    client.reply(client.join("abcdefgh"), {"event_id": "e1"})
    broken = client.stream(f"{client.api}/queue/data?session_hash=abcdefgh")
    client.inference.end(broken, client.tick(), Ending.RESET, "connection reset")
    client.reply(client.join("abcdefgh"), {"event_id": "e2"})
    stream = client.stream(f"{client.api}/queue/data?session_hash=abcdefgh")
    client.completes(stream, "e2", "again")
    client.inference.end(stream, client.tick())
    first, second = client.outcomes()
    assert "StreamLost" in first
    assert "again" in second
    assert {frame.session for frame in client.frames if frame.kind is Kind.CALL} == {1, 2}


def test_the_simple_api_of_curl_without_a_session() -> None:
    client = Client()
    for number in (1, 2):
        client.whole("POST", f"{client.api}/call/hello", {"data": ["you"]}, reply={"event_id": f"e{number}"})
    for number in (2, 1):  # fetched in another order
        stream = client.stream(f"{client.api}/call/hello/e{number}")
        client.inference.data(stream, client.tick(), f'event: complete\ndata: ["to {number}"]\n\n'.encode())
        client.inference.end(stream, client.tick())
    first, second = client.outcomes()
    assert "to 1" in first
    assert "to 2" in second


def test_named_arguments_of_the_second_simple_api() -> None:
    client = Client()
    client.whole("POST", f"{client.api}/call/v2/add", {"a": 1, "b": 2}, reply={"event_id": "e1"})
    stream = client.stream(f"{client.api}/call/v2/add/e1")
    client.inference.data(stream, client.tick(), b"event: complete\ndata: [3]\n\n")
    client.inference.end(stream, client.tick())
    (outcome,) = client.outcomes()
    assert '"data": [3]' in outcome
    call = next(frame for frame in client.trace.frames if frame.kind is Kind.CALL)
    assert call.payload["data"] == [1, 2]


def test_a_stream_of_a_call_that_was_joined_before_the_recording() -> None:
    client = Client()
    stream = client.stream(f"{client.api}/call/hello/e9")
    client.inference.data(stream, client.tick(), b'event: complete\ndata: ["old"]\n\n')
    client.inference.end(stream, client.tick())
    assert "old" in client.outcomes()[0]


def test_a_direct_call_by_another_route_than_this_library_takes() -> None:
    client = Client()
    client.whole("POST", f"{client.api}/api/hello/", {"data": ["you"]}, reply={"data": ["hi"]})
    assert "hi" in client.outcomes()[0]


def test_a_browser_that_cancels_and_resets() -> None:
    client = Client()
    client.reply(client.join("abcdefgh"), {"event_id": "e1"})
    stream = client.stream(f"{client.api}/queue/data?session_hash=abcdefgh")
    client.say(stream, msg="process_starts", event_id="e1")
    body = {"event_id": "e1", "session_hash": "abcdefgh", "fn_index": client.function("/hello")}
    client.whole("POST", f"{client.api}/cancel", body, reply={"success": True})
    client.whole("POST", f"{client.api}/reset", {"event_id": "e1"}, reply={"success": True})
    client.completes(stream, "e1", "")
    client.inference.end(stream, client.tick(), Ending.LOCAL)
    assert "Cancelled" in client.outcomes()[0]
    assert [frame.channel for frame in client.frames if frame.kind is Kind.CANCEL] == ["1"]


def test_a_websocket_whose_arguments_come_long_after_the_call() -> None:
    client = Client("3.50.2")
    fn_index = client.function("/hello")
    url = f"{client.api}/queue/join"
    client.inference.websocket_opened(90, client.tick(), url.replace("http", "ws"), {})
    client.inference.websocket_accepted(90, client.tick())

    def text(direction: Direction, **message: Any) -> None:
        client.inference.websocket_text(90, client.tick(), direction, json.dumps(message))

    text(Direction.IN, msg="send_hash")
    assert [frame for frame in client.frames if frame.kind is Kind.CALL] == []
    text(Direction.OUT, session_hash="abcdefgh", fn_index=fn_index)
    (call,) = [frame for frame in client.frames if frame.kind is Kind.CALL]
    assert call.payload["data"] is None  # shown at once all the same
    text(Direction.IN, msg="estimation", rank=3, queue_size=4)
    client.t += 60
    text(Direction.IN, msg="send_data")
    text(Direction.OUT, session_hash="abcdefgh", fn_index=fn_index, data=["you"], event_data=None)
    text(Direction.IN, msg="process_completed", success=True, output={"data": ["hi"]})
    client.inference.websocket_closed(90, client.tick(), 1000)
    assert "hi" in client.outcomes()[0]
    assert next(one for one in client.trace.frames if one.kind is Kind.CALL).payload["data"] == ["you"]


def test_a_client_that_closes_its_socket_cancels_the_call() -> None:
    client = Client("3.50.2")
    client.inference.websocket_opened(90, client.tick(), f"{client.api}/queue/join", {})
    client.inference.websocket_accepted(90, client.tick())
    client.inference.websocket_text(90, client.tick(), Direction.IN, '{"msg": "send_hash"}')
    hello = {"session_hash": "abcdefgh", "fn_index": client.function("/hello")}
    client.inference.websocket_text(90, client.tick(), Direction.OUT, json.dumps(hello))
    client.inference.websocket_closed(90, client.tick(), None, "", Direction.OUT)
    assert "Cancelled" in client.outcomes()[0]


def test_a_redirect_is_a_further_attempt() -> None:
    client = Client()
    join = client.join("abcdefgh")
    client.inference.response(join, client.tick(), 307, {"location": f"{BASE}/gradio_api/queue/join/"})
    client.inference.end(join, client.tick())
    client.last += 1
    body = {"data": ["you"], "fn_index": client.function("/hello"), "session_hash": "abcdefgh"}
    client.inference.request(
        client.last, client.tick(), "POST", f"{BASE}/gradio_api/queue/join/", JSON, json.dumps(body).encode()
    )
    client.reply(client.last, {"event_id": "e1"})
    stream = client.stream(f"{client.api}/queue/data?session_hash=abcdefgh")
    client.completes(stream, "e1", "there")
    client.inference.end(stream, client.tick())
    (outcome,) = client.outcomes()
    assert "there" in outcome
    assert [frame.payload.get("attempt") for frame in client.frames if frame.channel == "1.join"] == [
        None, 1, 2, None,
    ]  # fmt: skip


def test_a_page_has_the_config_in_itself() -> None:
    client = Client(config=False)
    recorded = read_trace(shipped_trace("6.31.0/hello"))
    config = next(frame.payload["body"] for frame in recorded.frames if frame.kind is Kind.RESPONSE)
    page = b"<html><script>window.gradio_config = " + config + b";</script></html>"
    for path in ("/", "/second"):
        number = client.ask("GET", BASE + path, headers={"accept": "text/html,*/*"})
        client.reply(number, page, headers={"content-type": "text/html"})
    other = client.ask("GET", f"{BASE}/docs", headers={"accept": "text/html"})
    client.reply(other, b"<html>no app</html>", headers={"content-type": "text/html"})
    assert client.inference.config is not None
    assert client.inference.config.version == "6.31.0"
    client.reply(client.join("abcdefgh"), {"event_id": "e1"})
    urls = [frame.payload["url"] for frame in client.trace.frames if frame.kind is Kind.REQUEST]
    assert urls == [f"{BASE}/", f"{BASE}/second", f"{client.api}/queue/join"]
    assert client.inference.other == {"second": 1, "docs": 1}


def test_other_requests_are_counted_and_kept_only_on_demand() -> None:
    for keep in (False, True):
        client = Client(keep_other=keep)
        client.whole("GET", f"{BASE}/assets/index.js", reply=b"js")
        client.whole("GET", "http://elsewhere.test/x", reply=b"no")
        assert client.inference.other == {"assets": 1}
        assert client.inference.skipped == {"a request to another place than the app": 1}
        kept = [frame for frame in client.trace.frames if frame.channel == "other"]
        assert len(kept) == (2 if keep else 0)


def test_uploads_downloads_and_heartbeats_belong_to_no_session() -> None:
    client = Client()
    form = (
        b'--b\r\ncontent-disposition: form-data; name="files"; filename="a b.txt"\r\n\r\n12345\r\n--b--\r\n'
    )
    upload = client.ask(
        "POST", f"{client.api}/upload", form, {"content-type": "multipart/form-data; boundary=b"}
    )
    client.reply(upload, ["/tmp/a b.txt"])
    first, second = (client.ask("GET", f"{client.api}/file=/tmp/{name}") for name in "ab")
    for number in (second, first):
        client.inference.response(number, client.tick(), 206, {"content-type": "text/plain"})
        client.inference.data(number, client.tick(), b"some")
        client.inference.end(number, client.tick())
    beat = client.stream(f"{client.api}/heartbeat/abcdefgh")
    client.inference.data(beat, client.tick(), b"data: ALIVE\n\n")
    client.inference.end(beat, client.tick(), Ending.LOCAL)
    frames = client.trace.frames
    assert {frame.session for frame in frames} == {0}
    sent = next(frame for frame in frames if frame.channel == "upload")
    assert sent.payload["files"] == [{"name": "a b.txt", "size": 5}]
    assert sent.payload["body"] is None
    assert {frame.channel for frame in frames} >= {"file", "file-2", "heartbeat"}
    assert not client.inference.wants_body("POST", f"{client.api}/upload")
    assert client.inference.wants_body("POST", f"{client.api}/queue/join")


def test_without_the_config_a_trace_is_written_but_does_not_replay() -> None:
    from gradio_transport.trace import TraceError

    client = Client(config=False)
    body = {"data": ["you"], "fn_index": 3, "session_hash": "abcdefgh"}
    client.whole("POST", f"{client.api}/queue/join", body, reply={"event_id": "e1"})
    call = next(frame for frame in client.trace.frames if frame.kind is Kind.CALL)
    assert call.payload == {"endpoint": None, "fn_index": 3, "data": ["you"]}
    with pytest.raises(TraceError, match="not the app's config"):
        replay(client.trace)


def test_a_call_of_a_function_that_the_app_does_not_have() -> None:
    client = Client()
    client.whole(
        "POST", f"{client.api}/call/nothing", {"data": []}, reply=b"Internal Server Error", status=500
    )
    (outcome,) = client.outcomes()
    assert "ServerRefused" in outcome


def test_secrets_of_the_client_are_taken_out(tmp_path: Path) -> None:
    canary = "canary-5f2a9c77b1"
    frames: list[Frame] = []
    inference = Inference(BASE, frames.append)
    headers = {
        **JSON,
        "authorization": f"Bearer {canary}",
        "cookie": f"access-token-unsecure={canary}x; theme=dark",
    }
    inference.request(1, 0.0, "POST", f"{BASE}/login", headers, f"username=me&password={canary}y".encode())
    inference.response(1, 0.1, 200, {"set-cookie": f"access-token={canary}z; Path=/"})
    inference.end(1, 0.2)
    body = json.dumps(
        {"data": [f"{canary} {canary}x {canary}y {canary}z"], "session_hash": "abcdefgh"}
    ).encode()
    inference.request(2, 0.3, "POST", f"{BASE}/gradio_api/queue/join", headers, body)
    inference.response(2, 0.4, 200, JSON)
    inference.data(2, 0.5, f'{{"event_id": "e1", "echo": "{canary}y"}}'.encode())
    inference.end(2, 0.6)
    inference.close()
    with TraceWriter(tmp_path / "trace.jsonl") as writer:
        for frame in frames:
            writer(frame)
    assert canary not in (tmp_path / "trace.jsonl").read_text()


# --- real deviations are found ---------------------------------------------------------------------------------


def changed(find: Callable[[Frame], bool], **values: Any) -> Callable[[Frame], Frame]:
    return lambda frame: attrs.evolve(frame, payload={**frame.payload, **values}) if find(frame) else frame


def test_a_request_with_other_arguments_than_the_call_is_a_mismatch() -> None:
    trace = read_trace(shipped_trace("6.31.0/hello"))
    other = b'{"data": ["somebody else"], "fn_index": 1, "session_hash": "session-1"}'
    again = retold(
        trace, changed(lambda one: one.channel == "1.join" and one.kind is Kind.REQUEST, body=other)
    )
    (mismatch,) = replay(again).mismatches
    assert "somebody else" in mismatch.expected


def test_a_server_that_breaks_the_order_of_messages_is_found() -> None:
    client = Client()
    client.reply(client.join("abcdefgh"), {"event_id": "e1"})
    stream = client.stream(f"{client.api}/queue/data?session_hash=abcdefgh")
    client.say(stream, msg="estimation", event_id="e1", rank=0, queue_size=1, rank_eta=None)
    client.completes(stream, "e1", "x")
    client.say(stream, msg="nonsense", event_id=None)
    client.inference.end(stream, client.tick())
    findings = lint_trace(client.trace)
    assert any("nonsense" in finding.what for finding in findings)


def test_traces_of_this_library_are_compared_as_strictly_as_before() -> None:
    trace = read_trace(shipped_trace("6.31.0/hello"))
    frames = [
        attrs.evolve(frame, payload={**frame.payload, "url": frame.payload["url"] + "/other"})
        if frame.channel == "1.join" and frame.kind is Kind.REQUEST
        else frame
        for frame in trace.frames
    ]
    assert replay(Trace(trace.meta, frames)).mismatches
    assert not replay(Trace({**trace.meta, "recorder": "proxy"}, frames)).mismatches


# --- odd and hostile traffic -----------------------------------------------------------------------------------


def test_traffic_that_makes_no_sense_is_skipped_with_a_reason() -> None:
    client = Client()
    told = client.inference
    told.request(500, 0.0, "POST", f"{client.api}/queue/join", {}, b"\xff{" * 1000)
    told.request(501, 0.0, "POST", f"{client.api}/queue/join", {}, b"[" * 100_000)
    told.request(502, 0.0, "GET", "http://[::1", {}, None)
    told.request(503, 0.0, "POST", f"{client.api}/stream/unknown", {}, b"{}")
    told.request(504, 0.0, "POST", f"{client.api}/queue/data", {}, b'{"event_id": {"a": 1}}')
    told.response(999, 0.0, 200, {})
    told.data(999, 0.0, b"x")
    told.end(999, 0.0)
    told.websocket_text(999, 0.0, Direction.OUT, "x")
    told.websocket_opened(505, 0.0, "ws://[", {})
    told.request(506, 0.0, "GET", f"{client.api}/queue/data?session_hash={'x' * 100_000}", {}, None)
    told.response(506, 0.0, 200, STREAM)
    told.data(506, 0.0, b"data: not json\n\ndata: 5\n\n")
    told.end(506, 0.0)
    assert "a request to another place than the app" in told.skipped
    assert "a request of a call that is not known (input)" in told.skipped
    replay(client.trace)


def test_a_tap_that_raises_does_not_break_the_traffic(caplog: pytest.LogCaptureFixture) -> None:
    def tap(frame: Frame) -> None:
        raise ValueError("full")

    inference = Inference(BASE, tap)
    inference.request(1, 0.0, "GET", f"{BASE}/config", {}, None)
    assert inference.skipped == {"a request could not be read (ValueError)": 1}
    assert "not in the trace" in caplog.text


def test_a_websocket_that_names_nothing_blocks_the_others_only_briefly() -> None:
    client = Client("3.50.2")
    client.inference.websocket_opened(90, client.tick(), f"{client.api}/queue/join", {})
    before = len(client.frames)
    client.whole(
        "POST", f"{client.api}/run/hello", {"data": ["you"], "session_hash": "ab"}, reply={"data": [1]}
    )
    assert len(client.frames) == before
    client.inference.advance(client.t + 3)
    assert len(client.frames) > before
    for _ in range(1000):
        client.inference.websocket_text(90, client.tick(), Direction.IN, "{}")
    assert "a websocket that does not name its session" in client.inference.skipped


def test_memory_is_bounded_by_the_traffic_that_is_open() -> None:
    client = Client()
    for number in range(30_000):
        session_hash = f"session{number}"
        body = {"data": ["x"], "fn_index": 1, "session_hash": session_hash}
        client.inference.request(
            number, number, "POST", f"{client.api}/queue/join", {}, json.dumps(body).encode()
        )
        client.frames.clear()
    inference = client.inference
    tables = [value for value in vars(inference).values() if isinstance(value, dict)]
    assert max(map(len, tables)) <= 10_000


ANY_TEXT = st.text(max_size=40)
PATHS = st.sampled_from(
    ["/", "/config", "/queue/join", "/queue/data", "/gradio_api/queue/join", "/gradio_api/queue/data?session_hash=a",
     "/api/queue/push/", "/api/queue/status/", "/run/hello", "/call/hello", "/call/v2/hello", "/call/hello/e1",
     "/cancel", "/reset", "/stream/e1", "/stream/e1/close", "/upload", "/file=/x", "/heartbeat/a", "/login",
     "/queue/join?fn_index=1&session_hash=a", "/info", "/component_server/"]
)  # fmt: skip
BODIES = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.fixed_dictionaries(
        {},
        optional={
            "data": st.one_of(st.none(), st.lists(ANY_TEXT, max_size=2), st.integers()),
            "fn_index": st.one_of(st.integers(-5, 5), ANY_TEXT, st.none()),
            "session_hash": st.one_of(st.sampled_from(["a", "b"]), st.integers(), st.none()),
            "event_id": st.one_of(st.sampled_from(["e1", "e2"]), st.integers(), st.none()),
            "hash": st.sampled_from(["h"]),
            "is_generating": st.booleans(),
        },
    ).map(lambda value: json.dumps(value).encode()),
)
STEPS = st.one_of(
    st.tuples(st.just("request"), st.integers(0, 3), st.sampled_from(["GET", "POST"]), PATHS, BODIES),
    st.tuples(st.just("response"), st.integers(0, 3), st.sampled_from([200, 307, 404, 500]), st.booleans()),
    st.tuples(st.just("data"), st.integers(0, 3), BODIES),
    st.tuples(
        st.just("data"),
        st.integers(0, 3),
        st.sampled_from(
            [
                b'data: {"msg": "process_completed", "event_id": "e1"}\n\n',
                b'data: {"msg": "close_stream"}\n\n',
                b'data: {"msg": "send_data", "event_id": "e1"}\n\n',
                b"event: complete\ndata: []\n\n",
            ]
        ),
    ),
    st.tuples(st.just("end"), st.integers(0, 3), st.sampled_from(list(Ending))),
    st.tuples(st.just("open"), st.integers(0, 3)),
    st.tuples(st.just("text"), st.integers(0, 3), st.sampled_from(list(Direction)), BODIES),
    st.tuples(st.just("close"), st.integers(0, 3), st.sampled_from([None, 1000, 1006])),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=30), st.sampled_from(["2.9.4", "3.50.2", "4.8.0", "6.31.0"]))
def test_any_traffic_gives_a_trace_that_replays(steps: list[Any], version: str) -> None:
    client = Client(version)
    told = client.inference
    for kind, number, *rest in steps:
        t = client.tick(0.5)
        match kind:
            case "request":
                told.request(number, t, rest[0], BASE + rest[1], JSON, rest[2])
            case "response":
                told.response(
                    number, t, rest[0], (STREAM if rest[1] else JSON) | {"location": f"{BASE}/run/hello"}
                )
            case "data":
                told.data(number, t, rest[0] or b"")
            case "end":
                told.end(number, t, rest[0])
            case "open":
                told.websocket_opened(number, t, f"{BASE}/queue/join", {})
            case "text":
                told.websocket_text(number, t, rest[0], (rest[1] or b"").decode("utf-8", "replace"))
            case _:
                told.websocket_closed(number, t, rest[0])
    assert not [reason for reason in told.skipped if "could not be read" in reason]
    replay(client.trace)


def test_retelling_reports_what_it_left_out() -> None:
    trace = read_trace(shipped_trace("6.31.0/file_in"))
    inference = retell(trace, lambda frame: None)
    assert inference.calls == sum(frame.kind is Kind.CALL for frame in trace.frames)
    assert not inference.skipped
