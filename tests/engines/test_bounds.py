# SPDX-License-Identifier: Apache-2.0
"""The deadlines of a request, by a clock that the tests move."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest

from gradio_transport.engines import bounds as module
from gradio_transport.engines.base import Patience
from gradio_transport.engines.bounds import Bounds, LateError, Stage, Wait
from gradio_transport.engines.deadline import NEVER, Deadline
from gradio_transport.errors import Phase


class Connection:
    def __init__(self):
        self.done = []

    def shut_down(self):
        self.done.append("shut down")

    def release(self):
        self.done.append("released")


@pytest.fixture
def clock(monkeypatch):
    now = SimpleNamespace(seconds=100.0)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def made(connect=3.0, silence=7.0, whole=None, **options):
    return Bounds(Patience(connect, silence, "join", Phase.JOIN, 100, whole=whole), **options)


def test_a_timeout_is_a_number_that_knows_its_request(clock):
    bounds = made(whole=5)
    timeouts = bounds.timeouts()
    assert timeouts["pool"] == 5
    assert type(timeouts["pool"]) is not Wait
    waits = [timeouts[name] for name in ("connect", "read", "write")]
    assert all(isinstance(wait, Wait) and wait.bounds is bounds and wait == math.inf for wait in waits)


def test_the_wait_for_a_connection_of_the_pool_has_all_bounds(clock):
    def pool(silence, whole, total):
        deadline = NEVER if total is None else Deadline(clock.seconds + total, "total", total)
        patience = Patience(3.0, silence, "join", Phase.JOIN, 100, whole=whole, deadline=deadline)
        return Bounds(patience).timeouts()["pool"]

    assert pool(None, None, None) is None
    assert (pool(7.0, None, None), pool(7.0, 5.0, None), pool(7.0, 5.0, 2.0)) == (7.0, 5.0, 2.0)
    assert pool(None, None, 2.0) == 2.0
    assert pool(7.0, None, -1.0) == 0.001  # not 0, which libraries take for no bound


def test_connecting_has_one_deadline(clock):
    bounds = made()
    bounds.begin_connecting()
    clock.seconds += 2
    assert bounds.seconds_left() == 1
    clock.seconds += 1
    assert bounds.is_over
    with pytest.raises(LateError):
        bounds.seconds_left()


def test_a_head_has_one_deadline_from_when_the_request_is_sent(clock):
    bounds = made()
    bounds.begin_sending()
    clock.seconds += 6
    bounds.begin_head()
    assert (bounds.stage, bounds.seconds_left()) == (Stage.HEAD, 7)
    clock.seconds += 6.5
    assert bounds.seconds_left() == 0.5


def test_a_request_has_one_deadline_to_be_sent_but_a_form_only_one_for_each_wait(clock):
    request, form = made(), made(is_form=True)
    for bounds in (request, form):
        bounds.begin_sending()
    clock.seconds += 7
    with pytest.raises(LateError):
        request.seconds_left()
    assert form.seconds_left() == 7


def test_the_whole_bounds_every_part_of_a_request_but_the_connecting(clock):
    bounds = made(whole=5.0, is_form=True)
    bounds.begin_connecting()
    assert bounds.seconds_left() == 3
    clock.seconds += 1
    bounds.begin_sending()
    assert bounds.seconds_left() == 4
    clock.seconds += 1
    bounds.begin_head()
    assert bounds.seconds_left() == 3
    clock.seconds += 1
    bounds.limit_body(60)
    assert bounds.seconds_left() == 2


def test_only_silence_ends_a_stream_but_a_whole_body_may_have_a_bound(clock):
    bounds = made()
    bounds.begin_body()
    clock.seconds += 1000
    assert bounds.seconds_left() == 7
    assert not bounds.is_over
    bounds.limit_body(10)
    clock.seconds += 9
    assert bounds.seconds_left() == 1


def test_no_bound_is_infinite(clock):
    bounds = made(None, None)
    for begin in (bounds.begin_connecting, bounds.begin_sending, bounds.begin_head, bounds.begin_body):
        begin()
        assert bounds.seconds_left() == math.inf


def test_shutting_down_reaches_the_connection_before_and_after_it_is_known():
    before, after = made(), made()
    connections = Connection(), Connection()
    before.shut_down()
    before.attach(connections[0])
    after.attach(connections[1])
    assert not after.is_shut_down
    after.shut_down()
    assert [one.done for one in connections] == [["shut down"], ["shut down"]]
    assert before.is_shut_down


def test_a_released_connection_is_not_shut_down():
    bounds, connection = made(), Connection()
    bounds.attach(connection)
    bounds.release()
    bounds.release()
    bounds.shut_down()
    assert connection.done == ["released"]
