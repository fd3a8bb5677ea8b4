# SPDX-License-Identifier: Apache-2.0
"""Scripts of curl commands, made from traces that are recorded now, against real servers of each wire family."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import gradio_transport as gt
from conformance.servers import Server, running
from gradio_transport.trace import TraceWriter, read_trace
from gradio_transport.trace.curl.script import curl_script
from gradio_transport_conformance.play import CREDENTIALS

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(300),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

QUEUE, DIRECT, CALL = "auto", "direct", "call"

CALLS: dict[str, Sequence[tuple[str, str, Sequence[Any], str]]] = {
    "2.9.4": [("hello", QUEUE, ["Ada"], "Hello, Ada!"), ("hello", DIRECT, ["Ada"], "Hello, Ada!")],
    "3.50.2": [
        ("hello", QUEUE, ["Ada"], "Hello, Ada!"),  # over a websocket; the script uses the direct route
        ("count", QUEUE, [3], '"0 1 2"'),
        ("direct", DIRECT, ["x"], "direct x"),
    ],
    "4.8.0": [
        ("hello", QUEUE, ["it's $(x)"], "Hello, it's $(x)!"),
        ("count", QUEUE, [3], '"0 1 2"'),
        ("direct", DIRECT, ["x"], "direct x"),
    ],
    **{
        version: [
            ("hello", QUEUE, ["it's $(x) é"], "Hello, it's $(x)"),
            ("count", QUEUE, [3], "process_completed"),
            ("forever", QUEUE, [], '"0"'),
            ("hello", CALL, ["Ada"], '["Hello, Ada!"]'),
            ("count", CALL, [3], '["0 1 2"]'),
            ("direct", DIRECT, ["x"], "direct x"),
            ("file_in", QUEUE, [], "one.txt:5:"),
        ]
        for version in ("4.44.1", "5.50.0", "6.31.0")
    },
}


@pytest.fixture(scope="module", params=CALLS)
def real(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(request.param, variants=("canonical", "auth"), skip_unavailable=True) as booted:
        yield booted


def record(
    server: Server, scenario: str, protocol: str, data: Sequence[Any], path: Path, **options: Any
) -> None:
    """Make a call, and cancel it after a few values if it has no end."""
    place = server.scenario(scenario, options.pop("variant", "canonical"))
    with TraceWriter(path) as tap, gt.connect(place.url, protocol=protocol, tap=tap, **options) as app:
        call = app.submit(f"/{place.api_name}" if place.api_name else place.fn_index, *data)
        values = 0
        for event in call:
            values += isinstance(event, gt.ProcessGenerating)
            if scenario == "forever" and values == 3:
                call.cancel()
                return
        call.result(timeout=60)


def run(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "script.sh").write_text(script, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(folder), "MAX_TIME": "60", "NO_PROXY": "*"}
    return subprocess.run(
        ["sh", "script.sh"],
        cwd=folder,
        env=environment | variables,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_scripts_run(real: Server, tmp_path: Path) -> None:
    file = tmp_path / "one.txt"
    file.write_text("hello")
    for number, (scenario, protocol, data, expected) in enumerate(CALLS[real.version]):
        path = tmp_path / f"{number}.jsonl"
        given = [gt.handle_file(file)] if scenario == "file_in" else data
        record(real, scenario, protocol, given, path)
        result = run(curl_script(read_trace(path)), tmp_path, FILE_1=str(file))
        assert result.returncode == 0, (scenario, protocol, result.stderr, result.stdout)
        assert expected in result.stdout, (scenario, protocol, result.stderr, result.stdout)


def test_a_script_logs_in(real: Server, tmp_path: Path) -> None:
    if not real.has("hello", "auth"):
        pytest.skip("no app with a login")
    path = tmp_path / "login.jsonl"
    record(real, "hello", QUEUE, ["Ada"], path, variant="auth", auth=CREDENTIALS)
    script = curl_script(read_trace(path))
    result = run(script, tmp_path, GRADIO_USER="admin", GRADIO_PASSWORD="secret")
    assert result.returncode == 0, (result.stderr, result.stdout)
    assert "Hello, Ada!" in result.stdout
    refused = run(script, tmp_path, GRADIO_USER="admin", GRADIO_PASSWORD="wrong")
    assert refused.returncode == 1
    assert "/login answered with HTTP status" in refused.stderr
