# SPDX-License-Identifier: Apache-2.0
"""Files in recorded values: uploaded files, files inside a value, and files of outputs."""

from __future__ import annotations

import base64
import binascii
import json
import mimetypes
import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from ..files.inputs import InputFile, handle_file
from ..files.outputs import ServerFile
from ..protocol.frames import Frame, Kind

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,")


def as_list(value: Any) -> Sequence[Any]:
    """Return a value of a frame if it is a list, else an empty one."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else []


def files_of(value: Any, depth: int) -> Iterator[ServerFile]:
    """Yield the files in output values, in order."""
    if isinstance(value, ServerFile):
        yield value
    elif isinstance(value, list | tuple) and depth:
        for item in cast("Sequence[Any]", value):
            yield from files_of(item, depth - 1)
    elif isinstance(value, dict) and depth:
        for item in cast("dict[str, Any]", value).values():
            yield from files_of(item, depth - 1)


def inline_file(text: str, name: str) -> InputFile | None:
    """Return the file of a data URL, or None for any other text."""
    found = _DATA_URL.match(text)
    if found is None:
        return None
    try:
        content = base64.b64decode(text[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        return None
    plain = re.split(r"[/\\]", name)[-1] or f"file{mimetypes.guess_extension(found[1] or '') or ''}"
    return handle_file(content, name=plain, mime_type=found[1], allow_empty=True)


def uploaded_files(frames: Sequence[Frame]) -> dict[str, tuple[str, int]]:
    """Return name and size of each file that was uploaded, by its path on the recorded server."""
    found: dict[str, tuple[str, int]] = {}
    waiting: list[Frame] = []
    for frame in frames:
        if frame.channel != "upload" or frame.retried:
            continue
        if frame.kind is Kind.REQUEST:
            waiting.append(frame)
        elif frame.kind in (Kind.RESPONSE, Kind.ERROR) and waiting:
            files = as_list(waiting.pop(0).payload.get("files"))
            try:
                paths = as_list(json.loads(frame.payload.get("body") or b"[]"))
            except (ValueError, RecursionError):
                continue
            for path, file in zip(paths, files, strict=False):
                if isinstance(path, str) and isinstance(file, dict):
                    described = cast("dict[str, Any]", file)
                    size = described.get("size")
                    found[path] = str(described.get("name")), size if isinstance(size, int) else 0
    return found
