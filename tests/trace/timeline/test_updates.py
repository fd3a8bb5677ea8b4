# SPDX-License-Identifier: Apache-2.0
"""What a frame changes in a timeline."""

from __future__ import annotations

from collections import Counter

from tracing import program

from gradio_transport.trace import TimelineBuilder
from gradio_transport.trace.timeline.reading import Change


def test_each_frame_tells_what_it_changed() -> None:
    builder = TimelineBuilder()
    changes = [update.change for frame in program().frames for update in builder.feed(frame)]
    assert Counter(changes)[Change.CALL] == Counter(changes)[Change.DONE] == 1
    assert Counter(changes)[Change.REPLY] == 4
    assert changes.index(Change.CALL) < changes.index(Change.DONE)
