# SPDX-License-Identifier: Apache-2.0
"""Libraries that import gradio_client, run unmodified on this client, each in an environment of its own."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from conformance.servers import Server, environments

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


@pytest.fixture(scope="module")
def smolagents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with that library, with this one, and without gradio_client."""
    return environments.make(
        tmp_path_factory.mktemp("with-smolagents"), "smolagents==1.26.0", "-e", str(ROOT)
    )


def run(python: Path, program: Path, *arguments: str) -> Any:
    """Return what a program prints, as JSON, that is run with gradio_client meaning this client."""
    ran = subprocess.run(
        [python, "-m", "gradio_transport.client", program, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        env={**os.environ, "GRADIO_TEMP_DIR": str(program.parent / "outputs")},
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_tools_of_smolagents_call_an_app(server: Server, smolagents: Path, tmp_path: Path) -> None:
    program, text = tmp_path / "program.py", tmp_path / "some text.txt"
    program.write_text(SMOLAGENTS)
    text.write_text("some text")
    made = run(smolagents, program, server.url(), str(text))
    assert ":9:" in made.pop("file")
    assert made == {
        "client": "gradio_transport.client.client",
        "first": "/hello",
        "hello": "Hello, you!",
        "inputs": {"a": "number", "b": "number"},
        "add": 9,
        "image": [3, 2],
    }
