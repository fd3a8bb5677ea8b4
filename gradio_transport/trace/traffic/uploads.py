# SPDX-License-Identifier: Apache-2.0
"""Names and sizes of the files in an upload (RFC 7578), of which a trace holds no more."""

from __future__ import annotations

import re

_MOST_FILES = 1000
"""As many as a Gradio server takes."""

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^;\s]{1,200}))', re.IGNORECASE)

_FILENAME = re.compile(rb'filename="([^"\r\n]{0,1000})"', re.IGNORECASE)

_LONGEST_HEAD = 4096


def uploaded_files(body: bytes, content_type: str) -> list[dict[str, object]]:
    """Return ``name`` and ``size`` of each file of a form."""
    found = _BOUNDARY.search(content_type)
    if found is None:
        return []
    mark = b"--" + (found[1] or found[2]).encode("utf-8", "replace")
    files: list[dict[str, object]] = []
    start = body.find(mark)
    while start >= 0 and len(files) < _MOST_FILES:
        start += len(mark)
        end = body.find(b"\r\n" + mark, start)
        if end < 0:
            break
        head = body.find(b"\r\n\r\n", start, min(end, start + _LONGEST_HEAD))
        name = _FILENAME.search(body, start, head) if head >= 0 else None
        if name is not None:
            files.append({"name": name[1].decode("utf-8", "replace"), "size": end - head - 4})
        start = end + 2
    return files


__all__ = ["uploaded_files"]
