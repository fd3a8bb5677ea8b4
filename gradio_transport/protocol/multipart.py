# SPDX-License-Identifier: Apache-2.0
"""A ``multipart/form-data`` body as data (RFC 7578): the parts of an upload, not yet read from disk."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import attrs

UploadProgress: TypeAlias = Callable[[int, int], object]
"""Called with the bytes sent so far and the total bytes."""

_ESCAPED = {'"': "%22", "\r": "%0D", "\n": "%0A"}


def _quote_name(text: str) -> str:
    """Return a name quoted as in the WHATWG encoding of form data (HTML §4.10.21.8)."""
    for character, escape in _ESCAPED.items():
        text = text.replace(character, escape)
    return text


@attrs.frozen
class FilePart:
    """One file of a form.

    Attributes:
        field: Name of the form's field.
        filename: File name for the server.
        content: The bytes, or their path on disk.
        size: Size in bytes.
        content_type: Media type.
    """

    field: str
    filename: str
    content: bytes | Path = attrs.field(repr=False)
    size: int
    content_type: str = "application/octet-stream"

    @property
    def head(self) -> bytes:
        """The part's own headers."""
        name, filename = _quote_name(self.field), _quote_name(self.filename)
        disposition = f'content-disposition: form-data; name="{name}"; filename="{filename}"'
        kind = f"content-type: {_quote_name(self.content_type)}"
        return f"{disposition}\r\n{kind}\r\n\r\n".encode("utf-8", "replace")


@attrs.frozen
class Multipart:
    """A form of files.

    Attributes:
        boundary: The separator of the parts; random, so that no file contains it.
        progress: Called by the sender with the progress.
    """

    parts: Sequence[FilePart]
    progress: UploadProgress | None = attrs.field(default=None, eq=False, repr=False)
    boundary: str = attrs.field(factory=lambda: secrets.token_hex(16), repr=False)

    @property
    def content_type(self) -> str:
        """Value of the request's ``content-type``."""
        return f"multipart/form-data; boundary={self.boundary}"

    def sections(self) -> Iterator[bytes | FilePart]:
        """Yield the body in order; a `FilePart` stands for its content."""
        for part in self.parts:
            yield f"--{self.boundary}\r\n".encode() + part.head
            yield part
            yield b"\r\n"
        yield f"--{self.boundary}--\r\n".encode()

    @property
    def length(self) -> int:
        """Bytes of the whole body."""
        return sum(
            section.size if isinstance(section, FilePart) else len(section) for section in self.sections()
        )


__all__ = ["FilePart", "Multipart", "UploadProgress"]
