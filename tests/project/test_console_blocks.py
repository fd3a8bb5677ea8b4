# SPDX-License-Identifier: Apache-2.0
"""The outputs of commands on the pages are what the commands print."""

import re
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
CONSOLE = runpy.run_path(str(DOCS / "_console.py"))
PAGES = [DOCS / "debugging.md", DOCS / "debugging" / "trace.md", DOCS / "tutorial.md"]
BLOCKS = [
    (page, found[1], found[2])
    for page in PAGES
    for found in CONSOLE["BLOCK"].finditer(page.read_text(encoding="utf-8"))
]


def comparable(text: str) -> str:
    """Return an output without how long a call took, which differs each time; lines are wrapped by that too."""
    return " ".join(re.sub(r"(under )?\d+(\.\d+)? s\b", "N s", text).split())


@pytest.mark.parametrize(("page", "command", "shown"), BLOCKS, ids=[command for _, command, _ in BLOCKS])
def test_a_block_has_what_the_command_prints(page: Path, command: str, shown: str) -> None:
    assert comparable(CONSOLE["output"](command, page)) == comparable(shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_there_are_blocks(page: Path) -> None:
    assert any(where == page for where, _, _ in BLOCKS)
