# SPDX-License-Identifier: Apache-2.0
"""The discoveries of a trace: which one a session belongs to, and what is a difference."""

from __future__ import annotations

import attrs
import pytest
from tracing import BASE, CONFIG, Program, reply

from gradio_transport.errors import AuthenticationRequired
from gradio_transport.protocol.frames import Direction, Kind
from gradio_transport.trace import Trace, TraceError
from gradio_transport.trace.replay.discoveries import Discoveries, recorded_response


def discoveries(frames):
    return Discoveries(Trace({}, tuple(frames)))


def test_a_session_gets_the_newest_discovery_before_it():
    made = Program().discover()
    middle = len(made.frames)
    made.discover(CONFIG | {"title": "restarted"})
    found = discoveries(made.frames)
    assert found.find(BASE, middle).config.title != "restarted"
    assert found.find(BASE, len(made.frames)).config.title == "restarted"
    assert (found.mismatches, found.refusals) == ([], [])


def test_a_session_without_a_discovery_before_it_is_an_error():
    made = Program().discover()
    with pytest.raises(TraceError, match="not its discovery"):
        discoveries(made.frames).find(BASE, 1)
    with pytest.raises(TraceError, match="other"):
        discoveries(made.frames).find("http://other", len(made.frames))


def test_another_request_than_today_is_a_mismatch_at_its_own_frame():
    made = Program().discover()
    number = next(place for place, frame in enumerate(made.frames) if "info" in str(frame.payload.get("url")))
    url = made.frames[number].payload["url"].replace("info", "other")
    frames = list(made.frames)
    frames[number] = attrs.evolve(frames[number], payload=frames[number].payload | {"url": url})
    # A frame of no session before them moves the numbers.
    upload = attrs.evolve(frames[0], channel="upload")
    (mismatch,) = discoveries([upload, *frames]).mismatches
    assert mismatch.frame == number + 1
    assert mismatch.expected == f"GET {url}"
    assert mismatch.actual.endswith("/info")


def test_a_refused_discovery_is_kept_as_its_error():
    made = Program()
    made.taps.show(Direction.OUT, Kind.REQUEST, "discover", 0, {"method": "GET", "url": f"{BASE}/config"})
    made.taps.response("discover", 0, reply({"auth_required": True}))
    (refusal,) = discoveries(made.frames).refusals
    assert isinstance(refusal, AuthenticationRequired)


def test_a_recorded_reply_needs_only_a_status():
    made = Program()
    made.taps.response("discover", 0, reply({"a": 1}, 404))
    (frame,) = made.frames
    assert (recorded_response(frame).status, recorded_response(frame).body) == (404, b'{"a": 1}')
    bare = attrs.evolve(frame, payload={"status": 204})
    assert (recorded_response(bare).body, recorded_response(bare).headers) == (b"", {})
