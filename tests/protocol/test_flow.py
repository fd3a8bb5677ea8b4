# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from gradio_transport import events
from gradio_transport.errors import FlowViolation, StreamLost
from gradio_transport.protocol.flow import FINAL, TRANSITIONS, State, advance, follow, mermaid


def test_every_state_has_a_row_and_final_ones_lead_nowhere() -> None:
    assert set(TRANSITIONS) == set(State)
    assert all(not TRANSITIONS[state] for state in FINAL)
    assert {state for state in State if state.final} == FINAL


def test_every_final_state_can_be_reached_from_wherever_a_call_is_under_way() -> None:
    for state in (State.JOINING, State.QUEUED, State.RUNNING):
        assert set(TRANSITIONS[state].values()) >= FINAL


def test_heartbeats_and_unknown_messages_change_nothing() -> None:
    for state in State:
        assert follow(state, events.Heartbeat()) is state
        assert follow(state, events.UnknownMessage()) is state


def test_a_deviation_is_an_error_only_to_the_strict() -> None:
    assert advance(State.JOINING, events.ProcessStarts()) is State.JOINING
    with pytest.raises(FlowViolation, match="ProcessStarts"):
        advance(State.JOINING, events.ProcessStarts(), strict=True)


def test_an_end_counts_even_out_of_order_but_not_twice() -> None:
    assert advance(State.IDLE, events.ProcessCompleted()) is State.COMPLETED
    assert advance(State.CANCELLED, events.ProcessCompleted()) is State.CANCELLED
    assert advance(State.COMPLETED, events.Failed(error=StreamLost("x"))) is State.COMPLETED


@pytest.mark.parametrize("kind", [events.QueueFullMessage, events.UnexpectedError, events.ServerStopped])
def test_a_server_that_gives_up_alone_ends_the_call(kind: type[events.Event]) -> None:
    for state in (State.IDLE, State.JOINING, State.QUEUED, State.RUNNING):
        assert advance(state, kind()) is State.FAILED
    assert advance(State.COMPLETED, kind()) is State.COMPLETED


def test_the_diagram_has_every_transition() -> None:
    drawn = mermaid()
    for state, row in TRANSITIONS.items():
        for event, following in row.items():
            line = next(one for one in drawn.splitlines() if f" {state} --> {following}: " in one)
            assert event.__name__ in line


def test_an_event_that_the_table_allows_leads_where_it_says_to_the_strict_as_well() -> None:
    assert advance(State.QUEUED, events.ProcessStarts(), strict=True) is State.RUNNING
    assert advance(State.RUNNING, events.ProcessCompleted()) is State.COMPLETED
