# SPDX-License-Identifier: Apache-2.0
"""Interpreters that end, are interrupted, or are patched by gevent: each test is a script of its own."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from scripted import CONFIG, Reply, Scripted, scripted

JOIN, DATA, RUN = "/gradio_api/queue/join", "/gradio_api/queue/data", "/gradio_api/run/direct"
FILE = "/gradio_api/file=/slow"
EXIT_SECONDS = 2.0

BEGIN = """
import sys
import gradio_transport as gt
app = gt.connect(sys.argv[1])
"""


@pytest.fixture
def server() -> Iterator[Scripted]:
    files = [{"id": 1, "type": "textbox", "props": {}}, {"id": 2, "type": "file", "props": {}}]
    with scripted() as running:
        default = running.default
        running.default = lambda path: (  # type: ignore[method-assign]
            streaming if path.startswith("/gradio_api/heartbeat/") else default(path)
        )
        running.scripts["/config"] = lambda reply: reply.json(
            {**CONFIG, "components": files, "connect_heartbeat": True}
        )
        yield running


def streaming(reply: Reply) -> None:
    reply.stream()
    reply.hold()


def play(server: Scripted, script: str, *, interrupt: bool = False) -> tuple[int, str]:
    """Run a script that says when it is ready to end; return its status and what it said on stderr."""
    command = [sys.executable, "-c", BEGIN + script, server.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line == "ready\n", process.communicate(timeout=5)
            if interrupt:
                time.sleep(0.2)  # it says so just before it waits
                process.send_signal(signal.SIGINT)
            began = time.monotonic()
            _, said = process.communicate(timeout=15)
            assert time.monotonic() - began < EXIT_SECONDS, said
        finally:
            process.kill()
    return process.returncode, said


def test_the_interpreter_ends_at_once_with_everything_open(server: Scripted) -> None:
    """A stream, a heartbeat, a submit that no reply comes for, and one that waits for a thread."""
    server.scripts[RUN] = Reply.hold
    script = """
calls = [app.submit(name, "x") for name in ("/forever", "/direct", "/direct")]
next(iter(calls[0]))
print("ready", flush=True)
"""
    assert play(server, script) == (0, "")


def test_the_interpreter_warns_where_that_is_wanted(server: Scripted) -> None:
    script = """
import warnings
warnings.simplefilter("always", ResourceWarning)
call = app.submit("/forever", "x")
next(iter(call))
print("ready", flush=True)
del app
"""
    status, said = play(server, script)
    assert status == 0
    assert "ResourceWarning: <Transport" in said
    assert "Traceback" not in said
    assert "unclosed" not in said


INTERRUPTED = {
    "a direct call": 'app.call("/direct", "x")',
    "a call": 'app.call("/forever", "x")',
    "an iteration": 'list(app.submit("/forever", "x"))',
    "a result": 'app.submit("/forever", "x").result()',
    "a join": 'app.submit("/hello", "x")',
    "a download": "file.read()",
}


@pytest.mark.parametrize("way", ["in a block", "left open"])
@pytest.mark.parametrize("what", INTERRUPTED)
def test_ctrl_c_ends_the_wait_and_the_interpreter(server: Scripted, what: str, way: str) -> None:
    found = {"path": "/slow", "url": f"{server.url}{FILE}", "meta": {"_type": "gradio.FileData"}}
    answers = iter([lambda reply: reply.json({"data": [found]})])
    server.scripts |= {RUN: lambda reply: next(answers, Reply.hold)(reply), FILE: streaming}
    if what == "a join":
        server.scripts[JOIN] = Reply.hold
    begin = '[file] = app.call("/direct", "x")\n'
    if way == "in a block":
        script = f'with app:\n    {begin}    print("ready", flush=True)\n    {INTERRUPTED[what]}\n'
    else:
        script = f'{begin}print("ready", flush=True)\n{INTERRUPTED[what]}\n'
    status, said = play(server, script, interrupt=True)
    assert status == -signal.SIGINT
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert "Exception" not in said
    if what == "a call":
        assert "/gradio_api/cancel" in [path for path, _ in server.seen]


@pytest.mark.skipif(importlib.util.find_spec("gevent") is None, reason="gevent is not installed")
def test_it_works_where_gevent_has_patched_everything(server: Scripted) -> None:
    script = """
from gevent import monkey
monkey.patch_all()
import sys, gevent
import gradio_transport as gt
with gt.connect(sys.argv[1]) as app:
    ticks = []
    def tick():
        while True:
            ticks.append(1)
            gevent.sleep(0.001)
    ticker = gevent.spawn(tick)
    works = [gevent.spawn(app.call, name, str(number)) for number in range(50) for name in ("/hello", "/count")]
    gevent.joinall(works, timeout=10, raise_error=True)
    assert [work.value for work in works[::2]] == [[f"Hello, {number}!"] for number in range(50)]
    assert app.submit("/direct", "x").result(5) == ["x"]
    silent = app.submit("/forever", "x")
    try:
        silent.result(timeout=0.2)
    except gt.TimeoutExpired:
        silent.cancel()
    ticker.kill()
    assert len(ticks) > 10
print("well")
"""
    server.scripts.clear()
    command = [sys.executable, "-c", script, server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("well\n", "")
