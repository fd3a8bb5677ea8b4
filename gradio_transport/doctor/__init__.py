# SPDX-License-Identifier: Apache-2.0
"""The steps of `gradio-transport doctor`, which find out why an app cannot be called; `examine` runs them.

It does not print. It sends nothing with an effect on the app, unless you ask for a call.
"""

from .examination import STEPS, PlannedStep, examine, examine_patient
from .patient import Patient
from .report import Finding, Report, Result, Step

__all__ = [
    "STEPS",
    "Finding",
    "Patient",
    "PlannedStep",
    "Report",
    "Result",
    "Step",
    "examine",
    "examine_patient",
]
