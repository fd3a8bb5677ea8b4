# SPDX-License-Identifier: Apache-2.0
"""The outputs of commands on the pages are what the commands print, and their options exist."""

import itertools
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gradio_transport.cli.app import commands
from gradio_transport_conformance.cli.app import commands as conformance_commands

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CONSOLE = runpy.run_path(str(DOCS / "_console.py"))
PAGES = [DOCS / "debugging.md", DOCS / "debugging" / "trace.md"]
GUIDES = [DOCS / "tutorial.md", *sorted((DOCS / "guides").glob("*.md"))]
BLOCKS = [
    (page, found["command"], found["shown"], found["case"])
    for page in PAGES + GUIDES
    for found in CONSOLE["BLOCK"].finditer(page.read_text(encoding="utf-8"))
    if page in PAGES or found["case"]
]
COMMANDS: dict[str, click.Command] = {
    "gradio-transport": commands,
    "gradio-transport-conformance": conformance_commands,
}


def comparable(text: str) -> str:
    """Return an output without how long a call took, which differs each time; lines are wrapped by that too."""
    return " ".join(re.sub(r"(under )?\d+(\.\d+)? s\b", "N s", text).split())


@pytest.mark.parametrize(
    ("page", "command", "shown", "case"), BLOCKS, ids=[command for _, command, _, _ in BLOCKS]
)
def test_a_block_has_what_the_command_prints(page: Path, command: str, shown: str, case: str | None) -> None:
    assert comparable(CONSOLE["output"](command, CONSOLE["recordings"](page), case)) == comparable(shown)


def test_there_are_blocks() -> None:
    assert len(BLOCKS) >= 7


# --- commands that are shown without being run -------------------------------------------------------


def lines_of(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command of ours in the terminal blocks of a page, up to a pipe or its like."""
    for block in re.findall(r"```console\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in re.findall(r"^\$ (.*)$", block.replace("\\\n", " "), re.MULTILINE):
            yield from commands_in(line)


def commands_in(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    for between, words in itertools.groupby(lexer, lambda word: set(word) <= set("|&;<>()")):
        command = list(itertools.dropwhile(lambda word: re.match(r"[A-Z_]+=", word), words))
        if not between and command and command[0] in COMMANDS:
            yield command


def unknown_in(words: list[str]) -> list[str]:
    """Return what the command line does not know among the words of a command."""
    name, *rest = words
    command = COMMANDS[name]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        below = command.get_command(click.Context(command), rest[0])
        if below is None:
            return [rest[0]]
        command = below
        del rest[0]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {
        "-h",
        "--help",
    }
    rest = rest[: rest.index("--")] if "--" in rest else rest
    options = [word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)]
    return [option for option in options if option not in known and option[:2] not in known]


LINES = [
    (page, words)
    for page in sorted([ROOT / "README.md", *DOCS.rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
    for words in lines_of(page)
]


@pytest.mark.parametrize(
    ("page", "words"), LINES, ids=[f"{page.stem} {shlex.join(words)}" for page, words in LINES]
)
def test_a_command_and_its_options_exist(page: Path, words: list[str]) -> None:
    assert unknown_in(words) == []


def test_unknown_commands_and_options_are_found() -> None:
    assert len(LINES) > 60
    assert list(commands_in("A=1 gradio-transport list 'a | b' | jq .x; echo x # gradio-transport")) == [
        ["gradio-transport", "list", "a | b"]
    ]
    assert unknown_in(["gradio-transport", "cal", "x"]) == ["cal"]
    assert unknown_in(["gradio-transport", "call", "x", "--nonsense", "1", "-H", "a: b"]) == ["--nonsense"]
    assert unknown_in(["gradio-transport", "trace", "diff", "a", "b", "--only=values"]) == []
