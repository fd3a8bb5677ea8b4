# SPDX-License-Identifier: Apache-2.0
"""The real servers' apps: launched once more where the machine was too busy, and only there."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
    import os, signal, sys
    from conformance.servers.apps import serving

    tried, text = sys.argv[1:]

    def launch(**options):
        if not os.path.exists(tried):
            open(tried, "x").close()
            raise ValueError(text)

    serving.since = lambda version: True
    try:
        print(serving.launch_all([lambda: serving.App("tried", launch, {})], None)[0]["name"], flush=True)
    except serving.LaunchFailed as failed:
        print(str(failed).splitlines()[-1], flush=True)
    os.killpg(0, signal.SIGKILL)
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("When localhost is not accessible, a shareable link must be created.", "tried"),
        ("a fault of the app", "ValueError: a fault of the app"),
    ],
)
def test_an_app_is_launched_again_only_where_its_own_page_took_too_long(
    text: str, said: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "tried"), text],
        capture_output=True, text=True, timeout=50, check=False, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    assert done.stdout.strip() == said, done.stderr
