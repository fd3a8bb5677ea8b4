# SPDX-License-Identifier: Apache-2.0
"""`AdapterConformance`: the tests that an adapter inherits, of traces of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

if TYPE_CHECKING:
    from gradio_transport.adapter import Adapter
    from gradio_transport.adapter.registry import Registry
    from gradio_transport.trace import Trace

_MOST_PROBLEMS = 10


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
        # Without a trace there is one test, which says so; parametrised by nothing it would be skipped.
        metafunc.parametrize("gradio_trace", paths or [folder], ids=names or ["no-trace"])

    def test_it_replays_as_it_was_recorded(self, gradio_trace: Path) -> None:
        """The adapter sends what it sent, and gives legal events; nothing is left open."""
        from ..replay.machine import replay_as_recorded

        trace, registry = self._prepare(gradio_trace)
        _judge(replay_as_recorded(trace, registry=registry)[1])

    def test_chunks_make_no_difference(self, gradio_trace: Path) -> None:
        """However the bytes of the streams are cut, the events are the same: byte by byte, or at random."""
        from ..replay.machine import check_chunkings, replay_as_recorded

        trace, registry = self._prepare(gradio_trace)
        _judge(check_chunkings(trace, replay_as_recorded(trace, registry=registry)[0], registry=registry))

    def test_calls_can_be_cancelled_at_any_point(self, gradio_trace: Path) -> None:
        """A call that is cancelled before any input ends exactly once; nothing is left open."""
        from ..replay.machine import check_cancellations, replay_as_recorded

        trace, registry = self._prepare(gradio_trace)
        _judge(check_cancellations(trace, replay_as_recorded(trace, registry=registry)[0], registry=registry))

    def _prepare(self, path: Path) -> tuple[Trace, Registry]:
        from gradio_transport.adapter.registry import Registry, default_registry
        from gradio_transport.protocol.frames import Kind
        from gradio_transport.trace import read_trace

        if path.suffix != ".jsonl":
            pytest.fail(
                f"There is no trace (*.jsonl) in {path}. Record one from a real server: "
                "gt.connect(url, protocol=..., tap=TraceWriter(path)).",
                pytrace=False,
            )
        adapter = default_registry.get(self.adapter) if isinstance(self.adapter, str) else self.adapter()
        trace = read_trace(path)
        used = {str(one.payload["adapter"]) for one in trace.frames if one.kind is Kind.SESSION}
        if used != {adapter.name}:
            others = ", ".join(sorted(used)) or "no adapter"
            pytest.fail(f"The trace {path.name} is of {others}, not of {adapter.name}.", pytrace=False)
        return trace, Registry([adapter])


def _judge(problems: list[str]) -> None:
    """Fail if there are problems."""
    if problems:
        shown = "".join(f"\n  {problem}" for problem in problems[:_MOST_PROBLEMS])
        left = len(problems) - _MOST_PROBLEMS
        more = f"\n  and {left} more" if left > 0 else ""
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        pytest.fail(f"{count}:{shown}{more}", pytrace=False)


__all__ = ["AdapterConformance"]
