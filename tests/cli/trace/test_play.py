# SPDX-License-Identifier: Apache-2.0
"""``gradio-transport trace play``: recordings served to clients, from the command line."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

import gradio_transport as gt
from gradio_transport.cli.app import commands
from gradio_transport.protocol.commands import Ending
from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace import Trace, read_trace
from gradio_transport_conformance.own_traces import serve_own_trace
from gradio_transport_conformance.replay.server import serve
from gradio_transport_conformance.traces import shipped_trace

COMMAND = (sys.executable, "-m", "gradio_transport", "trace", "play")


@contextlib.contextmanager
def playing(
    name: str, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the command, and wait for the URL that it prints."""
    process = subprocess.Popen(
        [*COMMAND, str(shipped_trace(name)), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate(timeout=20)


def end(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Interrupt the command as Ctrl-C does; return its status and what it said."""
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=20)
    return process.returncode, said


@pytest.mark.parametrize("name", ["2.9.4/hello", "3.50.2/hello", "4.8.0/hello", "6.31.0/hello"])
def test_a_client_is_served_and_ctrl_c_ends_it(name: str) -> None:
    with playing(name, "--speed", "0", "--strict") as (url, process):
        with gt.connect(url) as app:
            endpoint = app.config.documented[0] if name.startswith("2") else app.config.endpoint("/hello")
            assert app.call(endpoint.name or 0, "Ada") == ["Hello, Ada!"]
        status, said = end(process)
    assert status == 130
    assert " 200 GET /config\n" in said
    assert "Ctrl-C ends it." in said


def test_the_port_can_be_chosen_and_one_in_use_is_an_error() -> None:
    for name in ("6.31.0/hello", "3.50.2/hello"):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            result = CliRunner().invoke(
                commands, ["trace", "play", str(shipped_trace(name)), "--port", str(port)]
            )
        assert result.exit_code == 2
        assert f"Port {port} cannot be used" in result.stderr
        with playing(name, "--port", str(port)) as (url, _):
            assert url.removesuffix("/").endswith(f":{port}")


def test_strict_says_what_was_expected_and_what_came() -> None:
    with playing("6.31.0/hello", "--speed", "0", "--strict") as (url, process):
        with gt.connect(url) as app, pytest.raises(gt.ServerRefused, match="was not recorded here"):
            app.call("/hello", "Grace")
        _, said = end(process)
    assert " 500 POST /gradio_api/queue/join\n" in said
    assert '"data":["Grace"]' in said
    assert 'Expected: POST /gradio_api/queue/join {"data":["Ada"]' in said


def test_strict_closes_a_websocket() -> None:
    with playing("3.50.2/hello", "--speed", "0", "--strict") as (url, process):
        with gt.connect(url) as app, pytest.raises(gt.StreamLost, match="1008"):
            app.call("/hello", "Grace")
        _, said = end(process)
    assert " 101 WS /queue/join\n" in said
    assert "Grace" in said
    assert "Expected: " in said
    assert "Ada" in said


def test_without_strict_the_most_similar_reply_is_given() -> None:
    with playing("6.31.0/hello", "--speed", "0") as (url, _), gt.connect(url) as app:
        assert app.call("/hello", "Grace") == ["Hello, Ada!"]


def test_the_recorded_pace_is_kept_unless_told_otherwise() -> None:
    took: dict[str, float] = {}
    for speed in ("1", "0"):
        with playing("6.31.0/slow", "--speed", speed) as (url, _), gt.connect(url) as app:
            began = time.monotonic()
            app.call("/slow", 1.2)
            took[speed] = time.monotonic() - began
    assert took["1"] > 1.0
    assert took["0"] < took["1"]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "gradio_transport_conformance.replay.websockets", raising=False)
    monkeypatch.setitem(sys.modules, "simple_websocket", None)
    result = CliRunner().invoke(commands, ["trace", "play", str(shipped_trace("3.50.2/hello"))])
    assert result.exit_code == 2
    assert "The trace has websockets, for which simple_websocket is missing." in result.stderr
    assert "gradio-transport[conformance]" in result.stderr


def test_a_trace_without_requests_is_refused(tmp_path: object) -> None:
    text = '{"kind":"meta","format":"gradio-transport-trace","version":1}\n'
    result = CliRunner().invoke(commands, ["trace", "play", "-"], input=text)
    assert result.exit_code == 2
    assert "standard input has no requests" in result.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_is_served() -> None:
    with playing("6.31.0/call_hello", "--speed", "0") as (url, _):
        command = [
            "curl",
            "-sS",
            "-m",
            "20",
            "-X",
            "POST",
            f"{url}/gradio_api/call/hello",
            "-d",
            '{"data":["Ada"]}',
        ]
        found = subprocess.run(command, capture_output=True, timeout=30, check=True)
        event = json.loads(found.stdout)["event_id"]
        # Not to its end: the recorded client closed the stream, so the server waits for this one to do so.
        with urllib.request.urlopen(f"{url}/gradio_api/call/hello/{event}", timeout=20) as reply:
            assert [reply.readline() for _ in range(2)] == [b"event: complete\n", b'data: ["Hello, Ada!"]\n']


def test_messages_are_served_in_any_order_and_as_often_as_they_are_asked_for() -> None:
    with playing("6.31.0/count", "--serve", "messages") as (url, process):
        with gt.connect(url) as app:
            first, second = app.submit("/count", 3), app.submit("/count", 3)
            assert first.result() == second.result() == ["0 1 2"]
        with gt.connect(url, protocol="call") as app:
            assert app.call("/count", 3) == ["0 1 2"]
            with pytest.raises(gt.ServerRefused, match="Off tape"):
                app.call("/count", 4)
        _, said = end(process)
    assert "Gradio 6.31.0, recorded in " in said
    assert "501 not recorded: the client calls /count by /call with [4]" in said


def test_what_the_client_does_wrong_is_said_at_the_end() -> None:
    with playing("6.31.0/hello", "--serve", "messages") as (url, process):
        for path in ("/config", "/not/there"):
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(f"{url}{path}").close()
        _, said = end(process)
    assert "the client requests GET /not/there, which this version does not have" in said


def without(text: str, part: str) -> str:
    """Return a trace without the lines that contain a text."""
    return "".join(line for line in text.splitlines(keepends=True) if part not in line)


@pytest.mark.parametrize(
    ("make", "missing"),
    [
        (lambda text: without(text, '"gradio"').replace("6.31.0", "?"), "does not contain the Gradio version"),
        (lambda text: without(text, "/config"), "has no reply to /config"),
        (lambda text: text.replace("dependencies", "dependants").replace('"components\\":[', '"components\\":[1,'),
         "has a config or messages that no Gradio version sends"),
    ],
)  # fmt: skip
def test_a_trace_whose_messages_cannot_be_served_says_what_is_missing(make, missing: str) -> None:
    text = make((Path(__file__).parents[3] / "docs" / "debugging" / "raises.jsonl").read_text("utf-8"))
    result = CliRunner().invoke(commands, ["trace", "play", "-", "--serve", "messages"], input=text)
    assert result.exit_code == 2
    assert missing in result.stderr
    assert "Use --serve bytes" in result.stderr


def test_the_messages_of_an_app_with_a_login_are_not_served() -> None:
    path = str(shipped_trace("6.31.0/login"))
    result = CliRunner().invoke(commands, ["trace", "play", path, "--serve", "messages"])
    assert result.exit_code == 2
    assert "is of an app that requires a login" in result.stderr


@pytest.mark.parametrize("option", [["--strict"], ["--speed", "2"]])
def test_options_of_bytes_are_refused_with_messages(option: list[str]) -> None:
    path = str(shipped_trace("6.31.0/hello"))
    result = CliRunner().invoke(commands, ["trace", "play", path, "--serve", "messages", *option])
    assert result.exit_code == 2
    assert f"{option[0]} is for --serve bytes" in result.stderr


def test_the_address_of_a_proxy_that_recorded_is_replaced_in_messages() -> None:
    trace = read_trace(shipped_trace("6.31.0/file_out"))
    base = next(str(frame.payload["source"]) for frame in trace.frames if frame.kind is Kind.SESSION)
    shown = "http://proxy.invalid:9"

    def moved(value: object) -> object:
        if isinstance(value, bytes):
            return value.replace(base.encode(), shown.encode())
        return value

    frames = [
        attrs.evolve(frame, payload={name: moved(value) for name, value in frame.payload.items()})
        for frame in trace.frames
    ]
    with serve_own_trace(Trace(trace.meta, tuple(frames))) as served, gt.connect(served.url) as app:
        (file,) = app.call("/file_out", "some text")
        assert file.url.startswith(served.url)
        assert file.read() == b"some text"


def broken_after_a_yield(trace: Trace) -> Trace:
    """Return a trace whose connection breaks after the first output of its call."""
    frames: list[Frame] = []
    for frame in trace.frames:
        frames.append(frame)
        said = frame.payload.get("text") or frame.payload.get("data") or ""
        if (frame.session and "process_generating" in str(said)) or "event: generating" in str(said):
            break
    payload = {"ending": Ending.RESET.value, "code": None, "reason": "it broke"}
    last = attrs.evolve(frames[-1], direction=Direction.IN, kind=Kind.END, payload=payload)
    return Trace(trace.meta, (*frames, last))


@pytest.mark.parametrize("host", [serve, serve_own_trace])
@pytest.mark.parametrize("name", ["3.50.2/count", "4.0.2/count", "6.31.0/count", "6.31.0/call_count"])
def test_a_connection_that_broke_breaks_again(name: str, host) -> None:
    protocol = "call" if "/call_" in name else "auto"
    trace = broken_after_a_yield(read_trace(shipped_trace(name)))
    options = gt.CallOptions(timeouts=gt.Timeouts(total=20))
    with host(trace) as served, gt.connect(served.url, protocol=protocol) as app:
        for _ in range(2):
            call = app.submit("/count", 3, options=options)
            with pytest.raises(gt.StreamLost) as caught:
                call.result()
            assert "close code" not in str(caught.value)
            assert any(isinstance(event, gt.ProcessGenerating) for event in call)
