# SPDX-License-Identifier: Apache-2.0
"""`map` and `amap`, and the iterators that they return."""

from __future__ import annotations

import asyncio
import queue
import threading
import warnings
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import attrs

from ..aio import AsyncTransport
from ..errors import LocalProtocolError
from .calling import Calls
from .outcome import Outcome
from .rows import Rows
from .running import Run, first_of
from .settings import Settings
from .sources import Source, as_sources, is_connected
from .work import Runner, Work


@attrs.frozen
class Plan:
    """The plan of a run, from the arguments of its caller.

    Attributes:
        rows: The source of the rows.
        work: The work for each row.
        runner: Creates the runner.
        journal: Path of the journal, or None.
        in_order: Whether outcomes are in the order of the rows.
        redo_failed: Whether rows that failed in an earlier run are repeated.
    """

    rows: Any
    work: Work
    runner: Callable[[], Runner]
    journal: str | Path | None
    in_order: bool
    redo_failed: bool

    def start(self, deliver: Callable[[Outcome], None]) -> Run:
        """Return the run, which passes each outcome to a function."""
        return Run(
            self.rows,
            self.work,
            self.runner(),
            journal=self.journal,
            in_order=self.in_order,
            redo_failed=self.redo_failed,
            deliver=deliver,
        )


def make_plan(
    work: Work,
    rows: Any,
    *,
    executor: Any,
    workers: int | None,
    journal: str | Path | None,
    in_order: bool,
    redo_failed: bool,
) -> Plan:
    """Return the plan of a run in this process or on the workers of an engine; see `map`.

    Raises:
        LocalProtocolError: There is no such engine, or the work cannot be sent to its workers.
    """
    runner = work.runner
    if executor is not None:
        from .executors import runner_on

        runner = runner_on(executor, work, workers)
    return Plan(rows, work, runner, journal, in_order, redo_failed)


def map(  # noqa: A001 - what concurrent.futures and multiprocessing call it too
    source: Source | Iterable[Source],
    endpoint: str | int,
    rows: Rows,
    *,
    at_once: int | None = None,
    rate: float | None = None,
    in_order: bool = False,
    timeout: float | None = None,
    repeatable: bool = False,
    attempts: int = 3,
    patience: float = 300.0,
    files: Iterable[str | int] = (),
    files_to: str | Path | None = None,
    journal: str | Path | None = None,
    redo_failed: bool = False,
    late: bool | None = None,
    executor: Any = None,
    workers: int | None = None,
) -> Outcomes:
    """Call an endpoint once for each row, concurrently, and iterate over the outcomes.

    The run has its own thread, which starts when you ask for the first outcome. Another thread reads the rows
    on demand. At most about 300 rows are read ahead of the outcomes that you take, so neither rows nor
    outcomes need to fit into memory.

    Args:
        source: The app: a URL, the name of a Space, a transport of `connect_async` that is not entered, or a
            function that returns one. Or several of these that serve the same endpoint: each call goes to the
            one with the lowest load.
        endpoint: Its name, or its ``fn_index``.
        rows: Mappings of values by the names of parameters, or sequences of values by position: any iterable,
            or a table of Arrow, pandas or polars.
        at_once: Concurrent calls, over all sources. None means as many as keep the servers busy: the number
            starts at 8 for each source, and rises until calls wait in the queue, at most to 64.
        rate: The most calls started per second.
        in_order: Return outcomes in the order of the rows, not of completion.
        timeout: Seconds for each call. A longer call is cancelled, and its row is in doubt.
        repeatable: Whether the function may run twice for a row. If so, a call whose result is unknown is
            made again.
        attempts: The most calls for such a row in one run.
        patience: Seconds without an answer of any source after which the run ends with the error. Until then
            it waits, so no row fails because a server restarts.
        files: Names or positions of parameters whose values are paths or URLs of files to send.
        files_to: Directory that files of the outputs are downloaded to, with a subdirectory for each row.
        journal: Path of a file that keeps the state of each row. A later run with the same journal and the
            same rows runs only the missing ones. Its contents are as confidential as the outputs.
        redo_failed: Call rows again that failed in an earlier run of the journal, if the function has not run
            or is `repeatable`.
        late: Whether a call's stream is opened only when its result should be ready. Until then the call
            survives the end of this process, and a later run of the journal fetches its result (4.9+). Each
            call then needs its own session and stream. None means yes with a journal, if the function is not
            `repeatable` and runs for a second or longer.
        executor: Makes the calls: a ``concurrent.futures.Executor``, a ``dask.distributed.Client``, or the
            module ``ray``. The journal and the outcomes stay in this process.
        workers: Number of workers. By default one for each worker of Dask, node of Ray, or local CPU.

    Raises:
        LocalProtocolError: A setting cannot be used. The iterator raises other errors.
    """
    sources = as_sources(source)
    for one in sources:
        if isinstance(one, AsyncTransport) and is_connected(one):
            raise LocalProtocolError(
                "map runs on its own thread and cannot use a transport that is already entered. Use amap, "
                "or pass connect_async(...) without entering it."
            )
    return Outcomes(
        _plan_calls(
            sources, rows, endpoint=endpoint, at_once=at_once, rate=rate, in_order=in_order, timeout=timeout,
            repeatable=repeatable, attempts=attempts, patience=patience, files=files, files_to=files_to,
            journal=journal, redo_failed=redo_failed, late=late, executor=executor, workers=workers,
        )
    )  # fmt: skip


def amap(
    source: Source | Iterable[Source],
    endpoint: str | int,
    rows: Rows,
    *,
    at_once: int | None = None,
    rate: float | None = None,
    in_order: bool = False,
    timeout: float | None = None,
    repeatable: bool = False,
    attempts: int = 3,
    patience: float = 300.0,
    files: Iterable[str | int] = (),
    files_to: str | Path | None = None,
    journal: str | Path | None = None,
    redo_failed: bool = False,
    late: bool | None = None,
    executor: Any = None,
    workers: int | None = None,
) -> AsyncOutcomes:
    """Call an endpoint once for each row, as `map` does, in the running event loop.

    Enter the result with ``async with amap(...) as outcomes``, and iterate. A transport may already be
    entered; it then stays open. `rows` may also be an async iterable.
    """
    return AsyncOutcomes(
        _plan_calls(
            as_sources(source), rows, endpoint=endpoint, at_once=at_once, rate=rate, in_order=in_order,
            timeout=timeout, repeatable=repeatable, attempts=attempts, patience=patience, files=files,
            files_to=files_to, journal=journal, redo_failed=redo_failed, late=late, executor=executor,
            workers=workers,
        )
    )  # fmt: skip


def _plan_calls(
    sources: Sequence[Source],
    rows: Rows,
    *,
    late: bool | None,
    repeatable: bool,
    journal: str | Path | None,
    in_order: bool,
    redo_failed: bool,
    executor: Any,
    workers: int | None,
    **settings: Any,
) -> Plan:
    """Return the plan of a run of calls; the parameters are those of `map`."""
    if late is None and (journal is None or repeatable):
        late = False
    return make_plan(
        Calls(sources, Settings(late=late, repeatable=repeatable, **settings)), rows, executor=executor,
        workers=workers, journal=journal, in_order=in_order, redo_failed=redo_failed,
    )  # fmt: skip


class AsyncOutcomes:
    """The outcomes of `amap`: enter it with ``async with``, then iterate."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ready: deque[Outcome] = deque()
        self._changed = anyio.Event()
        self._run: Run | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._over = False
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        if self._run is not None:
            raise LocalProtocolError("The run was entered twice.")
        self._run = self._plan.start(self._put)
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._work, self._run)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._run is not None  # noqa: S101 - it is entered
        assert self._tasks is not None  # noqa: S101
        self._run.cancel()
        # The task group does not get the block's exception, because it would wrap it in an ExceptionGroup.
        await self._tasks.__aexit__(None, None, None)

    def stop(self) -> None:
        """Begin no further row; the iteration ends when those under way are done."""
        if self._run is not None:
            self._run.stop()

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return self

    async def __anext__(self) -> Outcome:
        if self._run is None:
            raise LocalProtocolError("The run is not entered: use it as 'async with amap(...) as outcomes'.")
        while not self._ready:
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            if self._over:
                raise StopAsyncIteration
            self._changed = anyio.Event()
            await self._changed.wait()
        self._run.take()
        return self._ready.popleft()

    def _put(self, outcome: Outcome) -> None:
        self._ready.append(outcome)
        self._changed.set()

    async def _work(self, run: Run) -> None:
        try:
            await run.run()
        except Exception as error:  # noqa: BLE001 - raised by the iterator
            self._error = first_of(error)
        finally:
            self._over = True
            self._changed.set()


class Outcomes:
    """The outcomes of a run, such as of `map`. Iterate once. A ``with`` block ends the run at its end.

    If you leave a run early, its running calls are cancelled on the server, or left to a later run if the
    journal has their handles.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._work: _ThreadedRun | None = None
        self._turn = threading.Lock()
        self._closed = False

    def __iter__(self) -> Iterator[Outcome]:
        return self

    def __next__(self) -> Outcome:
        with self._turn:  # threads may share the outcomes
            if self._closed:
                raise StopIteration
            if self._work is None:
                self._work = _ThreadedRun(self._plan)
                weakref.finalize(self, self._work.abandon)
            found = self._work.get()
            if isinstance(found, Outcome):
                return found
            self.close()
        if found is None:
            raise StopIteration
        raise found

    def stop(self) -> None:
        """Start no further row. The iteration ends after the running ones. Callable from any thread."""
        if self._work is None:
            self._closed = True
        else:
            self._work.call(Run.stop)

    def close(self) -> None:
        """End the run, and wait for its thread. Idempotent."""
        self._closed = True
        if self._work is not None:
            self._work.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


_TAKEN_TOGETHER = 16
"""The number of taken outcomes after which the loop is notified. Waking it for each would cost too much."""


class _ThreadedRun:
    """A run on its own thread, with an asyncio event loop."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ready: queue.SimpleQueue[list[Outcome] | BaseException | None] = queue.SimpleQueue()
        self._taken: deque[Outcome] = deque()
        self._ended: list[Outcome] = []
        self._started = threading.Event()
        self._run: Run | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._untold = 0
        self._over = False
        self._thread = threading.Thread(target=self._main, name="gradio-transport run", daemon=True)
        self._thread.start()

    def get(self) -> Outcome | BaseException | None:
        """Wait for the next outcome, or for the end: an error or None."""
        while not self._taken:
            found = self._ready.get()
            if not isinstance(found, list):
                return found
            self._taken.extend(found)
        self._untold += 1
        if self._untold >= _TAKEN_TOGETHER:
            count, self._untold = self._untold, 0
            self.call(Run.take, count)
        return self._taken.popleft()

    def call(self, method: Callable[..., None], *arguments: Any) -> None:
        """Call a method of the run on its loop. After the end of the loop it does nothing."""
        self._started.wait()
        if self._run is not None and self._loop is not None and not self._over:
            try:
                self._loop.call_soon_threadsafe(method, self._run, *arguments)
            except RuntimeError:  # the loop is closed
                self._over = True

    def close(self) -> None:
        """Cancel the run, and wait for its end."""
        self.call(Run.cancel)
        self._thread.join()

    def abandon(self) -> None:
        """Cancel a run whose iterator was garbage-collected."""
        if self._thread.is_alive() and not self._over:
            warnings.warn("a run over rows was not finished or closed", ResourceWarning, stacklevel=2)
            self.call(Run.cancel)

    def _main(self) -> None:
        end: BaseException | None = None
        try:
            anyio.run(self._work)
        except BaseException as error:  # noqa: BLE001 - raised in the caller's thread
            end = first_of(error)
        finally:
            self._over = True
            self._started.set()
            self._hand_over()
            self._ready.put(end)

    async def _work(self) -> None:
        self._loop = loop = asyncio.get_running_loop()

        def deliver(outcome: Outcome) -> None:
            if not self._ended:
                loop.call_soon(self._hand_over)
            self._ended.append(outcome)

        self._run = self._plan.start(deliver)
        self._started.set()
        await self._run.run()

    def _hand_over(self) -> None:
        """Hand over what has ended in one turn of the loop.

        Why not each outcome at once: it wakes the caller's thread, which then takes the interpreter from this
        one whenever the journal is written.
        """
        if self._ended:
            ended, self._ended = self._ended, []
            self._ready.put(ended)
