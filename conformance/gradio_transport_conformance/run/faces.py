# SPDX-License-Identifier: Apache-2.0
"""Grades this library itself, in process: each of its interfaces over each HTTP library."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from functools import partial
from importlib.metadata import version as distribution_version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs

from gradio_transport.trace import TraceWriter

from ..faults.clients import CLIENTS
from ..faults.play import play_cell
from ..faults.tape import Tape
from ..grading import Grade, Observed, grade
from ..outcomes import outcome_of
from ..play import play, play_async
from .faults import fault_trace
from .players import SEVERAL_APPS, Identity, can_serve, case_result, fault_result
from .results import CellResult
from .selection import CaseCell, FaultCell
from .serving import CaseServer, ServeMode, serve_case
from .tasks import Place, places


@attrs.frozen
class Face:
    """An interface of this library.

    Attributes:
        backend: The event loop; None: threads.
        engine: The HTTP library.
        fault_client: Its name on the fault bench.
    """

    backend: str | None
    engine: str
    fault_client: str


FACES: Mapping[str, Face] = {
    "sync": Face(None, "httpx", "sync"),
    "sync+httpx2": Face(None, "httpx2", "sync+httpx2"),
    "asyncio": Face("asyncio", "httpx", "asyncio"),
    "asyncio+httpx2": Face("asyncio", "httpx2", "asyncio+httpx2"),
    "trio": Face("trio", "httpx", "trio"),
    "aiohttp": Face("asyncio", "aiohttp", "asyncio+aiohttp"),
}
"""The interfaces by name; those with an engine need the extra of that name."""


class FacePlayer:
    """Plays cells with one of the interfaces.

    Args:
        name: One of `FACES`.
        mode: How recordings are served.
        record: Whether the traffic is recorded.
    """

    def __init__(self, name: str, mode: ServeMode, *, record: bool = False) -> None:
        self._name = name
        self._face = FACES[name]
        self._mode = mode
        self._record = record

    @property
    def identity(self) -> Identity:
        """The library, with the name of the interface."""
        return Identity(
            name=f"gradio-transport {distribution_version('gradio-transport')} ({self._name})",
            language=f"Python {platform.python_version()}",
        )

    def close(self) -> None:
        """Do nothing: no resources are held between two cells."""

    def play_case(self, cell: CaseCell) -> CellResult:
        """Play a case."""
        if not can_serve(cell, self._mode):
            return case_result(cell, Grade.OFF_TAPE, reason=SEVERAL_APPS)
        with (
            TemporaryDirectory(prefix="conformance-") as folder,
            serve_case(cell.version, cell.case.name, self._mode) as server,
        ):
            began = time.monotonic()
            path = Path(folder, "trace.jsonl")
            meta = {"case": cell.case.name, "gradio": cell.version}
            with TraceWriter(path, meta=meta) as tap:
                observed = self._play(cell, server, tap if self._record else None)
            seconds = time.monotonic() - began
            trace = path.read_text("utf-8") if self._record else None
        graded = grade(cell.case, cell.version, self._name, observed)
        is_off_tape = bool(server.off_tape)
        return case_result(
            cell,
            Grade.OFF_TAPE if is_off_tape else graded.grade,
            reason=server.off_tape[0] if is_off_tape else graded.reason,
            answer=[_shown(one) for one in observed],
            findings=server.findings,
            off_tape=server.off_tape,
            seconds=seconds,
            trace=trace,
        )

    def _play(self, cell: CaseCell, server: CaseServer, tap: Any) -> list[Observed]:
        where = places(cell.version, cell.case.name)

        def locate(name: str) -> Place:
            return where.find(name, server.url, server.urls)

        face = self._face
        if face.backend is None:
            return play(cell.case, cell.version, locate, tap=tap, engine=face.engine)
        import anyio

        run = partial(play_async, cell.case, cell.version, locate, tap=tap, engine=face.engine)
        return anyio.run(run, backend=face.backend)

    def play_fault(self, cell: FaultCell) -> CellResult:
        """Play a fault, graded in full: the class of the error, its status, whether it may be retried."""
        began = time.monotonic()
        tape = Tape() if self._record else None
        problems = play_cell(cell.cell, CLIENTS[self._face.fault_client], tape)
        trace = fault_trace(cell.cell, tape)
        return fault_result(cell, problems, seconds=time.monotonic() - began, trace=trace)


def _shown(observed: Observed) -> dict[str, Any]:
    outcome = outcome_of(observed)
    return {
        "value": outcome.value,
        "yields": outcome.yields,
        "events": outcome.events,
        "error": None if outcome.error is None else str(outcome.error),
        "adapter": outcome.adapter,
        "files": [file.name for file in outcome.files or ()],
    }


__all__ = ["FACES", "Face", "FacePlayer"]
