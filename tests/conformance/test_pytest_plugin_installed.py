# SPDX-License-Identifier: Apache-2.0
"""The wheel with the extra `[pytest]`, and nothing else: the page on it, and an adapter of somebody else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gradio_transport_conformance.replay.server import serve
from gradio_transport_conformance.traces import shipped_trace

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "testing.md"
EXAMPLE = ROOT / "examples" / "adapter"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


class Environment:
    """A virtual environment with wheels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "bin" / "python"
        self.run(sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, folder)

    def install(self, source: Path, extra: str = "") -> None:
        wheels = self.folder / "wheels" / source.name
        build = ("-m", "build", "--no-isolation", "--wheel", "--outdir", wheels, source)
        self.run(sys.executable, *build)
        (wheel,) = wheels.iterdir()
        self.run(
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            self.python,
            f"{wheel}{extra}",
        )

    def pytest(self, folder: Path, *options: str) -> tuple[int, str]:
        """Return the exit status and the output in a terminal of 80 columns."""
        variables = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON"))
        }
        done = subprocess.run(
            [str(self.python), "-m", "pytest", "-q", "-W", "error", *options],
            cwd=folder, env={**variables, "COLUMNS": "80"}, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    @staticmethod
    def run(*command: str | Path) -> None:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = Environment(tmp_path_factory.mktemp("environment"))
    made.install(ROOT, "[pytest]")
    return made


def untimed(text: str) -> list[str]:
    """Return the lines of an output of pytest without its times."""
    return [re.sub(r" in [\d.]+s.*", "", line).rstrip() for line in text.strip().splitlines()]


def test_the_first_tests_of_the_page_pass_and_print_what_it_shows(
    environment: Environment, tmp_path: Path
) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, source in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL):
        (tmp_path / name).write_text(source)
    shown = [
        untimed(one) for one in re.findall(r"```console\n\$ pytest -q test_\w+.py\n(.*?)```", page, re.DOTALL)
    ]
    own = tmp_path / "test_my_app.py"
    assert untimed(environment.pytest(tmp_path, "test_counting.py")[1]) == shown[0]
    with serve(shipped_trace("6.31.0/count")) as app:
        own.write_text(own.read_text().replace("http://127.0.0.1:7860", app.url))
        assert untimed(environment.pytest(tmp_path, own.name)[1]) == shown[1]
    assert untimed(environment.pytest(tmp_path, own.name)[1]) == shown[2]
    own.write_text(own.read_text().replace("gradio_url, 3", "gradio_url, 4"))
    status, printed = environment.pytest(tmp_path, own.name)
    assert status == 1
    assert re.search(r"```text\n(E  .*?)```", page, re.DOTALL)[1] in printed


def test_an_adapter_of_somebody_else_passes_the_tests_that_it_inherits(
    environment: Environment, tmp_path: Path
) -> None:
    environment.install(EXAMPLE)
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    status, printed = environment.pytest(tmp_path)
    assert (status, untimed(printed)[-1]) == (0, "19 passed"), printed
