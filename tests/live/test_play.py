# SPDX-License-Identifier: Apache-2.0
"""Recordings served by ``trace play`` to gradio_client, that of each Gradio's own environment."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conformance.servers import environments, find
from gradio_transport_conformance.traces import shipped_trace

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

CLIENT = """
import sys
from gradio_client import Client

url, name, argument = sys.argv[1:]
try:
    client = Client(url, verbose=False)
except TypeError:
    client = Client(url)
print("result:", client.predict(int(argument) if argument.isdigit() else argument, api_name=name))
"""

CALLS = {"hello": ("Ada", "Hello, Ada!"), "count": ("3", "0 1 2")}


@contextmanager
def playing(name: str) -> Iterator[str]:
    command = [
        sys.executable,
        "-m",
        "gradio_transport",
        "trace",
        "play",
        str(shipped_trace(name)),
        "--speed",
        "0",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate(timeout=20)


@pytest.mark.parametrize("version", ["3.50.2", "4.8.0", "4.44.1", "5.50.0", "6.31.0"])
@pytest.mark.parametrize("case", CALLS)
def test_gradio_client_is_served(version: str, case: str) -> None:
    argument, expected = CALLS[case]
    entry = find(version)
    environments.install(entry)
    with playing(f"{version}/{case}") as url:
        found = subprocess.run(
            [str(environments.interpreter(entry)), "-c", CLIENT, url, f"/{case}", argument],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert f"result: {expected}" in found.stdout, found.stderr
