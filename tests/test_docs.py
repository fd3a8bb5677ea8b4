# SPDX-License-Identifier: Apache-2.0
"""The pages say what the code says."""

import ast
import re
from pathlib import Path

import pytest

import gradio_transport.errors
from gradio_transport import flow

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def test_the_diagram_is_that_of_the_table() -> None:
    page = (ROOT / "docs" / "flow.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{flow.mermaid()}```" in page


def test_the_tree_of_errors_is_that_of_the_module() -> None:
    tree = (ROOT / "docs" / "_errors_tree.txt").read_text(encoding="utf-8")
    documented = " ".join(gradio_transport.errors.__doc__.split())
    assert " ".join(tree.split()) in documented
    for name, kind in vars(gradio_transport.errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception):
            assert re.search(rf"\b{name}\b", tree), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_are_python(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        # Top-level await and async with stand for the body of a coroutine.
        compile(block, page.name, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target
