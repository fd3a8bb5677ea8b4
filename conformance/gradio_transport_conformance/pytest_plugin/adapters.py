# SPDX-License-Identifier: Apache-2.0
"""`AdapterConformance`: the tests that an adapter inherits, of traces of its own."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

if TYPE_CHECKING:
    from gradio_transport.adapter import Adapter
    from gradio_transport.adapter.registry import Registry
    from gradio_transport.trace import Replay, Trace

_MOST_PROBLEMS = 10

_NO_TRACE = (
    "There is no trace (*.jsonl) in {}. Record one from a real server: "
    "gt.connect(url, tap=TraceWriter(path))."
)


class AdapterConformance:
    """Tests of an adapter: each trace of a folder is replayed to it, without any I/O.

    ```python
    class TestShout(AdapterConformance):
        adapter = "shout"
    ```

    Attributes:
        adapter: The name of an installed adapter, or an adapter's class.
        traces: The folder of the traces, beside the test file.
    """

    adapter: ClassVar[str | type[Adapter]]
    traces: ClassVar[str] = "traces"

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Make a test for each trace."""
        if "gradio_trace" not in metafunc.fixturenames:
            return
        folder = metafunc.definition.path.parent / self.traces
        paths = sorted(folder.glob("**/*.jsonl"))
        names = [path.relative_to(folder).with_suffix("").as_posix() for path in paths]
        # Without a trace there is one test, which fails; without parameters it would be skipped.
        metafunc.parametrize("gradio_trace", paths or [folder], ids=names or ["no-trace"])

    def test_it_replays_as_it_was_recorded(self, gradio_trace: Path) -> None:
        """The adapter sends the recorded requests and yields legal events; no channel is left open."""
        self._replay(gradio_trace)

    def test_chunks_make_no_difference(self, gradio_trace: Path) -> None:
        """The events are the same for every split of the streams' bytes: byte by byte, or at random."""
        from ..replay.machine import check_chunkings

        _judge(check_chunkings(*self._replay(gradio_trace), registry=self._registry()))

    def test_calls_can_be_cancelled_at_any_point(self, gradio_trace: Path) -> None:
        """A call that is cancelled before any input ends exactly once; no channel is left open."""
        from ..replay.machine import check_cancellations

        _judge(check_cancellations(*self._replay(gradio_trace), registry=self._registry()))

    def _replay(self, path: Path) -> tuple[Trace, Replay]:
        """Replay a trace as it was recorded, and fail if the adapter behaves differently."""
        from gradio_transport.errors import GradioTransportError
        from gradio_transport.trace import read_trace

        from ..replay.machine import replay_as_recorded

        if path.suffix != ".jsonl":
            pytest.fail(_NO_TRACE.format(path), pytrace=False)
        trace, registry = read_trace(path), self._registry()
        _check_adapter(trace, registry.names()[0])
        try:
            result, problems = replay_as_recorded(trace, registry=registry)
        except GradioTransportError as error:
            problems = [f"cannot be replayed: {type(error).__name__}: {error}"]
            pytest.fail(_listed(problems), pytrace=False)
        _judge(problems)
        return trace, result

    def _registry(self) -> Registry:
        from gradio_transport.adapter.registry import Registry, default_registry

        given = self.adapter
        return Registry([default_registry.get(given) if isinstance(given, str) else given()])


def _check_adapter(trace: Trace, name: str) -> None:
    """Fail unless all sessions of a trace were recorded with the adapter."""
    from gradio_transport.protocol.frames import Kind

    used = {str(one.payload["adapter"]) for one in trace.frames if one.kind is Kind.SESSION}
    if used != {name}:
        others = ", ".join(sorted(used)) or "no adapter"
        where = trace.path.name if trace.path is not None else "The trace"
        pytest.fail(f"{where} was recorded by {others}, not by {name}.", pytrace=False)


def _judge(problems: list[str]) -> None:
    """Fail if there are problems."""
    if problems:
        pytest.fail(_listed(problems), pytrace=False)


def _listed(problems: list[str]) -> str:
    from .report import WIDTH

    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    lines = [f"{count}:"]
    for problem in problems[:_MOST_PROBLEMS]:
        lines += textwrap.wrap(problem, WIDTH, initial_indent="- ", subsequent_indent="  ")
    left = len(problems) - _MOST_PROBLEMS
    return "\n".join([*lines, f"and {left} more"] if left > 0 else lines)


__all__ = ["AdapterConformance"]
