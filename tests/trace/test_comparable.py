# SPDX-License-Identifier: Apache-2.0
"""What of two recordings is made equal, and how a difference of two values is told."""

from __future__ import annotations

import pytest

from gradio_transport.trace.comparable import Change, excerpt, key_order, normalise, shape, value_changes


def test_the_shape_of_a_value_names_paths_keys_and_types():
    value = {"a": [{"b": 1}, {"b": None, "eta": None}], "value": {"of": "the app"}}
    assert set(shape(value)) == {
        ("", "a", "list"),
        ("", "value", "object"),
        ("a[]", "b", "number"),
        ("a[]", "b", "null"),
        ("a[]", "eta", "number"),
    }


def test_names_that_the_app_chose_are_one_key():
    value = {"named_endpoints": {"/one": {"x": 1}, "/two": {"x": 1}}}
    paths = {(path, key) for path, key, _ in shape(value)}
    assert paths == {("", "named_endpoints"), ("named_endpoints", "*"), ("named_endpoints.*", "x")}


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        (1, 1.0, []),
        (float("nan"), float("nan"), []),
        ({"a": 1}, {"b": 1}, [Change("", key="a"), Change("", key="b", is_new=True)]),
        ([1], [1, 2], [Change("", "had 1 item, has 2")]),
        ({"a": {"b": ["x"]}}, {"a": {"b": ["y"]}}, [Change("a.b[]", 'was "x", is "y"')]),
        (None, "x", [Change("", 'was null (null), is "x" (text)')]),
    ],
)
def test_the_changes_of_a_value(old, new, changes):
    assert list(value_changes(old, new)) == changes


def test_the_deepest_levels_are_not_compared():
    deep: list = []
    for _ in range(5_000):
        deep = [deep]
    assert list(value_changes(normalise(deep), normalise(deep))) == []


def test_excerpts_are_bounded_and_key_orders_compare_what_is_in_both():
    assert len(excerpt("x" * 10_000)) < 100
    assert key_order({"a": 1, "b": 1}, {"c": 1, "a": 1, "b": 1})
    assert not key_order({"a": 1, "b": 1}, {"b": 1, "a": 1})
