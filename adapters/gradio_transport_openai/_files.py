# SPDX-License-Identifier: Apache-2.0
"""Files of a message: the forms of a file value, and their conversion."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, cast
from urllib.parse import unquote_to_bytes

import attrs

from ._settings import IMAGE, TEXT

_IMAGES: Mapping[str, str] = {
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
}
# The standard library reads its table from files of the system, which adapters must not do.


@attrs.frozen
class File:
    """A file with its content."""

    name: str
    media_type: str
    data: bytes = attrs.field(repr=False)

    @property
    def extension(self) -> str:
        """Its extension with the dot, in lower case."""
        return PurePosixPath(self.name).suffix.lower()

    @property
    def is_image(self) -> bool:
        """Whether it is sent as an image instead of text; SVG is text."""
        return self.media_type.startswith("image/") and self.media_type != "image/svg+xml"


def content_of(value: Any, *, placed: bool = True) -> File:
    """Return the content of a file value. Only this function depends on the form of the value.

    Args:
        value: A value from `gradio_transport.handle_file`, or a mapping with ``path`` (or ``orig_name``),
            ``mime_type``, and ``data``: bytes, base64 or a data URL. A ``url`` that is a data URL is also
            accepted.
        placed: False before the driver has read the files of a call, when their content may still be missing.

    Raises:
        ValueError: It has no content; an adapter cannot read paths or fetch URLs.
    """
    fields: Mapping[str, Any] = cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}

    def field(name: str) -> Any:
        return fields.get(name) if fields else getattr(cast("object", value), name, None)

    path = value if isinstance(value, str) else field("orig_name") or field("name") or field("path")
    name = re.split(r"[/\\]", str(path or "file"))[-1] or "file"
    data = field("data") if field("data") is not None else field("content")
    if data is None and not placed and hasattr(cast("object", value), "content"):
        data = b""  # the driver will read it
    if data is None and str(field("url")).startswith("data:"):
        data = field("url")
    media_type = field("mime_type")
    if isinstance(data, str):
        named, data = _decode_base64(name, data)
        media_type = media_type or named
    if isinstance(data, bytearray):
        data = bytes(data)
    if not isinstance(data, bytes):
        raise ValueError(f"the file {name!r} has no content: pass it with handle_file({name!r})")
    suffix = PurePosixPath(name).suffix.lower()
    return File(name, str(media_type or _IMAGES.get(suffix, "")).lower(), data)


def _decode_base64(name: str, text: str) -> tuple[str, bytes]:
    """Return media type (``""`` if unknown) and content of a data URL (RFC 2397), or of bare base64."""
    head, comma, body = text.partition(",")
    if not (comma and head.startswith("data:")):
        head, body = ";base64", text
    media_type, *options = head.removeprefix("data:").split(";")
    if "base64" not in options:
        return media_type, unquote_to_bytes(body)
    try:
        return media_type, base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"the data of the file {name!r} is not base64") from None


def is_allowed(file: File, types: Sequence[str]) -> bool:
    """Return whether ``file_types`` allows a file."""
    kind = IMAGE if file.is_image else TEXT
    return bool({kind, file.extension, file.media_type} & set(types))


def as_text(file: File) -> str:
    """Return a text file as it is appended to a prompt: its name, and the content in a fence.

    Raises:
        ValueError: It is not a string.
    """
    try:
        text = file.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"the file {file.name!r} is not UTF-8 text ({error.reason})") from None
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{file.name}:\n{fence}{file.extension.removeprefix('.')}\n{text.rstrip()}\n{fence}"


def as_image(file: File) -> dict[str, Any]:
    """Return an image as a part of a message."""
    url = f"data:{file.media_type};base64,{base64.b64encode(file.data).decode('ascii')}"
    return {"type": "image_url", "image_url": {"url": url}}
