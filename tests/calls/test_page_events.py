# SPDX-License-Identifier: Apache-2.0
"""What a browser would say of an event, as it goes on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from gradio_transport.calls.page_events import (
    CopyData,
    DeletedFileData,
    DownloadData,
    EditData,
    KeyUpData,
    LikeData,
    RetryData,
    SelectData,
    UndoData,
    event_payload,
)
from gradio_transport.files.inputs import handle_file

FILE = handle_file(b"x", name="x.txt")


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (
            SelectData(index=(1, 2), value="v"),
            {"index": (1, 2), "value": "v", "selected": True, "row_value": None, "col_value": None},
        ),
        (LikeData(index=0, liked=False), {"index": 0, "value": None, "liked": False}),
        (KeyUpData(key="a", input_value="ba"), {"key": "a", "input_value": "ba"}),
        (RetryData(index=1), {"index": 1, "value": None}),
        (UndoData(index=1, value="x"), {"index": 1, "value": "x"}),
        (CopyData(value="x"), {"value": "x"}),
        (
            EditData(index=1, value="new", previous_value="old"),
            {"index": 1, "value": "new", "previous_value": "old"},
        ),
        ({"my": "own"}, {"my": "own"}),
        (None, None),
    ],
    ids=lambda one: type(one).__name__,
)
def test_typed_data_goes_as_an_object_and_ones_own_as_it_is(given: Any, sent: Any) -> None:
    assert event_payload(given) == sent


@pytest.mark.parametrize("kind", [DeletedFileData, DownloadData])
def test_the_data_of_a_file_event_are_the_file_itself(kind: Any) -> None:
    assert event_payload(kind(file=FILE)) is FILE
