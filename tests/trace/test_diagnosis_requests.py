# SPDX-License-Identifier: Apache-2.0
"""What a request says that did not fail, and what a reply gives as its reason."""

from __future__ import annotations

import pytest
from stories import Story

from gradio_transport.protocol.commands import Response
from gradio_transport.trace import timeline
from gradio_transport.trace.diagnosis.requests import detail, explain_request, space_stage


def test_a_request_that_did_not_fail_says_nothing():
    trace = Story().streams().trace()
    steps = [*timeline(trace).discovery, *timeline(trace).calls[0].requests]
    assert len(steps) == 4
    assert [explain_request(trace, step) for step in steps] == [None] * 4


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"detail": "no"}', "no"),
        (b'{"error": "no"}', "no"),
        (b'{"detail": {"error": "Not authenticated"}}', "Not authenticated"),
        (b"plain\nwords", "plain words"),
        (b"[" * 100_000, "[" * 200 + "…"),
    ],
)
def test_the_reason_of_a_reply(body, told):
    assert detail(Response(400, {"content-type": "application/json"}, body)) == told


def test_only_a_page_of_the_hub_tells_of_a_space():
    page = {"content-type": "text/html"}
    assert space_stage(Response(503, page, b"<p>this space is sleeping</p>")) is None
    hub = space_stage(Response(503, page, b"<p>space is sleeping</p>", "https://a-b.hf.space/config"))
    assert hub is not None
    assert space_stage(Response(200, page, b"<p>space is sleeping</p>", "https://a-b.hf.space/")) is None
