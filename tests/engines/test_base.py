# SPDX-License-Identifier: Apache-2.0
"""What all engines build on: closing what is in use, waking what waits, and the bounds of a request."""

from __future__ import annotations

import attrs
import pytest

from gradio_transport.engines import base
from gradio_transport.engines.base import DeferredClose, Interruption, Patience
from gradio_transport.engines.deadline import Deadline
from gradio_transport.errors import Phase

PATIENCE = Patience(3, 60, "stream", Phase.STREAM, 100)


class TestDeferredClose:
    """A socket's number belongs to another one as soon as it is closed, so nobody closes it under a reader."""

    def test_what_nobody_uses_is_closed_at_once(self):
        done = []
        DeferredClose(lambda: done.append("woken"), lambda: done.append("closed")).close()
        assert done == ["closed"]

    def test_what_is_in_use_is_woken_and_closed_by_its_last_user(self):
        done = []
        closing = DeferredClose(lambda: done.append("woken"), lambda: done.append("closed"))
        with closing:
            with closing:
                closing.close()
                assert done == ["woken"]
            assert done == ["woken"]
        assert done == ["woken", "closed"]

    def test_closing_again_while_in_use_closes_once(self):
        done = []
        shared = DeferredClose(lambda: done.append("woken"), lambda: done.append("closed"))
        with shared:
            shared.close()
            shared.close()
        assert done == ["woken", "woken", "closed"]


class TestInterruption:
    def test_a_wait_is_woken(self):
        woken, interruption = [], Interruption()
        interruption.set_wake(lambda: woken.append("first"))
        assert woken == []
        interruption.interrupt()
        assert woken == ["first"]

    def test_a_wait_that_begins_later_is_woken_at_once(self):
        woken, interruption = [], Interruption()
        interruption.interrupt()
        interruption.set_wake(lambda: woken.append("late"))
        assert woken == ["late"]

    def test_what_waits_no_longer_is_left_alone(self):
        woken, interruption = [], Interruption()
        interruption.set_wake(lambda: woken.append("over"))
        interruption.set_wake(None)
        interruption.interrupt()
        assert woken == []


class TestPatience:
    @pytest.mark.parametrize(
        ("silence", "whole", "expected"),
        [(60, None, 60), (60, 5, 5), (5, 60, 5), (None, 5, 5), (None, None, None)],
    )
    def test_a_wait_takes_no_longer_than_silence_and_the_whole(self, silence, whole, expected):
        assert attrs.evolve(PATIENCE, silence=silence, whole=whole).wait_seconds == expected

    @pytest.mark.parametrize(
        ("connect", "silence", "expected"), [(3, 60, 63), (None, 60, None), (3, None, None)]
    )
    def test_the_head_may_take_a_connection_and_a_silence(self, connect, silence, expected):
        assert attrs.evolve(PATIENCE, connect=connect, silence=silence).head_seconds == expected

    @pytest.mark.parametrize(("passed", "setting"), [(4.98, "stream"), (4.995, "total"), (6.0, "total")])
    def test_the_setting_that_is_over_is_named(self, monkeypatch, passed, setting):
        patience = attrs.evolve(PATIENCE, deadline=Deadline(105.0, "total", 9.0))
        monkeypatch.setattr(base.time, "monotonic", lambda: 100.0 + passed)
        assert patience.exceeded() == (setting, 9.0 if setting == "total" else 60)

    @pytest.mark.parametrize(("passed", "seconds"), [(4.98, 60), (4.995, 5)])
    def test_the_whole_is_over_before_the_silence(self, monkeypatch, passed, seconds):
        patience = attrs.evolve(PATIENCE, whole=5, began=100.0)
        monkeypatch.setattr(base.time, "monotonic", lambda: 100.0 + passed)
        assert patience.exceeded() == ("stream", seconds)

    def test_the_deadline_of_the_call_cuts_everything_short(self, monkeypatch):
        monkeypatch.setattr(base.time, "monotonic", lambda: 100.0)
        patience = attrs.evolve(PATIENCE, connect=10, whole=30, deadline=Deadline(102.0, "total", 9.0))
        left = (patience.connect_seconds, patience.silence_seconds, patience.whole_seconds)
        assert left == (2.0, 2.0, 2.0)
        assert patience.wait_seconds == 2.0
        monkeypatch.setattr(base.time, "monotonic", lambda: 103.0)
        assert patience.connect_seconds == 0.001

    def test_what_is_sooner_than_the_deadline_stays(self, monkeypatch):
        monkeypatch.setattr(base.time, "monotonic", lambda: 100.0)
        patience = attrs.evolve(PATIENCE, connect=10, whole=None, deadline=Deadline(500.0, "total", 500))
        left = (patience.connect_seconds, patience.silence_seconds, patience.whole_seconds)
        assert left == (10, 60, 400.0)
        assert (patience.wait_seconds, patience.head_seconds) == (60, 70)
        assert patience.exceeded_connecting() == ("connect", 10)

    def test_only_a_download_may_be_made_again_whatever_came_of_it(self):
        assert {phase for phase in Phase if attrs.evolve(PATIENCE, phase=phase).repeatable} == {
            Phase.DOWNLOAD
        }

    def test_errors_name_the_setting_and_not_the_query_of_the_url(self):
        late = PATIENCE.timeout_error("http://app/x?token=secret")
        large = PATIENCE.size_error("http://app/x?token=secret")
        assert "http://app/x was not complete within 60 s" in late.message
        assert "Timeouts(stream=)" in late.message
        assert "larger than 100 bytes" in large.message
        assert "Limits(max_response_bytes=)" in large.message
        assert "secret" not in late.message + large.message
