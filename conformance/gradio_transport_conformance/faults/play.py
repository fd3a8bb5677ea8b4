# SPDX-License-Identifier: Apache-2.0
"""Plays cells of the fault bench against a client, and grades what came of it.

A client is any callable that takes a `Challenge` and returns an `Outcome`.  Grading one's own takes this::

    @pytest.mark.parametrize("cell", load_cells(), ids=lambda cell: cell.name)
    def test_faults(cell):
        assert play_cell(cell, my_client) == []
"""

from __future__ import annotations

import contextlib
import io
import re
import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import attrs

import gradio_transport as gt
from gradio_transport.errors import GradioTransportError, Phase

from .cases import MEMORY, Cell, Expectation
from .connections import trusted
from .protocols import FILE_PHASES, GIVEN_NAME, PASSWORD, USER
from .server import SERVER_THREADS, serve_fault

BOUND_SECONDS = 10.0
"""No cell may take longer."""

BOUND_OF_LARGE_SECONDS = 60.0
"""Nor one of those that take more memory."""

CLOSING_SECONDS = 3.0
"""Closing waits for nobody; the rest is for a busy machine."""

QUIET_SECONDS = 0.4
"""The deadlines of a client whose server is told to be silent."""

_SURE = gt.Timeouts(
    connect=5, discover=5, login=5, upload=5, join=5, first_message=5, idle=5, total=8, download_stall=5
)  # fmt: skip
_LATER_SECONDS = 6 * QUIET_SECONDS
"""The same where it bounds what goes well before, too."""

_LONG = gt.Timeouts(total=60)
"""What is large takes its time on a busy machine."""

_TOTAL_SECONDS = 5 * QUIET_SECONDS

_SILENT_BESIDE: Mapping[str, gt.Timeouts] = {
    "upload": _SURE.replace(upload=QUIET_SECONDS),
    "download": _SURE.replace(download_stall=QUIET_SECONDS),
    "read": _SURE.replace(download_stall=QUIET_SECONDS),
    "login": _SURE.replace(login=QUIET_SECONDS),
    "heartbeat": _SURE,
}


@attrs.frozen(kw_only=True)
class Challenge:
    """What a client is to do: call function 0 with one text, read every event, return the outputs.

    In the place of an output that is a file it returns the file's content, as text.

    Attributes:
        url: Where.
        protocol: The adapter to use.
        timeouts: Deadlines in seconds.
        limits: Bounds in bytes and counts.
        settings: What the adapter takes besides.
        auth: User and password, for apps that want a login.
        file: What to give in the place of the text, as a file named ``given file.txt``.
        directory: Where to save files of the outputs before their content is read; None: read them at once.
        cancel: Cancel the call after its first yield.
        calls: How many calls to have on their way at once: each is made when the one before it is being
            processed, and what comes of the last one counts.
        after: How many calls to make before, one after the other, in the same session.
        authority: File of the certificate of whom to trust instead of the machine's authorities.
    """

    url: str
    protocol: str
    timeouts: gt.Timeouts
    limits: gt.Limits = attrs.field(factory=gt.Limits)
    settings: Mapping[str, Any] = attrs.field(factory=dict[str, Any])
    auth: tuple[str, str] | None = None
    file: bytes | None = None
    directory: Path | None = None
    cancel: bool = False
    calls: int = 1
    after: int = 0
    authority: str | None = None

    def options(self) -> dict[str, Any]:
        """Return the arguments of `connect`."""
        options = {"protocol": self.protocol, "timeouts": self.timeouts, "auth": self.auth}
        verify = True if self.authority is None else self.authority
        return {**options, "limits": self.limits, "verify": verify, **self.settings}

    @property
    def argument(self) -> Any:
        """The argument of the call."""
        return "x" if self.file is None else gt.handle_file(self.file, name=GIVEN_NAME)


@attrs.define(kw_only=True)
class Outcome:
    """What came of it: a value, or what was raised.

    Attributes:
        seconds: How long all of it took.
        closing: How long it took to close the client once the value was there; None: not measured.
    """

    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0
    closing: float | None = None

    def __str__(self) -> str:
        if self.error is None:
            return f"the value {str(self.value)[:100]}"
        return f"{type(self.error).__name__}: {str(self.error)[:300]}"


Client: TypeAlias = Callable[[Challenge], Outcome]


def sync_client(challenge: Challenge, engine: str = "httpx") -> Outcome:
    """Take a challenge by the sync face."""
    with gt.connect(challenge.url, **challenge.options(), engine=engine) as app:  # type: ignore[arg-type]
        for _ in range(challenge.after):
            app.call(0, "x")
        for _ in range(challenge.calls - 1):
            for event in app.submit(0, "x"):
                if isinstance(event, gt.events.ProcessStarts):
                    break
        call = app.submit(0, challenge.argument)
        for event in call:
            if challenge.cancel and isinstance(event, gt.ProcessGenerating):
                call.cancel()
        outcome = Outcome(value=[_taken(one, challenge.directory) for one in call.result()])
        began = time.monotonic()
    outcome.closing = time.monotonic() - began
    return outcome


def _taken(output: Any, directory: Path | None) -> Any:
    if not isinstance(output, gt.RemoteFile):
        return output
    content = output.read() if directory is None else output.download(directory).read_bytes()
    return content.decode("utf-8", "replace")


def async_client(challenge: Challenge, backend: str = "asyncio", engine: str = "httpx") -> Outcome:
    """Take a challenge by the async face."""
    import anyio

    return anyio.run(partial(_by_tasks, challenge, engine), backend=backend)


async def _by_tasks(challenge: Challenge, engine: str) -> Outcome:
    async with gt.connect_async(challenge.url, **challenge.options(), engine=engine) as app:  # type: ignore[arg-type]
        for _ in range(challenge.after):
            await app.call(0, "x")
        for _ in range(challenge.calls - 1):
            async for event in app.submit(0, "x"):
                if isinstance(event, gt.events.ProcessStarts):
                    break
        call = app.submit(0, challenge.argument)
        async for event in call:
            if challenge.cancel and isinstance(event, gt.ProcessGenerating):
                await call.cancel()
        outputs = [await _taken_by_tasks(one, challenge.directory) for one in await call.result()]
        outcome = Outcome(value=outputs)
        began = time.monotonic()
    outcome.closing = time.monotonic() - began
    return outcome


async def _taken_by_tasks(output: Any, directory: Path | None) -> Any:
    if not isinstance(output, gt.AsyncRemoteFile):
        return output
    if directory is None:
        content = await output.read()
    else:
        content = (await output.download(directory)).read_bytes()
    return content.decode("utf-8", "replace")


CLIENTS: Mapping[str, Client] = {
    "sync": sync_client,
    "sync+httpx2": partial(sync_client, engine="httpx2"),
    "asyncio": async_client,
    "trio": partial(async_client, backend="trio"),
    "asyncio+httpx2": partial(async_client, engine="httpx2"),
    "asyncio+aiohttp": partial(async_client, engine="aiohttp"),
}
"""This library's own faces; those with an engine need the extra of that name."""


def challenge_of(
    cell: Cell, url: str, authority: str | None = None, directory: Path | None = None
) -> Challenge:
    """Return what a client is to do against a server that plays a cell.

    Args:
        cell: The cell.
        url: Where the server is.
        authority: File of the certificate of whom to trust; None: the machine's authorities.
        directory: Where files are saved, in cells that save them; None: they are read.
    """
    return Challenge(
        url=url + cell.protocol.prefix if cell.protocol.kind == "chat" else url,
        protocol=cell.protocol.adapter,
        timeouts=_deadlines(cell).replace(**cell.fault.timeouts),
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


def _deadlines(cell: Cell) -> gt.Timeouts:
    """Return deadlines that are short where the server is silent, and only there: machines may be busy."""
    if cell.fault.memory > MEMORY:
        return _LONG
    if not cell.fault.silent:
        return _SURE
    if cell.phase in _SILENT_BESIDE:
        return _SILENT_BESIDE[cell.phase]
    if cell.phase == "config" and cell.fault.connection is not None:
        return _SURE.replace(connect=QUIET_SECONDS)
    if cell.fault.connection is not None or (cell.phase, cell.protocol.kind) == ("join", "websocket"):
        return _SURE.replace(connect=_LATER_SECONDS)
    if cell.phase in ("config", "info"):
        return _SURE.replace(discover=QUIET_SECONDS)
    if cell.expect.setting == "total":
        return _SURE.replace(total=_TOTAL_SECONDS)
    # Where the data of the call travel by the stream, silence is to begin when they have arrived.
    quiet = _LATER_SECONDS if cell.protocol.kind in ("own", "websocket") else QUIET_SECONDS
    silence = {"first_message": quiet, "idle": quiet, "total": max(_TOTAL_SECONDS, 2 * quiet)}
    return _SURE.replace(**silence, **({} if cell.phase == "stream" else {"join": quiet}))


def play_cell(cell: Cell, client: Client) -> list[str]:
    """Play a cell against a client, and return what is wrong with the outcome: nothing, if all is well."""
    with (
        TemporaryDirectory(prefix="fault-") as around,
        trusted(cell) as authority,
        serve_fault(cell) as server,
    ):
        directory = Path(around, "files")
        outcome = meet(client, challenge_of(cell, server.url, authority, directory))
        return grade(cell, outcome) + list(_left(Path(around), directory, outcome))


def _left(around: Path, directory: Path, outcome: Outcome) -> Iterable[str]:
    """Say what is on disk that should not be, after a client was told to save files in a directory."""
    found = sorted(one for one in around.rglob("*") if not one.is_dir())
    if any(one.parent != directory or one.is_symlink() or one.suffix == ".part" for one in found):
        yield f"left behind: {found}"
    if outcome.error is not None and found:
        yield f"left behind by a failure: {found}"


def meet(client: Client, challenge: Challenge) -> Outcome:
    """Return what comes of a challenge, whatever that is."""
    began = time.monotonic()
    try:
        outcome = client(challenge)
    except BaseExceptionGroup as group:
        outcome = Outcome(error=group)
    except (Exception, CancelledError) as error:  # noqa: BLE001 - everything that comes is to be graded
        outcome = Outcome(error=error)
    outcome.seconds = time.monotonic() - began
    return outcome


def play_cells(cells: Iterable[Cell], client: Client, workers: int = 16) -> dict[str, list[str]]:
    """Play cells at once, which is for those that wait in silence; return the names of bad ones and why."""

    def played(cell: Cell) -> tuple[str, list[str]]:
        return cell.name, play_cell(cell, client)

    with ThreadPoolExecutor(workers) as pool:
        return {name: wrong for name, wrong in pool.map(played, cells) if wrong}


# --- grading --------------------------------------------------------------------------------------------


def grade(cell: Cell, outcome: Outcome) -> list[str]:
    """Return what is wrong with an outcome."""
    wrong = list(_differences(cell, cell.expect, outcome))
    if outcome.seconds > (BOUND_SECONDS if cell.fault.memory <= MEMORY else BOUND_OF_LARGE_SECONDS):
        wrong.append(f"took {outcome.seconds:.1f} s")
    if outcome.closing is not None and outcome.closing > CLOSING_SECONDS:
        wrong.append(f"took {outcome.closing:.1f} s to close")
    if isinstance(outcome.error, GradioTransportError):
        wrong += _of_error(cell, outcome.error)
    return wrong


def _differences(cell: Cell, expect: Expectation, outcome: Outcome) -> Iterable[str]:
    error = outcome.error
    if expect.cancelled:
        if not isinstance(error, CancelledError):
            yield f"expected to be cancelled, got {outcome}"
        return
    if expect.error is None:
        right = cell.value if expect.value is True else expect.value
        if error is not None or not _same(outcome.value, right):
            yield f"expected {expect}, got {outcome}"
        return
    if type(error).__name__ != expect.error:
        yield f"expected {expect}, got {outcome}"
        return
    for name in ("status", "retryable", "may_have_run", "setting", "retry_after"):
        wanted = getattr(expect, name)
        if wanted is not None and getattr(error, name, None) != wanted:
            yield f"{name} is {getattr(error, name, None)!r}, expected {wanted!r}: {outcome}"


def _same(one: Any, other: Any) -> bool:
    # NaN is not equal to itself, and its repr is.
    return bool(one == other) or repr(one) == repr(other)


_PHASES: Mapping[str, tuple[Phase, ...]] = {
    "config": (Phase.DISCOVER,),
    "info": (Phase.DISCOVER,),
    "join": (Phase.JOIN, Phase.COMPLETE),
    "data": (Phase.JOIN, Phase.STREAM),
    "stream": (Phase.STREAM, Phase.COMPLETE),
    "cancel": (Phase.CANCEL,),
    "upload": (Phase.UPLOAD,),
    "download": (Phase.DOWNLOAD,),
    "read": (Phase.DOWNLOAD,),
    "login": (Phase.LOGIN,),
    "heartbeat": (),
}

_WITHOUT_ADAPTER = ("config", "info", "login", *FILE_PHASES)
"""Where no adapter has a part: before one is chosen, and after the call."""

_INTERNAL = re.compile(r"Please report|Traceback|object at 0x|<class |NoneType|KeyError|AttributeError")
"""What a message for people does not say."""


def _of_error(cell: Cell, error: GradioTransportError) -> Iterable[str]:
    if error.status is None and isinstance(error, gt.EndpointNotFound | gt.ValidationFailed):
        return  # found wrong on this side, before any call
    phases = _PHASES[cell.phase]
    if isinstance(error, gt.errors.QueueFull):
        phases = (*phases, Phase.JOIN)
    if cell.protocol.kind in ("own", "chat"):  # the stream is the join
        phases = (*phases, Phase.JOIN)
    if cell.protocol.kind in ("direct", "chat"):  # the reply to the join is all there is
        phases = (*phases, Phase.STREAM)
    if error.phase not in phases:
        yield f"phase is {error.phase}, expected {' or '.join(phases)}: {error}"
    if error.elapsed is None:
        yield f"elapsed is missing: {error}"
    if error.adapter != cell.protocol.adapter and cell.phase not in _WITHOUT_ADAPTER:
        yield f"adapter is {error.adapter!r}: {error}"
    if _INTERNAL.search(str(error)):
        yield f"the message is of no use to people: {error}"


@contextlib.contextmanager
def nothing_left_behind(seconds: float = 3.0) -> Generator[list[str], None, None]:
    """Collect complaints about threads that outlive the block, and about anything written to stderr."""
    before = set(threading.enumerate())
    complaints: list[str] = []
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        yield complaints
        ends = time.monotonic() + seconds
        for thread in set(threading.enumerate()) - before:
            # A silent server's own end in their own time; workers of the event loops serve the next loop.
            if thread.name in SERVER_THREADS or thread.name.startswith(("AnyIO", "Trio thread")):
                continue
            thread.join(max(0.0, ends - time.monotonic()))
            if thread.is_alive():
                complaints.append(f"the thread {thread.name} lives on")
    if said.getvalue():
        complaints.append(f"written to stderr: {said.getvalue()[:1000]}")


__all__ = [
    "CLIENTS", "Challenge", "Client", "Outcome", "grade", "meet", "nothing_left_behind", "play_cell",
    "play_cells",
]  # fmt: skip
