# SPDX-License-Identifier: Apache-2.0
"""Streams and websockets, through proxies that have an illness."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from examined import examined, results, text
from heartbeats import app, beat_each
from middle import middle
from scripted import CONFIG, Reply

from gradio_transport.doctor import streams
from gradio_transport.doctor.report import Result
from gradio_transport.errors import StreamLost

OLD = {"version": "3.50.2", "protocol": None, "api_prefix": "", "enable_queue": True}


def test_a_stream_that_is_passed_on() -> None:
    with app() as server:
        report = examined(server.url, until="compression")

    assert "it is not held back" in text(report.step("stream"))
    assert "A stream stayed open for 0.3 s, with 1 heartbeat." in text(report.step("hold"))
    assert "not compressed" in text(report.step("compression"))


def test_nothing_joins_the_queue_and_nothing_is_called() -> None:
    with app() as server:
        examined(server.url)
        posted = {path for path, body in server.seen if body is not None}
        asked = {path.rpartition("/")[0] for path, body in server.seen if body is None}

    assert posted == {"/config"}  # too large a body, to a route that takes none
    assert asked == {"", "/gradio_api", "/gradio_api/heartbeat"}


def test_a_proxy_that_buffers() -> None:
    with app() as server, middle(server.url, buffers=True) as proxy:
        report = examined(proxy.url, until="hold")

    step = report.step("stream")
    assert step.result is Result.WARNING
    assert "The head of the reply did not come within 0.6 s" in text(step)
    assert "proxy_buffering off" in text(step)
    assert report.step("hold").result is Result.SKIPPED


def test_a_head_without_a_body() -> None:
    def head(reply: Reply) -> None:
        reply.stream()
        reply.hold()

    with app() as server:
        server.below["/gradio_api/heartbeat/"] = head
        step = examined(server.url, until="stream").step("stream")

    assert step.result is Result.WARNING
    assert "No byte of the stream came within 0.6 s" in text(step)


def test_a_proxy_that_passes_on_the_first_piece_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(streams, "SLACK_SECONDS", 0.05)
    with app() as server, middle(server.url) as proxy:
        server.below["/gradio_api/heartbeat/"] = beat_each(0.2)
        healthy = examined(proxy.url, hold=0.7)
        proxy.first_only = True
        sick = examined(proxy.url, hold=0.7)

    assert results(healthy) == {}
    step = sick.step("hold")
    assert step.result is Result.WARNING
    assert "In 0.7 s 1 heartbeat arrived, but the server sends 4: a proxy holds the rest back." in text(step)
    assert "proxy_buffering off" in text(step)


def test_a_proxy_that_cuts_silent_streams() -> None:
    with app() as server, middle(server.url, cut_after=0.5) as proxy:
        report = examined(proxy.url, hold=2.0)

    step = report.step("hold")
    assert step.result is Result.FAILURE
    assert "The stream was ended after 0.5 s" in text(step)
    assert "proxy_read_timeout" in text(step)
    assert isinstance(report.error, StreamLost)


def test_a_proxy_that_limits_the_whole_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.2)
    with app() as server, middle(server.url, cut_after=0.7) as proxy:
        server.below["/gradio_api/heartbeat/"] = beat_each(0.01)
        monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.01)
        step = examined(proxy.url, hold=2.0, until="hold").step("hold")

    assert step.result is Result.WARNING
    assert "A proxy limits the total time of a request" in text(step)
    assert "attach='late'" in text(step)


def test_a_proxy_that_compresses() -> None:
    with app() as server, middle(server.url, gzip=True) as proxy:
        step = examined(proxy.url, until="compression").step("compression")

    assert step.result is Result.WARNING
    assert "The stream is compressed (gzip), although Gradio does not compress streams." in text(step)


def test_streams_of_another_type() -> None:
    def plain(reply: Reply) -> None:
        reply.stream("text/plain")
        reply.chunk(b"data: ALIVE\n\n")
        reply.hold()

    with app() as server:
        server.below["/gradio_api/heartbeat/"] = plain
        server.scripts["/gradio_api/queue/data"] = unknown
        step = examined(server.url, until="stream").step("stream")

    assert step.result is Result.WARNING
    assert "got text/plain, not an event stream" in text(step)


def test_a_stream_of_more_than_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_CHUNKS", 20)
    with app() as server:
        server.below["/gradio_api/heartbeat/"] = beat_each(0.001)
        step = examined(server.url, hold=3.0, until="hold").step("hold")

    assert step.result is Result.WARNING
    assert "sends data that no Gradio sends" in text(step)


def unknown(reply: Reply) -> None:
    """Say that the session is not known, and break off."""
    reply.stream()
    reply.send({"msg": "unexpected_error", "message": "404", "success": False})
    reply.cut()


def test_a_heartbeat_that_is_refused() -> None:
    with app() as server:
        server.below["/gradio_api/heartbeat/"] = lambda reply: reply.json({"detail": "Not Found"}, 404)
        server.scripts["/gradio_api/queue/data"] = unknown
        step = examined(server.url, until="stream").step("stream")

    assert step.result is Result.WARNING
    assert "The heartbeat of a session got HTTP 404. Other streams work." in text(step)
    assert "The server has no such route." in text(step)


def test_a_heartbeat_that_a_proxy_refuses() -> None:
    with app() as server:
        server.below["/gradio_api/heartbeat/"] = lambda reply: reply.text("<!doctype html><p>no", 404)
        server.scripts["/gradio_api/queue/data"] = unknown
        step = examined(server.url).step("stream")

    assert "A proxy forwards only some paths." in text(step)


def test_streams_that_are_refused() -> None:
    with app() as server:
        for path in ("/gradio_api/heartbeat/", "/gradio_api/queue/"):
            server.below[path] = lambda reply: reply.text("no", 404)
        report = examined(server.url, until="stream")

    step = report.step("stream")
    assert step.result is Result.FAILURE
    assert "A proxy forwards only some paths." in text(step)


def test_the_stream_of_a_version_without_heartbeats() -> None:
    with app(version="4.20.0", api_prefix="") as server:
        server.scripts["/queue/data"] = unknown
        report = examined(server.url, until="hold")

    step = report.step("stream")
    assert step.result is Result.OK
    assert "buffering is not visible. Add --call." in text(step)
    assert report.step("hold").result is Result.SKIPPED


def test_a_version_whose_streams_are_calls() -> None:
    with app(version="4.5.0", protocol="sse", api_prefix="") as server:
        step = examined(server.url, until="stream").step("stream")
        assert not any("queue" in path for path, _ in server.seen)

    assert step.result is Result.SKIPPED
    assert "every stream is a call" in text(step)


# --- websockets ------------------------------------------------------------------------------------------


def speaks_first(reply: Reply) -> None:
    """Accept a websocket, and send the first message of 3.6 and later."""
    key = reply.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    handler: Any = reply._handler
    message = b'{"msg": "send_hash"}'
    handler.wfile.write(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: " + accept.encode() + b"\r\n\r\n"
    )
    handler.wfile.write(bytes([0x81, len(message)]) + message)
    reply.hold()


def accepts_alone(reply: Reply) -> None:
    key = reply.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
    handler: Any = reply._handler
    handler.wfile.write(
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        b"sec-websocket-accept: " + accept.encode() + b"\r\n\r\n"
    )
    reply.hold()


def test_a_websocket_that_opens() -> None:
    with app(**OLD) as server:
        server.scripts["/queue/join"] = speaks_first
        report = examined(server.url, until="websocket")

    step = report.step("websocket")
    assert step.result is Result.OK, text(step)
    assert "the first message arrived after" in text(step)
    assert report.step("stream").result is Result.SKIPPED


@pytest.mark.parametrize("status", [200, 400, 404, 426, 502])
def test_a_proxy_that_refuses_the_upgrade(status: int) -> None:
    with app(**OLD) as server:
        server.scripts["/queue/join"] = lambda reply: reply.text("<h1>no</h1>", status)
        report = examined(server.url, until="websocket")

    step = report.step("websocket")
    assert step.result is Result.FAILURE
    assert "proxy_set_header Upgrade $http_upgrade" in text(step)


def test_a_websocket_that_wants_a_login() -> None:
    with app(**OLD) as server:
        server.scripts["/queue/join"] = lambda reply: reply.text("", 403)
        step = examined(server.url, until="websocket").step("websocket")

    assert "pass --auth" in text(step)


def test_a_websocket_on_which_nothing_comes() -> None:
    with app(**OLD) as server:
        server.scripts["/queue/join"] = accepts_alone
        step = examined(server.url, until="websocket").step("websocket")

    assert step.result is Result.FAILURE
    assert "no message arrives within 0.6 s" in text(step)


def test_a_version_whose_websockets_join_the_queue() -> None:
    with app(**{**OLD, "version": "3.4.1"}) as server:
        step = examined(server.url, until="websocket").step("websocket")
        assert not any("queue" in path for path, _ in server.seen)

    assert step.result is Result.SKIPPED
    assert "joins the queue" in text(step)


def test_an_app_whose_queue_is_off() -> None:
    dependencies = [{**one, "queue": False} for one in CONFIG["dependencies"]]
    with app(**{**OLD, "dependencies": dependencies}) as server:
        assert "is off" in text(examined(server.url, until="websocket").step("websocket"))
