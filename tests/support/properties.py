# SPDX-License-Identifier: Apache-2.0
"""How many examples a property is tried with: a modest number, or so many times as many."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

TIMES = int(os.environ.get("GRADIO_TRANSPORT_EXAMPLES", "1"))


def tried(examples: int, **more: Any) -> settings:
    """Return settings for a property: ``GRADIO_TRANSPORT_EXAMPLES=20 pytest`` tries twenty times as often."""
    return settings(
        max_examples=examples * TIMES, deadline=None, suppress_health_check=list(HealthCheck), **more
    )
