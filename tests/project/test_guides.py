# SPDX-License-Identifier: Apache-2.0
"""The Python blocks of pages run, on recordings of real servers, and print what the pages say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from page_blocks import blocks_of, run_page

from gradio_transport_conformance.reenact import Reenactment, serve

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = sorted((DOCS / "guides").glob("*.md"))
REFERENCE = [DOCS / f"{name}.md" for name in ("errors", "traces", "using")]
NEWEST = "6.31.0"


@pytest.fixture(scope="module")
def server() -> Iterator[Reenactment]:
    with serve(NEWEST) as server:
        yield server


@pytest.fixture(scope="module")
def url_of(server: Reenactment) -> Iterator[Callable[[str], str]]:
    """Return the URL of the app of a case, such as ``login`` or ``3.50.2/hello``."""
    others: dict[str, Reenactment] = {}
    with ExitStack() as stack:

        def url_of(case: str) -> str:
            if not case:
                return server.url
            if "/" not in case:
                return server.url_of(case)
            version, _, name = case.partition("/")
            if case not in others:
                others[case] = stack.enter_context(serve(version, [name]))
            return others[case].url_of(name)

        yield url_of


@pytest.mark.parametrize("page", [*GUIDES, *REFERENCE], ids=lambda page: page.stem)
def test_the_blocks_of_a_page_run(
    page: Path,
    server: Reenactment,
    url_of: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = len(server.off_tape)

    count = run_page(page, url_of, lambda: capsys.readouterr().out, excerpts=page in REFERENCE)

    assert server.off_tape[before:] == []
    assert count == sum(not block.skipped for block in blocks_of(page))


def test_most_blocks_are_run() -> None:
    blocks = [block for page in GUIDES for block in blocks_of(page)]
    skipped = [block for block in blocks if block.skipped]
    assert len(blocks) > 30
    assert len(skipped) < len(blocks) / 3
    assert all(block.page.stem in ("zerogpu", "web-services") for block in skipped)
