# SPDX-License-Identifier: Apache-2.0
"""The ``repr`` of the objects of both faces, part by part; tests/faces/test_surface.py has the whole."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gradio_transport.app.config import Endpoint
from gradio_transport.calls.failures import copy_error
from gradio_transport.calls.representation import (
    describe_call,
    describe_file,
    describe_session,
    describe_transport,
    shorten_secret,
)
from gradio_transport.errors import Phase, TimeoutExpired, UnsupportedProtocol
from gradio_transport.events import Heartbeat
from gradio_transport.files.outputs import ServerFile
from gradio_transport.protocol.flow import State


def a_call(**given: Any) -> Any:
    call = {"event_id": None, "last_event": None, "mailbox": [], "status": State.IDLE, "over": False, **given}
    over = call.pop("over")
    return SimpleNamespace(
        endpoint=Endpoint(name="/a", fn_index=0), adapter="sse_v3", done=lambda: over, **call
    )


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (a_call(), "<Call /a sse_v3 IDLE>"),
        (a_call(event_id="abcdefgh", status=State.QUEUED), "<Call /a sse_v3 QUEUED event_id='abcd…'>"),
        (
            a_call(last_event=Heartbeat(), mailbox=[1, 2]),
            "<Call /a sse_v3 IDLE (Heartbeat) 2 events waiting>",
        ),
        (a_call(last_event=Heartbeat(), over=True, status=State.FAILED), "<Call /a sse_v3 FAILED>"),
    ],
)
def test_a_call_shows_where_it_stands(call: Any, expected: str) -> None:
    assert describe_call("Call", call) == expected


def test_a_session_and_a_transport_show_where_they_are() -> None:
    app: Any = SimpleNamespace(base="http://u:p@host:1/sub?token=x#y", protocol="sse_v3")
    state: Any = SimpleNamespace(app=app, session_hash="0123456789")
    assert describe_transport("T", app, closed=False) == "<T of http://host:1/sub sse_v3, open>"
    assert describe_transport("T", app, closed=True) == "<T of http://host:1/sub sse_v3, closed>"
    known, short = "<S of http://host:1/sub sse_v3, ", ", session_hash='0123…'>"
    assert describe_session("S", state, 1, closed=False) == f"{known}1 call under way{short}"
    assert describe_session("S", state, 2, closed=False) == f"{known}2 calls under way{short}"
    assert describe_session("S", state, 0, closed=True) == f"{known}closed{short}"


def test_no_adapter_is_looked_for_when_the_interpreter_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.is_finalizing", lambda: True)
    app: Any = SimpleNamespace(base="http://host:1")
    assert describe_transport("T", app, closed=False) == "<T of http://host:1, open>"


def test_an_app_of_an_unsupported_protocol_has_a_repr() -> None:
    class Unsupported:
        base = "http://host"

        @property
        def protocol(self) -> str:
            raise UnsupportedProtocol("No installed adapter provides it.")

    app: Any = Unsupported()
    assert describe_transport("T", app, closed=False) == "<T of http://host, no supported protocol, open>"


def test_a_file_shows_its_name_and_place() -> None:
    assert describe_file("F", ServerFile(url="", orig_name="a")) == "<F 'a', inside the payload>"
    assert describe_file("F", ServerFile(url="http://h/b", size=1)) == "<F 'b', 1 bytes, http://h/b>"
    growing = ServerFile(url="http://h/b", is_stream=True)
    assert describe_file("F", growing) == "<F 'b', http://h/b, still being made>"


def test_secrets_are_cut_off() -> None:
    assert shorten_secret("abcdef") == "abcd…"


def test_a_copied_error_says_the_same_and_shares_nothing() -> None:
    error = TimeoutExpired("late", setting="total", seconds=5, phase=Phase.STREAM, may_have_run=True)
    error.__cause__ = ValueError("why")
    plain = copy_error(error)
    assert not hasattr(plain, "__notes__")
    error.add_note("first")
    copied = copy_error(error)
    copied.add_note("second")
    copied.elapsed = 1.0
    assert (copied.message, copied.setting, copied.seconds, copied.phase) == (
        "late",
        "total",
        5,
        Phase.STREAM,
    )
    assert copied.may_have_run
    assert copied.__cause__ is error.__cause__
    assert error.__notes__ == ["first"]
    assert error.elapsed is None
