# SPDX-License-Identifier: Apache-2.0
"""A server that plays messages: what depends on the app as a whole, and what real servers do with it."""

from __future__ import annotations

import http.client
import json
from contextlib import closing
from urllib.parse import urlsplit

import pytest

import gradio_transport as gt
from gradio_transport.trace import read_trace
from gradio_transport_conformance.driver.messages import StepAnswer, StepError, TaskAnswer
from gradio_transport_conformance.grading import Grade
from gradio_transport_conformance.reenact import Reenactment, serve
from gradio_transport_conformance.reenact.likeness import Uploads, likeness
from gradio_transport_conformance.reenact.outcomes import outcomes
from gradio_transport_conformance.reenact.playing import END_IS_MISSING
from gradio_transport_conformance.run.clients import _grade_case
from gradio_transport_conformance.run.selection import plan_cases, select_cases
from gradio_transport_conformance.run.serving import CaseServer
from gradio_transport_conformance.traces import shipped_trace

JOIN = "/gradio_api/queue/join"
DATA = "/gradio_api/queue/data?session_hash=mine"


def ask(url: str, method: str, path: str, value: object = None) -> tuple[int, str]:
    with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)) as connection:
        body = None if value is None else json.dumps(value)
        connection.request(method, path, body, {"content-type": "application/json"} if body else {})
        response = connection.getresponse()
        return response.status, response.read().decode()


def number_of(served: Reenactment, name: str) -> int:
    config = json.loads(ask(served.url, "GET", "/config")[1])
    return next(
        one.get("id", place) for place, one in enumerate(config["dependencies"]) if one["api_name"] == name
    )


def join(served: Reenactment, name: str, *data: object) -> None:
    body = {"data": data, "fn_index": number_of(served, name), "session_hash": "mine"}
    status, text = ask(served.url, "POST", JOIN, body)
    assert status == 200, text


def messages(text: str) -> list[dict[str, object]]:
    return [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line]


def call_by_name(served: Reenactment, name: str, *data: object, **more: str) -> tuple[int, str]:
    return ask(served.url, "POST", f"/gradio_api/call/{name}", {"data": data, **more})


def result_by_name(served: Reenactment, name: str, *data: object, **more: str) -> list[str]:
    """Return the events of a call by /call, without blank lines."""
    status, text = call_by_name(served, name, *data, **more)
    assert status == 200, text
    path = f"/gradio_api/call/{name}/{json.loads(text)['event_id']}"
    return [line for line in ask(served.url, "GET", path)[1].splitlines() if line]


def test_a_full_queue_refuses_by_call_too_and_takes_calls_again_when_it_is_not():
    with serve("6.31.0", ["queue_full"]) as served:
        joined = [call_by_name(served, "slow", 1) for _ in range(4)]
        assert [status for status, _ in joined] == [200, 200, 503, 503]
        assert joined[2][1] == '{"detail":"Queue is full. Max size is 1 and size is 1."}'
        for _, text in joined[:2]:
            ask(served.url, "GET", f"/gradio_api/call/slow/{json.loads(text)['event_id']}")
        assert call_by_name(served, "slow", 1)[0] == 200


def test_a_queue_is_full_for_joins_and_calls_alike():
    with serve("4.44.1", ["queue_full"]) as served:
        number = number_of(served, "slow")
        body = {"data": [1], "fn_index": number, "session_hash": "mine"}
        assert ask(served.url, "POST", "/queue/join", body)[0] == 200
        assert [ask(served.url, "POST", "/call/slow", {"data": [1]})[0] for _ in range(2)] == [200, 503]


def test_calls_one_after_another_never_fill_a_queue():
    with serve("6.31.0", ["queue_full"]) as served:
        for _ in range(3):
            assert result_by_name(served, "slow", 1) == ["event: complete", 'data: ["slept 1"]']


def test_a_validator_refuses_by_call_what_it_refuses_in_the_queue():
    with serve("6.31.0", ["validate"]) as served:
        status, text = call_by_name(served, "validate", "no")
        assert (status, json.loads(text)["detail"][0]["message"]) == (422, "too short: no")
        assert result_by_name(served, "validate", "long enough")[-1] == 'data: ["Hello, long enough!"]'


def test_what_was_rendered_is_there_for_its_session_alone():
    with serve("6.31.0", ["render"]) as served:
        join(served, "apply", 2)
        said = messages(ask(served.url, "GET", DATA)[1])
        (config,) = [one["output"]["render_config"] for one in said if one["msg"] == "process_completed"]
        number = next(
            one["id"] for one in config["dependencies"] if str(one["api_name"]).startswith("rendered_1")
        )
        for session, status in (("mine", 200), ("other", 500)):
            body = {"data": ["you"], "fn_index": number, "session_hash": session}
            assert ask(served.url, "POST", JOIN, body)[0] == status
        assert call_by_name(served, "rendered_1", "you", session_hash="mine")[0] == 200
        assert call_by_name(served, "rendered_1", "you", session_hash="other")[0] == 500
        assert call_by_name(served, "rendered_1", "you")[0] == 500


@pytest.mark.parametrize(
    ("version", "said"), [("6.31.0", "[NaN]"), ("4.44.1", "[NaN]"), ("4.22.0", "[null]")]
)
def test_nan_is_written_by_call_as_that_version_does(version, said):
    prefix = "/gradio_api" if version.startswith("6") else ""
    with serve(version, ["not_a_number"]) as served:
        joined = ask(served.url, "POST", f"{prefix}/call/not_a_number", {"data": []})[1]
        event_id = json.loads(joined)["event_id"]
        text = ask(served.url, "GET", f"{prefix}/call/not_a_number/{event_id}")[1]
    assert text.split() == ["event:", "complete", "data:", said]


@pytest.mark.parametrize(("version", "root"), [("6.31.0", "/app"), ("4.44.1", "")])
def test_a_mounted_app_is_under_its_path_and_says_the_root_that_its_server_believes(version, root):
    with serve(version, ["mounted_hello"]) as served:
        assert urlsplit(served.url).path == "/behind/app"
        origin = served.url.removesuffix("/behind/app")
        for path, status in (
            ("/behind/app/config", 200), ("/app/config", 200), ("/config", 404), ("/behind/app", 307),
            ("/behind/app/nowhere", 404),
        ):  # fmt: skip
            assert ask(served.url, "GET", path)[0] == status, path
        assert json.loads(ask(served.url, "GET", "/app/config")[1])["root"] == origin + root
        assert served.findings[:2] == [
            "requests GET /config, which is outside of the app's path",
            "requests GET /nowhere, which this version does not have",
        ]
        with gt.connect(served.url) as app:
            assert app.call("/hello", "Ada") == ["Hello, Ada!"]


@pytest.mark.parametrize("case", ["direct", "direct_hello"])
def test_what_was_recorded_by_direct_http_may_be_joined_by_the_queue(case):
    with serve("6.31.0", [case]) as served:
        name, data, result = {
            "direct": ("direct", "x", "direct x"),
            "direct_hello": ("hello", "Ada", "Hello, Ada!"),
        }[case]
        join(served, name, data)
        said = messages(ask(served.url, "GET", DATA)[1])
    assert [one["msg"] for one in said] == [
        "estimation",
        "process_starts",
        "process_completed",
        "close_stream",
    ]
    assert said[2]["output"]["data"] == [result]
    assert served.off_tape == []


def test_the_page_of_an_app_with_a_login_needs_no_config():
    with serve("3.50.2", ["no_login"]) as served:
        status, text = ask(served.url, "GET", "/")
    assert status == 200
    assert '"auth_required": true' in text
    assert served.off_tape == []


@pytest.mark.parametrize(
    ("name", "case", "done"), [("forever", "cancel_generator", True), ("slow", "cancel_plain", False)]
)
def test_a_reset_ends_generators_alone_as_on_4_0(name, case, done):
    with serve("4.0.2", [case]) as served:
        number = number_of(served, name)
        path = f"/queue/join?fn_index={number}&session_hash=mine"
        with closing(http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=10)) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            said: list[str] = []
            wanted = "process_generating" if done else "process_starts"
            while wanted not in said:
                line = response.readline().decode()
                if not line.startswith("data:"):
                    continue
                message = json.loads(line.removeprefix("data:"))
                said.append(message["msg"])
                if message["msg"] == "send_data":
                    event_id = message["event_id"]
                    body = {"event_id": event_id, "fn_index": number, "session_hash": "mine"}
                    data = [] if done else [3]
                    assert ask(served.url, "POST", "/queue/data", {**body, "data": data})[0] == 200
            reply = ask(served.url, "POST", "/reset", {"event_id": event_id})[1]
            assert json.loads(reply) == {"success": done}
            if done:
                response.read()  # to a proper end
    assert served.off_tape == []


def test_an_image_is_the_same_with_and_without_its_kind():
    bare = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAI"
    alike = [likeness([one], Uploads()) for one in (bare, f"data:image/png;base64,{bare}")]
    assert alike[0] == alike[1] != likeness(["iVBORw0KGgo="], Uploads())


def test_what_came_before_the_reply_to_its_join_is_of_the_call_too():
    trace = read_trace(shipped_trace("6.25.0/twenty_at_once"))
    found = outcomes(trace, "twenty_at_once")
    assert len(found) == 20
    assert all(one.complete and one.messages[0]["msg"] == "estimation" for one in found)


def begin(served: Reenactment, name: str, *data: object) -> str:
    body = {"data": data, "fn_index": number_of(served, name), "session_hash": "mine"}
    return str(json.loads(ask(served.url, "POST", "/queue/join", body)[1])["event_id"])


def wait_until_it_runs(served: Reenactment) -> None:
    with closing(http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=10)) as connection:
        connection.request("GET", "/queue/data?session_hash=mine")
        response = connection.getresponse()
        while b"process_starts" not in response.readline():
            pass


def test_a_function_that_cancels_silences_the_calls_of_its_session():
    # 4.22 keeps sessions whose stream was dropped.
    with serve("4.22.0", ["cancel_generator"]) as served:
        event_id = begin(served, "forever")
        wait_until_it_runs(served)
        config = json.loads(ask(served.url, "GET", "/config")[1])
        (number,) = [place for place, one in enumerate(config["dependencies"]) if one.get("cancels")]
        body = {"data": [], "fn_index": number, "session_hash": "mine"}
        status, text = ask(served.url, "POST", "/run/predict", body)
        assert (status, json.loads(text)["data"]) == (200, [])
        assert ask(served.url, "POST", "/reset", {"event_id": event_id})[1] == '{"success":false}'
    assert served.off_tape == []


def test_a_plain_function_goes_on_after_a_reset_and_its_end_is_off_tape(monkeypatch):
    monkeypatch.setattr("gradio_transport_conformance.reenact.playing.PATIENCE_SECONDS", 0.3)
    with serve("4.22.0", ["cancel_plain"]) as served:
        event_id = begin(served, "slow", 3)
        wait_until_it_runs(served)
        assert ask(served.url, "POST", "/reset", {"event_id": event_id})[1] == '{"success":false}'
        with pytest.raises(http.client.IncompleteRead):
            ask(served.url, "GET", "/queue/data?session_hash=mine")
    (missed,) = served.off_tape
    assert missed.startswith(END_IS_MISSING)
    (cell,) = plan_cases(["4.22.0"], select_cases("cancel_plain"))
    late = TaskAnswer(id="", steps=[StepAnswer(error=StepError(kind="timeout", message="20 s"))])
    for off_tape, grade in (([missed], Grade.OFF_TAPE), ([], Grade.FAIL)):
        server = CaseServer(served.url, {}, list, lambda found=off_tape: found)
        assert _grade_case(cell, late, server)[0] is grade
