# SPDX-License-Identifier: Apache-2.0
"""Cases: the results that a caller must see in each scenario, as data that the tests of any client can read.

A case is a list of steps against the canonical app.  A step calls one endpoint and states the expected
result; ``parallel`` steps run at once.  The same case drives a real server (recording), the live suite and
the replay of its traces.

Fields of a case: ``name``, ``about``, ``variant`` (of the app), ``protocol``, ``auth``, ``needs``
(capabilities), ``since`` / ``until`` (Gradio versions, the latter exclusive) with ``because``, ``gaps``
(ranges in between that cannot run it either), ``only``,
``unlike`` (other steps for a range of versions), ``known_failures`` (a range and the server's bug).

Fields of a step: ``call``, ``endpoint`` (a name that only the session has), ``component`` (one of its server
functions, instead of a call), ``data``, ``event_data``, ``session`` (a label), ``adapter`` (that must be
chosen), ``send`` (chunks of a streaming input, one for each answer, then its end), ``keep`` (the files of the
outputs for later steps); the expected result: ``outputs`` | ``any_of`` | ``contains`` | ``length`` |
``matches`` (a pattern of the only output as a text), ``files`` (those found in the outputs, in order, each
with ``name``, ``text``, ``size`` or ``starts``), ``yields`` | ``yield_count``,
``consistent`` (the last yield equals the result), ``events`` (kinds, as an ordered
subsequence), ``error`` (type) and ``message`` (part of its text), ``hint`` (part of this library's own text;
other clients have other texts), ``cancel_after`` (kind and count),
``quiet`` (the result is not checked).

In ``data`` and ``event_data`` a mapping with one of these keys stands for a file: ``$file`` (``name`` and
``text``), ``$image`` (a PNG of so many pixels a side), ``$sound`` (a wave file of so many seconds), ``$kept``
(the number of one that an earlier step kept).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import attrs


def numbers(version: str) -> tuple[int, int, int]:
    """Return a version as three numbers, so that versions compare."""
    found = [int(part) for part in re.findall(r"\d+", version)[:3]]
    major, minor, micro = [*found, 0, 0, 0][:3]
    return major, minor, micro


@attrs.frozen
class Range:
    """A range of versions, the end exclusive, and why they are special.

    Attributes:
        sometimes: The server's bug is a race, so the case may also pass.
    """

    because: str
    first: str = "0"
    until: str = "999"
    sometimes: bool = False
    steps: tuple[tuple[Step, ...], ...] = ()

    def covers(self, version: str) -> bool:
        """Return whether a version is in the range."""
        return numbers(self.first) <= numbers(version) < numbers(self.until)


@attrs.frozen(kw_only=True)
class Step:
    """One call, and its expected result."""

    call: str
    data: Sequence[Any]
    event_data: Any = None
    endpoint: str | None = None
    component: str | None = None
    send: Sequence[Sequence[Any]] | None = None
    keep: bool = False
    session: str = "main"
    adapter: str | None = None
    outputs: list[Any] | None = None
    any_of: list[list[Any]] | None = None
    contains: list[Mapping[str, Any]] | None = None
    length: int | None = None
    matches: str | None = None
    files: list[Mapping[str, Any]] | None = None
    yields: list[list[Any]] | None = None
    yield_count: int | None = None
    consistent: bool = False
    events: Sequence[str] = ()
    error: str | None = None
    message: str = ""
    hint: str = ""
    cancel_after: tuple[str, int] | None = None
    quiet: bool = False
    some_error: str | None = None


@attrs.frozen(kw_only=True)
class Case:
    """One scenario."""

    name: str
    about: str
    steps: tuple[tuple[Step, ...], ...]
    group: str = ""
    variant: str = "canonical"
    protocol: str = "auto"
    auth: bool = False
    needs: Sequence[str] = ()
    supported: Range = Range("")
    gaps: tuple[Range, ...] = ()
    only: Sequence[str] = ()
    unlike: tuple[Range, ...] = ()
    known_failures: tuple[Range, ...] = ()

    def steps_for(self, version: str) -> tuple[tuple[Step, ...], ...]:
        """Return the groups of steps for a version; the steps of a group run at once."""
        return next((one.steps for one in self.unlike if one.covers(version)), self.steps)

    def unsupported(self, version: str) -> str | None:
        """Return why a version cannot run the case, or None."""
        if not self.supported.covers(version):
            return self.supported.because
        return next((one.because for one in self.gaps if one.covers(version)), None)

    def known_failure(self, version: str) -> Range | None:
        """Return the bug of the server that makes the case fail on a version, or None."""
        return next((one for one in self.known_failures if one.covers(version)), None)

    def applies(self, version: str) -> bool:
        """Return whether the case applies to a version."""
        return not self.only or version in self.only


def _steps(raw: Sequence[Mapping[str, Any]]) -> tuple[tuple[Step, ...], ...]:
    return tuple(_group(one) for one in raw)


def _group(raw: Mapping[str, Any]) -> tuple[Step, ...]:
    if "parallel" not in raw:
        return (_step(raw),)
    steps = [_step(one) for one in raw["parallel"]]
    if "some_error" in raw:
        steps[0] = attrs.evolve(steps[0], some_error=raw["some_error"])
    return tuple(steps)


def _step(raw: Mapping[str, Any]) -> Step:
    fields = dict(raw)
    if "cancel_after" in fields:
        kind, count = fields["cancel_after"]
        fields["cancel_after"] = (kind, count)
    return Step(**fields)


def _range(raw: Mapping[str, Any]) -> Range:
    return Range(
        because=raw["because"],
        first=raw.get("from", "0"),
        until=raw.get("until", "999"),
        sometimes=raw.get("sometimes", False),
        steps=_steps(raw.get("steps", [])),
    )


def _case(raw: Mapping[str, Any], group: str) -> Case:
    fields: dict[str, Any] = dict(raw)
    because = fields.pop("because", "")
    supported = Range(because, fields.pop("since", "0"), fields.pop("until", "999"))
    fields |= {
        "group": group,
        "supported": supported,
        "steps": _steps(fields["steps"]),
        "gaps": tuple(map(_range, fields.get("gaps", []))),
        "unlike": tuple(map(_range, fields.get("unlike", []))),
        "known_failures": tuple(map(_range, fields.get("known_failures", []))),
    }
    return Case(**fields)


def _load() -> Iterator[Case]:
    import yaml

    folder = resources.files(__name__.rpartition(".")[0]) / "cases"
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".yaml"):
            for raw in yaml.safe_load(file.read_text(encoding="utf-8")):
                yield _case(raw, file.name.removesuffix(".yaml"))


@lru_cache(maxsize=1)
def all_cases() -> tuple[Case, ...]:
    """Return every case of the suite."""
    return tuple(_load())


def find_case(name: str) -> Case:
    """Return a case by name.

    Raises:
        KeyError: There is no case of that name.
    """
    return next((case for case in all_cases() if case.name == name), None) or _unknown(name)


def _unknown(name: str) -> Case:
    raise KeyError(f"no case {name!r}; there are {', '.join(case.name for case in all_cases())}")
