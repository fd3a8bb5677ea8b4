# SPDX-License-Identifier: Apache-2.0
"""The limits of proxies, and how a diagnosis is put."""

from __future__ import annotations

import pytest

from gradio_transport.trace.diagnosis.model import Said, limit_near, quote, seconds, sentence


@pytest.mark.parametrize(
    ("duration", "limit"), [(60.0, 60), (60.9, 60), (59.8, 60), (100.4, 100), (3601.0, 3600)]
)
def test_a_time_that_is_close_to_a_limit(duration, limit):
    found = limit_near(duration)
    assert found is not None
    assert found[0] == limit


@pytest.mark.parametrize("duration", [0.0, 7.8, 45.0, 59.0, 62.0, 80.0])
def test_a_time_that_is_not(duration):
    assert limit_near(duration) is None


def test_texts_of_servers_are_bounded():
    assert len(quote("x\n" * 10_000)) <= 201
    assert quote("\x1b[2J a\nb") == "\\x1b[2J a b"
    assert sentence("so") == "so."
    assert sentence("so?") == "so?"
    assert (seconds(0.5), seconds(60.04), seconds(-1)) == ("0.50 s", "60.0 s", "0.00 s")


def test_frames_are_in_order_and_each_once():
    assert Said("code", "text", frames=(5, 1, 5)).of(1, "2", "there").frames == (1, 5)
