# SPDX-License-Identifier: Apache-2.0
"""What each of several workers gets of the settings of a run."""

from __future__ import annotations

import math

import attrs

from ..settings import Settings


def share(settings: Settings, workers: int) -> Settings:
    """Return the settings of one worker: its part of the calls at once, and of the rate."""
    return attrs.evolve(
        settings,
        at_once=None if settings.at_once is None else math.ceil(settings.at_once / workers),
        rate=None if settings.rate is None else settings.rate / workers,
    )
