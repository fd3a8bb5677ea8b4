# SPDX-License-Identifier: Apache-2.0
"""A trace without the parts that differ from run to run."""

from __future__ import annotations

import pytest
from tracing import BASE, MESSAGES, message, program

from gradio_transport.trace import Trace
from gradio_transport.trace.comparison.side import Side


def side_of(made):
    return Side(Trace({}, tuple(made.frames)))


@pytest.fixture(scope="module")
def side():
    return side_of(program())


def test_the_prefix_of_the_api_is_found_and_left_out_of_routes(side):
    assert (side.base, side.prefix) == (BASE, "/gradio_api")
    assert side.route("POST /gradio_api/queue/join") == "POST /queue/join"
    assert side.route("GET /config") == "GET /config"
    assert side.normalise({"url": "/gradio_api/file=/x"}) == {"url": "/file=/x"}


def test_replies_and_ends_are_named_after_their_request(side):
    names = [(item.what, item.status) for one in side.conversations for item in side.items(one)]
    assert ("POST /queue/join", "") in names
    assert ("the reply to POST /queue/join", "200") in names
    assert ("the end of GET /queue/data", "clean") in names


def test_heartbeats_do_not_count_and_repeated_estimations_count_once():
    estimations = [message("estimation", rank=rank) for rank in (3, 2, 1)]
    side = side_of(program(messages=[*estimations, message("heartbeat", None), *MESSAGES[1:]]))
    (call,) = [one for one in side.conversations if one.key and one.session]
    assert [item.what for item in side.items(call) if item.message] == [
        "estimation", "process_starts", "process_generating", "process_generating", "process_completed",
    ]  # fmt: skip


def test_a_trace_without_a_discovery_has_no_prefix():
    frames = [frame for frame in program().frames if frame.session]
    side = Side(Trace({}, tuple(frames)))
    assert (side.config, side.prefix) == (None, "")


def test_an_error_is_the_failure_of_its_call():
    failed = message("process_completed", output={"error": "boom"}, success=False)
    for messages, failure in (([failed], "AppError: boom"), (MESSAGES, None)):
        side = side_of(program(messages=messages))
        (call,) = [one for one in side.conversations if one.key and one.session]
        assert side.failure(side.call(call)) == failure
