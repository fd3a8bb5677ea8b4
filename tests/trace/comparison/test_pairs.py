# SPDX-License-Identifier: Apache-2.0
"""Which parts of two traces are compared with each other."""

from __future__ import annotations

from gradio_transport.trace.comparison.pairs import pairs


def test_the_same_one_of_a_name_is_paired_in_the_order_of_the_older():
    before, after = ["a1", "b1", "a2"], ["a3", "a4", "c1", "b2"]
    found = list(pairs(before, after, lambda one: one[0]))
    assert found == [("a1", "a3"), ("b1", "b2"), ("a2", "a4"), (None, "c1")]


def test_one_that_only_the_older_has_is_alone():
    assert list(pairs(["a1", "a2"], ["a3"], lambda one: one[0])) == [("a1", "a3"), ("a2", None)]
