# SPDX-License-Identifier: Apache-2.0
"""The programs on the first pages run against recordings, and print what the pages show."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_blocks import Block, blocks_of
from scripted import Reply, scripted

from gradio_transport.client import Client
from gradio_transport_conformance import reenact

ROOT = Path(__file__).parents[2]
VERSION = "6.31.0"

SPACE, OF_THE_SPACE = "gradio/hello_world", "2.9.4"
"""The Space of the tutorial, and the version whose recording stands for it: an app with the endpoint /predict."""

PAGES = [ROOT / "README.md", ROOT / "docs" / "index.md", ROOT / "docs" / "tutorial.md"]

BLOCKS = [block for page in PAGES for block in blocks_of(page)]


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


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.page.stem}:{block.line}")
def test_a_program_prints_what_the_page_shows(
    block: Block,
    server: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.chdir(tmp_path)
    if SPACE in block.code:
        request.getfixturevalue("hub")
    names: dict[str, Any] = {"__name__": "__main__"}
    block.run(server, names)
    if isinstance(client := names.get("client"), Client):  # programs for the Gradio client do not close it
        client.close()
    printed = capsys.readouterr().out
    if block.printed is not None:
        assert printed == block.printed
    else:
        assert printed != ""


def test_every_program_is_run() -> None:
    assert {block.page for block in BLOCKS} == {*PAGES}
    assert not any(block.skipped or block.case for block in BLOCKS)


def test_the_tutorial_shows_the_output_of_each_program_but_that_of_the_space() -> None:
    hidden = [block for block in BLOCKS if block.page.stem == "tutorial" and block.printed is None]
    assert [SPACE in block.code for block in hidden] == [True]


def test_the_server_of_the_tutorial_says_what_the_page_shows() -> None:
    text = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"\$ gradio-transport-conformance (serve .*) --port 7860\n(.*)\n", text)
    command = [sys.executable, "-m", "gradio_transport_conformance", *shown[0].split()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        process.terminate()
    assert re.sub(r":\d+\n", ":7860", said) == shown[1]
