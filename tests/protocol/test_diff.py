# SPDX-License-Identifier: Apache-2.0
"""Gradio's edits: what servers of each generation send, what is shared, and what hostile ones cannot do."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import pickle
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.protocol.diff import (
    MAX_MOVED,
    MAX_PATH_DEPTH,
    UNKNOWN_OUTPUT,
    DiffDecoder,
    DiffError,
    apply_diff,
    looks_stale,
)

Edit = list
ENCODINGS = ["original indices (4.17 to 5.29.0)", "shifted per enclosing list (5.36 on)"]


def server_edits(old: object, new: object, encoding: str) -> list[Edit]:
    """Encode a change as a server of that generation does, its bugs included, as decoded from the wire."""
    edits: list[Edit] = []
    compare(old, new, [], edits, shifts=encoding == ENCODINGS[1])
    return json.loads(json.dumps(edits))


def compare(old: object, new: object, path: list, edits: list[Edit], *, shifts: bool) -> None:
    if old == new:
        return
    if type(old) is not type(new):
        edits.append(["replace", path, new])
    elif isinstance(old, str) and new.startswith(old):
        edits.append(["append", path, new[len(old) :]])
    elif isinstance(old, list):
        compare_lists(old, new, path, edits, shifts=shifts)
    elif isinstance(old, dict):
        for key in old:
            if key in new:
                compare(old[key], new[key], [*path, key], edits, shifts=shifts)
            else:
                edits.append(["delete", [*path, key], None])
        edits += [["add", [*path, key], new[key]] for key in new if key not in old]
    else:
        edits.append(["replace", path, new])


def compare_lists(old: list, new: list, path: list, edits: list[Edit], *, shifts: bool) -> None:
    begun = len(edits)
    for index, (before, after) in enumerate(zip(old, new, strict=False)):
        compare(before, after, [*path, index], edits, shifts=shifts)
    edits += [["delete", [*path, index], None] for index in range(len(new), len(old))]
    edits += [["add", [*path, index], new[index]] for index in range(len(old), len(new))]
    if shifts:
        deletes = [edit for edit in edits[begun:] if edit[0] == "delete" and isinstance(edit[1][-1], int)]
        for seen, edit in enumerate(deletes):
            edit[1][-1] -= seen


# No bools or floats: the server compares with ==, so 1, 1.0 and true are the same there (docs/wire.md §5.5).
scalars = st.none() | st.integers(-3, 3) | st.text("ab", max_size=3)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("klm"), inner, max_size=3),
    max_leaves=12,
)


@st.composite
def successors(draw: st.DrawFn, value: object) -> object:
    """A value as an app might yield it next: mostly the same, grown, shrunk or changed in places."""
    if draw(st.integers(0, 5)) == 0:
        return draw(values)
    if isinstance(value, str):
        return value + draw(st.text("ab", max_size=2))
    if isinstance(value, list):
        kept = [draw(successors(element)) for element in value[: draw(st.integers(0, len(value)))]]
        return kept + draw(st.lists(values, max_size=2))
    if isinstance(value, dict):
        return {key: draw(successors(member)) for key, member in value.items() if draw(st.booleans())}
    return value


@st.composite
def yields(draw: st.DrawFn) -> list[object]:
    run = [draw(values)]
    for _ in range(draw(st.integers(1, 4))):
        run.append(draw(successors(run[-1])))
    return run


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(run=yields())
def test_edits_of_every_generation_give_the_values_the_app_yielded(encoding: str, run: list[object]) -> None:
    frames = DiffDecoder(list_outputs=[0])
    seen = [frames.next([json.loads(json.dumps(run[0]))])[0]]
    snapshots = [copy.deepcopy(seen[0])]
    for before, after in itertools.pairwise(run):
        edits = server_edits(before, after, encoding)
        sent = copy.deepcopy(edits)
        seen.append(frames.next([edits])[0])
        snapshots.append(copy.deepcopy(seen[-1]))
        assert edits == sent
        assert not [copied for copied in frames.copies.values() if copied.is_shifted]
        assert_unedited_elements_are_shared(frames)
    assert seen == run
    assert seen == snapshots


def assert_unedited_elements_are_shared(frames: DiffDecoder) -> None:
    for identity, copied in frames.copies.items():
        assert identity == id(copied.copy)
        for place, (before, after) in enumerate(zip(copied.before, copied.copy, strict=False)):
            assert place in copied.places or after is before


def test_the_copied_lists_of_a_frame_name_the_edited_elements() -> None:
    frames = DiffDecoder()
    value = [["a"], ["b"], ["c"], {"k": ["d"]}]
    frames.full([value, ["x"]])
    after = frames.next([[["append", [1, 0], "+"], ["replace", [3, "k", 0], "-"]], [["append", [0], "y"]]])
    lists = [value, value[1], value[3]["k"]]
    edited = [after[0], after[0][1], after[0][3]["k"]]
    by_before = {id(copied.before): copied for copied in frames.copies.values()}
    assert [by_before[id(before)].copy for before in lists] == edited
    assert [by_before[id(before)].places for before in lists] == [{1, 3}, {0}, {0}]
    assert len(frames.copies) == 4  # and the list of the second output


def test_an_element_that_replaces_a_deleted_one_is_edited() -> None:
    frames = DiffDecoder()
    frames.full([["a", "b"]])
    assert frames.next([[["delete", [1], None], ["add", [1], "c"], ["add", [2], "d"]]]) == [["a", "c", "d"]]
    (copied,) = frames.copies.values()
    assert (copied.places, copied.is_shifted) == ({1, 2}, False)


def test_an_insertion_says_that_elements_have_moved() -> None:
    frames = DiffDecoder()
    frames.full([["a", "b"]])
    assert frames.next([[["add", [0], "c"]]]) == [["c", "a", "b"]]
    (copied,) = frames.copies.values()
    assert copied.is_shifted


def test_the_copied_lists_are_those_of_the_last_frame_only() -> None:
    frames = DiffDecoder()
    frames.full([["a"]])
    frames.next([[["append", [0], "b"]]])
    assert len(frames.copies) == 1
    frames.next([[]])
    assert not frames.copies
    frames.next([[["append", [0], "c"]]])
    frames.full([["d"]])
    assert not frames.copies


DATAFRAME = {"headers": ["a", "b", "c"], "data": [[1, 2, 3], [4, 5, 6], [7, 8, 9]]}


def test_shrinking_dataframe_as_seen_on_the_wire() -> None:  # docs/wire.md §5.5, Gradio 5.29.1 to 6.31.0
    edits = [
        ["delete", ["headers", 1], None],
        ["delete", ["headers", 1], None],
        ["delete", ["data", 0, 1], None],
        ["delete", ["data", 0, 0], None],
        ["delete", ["data", 1, -1], None],
        ["delete", ["data", 1, -2], None],
        ["delete", ["data", -2], None],
    ]
    assert apply_diff(DATAFRAME, edits) == {"headers": ["a"], "data": [[1], [4]]}
    assert server_edits(DATAFRAME, {"headers": ["a"], "data": [[1], [4]]}, ENCODINGS[1]) == edits


def test_shrinking_chatbot_as_seen_on_the_wire() -> None:  # docs/wire.md §5.5, Gradio 4.17.0 to 5.29.0
    rows = [["a", "b"], ["c", "d"], ["e", "f"]]
    edits = [["delete", [1], None], ["delete", [2], None]]
    assert apply_diff(rows, edits) == [["a", "b"]]
    assert server_edits(rows, [["a", "b"]], ENCODINGS[0]) == edits


def test_dataframe_emptied_of_its_only_column_as_servers_send_it() -> None:  # Gradio 5.36 on
    before, after = {"data": [[1], [2]]}, {"data": [[], []]}
    edits = server_edits(before, after, ENCODINGS[1])
    assert edits[-1] == ["delete", ["data", 1, -1], None]
    assert apply_diff(before, edits) == after


def test_path_cut_by_the_server_is_noticed_where_it_can_be() -> None:  # Gradio 5.29.1 to 5.35.0
    with pytest.raises(DiffError, match="names a key"):
        apply_diff({"k": [1, 2, 3]}, [["delete", [1], None]])
    with pytest.raises(DiffError, match="out of range"):
        apply_diff([[1, 2, 3]], [["delete", [1], None], ["delete", [0], None]])


@pytest.mark.parametrize(
    ("base", "edits", "expected"),
    [
        ("a", [], "a"),
        ("a", [["append", [], "b"]], "ab"),
        ("a", [["replace", [], [1]]], [1]),
        (None, [["replace", [], {"a": 1}], ["add", ["b"], 2]], {"a": 1, "b": 2}),
        (
            {"choices": ["w"], "old": 1},
            [["replace", ["choices", 0], "x"], ["add", ["choices", 1], "y"], ["delete", ["old"], None]],
            {"choices": ["x", "y"]},
        ),
        ([1, 3], [["add", [1], 2]], [1, 2, 3]),
        ([[["a"]]], [["append", [0, 0, 0], "b"], ["append", [0, 0, 0], "c"]], [[["abc"]]]),
        ({"a": 1}, [["add", ["a"], 2]], {"a": 2}),
        ({"a": 1}, [["replace", ["a"], None]], {"a": None}),
        (1, [["append", [], 2]], 3),
        ({"n": [1, 0.5]}, [["append", ["n", 0], 1.5], ["append", ["n", 1], -1]], {"n": [2.5, -0.5]}),
        ([1, 2], [["replace", ["0"], 3], ["add", ["2"], 4], ["delete", ["0"], None]], [3, 2]),
        ([[["a"]]], [["append", ["0", 0, "0"], "b"], ["add", ["0", "0", 1], "c"]], [[["ab", "c"]]]),
        ([1, 2], [["delete", ["-1"], None]], [1]),
    ],
)
def test_operations(base: object, edits: list[object], expected: object) -> None:
    before = copy.deepcopy(base)
    assert apply_diff(base, edits) == expected
    assert apply_diff(base, [tuple(edit) for edit in edits]) == expected
    assert base == before


def test_what_is_not_on_the_path_stays_the_same_object() -> None:
    base = {"rows": [{"text": "a"}, {"text": "b"}], "other": [1, 2]}
    after = apply_diff(base, [["append", ["rows", 1, "text"], "!"]])
    assert after == {"rows": [{"text": "a"}, {"text": "b!"}], "other": [1, 2]}
    assert after["other"] is base["other"]
    assert after["rows"][0] is base["rows"][0]
    assert after["rows"] is not base["rows"]
    assert after["rows"][1] is not base["rows"][1]


def test_containers_are_copied_once_per_frame() -> None:
    class Rows(list):
        copies = 0

        def copy(self) -> list:
            Rows.copies += 1
            return Rows(self)

    base = Rows([[0], [0], [0]])
    after = apply_diff(base, [["replace", [index, 0], 1] for index in range(3)])
    assert after == [[1], [1], [1]]
    assert base == [[0], [0], [0]]
    assert Rows.copies == 1


def test_values_inside_an_edit_are_not_changed_by_later_edits_of_the_frame() -> None:
    added = [1]
    edits = [["add", ["a"], added], ["add", ["a", 1], 2], ["add", ["b"], added]]
    assert apply_diff({}, edits) == {"a": [1, 2], "b": [1]}
    assert added == [1]


HOSTILE = {
    "edits are a string": ("a", "append"),
    "edits are null": ("a", None),
    "edits are an object": ("a", {"0": ["replace", [], 1]}),
    "edit is no list": ("a", [7]),
    "edit is a string of three": ("a", ["add"]),
    "edit is too short": ("a", [["replace", []]]),
    "edit is too long": ("a", [["replace", [], 1, 2]]),
    "operation is unknown": ("a", [["move", [], 1]]),
    "operation is a list": ("a", [[[], [], 1]]),
    "operation is null": ("a", [[None, [], 1]]),
    "path is a string": ({"a": 1}, [["replace", "a", 1]]),
    "path is null": ("a", [["replace", None, 1]]),
    "append of a number": ("a", [["append", [], 1]]),
    "append to a number": (1, [["append", [], "a"]]),
    "append of null to a number": (1, [["append", [], None]]),
    "append of a bool to a number": (1, [["append", [], True]]),
    "append to a bool": (False, [["append", [], 1]]),
    "append of a number to null": (None, [["append", [], 1]]),
    "add of a text to a text": ("a", [["add", [], "b"]]),
    "delete of a text from a text": ("a", [["delete", [], "a"]]),
    "append to a list": ([1], [["append", [], [2]]]),
    "append of a number inside": (["a"], [["append", [0], 1]]),
    "add at the root": ([], [["add", [], 1]]),
    "delete at the root": ([], [["delete", [], None]]),
    "bool as index": ([1, 2], [["replace", [True], 1]]),
    "bool as index of a delete": ([1, 2], [["delete", [False], None]]),
    "float as index": ([1, 2], [["replace", [1.0], 1]]),
    "null as index": ([1, 2], [["add", [None], 1]]),
    "text as index": ([1, 2], [["delete", ["first"], None]]),
    "text with blanks as index": ([1, 2], [["replace", [" 0"], None]]),
    "digits of another script as index": ([1, 2], [["replace", ["\u0661"], None]]),
    "text of a negative index": ([1, 2], [["replace", ["-1"], None]]),
    "text of an index past the end": ([1, 2], [["replace", ["2"], None]]),
    "text of a huge index": ([1, 2], [["replace", ["1" * 5000], None]]),
    "list as index": ([1, 2], [["replace", [[0]], 1]]),
    "negative index": ([1, 2], [["replace", [-1], 1]]),
    "negative index of an add": ([1, 2], [["add", [-1], 1]]),
    "negative index on the way": ([[1]], [["replace", [-1, 0], 1]]),
    "index past the end": ([1, 2], [["replace", [2], 1]]),
    "add past the end": ([1, 2], [["add", [3], 1]]),
    "huge index": ([1, 2], [["add", [10**40], 1]]),
    "huge index of a delete": ([1, 2], [["delete", [10**40], None]]),
    "delete from an empty list": ([], [["delete", [0], None]]),
    "more deletes than elements": ([1], [["delete", [0], None], ["delete", [0], None]]),
    "missing key replaced": ({"a": 1}, [["replace", ["b"], 1]]),
    "missing key deleted": ({"a": 1}, [["delete", ["b"], None]]),
    "missing key on the way": ({"a": 1}, [["replace", ["b", "c"], 1]]),
    "number as key": ({"1": 1}, [["add", [1], 1]]),
    "number as key replaced": ({"1": 1}, [["replace", [1], 1]]),
    "unhashable key": ({"a": 1}, [["add", [["a"]], 1]]),
    "unhashable key replaced": ({"a": 1}, [["replace", [{"a": 1}], 1]]),
    "path into a string": ("abc", [["replace", [0], "x"]]),
    "path into a number": ([1], [["replace", [0, 0], "x"]]),
    "path into null": (None, [["add", ["a"], 1]]),
}


@pytest.mark.parametrize(
    ("base", "edits", "words"),
    [
        (None, [["append", [], "b"]], "'append' with str does not fit null"),
        ("a", [["append", [], None]], "'append' with null does not fit str"),
        ([1], [["replace", [None], 1]], "indexes a list with null"),
        ("a", [["x" * 81, [], 1]], "operation Gradio does not know: '" + "x" * 80 + "'$"),
    ],
)
def test_refusal_says_what_did_not_fit_and_quotes_little_of_it(
    base: object, edits: list[object], words: str
) -> None:
    with pytest.raises(DiffError, match=words):
        apply_diff(base, edits)


@pytest.mark.parametrize(("base", "edits"), HOSTILE.values(), ids=HOSTILE)
def test_edit_that_does_not_fit_is_refused(base: object, edits: object) -> None:
    before = copy.deepcopy(base)
    with pytest.raises(DiffError):
        apply_diff(base, edits)
    frames = DiffDecoder()
    frames.full([base])
    assert frames.next([edits]) == [UNKNOWN_OUTPUT]
    assert base == before


def test_path_is_followed_to_the_limit_and_no_further() -> None:
    base: list[object] = []
    for _ in range(MAX_PATH_DEPTH):
        base = [base]
    value = apply_diff(base, [["add", [0] * MAX_PATH_DEPTH, "deep"]])
    for _ in range(MAX_PATH_DEPTH - 1):
        value = value[0]
    assert value == ["deep", []]
    with pytest.raises(DiffError, match="501 steps; the limit is 500"):
        apply_diff(base, [["add", [0] * (MAX_PATH_DEPTH + 1), "deep"]])
    with pytest.raises(DiffError, match="2 steps; the limit is 1"):
        apply_diff([[0]], [["replace", [0, 0], 1]], max_depth=1)


def test_values_as_deep_as_the_limit_allows_never_exhaust_the_stack() -> None:
    frames = DiffDecoder()
    frames.next([[]])
    for depth in range(2_000):
        (value,) = frames.next([[["add", [0] * (depth % MAX_PATH_DEPTH + 1), []]]])
    assert value is not None


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.floats()
    | st.sampled_from(["k", "l", "replace", "add"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("kl"), inner, max_size=2),
    max_leaves=8,
)
steps = st.sampled_from([0, 1, 2, -1, 10**30, "k", "l", True, None, 1.0]) | junk
hostile_edits = st.lists(
    st.tuples(
        st.sampled_from(["replace", "append", "add", "delete"]) | junk,
        st.lists(steps, max_size=3) | junk,
        junk,
    ).map(list)
    | junk,
    max_size=4,
)


@given(junk, hostile_edits | junk)
def test_hostile_edits_raise_nothing_but_a_diff_error(base: object, edits: object) -> None:
    before = repr(base)
    with contextlib.suppress(DiffError):
        apply_diff(base, edits)
    assert repr(base) == before


@given(st.lists(st.lists(hostile_edits | junk, max_size=3), max_size=4))
def test_hostile_frames_never_raise(run: list[list[object]]) -> None:
    frames = DiffDecoder()
    for data in run:
        assert len(frames.next(data)) == len(data)


def test_unknown_output_stays_unknown_until_it_is_replaced_whole() -> None:
    frames = DiffDecoder()
    assert frames.next(["a", "x"]) == ["a", "x"]
    assert frames.next([[["append", [3], "b"]], [["append", [], "y"]]]) == [UNKNOWN_OUTPUT, "xy"]
    assert frames.next([[], []]) == [UNKNOWN_OUTPUT, "xy"]
    assert frames.next([[["append", [], "c"]], [["append", [], "z"]]]) == [UNKNOWN_OUTPUT, "xyz"]
    assert frames.next([{}, []]) == [UNKNOWN_OUTPUT, "xyz"]
    assert frames.next([[7], []]) == [UNKNOWN_OUTPUT, "xyz"]
    assert frames.next([[["replace", [], "new"]], []]) == ["new", "xyz"]
    assert frames.next([[["append", [], "er"]], []]) == ["newer", "xyz"]


def test_restoring_edit_that_is_followed_by_nonsense_restores_nothing() -> None:
    frames = DiffDecoder()
    frames.full([1])
    frames.next([[["delete", [], None]]])
    assert frames.next([[["replace", [], "new"], ["append", [0], "b"]]]) == [UNKNOWN_OUTPUT]


def test_unchanged_output_is_the_same_object() -> None:
    frames = DiffDecoder()
    (first,) = frames.next([{"a": [1]}])
    assert frames.next([[]])[0] is first


def test_frame_that_was_handed_out_does_not_change() -> None:
    frames = DiffDecoder()
    first = frames.next(["a", [1]])
    second = frames.next([[["append", [], "b"]], [["add", [1], 2]]])
    frames.next([[["append", [], "c"]], [["add", [2], 3]]])
    assert first == ["a", [1]]
    assert second == ["ab", [1, 2]]
    second.clear()
    assert frames.next([[], []]) == ["abc", [1, 2, 3]]


def test_output_that_appears_in_mid_run_is_edited_from_null() -> None:
    frames = DiffDecoder()
    frames.next(["a"])
    assert frames.next([[], [["replace", [], "b"]], []]) == ["a", "b", None]


def test_shorter_frame_keeps_the_baseline_of_the_rest() -> None:
    frames = DiffDecoder()
    frames.next(["a", "b"])
    assert frames.next([[["append", [], "!"]]]) == ["a!"]
    assert frames.next([[], []]) == ["a!", "b"]


def test_shorter_frames_take_no_memory() -> None:
    frames = DiffDecoder()
    frames.next(["a", "b"])
    tracemalloc.start()
    try:
        for _ in range(16):
            frames.next([[]])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10_000


def test_full_values_restore_everything() -> None:
    frames = DiffDecoder()
    frames.next(["a"])
    frames.next(["nonsense"])
    assert frames.full([[["append", [], "b"]]]) == [[["append", [], "b"]]]
    assert frames.next([[["add", [1], 1]]]) == [[["append", [], "b"], 1]]


def test_first_frame_made_of_edits_is_not_taken_for_values() -> None:  # server bug of 4.17 to 6.26
    frames = DiffDecoder()
    stale = [[["append", [], " more"]], [], [["replace", [], 7]]]
    assert frames.next(stale) == [UNKNOWN_OUTPUT, UNKNOWN_OUTPUT, 7]
    assert frames.next([[["replace", [], "all"]], [["add", [0], 1]], [["replace", [], 8]]]) == [
        "all",
        UNKNOWN_OUTPUT,
        8,
    ]
    assert frames.next([[["append", [], "!"]], [], []]) == ["all!", UNKNOWN_OUTPUT, 8]


@pytest.mark.parametrize(
    ("data", "list_outputs"),
    [
        ([], []),
        ([[]], []),
        (["a"], []),
        ([[["append", [], "b"]], "a full value, so the frame is full"], []),
        ([[["append", [], "b"]]], [0]),
        ([[["append", [], "b"]], []], [0]),
        ([[["append", [], "b"], ["append", "b"]]], []),
        ([[["appends", [], "b"]]], []),
        ([[["append", "path", "b"]]], []),
        ([[[["append"], [], "b"]]], []),
        ([["append", [], "b"]], []),
        ([[["how", "are you"], ["fine", None]]], []),
        ([[["append", [], "b", "c"]]], []),
    ],
)
def test_first_frame_of_full_values_is_taken_as_it_is(data: list[object], list_outputs: list[int]) -> None:
    assert not looks_stale(data, list_outputs)
    assert DiffDecoder(list_outputs=list_outputs).next(data) == data


def test_unknown_is_one_falsy_object() -> None:
    assert not UNKNOWN_OUTPUT
    assert repr(UNKNOWN_OUTPUT) == "<UNKNOWN_OUTPUT>"
    for duplicate in (copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))):
        assert duplicate(UNKNOWN_OUTPUT) is UNKNOWN_OUTPUT


@pytest.mark.parametrize(
    ("base", "edit"),
    [([0] * 1000, ["add", [0], 1]), ("x" * 1000, ["append", [], "y"]), (["x" * 1000], ["append", [0], "y"])],
)
def test_a_frame_that_moves_its_values_again_and_again_is_refused(base: object, edit: list[object]) -> None:
    few, many = MAX_MOVED // 10_000, MAX_MOVED // 900
    apply_diff(base, [edit] * few)
    with pytest.raises(DiffError, match="again and again"):
        apply_diff(base, [edit] * many)


def test_a_large_value_may_be_edited_once_in_each_frame() -> None:
    text = "x" * (MAX_MOVED + 1)
    decoder = DiffDecoder()
    decoder.full([text])
    for _ in range(3):
        (text,) = decoder.next([[["append", [], "y"]]])  # type: ignore[assignment]
    assert text == "x" * (MAX_MOVED + 1) + "yyy"


def test_the_memory_of_what_edits_copy_is_told() -> None:
    decoder = DiffDecoder()
    decoder.full([[0] * 1000, "x" * 1000])
    assert decoder.made_bytes == 0
    decoder.next([[["replace", [0], 1]], [["append", [], "y"]]])
    assert 9000 < decoder.made_bytes < 11_000
    decoder.next([[], []])
    assert decoder.made_bytes == 0
