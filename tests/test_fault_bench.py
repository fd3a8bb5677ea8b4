# SPDX-License-Identifier: Apache-2.0
"""The fault bench: every misbehaviour of the kit, in every phase of every protocol, for both faces."""

from __future__ import annotations

import pytest

from gradio_transport_conformance.fault_cases import Cell, load_cells, load_faults
from gradio_transport_conformance.fault_play import CLIENTS, nothing_left_behind, play_cells
from gradio_transport_conformance.fault_protocols import PROTOCOLS
from gradio_transport_http import polling

CELLS = load_cells()
BATCHES = sorted({(cell.protocol.name, cell.phase) for cell in CELLS})
ASYNC_ONLY_SOME = 3
"""The async face plays every n-th cell: machines and decoders are the same, only waiting differs."""

BESIDE = ("upload", "download", "read", "login", "heartbeat")
"""Requests beside the call are the drivers' and engines' own: every face plays all of their cells."""

TASKS = ("asyncio", "trio", "asyncio+aiohttp")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(polling, "FIRST_POLL_SECONDS", 0.02)


def batch(protocol: str, phase: str) -> list[Cell]:
    return [cell for cell in CELLS if (cell.protocol.name, cell.phase) == (protocol, phase)]


def test_the_bench_is_as_large_as_it_says():
    assert len(load_faults()) >= 450
    assert len(CELLS) >= 3800
    assert {cell.protocol.name for cell in CELLS} == set(PROTOCOLS)
    assert {protocol.adapter for protocol in PROTOCOLS.values()} == {
        "sse", "sse_v1", "sse_v2", "sse_v2.1", "sse_v3", "websocket", "direct", "polling", "call", "call_v2",
        "openai_chat",
    }  # fmt: skip
    assert {cell.phase for cell in CELLS} == {
        "config", "info", "join", "data", "stream", "cancel", *BESIDE,
    }  # fmt: skip
    assert all(len(cell.expect.error) <= 1 for cell in CELLS if cell.phase in BESIDE)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("protocol", "phase"), BATCHES)
def test_every_fault_has_its_one_outcome(protocol, phase):
    with nothing_left_behind() as left:
        assert play_cells(batch(protocol, phase), CLIENTS["sync"]) == {}
    assert left == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("face", TASKS)
@pytest.mark.parametrize(("protocol", "phase"), BATCHES)
def test_every_fault_has_its_one_outcome_for_tasks(protocol, phase, face):
    first, step = (0, 1) if phase in BESIDE else (TASKS.index(face), ASYNC_ONLY_SOME)
    cells = batch(protocol, phase)[first::step]
    with nothing_left_behind() as left:
        assert play_cells(cells, CLIENTS[face], 8) == {}
    # Workers of the event loops outlive a loop, and serve the next.
    assert [one for one in left if "AnyIO" not in one and "Trio thread" not in one] == []
