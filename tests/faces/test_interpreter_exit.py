# SPDX-License-Identifier: Apache-2.0
"""A script with an open, silent call ends at once, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest
from scripted import scripted

from gradio_transport_conformance.faults.cases import load_cells
from gradio_transport_conformance.faults.server import serve_fault

SCRIPT = """
import sys
import gradio_transport as gt
app = gt.connect(sys.argv[1], protocol=sys.argv[2])
call = app.submit(0, "x")
for event in call:
    if isinstance(event, gt.events.ProcessStarts):
        break
print("open", flush=True)
"""
ENDS = {"the end": "", "SystemExit": "sys.exit(3)", "SIGINT": "call.result()"}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("protocol", ["sse_v3", "sse", "websocket C", "call"])
def test_a_silent_call_does_not_keep_the_interpreter(protocol, end):
    name = f"{protocol} | stream | silence in mid-call"
    cell = next(cell for cell in load_cells() if cell.name == name)
    script = SCRIPT.replace("gt.events.ProcessStarts", "gt.ProcessGenerating") + ENDS[end]
    command = [sys.executable, "-c", script, "URL", cell.protocol.adapter]
    with serve_fault(cell) as server:
        command[3] = server.url
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
            began = time.monotonic()
            if end == "SIGINT":
                process.send_signal(signal.SIGINT)
            try:
                _, said = process.communicate(timeout=10)
            finally:
                process.kill()
            assert time.monotonic() - began < 3, said
    assert process.returncode == {"the end": 0, "SystemExit": 3}.get(end, process.returncode)
    assert "Exception in thread" not in said


@pytest.mark.parametrize("kept", ["app", "builtins.app"])
def test_a_transport_that_was_left_open_says_nothing_at_the_end(kept):
    script = f"import builtins, sys\nimport gradio_transport as gt\n{kept} = gt.connect(sys.argv[1])"
    with scripted() as server:
        command = [sys.executable, "-c", script, server.url]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
