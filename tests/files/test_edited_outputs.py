# SPDX-License-Identifier: Apache-2.0
"""The search for files in the frames of a stream of edits: what is searched, and that nothing is missed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_transport.app.config import AppConfig, Component
from gradio_transport.files import outputs
from gradio_transport.files.forms import META
from gradio_transport.files.outputs import FileReader
from gradio_transport.protocol.diff import NO_COPIES, DiffDecoder
from gradio_transport.protocol.urls import AppURLs

SLOTS = [Component(1, "chatbot")]


class Conversation:
    """A chat whose frames are edits, and the outputs that a caller gets of it."""

    def __init__(self, rows: list[Any], *, knows_edits: bool = True) -> None:
        self._frames = DiffDecoder()
        self._reader = FileReader(
            AppConfig(version="6.31.0", release=(6, 31, 0)), AppURLs("http://app"), lambda file: file.path
        )
        self._knows_edits = knows_edits
        self._reader.outputs(self._frames.full([rows]), SLOTS)

    def edit(self, *edits: list[Any]) -> list[Any]:
        """Return the rows after a frame with these edits."""
        data = self._frames.next([copy.deepcopy(list(edits))])
        copies = self._frames.copies if self._knows_edits else NO_COPIES
        rows: list[Any] = self._reader.outputs(data, SLOTS, copies)[0]
        return rows


def text(number: int) -> dict[str, Any]:
    return {"role": "user", "content": f"row {number}"}


def file(number: int) -> dict[str, Any]:
    return {"role": "user", "content": {"path": f"/{number}", "meta": META}}


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The elements that were compared with those of the frame before."""
    found: list[Any] = []

    def is_not(one: Any, other: Any) -> bool:
        found.append(one)
        return one is not other

    monkeypatch.setattr(outputs, "is_not", is_not)
    return found


@pytest.mark.parametrize("first", [text, file])
@pytest.mark.parametrize("rows", [20, 2000])
def test_no_row_is_compared_that_a_message_does_not_edit(compared: list[Any], first: Any, rows: int) -> None:
    chat = Conversation([first(0), *map(text, range(1, rows))])
    for _ in range(3):
        chat.edit(["append", [rows - 1, "content"], "+"])
    chat.edit(["add", [rows], file(rows)])
    after = chat.edit(["append", [1, "content"], "+"])
    assert after[rows - 1]["content"] == f"row {rows - 1}+++"
    assert (after[1]["content"], after[rows]["content"]) == ("row 1+", f"/{rows}")
    assert compared == []


def test_every_row_is_compared_after_an_insertion(compared: list[Any]) -> None:
    chat = Conversation([text(0), file(1)])
    after = chat.edit(["add", [0], file(2)])
    assert [row["content"] for row in after] == ["/2", "row 0", "/1"]
    assert len(compared) == 2


def test_every_row_is_compared_if_the_frame_before_was_not_searched(compared: list[Any]) -> None:
    chat = Conversation([text(0), text(1)])
    chat._frames.next([[["replace", [0, "content"], file(5)["content"]]]])
    after = chat.edit(["append", [1, "content"], "+"])
    assert [row["content"] for row in after] == ["/5", "row 1+"]
    assert len(compared) == 2


def test_rows_that_replace_deleted_ones_are_searched() -> None:
    chat = Conversation([text(0), text(1), text(2)])
    after = chat.edit(["delete", [2], None], ["delete", [1], None], ["add", [1], file(7)])
    assert [row["content"] for row in after] == ["row 0", "/7"]


places = st.integers(0, 4)
rows = st.integers(0, 9).flatmap(lambda number: st.sampled_from([text(number), file(number)]))
edits = st.one_of(
    st.tuples(st.just("add"), st.tuples(places), rows),
    st.tuples(st.just("delete"), st.tuples(places), st.none()),
    st.tuples(st.just("replace"), st.tuples(places), rows),
    st.tuples(st.just("replace"), st.tuples(places, st.just("content")), st.just(file(0)["content"])),
    st.tuples(st.just("append"), st.tuples(places, st.just("content")), st.just("+")),
    st.tuples(st.just("replace"), st.just(()), st.lists(rows, max_size=4)),
).map(lambda edit: [edit[0], list(edit[1]), edit[2]])


@given(start=st.lists(rows, max_size=4), frames=st.lists(st.lists(edits, max_size=4), max_size=6))
def test_the_outputs_are_those_of_a_search_that_compares_everything(
    start: list[Any], frames: list[Any]
) -> None:
    quick, slow = Conversation(start), Conversation(start, knows_edits=False)
    seen, snapshots = [], []
    for frame in frames:
        after = quick.edit(*frame)
        assert after == slow.edit(*frame)
        seen.append(after)
        snapshots.append(copy.deepcopy(after))
    assert seen == snapshots
