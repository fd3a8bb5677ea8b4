# SPDX-License-Identifier: Apache-2.0
"""Plays every case against real servers: records the traces, and fills the support matrix.

The results of a run are stored as JSON next to the traces; the pages of the support matrix are generated only
from them.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import attrs

import gradio_transport as gt
from gradio_transport.adapter.registry import default_registry
from gradio_transport.app.config import AppConfig
from gradio_transport.protocol.frames import Frame, Kind, Tap
from gradio_transport.trace import TraceWriter, diff_traces, read_trace
from gradio_transport_conformance.cases import Case, all_cases
from gradio_transport_conformance.grading import Grade, Observed, Result, grade
from gradio_transport_conformance.play import CREDENTIALS, play, play_async

from . import VARIANTS, Server, VariantUnavailable, running

KIT = Path(__file__).parents[1] / "gradio_transport_conformance"
TRACES = KIT / "traces"
RESULTS = KIT / "results"

SETTLE_SECONDS = 1.0
"""Seconds that a recording waits for the server to end streams; after a cancellation some never end."""


def record(version: str, *, cases: Sequence[str] = (), traces: Path = TRACES) -> list[Result]:
    """Start a version, play every case with both interfaces, write the traces of the sync one."""
    results: list[Result] = []
    with running(version, variants=VARIANTS, skip_unavailable=True) as server:
        for case in chosen_cases(version, cases):
            results += play_case(case, server, traces / version)
    return results


def chosen_cases(version: str, names: Sequence[str] = ()) -> Iterator[Case]:
    """Return the cases for a version, or the named ones of them."""
    return (case for case in all_cases() if case.applies(version) and (not names or case.name in names))


def play_case(case: Case, server: Server, folder: Path | None) -> list[Result]:
    """Play one case with both interfaces; write its trace if there is a folder."""
    reason = why_unsupported(case, server)
    if reason is not None:
        return [
            Result(server.version, case.name, face, Grade.UNSUPPORTED, reason) for face in ("sync", "async")
        ]
    return [_by_threads(case, server, folder), _by_tasks(case, server)]


def _by_threads(case: Case, server: Server, folder: Path | None) -> Result:
    def locate(name: str) -> object:
        return server.scenario(name, case.variant)

    if folder is None:
        return grade(case, server.version, "sync", play(case, server.version, locate))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.name}.jsonl"
    path.unlink(missing_ok=True)
    meta = {"case": case.name, "gradio": server.version}
    bodies = folder / "bodies"
    with TraceWriter(path, meta=meta, secrets=[CREDENTIALS[1], str(Path.home())], bodies=bodies) as tap:
        watch = _Watch(tap)
        observed = play(case, server.version, locate, tap=watch, settle=watch.settle)
    return grade(case, server.version, "sync", observed)


class _Watch:
    """Passes frames on to a writer, and can wait for the ends of the streams, so that the trace has them."""

    def __init__(self, tap: Tap) -> None:
        self._tap = tap
        self._open: set[tuple[int, str]] = set()
        self._changed = threading.Condition()

    def __call__(self, frame: Frame) -> None:
        self._tap(frame)
        with self._changed:
            if frame.kind is Kind.RESPONSE_HEAD and frame.session:  # heartbeats end with the transport
                self._open.add((frame.session, frame.channel))
            elif frame.kind is Kind.END:
                self._open.discard((frame.session, frame.channel))
                self._changed.notify_all()

    def settle(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._open, SETTLE_SECONDS)


def _by_tasks(case: Case, server: Server) -> Result:
    async def run() -> list[Observed]:
        return await play_async(case, server.version, lambda name: server.scenario(name, case.variant))

    return grade(case, server.version, "async", anyio.run(run))


def why_unsupported(case: Case, server: Server) -> str | None:
    """Return why a server cannot run a case: its version, its app, or its protocol."""
    reason = case.unsupported(server.version)
    if reason is not None:
        return reason
    try:
        server.url(case.variant)
    except VariantUnavailable as error:
        return str(error)
    first = case.steps_for(server.version)[0][0]
    if not server.has(first.call, case.variant):
        return f"the app of {server.version} cannot have {first.call!r}"
    return _missing_capability(case, server, first.call)


def _missing_capability(case: Case, server: Server, call: str) -> str | None:
    if not case.needs:
        return None
    place = server.scenario(call, case.variant)
    with gt.connect(place.url, protocol=case.protocol, auth=CREDENTIALS if case.auth else None) as app:
        adapter = _adapter(app, place.fn_index, case.protocol)
        capabilities = attrs.asdict(adapter.capabilities(app.config))
    missing = [need for need in case.needs if not capabilities[need]]
    return f"{adapter.name} has no {missing[0]} here" if missing else None


def _adapter(app: gt.Transport, fn_index: int, protocol: str) -> object:
    config: AppConfig = app.config
    return default_registry.choose(config, config.endpoint(fn_index), protocol).adapter


def save(version: str, results: Sequence[Result], folder: Path = RESULTS) -> Path:
    """Keep the results of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{version}.json"
    rows = [{key: value for key, value in attrs.asdict(one).items() if value} for one in results]
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return path


def run(versions: Sequence[str], cases: Sequence[str] = ()) -> int:
    """Record versions one after the other, and print a line for each cell that fails."""
    failed = 0
    for version in versions:
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="gradio-traces-") as kept:
            earlier = Path(kept) / version
            if (TRACES / version).exists():
                shutil.copytree(TRACES / version, earlier)
            if not cases:
                shutil.rmtree(TRACES / version, ignore_errors=True)
            results = record(version, cases=cases)
            failed += _report(version, results, time.monotonic() - began)
            if earlier.exists():
                _show_changes(earlier, TRACES / version, cases)
        save(version, results if not cases else _merged(version, results))
    return 1 if failed else 0


def _merged(version: str, results: Sequence[Result]) -> list[Result]:
    """Return the stored results of a version, with the results of some cases replaced."""
    from .report import load

    replaced = {one.case for one in results}
    return [one for one in load().get(version, []) if one.case not in replaced] + list(results)


def _show_changes(earlier: Path, now: Path, cases: Sequence[str]) -> None:
    """Print the changes on the wire since the last recording, for the cases that were played."""
    for path in sorted(now.glob("*.jsonl")):
        if (earlier / path.name).exists() and (not cases or path.stem in cases):
            for line in diff_traces(read_trace(earlier / path.name), read_trace(path)):
                print(f"  {path.stem}: {line}")


def _report(version: str, results: Sequence[Result], seconds: float) -> int:
    counts = {grade: sum(one.grade is grade for one in results) for grade in Grade}
    print(
        f"{version}: "
        + ", ".join(f"{count} {grade}" for grade, count in counts.items())
        + f" in {seconds:.0f} s"
    )
    for one in results:
        if one.grade is Grade.FAIL:
            print(f"  FAIL {one.case} ({one.face}, {one.adapter}): {one.reason}")
    sys.stdout.flush()
    return counts[Grade.FAIL]
