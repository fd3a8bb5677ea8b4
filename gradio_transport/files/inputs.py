# SPDX-License-Identifier: Apache-2.0
"""Files as arguments: `InputFile`, `handle_file`, and the checks before anything is sent."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import unquote, urlsplit

import attrs

from ..app.config import AppConfig
from ..errors import (
    LocalProtocolError,
    Phase,
    ValidationFailed,
)
from ..protocol.urls import check_url, shown_url
from .disk import check_upload
from .forms import MAX_DEPTH
from .outputs import ServerFile

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class InputFile:
    """A file as an argument of a call; made by `handle_file`.

    Attributes:
        path: Its path on disk, or None.
        content: Its bytes, or None.
        url: URL from which the server (4.0+) or the client fetches it, or None.
        name: File name for the app.
        size: Size in bytes; 0 for a URL, which has not been requested yet.
    """

    name: str
    path: Path | None = None
    content: bytes | None = attrs.field(default=None, repr=False)
    url: str | None = attrs.field(default=None, repr=lambda url: repr(url and shown_url(url)))
    size: int = 0
    mime_type: str | None = None

    @property
    def content_type(self) -> str:
        """Media type: given, guessed from the name, or ``application/octet-stream``."""
        return self.mime_type or mimetypes.guess_type(self.name)[0] or "application/octet-stream"


def handle_file(
    source: str | Path | bytes | bytearray | memoryview,
    *,
    name: str | None = None,
    mime_type: str | None = None,
    allow_empty: bool = False,
) -> InputFile:
    """Return a file as an argument of a call, for any version of the app.

    Args:
        source: A path, an http(s) URL, or the bytes themselves.
        name: File name for the app; required for bytes.
        mime_type: Media type, if the name does not imply it.
        allow_empty: Accept an empty file, which is usually a mistake.

    Raises:
        LocalProtocolError: The file is missing, unreadable or empty, bytes have no name, or a URL is invalid.
        TypeError: The source has another type.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
        if not name:
            raise LocalProtocolError("Bytes need a name: handle_file(data, name='photo.png').")
        _refuse_empty(name, len(content), allow_empty)
        return InputFile(content=content, name=name, size=len(content), mime_type=mime_type)
    if isinstance(source, str) and source.lower().startswith(("http://", "https://")):
        check_url(source)
        given = unquote(urlsplit(source).path).rpartition("/")[2]
        return InputFile(url=source, name=name or given or "file", mime_type=mime_type)
    if not isinstance(source, str | PathLike):
        raise TypeError(
            f"handle_file takes a path, a URL, or bytes with a name; got {type(source).__name__}. For a "
            f"readable object, pass the content: handle_file(file.read(), name='photo.png')."
        )
    path = Path(source).expanduser()
    size = check_upload(path, None)
    _refuse_empty(str(path), size, allow_empty)
    return InputFile(path=path, name=name or path.name, size=size, mime_type=mime_type)


def _refuse_empty(name: str, size: int, allowed: bool) -> None:
    if not size and not allowed:
        raise LocalProtocolError(
            f"{name} is empty. If that is intended, pass allow_empty=True to handle_file.", phase=Phase.UPLOAD
        )


def holds_files(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Return whether an argument contains files."""
    if isinstance(value, Mapping):
        items: Iterable[Any] = cast("Mapping[Any, Any]", value).values()
    elif isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
    else:
        return isinstance(value, InputFile | ServerFile)
    if depth:
        for item in items:
            # Checked here too, because a function call for each text and number would take most of the time.
            if isinstance(item, _HOLDERS) and holds_files(item, depth - 1):
                return True
    return False


_HOLDERS = (InputFile, ServerFile, Mapping, list, tuple)


def check_files(data: Any, config: AppConfig) -> None:
    """Reject early what the app would reject after the upload.

    Raises:
        ValidationFailed: A file is larger than the app accepts (reported by 4.28+).
        LocalProtocolError: A file is gone, or belongs to another app.
    """
    for file in find_input_files(data):
        size = check_upload(file.path, None) if file.path is not None else file.size
        if config.max_file_size is not None and size > config.max_file_size:
            raise ValidationFailed(
                f"{file.name} exceeds the maximum file size of {config.max_file_size} bytes that the app "
                f"accepts: it has {size} bytes. Nothing was sent.",
                problems={file.name: f"larger than {config.max_file_size} bytes"},
                phase=Phase.UPLOAD,
            )


def find_input_files(value: Any) -> Iterator[InputFile]:
    """Yield the caller's files in a value, at any depth."""
    return find_of_type(value, InputFile)


def find_of_type(value: Any, kind: type[T], depth: int = MAX_DEPTH) -> Iterator[T]:
    """Yield the files of one type in an argument."""
    if isinstance(value, kind):
        yield value
    elif depth and isinstance(value, Mapping):
        for item in cast("Mapping[Any, Any]", value).values():
            yield from find_of_type(item, kind, depth - 1)
    elif depth and isinstance(value, list | tuple):
        for item in cast("Sequence[Any]", value):
            yield from find_of_type(item, kind, depth - 1)
