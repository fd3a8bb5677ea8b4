# SPDX-License-Identifier: Apache-2.0
"""The benchmarks run: every verb of every driver that needs no environment of its own, a moment each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import growth

ROOT = Path(__file__).parents[2]

SHORT = {
    "connect": {"count": 1},
    "latency": {"count": 2},
    "throughput": {"at_once": 5, "count": 5},
    "stream": {"count": 50},
    "delay": {"count": 20, "pause_us": 100},
    "cancel": {"count": 1},
    "leaks": {"count": 2},
    "counts": {"count": 2},
}

CURVES = {
    "rows": {"size": 3, "count": 20},
    "waiting": {"size": 3},
    "sessions": {"size": 2},
    "transports": {"size": 2},
}


DRIVERS = ("transport-client", "transport-sync", "transport-aiohttp", "httpx-sync", "aiohttp", "raw-asyncio")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.server"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as server:
        yield server.stdout.readline().strip()
        server.stdin.close()
        server.wait(20)


def measured(driver: str, url: str, verb: str, arguments: dict) -> dict:
    command = [sys.executable, "-m", "benchmarks.worker", driver, url, verb, json.dumps(arguments)]
    done = subprocess.run(command, input="round\n", capture_output=True, text=True, cwd=ROOT, timeout=50)
    assert done.returncode == 0, done.stderr
    ready, figures = map(json.loads, done.stdout.splitlines())
    assert ready == "ready"
    return figures


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("verb", SHORT)
def test_a_driver_does_its_verbs(url: str, verb: str, driver: str) -> None:
    figures = measured(driver, url, verb, SHORT[verb])
    assert figures.get("failures", 0) == 0
    assert figures.get("received", 50) == 50


@pytest.mark.parametrize("driver", ["transport-sync", "transport-aiohttp"])
@pytest.mark.parametrize("verb", CURVES)
def test_a_curve_is_measured(url: str, verb: str, driver: str) -> None:
    figures = measured(driver, url, verb, CURVES[verb])
    (curve,) = (one for one in growth.CURVES if one.name == verb)
    assert figures.keys() == curve.figures.keys()


def test_function_calls_are_counted_alike_each_time(url: str) -> None:
    counts = [
        measured("transport-sync", url, "counts", {"count": 100, "way": "stream"})["calls"] for _ in range(2)
    ]
    assert counts[0] == pytest.approx(counts[1], rel=0.1)


@pytest.mark.parametrize("driver", ["transport-sync", "transport-async", "aiohttp-ws", "websocket-client"])
def test_the_legacy_websocket_is_spoken(url: str, driver: str) -> None:
    assert measured(driver, f"{url}/ws", "latency", {"count": 2})["ms"] > 0


def test_files_go_both_ways(url: str, tmp_path: Path) -> None:
    path = tmp_path / "up.bin"
    path.write_bytes(b"x" * 1_000_000)
    assert measured("transport-sync", url, "upload", {"path": str(path)})["mb_per_s"] > 0
    assert measured("transport-aiohttp", url, "download", {"directory": str(tmp_path)})["mb_per_s"] > 0
