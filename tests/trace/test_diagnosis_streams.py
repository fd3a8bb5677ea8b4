# SPDX-License-Identifier: Apache-2.0
"""What is known of the stream of a call."""

from __future__ import annotations

from stories import ESTIMATION, STARTS, Story

from gradio_transport.trace import timeline
from gradio_transport.trace.diagnosis.streams import Wire, explain_burst, explain_end


def wire(story):
    call = timeline(story.trace()).calls[0]
    request = next((step for step in call.requests if step.stream is not None), None)
    return Wire(call, request, True)


def test_where_a_call_is():
    assert wire(Story().calls().joins()).state == "no message had arrived"
    assert wire(Story().streams().says(1.3, ESTIMATION)).state == "it waited in the queue at place 1"
    assert wire(Story().streams().says(1.3, ESTIMATION, STARTS)).state == "its function ran"


def test_when_its_last_byte_came():
    assert wire(Story().calls().joins()).last_byte is None
    assert wire(Story().streams().says(1.3, ESTIMATION).says(1.5, STARTS)).last_byte == 1.5


def test_a_stream_that_is_open_says_nothing_of_its_end():
    found = wire(Story().streams().says(1.3, ESTIMATION, STARTS))
    assert explain_end(found) is None
    assert explain_burst(found) is None
