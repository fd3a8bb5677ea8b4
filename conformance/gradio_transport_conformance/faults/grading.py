# SPDX-License-Identifier: Apache-2.0
"""The grading of the fault bench: the differences between an outcome and the correct one of a cell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import CancelledError
from typing import Any

import gradio_transport as gt
from gradio_transport.errors import GradioTransportError, Phase

from .cases import Cell, Expectation
from .clients import Outcome
from .protocols import FILE_PHASES

BOUND_SECONDS = 40.0
"""The longest duration of a cell that mainly takes CPU time, which is scarce on a busy machine."""

BOUND_OF_SILENT_SECONDS = 10.0
"""The longest duration of any other cell, whose server is silent: its short deadlines, and a margin."""

CLOSING_SECONDS = 3.0
"""The longest duration of closing, which waits for no peer; the margin allows for a busy machine."""


def grade(cell: Cell, outcome: Outcome) -> list[str]:
    """Return the problems of an outcome."""
    wrong = list(_differences(cell, cell.expect, outcome))
    waits = cell.fault.silent and not cell.fault.heavy
    if outcome.seconds > (BOUND_OF_SILENT_SECONDS if waits else BOUND_SECONDS):
        wrong.append(f"took {outcome.seconds:.1f} s")
    if outcome.closing is not None and outcome.closing > CLOSING_SECONDS:
        wrong.append(f"took {outcome.closing:.1f} s to close")
    if isinstance(outcome.error, GradioTransportError):
        wrong += _error_problems(cell, outcome.error)
    return wrong


def _differences(cell: Cell, expect: Expectation, outcome: Outcome) -> Iterable[str]:
    error = outcome.error
    if expect.cancelled:
        if not isinstance(error, CancelledError):
            yield f"expected to be cancelled, got {outcome}"
        return
    if expect.error is None:
        right = cell.value if expect.value is True else expect.value
        if error is not None or not _are_equal(outcome.value, right):
            yield f"expected {expect}, got {outcome}"
        return
    if type(error).__name__ != expect.error:
        yield f"expected {expect}, got {outcome}"
        return
    for name in ("status", "retryable", "may_have_run", "setting", "retry_after"):
        wanted = getattr(expect, name)
        if wanted is not None and getattr(error, name, None) != wanted:
            yield f"{name} is {getattr(error, name, None)!r}, expected {wanted!r}: {outcome}"


def _are_equal(value: Any, other: Any) -> bool:
    # NaN is not equal to itself, and its repr is.
    return bool(value == other) or repr(value) == repr(other)


_PHASES: Mapping[str, tuple[Phase, ...]] = {
    "config": (Phase.DISCOVER,),
    "info": (Phase.DISCOVER,),
    "join": (Phase.JOIN, Phase.COMPLETE),
    "data": (Phase.JOIN, Phase.STREAM),
    "stream": (Phase.STREAM, Phase.COMPLETE),
    "cancel": (Phase.CANCEL,),
    "upload": (Phase.UPLOAD,),
    "download": (Phase.DOWNLOAD,),
    "read": (Phase.DOWNLOAD,),
    "login": (Phase.LOGIN,),
    "heartbeat": (),
}

_WITHOUT_ADAPTER = ("config", "info", "login", *FILE_PHASES)
"""Phases whose errors name no adapter: before one is chosen, and after the call."""

_INTERNAL = re.compile(r"Please report|Traceback|object at 0x|<class |NoneType|KeyError|AttributeError")
"""What an error message must not contain."""


def _error_problems(cell: Cell, error: GradioTransportError) -> Iterable[str]:
    if error.status is None and isinstance(error, gt.EndpointNotFound | gt.ValidationFailed):
        return  # rejected by the client, before any call
    phases = _PHASES[cell.phase]
    if isinstance(error, gt.errors.QueueFull):
        phases = (*phases, Phase.JOIN)
    if cell.protocol.kind in ("own", "chat"):  # the stream is the join
        phases = (*phases, Phase.JOIN)
    if cell.protocol.kind in ("direct", "chat"):  # the reply to the join is all there is
        phases = (*phases, Phase.STREAM)
    if cell.fault.connection is not None:  # a client may check whether the app is the same
        phases = (*phases, Phase.DISCOVER)
    if error.phase not in phases:
        yield f"phase is {error.phase}, expected {' or '.join(phases)}: {error}"
    if error.retryable and error.may_have_run:
        yield f"retryable, though the function may have run: {error}"
    if error.elapsed is None:
        yield f"elapsed is missing: {error}"
    if error.adapter != cell.protocol.adapter and cell.phase not in _WITHOUT_ADAPTER:
        yield f"adapter is {error.adapter!r}: {error}"
    if _INTERNAL.search(str(error)):
        yield f"the message shows internals: {error}"


__all__ = ["BOUND_OF_SILENT_SECONDS", "BOUND_SECONDS", "grade"]
