# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of migration.md that come from `gradio_transport.client.surface`.

``python docs/_surface.py`` puts them between the marks in the page; a test fails if they are not current.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from gradio_transport.client.surface import NAMES, RAISED, RELEASES, Name, Raised, State

PAGE = Path(__file__).with_name("migration.md")

NEWEST = RELEASES[-1]

TITLES: Mapping[str, str] = {
    "": "The package",
    "client.Client": "Client",
    "client.Job": "Job",
    "client.Endpoint": "Endpoint",
    "client": "Other names of the module client",
    "exceptions": "The module exceptions",
    "data_classes": "The module data_classes",
    "utils": "The module utils",
}
"""The part of the page for each beginning of a name; the longest that fits counts."""


def part_of(name: str) -> str:
    """Return which part of the page has a name."""
    fitting = [one for one in TITLES if one and (name == one or name.startswith(f"{one}."))]
    return max(fitting, key=len) if "." in name and fitting else ""


def shown(name: Name, below: str = "") -> str:
    """Return a name as the page has it, with its last release if that is not the newest.

    Args:
        name: The name.
        below: What it is below, and goes without saying.
    """
    path = name.name.removeprefix(f"{below}.") if below else name.name
    gone = "" if name.until == NEWEST else f" (to {name.until})"
    return f"`{path}`{gone}"


def module_of(name: Name) -> str:
    """Return the module of a name, which the title of its part says."""
    return name.name.partition(".")[0] if "." in name.name else ""


def class_of(name: Name) -> str:
    """Return the class of a name with its module, or nothing for a name of a module."""
    return name.name.rpartition(".")[0] if name.name.count(".") == 2 else ""


def names() -> str:
    """Return the tables of the names."""
    return "\n".join(line for part, title in TITLES.items() for line in _part(part, title)).rstrip() + "\n"


def _part(part: str, title: str) -> Iterator[str]:
    rows = [name for name in NAMES if part_of(name.name) == part]
    yield from (f"### {title}", "")
    same = [name for name in rows if name.state is State.SAME]
    alone = [shown(name, module_of(name)) for name in same if not class_of(name)]
    if alone:
        yield from (f"The same: {', '.join(alone)}.", "")
    for owner in dict.fromkeys(class_of(name) for name in same if class_of(name)):
        members = [shown(name, owner) for name in same if class_of(name) == owner]
        yield from (f"The same of `{owner.rpartition('.')[2]}`: {', '.join(members)}.", "")
    differing = [name for name in rows if name.state is State.DIFFERS]
    if differing:
        yield from ("| Name | Since | What differs |", "| --- | --- | --- |")
        yield from (
            f"| {shown(name, module_of(name))} | {name.since} | {_difference(name)} |" for name in differing
        )
        yield ""
    absent = [name for name in rows if name.state is State.ABSENT]
    if absent:
        yield from ("| Not here | Why |", "| --- | --- |")
        for why in dict.fromkeys(name.why for name in absent):
            listed = ", ".join(shown(name, module_of(name)) for name in absent if name.why == why)
            yield f"| {listed} | {why} |"
        yield ""


def _difference(name: Name) -> str:
    parameters = [f"`{which}`: {what}." for which, what in name.parameters.items() if which != "*"]
    made = [f"Not called by programs: {what}." for which, what in name.parameters.items() if which == "*"]
    return " ".join([*([name.why] if name.why else []), *made, *parameters])


def raised() -> str:
    """Return the table of the errors."""
    lines = [
        "| Situation | Gradio client 2.7.2 | Here | Also caught as | In the text of both, and remarks |",
        "| --- | --- | --- | --- | --- |",
        *map(_raised_row, RAISED),
    ]
    return "\n".join(lines) + "\n"


def _raised_row(row: Raised) -> str:
    words = f"{_code(row.words)}. " if row.words else ""
    cells = [
        row.situation,
        f"`{row.theirs}`" if row.theirs else "nothing",
        f"`{row.here}`" if row.here else "nothing",
        ", ".join(f"`{name}`" for name in row.caught_as) or "-",
        f"{words}{row.remark}".strip(),
    ]
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


TABLES: Mapping[str, Callable[[], str]] = {"names": names, "raised": raised}


def with_tables(text: str) -> str:
    """Return the text of the page with its tables written again."""
    for title, table in TABLES.items():
        begin, end = f"<!-- {title}: written by docs/_surface.py -->\n", f"<!-- {title}: end -->\n"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        new = f"{begin}\n{table()}\n{end}"
        text, count = pattern.subn(lambda _, new=new: new, text)
        if count != 1:
            raise ValueError(f"{PAGE.name} has the marks of {title!r} {count} times")
    return text


def closing_list(names_to_list: Sequence[Name] = NAMES) -> str:
    """Return what of the public names still differs, as a list for people."""
    rows = [name for name in names_to_list if name.state is not State.SAME]
    return "".join(f"- {shown(name)}, {name.state.value}: {_difference(name)}\n" for name in rows)


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
