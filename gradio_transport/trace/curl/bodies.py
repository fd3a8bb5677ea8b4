# SPDX-License-Identifier: Apache-2.0
"""What the bodies of recorded requests and replies say: an event id, the paths of uploaded files."""

from __future__ import annotations

import json
from typing import Any, cast


def event_id(body: bytes | None) -> str:
    """Return the event id in a body, or an empty string."""
    value = _json(body)
    if not isinstance(value, dict):
        return ""
    found = cast("dict[str, Any]", value).get("event_id")
    return found if isinstance(found, str) else ""


def uploaded_paths(body: bytes | None) -> list[str]:
    """Return the paths in the reply to an upload, or none if it has another form."""
    value = _json(body)
    paths = cast("list[Any]", value) if isinstance(value, list) else []
    return [path for path in paths if isinstance(path, str) and path]


def _json(body: bytes | None) -> Any:
    try:
        return json.loads(body or b"null")
    except (ValueError, RecursionError):
        return None


__all__ = ["event_id", "uploaded_paths"]
