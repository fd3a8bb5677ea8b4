# SPDX-License-Identifier: Apache-2.0
"""Examines an app in this process, and looks for words in what was found."""

from __future__ import annotations

from typing import Any

from gradio_transport.calls.options import Options
from gradio_transport.doctor import Report, Step, examine


def examined(
    source: str, *, hold: float = 0.3, call: Any = None, saved_token: bool = False, **options: Any
) -> Report:
    """Return the whole report of an app."""
    steps = examine(source, Options(**options), hold=hold, call=call, saved_token=saved_token)
    return Report(tuple(steps))


def text(step: Step) -> str:
    """Return all that a step says."""
    return " ".join([*step.seen, *step.advice])


def results(report: Report) -> dict[str, str]:
    """Return the results that are neither ok nor skipped."""
    return {
        step.name: step.result.value for step in report.steps if step.result.value not in ("ok", "skipped")
    }
