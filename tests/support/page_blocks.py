# SPDX-License-Identifier: Apache-2.0
"""The Python blocks of a page, run in order in one namespace, as a reader would in one session.

A comment in the line before a block says how it is run:

- ``<!-- played: login -->``: the app is that of this case, or of ``3.50.2/hello``; by default the canonical app of 6.31.0;
- ``<!-- not run: why -->``: it is compiled, and its names are resolved; nothing more.

``http://127.0.0.1:7860`` stands for the app, also in what is printed. A ``text`` block right behind a block is what
that prints. A library that runs blocks of pages (sybil, pytest-markdown-docs) would leave all of this to write: it has
neither top-level await nor an address that differs for each block.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs

import gradio_transport as gt

ADDRESS = "http://127.0.0.1:7860"
_BLOCK = re.compile(
    r"^(?:<!-- (?P<how>[^>]*) -->\n)?^```python\n(?P<code>.*?)^```\n(?:\n^```text\n(?P<printed>.*?)^```\n)?",
    re.DOTALL | re.MULTILINE,
)


@attrs.frozen
class Block:
    """A block of a page.

    Attributes:
        page: The page.
        line: The line that its code begins at.
        code: The code.
        case: The recorded case whose app it calls, or nothing for the canonical app.
        skipped: Why it is not run, or nothing.
        printed: What it must print, or None if the page does not say.
    """

    page: Path
    line: int
    code: str
    case: str
    skipped: str
    printed: str | None

    def compiled(self, code: str) -> Any:
        """Compile code with the place of this block in tracebacks."""
        tree = ast.parse(code, str(self.page))
        ast.increment_lineno(tree, self.line - 1)
        return compile(tree, str(self.page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    def run(self, url: str, namespace: dict[str, Any]) -> None:
        """Run the block on the app at a URL."""
        code = self.compiled(self.code.replace(ADDRESS, url))
        result = eval(code, namespace)
        if inspect.iscoroutine(result):
            asyncio.run(result)


def blocks_of(page: Path) -> list[Block]:
    """Return the Python blocks of a page."""
    text = page.read_text(encoding="utf-8")
    return [_block(page, text, found) for found in _BLOCK.finditer(text)]


def _block(page: Path, text: str, found: re.Match[str]) -> Block:
    kind, _, rest = (found["how"] or "").partition(": ")
    if kind not in ("", "played", "not run"):
        raise ValueError(f"{page}: unknown comment before a block: {found['how']}")
    return Block(
        page=page,
        line=text.count("\n", 0, found.start("code")) + 1,
        code=found["code"],
        case=rest if kind == "played" else "",
        skipped=rest if kind == "not run" else "",
        printed=found["printed"],
    )


def run_page(
    page: Path, url_of: Callable[[str], str], printed: Callable[[], str], *, excerpts: bool = False
) -> int:
    """Run the blocks of a page, in the current directory, and return how many were run.

    Args:
        page: The page.
        url_of: Returns the URL of the app of a case.
        printed: Returns what was printed since it was called last.
        excerpts: Whether the blocks are excerpts of programs, each with `gt`, the `url` of the app, and an `app` that
            is connected to it.
    """
    namespace: dict[str, Any] = {"__name__": page.stem}
    count = 0
    try:
        for block in blocks_of(page):
            if block.skipped:
                block.compiled(block.code)
                continue
            printed()
            url = url_of(block.case)
            if excerpts:
                _run_excerpt(block, url, namespace)
            else:
                block.run(url, namespace)
            shown = printed().replace(url, ADDRESS)
            assert block.printed is None or shown == block.printed, f"{page}:{block.line} printed {shown}"
            count += 1
    finally:
        _close(namespace)
    return count


def _run_excerpt(block: Block, url: str, namespace: dict[str, Any]) -> None:
    with gt.connect(url) as app:
        namespace.update(gt=gt, url=url, app=app)
        block.run(url, namespace)
    _close(namespace)  # before the next block rebinds their names


def _close(namespace: dict[str, Any]) -> None:
    """Close the connections that blocks have left open."""
    for value in namespace.values():
        if isinstance(value, gt.Transport):
            value.close()
