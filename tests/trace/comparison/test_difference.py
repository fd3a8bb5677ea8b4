# SPDX-License-Identifier: Apache-2.0
"""A difference as a line, and the same one in many places as one."""

from __future__ import annotations

from gradio_transport.trace.comparison.difference import Collector, Difference, Layer


def test_places_are_bounded():
    found = Difference(Layer.VALUES, "x", 9, tuple(f"call {number}" for number in range(5)))
    assert found.text == "x (in 5 places: call 0; call 1; call 2; ..., 9 times)"
    assert Difference(Layer.VALUES, "x", 1, ("call 1",)).text == "x (call 1)"


def test_the_same_change_in_many_places_is_one_difference():
    found = Collector()
    for place in ("call 1", "call 2", "call 1"):
        found.add(Layer.REQUESTS, "gone: GET /x", place)
    assert found.differences() == [Difference(Layer.REQUESTS, "gone: GET /x", 3, ("call 1", "call 2"))]


def test_the_count_of_a_key_is_named_where_it_differs_from_the_others():
    found = Collector()
    for key, count in (("a", 7), ("b", 7), ("c", 2)):
        found.add_key(Layer.MESSAGES, "log", True, key, count)
    (difference,) = found.differences()
    assert difference.what == "log: new keys a, b, c (2) (7 times)"
    assert difference.keys == ("a", "b", "c")


def test_of_the_values_in_one_place_the_first_change_counts():
    found = Collector()
    found.add_value("outputs: [] was 1, is 2", "outputs: []", "call 1")
    found.add_value("outputs: [] was 3, is 4", "outputs: []", "call 1")
    assert found.differences() == [Difference(Layer.VALUES, "outputs: [] was 1, is 2", 2, ("call 1",))]


def test_differences_come_by_layer():
    found = Collector()
    found.add(Layer.VALUES, "inside")
    found.add(Layer.META, "outside")
    assert [one.what for one in found.differences()] == ["outside", "inside"]
