# SPDX-License-Identifier: Apache-2.0
"""Words that readers stumble over stay out of the pages, the sources and the data that users see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

AVOIDED = {
    r"knobs?": "setting",
    r"nobody|somebody|whoever": "a noun: the caller, the server, every client that ...",
    r"(?:take|takes|taking|took) note": "record, or note",
    r"(?:is|are) to be": "must, will, or the active voice",
    r"(?:give|gives|giving|gave|given) up(?! to)": "stop, end or abandon",
    r"as far as": "if, or a sentence of its own",
    r"ask on": "keep polling",
    r"a text or None|an empty text|takes a text(?=[;.,])|(?:is not|must be) a text": "string",
    r"anew": "again",
}
"""Patterns of words, and what to write instead. A match is a whole word, in any case."""

SOURCES = ("gradio_transport", "adapters", "conformance", "examples", "benchmarks", "docs")
KINDS = (".py", ".md", ".yaml")
DATA = {"traces", "results", "_build", "node_modules", ".environments"}
"""Folders with recordings, and with files that this repository does not write."""


def pages() -> Iterator[Path]:
    for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"):
        yield ROOT / name
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in KINDS and DATA.isdisjoint(path.relative_to(ROOT).parts):
                yield path


def avoided(text: str) -> list[str]:
    """Return the avoided words in a text, each with its line and what to write instead."""
    found: list[str] = []
    for pattern, instead in AVOIDED.items():
        for match in re.finditer(rf"\b(?:{pattern})\b", text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{line}: {match[0]!r}: write {instead}")
    return found


def test_pages_sources_and_data_avoid_words_that_readers_stumble_over() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{one}"
        for path in pages()
        for one in avoided(path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Turn this knob.", ["1: 'knob': write setting"]),
        (
            "One line.\nNobody reads it.",
            ["2: 'Nobody': write a noun: the caller, the server, every client that ..."],
        ),
        ("auth= takes a text; got 5", ["1: 'takes a text': write string"]),
        ("It gave up.", ["1: 'gave up': write stop, end or abandon"]),
        ("The settings of a chat that takes a text with files give up to 5 s.", []),
    ],
)
def test_an_avoided_word_is_reported_with_its_line_and_a_better_one(text: str, expected: list[str]) -> None:
    assert avoided(text) == expected
