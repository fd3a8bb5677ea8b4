# SPDX-License-Identifier: Apache-2.0
"""`survey`, and the iterator that it returns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..bulk import Outcomes
from ..bulk.faces import make_plan
from .result import SurveyResult
from .settings import TIMEOUT, SurveySettings
from .sources import check_iterable, distinct_sources, without_secrets
from .work import Examinations, result_of


def survey(
    sources: Iterable[str],
    *,
    at_once: int | None = None,
    rate: float | None = None,
    timeout: float = TIMEOUT,
    verify: bool = True,
    in_order: bool = False,
    journal: str | Path | None = None,
    redo_failed: bool = False,
    executor: Any = None,
    workers: int | None = None,
) -> Survey:
    """Examine many apps, and iterate over what is found of each: whether it answers, and why not.

    Each app is looked at as the doctor does, up to its protocol: name, connection, TLS, redirects, config,
    login, and an adapter for each endpoint. Nothing is called, no stream is opened, and a Space that sleeps
    is not woken. An app that fails is a result, and never an error of the survey. No token and no login is
    sent but those in a source's own URL.

    Sources are read as they are needed. At most some 300 are begun or read and not yet handed over.

    Args:
        sources: URLs of apps and names of Spaces, such as an open file with one a line. Empty lines, and what
            follows a ``#``, are left out. An app that is named twice is examined once.
        at_once: Apps that are examined at once. None: 16, or 16 on each worker.
        rate: Apps that are begun in a second, at most. The Hub limits the requests of one address.
        timeout: Seconds for each app.
        verify: Whether certificates are checked.
        in_order: Hand results over in the order of the sources, and not as they are done.
        journal: Path of a file that keeps each result. A later run with the same journal and the same
            sources examines only the rest.
        redo_failed: Examine apps of the journal again that did not answer for a reason that may pass, such as
            no connection; see `Reason.is_passing`.
        executor: Where apps are examined: a ``concurrent.futures.Executor``, a ``dask.distributed.Client``,
            or the module ``ray``. The journal and the results stay here.
        workers: How many workers there are. By default one for each worker of Dask, node of Ray, or CPU here.

    Raises:
        LocalProtocolError: A setting cannot be used. The iterator raises it for sources that are no texts,
            for a journal of other sources, and with an `executor` for a source that holds a login.
        TransportError: Raised by the iterator if all workers of the `executor` are lost.
    """
    settings = SurveySettings(at_once=at_once, rate=rate, timeout=timeout, verify=verify)
    rows = distinct_sources(check_iterable(sources))
    plan = make_plan(
        Examinations(settings), rows if executor is None else without_secrets(rows), executor=executor,
        workers=workers, journal=journal, in_order=in_order, redo_failed=redo_failed,
    )  # fmt: skip
    return Survey(Outcomes(plan))


class Survey:
    """The results of `survey`: iterate over them, once. ``with`` ends the survey with the block."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def __iter__(self) -> Iterator[SurveyResult]:
        return self

    def __next__(self) -> SurveyResult:
        return result_of(next(self._outcomes))

    def stop(self) -> None:
        """Begin no further app; the iteration ends when those under way are done. From any thread."""
        self._outcomes.stop()

    def close(self) -> None:
        """End the survey, and leave the apps that are being examined. Idempotent."""
        self._outcomes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
