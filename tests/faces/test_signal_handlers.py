# SPDX-License-Identifier: Apache-2.0
"""Signal handlers that use the transport or raise, as often as possible; and calls while the interpreter ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from scripted import Reply, Scripted, scripted

import gradio_transport as gt

SECONDS = 120
"""The program runs for a few, on a busy machine for many; a deadlock would last for ever."""

BEGIN = """
import itertools, signal, sys, threading
import gradio_transport as gt
app = gt.connect(sys.argv[1], timeouts=gt.Timeouts(first_message=20))
app.call("/hello", "warm")
ticks, calls, errors = itertools.count(), [], []
def keep(error):
    errors.append(f"{type(error).__name__}: {error}".splitlines()[0])
def work():
    for number in range(25):
        assert app.call("/hello", number) == [f"Hello, {number}!"]
        assert app.call("/direct", "x") == ["x"]
        call = app.submit("/count", "x")
        assert [type(event).__name__ for event in call][-1] == "ProcessCompleted"
        app.submit("/forever", "x").cancel()
        with app.session() as session:
            session.submit("/hello", "y").result()
def every(seconds, handle):
    def handler(number, frame):
        try:
            handle(number, frame)
        finally:
            # Only now, or handlers leave the program no time on a machine where one takes as long as the pause.
            signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
"""
END = """
signal.signal(signal.SIGALRM, signal.SIG_IGN)
print(next(ticks) > 20, flush=True)
for error in errors: print(error, flush=True)
app.close()
print("closed", flush=True)
"""

USES = """
def handler(number, frame):
    tick = next(ticks)
    if tick % 4 == 0:
        calls.append(app.submit("/hello", "tick"))
    elif tick % 4 == 1 and calls:
        calls.pop().cancel()
    elif tick % 4 == 2:
        session = app.session()
        session.submit("/direct", "tick")
        session.close()
    else:
        calls.append(app.submit("/count", "x", options=gt.CallOptions(own_session=True)))
every(0.003, handler)
while next(ticks) < 40:
    work()
"""
CALLS = """
def handler(number, frame):
    next(ticks)
    try:
        app.call("/hello", "tick")
    except gt.errors.LocalProtocolError as error:
        assert "would wait forever" in str(error), error
every(0.01, handler)
while next(ticks) < 40:
    work()
"""
CLOSES = """
def handler(number, frame):
    if next(ticks) == 25:
        app.close()
every(0.003, handler)
try:
    work()
except (gt.errors.LocalProtocolError, gt.StreamLost) as error:
    pass
except Exception as error:
    keep(error)
"""
RAISES = """
class Tick(Exception): pass
armed = []
def is_fragile(frame):
    # The locks and the pool of httpcore do not outlast an exception at any instruction, nor does CPython's start
    # of a thread: the new thread ends with a KeyError of threading.py.
    while frame is not None:
        if "httpcore" in frame.f_code.co_filename or frame.f_code is threading.Thread.start.__code__:
            return True
        frame = frame.f_back
    return False
def handler(number, frame):
    if armed and not is_fragile(frame):
        armed.clear()
        if next(ticks) % 2:
            raise TimeoutError("tick")
        raise Tick
every(0.005, handler)
raised = 0
while raised < 100:
    try:
        armed.append(True)
        app.call("/hello", "x")
        app.call("/direct", "x")
        list(app.submit("/count", "x"))
        armed.clear()
    except (Tick, TimeoutError):
        raised += 1
    except gt.GradioTransportError as error:
        keep(error)
"""


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted() as running:
        yield running


def run(server: Scripted, program: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-X", "faulthandler", "-c", program, server.url]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.mark.parametrize("program", [USES, CALLS, CLOSES, RAISES], ids=["uses", "calls", "closes", "raises"])
def test_frequent_signal_handlers_do_no_harm(server: Scripted, program: str) -> None:
    done = run(server, BEGIN + program + END)
    assert done.stdout.splitlines() == ["True", "closed"], done.stdout + done.stderr
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("endpoint", ["/forever", "/direct"])
def test_what_a_handler_raises_while_a_call_waits_comes_out_as_it_is(server: Scripted, endpoint: str) -> None:
    """A `TimeoutError`, which HTTP libraries take for one of the socket."""

    def handler(number: int, frame: Any) -> None:
        raise TimeoutError("of the handler")

    server.scripts["/gradio_api/run/direct"] = Reply.hold
    before = signal.signal(signal.SIGALRM, handler)
    try:
        with gt.connect(server.url) as app:
            app.call("/hello", "warm")
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(TimeoutError, match=r"^of the handler$") as caught:
                app.call(endpoint, "x")
            assert type(caught.value) is TimeoutError
            assert app.call("/hello", "y") == ["Hello, y!"]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_call_while_the_interpreter_ends_says_so(server: Scripted) -> None:
    program = (
        BEGIN
        + """
class Last:
    def __del__(self, app=app, call=app.submit("/forever", "x")):
        for use in (lambda: app.call("/hello", "x"), lambda: app.call("/direct", "x"), call.result):
            try:
                use()
            except Exception as error:
                print(type(error).__name__, str(error)[:25], flush=True)
        app.close()
        print("closed", flush=True)
last = Last()
"""
    )
    done = run(server, program)
    said = "LocalProtocolError The interpreter is ending"
    assert done.stdout.splitlines() == [said, said, said, "closed"], done.stdout + done.stderr


def test_a_call_that_may_not_wait_is_refused_before_it_begins(server: Scripted) -> None:
    """Or it would be fed to the machine of the session in the middle of another call's reply."""
    kinds: list[str] = []

    def tap(frame: Any) -> None:
        kinds.append(frame.kind)
        if frame.channel.endswith(".join") and frame.kind == "response":
            with pytest.raises(gt.errors.LocalProtocolError, match="would wait forever"):
                app.call("/hello", "tap")

    with gt.connect(server.url, tap=tap) as app:
        assert app.call("/hello", "x") == ["Hello, x!"]
    assert kinds.count("call") == 1
    assert [body["data"] for path, body in server.seen if path == "/gradio_api/queue/join"] == [["x"]]
