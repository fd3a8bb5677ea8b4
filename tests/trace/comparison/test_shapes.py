# SPDX-License-Identifier: Apache-2.0
"""Keys and types, compared without the values."""

from __future__ import annotations

import pytest

from gradio_transport.trace.comparison.difference import Collector, Layer
from gradio_transport.trace.comparison.shapes import Shapes, compare_shapes, discovery_shapes


def shapes_of(subject, *values):
    shapes = Shapes()
    for value in values:
        shapes.add_value(subject, value)
    return shapes


def changes(old, new):
    found = Collector()
    compare_shapes(found, Layer.MESSAGES, shapes_of("log", *old), shapes_of("log", *new))
    return [difference.text for difference in found.differences()]


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ([{"a": 1}], [{"a": 2}], []),
        ([{"a": 1}] * 2, [{"a": 1, "b": 1}] * 2, ["log: new key b (2 times)"]),
        ([{"a": {"b": 1, "c": 1}}], [{"a": {"c": 1}}], ["log: a: gone key b"]),
        ([{"a": 1}], [{"a": "x"}], ["log: a was number, is text"]),
        ([{"a": 1}, {"a": None}], [{"a": 1}], ["log: a was null or number, is number"]),
        ([{"value": 1}], [{"value": "x"}], []),
        (["text"], [{"a": 1}], ["log: new key a", "log: gone key a text"]),
    ],
)
def test_keys_and_types_count_and_values_do_not(old, new, lines):
    assert changes(old, new) == lines


def test_components_of_a_config_are_compared_by_type():
    old = {"dependencies": [], "components": [{"type": "slider", "step": 1}, {"type": "textbox"}]}
    new = {"dependencies": [], "components": [{"type": "slider"}, {"type": "textbox", "step": 1}]}
    assert changes([old], [new]) == ["log: components[]: new key step", "log: components[]: gone key step"]


def test_replies_of_a_discovery_are_named_by_their_route():
    assert list(discovery_shapes(shapes_of("the reply to GET /config", {"a": 1})).keys) == ["/config"]
