# SPDX-License-Identifier: Apache-2.0
"""A server that plays messages: this library gets what the recording gives, and others what is right."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
import websocket
from observations import hashes, seen

import gradio_transport as gt
from gradio_transport.protocol.frames import Frame, Kind
from gradio_transport.trace import read_trace, replay
from gradio_transport_conformance.grading import Grade, grade
from gradio_transport_conformance.play import play, play_async
from gradio_transport_conformance.reenact import Reenactment, serve
from gradio_transport_conformance.reenact.outcomes import outcomes
from gradio_transport_conformance.replay.machine import (
    EndpointLocation,
    case_of,
    locate_endpoints,
    observe_replay,
    version_of,
)
from gradio_transport_conformance.traces import shipped_trace, traces
from gradio_transport_http import polling

VERSIONS = ("2.3.6", "3.1.7", "3.50.2", "4.8.0", "4.16.0", "4.44.1", "6.31.0")
CASES = ("hello", "count", "state", "cancel_generator", "queue_full", "login")
"""What is played of them always."""

WHOLE = ("3.50.2", "4.8.0", "6.31.0")
"""Versions of which all is played by the slow tests; `tests/live` plays those that it is told."""

WAYS = {
    "asyncio-httpx": (play_async, "asyncio", "httpx"),
    "asyncio-aiohttp": (play_async, "asyncio", "aiohttp"),
    "trio-httpx": (play_async, "trio", "httpx"),
}


def playable(path: Path) -> bool:
    trace = read_trace(path)
    case = case_of(trace)
    if case is None or any(step.component for group in case.steps_for(version_of(trace)) for step in group):
        return False
    # A call that the server forgot would take as long again.
    return not any(
        one.kind is Kind.ERROR and one.payload["error"] == "TimeoutExpired" for one in trace.frames
    )


def parameters() -> Iterator[object]:
    ways = cycle(["sync", *WAYS])
    for path in traces():
        version = path.parent.name
        quick = version in VERSIONS and path.stem in CASES
        if (quick or version in WHOLE) and playable(path):
            marks = () if quick else (pytest.mark.slow,)
            yield pytest.param(path, next(ways), id=f"{version}/{path.stem}", marks=marks)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll without the pauses that are for the sake of real servers."""
    wake = polling.PollingExchange._schedule_poll
    monkeypatch.setattr(
        polling.PollingExchange, "_schedule_poll", lambda self, now, delay=0.0: wake(self, now, 0.01)
    )


def without_chance(texts: list[str]) -> list[str]:
    """Return what was seen without what differs from run to run: times, ids, addresses, waiting."""
    found: list[str] = []
    for text in texts:
        text = re.sub(r"\b[0-9a-f]{32}\b", "EVENT", text)
        text = re.sub(r"http://127\.0\.0\.1:\d+", "http://server", text)
        text = re.sub(r'"[a-z_]*(?:duration|process_time|eta)": (?:[-\d.e]+|null)', '"T": 0', text)
        found.append(text)
    return [text for text in found if not text.startswith("Estimation")]


@pytest.mark.parametrize(("path", "way"), list(parameters()))
def test_a_case_gives_what_its_recording_gives(path: Path, way: str) -> None:
    trace = read_trace(path)
    version, case = version_of(trace), case_of(trace)
    assert case is not None
    known = locate_endpoints(trace)
    frames: list[Frame] = []
    with serve(version, [path.stem]) as served:

        def locate(name: str) -> EndpointLocation:
            there = known.get(name)
            if there is None:
                return EndpointLocation(served.url_of(path.stem), 0, name)
            return EndpointLocation(served.urls[there.url], there.fn_index, there.api_name)

        if way == "sync":
            observed = play(case, version, locate, tap=frames.append)
        else:
            player, backend, engine = WAYS[way]
            run = partial(player, case, version, locate, tap=frames.append, engine=engine)
            observed = anyio.run(run, backend=backend)
    assert served.off_tape == []
    assert grade(case, version, way, observed).grade is not Grade.FAIL
    expected, got = iter(observe_replay(trace, replay(trace))), iter(observed)
    for group in case.steps_for(version):
        then = [without_chance(seen(one, hashes(trace.frames))) for one in islice(expected, len(group))]
        now = [without_chance(seen(one, hashes(frames))) for one in islice(got, len(group))]
        # Of calls at once, each may get what another got then. What never came to a server is in no trace.
        assert not then or sorted(now) == sorted(then)
    polls = [one for one in served.findings if one.startswith("requests the config")]
    assert [one for one in served.findings if one not in polls] == []


@pytest.mark.parametrize("version", ["5.29.1", "6.25.0"])
def test_messages_that_were_recorded_before_the_reply_to_their_join_are_played(version: str) -> None:
    recorded = outcomes(read_trace(shipped_trace(f"{version}/twenty_at_once")), "twenty_at_once")
    steps = ["estimation", "process_starts", "process_completed"]
    assert [[message["msg"] for message in one.messages] for one in recorded] == [steps] * 20


# --- clients that ask otherwise ------------------------------------------------------------------------


JOIN = "/gradio_api/queue/join"
DATA = "/gradio_api/queue/data?session_hash=mine"


@pytest.fixture(scope="module")
def everything() -> Iterator[Reenactment]:
    with serve("6.31.0") as served:
        yield served


@pytest.fixture
def newest() -> Iterator[Reenactment]:
    with serve("6.31.0", ["hello", "count", "add", "forever", "cancel_generator", "call_hello"]) as served:
        yield served


def ask(url: str, method: str, path: str, value: object = None, **headers: str) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        body = None if value is None else value if isinstance(value, str) else json.dumps(value)
        kind = {} if value is None else {"content-type": "application/json"}
        connection.request(method, path, body, {**kind, **headers})
        response = connection.getresponse()
        try:
            return response.status, response.read().decode()
        except http.client.IncompleteRead as error:
            return response.status, error.partial.decode()


def fn_index(served: Reenactment, name: str) -> int:
    config = json.loads(ask(served.url, "GET", "/config")[1])
    return next(one["id"] for one in config["dependencies"] if one["api_name"] == name)


def call(served: Reenactment, name: str, *data: object, session: str = "mine") -> str:
    body = {"data": data, "fn_index": fn_index(served, name), "session_hash": session}
    status, text = ask(served.url, "POST", JOIN, body)
    assert status == 200, text
    return str(json.loads(text)["event_id"])


def messages(text: str) -> list[dict[str, object]]:
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line]


def test_calls_may_all_be_joined_before_the_stream_is_opened(newest):
    ids = [call(newest, "hello", "Ada"), call(newest, "count", 3), call(newest, "hello", "Ada")]
    said = messages(ask(newest.url, "GET", DATA)[1])
    assert {one["event_id"] for one in said if one["msg"] == "process_completed"} == set(ids)
    assert [one["msg"] for one in said].count("close_stream") == 1
    assert said[-1]["msg"] == "close_stream"
    assert newest.findings == newest.off_tape == []


def test_an_order_of_its_own_is_no_finding(newest):
    for method, path in (
        ("GET", "/gradio_api/info"), ("HEAD", "/"), ("GET", "/theme.css"), ("GET", "/gradio_api/startup-events"),
        ("GET", "/config"), ("GET", "/gradio_api/app_id"),
    ):  # fmt: skip
        assert ask(newest.url, method, path)[0] == 200
    assert newest.findings == newest.off_tape == []


def test_a_stream_before_the_first_call_is_refused_in_the_stream(newest):
    status, text = ask(newest.url, "GET", DATA)
    assert status == 200
    assert messages(text)[0]["session_not_found"] is True
    assert newest.findings == ["opens the stream of a session before its first call"]


def test_a_join_without_session_hash_is_refused_and_written_down(newest):
    body = {"data": ["Ada"], "fn_index": 0}
    assert ask(newest.url, "POST", JOIN, body) == (400, '{"detail":"Session hash not found."}')
    assert newest.findings == ["sends no session_hash in POST /queue/join"]
    assert newest.off_tape == []


def test_a_path_of_another_generation_is_not_found_and_written_down(newest):
    assert ask(newest.url, "POST", "/queue/join", {})[0] == 404
    assert newest.findings == ["requests POST /queue/join, which this version does not have"]


@pytest.mark.parametrize(
    ("version", "path", "status", "text"),
    [
        ("3.33.1", "/nope", 404, "File not found: /nope."),
        ("3.33.1", "../nope", 404, "File not found: ../nope."),
        ("3.33.1", "/etc/hostname", 403, "File not allowed: /etc/hostname."),
        ("3.50.2", "/nope", 403, "File not allowed: /nope."),
    ],
)
def test_a_file_that_no_reply_names_is_refused_as_by_its_version(version, path, status, text):
    with serve(version, ["hello"]) as served:
        assert ask(served.url, "GET", f"/file={path}") == (
            status,
            json.dumps({"detail": text}, separators=(",", ":")),
        )
        assert served.findings == ["downloads a file that is in no reply"]


@pytest.mark.parametrize(
    ("version", "runs", "body"), [("3.4.1", True, "list index"), ("3.9.1", False, "Internal")]
)
def test_what_changed_at_3_6_and_3_9_1_is_as_by_its_version(version, runs, body):
    with serve(version, ["hello"]) as served:
        for _ in range(2):
            assert ask(served.url, "GET", "/startup-events") == (200, json.dumps(runs))
        status, text = ask(served.url, "POST", "/api/predict", {"data": ["x"], "fn_index": 999})
        assert status == 500
        assert body in text


def test_what_was_not_recorded_is_off_tape(newest):
    body = {"data": ["nobody"], "fn_index": fn_index(newest, "hello"), "session_hash": "mine"}
    status, text = ask(newest.url, "POST", JOIN, body)
    assert status == 501
    assert text.startswith('{"detail":"Off tape: calls /hello')
    assert len(newest.off_tape) == 1
    assert newest.findings == []


def test_the_same_call_by_another_path_is_labelled(newest):
    recorded = case_of(read_trace(shipped_trace("6.31.0/add")))
    assert recorded is not None
    data = list(recorded.steps[0][0].data)
    status, text = ask(newest.url, "POST", "/gradio_api/run/add", {"data": data})
    assert (status, json.loads(text)["data"]) == (200, recorded.steps[0][0].outputs)
    assert newest.reencoded == ["add by direct HTTP: add, recorded by the queue's stream"]


def test_a_generator_by_call_gives_full_values(newest):
    text = ask(newest.url, "POST", "/gradio_api/call/count", {"data": [3]})[1]
    event_id = json.loads(text)["event_id"]
    text = ask(newest.url, "GET", f"/gradio_api/call/count/{event_id}")[1]
    lines = [line for line in text.splitlines() if line]
    assert lines[-2:] == ["event: complete", 'data: ["0 1 2"]']
    assert 'data: ["0 1"]' in lines


def test_simple_format_gives_full_values(newest):
    body = {"data": [3], "fn_index": fn_index(newest, "count"), "session_hash": "mine", "simple_format": True}
    assert ask(newest.url, "POST", JOIN, body)[0] == 200
    said = messages(ask(newest.url, "GET", DATA)[1])
    values = [one["output"]["data"] for one in said if one["msg"] == "process_generating"]
    assert values == [["0"], ["0 1"], ["0 1 2"]]


def test_a_call_may_be_cancelled_at_any_time(newest):
    event_id = call(newest, "forever")
    body = {"event_id": event_id, "session_hash": "mine", "fn_index": fn_index(newest, "forever")}
    assert ask(newest.url, "POST", "/gradio_api/cancel", body) == (200, '{"success":true}')
    said = messages(ask(newest.url, "GET", DATA)[1])
    assert [one["output"] for one in said if one["msg"] == "process_completed"] == [{}]
    assert newest.off_tape == []


def test_a_call_that_the_recorded_client_cancelled_is_off_tape_without(newest, monkeypatch):
    monkeypatch.setattr("gradio_transport_conformance.reenact.playing.PATIENCE_SECONDS", 0.01)
    call(newest, "forever")
    ask(newest.url, "GET", DATA)
    (missed,) = newest.off_tape
    assert missed.startswith("does not cancel the call of 'cancel_generator'")


def test_a_login_holds_by_its_cookie():
    with serve("6.31.0", ["login", "no_login"]) as served:
        assert ask(served.url, "GET", "/config")[0] == 401
        with closing(http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=10)) as connection:
            for password, expected in (("wrong", 400), ("secret", 200)):
                kind = {"content-type": "application/x-www-form-urlencoded"}
                connection.request("POST", "/login", f"username=admin&password={password}", kind)
                response = connection.getresponse()
                response.read()
                assert response.status == expected
            cookies = response.headers.get_all("set-cookie")
        cookie = "; ".join(one.partition(";")[0] for one in cookies or ())
        for _ in range(2):
            assert ask(served.url, "GET", "/config", cookie=cookie)[0] == 200
        assert ask(served.url, "GET", "/config")[0] == 401
        assert served.findings == []


def test_a_heartbeat_that_stays_open_is_written_down():
    with serve("6.31.0", ["hello"]) as served:
        connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=10)
        connection.request("GET", "/gradio_api/heartbeat/mine")
        assert connection.getresponse().read(13) == b"data: ALIVE\n\n"
    connection.close()
    assert served.findings == ["never closes the heartbeat"]


def test_a_call_whose_stream_is_never_opened_is_written_down():
    with serve("6.31.0", ["hello"]) as served:
        call(served, "hello", "Ada")
    assert "never opens the stream of a call that it joined" in served.findings


def test_sockets_of_one_function_get_their_own_results():
    with serve("3.50.2", ["two_generators"]) as served:
        url = f"ws{served.url.removeprefix('http')}/queue/join"
        config = json.loads(ask(served.url, "GET", "/config")[1])
        number = next(place for place, one in enumerate(config["dependencies"]) if one["api_name"] == "count")
        sockets = [websocket.create_connection(url, timeout=10) for _ in range(2)]
        results = {}
        # The other order than the recorded one, of both the sockets and their data.
        for socket, count in zip(reversed(sockets), (4, 3), strict=True):
            assert json.loads(socket.recv())["msg"] == "send_hash"
            socket.send(json.dumps({"session_hash": f"mine-{count}", "fn_index": number}))
            while json.loads(socket.recv())["msg"] != "send_data":
                pass
            socket.send(json.dumps({"data": [count], "fn_index": number, "session_hash": f"mine-{count}"}))
            while (said := json.loads(socket.recv()))["msg"] != "process_completed":
                pass
            results[count] = said["output"]["data"]
            _, frame = socket.recv_data_frame(control_frame=True)
            assert int.from_bytes(frame.data[:2], "big") == 1000
            socket.shutdown()
    assert results == {3: ["0 1 2"], 4: ["0 1 2 3"]}
    assert served.findings == served.off_tape == []


def test_many_calls_at_once_each_get_their_own(everything):
    with gt.connect(everything.url) as app:
        calls = [
            app.submit("/hello", "Ada") if number % 2 else app.submit("/count", 3) for number in range(20)
        ]
        results = [one.result(timeout=20) for one in calls]
    assert results == [["Hello, Ada!"] if number % 2 else ["0 1 2"] for number in range(20)]


def test_what_was_said_is_a_trace(newest):
    ask(newest.url, "GET", "/config")
    kinds = [frame.kind for frame in newest.trace.frames]
    assert kinds == [Kind.REQUEST, Kind.RESPONSE]
    assert newest.trace.frames[1].payload["status"] == 200


def test_a_version_or_case_that_was_not_recorded_is_named():
    with (
        pytest.raises(LookupError, match="no recording of nowhere"),
        serve("6.31.0", ["nowhere"]),
    ):
        pass


def test_a_missing_package_is_named_with_its_extra():
    program = (
        "import sys; sys.modules['aiohttp'] = None\n"
        "from gradio_transport_conformance.reenact import serve\n"
        "with serve('6.31.0', ['hello']): pass"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("ImportError: aiohttp is not installed")
