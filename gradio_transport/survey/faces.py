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
    """Examine many apps, and iterate over the results: whether each answers, and why not.

    Each app is checked as by the doctor, up to its protocol: name, connection, TLS, redirects, config, login,
    and an adapter for each endpoint. No function is called, no stream is opened, and no sleeping Space is
    woken. An app that fails is a result, never an error of the survey. No token and no login is sent, except
    those in a source's own URL.

    Sources are read on demand. At most about 300 are read ahead of the results that you take.

    Args:
        sources: URLs of apps and names of Spaces, such as an open file with one per line. Empty lines, and
            text after a ``#``, are ignored. An app that is listed twice is examined once.
        at_once: Apps examined at once. None means 16, or 16 on each worker.
        rate: The most apps started per second. The Hub limits the requests from one address.
        timeout: Seconds for each app.
        verify: Whether TLS certificates are verified.
        in_order: Return results in the order of the sources, not of completion.
        journal: Path of a file that keeps each result. A later run with the same journal and the same
            sources examines only the rest.
        redo_failed: Examine those apps of the journal again that did not answer for a temporary reason, such
            as no connection; see `Reason.is_passing`.
        executor: Runs the examinations: a ``concurrent.futures.Executor``, a ``dask.distributed.Client``, or
            the module ``ray``. The journal and the results stay in this process.
        workers: Number of workers. By default one for each worker of Dask, node of Ray, or local CPU.

    Raises:
        LocalProtocolError: A setting cannot be used. The iterator raises it for sources that are not texts,
            for a journal of other sources, and with an `executor` for a source that contains a login.
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
    """The results of `survey`. Iterate over them once. A ``with`` block ends the survey at its end."""

    def __init__(self, outcomes: Outcomes) -> None:
        self._outcomes = outcomes

    def __iter__(self) -> Iterator[SurveyResult]:
        return self

    def __next__(self) -> SurveyResult:
        return result_of(next(self._outcomes))

    def stop(self) -> None:
        """Start no further app. The iteration ends after the running ones. Callable from any thread."""
        self._outcomes.stop()

    def close(self) -> None:
        """End the survey, and abandon the running examinations. Idempotent."""
        self._outcomes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
