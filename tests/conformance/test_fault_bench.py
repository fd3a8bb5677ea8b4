# SPDX-License-Identifier: Apache-2.0
"""The fault bench: every misbehaviour of the kit, in every phase of every protocol, for both faces."""

from __future__ import annotations

import itertools
import socket

import pytest
from canaries import carrying_secrets, watched_logs

from gradio_transport_conformance.faults.cases import Cell, load_cells, load_faults
from gradio_transport_conformance.faults.clients import CLIENTS
from gradio_transport_conformance.faults.memory import find_excessive_cells, find_slow_cells
from gradio_transport_conformance.faults.play import check_leftovers, play_cells
from gradio_transport_conformance.faults.protocols import PROTOCOLS
from gradio_transport_http import polling

FACES = ("sync", "asyncio", "trio", "asyncio+aiohttp")
"""One of them plays each cell, and all of them with ``--whole-kit``: every fault strikes each of them."""

PARTS = 2
"""Most of a cell is waiting, so many are played at once; the parts are for the processes of pytest-xdist."""

BESIDE = ("upload", "download", "read", "login", "heartbeat")
"""Requests beside the call."""


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


ALL = load_cells()
CELLS = ALL if has_ipv6() else tuple(one for one in ALL if "IPv6" not in one.fault.name)
FAULTS = [list(cells) for _, cells in itertools.groupby(CELLS, lambda cell: cell.fault.name)]
LIGHT = [cell for cell in CELLS if not cell.fault.heavy]


def cells_for(face: str, config: pytest.Config, *, heavy: bool = False) -> list[Cell]:
    """Return the cells that a face plays.

    The faces take the cells of a fault in turn. One with fewer cells than there are faces strikes each of them
    as well: its cells go to several.
    """
    if config.getoption("whole_kit"):
        return [cell for cell in CELLS if cell.fault.heavy == heavy]
    return [
        cells[turn % len(cells)]
        for number, cells in enumerate(FAULTS)
        for turn in range(max(len(cells), len(FACES)))
        if cells[0].fault.heavy == heavy and face == FACES[(number + turn) % len(FACES)]
    ]


@pytest.fixture(autouse=True)
def no_name_server(monkeypatch):
    """Say of names that nobody may have what every name server says, without asking one."""
    asked = socket.getaddrinfo

    def getaddrinfo(host, *args, **options):
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return asked(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(polling, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(polling, "FIRST_POLL_SECONDS", 0.02)


def test_the_bench_is_as_large_as_it_says():
    assert len(load_faults()) >= 540
    assert len(ALL) >= 4900
    assert {cell.protocol.name for cell in ALL} == set(PROTOCOLS)
    assert {protocol.adapter for protocol in PROTOCOLS.values()} == {
        "sse", "sse_v1", "sse_v2", "sse_v2.1", "sse_v3", "websocket", "direct", "polling", "call", "call_v2",
        "openai_chat",
    }  # fmt: skip
    assert {cell.phase for cell in CELLS} == {
        "config", "info", "join", "data", "stream", "cancel", *BESIDE,
    }  # fmt: skip


@pytest.mark.parametrize("heavy", [False, True])
def test_every_cell_is_played_and_every_fault_strikes_every_face(heavy, pytestconfig):
    all_cells = {id(cell) for cell in CELLS if cell.fault.heavy == heavy}
    all_faults = {cell.fault.name for cell in CELLS if cell.fault.heavy == heavy}
    played = {face: cells_for(face, pytestconfig, heavy=heavy) for face in FACES}
    assert {id(cell) for cells in played.values() for cell in cells} == all_cells
    assert [{cell.fault.name for cell in cells} for cells in played.values()] == [all_faults] * len(FACES)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize("part", range(PARTS))
def test_every_fault_has_its_one_outcome(part, face, pytestconfig):
    cells = cells_for(face, pytestconfig)[part::PARTS]
    with check_leftovers() as left, watched_logs() as logged:
        assert play_cells(cells, carrying_secrets(CLIENTS[face])) == {}
    assert left == []
    assert logged == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("face", ["sync+httpx2", "asyncio+httpx2"])
def test_the_outcome_does_not_depend_on_the_library(face):
    """One cell of each fault, since all that differs lies below the protocols."""
    with check_leftovers() as left:
        assert play_cells([cells[0] for cells in FAULTS if cells[0] in LIGHT], CLIENTS[face]) == {}
    assert left == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("face", FACES)
def test_what_is_heavy_has_its_one_outcome(face, pytestconfig):
    cells = cells_for(face, pytestconfig, heavy=True)
    with check_leftovers() as left:
        assert play_cells(cells, CLIENTS[face], 1) == {}
    assert left == []


@pytest.mark.timeout(240)
@pytest.mark.parametrize("face", ["sync", "asyncio", "asyncio+aiohttp"])
def test_no_fault_takes_more_cpu_time_than_it_may(face):
    """One cell of each fault that has a bound, of another protocol for each face."""
    bounded = [cells for cells in FAULTS if cells[0].fault.cpu is not None]
    assert len(bounded) >= 18
    assert find_slow_cells([cells[FACES.index(face) % len(cells)] for cells in bounded], CLIENTS[face]) == []


@pytest.mark.slow  # the tracing of allocations makes the client several times slower
@pytest.mark.timeout(240)
@pytest.mark.parametrize("face", ["sync", "asyncio+aiohttp"])
def test_no_fault_takes_more_memory_than_it_may(face, pytestconfig):
    """One cell of each fault, on one of the faces; the module's own command weighs all cells."""
    turn = FACES.index(face)
    chosen = FAULTS if pytestconfig.getoption("whole_kit") else FAULTS[bool(turn) :: 2]
    cells = [cells[turn % len(cells)] for cells in chosen]
    assert find_excessive_cells(cells, CLIENTS[face]) == []
