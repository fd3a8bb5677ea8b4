# SPDX-License-Identifier: Apache-2.0
"""Why an app does not answer: the word, the step and the sentence, for what is broken on purpose."""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from heartbeats import app, elsewhere, page
from hub import Hub, hub_of
from internet import internet
from nginx import free_port
from scripted import CONFIG, Reply, Scripted, scripted

from gradio_transport.errors import STEERING
from gradio_transport.survey import Reason, SurveyResult, survey
from gradio_transport.survey import examining as examining_module
from gradio_transport.survey.examining import MOST_ENDPOINTS, TEXT_CHARACTERS, examine_app
from gradio_transport.survey.settings import SurveySettings
from gradio_transport_conformance.run.faults import serve_cell
from gradio_transport_conformance.run.selection import select_faults


def surveyed(source: str, timeout: float = 10.0) -> SurveyResult:
    result = examine_app(source, 0, SurveySettings(timeout=timeout))
    assert not STEERING.search(json.dumps(result.as_json(), ensure_ascii=False))
    assert len(result.why) <= TEXT_CHARACTERS
    return result


@pytest.fixture
def server() -> Iterator[Scripted]:
    with app() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


def test_a_closed_port() -> None:
    result = surveyed(f"http://127.0.0.1:{free_port()}")
    assert (result.reason, result.step) == (Reason.REFUSED, "tcp")
    assert "connection refused" in result.why
    assert "No program listens on port" in result.advice


@pytest.mark.parametrize("source", ["http://[", "", "http//x", "hf.co/models/x/y", "\x1b[2J", "ftp://x"])
def test_what_is_no_source(source: str) -> None:
    assert surveyed(source).reason is Reason.NOT_A_SOURCE


def test_a_host_without_an_address() -> None:
    with internet() as net:
        net.names["away.example"] = [[]]
        assert surveyed("http://away.example").reason is Reason.UNKNOWN_HOST


def test_an_address_that_no_route_leads_to() -> None:
    with internet() as net:
        net.names["away.example"] = [["192.0.2.1"]]
        result = surveyed("http://away.example")
    assert (result.reason, result.step) == (Reason.REFUSED, "tcp")  # so this internet answers


def test_a_plain_page(server: Scripted) -> None:
    url = elsewhere(server, "<title>Welcome to nginx!</title><h1>Welcome to nginx!</h1>", server_="nginx")
    result = surveyed(url)
    assert (result.reason, result.step) == (Reason.NOT_GRADIO, "gradio")
    assert "the welcome page of nginx" in result.why


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_broken_server(server: Scripted, status: int) -> None:
    assert surveyed(elsewhere(server, "<h1>Bad gateway</h1>", status)).reason is Reason.SERVER_ERROR


def test_too_many_requests(server: Scripted) -> None:
    assert surveyed(elsewhere(server, "slow down", 429)).reason is Reason.RATE_LIMITED


@pytest.mark.parametrize("status", [301, 302, 307])
def test_redirects_without_end(server: Scripted, status: int) -> None:
    result = surveyed(elsewhere(server, "", status, location="/config"))
    assert (result.reason, result.step) == (Reason.REDIRECTS, "redirects")
    assert "redirects endlessly" in result.why


def test_a_redirect_to_a_single_sign_on(server: Scripted) -> None:
    with internet() as net:
        net.names["app.example"] = [["198.51.100.1"]]
        net.hosts["198.51.100.1", 80] = server.server_port
        server.below["/"] = page("", 302, location="https://app.cloudflareaccess.com/login")
        result = surveyed("http://ann:secret@app.example")
    assert result.reason is Reason.LOGIN
    assert "Cloudflare Access" in result.advice
    assert result.source == "http://app.example"
    assert "secret" not in json.dumps(result.as_json())


def test_a_proxy_that_requires_basic_authentication(server: Scripted) -> None:
    server.below["/"] = page("no", 401, www_authenticate="Basic realm=x")
    assert surveyed(server.url).reason is Reason.LOGIN


def test_tls_on_a_port_without(server: Scripted) -> None:
    result = surveyed(server.url.replace("http:", "https:"))
    assert (result.reason, result.step) == (Reason.TLS, "tls")


def test_a_proxy_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "")
    assert surveyed("http://app.example").reason is Reason.REFUSED


@pytest.mark.parametrize("behaviour", ["hold", "reset", "cut"])
def test_a_server_that_sends_nothing(server: Scripted, behaviour: str) -> None:
    server.below["/"] = {
        "hold": lambda reply: reply.hold(),
        "reset": lambda reply: reply.reset(),
        "cut": lambda reply: reply.cut(),
    }[behaviour]
    began = time.monotonic()
    result = surveyed(server.url, timeout=1.0)
    assert (result.reason, result.step) == (Reason.NO_REPLY, "gradio")
    assert time.monotonic() - began < 8


def test_a_server_that_sends_a_byte_now_and_then(server: Scripted) -> None:
    def drip(reply: Reply) -> None:
        reply.stream("application/json")
        for _ in range(200):
            reply.chunk(b" ")
            if reply.server.released.wait(0.05):
                return

    server.scripts["/config"] = drip
    began = time.monotonic()
    assert surveyed(server.url, timeout=1.0).reason is Reason.NO_REPLY
    assert time.monotonic() - began < 8


def test_one_slow_redirect_after_the_other_ends_at_the_deadline(server: Scripted) -> None:
    numbers = itertools.count()

    def on(reply: Reply) -> None:
        reply.server.released.wait(0.3)
        reply.text("", 302, location=f"/{next(numbers)}/config")

    server.below["/"] = on
    began = time.monotonic()
    result = surveyed(server.url, timeout=1.0)
    assert result.reason is Reason.DEADLINE
    assert result.why.startswith("It was not examined within 1 s; the step was ")
    assert time.monotonic() - began < 8


def test_a_port_that_takes_connections_and_nothing_else() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = surveyed(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=1.0)
    assert result.reason is Reason.NO_REPLY


def test_a_config_that_is_too_large(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examining_module, "CONFIG_BYTES", 10_000)
    server.config = {**CONFIG, "more": "x" * 20_000}
    assert surveyed(server.url).reason is Reason.UNREADABLE


def test_a_protocol_that_no_adapter_speaks() -> None:
    queued = [one for one in CONFIG["dependencies"] if one["queue"]]
    with app(protocol="carrier_pigeon", dependencies=queued) as server:
        result = surveyed(server.url)
    assert (result.reason, result.step) == (Reason.NO_ADAPTER, "protocol")
    assert (result.gradio, result.protocol, result.adapters) == ("6.31.0", "carrier_pigeon", ())
    assert {one.adapter for one in result.endpoints} == {None}


def test_an_app_of_which_some_functions_can_be_called() -> None:
    with app(protocol="carrier_pigeon") as server:
        result = surveyed(server.url)
    assert (result.reason, result.adapters) == (Reason.ANSWERS, ("direct",))
    assert {one.name: one.adapter for one in result.endpoints}["/hello"] is None


def test_a_fault_of_ours_is_a_result(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Any:
        raise ZeroDivisionError("by us, at a secret")

    monkeypatch.setattr(examining_module, "examine_patient", fail)
    result = surveyed(server.url)
    assert (result.reason, result.why) == (Reason.UNEXPECTED, "ZeroDivisionError: by us, at a secret")
    assert surveyed(server.url.replace("//", "//ann:secret@")).why == "ZeroDivisionError"


# --- texts and sizes of servers ------------------------------------------------------------------------


def test_texts_of_a_server_are_bounded_and_steer_nothing() -> None:
    first = CONFIG["dependencies"][0]
    many = [{**first, "id": number, "api_name": f"\x1b[31m{number}" + "x" * 5000} for number in range(300)]
    with app(version="6.31.0\x1b[2J" + "9" * 5000, title="\u202e" * 5000, dependencies=many) as server:
        server.scripts["/gradio_api/info"] = page("{}", kind="application/json")
        result = surveyed(server.url)
    assert len(json.dumps(result.as_json())) < 20_000
    assert len(result.endpoints) <= MOST_ENDPOINTS


def test_no_damaged_discovery_ends_a_survey() -> None:
    """All faults of the kit that a server can have while its config is read, at once."""
    cells = select_faults(["sse_v3 | config | *"])
    with contextlib.ExitStack() as stack:
        urls = {stack.enter_context(serve_cell(cell)).url: cell.name for cell in cells}
        results = {urls[one.source]: one for one in survey(urls, timeout=1.2, at_once=64)}
    assert len(results) == len(cells) > 100
    assert not [name for name, one in results.items() if one.reason is Reason.UNEXPECTED]
    by_reason = {one.reason for one in results.values()}
    assert {Reason.ANSWERS, Reason.NOT_GRADIO, Reason.NO_REPLY, Reason.SERVER_ERROR} <= by_reason
    assert max(one.seconds for one in results.values()) < 20


# --- Spaces --------------------------------------------------------------------------------------------


@pytest.fixture
def hub(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with hub_of(server, monkeypatch) as hub:
        yield hub


def test_a_space_that_runs(hub: Hub, server: Scripted) -> None:
    result = surveyed("ann/app")
    assert (result.reason, result.stage, result.url) == (Reason.ANSWERS, "RUNNING", server.url)


@pytest.mark.parametrize("source", ["ann/app", "https://ann-app.hf.space", "http://ann-app.hf.space/?x=1"])
@pytest.mark.parametrize(("stage", "reason"), [("SLEEPING", Reason.SLEEPING), ("BUILDING", Reason.STARTING)])
def test_a_space_that_sleeps_is_not_woken(
    hub: Hub, server: Scripted, source: str, stage: str, reason: Reason
) -> None:
    hub.stage = stage
    result = surveyed(source)
    assert (result.reason, result.stage, result.step) == (reason, stage, "space")
    assert server.seen == []


@pytest.mark.parametrize("stage", ["PAUSED", "RUNTIME_ERROR", "NO_APP_FILE"])
def test_a_space_that_does_not_run(hub: Hub, stage: str) -> None:
    hub.stage = stage
    assert surveyed("ann/app").reason is Reason.NOT_RUNNING


def test_a_space_that_is_not_shown(hub: Hub) -> None:
    hub.is_private = True
    assert surveyed("ann/app").reason is Reason.NO_SPACE
    assert surveyed("ann/none").reason is Reason.NO_SPACE


@pytest.mark.parametrize("source", ["ann/app", "https://ann-app.hf.space"])
@pytest.mark.parametrize(("status", "reason"), [(429, Reason.RATE_LIMITED), (500, Reason.HUB)])
def test_a_hub_that_refuses(hub: Hub, server: Scripted, source: str, status: int, reason: Reason) -> None:
    hub.server.below["/api/spaces/"] = page("{}", status, "application/json")
    assert surveyed(source).reason is reason
    assert server.seen == []


def test_no_token_is_sent(hub: Hub, server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_saved")
    monkeypatch.setenv("HF_TOKEN", "hf_saved")
    assert surveyed("ann/app").answers
    sent = [headers for one in (hub.server, server) for _, headers in one.asked]
    assert sent
    assert not re.search("hf_saved|authorization", json.dumps(sent))


# --- words ---------------------------------------------------------------------------------------------


def test_the_words_stay_as_they_are() -> None:
    assert [reason.value for reason in Reason] == [
        "answers", "login", "sleeping", "starting", "not-running", "no-such-space", "hub", "rate-limited",
        "unknown-host", "refused", "unreachable", "proxy", "tls", "redirects", "no-reply", "server-error",
        "not-gradio", "unreadable", "no-adapter", "deadline", "not-a-source", "unexpected",
    ]  # fmt: skip


def test_the_page_of_the_documentation_has_each_word_and_whether_it_may_pass() -> None:
    text = (Path(__file__).parents[2] / "docs" / "surveys.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z-]+)` \| .* \| (yes )?\|$", text, re.MULTILINE)
    assert {word: bool(passing) for word, passing in rows} == {one.value: one.is_passing for one in Reason}


def test_servers_that_hold_a_survey_hold_it_for_the_time_of_one_app() -> None:
    with scripted() as silent, app() as good:
        silent.below["/"] = lambda reply: reply.hold()
        began = time.monotonic()
        sources = [*(f"{silent.url}/{number}" for number in range(15)), good.url]
        found = {result.source: result.reason for result in survey(sources, timeout=2)}
    assert time.monotonic() - began < 15
    assert found.pop(good.url) is Reason.ANSWERS
    assert set(found.values()) == {Reason.NO_REPLY}
    assert threading.active_count() < 60
