# SPDX-License-Identifier: Apache-2.0
"""How often a reader that always has data checks whether it is cancelled."""

from __future__ import annotations

from gradio_transport.engines.cancel_checks import WAITS_PER_CHECK, cancel_checks


def test_each_sixteenth_wait_has_a_check() -> None:
    is_due = cancel_checks()
    assert [is_due() for _ in range(2 * WAITS_PER_CHECK)] == ([False] * (WAITS_PER_CHECK - 1) + [True]) * 2


def test_each_reader_counts_its_own_waits() -> None:
    first, second = cancel_checks(), cancel_checks()
    for _ in range(WAITS_PER_CHECK - 1):
        first()
    assert (first(), second()) == (True, False)
