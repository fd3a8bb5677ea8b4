# SPDX-License-Identifier: Apache-2.0
"""The JSON forms of files, and the components whose values hold them (docs/wire.md §10.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..app.config import Component

META: Mapping[str, str] = {"_type": "gradio.FileData"}
"""What marks a file from 4.21 on; inputs without it are refused from 5.5 on."""


FILE_DATA_KEYS = frozenset({"path", "url", "size", "orig_name", "mime_type", "is_stream", "meta", "b64"})


MAX_DEPTH = 64
"""How deep files are looked for. What a server nests deeper is left as it is."""


WITHOUT_FILES = frozenset(
    {
        "barplot", "button", "checkbox", "checkboxgroup", "code", "colorpicker", "dataframe", "dropdown",
        "fileexplorer", "highlightedtext", "html", "label", "lineplot", "markdown", "number", "radio",
        "scatterplot", "slider", "state", "text", "textbox", "timer",
    }
)  # fmt: skip
"""Components whose values hold no files, so that large ones need not be searched."""


INLINE = frozenset({"audio", "carousel", "file", "gallery", "image", "model3d", "timeseries", "video"})
"""Components whose values may be the file itself before 4.0, as a data URL."""


def may_hold_files(slots: Sequence[Component]) -> bool:
    """Return whether values of these components can hold files."""
    return not slots or any(not slot.skipped and slot.type not in WITHOUT_FILES for slot in slots)
