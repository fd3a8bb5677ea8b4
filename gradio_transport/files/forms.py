# SPDX-License-Identifier: Apache-2.0
"""The JSON forms of files, and the components whose values contain them (docs/wire.md §10.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..app.config import Component

META: Mapping[str, str] = {"_type": "gradio.FileData"}
"""The mark of a file from 4.21 on; servers reject inputs without it from 5.5 on."""


FILE_DATA_KEYS = frozenset({"path", "url", "size", "orig_name", "mime_type", "is_stream", "meta", "b64"})


MAX_DEPTH = 64
"""Levels of nesting in which files are found. Deeper values stay unchanged."""


WITHOUT_FILES = frozenset(
    {
        "barplot", "button", "checkbox", "checkboxgroup", "code", "colorpicker", "dataframe", "dropdown",
        "fileexplorer", "highlightedtext", "html", "label", "lineplot", "markdown", "number", "radio",
        "scatterplot", "slider", "state", "text", "textbox", "timer",
    }
)  # fmt: skip
"""Components whose values never contain files, so that large ones need no search."""


INLINE = frozenset({"audio", "carousel", "file", "gallery", "image", "model3d", "timeseries", "video"})
"""Components whose values may be the file itself before 4.0, as a data URL."""


def may_hold_files(slots: Sequence[Component]) -> bool:
    """Return whether values of these components can contain files."""
    return not slots or any(not slot.skipped and slot.type not in WITHOUT_FILES for slot in slots)
