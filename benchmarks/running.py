# SPDX-License-Identifier: Apache-2.0
"""Runs every verb by every driver, round by round in turn, so that a disturbance hits all of them alike."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .environments import ROOT, environment_of, python
from .history import about

Figures = dict[str, list[float]]
"""Name of a figure -> its value in each round."""

ROUND_SECONDS = 120.0
"""No round may take longer; a driver that does is stopped."""

BLOCKING = ("gradio_client", "transport-client", "transport-sync", "httpx-sync")
TASKS = ("transport-async", "httpx-async", "transport-aiohttp", "aiohttp", "raw-asyncio")
ALL = BLOCKING + TASKS
INCUMBENT = "gradio_client"


@dataclass(frozen=True)
class Plan:
    """One line of the results.

    Attributes:
        name: What it is called there.
        verb: A verb of the worker.
        arguments: Its arguments.
        slow: Those that differ for gradio_client, which would take minutes otherwise.
        slow_rounds: How many rounds gradio_client does at most.
        drivers: Those that do it.
        path: Below which path of the server.
        loop: The event loop of the drivers that need one: "asyncio" or "uvloop".
    """

    name: str
    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)
    slow: dict[str, Any] = field(default_factory=dict)
    slow_rounds: int = 1000
    drivers: Sequence[str] = ALL
    path: str = ""
    loop: str = "asyncio"


def _throughput(at_once: int, count: int, slow_count: int, slow_rounds: int = 1000) -> Plan:
    arguments = {"at_once": at_once, "count": count}
    slow = {"at_once": at_once, "count": slow_count}
    return Plan(f"throughput-{at_once}", "throughput", arguments, slow, slow_rounds)


PLANS = (
    Plan("connect", "connect", {"count": 10}, {"count": 3}),
    Plan("latency", "latency", {"count": 200}, {"count": 10}),
    Plan("latency-uvloop", "latency", {"count": 200}, drivers=TASKS, loop="uvloop"),
    _throughput(1, 100, 10),
    _throughput(8, 200, 24),
    _throughput(64, 256, 64),
    _throughput(256, 512, 256, 2),
    _throughput(1000, 1000, 1000, 1),
    Plan("stream", "stream", {"count": 2000, "pause_us": 0}),
    Plan("stream-paced", "stream", {"count": 2000, "pause_us": 500}),
    Plan("stream-uvloop", "stream", {"count": 2000, "pause_us": 0}, drivers=TASKS, loop="uvloop"),
    Plan("delay", "delay"),
    Plan("cancel", "cancel", {}, {"count": 3}),
    Plan("download", "download"),
    Plan("upload", "upload"),
    Plan("leaks", "leaks", {}, {"count": 20}, 1),
    Plan(
        "websocket",
        "latency",
        {"count": 100},
        drivers=("transport-sync", "transport-async", "transport-aiohttp", "websocket-client", "aiohttp-ws"),
        path="/ws",
    ),
)

UNABLE = {
    "upload": ("raw-asyncio",),
}

IMPORTS = {
    "gradio_client": "gradio_client",
    "transport": "gradio_transport",
    "transport, used": "gradio_transport; gradio_transport.connect",
    "httpx": "httpx",
    "aiohttp": "aiohttp",
}

_IMPORT = """
import sys, time
before = len(sys.modules)
begun, cpu = time.perf_counter(), time.process_time()
import {module}
print([(time.perf_counter() - begun) * 1e3, (time.process_time() - cpu) * 1e3, len(sys.modules) - before])
"""


class GivenUp(Exception):
    """A driver took too long or died."""


class Worker:
    """A driver's process, for one plan."""

    def __init__(
        self, driver: str, url: str, plan: Plan, arguments: dict[str, Any], seconds: float = ROUND_SECONDS
    ) -> None:
        self.seconds = seconds
        command = [python(environment_of(driver)), "-m", "benchmarks.worker", driver, url, plan.verb]
        self.process = subprocess.Popen(
            [*command, json.dumps(arguments), plan.loop],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=_environment(),
        )
        self.answer()

    def round(self) -> dict[str, float]:
        """Do one round."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write("round\n")
            self.process.stdin.flush()
        figures: dict[str, float] = self.answer()
        return figures

    def answer(self) -> Any:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], self.seconds)
        line = self.process.stdout.readline() if ready else ""
        if not line:
            self.process.kill()
            assert self.process.stderr is not None
            last = self.process.stderr.read().strip().splitlines()[-1:]
            raise GivenUp(*last or ["it took too long"])
        return json.loads(line)

    def close(self) -> None:
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


def _environment() -> dict[str, str]:
    """Return the variables of a process: ours, without what would make it compile its modules every time."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(ROOT)}


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Run the scripted server, and yield its URL."""
    server = subprocess.Popen(
        [python("transport"), "-m", "benchmarks.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=_environment(),
    )
    try:
        assert server.stdout is not None
        yield server.stdout.readline().strip()
    finally:
        server.communicate(timeout=20)


def measure(plan: Plan, url: str, drivers: Sequence[str], rounds: int, place: Path) -> dict[str, Figures]:
    """Do the rounds of one plan, one driver after the other in each round."""
    workers: dict[str, Worker] = {}
    results: dict[str, Figures] = {}
    for driver in drivers:
        arguments = {**plan.arguments, **(plan.slow if driver == INCUMBENT else {}), **_files(plan, place)}
        try:
            workers[driver] = Worker(driver, url + plan.path, plan, arguments)
        except GivenUp as error:
            _say(f"    {driver}: {error}")
    for number in range(rounds):
        for driver in [*workers]:
            if driver == INCUMBENT and number >= plan.slow_rounds:
                continue
            try:
                figures = workers[driver].round()
            except GivenUp as error:
                _say(f"    {driver}: {error}")
                workers.pop(driver).close()
                continue
            for name, value in figures.items():
                results.setdefault(driver, {}).setdefault(name, []).append(float(f"{value:.4g}"))
    for worker in workers.values():
        worker.close()
    return results


def _files(plan: Plan, place: Path) -> dict[str, str]:
    match plan.verb:
        case "download":
            return {"directory": str(place)}
        case "upload":
            path = place / "upload.bin"
            if not path.exists():
                path.write_bytes(b"\1" * 200_000_000)
            return {"path": str(path)}
    return {}


def measure_imports(rounds: int) -> dict[str, Figures]:
    """Import each library in a fresh interpreter."""
    results: dict[str, Figures] = {}
    for _ in range(rounds + 1):  # the first one warms the disk's cache
        for name, module in IMPORTS.items():
            interpreter = python(environment_of(name))
            program = _IMPORT.format(module=module)
            done = subprocess.run(
                [interpreter, "-c", program],
                check=True,
                capture_output=True,
                text=True,
                timeout=60,
                env=_environment(),
            )
            values = dict(zip(("ms", "cpu_ms", "modules"), json.loads(done.stdout), strict=True))
            for figure, value in values.items():
                results.setdefault(name, {}).setdefault(figure, []).append(float(f"{value:.4g}"))
    return {name: {key: kept[1:] for key, kept in figures.items()} for name, figures in results.items()}


def run(rounds: int, only: Sequence[str], drivers: Sequence[str]) -> dict[str, Any]:
    """Run the plans, and return everything that was measured."""
    begun = time.monotonic()
    results: dict[str, dict[str, Figures]] = {}
    if not only or "import" in only:
        _say("import")
        results["import"] = measure_imports(rounds)
    with serving() as url, tempfile.TemporaryDirectory() as place:
        for plan in PLANS:
            if only and plan.name not in only:
                continue
            _say(f"{plan.name}  ({time.monotonic() - begun:.0f} s)")
            unable = UNABLE.get(plan.verb, ())
            able = [one for one in plan.drivers if (not drivers or one in drivers) and one not in unable]
            results[plan.name] = measure(plan, url, able, rounds, Path(place))
    return {"about": about(rounds, ("gradio_client", "transport")), "results": results}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
