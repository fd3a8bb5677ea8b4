# SPDX-License-Identifier: Apache-2.0
"""Text of a command line as the value that a schema asks for."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.cli.coerce import CoercionError, coerce, strict_json

STRING = {"type": "string"}
NUMBER = {"type": "number"}
INTEGER = {"type": "integer"}
BOOLEAN = {"type": "boolean"}
ARRAY = {"type": "array"}
OBJECT = {"type": "object"}


@pytest.mark.parametrize("text", ["", "3", "true", "null", "[1]", "  spaced  ", "\x1b[31m"])
def test_a_string_is_taken_as_it_is(text: str) -> None:
    assert coerce(text, STRING) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("3", 3), ("-2", -2), ("+2", 2), ("2.5", 2.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), (" 4 ", 4)],
)
def test_a_number_stays_whole_where_it_is(text: str, value: float) -> None:
    result = coerce(text, NUMBER)

    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize("text", ["", "x", "1_000", "0x10", "nan", "inf", "1e999", "1,5", "٣", "9" * 5000])
def test_what_is_no_number_of_json_is_refused(text: str) -> None:
    with pytest.raises(CoercionError, match="takes a number"):
        coerce(text, NUMBER)


@pytest.mark.parametrize("text", ["2.5", "x", "", "1e3", "9" * 5000])
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(CoercionError, match="takes a whole number"):
        coerce(text, INTEGER)


@given(st.integers(-(10**30), 10**30))
def test_every_whole_number_survives(number: int) -> None:
    assert coerce(str(number), INTEGER) == number
    assert coerce(str(number), NUMBER) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives(number: float) -> None:
    assert math.isclose(coerce(repr(number), NUMBER), number, rel_tol=0)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("on", True), ("1", True), ("no", False), ("off", False), ("0", False)],
)
def test_booleans_have_their_usual_spellings(text: str, value: bool) -> None:
    assert coerce(text, BOOLEAN) is value


def test_what_is_no_boolean_is_refused() -> None:
    with pytest.raises(CoercionError, match="takes true or false, got 'maybe'"):
        coerce("maybe", BOOLEAN)


def test_arrays_and_objects_are_json() -> None:
    assert coerce('["a", 1, null]', ARRAY) == ["a", 1, None]
    assert coerce('{"path": "x"}', OBJECT) == {"path": "x"}


@pytest.mark.parametrize("text", ["a,b", '{"a": 1}', "[NaN]", "[" * 100_000])
def test_what_is_no_array_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(CoercionError, match="takes a JSON array such as"):
        coerce(text, ARRAY)


def test_what_is_no_object_is_refused_with_an_example() -> None:
    with pytest.raises(CoercionError, match="takes a JSON object such as"):
        coerce("photo.png", OBJECT)


@pytest.mark.parametrize(
    ("text", "value"), [("3", 3), ("[1]", [1]), ("true", True), ("word", "word"), ("NaN", "NaN"), ("", "")]
)
def test_where_the_schema_says_nothing_json_is_read_as_json(text: str, value: object) -> None:
    assert coerce(text, {}) == value
    assert coerce(text, {"type": ["no", "sense"]}) == value
    assert coerce(text, {"type": 7, "enum": "x", "anyOf": "y"}) == value


def test_a_choice_is_found_whatever_its_type() -> None:
    assert coerce("b", {"enum": ["a", "b"]}) == "b"
    assert coerce("2", {"enum": [1, 2]}) == 2
    assert coerce("2", {"enum": ["2", 2]}) == "2"


def test_a_text_that_is_no_choice_is_left_to_the_server() -> None:
    # gr.Dropdown(allow_custom_value=True) has the same schema as one that refuses others.
    assert coerce("custom", {"type": "string", "enum": ["a", "b"]}) == "custom"
    assert coerce("custom", {"enum": ["a", 1]}) == "custom"


def test_a_number_that_is_no_choice_is_refused() -> None:
    with pytest.raises(CoercionError, match="takes one of 1, 2, got 'x'"):
        coerce("x", {"enum": [1, 2]})


@pytest.mark.parametrize("key", ["anyOf", "oneOf"])
def test_alternatives_are_tried_from_the_narrow_to_the_wide(key: str) -> None:
    schema = {key: [STRING, NUMBER, {"type": "null"}]}

    assert coerce("3", schema) == 3
    assert coerce("null", schema) is None
    assert coerce("three", schema) == "three"


def test_a_list_of_types_is_a_list_of_alternatives() -> None:
    assert coerce("none", {"type": ["number", "null"]}) is None
    with pytest.raises(CoercionError, match="takes a number or null, got 'x'"):
        coerce("x", {"type": ["number", "null"]})


def test_references_are_followed_inside_the_schema() -> None:
    schema = {"$defs": {"Size": NUMBER, "Alias": {"$ref": "#/$defs/Size"}}, "$ref": "#/$defs/Alias"}

    assert coerce("3", schema) == 3
    with pytest.raises(CoercionError, match="takes a number"):
        coerce("x", schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}}},
        {"$ref": "#/$defs/Missing"},
        {"$ref": "https://elsewhere.example/schema"},
    ],
)
def test_references_that_lead_nowhere_allow_anything(schema: dict[str, object]) -> None:
    assert coerce("word", schema) == "word"


def test_an_error_quotes_only_the_head_of_a_long_text() -> None:
    with pytest.raises(CoercionError) as caught:
        coerce("x" * 10_000, NUMBER)

    assert len(str(caught.value)) < 120


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "{", ""])
def test_json_is_strict(text: str) -> None:
    with pytest.raises(ValueError):
        strict_json(text)
