# SPDX-License-Identifier: Apache-2.0
"""Whether two calls are the same: one function, equal values, files of one name and size. Pure, no I/O."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import attrs

_FILE_URL = re.compile(r"^https?://[^/]+(?:/gradio_api)?/file=")
_DATA_URL = re.compile(r"^data:[^,]*;base64,", re.IGNORECASE)
_PNG = "iVBORw0KGgo"
"""How the base64 of an image begins: servers of 3.x accept it without "data:image/png;base64," too."""
_MOST_DEPTH = 50


@attrs.frozen
class FileIdentity:
    """The properties that two uploads of one file have in common.

    Attributes:
        name: Its name, as the client gave it.
        size: In bytes.
    """

    name: str
    size: int


@attrs.define
class Uploads:
    """The paths that servers gave to uploaded files: the recorded one, and the one that plays it."""

    _files: dict[str, FileIdentity] = attrs.field(factory=dict[str, FileIdentity])
    _recorded: dict[FileIdentity, str] = attrs.field(factory=dict[FileIdentity, str])

    def add_recorded(self, path: str, identity: FileIdentity) -> None:
        """Store a path of the recording."""
        self._files[path] = identity
        self._recorded.setdefault(identity, path)

    def add(self, path: str, identity: FileIdentity) -> None:
        """Store a path that was returned to the current client."""
        self._files[path] = identity

    def recorded_path(self, identity: FileIdentity) -> str | None:
        """Return the path of the same file on the recorded server, or None."""
        return self._recorded.get(identity)

    def find(self, path: str) -> FileIdentity | None:
        """Return the file at a path, or None if it was never uploaded."""
        return self._files.get(path)


def canonical(value: Any, uploads: Uploads, depth: int = 0) -> Any:
    """Return a value without the differences between clients.

    A file is identified by its name and size, regardless of its path and form; 3.0 is 3.
    """
    if depth > _MOST_DEPTH:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str):
        found = _decoded(value)
        return value if found is None else {"$data": hashlib.sha256(found).hexdigest()}
    if isinstance(value, list):
        return [canonical(one, uploads, depth + 1) for one in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    mapping = cast("dict[str, Any]", value)
    file = _canonical_file(mapping, uploads)
    if file is not None:
        return file
    return {key: canonical(one, uploads, depth + 1) for key, one in mapping.items()}


def _canonical_file(value: Mapping[str, Any], uploads: Uploads) -> Any:
    path = value.get("path")
    if not isinstance(path, str):
        # Servers before 4.0: {"name", "data", "is_file"}
        if not isinstance(value.get("name"), str) or "data" not in value:
            return None
        sent = _decoded(value["data"])
        if sent is not None:
            return {"$file": [str(value["name"]).rpartition("/")[2], len(sent)]}
        path = str(value["name"])
    path = _FILE_URL.sub("", path)
    identity = uploads.find(path)
    return {"$file": [path] if identity is None else [identity.name, identity.size]}


def _decoded(value: Any) -> bytes | None:
    """Return the content of a data URL, or None if the text is not one."""
    if not isinstance(value, str) or not (_DATA_URL.match(value) or value.startswith(_PNG)):
        return None
    try:
        return base64.b64decode(value.rpartition(",")[2], validate=False)
    except (ValueError, binascii.Error):
        return None


def likeness(value: Any, uploads: Uploads) -> str:
    """Return a text that is equal for equal values."""
    return json.dumps(canonical(value, uploads), sort_keys=True)


@attrs.frozen
class CallKey:
    """The key of a call.

    Attributes:
        fn_index: Number of the function; 0 if an app has only one.
        data: Its inputs without those of State, as `likeness` returns them.
        event_data: As `likeness` returns it.
    """

    fn_index: int
    data: str
    event_data: str = "null"


def call_key(
    fn_index: int, data: Sequence[Any], event_data: Any, states: Sequence[int], uploads: Uploads
) -> CallKey:
    """Return the key of a call. Values at the positions of State inputs are ignored."""
    visible = [one for place, one in enumerate(data) if place not in states]
    return CallKey(fn_index, likeness(visible, uploads), likeness(event_data, uploads))


__all__ = ["CallKey", "FileIdentity", "Uploads", "call_key", "canonical", "likeness"]
