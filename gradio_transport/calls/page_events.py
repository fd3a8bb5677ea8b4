# SPDX-License-Identifier: Apache-2.0
"""Typed data of page events, as a browser sends them (3.21+; docs/wire.md §13).

``CallOptions(event_data=...)`` takes one of these or a dict. The names are those of Gradio's event classes,
so you call a listener that takes ``gr.KeyUpData`` with `KeyUpData`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import attrs

from ..files.inputs import InputFile
from ..files.outputs import ServerFile

Index: TypeAlias = int | Sequence[int]
"""An index in a list, or row and column."""


@attrs.frozen(kw_only=True)
class SelectData:
    """A part of a component was selected (3.21+). The row and column values are those of a Dataframe."""

    index: Index
    value: Any = None
    selected: bool = True
    row_value: Any = None
    col_value: Any = None


@attrs.frozen(kw_only=True)
class LikeData:
    """A message of a Chatbot was liked, or disliked (3.42+)."""

    index: Index
    value: Any = None
    liked: bool | str = True


@attrs.frozen(kw_only=True)
class KeyUpData:
    """A key was released (4.19+)."""

    key: str
    input_value: str = ""


@attrs.frozen(kw_only=True)
class RetryData:
    """A retry of a Chatbot message was requested (5.0+)."""

    index: Index
    value: Any = None


@attrs.frozen(kw_only=True)
class UndoData:
    """A message of a Chatbot was undone (5.0+)."""

    index: Index
    value: Any = None


@attrs.frozen(kw_only=True)
class CopyData:
    """A value was copied (5.7+)."""

    value: Any


@attrs.frozen(kw_only=True)
class EditData:
    """A message of a Chatbot was edited (5.10+)."""

    index: Index
    value: Any
    previous_value: Any = None


@attrs.frozen(kw_only=True)
class DeletedFileData:
    """A file was removed from a component (4.35+)."""

    file: InputFile | ServerFile


@attrs.frozen(kw_only=True)
class DownloadData:
    """A file was downloaded (5.5+)."""

    file: InputFile | ServerFile


EventData: TypeAlias = (
    SelectData | LikeData | KeyUpData | RetryData | UndoData | CopyData | EditData | DeletedFileData
    | DownloadData
)  # fmt: skip

_KINDS = (SelectData, LikeData, KeyUpData, RetryData, UndoData, CopyData, EditData)


def event_payload(event_data: Any) -> Any:
    """Return the wire form of event data, typed or raw. Its files are not uploaded yet."""
    if isinstance(event_data, DeletedFileData | DownloadData):
        return event_data.file
    if isinstance(event_data, _KINDS):
        return {field.name: getattr(event_data, field.name) for field in attrs.fields(type(event_data))}
    return event_data


__all__ = [
    "CopyData", "DeletedFileData", "DownloadData", "EditData", "EventData", "Index", "KeyUpData", "LikeData",
    "RetryData", "SelectData", "UndoData", "event_payload",
]  # fmt: skip
