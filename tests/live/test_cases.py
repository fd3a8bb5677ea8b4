# SPDX-License-Identifier: Apache-2.0
"""Every case of the conformance suite against real servers, by both faces.

pytest -m live --gradio 3.50.2            one version
pytest -m live --gradio 3.4.1,6.31.0      several
pytest -m live --gradio all               the whole matrix
"""

from pathlib import Path

import anyio
import pytest

from conformance.servers import Server
from conformance.servers.matrix_run import why_unsupported
from gradio_transport.trace import TraceWriter, read_trace, replay
from gradio_transport_conformance.cases import Case, all_cases, find_case
from gradio_transport_conformance.grading import Grade, Observed, grade
from gradio_transport_conformance.play import play, play_async

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

CASES = pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.name)


OF_SPACES = ("3.50.2", "6.31.0")
"""Versions that play the group "spaces" here. Its wire is that of the other cases, so that two are enough."""


def supported(case: Case, server: Server) -> None:
    if not case.applies(server.version):
        pytest.skip("not meant for this version")
    if case.group == "spaces" and server.version not in OF_SPACES:
        pytest.skip(f"played on {', '.join(OF_SPACES)}; recordings are made of more")
    reason = why_unsupported(case, server)
    if reason is not None:
        pytest.skip(f"UNSUPPORTED: {reason}")


def judge(case: Case, server: Server, face: str, observed: list[Observed]) -> None:
    result = grade(case, server.version, face, observed)
    assert result.grade in (Grade.PASS, Grade.KNOWN_FAIL), result.reason


@CASES
def test_case_by_threads(server: Server, case: Case) -> None:
    supported(case, server)
    judge(case, server, "sync", play(case, server.version, lambda name: server.scenario(name, case.variant)))


@CASES
def test_case_by_tasks(server: Server, case: Case) -> None:
    supported(case, server)

    async def run() -> list[Observed]:
        return await play_async(case, server.version, lambda name: server.scenario(name, case.variant))

    judge(case, server, "async", anyio.run(run))


@pytest.mark.parametrize("name", ["hello", "count", "crash"])
def test_what_was_recorded_replays_to_the_identical_events(server: Server, name: str, tmp_path: Path) -> None:
    case = find_case(name)
    supported(case, server)
    path = tmp_path / "trace.jsonl"
    with TraceWriter(path, redact=False) as tap:
        observed = play(case, server.version, lambda call: server.scenario(call), tap=tap)
    replayed = replay(read_trace(path))
    assert replayed.mismatches == []
    assert [list(one.events) for one in observed] == list(replayed.events.values())


def test_both_event_loops_see_the_same(server: Server) -> None:
    case = find_case("hello")

    async def run() -> list[Observed]:
        return await play_async(case, server.version, lambda name: server.scenario(name, case.variant))

    for backend in ("asyncio", "trio"):
        judge(case, server, backend, anyio.run(run, backend=backend))
