# SPDX-License-Identifier: Apache-2.0
"""A child of ``os.fork`` uses nothing of its parent's, and disturbs nothing: each test forks a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from scripted import Reply, Scripted, completed, scripted

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"

BEGIN = """
import faulthandler, gc, os, sys, threading, time, warnings
import gradio_transport as gt

def in_child(work):
    pid = os.fork()
    if pid == 0:
        status = 9
        faulthandler.dump_traceback_later(6)
        try:
            work()
            status = 0
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(status)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            return
        time.sleep(0.01)
    os.kill(pid, 9)
    sys.exit("the child hangs")

url = sys.argv[1]
"""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def play(server: Scripted, script: str) -> None:
    command = [sys.executable, "-W", "error", "-c", BEGIN + script, server.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.stderr == ""
    assert done.returncode == 0


def slowly(server: Scripted) -> threading.Event:
    """Let the first call wait for the event that is returned; serve those that come later as always."""
    go = threading.Event()

    def data(reply: Reply) -> None:
        del server.scripts[DATA]
        reply.stream()
        reply.send({"msg": "process_starts", "event_id": "event1"})
        go.wait(20)
        reply.send({**completed("parent"), "event_id": "event1"}, {"msg": "close_stream"})
        reply.end()

    server.scripts = {
        DATA: data,
        "/go": lambda reply: (go.set(), reply.json({})),
    }
    return go


def test_a_child_opens_connections_and_sessions_of_its_own(server: Scripted) -> None:
    play(
        server,
        """
app = gt.connect(url)
session = app.session()
assert app.call("/hello", "parent") == ["Hello, parent!"]
assert session.call("/direct", "parent") == ["parent"]
hashes = app.session_hash, session.session_hash

def child():
    assert (app.session_hash, session.session_hash) != hashes
    assert app.session_hash not in hashes and session.session_hash not in hashes
    assert app.call("/hello", "child") == ["Hello, child!"]
    assert session.call("/direct", "child") == ["child"]
    app.close()

in_child(child)
in_child(child)
assert (app.session_hash, session.session_hash) == hashes
assert app.call("/hello", "again") == ["Hello, again!"]
app.close()
""",
    )


@pytest.mark.parametrize(
    "end", ["app.close()", "", "call.cancel()", "app.reset()", "del app, call; gc.collect()"]
)
def test_a_child_leaves_the_calls_of_its_parent_alone(server: Scripted, end: str) -> None:
    slowly(server)
    play(
        server,
        f"""
app = gt.connect(url)
call = app.submit("/forever", "x")
events = iter(call)
while not isinstance(next(events), gt.events.ProcessStarts):
    pass

def child():
    global app, call
    try:
        call.result(5)
    except gt.errors.LocalProtocolError as error:
        assert "forked" in str(error)
    else:
        raise AssertionError
    warnings.simplefilter("ignore", ResourceWarning)
    {end}

in_child(child)
import urllib.request
urllib.request.urlopen(url + "/go").close()
assert call.result(5) == ["parent"]
app.close()
""",
    )
    assert "/gradio_api/cancel" not in [path for path, _ in server.seen]


def test_a_fork_in_the_midst_of_a_hundred_calls_hangs_nobody(server: Scripted) -> None:
    """Some thread then always holds some lock."""
    play(
        server,
        """
app = gt.connect(url)
# A fork while some thread imports a module leaves that module locked in the child, whoever does it.
app.call("/hello", "x"), app.submit("/direct", "x").result(5)
stop = threading.Event()
wrong = []

def use():
    while not stop.is_set():
        try:
            assert app.call("/hello", "x") == ["Hello, x!"]
            assert app.submit("/direct", "x").result(5) == ["x"]
        except BaseException as error:
            wrong.append(error)
            return

threads = [threading.Thread(target=use, daemon=True) for _ in range(8)]
for thread in threads:
    thread.start()

def child():
    assert app.call("/hello", "child") == ["Hello, child!"]
    assert app.submit("/direct", "child").result(5) == ["child"]
    app.close()

for _ in range(8):
    in_child(child)
stop.set()
for thread in threads:
    thread.join(5)
assert wrong == [], wrong
app.close()
""",
    )


def test_multiprocessing_by_fork_works(server: Scripted) -> None:
    play(
        server,
        """
import multiprocessing
app = gt.connect(url)
app.call("/hello", "x")

def work(number):
    return app.call("/hello", str(number))[0]

with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(work, range(6)) == [f"Hello, {number}!" for number in range(6)]
assert app.call("/hello", "x") == ["Hello, x!"]
app.close()
""",
    )
