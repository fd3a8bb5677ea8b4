# SPDX-License-Identifier: Apache-2.0
"""Why can an app not be called? The steps of `gradio-transport doctor`; `examine` runs them.

Nothing here prints. Nothing with an effect on the app is sent, unless a call is asked for.
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
