# SPDX-License-Identifier: Apache-2.0
"""The soak of `benchmarks.soak`, shortened: every call ends exactly once, whatever the server does."""

from __future__ import annotations

import pytest

from benchmarks.soak import soak, sound


@pytest.mark.slow  # a soak shows something only if it lasts
def test_every_call_is_accounted_for_exactly_once() -> None:
    report = soak(12.0, 40.0, seed=3)
    assert sound(report), report
    assert report["calls"] > 200
    assert {"value", "cancelled", "AppError", "StreamLost"} <= report["ends"].keys(), report
