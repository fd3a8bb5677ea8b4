# SPDX-License-Identifier: Apache-2.0
"""Handles as texts: what one process writes and another reads."""

from __future__ import annotations

import json
import pickle
from typing import Any

import attrs
import pytest

from gradio_transport.calls.handle import Handle
from gradio_transport.errors import LocalProtocolError

HANDLE = Handle(
    url="http://app", session_hash="s", event_id="e", fn_index=3, endpoint="/slow", protocol="sse_v3",
    gradio_version="6.31.0",
)  # fmt: skip
FIELDS = attrs.asdict(HANDLE)


def test_a_handle_comes_back_from_its_text_and_its_pickle() -> None:
    assert Handle.from_json(HANDLE.to_json()) == HANDLE
    assert pickle.loads(pickle.dumps(HANDLE)) == HANDLE


def test_fields_of_a_later_version_are_left_out() -> None:
    assert Handle.from_json(json.dumps(FIELDS | {"novel": 1})) == HANDLE


@pytest.mark.parametrize("text", ["", "{", "3", "[]", "null", "[" * 100_000])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(LocalProtocolError, match="JSON object"):
        Handle.from_json(text)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(LocalProtocolError, match="lacks event_id, url"):
        Handle.from_json(json.dumps({key: FIELDS[key] for key in FIELDS if key not in ("url", "event_id")}))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("url", 3), ("url", ""), ("event_id", None), ("fn_index", "3"), ("fn_index", True), ("endpoint", 3)],
)
def test_a_field_of_the_wrong_type_is_named(field: str, wrong: Any) -> None:
    with pytest.raises(LocalProtocolError, match=field):
        Handle.from_json(json.dumps(FIELDS | {field: wrong}))
