# SPDX-License-Identifier: Apache-2.0
"""Why can an app not be called? The steps of `gradio-transport doctor`; `examine` runs them.

Nothing here prints. Nothing with an effect on the app is sent, unless a call is asked for.
"""

from .examination import STEPS, examine
from .report import Finding, Report, Result, Step

__all__ = ["STEPS", "Finding", "Report", "Result", "Step", "examine"]
