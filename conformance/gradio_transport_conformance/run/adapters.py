# SPDX-License-Identifier: Apache-2.0
"""Grades an adapter in process: every trace of its protocol is replayed to it, split in many ways."""

from __future__ import annotations

import importlib
import platform
import sys
import time
from pathlib import Path

from gradio_transport.adapter import Adapter
from gradio_transport.adapter.registry import Registry, default_registry
from gradio_transport.errors import GradioTransportError
from gradio_transport.protocol.frames import Kind
from gradio_transport.trace import Trace, read_trace

from ..faults.clients import CLIENTS
from ..faults.play import play_cell
from ..grading import Grade, grade
from ..replay.machine import (
    case_of,
    check_cancellations,
    check_chunkings,
    observe_replay,
    replay_as_recorded,
    version_of,
)
from ..traces import shipped_trace
from .causes import cause_of
from .players import Identity, case_result, fault_result
from .results import CellResult
from .selection import CaseCell, FaultCell, TraceCell


class AdapterNotFound(ValueError):
    """A text of the caller is not the name of an adapter. The message gives the reason."""


def load_adapter(name: str) -> Adapter:
    """Return the adapter that a text names: ``my_package:MyAdapter``.

    Raises:
        AdapterNotFound: It cannot be imported, or is not an adapter.
    """
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise AdapterNotFound(
            f"{name!r} is not an adapter. Pass a module and a class, such as my_package:MyAdapter."
        )
    if "" not in sys.path:
        sys.path.insert(0, "")  # as `python -m` does: the adapter of the folder the caller works in
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise AdapterNotFound(f"{name} cannot be imported: {error}") from error
    adapter = found() if isinstance(found, type) else found
    if not isinstance(adapter, Adapter):
        raise AdapterNotFound(f"{name} is not a subclass of gradio_transport.adapter.Adapter.")
    return adapter


class AdapterPlayer:
    """Replays traces to an adapter.

    Args:
        adapter: The adapter to grade. It replaces the installed one of its name.
        seed: The seed of the random chunks.
    """

    def __init__(self, adapter: Adapter, *, seed: int = 0) -> None:
        self._adapter = adapter
        self._seed = seed
        others = [default_registry.get(name) for name in default_registry.names() if name != adapter.name]
        self._registry = Registry([adapter, *others])

    @property
    def identity(self) -> Identity:
        """The class, and its protocol."""
        kind = type(self._adapter)
        return Identity(
            name=f"{kind.__module__}:{kind.__qualname__} ({self._adapter.name})",
            language=f"Python {platform.python_version()}",
        )

    def close(self) -> None:
        """Do nothing: no resources are held between two cells."""

    def play_case(self, cell: CaseCell) -> CellResult:
        """Replay the recording of a case, if its calls used the adapter."""
        trace = read_trace(shipped_trace(cell.name))
        spoken = _spoken(trace)
        if self._adapter.name not in spoken:
            went = ", ".join(sorted(spoken)) or "no adapter"
            return case_result(cell, Grade.UNSUPPORTED, reason=f"its calls went by {went}")
        began = time.monotonic()
        problems, reached = self._check(trace)
        seconds = time.monotonic() - began
        if problems:
            return case_result(cell, Grade.FAIL, reason="; ".join(problems), seconds=seconds)
        return case_result(cell, reached[0], reason=reached[1], seconds=seconds)

    def play_trace(self, cell: TraceCell) -> CellResult:
        """Replay the caller's own trace."""
        began = time.monotonic()
        try:
            trace = read_trace(cell.path)
            spoken = _spoken(trace)
            problems, (reached, reason) = self._check(trace)
        except GradioTransportError as error:
            spoken, problems, reached, reason = {self._adapter.name}, [str(error)], Grade.FAIL, ""
        if self._adapter.name not in spoken:
            problems = [f"no call of it went by {self._adapter.name}"]
        reason = "; ".join(problems) or reason
        final = Grade.FAIL if problems else reached
        return CellResult(
            name=cell.name,
            kind="case",
            row=cell.path.parent.name,
            column=cell.path.stem,
            grade=final,
            cause=cause_of(reason) if final is not Grade.PASS else "",
            reason=reason,
            expected=["the recorded commands, and the same events however the bytes are cut"],
            source=_file_name(cell.path),
            seconds=time.monotonic() - began,
        )

    def _check(self, trace: Trace) -> tuple[list[str], tuple[Grade, str]]:
        """Return the problems of the replays, and the grade of the case with its reason."""
        registry = self._registry
        try:
            result, problems = replay_as_recorded(trace, registry=registry)
        except GradioTransportError as error:
            return [f"cannot be replayed: {type(error).__name__}: {error}"], (Grade.FAIL, "")
        problems += check_chunkings(trace, result, seed=self._seed, registry=registry)
        problems += check_cancellations(trace, result, registry=registry)
        case, observed = case_of(trace), observe_replay(trace, result)
        if case is None or not observed:
            return problems, (Grade.PASS, "")
        graded = grade(case, version_of(trace), "replay", observed)
        return problems, (graded.grade, graded.reason)

    def play_fault(self, cell: FaultCell) -> CellResult:
        """Play a fault over a socket, if it affects calls of the adapter."""
        if cell.cell.protocol.adapter != self._adapter.name:
            reason = f"it is a fault of {cell.cell.protocol.adapter}"
            return fault_result(cell, [], grade=Grade.UNSUPPORTED, reason=reason)
        installed = default_registry.get(self._adapter.name) if self._is_known() else None
        if type(installed) is not type(self._adapter):
            reason = "it is not installed: faults need the entry point gradio_transport.adapters"
            return fault_result(cell, [], grade=Grade.CANNOT, reason=reason)
        began = time.monotonic()
        problems = play_cell(cell.cell, CLIENTS["sync"])
        return fault_result(cell, problems, seconds=time.monotonic() - began)

    def _is_known(self) -> bool:
        return self._adapter.name in default_registry.names()


def _spoken(trace: Trace) -> set[str]:
    return {str(one.payload["adapter"]) for one in trace.frames if one.kind is Kind.SESSION}


def _file_name(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


__all__ = ["AdapterNotFound", "AdapterPlayer", "load_adapter"]
