# SPDX-License-Identifier: Apache-2.0
"""Makes the page of clients, docs/clients.md, from the results in docs/clients/, and from nothing else.

    python docs/_clients.py                             write the page
    python docs/_clients.py --run                       first run every client on every version of `planned`
    python docs/_clients.py --run --missing             first run those alone that have no result yet
    python docs/_clients.py --run --versions 5.9.1,6.8  first run all clients on some versions, in that order
    python docs/_clients.py RESULTS.json...             first take what `run --json` wrote

What a client does on a version replaces what was kept of it at once, so that a run may be interrupted.
Cases that are wrong are played once more, one at a time, and what came then is kept, since on a busy machine
a client may be late. All of it takes about two hours.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from gradio_transport_conformance.cases import all_cases, numbers
from gradio_transport_conformance.drivers import shipped
from gradio_transport_conformance.grading import Grade
from gradio_transport_conformance.run.results import WORDS, CellResult, RunResults, read_json
from gradio_transport_conformance.traces import versions

HERE = Path(__file__).parent
FOLDER = HERE / "clients"
PAGE = HERE / "clients.md"

SIGNS: Mapping[str, str] = {
    "right": "✓",
    "wrong": "✗",
    "known": "⊗",
    "off tape": "?",
    "cannot": "\N{EN DASH}",
    "unsupported": "·",
}

_LONGEST = 110
"""Characters of a cause."""

BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


@attrs.frozen
class Client:
    """What is kept of a client.

    Attributes:
        name: Name and version.
        language: Its language, with the version.
        versions: By Gradio version: when it was run and with which suite, and by the word of a grade the
            cases, with blanks between them, or the cases of each cause.
    """

    name: str
    language: str
    versions: Mapping[str, Mapping[str, Any]]

    @property
    def program(self) -> str:
        """Its name without the version."""
        return self.name.partition(" ")[0]

    def grades(self, version: str) -> dict[str, str]:
        """Return the word of the grade of each case."""
        kept = self.versions.get(version, {})
        return {case: word for word in SIGNS for names in _lists(kept.get(word)) for case in names.split()}

    def causes(self, word: str) -> dict[str, dict[str, list[str]]]:
        """Return the versions of each case of each cause of a grade."""
        found: dict[str, dict[str, list[str]]] = {}
        for version in sorted(self.versions, key=numbers):
            kept = self.versions[version].get(word, {})
            for cause, names in kept.items():
                for case in names.split():
                    found.setdefault(cause, {}).setdefault(case, []).append(version)
        return found


def _lists(kept: str | Mapping[str, str] | None) -> Iterable[str]:
    """Return the lists of cases of a grade, with or without causes."""
    return kept.values() if isinstance(kept, Mapping) else (kept or "",)


def keep(results: RunResults, folder: Path = FOLDER) -> Path:
    """Keep what a page needs of the results of a run, and return the file."""
    path = folder / f"{re.sub(r'[^a-z0-9_.]+', '-', results.client.lower()).strip('-')}.json"
    known = json.loads(path.read_text("utf-8"))["versions"] if path.exists() else {}
    cells = [cell for cell in results.cells if cell.kind == "case"]
    for version in dict.fromkeys(cell.row for cell in cells):
        mine = [cell for cell in cells if cell.row == version]
        run = {"date": results.started[:10], "suite": results.kit, "served as": results.serve}
        known[version] = run | _by_word(mine)
    ordered = {version: known[version] for version in sorted(known, key=numbers)}
    value = {"client": results.client, "language": results.language, "versions": ordered}
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    return path


def _by_word(cells: Sequence[CellResult]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for grade, word in WORDS.items():
        mine = [cell for cell in cells if cell.grade is grade]
        if grade in (Grade.PASS, Grade.UNSUPPORTED):
            kept[word] = " ".join(cell.column for cell in mine)
        elif mine:
            causes = sorted({_cause(cell) for cell in mine})
            kept[word] = {
                cause: " ".join(cell.column for cell in mine if _cause(cell) == cause) for cause in causes
            }
    return kept


def _cause(cell: CellResult) -> str:
    text = " ".join((cell.cause or "no cause is known").split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def read_clients(folder: Path = FOLDER) -> list[Client]:
    """Return what is kept of all clients, this library first."""
    kept = [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]
    found = [Client(one["client"], one["language"], one["versions"]) for one in kept]
    return sorted(found, key=_order)


def _order(client: Client) -> tuple[bool, str, tuple[int, int, int]]:
    version = client.name.removeprefix(client.program).strip()
    return client.program != "gradio-transport", client.program, numbers(version)


def tables(clients: Sequence[Client]) -> str:
    """Return what is generated of the page."""
    return "\n".join([*_counts(clients), *_matrices(clients), *_all_causes(clients)])


def _ran(clients: Iterable[Client]) -> list[str]:
    """Return the versions that some client was run on, in order."""
    return sorted({version for client in clients for version in client.versions}, key=numbers)


def _counts(clients: Sequence[Client]) -> Iterator[str]:
    programs = list(dict.fromkeys(client.program for client in clients))
    yield from ("## Counts", "")
    yield "The number of cases with each grade, by the version of the client. Empty cells were not run."
    yield ""
    yield "| Gradio | " + " | ".join(programs) + " |"
    yield "|---|" + "---|" * len(programs)
    for version in reversed(_ran(clients)):
        cells = [[_count(one, version) for one in clients if one.program == program] for program in programs]
        yield f"| {version} | " + " | ".join("<br>".join(filter(None, cell)) for cell in cells) + " |"
    yield ""
    for client in clients:
        dates = sorted({str(run["date"]) for run in client.versions.values()})
        suites = ", ".join(sorted({str(run["suite"]) for run in client.versions.values()}))
        when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
        many = f"{len(client.versions)} versions" if len(client.versions) > 1 else "1 version"
        yield f"- {client.name}: {_escaped(client.language)}; {many} of Gradio, run {when} by suite {suites}."
    yield ""


def _count(client: Client, version: str) -> str:
    if version not in client.versions:
        return ""
    words = list(client.grades(version).values())
    shown = [(words.count(word), sign) for word, sign in SIGNS.items() if word != "unsupported"]
    counts = " ".join(f"{count}\N{NO-BREAK SPACE}{sign}" for count, sign in shown if count)
    return f"{client.name.removeprefix(client.program).split()[0]}: {counts}"


def _matrices(clients: Sequence[Client]) -> Iterator[str]:
    newest = {numbers(version)[0]: version for version in _ran(clients)}
    for version in reversed(newest.values()):
        mine = [client for client in clients if version in client.versions]
        grades = [client.grades(version) for client in mine]
        yield from (f"## Gradio {version}", "")
        yield "| case | " + " | ".join(client.name for client in mine) + " |"
        yield "|---|" + ":-:|" * len(mine)
        alike: list[str] = []
        for case in all_cases():
            words = [found.get(case.name, "") for found in grades]
            if set(words) == {"right"}:
                alike.append(case.name)
            elif set(words) - {"", "unsupported"}:
                yield f"| `{case.name}` | " + " | ".join(SIGNS.get(word, " ") for word in words) + " |"
        yield ""
        if alike:
            who = "All of them get these right" if len(mine) > 1 else "It gets these right"
            yield f"{who}: {_names(alike)}."
            yield ""


def _all_causes(clients: Sequence[Client]) -> Iterator[str]:
    yield from ("## Causes", "", "A range contains only the versions on which the client was run.", "")
    for client in clients:
        found = [(word, client.causes(word)) for word in ("wrong", "known", "off tape", "cannot")]
        if any(causes for _, causes in found):
            yield from (f"### {client.name}", "")
            for word, causes in found:
                for cause, cases in causes.items():
                    yield f"- {SIGNS[word]} {word}, {_escaped(cause)}: {_places(cases, _ran([client]))}."
            yield ""


def _places(cases: Mapping[str, Sequence[str]], ran: Sequence[str]) -> str:
    """Return the names of cases and their versions; cases of the same versions are named together."""
    together: dict[tuple[str, ...], list[str]] = {}
    for case, where in cases.items():
        together.setdefault(tuple(where), []).append(case)
    return "; ".join(f"{_names(names)} on {_ranges(where, ran)}" for where, names in together.items())


def _ranges(where: Sequence[str], ran: Sequence[str]) -> str:
    """Return versions as ranges of those that a client was run on."""
    runs: list[list[str]] = []
    for version in where:
        if runs and ran.index(version) == ran.index(runs[-1][-1]) + 1:
            runs[-1].append(version)
        else:
            runs.append([version])
    shown = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(run) for run in runs]
    return ", ".join(shown)


def _names(cases: Iterable[str]) -> str:
    return ", ".join(f"`{case}`" for case in cases)


def _escaped(text: str) -> str:
    """Return a text of a client as Markdown that shows it and does nothing."""
    return re.sub(r"([\\`*_{}\[\]<>()#|!&~$])", r"\\\1", text)


def with_tables(page: str, folder: Path = FOLDER) -> str:
    """Return the page with what is generated of it."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n\n{tables(read_clients(folder))}\n{END}{after}"


OF_THEIR_TIME: Mapping[str, tuple[str, str]] = {
    "gradio_client==0.7.0": ("4", "4.9"),
    "gradio_client==1.3.0": ("4", "5"),
}
"""The Gradio versions on which an older client is run, from the first to before the second."""


def planned(version: str) -> Iterator[tuple[str, str]]:
    """Yield the options that name each client that is run on a Gradio version."""
    yield "--face", "sync"
    for driver in shipped().values():
        first, until = OF_THEIR_TIME.get(driver.name, ("0", "999"))
        if driver.speaks(version) and numbers(first) <= numbers(version) < numbers(until):
            yield "--client", driver.name


def run_all(chosen: Sequence[str], *, only_missing: bool) -> Iterator[RunResults]:
    """Yield what each client does on each version."""
    kept = {_plain(client.name): client.versions.keys() for client in read_clients()} if only_missing else {}
    for version in chosen:
        for way, name in planned(version):
            known = next((found for client, found in kept.items() if client.startswith(_plain(name))), ())
            if version not in known:
                yield _run_twice(way, name, version)


def _plain(name: str) -> str:
    """Return the name of a client as its option and its driver both have it."""
    if name == "sync":
        return "gradio-transport"
    return re.sub(r"(?<=.)(==|@)", " ", name)


def _run_twice(way: str, name: str, version: str) -> RunResults:
    """Run a client, and what was wrong once more."""
    results = _run(way, name, "--versions", version, "--jobs", "2")
    wrong = [cell.column for cell in results.cells if cell.grade is Grade.FAIL]
    if not wrong:
        return results
    again = _run(way, name, "--versions", version, "--jobs", "1", "--cases", ",".join(wrong))
    later = {cell.column: cell for cell in again.cells}
    return attrs.evolve(results, cells=[later.get(cell.column, cell) for cell in results.cells])


def _run(*arguments: str) -> RunResults:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "results.json")
        program = [sys.executable, "-m", "gradio_transport_conformance", "run"]
        command = [*program, *arguments, "--json", str(path)]
        subprocess.run(command, check=False)  # noqa: S603 - status 1: something is wrong, which the page shows
        return read_json(path)


def _write() -> None:
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    """Take results, and write the page."""
    parser = argparse.ArgumentParser(prog="python docs/_clients.py")
    parser.add_argument("results", nargs="*", type=Path, help="files of run --json")
    parser.add_argument("--run", action="store_true", help="run the clients")
    parser.add_argument("--versions", default="", help="of Gradio, with commas; all if none is named")
    parser.add_argument("--missing", action="store_true", help="only what has no result yet")
    given = parser.parse_args(arguments)
    FOLDER.mkdir(exist_ok=True)
    for path in given.results:
        keep(read_json(path))
    if given.run:
        chosen = [one for one in given.versions.split(",") if one] or versions()
        for results in run_all(chosen, only_missing=given.missing):
            keep(results)
    _write()


if __name__ == "__main__":
    main(sys.argv[1:])
