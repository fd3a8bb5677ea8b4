# SPDX-License-Identifier: Apache-2.0
"""What of two recordings is made equal, and how a difference of two values is told."""

from __future__ import annotations

import pytest
from tracing import EVENT

from gradio_transport.trace.comparison.comparable import (
    Change,
    excerpt,
    key_order,
    normalise,
    shape,
    value_changes,
)


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


class TestNormalise:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("http://127.0.0.1:7860/x", "http://127.0.0.1:1/x"),
            ("<generator object f at 0x7f3f93f4fdf0>", "<generator object f at 0x7f0000000000>"),
            ("/tmp/app-o65cwz1d/x/a.txt", "/tmp/app-fhzf5uet/x/a.txt"),
            ("/tmp/abc/gradio/" + "0" * 64 + "/a.txt", "/tmp/gradio/" + "1" * 64 + "/a.txt"),
            ("0b9a5a1e-6f0e-4b1e-8a52-000000000000", "0b9a5a1e-6f0e-4b1e-8a52-111111111111"),
            ("Mon, 23 Nov 2026 22:41:39 GMT", "Tue, 24 Nov 2026 00:00:00 GMT"),
            ("session-1", "session-2"),
            ({"session_hash": "x", "event_id": EVENT}, {"session_hash": "y", "event_id": "z"}),
        ],
    )
    def test_names_of_a_day_are_made_equal(self, one, other):
        assert normalise(one) == normalise(other)

    @pytest.mark.parametrize("value", [{"rank": "first"}, {"event_id": None}, {"duration": [1]}])
    def test_but_not_where_they_are_something_else(self, value):
        assert normalise(value) == value
