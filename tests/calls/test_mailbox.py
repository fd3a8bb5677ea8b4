# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from properties import tried

from gradio_transport.calls.mailbox import FLOOD, Mailbox
from gradio_transport.events import (
    Event,
    Heartbeat,
    Log,
    ProcessCompleted,
    ProcessGenerating,
    Progress,
    ProgressUnit,
    UnknownMessage,
)
from gradio_transport.policy import MailboxPolicy


def drain(mailbox: Mailbox) -> list[Event]:
    taken: list[Event] = []
    while (event := mailbox.get()) is not None:
        taken.append(event)
    return taken


def test_below_the_mark_everything_is_kept_in_order() -> None:
    mailbox = Mailbox(1000)
    events: list[Event] = [
        Log(message="a"),
        ProcessGenerating(data=[1]),
        ProcessGenerating(data=[2]),
        Heartbeat(),
    ]
    for event in events:
        mailbox.put(event, 10)
    assert mailbox.size == 40
    assert drain(mailbox) == events
    assert mailbox.size == 0


def test_above_the_mark_the_newest_frame_takes_the_place_of_the_one_before() -> None:
    mailbox = Mailbox(10)
    for number in range(5):
        mailbox.put(ProcessGenerating(data=[number]), 10)
    mailbox.put(Progress(), 10)
    mailbox.put(ProcessGenerating(data=[5]), 10)
    mailbox.put(ProcessGenerating(data=[6]), 10)
    assert drain(mailbox) == [Progress(), ProcessGenerating(data=[6], skipped=6)]


def test_frames_between_other_events_do_not_pile_up() -> None:
    mailbox = Mailbox(1000)
    for number in range(10_000):
        mailbox.put(ProcessGenerating(data=[number]), 50)
        mailbox.put(Progress(), 0)
    assert mailbox.size <= 1050


def test_above_the_mark_progress_takes_the_place_of_progress_right_before_it() -> None:
    mailbox = Mailbox(100)
    for index in range(10_000):
        mailbox.put(Progress(units=(ProgressUnit(index=index),)), 50)
    mailbox.put(Log(message="between"), 50)
    mailbox.put(Progress(), 50)
    assert mailbox.overflow is None
    assert drain(mailbox) == [
        Progress(units=(ProgressUnit(index=0),)),
        Progress(units=(ProgressUnit(index=9_999),)),
        Log(message="between"),
        Progress(),
    ]


@pytest.mark.parametrize("flood", [Log(), UnknownMessage()])
def test_a_flood_of_what_cannot_be_merged_ends_the_call(flood: Event) -> None:
    mailbox = Mailbox(1000)
    for _ in range(10_000):
        mailbox.put(flood, 50)
    assert mailbox.overflow is not None
    assert mailbox.size <= FLOOD * 1000 + 50


def test_the_policy_to_fail_lets_only_the_end_in() -> None:
    mailbox = Mailbox(10, "fail")
    mailbox.put(Log(message="a"), 10)
    assert mailbox.overflow is None
    mailbox.put(Log(message="b"), 10)
    assert mailbox.overflow is not None
    mailbox.put(Log(message="c"), 10)
    mailbox.put(ProcessCompleted(), 10)
    assert drain(mailbox) == [Log(message="a"), ProcessCompleted()]


def test_one_event_larger_than_the_mark_is_taken() -> None:
    mailbox = Mailbox(10, "fail")
    mailbox.put(ProcessGenerating(data=["large"]), 10_000)
    assert mailbox.overflow is None
    assert len(mailbox) == 1


EVENTS = st.sampled_from([Log(), Progress(), ProcessGenerating(), Heartbeat()])


@given(st.lists(st.tuples(EVENTS, st.integers(0, 50))), st.integers(1, 100))
def test_nothing_but_frames_progress_and_heartbeats_is_ever_lost(
    events: list[tuple[Event, int]], mark: int
) -> None:
    mailbox = Mailbox(mark)
    for event, size in events:
        mailbox.put(event, size)
    if mailbox.overflow is not None:
        assert mailbox.size > FLOOD * mark
        return
    taken = drain(mailbox)
    assert [event for event in taken if isinstance(event, Log)] == [
        event for event, _ in events if isinstance(event, Log)
    ]
    assert any(isinstance(event, Progress) for event in taken) == any(
        isinstance(event, Progress) for event, _ in events
    )
    frames = [event for event in taken if isinstance(event, ProcessGenerating)]
    assert sum(1 + frame.skipped for frame in frames) == sum(
        isinstance(event, ProcessGenerating) for event, _ in events
    )


def test_of_events_that_nobody_reads_the_oldest_make_room() -> None:
    mailbox = Mailbox(100)
    mailbox.unread = True
    for number in range(1000):
        mailbox.put(Log(message=str(number)), 30)
    assert mailbox.overflow is None
    assert mailbox.size <= 100
    mailbox.put(Log(message="larger than all"), 500)
    mailbox.put(ProcessCompleted(data=["done"]), 10)
    assert drain(mailbox)[-2:] == [Log(message="larger than all"), ProcessCompleted(data=["done"])]


LARGEST = 60


class SlowReader(RuleBasedStateMachine):
    """A server that writes and a caller that reads, each when it likes, as a literal model has it.

    The model knows only what callers are promised: what is neither a frame nor progress comes whole and in
    order, of frames the newest comes and tells how many it stands for, of progress in a row the newest comes,
    and what waits is bounded.
    """

    @initialize(mark=st.integers(1, 100), policy=st.sampled_from(["conflate", "conflate", "fail"]))
    def begin(self, mark: int, policy: MailboxPolicy) -> None:
        self.mark, self.policy = mark, policy
        self.mailbox = Mailbox(mark, policy)
        self.owed: deque[Event] = deque()
        self.frames = 0
        self.told = 0
        self.said = 0
        self.newest: int | None = None
        self.ended = False

    @precondition(lambda self: not self.ended)
    @rule(
        kind=st.sampled_from(["log", "progress", "unknown", "frame", "frame", "beat"]),
        size=st.integers(0, LARGEST),
    )
    def the_server_says(self, kind: str, size: int) -> None:
        before = self.mailbox.overflow
        self.said += 1
        self.frames += kind == "frame" and before is None
        event: Event = {
            "log": Log(message=str(size)),
            "progress": Progress(units=(ProgressUnit(index=self.said),)),
            "unknown": UnknownMessage(msg=str(size)),
            "frame": ProcessGenerating(data=[self.frames]),
            "beat": Heartbeat(),
        }[kind]
        self.mailbox.put(event, size)
        if before is None and self.mailbox.overflow is not None:
            self.frames -= kind == "frame"
            flooded = self.mailbox.size > FLOOD * self.mark
            assert kind != "beat"
            assert self.policy == "fail" or (flooded and kind != "frame")
        elif before is None and kind not in ("frame", "beat"):
            self.owed.append(event)

    @precondition(lambda self: not self.ended)
    @rule(size=st.integers(0, LARGEST))
    def the_call_ends(self, size: int) -> None:
        self.ended = True
        self.owed.append(ProcessCompleted(data=["end"]))
        self.mailbox.put(self.owed[-1], size)

    @rule()
    def the_caller_reads(self) -> None:
        event = self.mailbox.get()
        if isinstance(event, ProcessGenerating):
            self.told += 1 + event.skipped
            number = event.data[0]
            assert isinstance(number, int)
            assert self.newest is None or number > self.newest
            assert event.skipped < number
            self.newest = number
        elif event is not None and not isinstance(event, Heartbeat):
            while self.owed[0] != event:  # newer progress came in its place
                assert isinstance(self.owed.popleft(), Progress)
                assert isinstance(self.owed[0], Progress)
            self.owed.popleft()
        if event is None:
            assert not self.owed, "something was lost"
            assert self.told == self.frames, "skipped does not say how many"
            assert self.newest is None or self.newest == self.frames or self.mailbox.overflow is not None

    @invariant()
    def what_waits_is_bounded(self) -> None:
        mailbox = getattr(self, "mailbox", None)
        if mailbox is not None:
            assert mailbox.size == sum(size for _, size in mailbox._items) >= 0
            assert mailbox.size <= FLOOD * self.mark + 2 * LARGEST + LARGEST * self.ended

    def teardown(self) -> None:
        if not hasattr(self, "mailbox"):
            return
        while len(self.mailbox):
            self.the_caller_reads()
        self.the_caller_reads()


class TestSlowReader(SlowReader.TestCase):
    settings = tried(150, stateful_step_count=60)
