# SPDX-License-Identifier: Apache-2.0
"""Plays cells of the fault bench against a client, and grades the outcomes.

To grade a client of your own::

    @pytest.mark.parametrize("cell", load_cells(), ids=lambda cell: cell.name)
    def test_faults(cell):
        assert play_cell(cell, my_client) == []
"""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import attrs

import gradio_transport as gt

from .cases import Cell
from .clients import Challenge, Client, Outcome
from .grading import BOUND_OF_SILENT_SECONDS, grade
from .listener import authority_file
from .protocols import PASSWORD, USER
from .server import SERVER_THREADS, serve_fault
from .tape import Tape

QUIET_SECONDS = 0.4
"""The deadlines of a client whose server is silent."""

_NEVER_REACHED = gt.Timeouts(
    connect=60, discover=60, login=60, upload=60, join=60,
    first_message=60, idle=60, total=60, download_stall=60,
)  # fmt: skip
"""Deadlines longer than a cell may take, so that they do not expire on a busy machine."""

_LATER_SECONDS = 6 * QUIET_SECONDS
"""The same if the deadline also covers proper requests before the silence."""

_TOTAL_SECONDS = 5 * QUIET_SECONDS

_WAITING_WORKERS = 16
"""The number of cells that are played at once if they mostly wait."""

_SILENT_BESIDE: Mapping[str, gt.Timeouts] = {
    "upload": _NEVER_REACHED.replace(upload=QUIET_SECONDS),
    "download": _NEVER_REACHED.replace(download_stall=QUIET_SECONDS),
    "read": _NEVER_REACHED.replace(download_stall=QUIET_SECONDS),
    "login": _NEVER_REACHED.replace(login=QUIET_SECONDS),
    "heartbeat": _NEVER_REACHED,
}


def make_challenge(
    cell: Cell, url: str, authority: str | None = None, directory: Path | None = None
) -> Challenge:
    """Return the task for a client whose server plays a cell.

    Args:
        cell: The cell.
        url: The URL of the server.
        authority: The path of a CA certificate to trust; None: the system's.
        directory: Where to save the files of cells that save them; None: they are read into memory.
    """
    return Challenge(
        url=url + cell.protocol.prefix if cell.protocol.kind == "chat" else url,
        protocol=cell.protocol.adapter,
        timeouts=_timeouts(cell).replace(**cell.fault.timeouts),
        limits=gt.Limits(**cell.fault.limits),
        settings=cell.protocol.settings,
        auth=(USER, PASSWORD) if cell.phase == "login" else None,
        file=cell.content.encode() if cell.phase == "upload" else None,
        directory=directory if cell.phase == "download" else None,
        cancel=cell.phase == "cancel",
        calls=cell.fault.calls,
        after=cell.fault.after,
        authority=authority,
    )


def _timeouts(cell: Cell) -> gt.Timeouts:
    """Return deadlines that are short only if the server is silent, because the machine may be busy."""
    if not cell.fault.silent:
        return _NEVER_REACHED
    if cell.phase in _SILENT_BESIDE:
        # If the correct outcome is not a timeout, a short deadline could only fail on a busy machine.
        return _SILENT_BESIDE[cell.phase] if cell.expect.error == "TimeoutExpired" else _NEVER_REACHED
    if cell.phase == "config" and cell.fault.connection is not None:
        return _NEVER_REACHED.replace(connect=QUIET_SECONDS)
    if cell.fault.connection is not None or (cell.phase, cell.protocol.kind) == ("join", "websocket"):
        return _NEVER_REACHED.replace(connect=_LATER_SECONDS)
    if cell.phase in ("config", "info"):
        return _NEVER_REACHED.replace(discover=QUIET_SECONDS)
    if cell.expect.setting == "total":
        return _NEVER_REACHED.replace(total=_TOTAL_SECONDS)
    # If the stream also carries the data of the call, the silence begins only after they have arrived.
    quiet = _LATER_SECONDS if cell.protocol.kind in ("own", "websocket") else QUIET_SECONDS
    silence = {"first_message": quiet, "idle": quiet, "total": max(_TOTAL_SECONDS, 2 * quiet)}
    return _NEVER_REACHED.replace(**silence, **({} if cell.phase == "stream" else {"join": quiet}))


def play_cell(cell: Cell, client: Client, tape: Tape | None = None) -> list[str]:
    """Play a cell against a client, and return the problems of the outcome; none if it is right.

    Args:
        cell: The cell.
        client: The client.
        tape: Keeps the traffic.
    """
    with (
        TemporaryDirectory(prefix="fault-") as around,
        authority_file(cell) as authority,
        serve_fault(cell, tape=tape) as server,
    ):
        directory = Path(around, "files")
        outcome = run_client(client, make_challenge(cell, server.url, authority, directory))
        return grade(cell, outcome) + list(_leftover_files(Path(around), directory, outcome))


def _leftover_files(around: Path, directory: Path, outcome: Outcome) -> Iterable[str]:
    """Yield a problem for each file that a client left behind in or beside its download directory."""
    found = sorted(path for path in around.rglob("*") if not path.is_dir())
    if any(path.parent != directory or path.is_symlink() or path.suffix == ".part" for path in found):
        yield f"left behind: {found}"
    if outcome.error is not None and found:
        yield f"left behind by a failure: {found}"


def run_client(client: Client, challenge: Challenge) -> Outcome:
    """Run a challenge, and return its outcome, which may be any error."""
    began = time.monotonic()
    try:
        outcome = client(challenge)
    except BaseExceptionGroup as group:
        outcome = Outcome(error=group)
    except (Exception, CancelledError) as error:  # noqa: BLE001 - every error is an outcome to grade
        outcome = Outcome(error=error)
    outcome.seconds = time.monotonic() - began
    return outcome


def play_cells(cells: Iterable[Cell], client: Client, workers: int = 4) -> dict[str, list[str]]:
    """Play cells at once, and return the problems of those that have any, by the cell's name.

    Args:
        cells: The cells.
        client: The client.
        workers: The number of cells to play at once; cells that mostly wait use more.
    """

    def play(cell: Cell) -> tuple[str, list[str]]:
        return cell.name, play_cell(cell, client)

    # A cell that waits for a deadline takes seconds and no CPU; any other takes milliseconds of CPU. They do
    # not run together: with so many, a deadline could expire before its server is silent.
    patient, brisk = _partition(cells)
    found: list[tuple[str, list[str]]] = []
    for most, group in ((workers, brisk), (_WAITING_WORKERS, patient)):
        with ThreadPoolExecutor(most) as pool:
            found += pool.map(play, group)
    return {name: problems for name, problems in found if problems}


def _partition(cells: Iterable[Cell]) -> tuple[list[Cell], list[Cell]]:
    """Return the cells that mostly wait, those with the longest deadlines first, and the others."""
    listed = list(cells)
    waiting = [cell for cell in listed if _mostly_waits(cell)]
    others = [cell for cell in listed if not _mostly_waits(cell)]
    return sorted(waiting, key=_longest_silence, reverse=True), others


def _mostly_waits(cell: Cell) -> bool:
    reply = cell.fault.reply or {}
    return not cell.fault.heavy and (cell.fault.silent or "drip" in reply or reply.get("then") == "hold")


def _longest_silence(cell: Cell) -> float:
    """Return the longest of the short deadlines of a cell, which is about how long it takes."""
    timeouts = attrs.asdict(make_challenge(cell, "").timeouts)
    short = [value for name, value in timeouts.items() if value != getattr(_NEVER_REACHED, name)]
    return max(
        (seconds for seconds in short if isinstance(seconds, float | int)), default=BOUND_OF_SILENT_SECONDS
    )


@contextlib.contextmanager
def check_leftovers(seconds: float = 3.0) -> Generator[list[str], None, None]:
    """Collect problems: threads that outlive the block, and anything written to stderr."""
    before = set(threading.enumerate())
    complaints: list[str] = []
    written = io.StringIO()
    with contextlib.redirect_stderr(written):
        yield complaints
        ends = time.monotonic() + seconds
        for thread in set(threading.enumerate()) - before:
            # A silent server's own end in their own time; workers of the event loops serve the next loop.
            if thread.name in SERVER_THREADS or thread.name.startswith(("AnyIO", "Trio thread")):
                continue
            thread.join(max(0.0, ends - time.monotonic()))
            if thread.is_alive():
                complaints.append(f"the thread {thread.name} lives on")
    if written.getvalue():
        complaints.append(f"written to stderr: {written.getvalue()[:1000]}")


__all__ = ["check_leftovers", "make_challenge", "play_cell", "play_cells", "run_client"]
