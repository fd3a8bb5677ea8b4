# SPDX-License-Identifier: Apache-2.0
"""A timeline under construction: what is kept, and what ends with the trace."""

from __future__ import annotations

from timelines import Script
from tracing import Program, program

from gradio_transport.protocol.frames import Direction, Kind
from gradio_transport.trace import TimelineBuilder
from gradio_transport.trace.timeline.draft import MAX_ENDED, MAX_SESSIONS
from gradio_transport.trace.timeline.reading import Step


def test_nothing_is_kept_if_that_is_not_wanted() -> None:
    builder = TimelineBuilder(keep=False)
    steps: list[Step] = []
    for frame in program().frames:
        steps += [update.step for update in builder.feed(frame) if update.step is not None]
    line = builder.finish()
    assert len(steps) > 10
    assert (line.calls, line.discovery, line.others, line.sessions) == ([], [], [], [])


def test_what_is_not_kept_does_not_grow() -> None:
    builder = TimelineBuilder(keep=False)
    script = Script("direct")
    for number in range(500):
        script.call(key=str(number)).ask(f"{number}.run", phase="complete")
        script.answer(f"{number}.run", {"data": [number]})
    for session in range(2, 1500):
        opened = {"adapter": "x", "session_hash": "", "source": ""}
        script.add(Direction.LOCAL, Kind.SESSION, "", session=session, **opened)
    for frame in script.frames[:-1400]:
        builder.feed(frame)
    assert 50 < len(builder._draft.sessions[1].calls) <= MAX_ENDED
    for frame in script.frames[-1400:]:
        builder.feed(frame)
    assert len(builder._draft.sessions) <= MAX_SESSIONS


def test_calls_that_the_end_of_the_trace_ends_are_told() -> None:
    builder = TimelineBuilder(keep=False)
    for frame in Program().discover().session().call("x").frames:
        builder.feed(frame)
    assert [update.calls[0].outcome for update in builder.settle()] == []
    made = Script().call().ask("1.status", phase="stream")
    made.add(Direction.IN, Kind.ERROR, "1.status", error="StreamLost", message="lost")
    for frame in made.frames:
        builder.feed(frame)
    assert [update.calls[0].error for update in builder.settle()] == ["StreamLost"]
