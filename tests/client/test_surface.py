# SPDX-License-Identifier: Apache-2.0
"""The names and errors of the Gradio Python client are decided, and are here as `gradio_transport.client.surface` says.

The releases are compared by files that tests/support/peer_surface.py makes; see tests/client/surfaces/README.md.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from error_situations import SITUATIONS
from peer_surface import SURFACES, attributes_set_by, described, parameters

from gradio_transport.client.surface import NAMES, RAISED, RELEASES, Name, Raised, State

SUPPORT = Path(__file__).parents[1] / "support"
OURS = "gradio_transport.client"
MODULES = ("client", "data_classes", "exceptions", "utils")

needs_peer = pytest.mark.skipif(
    importlib.util.find_spec("gradio_client") is None,
    reason="gradio_client is not installed; nox -s lowest has none",
)

ROWS = {name.name: name for name in NAMES}
PRESENT = [name for name in NAMES if name.state is not State.ABSENT]


def surface(release: str) -> dict[str, Any]:
    return json.loads((SURFACES / f"{release}.json").read_text(encoding="utf-8"))["names"]


SURFACE = {release: surface(release) for release in RELEASES}


def absent_parent(name: str) -> str | None:
    """Return what a name is below that is absent with all of it."""
    parts = name.split(".")
    above = (".".join(parts[:count]) for count in range(1, len(parts)))
    return next((one for one in above if one in ROWS and ROWS[one].state is State.ABSENT), None)


# --- the decisions --------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", RELEASES)
def test_every_public_name_of_a_release_is_decided(release: str) -> None:
    undecided = [name for name in SURFACE[release] if name not in ROWS and not absent_parent(name)]
    assert not undecided, f"decide on these names of {release} in gradio_transport/client/surface.py"


def test_a_name_that_is_new_is_found_undecided() -> None:
    for name in ("client.Client.new_method", "utils.new_function", "new_module"):
        assert name not in ROWS
        assert absent_parent(name) is None
    assert absent_parent("serializing.NewSerializable") == "serializing"


def test_every_decision_is_on_a_name_that_some_release_has() -> None:
    assert len(ROWS) == len(NAMES)
    for name in NAMES:
        having = [release for release in RELEASES if name.name in SURFACE[release]]
        assert having, name.name
        assert (name.since, name.until) == (having[0], having[-1]), name.name
        assert absent_parent(name.name) is None, name.name


def test_what_is_not_the_same_says_why() -> None:
    for name in NAMES:
        explained = bool(name.why or name.parameters)
        assert explained is (name.state is not State.SAME), name.name
        assert name.state is State.DIFFERS or not name.parameters, name.name


# --- whether they are true ------------------------------------------------------------------------------


def find(name: str) -> Any:
    """Return what a name of the Gradio client is here; AttributeError if it is not."""
    first, _, rest = name.partition(".")
    module = importlib.import_module(OURS)
    if first in MODULES:
        module = importlib.import_module(f"{OURS}.{first}")
        if not rest:
            return module
        first, _, rest = rest.partition(".")
    if first not in module.__all__:
        raise AttributeError(name)
    found = vars(module)[first]
    return member(found, rest) if rest else found


def member(kind: type, name: str) -> Any:
    """Return a member of a class, or None for one that is set on its objects."""
    value = inspect.getattr_static(kind, name, None)
    if value is not None:
        return value.__func__ if isinstance(value, staticmethod | classmethod) else value
    annotated = {one for base in kind.__mro__ for one in getattr(base, "__annotations__", ())}
    if name not in annotated | attributes_set_by(kind):
        raise AttributeError(name)
    return None


def differences(theirs: list[list[Any]], ours: list[list[Any]]) -> set[str]:
    """Return the parameters that a program cannot give as it gives them there."""
    known = {one[0]: one for one in ours}
    places = [name for name, kind, *_ in ours if kind == "POSITIONAL_OR_KEYWORD"]
    differing: set[str] = set()
    for place, (name, kind, *default) in enumerate(theirs):
        mine = known.get(name)
        if name.startswith("_") and mine is None:
            continue
        if mine is None or mine[1] != kind or mine[2:] != default:
            # What need not be given here may be given all the same.
            lenient = mine is not None and mine[1] == kind and not default
            differing |= set() if lenient else {name}
        if mine is not None and kind == mine[1] == "POSITIONAL_OR_KEYWORD" and places.index(name) != place:
            differing.add(name)
    return differing


def test_differences_of_parameters_are_found() -> None:
    def function(a: int, b: int = 1, *, c: int = 2) -> None: ...

    ours = parameters(function)
    assert differences([["a", "POSITIONAL_OR_KEYWORD"], ["b", "POSITIONAL_OR_KEYWORD", "1"]], ours) == set()
    assert differences([["b", "POSITIONAL_OR_KEYWORD"]], ours) == {"b"}  # in another place
    assert differences([["a", "POSITIONAL_OR_KEYWORD"], ["b", "POSITIONAL_OR_KEYWORD"]], ours) == set()
    assert differences([["a", "POSITIONAL_OR_KEYWORD", "None"]], ours) == {"a"}
    assert differences([["c", "POSITIONAL_OR_KEYWORD", "2"]], ours) == {"c"}
    assert differences([["c", "KEYWORD_ONLY", "3"]], ours) == {"c"}
    assert differences([["d", "KEYWORD_ONLY", "3"], ["_e", "KEYWORD_ONLY", "3"]], ours) == {"d"}


@pytest.mark.parametrize("name", PRESENT, ids=lambda name: name.name)
def test_a_name_that_is_the_same_or_differs_is_here(name: Name) -> None:
    ours = find(name.name)
    differing: set[str] = set()
    for release in RELEASES:
        theirs = SURFACE[release].get(name.name, {})
        if "parameters" in theirs and "*" not in name.parameters:
            mine = described(name.name, ours)[name.name]["parameters"]
            differing |= differences(theirs["parameters"], mine)
    assert differing == set(name.parameters) - {"*"}, (
        "the parameters that differ, and those that are explained"
    )


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name.state is State.ABSENT], ids=lambda name: name.name
)
def test_a_name_that_is_absent_is_not_here(name: Name) -> None:
    with pytest.raises(AttributeError):
        find(name.name)


def test_what_the_package_exports_is_what_its_modules_have() -> None:
    for release in RELEASES:
        for name, what in SURFACE[release].items():
            if what["kind"] == "export":
                assert find(name) is find(what["of"]), name


@needs_peer
def test_the_surface_of_the_installed_release_is_that_of_its_file() -> None:
    release = importlib.metadata.version("gradio_client")
    assert release in RELEASES, "add it to RELEASES, and make the surfaces anew"
    found = subprocess.run(
        [sys.executable, SUPPORT / "peer_surface.py"], capture_output=True, text=True, check=True, timeout=50
    )
    assert found.stdout == (SURFACES / f"{release}.json").read_text(encoding="utf-8")


# --- the errors -----------------------------------------------------------------------------------------


def outcomes(module: str) -> dict[str, Any]:
    """Return what a client raises in each situation, in a process of its own."""
    done = subprocess.run(
        [sys.executable, SUPPORT / "error_situations.py", module],
        capture_output=True,
        text=True,
        check=True,
        timeout=110,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def here() -> dict[str, Any]:
    return outcomes(OURS)


@pytest.fixture(scope="module")
def there() -> dict[str, Any]:
    return outcomes("gradio_client")


def short(kinds: list[str]) -> set[str]:
    return {kind.rpartition(".")[2] for kind in kinds}


def test_every_situation_is_in_the_table_once() -> None:
    assert sorted(row.situation for row in RAISED) == sorted(SITUATIONS)
    assert len({row.situation for row in RAISED}) == len(RAISED)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("row", RAISED, ids=lambda row: row.situation)
def test_this_client_raises_what_the_table_says(row: Raised, here: dict[str, Any]) -> None:
    outcome = here[row.situation]
    assert outcome["types"] is not None, "it does not end"
    if not row.here:
        assert outcome["types"] == []
        return
    assert outcome["types"][0].rpartition(".")[2] == row.here, outcome
    assert set(row.caught_as) <= short(outcome["types"])
    assert row.words in outcome["text"]
    if row.theirs and "." not in row.theirs and row.theirs not in ("CancelledError", "KeyError"):
        assert row.theirs in short(outcome["types"]), (
            "an except clause written for the Gradio client misses it"
        )


@needs_peer
@pytest.mark.timeout(120)
@pytest.mark.parametrize("row", RAISED, ids=lambda row: row.situation)
def test_the_gradio_client_raises_what_the_table_says(row: Raised, there: dict[str, Any]) -> None:
    outcome = there[row.situation]
    assert outcome["types"] is not None, "it does not end"
    assert bool(row.theirs) is bool(outcome["types"])
    if row.theirs:
        kind = outcome["types"][0]
        assert row.theirs in (kind, kind.rpartition(".")[2]), outcome
        assert row.words in outcome["text"]
