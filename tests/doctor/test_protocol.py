# SPDX-License-Identifier: Apache-2.0
"""Version, adapter, and where the app believes to be."""

from __future__ import annotations

import pytest
from chat_server import TOKEN, chat_server
from examined import examined, results, text
from heartbeats import app
from middle import middle
from scripted import CONFIG

from gradio_transport.doctor.protocol import has_unload
from gradio_transport.doctor.report import Result
from gradio_transport.engines.settings import HTTPSettings
from gradio_transport.errors import UnsupportedProtocol
from gradio_transport_conformance.faults.certificates import server_context


def test_the_adapter_and_why() -> None:
    with app() as server:
        step = examined(server.url, until="protocol").step("protocol")

    assert "Gradio 6.31.0 names the protocol sse_v3." in text(step)
    assert "4 endpoints by the adapter sse_v3: the server says protocol 'sse_v3'." in text(step)
    assert "1 endpoint by the adapter direct" in text(step)


def test_a_protocol_of_the_future() -> None:
    dependencies = [one for one in CONFIG["dependencies"] if one["queue"]]
    with app(version="9.0.0", protocol="sse_v9", dependencies=dependencies) as server:
        report = examined(server.url, protocol=["sse_v1", "sse_v2"])

    step = report.step("protocol")
    assert step.result is Result.FAILURE
    assert "No adapter can call" in text(step)
    assert isinstance(report.error, UnsupportedProtocol)


def test_a_description_that_cannot_be_read() -> None:
    with app() as server:
        server.scripts["/gradio_api/info"] = lambda reply: reply.text("no", 500)
        report = examined(server.url, until="protocol")

    step = report.step("protocol")
    assert step.result is Result.WARNING
    assert "/gradio_api/info answered HTTP 500" in text(step)


def test_an_app_without_functions() -> None:
    with app(dependencies=[]) as server:
        step = examined(server.url, until="protocol").step("protocol")

    assert step.result is Result.WARNING
    assert "no function that you can call" in text(step)


def test_an_app_that_knows_its_address() -> None:
    with app() as server:
        server.config["root"] = server.url
        assert "The app's own URL (root) is the one you gave." in text(
            examined(server.url, until="root").step("root")
        )


def test_another_host() -> None:
    with app(root="http://app:7860") as server:
        report = examined(server.url)

    step = report.step("root")
    assert step.result is Result.WARNING
    assert f"own URL (root) is http://app:7860; you reached it at {server.url}." in text(step)
    assert "proxy_set_header Host $http_host" in text(step)
    assert results(report) == {"root": "warning"}


def test_plain_http_behind_https() -> None:
    with app() as server:
        server.config["root"] = server.url
        server.socket = server_context("proper").wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        step = examined(
            server.url.replace("http", "https"), http=HTTPSettings(verify=False), until="root"
        ).step("root")

    assert step.result is Result.WARNING
    assert "X-Forwarded-Proto: https" in text(step)
    assert "Host" not in text(step).replace("hosts", "")


def test_a_path_that_the_app_does_not_know() -> None:
    with app() as server, middle(server.url, prefix="/app") as proxy:
        server.config["root"] = proxy.url
        step = examined(f"{proxy.url}/app", until="root").step("root")

    assert step.result is Result.WARNING
    assert "start it with root_path='/app', or set GRADIO_ROOT_PATH=/app" in text(step)


def test_a_path_that_the_address_does_not_have() -> None:
    with app() as server:
        server.config["root"] = f"{server.url}/app"
        step = examined(server.url, until="root").step("root")

    assert "The app has a root_path that the address lacks" in text(step)


@pytest.mark.parametrize(
    ("root", "result"), [("/app", Result.OK), ("/other", Result.WARNING), ("", Result.OK)]
)
def test_a_root_that_is_a_path(root: str, result: Result) -> None:
    with app(root=root) as server, middle(server.url, prefix="/app") as proxy:
        assert examined(f"{proxy.url}/app", until="root").step("root").result is result


def test_a_function_at_the_end_of_a_session_is_not_run() -> None:
    dependencies = [
        *CONFIG["dependencies"],
        {"id": 9, "inputs": [], "outputs": [], "targets": [[1, "unload"]]},
    ]
    with app(dependencies=dependencies) as server:
        step = examined(server.url, until="stream").step("stream")
        seen = [path for path, _ in server.seen]

    assert step.result is Result.SKIPPED
    assert "The app runs a function when a session ends" in text(step)
    assert not any("heartbeat" in path or "queue" in path for path in seen)
    assert has_unload.__doc__


def test_a_chat_endpoint_that_was_asked_for() -> None:
    with chat_server() as server:
        report = examined(
            f"{server.url}/v1", protocol="openai_chat", token=TOKEN, settings={"model": "parrot"}
        )

    assert report.result is Result.OK, results(report)
    assert "you asked for the adapter openai_chat" in text(report.step("protocol"))
    for name in ("stream", "websocket", "replicas", "upload"):
        assert report.step(name).result is Result.SKIPPED
