# SPDX-License-Identifier: Apache-2.0
"""Files that cannot be read or written, the same for every command of ``trace``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from gradio_transport.cli.app import commands
from gradio_transport_conformance.traces import shipped_trace

TRACE = str(shipped_trace("6.31.0/hello"))
READING = ("show", "page", "lint", "replay", "play", "curl", "har", "redact")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(commands, ["trace", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("command", READING)
def test_a_file_that_is_missing_or_no_file_is_bad_usage(command: str, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.jsonl", tmp_path):
        status, output = run(command, str(path))
        assert (status, "Traceback" in output) == (2, False)
        assert str(path) in output


def test_closed_standard_input_is_bad_usage() -> None:
    program = [sys.executable, "-m", "gradio_transport", "trace", "show", "-"]
    command = "exec " + " ".join(f"'{word}'" for word in program) + " <&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_an_output_that_is_full_is_an_error_in_words() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "gradio_transport", "trace", "show", TRACE],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=50, check=False,
        )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "The output cannot be written: No space left on device." in done.stderr


def test_har_writes_over_nothing(tmp_path: Path) -> None:
    target = tmp_path / "mine.html"
    target.write_text("mine", encoding="utf-8")
    status, output = run("har", TRACE, "-o", str(target))
    assert (status, target.read_text(encoding="utf-8")) == (2, "mine")
    assert "exists already" in output


def test_redact_exits_with_1_for_a_parameter_that_no_endpoint_has(tmp_path: Path) -> None:
    status, output = run("redact", TRACE, "-o", str(tmp_path / "new.jsonl"), "--argument", "nosuch")
    assert status == 1
    assert "no endpoint of the trace has a parameter 'nosuch'" in output
    assert "found no other text" not in output
