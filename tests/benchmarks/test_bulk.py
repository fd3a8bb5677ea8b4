# SPDX-License-Identifier: Apache-2.0
"""The benchmark of many calls: every way runs, and memory does not grow with the rows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bulk import COMPARED, WAYS, overheads

ROOT = Path(__file__).parents[2]


def run(*words: str) -> str:
    command = [sys.executable, "-m", "benchmarks.bulk", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.timeout(120)
def test_every_way_does_all_rows() -> None:
    text = run("--rows", "20", "--rounds", "1", "--at-once", "4")
    assert all(f"  {way} " in text for way in WAYS)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_memory_does_not_grow_with_the_rows() -> None:
    found = json.loads(run("--memory", "--rows", "5000", "--check"))
    assert found["rows"] == 5000
    assert found["mb_after_a_tenth"] > 10


def test_overhead_is_cpu_beside_the_bare_loop() -> None:
    figures = {way: {"cpu_us": 100.0} for way in WAYS} | {"bulk.map": {"cpu_us": 107.0}}
    assert overheads(figures) == {way: 1.07 if way == "bulk.map" else 1.0 for way in COMPARED}
