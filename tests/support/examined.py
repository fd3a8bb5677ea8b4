# SPDX-License-Identifier: Apache-2.0
"""Examines an app in this process, and looks for words in what was found."""

from __future__ import annotations

import contextlib
from typing import Any

from gradio_transport.calls.options import Options
from gradio_transport.doctor import Report, Step, examine


def examined(
    source: str,
    *,
    until: str = "",
    hold: float = 0.3,
    call: Any = None,
    saved_token: bool = False,
    **options: Any,
) -> Report:
    """Return the report of an app: the whole one, or that of the steps up to one, which are done sooner."""
    steps = examine(source, Options(**options), hold=hold, call=call, saved_token=saved_token)
    done: list[Step] = []
    with contextlib.closing(steps):
        for step in steps:
            done.append(step)
            if step.name == until:
                break
    return Report(tuple(done))


def text(step: Step) -> str:
    """Return all that a step says."""
    return " ".join([*step.seen, *step.advice])


def results(report: Report) -> dict[str, str]:
    """Return the results that are neither ok nor skipped."""
    return {
        step.name: step.result.value for step in report.steps if step.result.value not in ("ok", "skipped")
    }
