# SPDX-License-Identifier: Apache-2.0
"""Libraries that import gradio_client, run unmodified on this client, each in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from conformance.servers import Server, environments, find

pytestmark = [pytest.mark.live, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
SECONDS = 120.0

SMOLAGENTS = """
import json
import sys
import warnings

from PIL import Image
from smolagents import Tool

url, path = sys.argv[1:]
warnings.simplefilter("ignore")


def tool(api_name):
    return Tool.from_space(url, name="tool", description="An app.", api_name=api_name)


first, hello, add, file = tool(None), tool("/hello"), tool("/add"), tool("/file_in")
print(
    json.dumps(
        {
            "client": type(hello.client).__module__,
            "first": first.api_name,
            "hello": hello("you"),
            "inputs": {name: entry["type"] for name, entry in add.inputs.items()},
            "add": add(4, 5),
            "file": file(path),
            "image": tool("/image")(Image.new("RGB", (3, 2))).to_raw().size,
        }
    )
)
"""


GR_LOAD = """
import json
import sys

from gradio_transport.client import install

installation = install()
from gradio import external

url, path = sys.argv[1:]
blocks = external.from_spaces_blocks(url, None)  # what gr.load does once the Hub has named the app
_, local, _ = blocks.launch(prevent_thread_lock=True, quiet=True)
installation.undo()
import gradio_client

client = gradio_client.Client(local, verbose=False)
found = {
    "clients": [external.Client.__module__, type(client).__module__],
    "hello": client.predict("you", api_name="/hello"),
    "count": client.predict(3, api_name="/count"),
    "file": client.predict(gradio_client.handle_file(path), api_name="/file_in"),
}
client.close()
blocks.close()
print(json.dumps(found))
"""
GRADIO_VERSIONS = ("5.50.0", "6.31.0")


@pytest.fixture(scope="module")
def smolagents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with that library, with this one, and without gradio_client."""
    return environments.make(
        tmp_path_factory.mktemp("with-smolagents"), "smolagents==1.26.0", "-e", str(ROOT)
    )


@pytest.fixture
def gradio(server: Server, tmp_path: Path) -> Path:
    """The interpreter of an environment with this library and the gradio of the server."""
    if server.version not in GRADIO_VERSIONS:
        pytest.skip(f"gr.load runs with the gradio of the server, of {' and '.join(GRADIO_VERSIONS)}")
    lock = find(server.version).lock
    return environments.make(tmp_path / "with-gradio", "--requirement", str(lock), "-e", str(ROOT))


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "some text.txt"
    path.write_text("some text")
    return path


def run(*command: str | Path, outputs: Path) -> Any:
    """Return the last line that a program prints, as JSON."""
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env={**os.environ, "GRADIO_TEMP_DIR": str(outputs), "GRADIO_ANALYTICS_ENABLED": "False"},
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])  # gradio prints a line of its own


def test_tools_of_smolagents_call_an_app(
    server: Server, smolagents: Path, text: Path, tmp_path: Path
) -> None:
    if Version(server.version) < Version("4.23"):
        pytest.skip("smolagents reads parameter_has_default, which /info has from 4.23 on")
    program = tmp_path / "program.py"
    program.write_text(SMOLAGENTS)
    command = (smolagents, "-m", "gradio_transport.client", program, server.url(), text)
    made = run(*command, outputs=tmp_path / "outputs")
    assert ":9:" in made.pop("file")
    assert made == {
        "client": "gradio_transport.client.client",
        "first": "/hello",
        "hello": "Hello, you!",
        "inputs": {"a": "number", "b": "number"},
        "add": 9,
        "image": [3, 2],
    }


def test_gr_load_serves_an_app(server: Server, gradio: Path, text: Path, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(GR_LOAD)
    made = run(gradio, program, server.url(), text, outputs=tmp_path / "outputs")
    assert ":9:" in made.pop("file")
    assert made == {
        "clients": ["gradio_transport.client.client", "gradio_client.client"],
        "hello": "Hello, you!",
        "count": "0 1 2",
    }
