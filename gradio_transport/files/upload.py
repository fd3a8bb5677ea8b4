# SPDX-License-Identifier: Apache-2.0
"""Sending of files: they are uploaded, or put inside the payload, depending on the version.

No I/O here. A caller's file is an `InputFile`; a server's file is a `ServerFile`, which the sync and async
APIs extend with methods to fetch it. Forms by version: docs/wire.md §10.1.
"""

from __future__ import annotations

import base64
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

import attrs

from ..app.config import AppConfig, Component
from ..errors import (
    InvalidPayload,
    LocalProtocolError,
    MalformedMessage,
    Phase,
    UnsupportedProtocol,
    excerpt,
)
from ..protocol.commands import Request, Response, SendRequest
from ..protocol.multipart import FilePart, Multipart, UploadProgress
from ..protocol.refusals import refusal
from ..protocol.urls import AppURLs
from .forms import MAX_DEPTH, META
from .inputs import InputFile, find_input_files, find_of_type, holds_files
from .outputs import ServerFile

FILES_PER_UPLOAD = 1000
"""The most files that servers accept in one form (docs/wire.md §10.2)."""


@attrs.frozen
class ReadFile:
    """A request of a sequence for the content of a file on disk; it gets the bytes."""

    path: Path


@attrs.frozen
class FetchFile:
    """A request of a sequence for the content of a caller's URL; it gets the bytes."""

    url: str


@attrs.frozen
class ReadServerFile:
    """A request of a sequence for the content of a file of another app; it gets the bytes.

    Attributes:
        file: The file, which has the means to fetch it.
        seconds: Time limit.
    """

    file: ServerFile
    seconds: float | None = None

    def refusal(self) -> LocalProtocolError:
        """Return the error for a file that the driver cannot fetch."""
        return LocalProtocolError(
            f"{self.file.name} belongs to another app ({self.file.app}) that is connected by the other of "
            f"the sync and async APIs. Download it, and pass handle_file(path).",
            phase=Phase.UPLOAD,
        )


FileCommand: TypeAlias = SendRequest | ReadFile | FetchFile | ReadServerFile


FileReply: TypeAlias = Response | bytes


_Key: TypeAlias = tuple[int, str]
"""Identity of a file and its component, because one file may take several forms."""


_Placed: TypeAlias = dict[_Key, Any]


def place_files(
    data: Sequence[Any],
    slots: Sequence[Component],
    config: AppConfig,
    urls: AppURLs,
    progress: UploadProgress | None = None,
) -> Generator[FileCommand, FileReply, list[Any]]:
    """Send the files of a call to the app, and return the wire's ``data`` with references to them.

    All files of a call are uploaded in one form. Before 3.19, and for images before 4.0, they are sent inside
    the payload. A file of another app is fetched from there, with that app's credentials.

    Raises:
        ServerRefused: The server refused the upload.
        UnsupportedProtocol: This version cannot take back a file of the server.
    """
    fetched: dict[int, bytes] = {}
    for found in find_of_type(list(data), ServerFile):
        if found.app != urls.base and found.content is None:
            fetched[id(found)] = cast("bytes", (yield ReadServerFile(found)))
    kinds = [slots[place].type if place < len(slots) else "" for place in range(len(data))]
    shaped = [
        _shape_video(_convert_server_files(value, fetched), kind, config)
        for value, kind in zip(data, kinds, strict=True)
    ]
    placed: _Placed = {}
    uploads: dict[_Key, InputFile] = {}
    for file, kind in [
        (file, kind) for value, kind in zip(shaped, kinds, strict=True) for file in find_input_files(value)
    ]:
        key = id(file), kind
        if file.url is not None and config.at_least(4, 0):
            placed[key] = _file_data_form(file.url, file, config)
            continue
        held = file.content
        if file.url is not None:
            held = cast("bytes", (yield FetchFile(file.url)))
        at_hand = attrs.evolve(file, url=None, content=held, size=file.size if held is None else len(held))
        if _is_sent_inline(kind, config):
            content = held if held is not None else cast("bytes", (yield ReadFile(cast("Path", file.path))))
            placed[key] = _inline_form(at_hand, content, kind, config)
        else:
            uploads[key] = at_hand
    paths = yield from upload(list(uploads.values()), config, urls, progress)
    for (key, file), path in zip(uploads.items(), paths, strict=True):
        placed[key] = _file_data_form(path, file, config)
    return [_fill_in(value, kind, placed, config) for value, kind in zip(shaped, kinds, strict=True)]


def inline_files(data: Sequence[Any]) -> Generator[FileCommand, FileReply, list[Any]]:
    """Return the values of a call with the content of its files, for servers without uploads."""
    contents: dict[int, bytes] = {}
    for file in find_input_files(list(data)):
        if file.content is not None:
            contents[id(file)] = file.content
        elif file.url is not None:
            contents[id(file)] = cast("bytes", (yield FetchFile(file.url)))
        else:
            contents[id(file)] = cast("bytes", (yield ReadFile(cast("Path", file.path))))
    return [_embed_content(value, contents) for value in data]


def _embed_content(value: Any, contents: Mapping[int, bytes]) -> Any:
    if isinstance(value, InputFile):
        content = contents[id(value)]
        return attrs.evolve(value, content=content, size=len(content))
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {key: _embed_content(item, contents) for key, item in items}
    if isinstance(value, list | tuple):
        return [_embed_content(item, contents) for item in cast("Sequence[Any]", value)]
    return value


def _convert_server_files(value: Any, fetched: Mapping[int, bytes], depth: int = MAX_DEPTH) -> Any:
    """Return a value in which server files with known content are replaced by input files."""
    if isinstance(value, ServerFile):
        content = fetched.get(id(value), value.content)
        if content is None:
            return value
        return InputFile(name=value.name, content=content, size=len(content), mime_type=value.mime_type)
    if depth and isinstance(value, Mapping) and holds_files(value):
        items = cast("Mapping[Any, Any]", value).items()
        return {key: _convert_server_files(item, fetched, depth - 1) for key, item in items}
    if depth and isinstance(value, list | tuple) and holds_files(value):
        return [_convert_server_files(item, fetched, depth - 1) for item in cast("Sequence[Any]", value)]
    return cast("object", value)


def _is_sent_inline(kind: str, config: AppConfig) -> bool:
    return not config.at_least(3, 19) or (kind == "image" and not config.at_least(4, 0))


def _inline_form(file: InputFile, content: bytes, kind: str, config: AppConfig) -> Any:
    """Return a file as base64 (before 4.0)."""
    text = f"data:{file.content_type};base64,{base64.b64encode(content).decode()}"
    if kind == "image":
        return text
    value: dict[str, Any] = {"name": file.name, "data": text, "is_file": False, "size": len(content)}
    if not config.at_least(3, 0):
        value |= {"is_example": False, "is_local_example": False}
    return value


def _file_data_form(path: str, file: InputFile, config: AppConfig) -> dict[str, Any]:
    """Return the form of a file that the server has, or fetches itself, in its version."""
    if not config.at_least(4, 0):
        return {"name": path, "orig_name": file.name, "size": file.size, "data": None, "is_file": True}
    value: dict[str, Any] = {"path": path, "orig_name": file.name, "mime_type": file.content_type}
    if file.size:
        value["size"] = file.size
    return value | {"meta": dict(META)} if config.at_least(4, 21) else value


def _shape_video(value: Any, kind: str, config: AppConfig) -> Any:
    """Give a video the shape of its version: 4.0 to 5.x wrap it with its subtitles."""
    if kind != "video":
        return value
    wrapped = config.at_least(4, 0) and not config.at_least(6, 0)
    if wrapped and isinstance(value, InputFile | ServerFile):
        return {"video": value, "subtitles": None}
    if not wrapped and isinstance(value, Mapping) and "video" in value:
        return cast("Mapping[str, Any]", value)["video"]
    return cast("object", value)


def _fill_in(value: Any, kind: str, placed: _Placed, config: AppConfig) -> Any:
    if isinstance(value, InputFile):
        return placed[id(value), kind]
    if isinstance(value, ServerFile):
        return _refer_to_server_file(value, config)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {key: _fill_in(item, kind, placed, config) for key, item in items}
    if isinstance(value, list | tuple):
        return [_fill_in(item, kind, placed, config) for item in cast("Sequence[Any]", value)]
    return value


def _refer_to_server_file(file: ServerFile, config: AppConfig) -> Any:
    """Return a file of the app as an argument for the same app, without another upload."""
    if not file.path:
        raise UnsupportedProtocol(
            f"{file.name} has no path on the server. Download it and pass handle_file(path).",
            phase=Phase.UPLOAD,
        )
    given = InputFile(
        name=file.orig_name or file.name, url=file.url, size=file.size or 0, mime_type=file.mime_type
    )
    return _file_data_form(file.path, given, config)


def upload(
    files: Sequence[InputFile], config: AppConfig, urls: AppURLs, progress: UploadProgress | None = None
) -> Generator[SendRequest, FileReply, list[str]]:
    """Upload files (3.19+) and return their paths on the server, in order.

    Raises:
        InvalidPayload: The server refused them: too large, or in a wrong form.
        MalformedMessage: It did not return a path for each of them.
        ServerRefused: It refused them for another reason.
        UnsupportedProtocol: The server is too old for uploads.
    """
    if files and not config.at_least(3, 19):
        raise UnsupportedProtocol(
            "Servers before Gradio 3.19 accept no uploads: files go inside the call.", phase=Phase.UPLOAD
        )
    paths: list[str] = []
    for start in range(0, len(files), FILES_PER_UPLOAD):
        batch = files[start : start + FILES_PER_UPLOAD]
        parts = [_part(file) for file in batch]
        request = Request("POST", urls.api("upload"), {"accept": "application/json"})
        request = attrs.evolve(request, body=Multipart(parts, progress))
        response = cast("Response", (yield SendRequest("upload", request, Phase.UPLOAD)))
        paths += _parse_paths(response, batch)
    return paths


def _part(file: InputFile) -> FilePart:
    content = file.content if file.path is None else file.path
    return FilePart("files", file.name, content or b"", file.size, file.content_type)


def _parse_paths(response: Response, files: Sequence[InputFile]) -> list[str]:
    if response.status != 200:
        names = ", ".join(file.name for file in files[:3])
        if response.status == 413:
            raise InvalidPayload(
                f"The server refused the upload of {names} as too large: {excerpt(response.body)}",
                phase=Phase.UPLOAD,
                status=413,
                body=excerpt(response.body),
            )
        raise refusal(response, Phase.UPLOAD, what=f"The upload of {names}")
    try:
        paths = response.json()
    except ValueError:
        paths = None
    named = cast("list[Any]", paths) if isinstance(paths, list) else []
    if len(named) != len(files) or not all(isinstance(path, str) and path for path in named):
        raise MalformedMessage(
            f"The server got {len(files)} files but did not return a path for each of them: "
            f"{excerpt(response.body)!r}.",
            phase=Phase.UPLOAD,
            status=response.status,
            body=excerpt(response.body),
        )
    return named
