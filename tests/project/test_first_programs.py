# SPDX-License-Identifier: Apache-2.0
"""The programs on the first pages run against recordings, and print what the pages show."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from scripted import Reply, scripted

from gradio_transport.client import Client
from gradio_transport_conformance import reenact

ROOT = Path(__file__).parents[2]
SERVER = "http://127.0.0.1:7860"
VERSION = "6.31.0"

SPACE, OF_THE_SPACE = "gradio/hello_world", "2.9.4"
"""The Space of the tutorial, and the version whose recording stands for it: an app with the endpoint /predict."""

PAGES = [ROOT / "README.md", ROOT / "docs" / "index.md", ROOT / "docs" / "tutorial.md"]

_BLOCK = re.compile(
    r"^```python\n(?P<program>.*?)^```\n(?:\n^```text\n(?P<output>.*?)^```\n)?", re.DOTALL | re.MULTILINE
)


@attrs.frozen
class Example:
    """A program on a page.

    Attributes:
        page: The page.
        line: Where the program begins on it.
        program: Its source.
        output: What the page shows below it, if it shows anything.
    """

    page: Path
    line: int
    program: str
    output: str | None

    def __str__(self) -> str:
        return f"{self.page.stem}:{self.line}"


def examples(page: Path) -> list[Example]:
    """Return the programs on a page."""
    text = page.read_text(encoding="utf-8")
    return [
        Example(page, text[: found.start()].count("\n") + 2, found["program"], found["output"])
        for found in _BLOCK.finditer(text)
    ]


EXAMPLES = [one for page in PAGES for one in examples(page)]


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with reenact.serve(VERSION) as served:
        yield served.url
    assert served.off_tape == []


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Hub on loopback that has the Space of the tutorial."""
    with scripted() as hub, reenact.serve(OF_THE_SPACE, ["hello"]) as space:
        runtime = {"stage": "RUNNING", "hardware": {"current": "cpu-basic", "requested": None}}

        def answer(reply: Reply) -> None:
            about = {"id": SPACE, "host": space.url, "private": False, "sdk": "gradio", "runtime": runtime}
            reply.json(runtime if reply.path.endswith("/runtime") else about)

        hub.below[f"/api/spaces/{SPACE}"] = answer
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
        yield


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_a_program_prints_what_the_page_shows(
    example: Example,
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    if SPACE in example.program:
        request.getfixturevalue("hub")
    place = f"{example.page.name}:{example.line}"
    program = compile(example.program.replace(SERVER, server), place, "exec")
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(program, names)
    if isinstance(client := names.get("client"), Client):  # programs for the Gradio client do not close it
        client.close()
    if example.output is not None:
        assert printed.getvalue() == example.output
    else:
        assert printed.getvalue() != ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_has_programs(page: Path) -> None:
    assert examples(page)


def test_the_tutorial_shows_the_output_of_each_program_but_that_of_the_space() -> None:
    hidden = [one for one in EXAMPLES if one.page.stem == "tutorial" and one.output is None]
    assert [SPACE in one.program for one in hidden] == [True]


def test_the_server_of_the_tutorial_says_what_the_page_shows() -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"\$ gradio-transport-conformance (serve .*) --port 7860\n(.*)\n", text)
    command = [sys.executable, "-m", "gradio_transport_conformance", *shown[0].split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.terminate()
    assert re.sub(r":\d+\n", ":7860", said) == shown[1]
