# SPDX-License-Identifier: Apache-2.0
"""The two faces hold only what threads and tasks make different: little of their text is the same."""

from __future__ import annotations

import ast
import difflib
import re
from pathlib import Path

CORE = Path(__file__).parents[2] / "gradio_transport"

MOST_ALIKE = 0.35
"""How much of the lines of both faces may be the same."""

FACES = (("aclose", "close"), ("__aenter__", "__enter__"), ("__aexit__", "__exit__"), ("Async", ""))


def lines(path: Path) -> list[str]:
    """Return the lines of a module as those of the sync face, imports aside."""
    text = path.read_text(encoding="utf-8")
    imports = {
        line
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    kept: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = re.sub(r"\b(async|await) ", "", line).strip()
        for name, sync_name in FACES:
            line = line.replace(name, sync_name)
        if line and number not in imports and not line.startswith("# SPDX"):
            kept.append(line)
    return kept


def test_little_of_the_faces_is_the_same_text() -> None:
    sync = {path.name: lines(path) for path in (CORE / "sync").glob("*.py")}
    aio = {path.name: lines(path) for path in (CORE / "aio").glob("*.py")}
    alike = sum(
        block.size
        for name in sync.keys() & aio.keys()
        for block in difflib.SequenceMatcher(None, sync[name], aio[name], False).get_matching_blocks()
    )
    total = sum(map(len, sync.values())) + sum(map(len, aio.values()))
    assert 2 * alike / total < MOST_ALIKE
