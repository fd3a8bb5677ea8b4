# SPDX-License-Identifier: Apache-2.0
"""What is sent with a file: files of a call are uploaded, or put inside its payload, as its generation wants.

No I/O here.  What a caller gives is an `InputFile`; what a server gives becomes a `ServerFile`, which the
faces extend by ways to fetch it.  Forms by version: docs/wire.md §10.1.
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
"""Servers take no more in one form (docs/wire.md §10.2)."""


@attrs.frozen
class ReadFile:
    """A sequence asks its driver for the content of a file on disk; it is sent the bytes."""

    path: Path


@attrs.frozen
class FetchFile:
    """A sequence asks its driver for what a URL of the caller's holds; it is sent the bytes."""

    url: str


@attrs.frozen
class ReadServerFile:
    """A sequence asks its driver for the content of a file of another app; it is sent the bytes.

    Attributes:
        file: The file, which knows what it is fetched with.
        seconds: How long that may take.
    """

    file: ServerFile
    seconds: float | None = None

    def refusal(self) -> LocalProtocolError:
        """Return the error for a file that the driver cannot fetch."""
        return LocalProtocolError(
            f"{self.file.name} belongs to another app ({self.file.app}), and came from the other one of the "
            "sync and async APIs. Download it, and pass handle_file(path).",
            phase=Phase.UPLOAD,
        )


FileCommand: TypeAlias = SendRequest | ReadFile | FetchFile | ReadServerFile


FileReply: TypeAlias = Response | bytes


_Key: TypeAlias = tuple[int, str]
"""Identity of a file, and the component it is for: one file may take several forms."""


_Placed: TypeAlias = dict[_Key, Any]


def place_files(
    data: Sequence[Any],
    slots: Sequence[Component],
    config: AppConfig,
    urls: AppURLs,
    progress: UploadProgress | None = None,
) -> Generator[FileCommand, FileReply, list[Any]]:
    """Bring the files of a call to the app, and return the ``data`` of the wire with their places filled.

    All files of a call that need it go up in one form.  Before 3.19, and for images before 4.0, they travel
    inside the payload.  A file of another app is fetched from there, with what that app may see.

    Raises:
        ServerRefused: The server refused the upload.
        UnsupportedProtocol: A file of the server cannot be given back to it on this generation.
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
    """Return the values of a call with its files' content in them, for servers that take no uploads."""
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
    """Return a value with the server files whose content is at hand turned into ones of the caller's."""
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
    """Return a file that the server holds, or gets by itself, as its generation writes it."""
    if not config.at_least(4, 0):
        return {"name": path, "orig_name": file.name, "size": file.size, "data": None, "is_file": True}
    value: dict[str, Any] = {"path": path, "orig_name": file.name, "mime_type": file.content_type}
    if file.size:
        value["size"] = file.size
    return value | {"meta": dict(META)} if config.at_least(4, 21) else value


def _shape_video(value: Any, kind: str, config: AppConfig) -> Any:
    """Give a video the shape of its generation: 4.0 to 5.x wrap it with its subtitles."""
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
    """Return a file that came from the app as an argument for the same app; it need not travel again."""
    if not file.path:
        raise UnsupportedProtocol(
            f"{file.name} has no path on the server: download it and pass handle_file(path).",
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
        InvalidPayload: The server refused them: too large, or not as it wants them.
        MalformedMessage: It did not name a path for each of them.
        ServerRefused: It refused for another reason.
        UnsupportedProtocol: The server is too old to take uploads.
    """
    if files and not config.at_least(3, 19):
        raise UnsupportedProtocol(
            "Servers before Gradio 3.19 take no uploads: files travel inside the call.", phase=Phase.UPLOAD
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
            f"The server was given files to upload ({len(files)}) and did not name a path for each of them: "
            f"{excerpt(response.body)!r}.",
            phase=Phase.UPLOAD,
            status=response.status,
            body=excerpt(response.body),
        )
    return named
