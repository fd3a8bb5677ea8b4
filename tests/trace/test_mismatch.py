# SPDX-License-Identifier: Apache-2.0
"""What must be equal between a recorded command and its replay, and what may differ."""

from __future__ import annotations

import pytest

from gradio_transport.protocol.frames import Direction, Frame, Kind
from gradio_transport.trace.replay.mismatch import (
    Mismatch,
    ReplayMismatch,
    canonical_json,
    signature,
    summary,
)


def request(**changes):
    payload = {
        "method": "POST",
        "url": "http://one:7860/gradio_api/queue/join?a=1",
        "headers": {"content-type": "application/json", "user-agent": "one"},
        "body": b'{"data": [1], "fn_index": 0}',
    }
    return Frame(0.0, Direction.OUT, Kind.REQUEST, "1.join", payload | changes, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "https://two/gradio_api/queue/join?a=1"},
        {"headers": {"content-type": "application/json", "user-agent": "two", "cookie": "x"}},
        {"body": b'{"fn_index":0,"data":[1]}'},
    ],
)
def test_host_other_headers_and_layout_of_json_may_differ(changes):
    assert signature(request()) == signature(request(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "PUT"},
        {"url": "http://one:7860/gradio_api/queue/join?a=2"},
        {"url": "http://one:7860/queue/join?a=1"},
        {"headers": {"content-type": "text/plain"}},
        {"body": b'{"data": [2], "fn_index": 0}'},
        {"body": None},
        {"stream": True},
    ],
)
def test_method_target_type_and_content_must_be_equal(changes):
    assert signature(request()) != signature(request(**changes))


def test_the_channel_must_be_equal():
    other = Frame(0.0, Direction.OUT, Kind.REQUEST, "2.join", request().payload, 1)
    assert signature(request()) != signature(other)


def test_websockets_are_compared_by_target_and_text():
    def opened(url):
        return Frame(0.0, Direction.OUT, Kind.WS_OPEN, "1.ws", {"url": url}, 1)

    def sent(text):
        return Frame(0.0, Direction.OUT, Kind.WS_TEXT, "1.ws", {"text": text}, 1)

    assert signature(opened("ws://one/queue/join")) == signature(opened("wss://two/queue/join"))
    assert signature(opened("ws://one/queue/join")) != signature(opened("ws://one/other"))
    assert signature(sent('{"a": 1, "b": 2}')) == signature(sent('{"b":2,"a":1}'))
    assert signature(sent('{"a": 1}')) != signature(sent('{"a": 2}'))


def test_what_is_not_json_is_compared_as_bytes():
    assert canonical_json(b"a=1") == "b'a=1'"
    assert canonical_json(b'{"b": 1, "a": 2}') == '{"a": 2, "b": 1}'


def test_a_summary_is_short_and_names_a_missing_command():
    assert summary(None) == "no command"
    assert summary(request()).startswith("request 1.join POST /gradio_api/queue/join a=1 {")
    assert len(summary(request(body=b"x" * 10_000))) == 301


def test_the_error_has_all_differences():
    found = [Mismatch(3, "POST /a", "no command"), Mismatch(5, "no command", "POST /b")]
    assert str(found[0]) == "after frame 3: expected POST /a, got no command"
    assert ReplayMismatch("differs", mismatches=found).mismatches == tuple(found)
