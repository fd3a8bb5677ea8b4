# SPDX-License-Identifier: Apache-2.0
"""The words of ZeroGPU, as Spaces of several years have sent them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.protocol.quota import is_quota_exceeded, quota_wait

TITLE = "ZeroGPU quota exceeded"


@pytest.mark.parametrize(
    ("title", "text", "wait"),
    [
        (None, "You have exceeded your GPU quota", None),
        (
            None,
            "You have exceeded your GPU quota (46s left vs. 60s requested). Sign-up or retry in 0:09:48",
            588,
        ),
        (None, "You have exceeded your GPU quota (60s requested vs. 0s left). Try again in 0:00:00", 0),
        (
            TITLE,
            "You have exceeded your free ZeroGPU quota (120s requested vs. 44s left). Try again in 23:14:07. ",
            83647,
        ),
        (
            TITLE,
            "You have exceeded your Pro ZeroGPU quota (60s requested vs. 0s left). Try again in 1 day, 2:03:04.",
            93784,
        ),
        (TITLE, "You have exceeded your ZeroGPU runs limit. ", None),
        (TITLE, "Space app has reached its GPU limit. Try re-running outside of examples", None),
        (TITLE, "No GPU was available after 60s. Try re-running outside of examples", None),
        (TITLE, "Runs limit used up.", None),
        ("ZeroGPU pending credits exceeded", "Try again once some of those tasks have completed.", None),
        (None, "You have too many ZeroGPU credits allocated to running tasks.", None),
        (None, "You have exceeded your free GPU quota. Try again in 1:30", 90),
        (None, "You have exceeded your ZeroGPU runs limit. Try again in 5 minutes.", 300),
        (None, "GPU quota exceeded, please wait for another 1 hour and 30 min", 5400),
        (None, "GPU quota exceeded: retry after 90s", 90),
        (None, "GPU quota exceeded. Come back in 1.5 days", 129600),
    ],
)
def test_a_quota_is_recognized_and_says_when_to_come_back(title, text, wait) -> None:
    assert is_quota_exceeded(text, title)
    assert quota_wait(text) == wait


@pytest.mark.parametrize(
    ("title", "text"),
    [
        (None, ""),
        (None, "my quota"),
        ("Error", "You exceeded your current quota, please check your plan and billing details."),
        ("ZeroGPU illegal duration", "The requested GPU duration (270s) is larger than the maximum allowed"),
        ("ZeroGPU queue timeout", "No GPU was available after 60s (retry later)"),
        ("ZeroGPU worker error", "GPU task aborted"),
    ],
)
def test_another_error_is_no_quota(title, text) -> None:
    assert not is_quota_exceeded(text, title)
    assert quota_wait(text) is None


@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=400)))
def test_any_timedelta_is_read_as_python_prints_it(wait: timedelta) -> None:
    assert quota_wait(f"Try again in {wait}. ") == pytest.approx(wait.total_seconds(), abs=1e-6)


@pytest.mark.parametrize("filler", [" ", "1 day ", "1 day, ", "retry in ", "1:", "9"])
def test_a_long_text_is_read_fast(filler: str) -> None:
    assert is_quota_exceeded("x" + filler * 50_000, None) is False
    quota_wait("retry in " + filler * 50_000 + "x")
