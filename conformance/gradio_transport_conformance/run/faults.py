# SPDX-License-Identifier: Apache-2.0
"""Cells of the fault bench as tasks of the driver protocol, and the grading of the answers.

An answer names kinds of errors, which are coarser than those of this library.  The grade checks that the
client returns a value or an error correctly, that it distinguishes an app's error from a failure of the
transport, and that it detects the failure without a deadline.
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import attrs

from gradio_transport.trace import Trace

from ..driver.messages import StepAnswer, Task, TaskStep
from ..driver.reading import AnswerFile, find_files
from ..faults.cases import Cell
from ..faults.listener import authority_file
from ..faults.play import make_challenge
from ..faults.protocols import GIVEN_NAME, PASSWORD, USER
from ..faults.server import serve_fault
from ..faults.tape import Tape
from ..grading import equal
from ..outcomes import STANDS_FOR
from .traffic import trace_text, with_calls

SILENT_SECONDS = 4.0
"""The deadline of a client whose server is silent."""

PATIENT_SECONDS = 10.0
"""The deadline if the server is not silent: an answer after it is too late."""

HEAVY_SECONDS = 60.0
"""The same for oversized data."""

_NO_ANSWER = ("refused", "lost", "usage")
"""Kinds that clients do not distinguish if no usable answer arrived."""


@attrs.frozen
class FaultServerAddress:
    """The URL of a fault's server, and the certificate authority to trust."""

    url: str
    authority: str | None


@contextmanager
def serve_cell(cell: Cell, tape: Tape | None = None) -> Generator[FaultServerAddress, None, None]:
    """Serve a cell on the loopback; a `tape` records the traffic."""
    with authority_file(cell) as authority, serve_fault(cell, tape=tape) as server:
        yield FaultServerAddress(make_challenge(cell, server.url).url, authority)


def why_not_a_task(cell: Cell) -> str | None:
    """Return why a cell cannot be a task of the driver protocol, or None."""
    if cell.protocol.settings:
        return f"the driver protocol has no settings such as {', '.join(cell.protocol.settings)}"
    return None


def fault_task(cell: Cell, url: str, authority: str | None) -> Task:
    """Return a cell as a task: call function 0 with one text, or with a file if the upload is faulty."""
    plain = TaskStep(endpoint="/count", fn_index=0, data=["x"])
    argument: Any = "x"
    if cell.phase == "upload":
        content = base64.b64encode(cell.content.encode()).decode()
        argument = {"$file": {"name": GIVEN_NAME, "base64": content}}
    last = TaskStep(
        endpoint="/count", fn_index=0, data=[argument], cancel_after=1 if cell.phase == "cancel" else None
    )
    challenge = make_challenge(cell, url)
    return Task(
        id=cell.name,
        url=url,
        groups=[*[[plain]] * cell.fault.after, [*[plain] * (cell.fault.calls - 1), last]],
        deadline=_deadline(cell),
        credentials=(USER, PASSWORD) if cell.phase == "login" else None,
        # With auto, clients use the protocol of the server's config; these two are offered in addition.
        protocol=cell.protocol.adapter if cell.protocol.kind in ("call", "chat") else "auto",
        limits=dict(cell.fault.limits),
        timeouts=_numbers(attrs.asdict(challenge.timeouts)),
        authority=authority,
    )


def _deadline(cell: Cell) -> float:
    if cell.fault.heavy:
        return HEAVY_SECONDS
    return SILENT_SECONDS if cell.expect.error == "TimeoutExpired" else PATIENT_SECONDS


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in values.items() if isinstance(value, int | float)}


def grade_fault_answer(cell: Cell, answers: Sequence[StepAnswer]) -> list[str]:
    """Return the problems of the answer to a cell; the last step counts."""
    answer, expect = answers[-1], cell.expect
    wanted = "CancelledError" if expect.cancelled else expect.error
    if wanted is None:
        right = cell.value if expect.value is True else expect.value
        if answer.error is None and equal(_as_text(list(answer.value or ())), right):
            return []
        return [f"expected {right!r}, got {_describe(answer)}"]
    if answer.error is None:
        return [f"expected {wanted}, got {_describe(answer)}"]
    kind = answer.error.kind
    allowed = set[str]().union(*(STANDS_FOR[one] for one in _NO_ANSWER if kind in _NO_ANSWER))
    if wanted in STANDS_FOR[kind] | allowed:
        return []
    return [f"expected {wanted}, got {_describe(answer)}"]


def fault_trace(cell: Cell, tape: Tape | None) -> str | None:
    """Return the traffic of a cell as a trace file; None if none was kept, or no request was received."""
    if tape is None or not tape.frames:
        return None
    return trace_text(with_calls(Trace({"fault": cell.name}, tuple(tape.frames))))


def _as_text(value: Any) -> Any:
    """Return a value with the content of a file, as text, in place of the file."""
    if isinstance(value, list):
        return [_as_text(one) for one in cast("list[Any]", value)]
    if isinstance(value, dict) and "$file" in value:
        files: list[AnswerFile] = find_files(cast("Any", value))
        return files[0].content.decode("utf-8", "replace")
    return cast("Any", value)


def _describe(answer: StepAnswer) -> str:
    if answer.error is not None:
        return f"{answer.error.kind}: {answer.error.message[:200]}"
    return f"the value {str(answer.value)[:200]}"


__all__ = [
    "FaultServerAddress", "fault_task", "fault_trace", "grade_fault_answer", "serve_cell", "why_not_a_task",
]  # fmt: skip
