# SPDX-License-Identifier: Apache-2.0
"""Many calls: an endpoint over any number of rows, with a journal to resume a killed run.

See the page "Many calls" of the documentation.
"""

from __future__ import annotations

from .faces import AsyncOutcomes, Outcomes, amap, map  # noqa: A004 - what concurrent.futures calls it too
from .outcome import Outcome

__all__ = ["AsyncOutcomes", "Outcome", "Outcomes", "amap", "map"]
