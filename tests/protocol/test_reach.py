# SPDX-License-Identifier: Apache-2.0
"""What proves that a request has not reached the app; tests/adapters/test_may_have_run.py asks every protocol."""

from __future__ import annotations

import pytest

from gradio_transport.errors import ConnectError, EventTooLarge, Phase, StreamLost, TimeoutExpired
from gradio_transport.protocol.commands import Response
from gradio_transport.protocol.reach import is_queue_full, is_refused_for_now, may_have_reached

FULL = Response(503, body=b'{"detail": "Queue is full. Max size is 1."}')
STOPPED = Response(503, body=b'{"detail": "Queue is stopped."}')


def test_of_all_statuses_only_redirects_and_refusals_prove_it() -> None:
    reached = {status for status in range(200, 600) if may_have_reached(Response(status))}
    assert reached == {*range(200, 300), 303, 408, 499, *range(500, 600)}


def test_the_words_of_the_queue_prove_it() -> None:
    assert not may_have_reached(FULL)
    assert not may_have_reached(STOPPED)
    assert may_have_reached(Response(500, body=FULL.body))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectError("refused"), False),
        (ConnectError("self-signed", retryable=False), False),
        (TimeoutExpired("no connection", setting="connect", retryable=True), False),
        (StreamLost("cut", phase=Phase.LOGIN), False),
        (EventTooLarge("of the login", phase=Phase.LOGIN), False),
        (StreamLost("cut", phase=Phase.JOIN), True),
        (TimeoutExpired("late", setting="join"), True),
        (EventTooLarge("too large", phase=Phase.JOIN), True),
    ],
)
def test_of_errors_those_prove_it_that_say_that_nothing_was_sent(error, expected) -> None:
    assert may_have_reached(error) is expected


def test_a_refusal_for_now_is_one_of_the_rate_or_of_the_queue() -> None:
    assert is_refused_for_now(Response(429))
    assert is_refused_for_now(FULL)
    assert not is_refused_for_now(STOPPED)
    assert not is_refused_for_now(Response(503, body=b"<h1>The queue</h1>"))
    assert not is_queue_full(Response(429, body=FULL.body))
