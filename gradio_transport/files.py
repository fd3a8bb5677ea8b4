# SPDX-License-Identifier: Apache-2.0
"""Files in payloads: the forms that each generation gives them, and the sequences that move them.

No I/O here.  What a caller gives is an `InputFile`; what a server gives becomes a `ServerFile`, which the
faces extend by ways to fetch it.  Forms by version: docs/wire.md §10.1.
"""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from itertools import chain, compress
from operator import is_not
from os import PathLike
from pathlib import Path, PurePath
from typing import Any, TypeAlias, cast
from urllib.parse import unquote, urlsplit

import attrs

from .commands import REDIRECTS, Closed, Ending, Request, Response, SendRequest
from .config import AppConfig, Component
from .disk import check_upload
from .errors import (
    EventTooLarge,
    FileUnavailable,
    GradioTransportError,
    InvalidPayload,
    LocalProtocolError,
    MalformedMessage,
    Phase,
    RemoteProtocolError,
    StreamLost,
    Timeout,
    UnsupportedProtocol,
    ValidationFailed,
    excerpt,
)
from .multipart import FilePart, Multipart, UploadProgress
from .refusals import refusal, wants_login
from .urls import AppURLs, escaped, joined

FILES_PER_UPLOAD = 1000
"""Servers take no more in one form (docs/wire.md §10.2)."""

META: Mapping[str, str] = {"_type": "gradio.FileData"}
"""What marks a file from 4.21 on; inputs without it are refused from 5.5 on."""

_FILE_DATA_KEYS = frozenset({"path", "url", "size", "orig_name", "mime_type", "is_stream", "meta", "b64"})

_DEPTH = 64
"""How deep files are looked for. What a server nests deeper is left as it is."""

_WITHOUT_FILES = frozenset(
    {
        "barplot", "button", "checkbox", "checkboxgroup", "code", "colorpicker", "dataframe", "dropdown",
        "fileexplorer", "highlightedtext", "html", "label", "lineplot", "markdown", "number", "radio",
        "scatterplot", "slider", "state", "text", "textbox", "timer",
    }
)  # fmt: skip
"""Components whose values hold no files, so that large ones need not be searched."""

_INLINE = frozenset({"audio", "carousel", "file", "gallery", "image", "model3d", "timeseries", "video"})
"""Components whose values may be the file itself before 4.0, as a data URL."""

_EXTENSIONS: Mapping[str, str] = {"audio/wav": ".wav", "audio/wave": ".wav"}
"""What the standard library does not know, and Gradio writes."""

_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,")


# --- what a caller gives -----------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class InputFile:
    """A file as an argument of a call; made by `handle_file`.

    Attributes:
        path: Where it is on disk, or None.
        content: Its bytes, or None.
        url: Where a server (4.0+) or this side gets it from, or None.
        name: What the app is told it is called.
        size: Bytes; 0 for a URL, which nobody has asked yet.
    """

    name: str
    path: Path | None = None
    content: bytes | None = attrs.field(default=None, repr=False)
    url: str | None = None
    size: int = 0
    mime_type: str | None = None

    @property
    def content_type(self) -> str:
        """Media type: given, guessed from the name, or that of any bytes."""
        return self.mime_type or mimetypes.guess_type(self.name)[0] or "application/octet-stream"


def handle_file(
    source: str | Path | bytes | bytearray | memoryview,
    *,
    name: str | None = None,
    mime_type: str | None = None,
    allow_empty: bool = False,
) -> InputFile:
    """Return a file as an argument of a call, whatever generation the app is of.

    Args:
        source: A path, an http(s) URL, or the bytes themselves.
        name: What the app is told it is called; needed for bytes.
        mime_type: Media type, if the name does not tell.
        allow_empty: Take a file of no bytes, which is mostly a mistake.

    Raises:
        LocalProtocolError: The file is missing, unreadable or empty, or bytes have no name.
        TypeError: It is something else.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
        if not name:
            raise LocalProtocolError("Bytes need a name: handle_file(data, name='photo.png').")
        _refuse_empty(name, len(content), allow_empty)
        return InputFile(content=content, name=name, size=len(content), mime_type=mime_type)
    if isinstance(source, str) and source.lower().startswith(("http://", "https://")):
        given = unquote(urlsplit(source).path).rpartition("/")[2]
        return InputFile(url=source, name=name or given or "file", mime_type=mime_type)
    if not isinstance(source, str | PathLike):
        raise TypeError(
            f"handle_file takes a path, a URL, or bytes with a name; got {type(source).__name__}. Of what "
            "can be read, pass the content: handle_file(file.read(), name='photo.png')."
        )
    path = Path(source).expanduser()
    size = check_upload(path, None)
    _refuse_empty(str(path), size, allow_empty)
    return InputFile(path=path, name=name or path.name, size=size, mime_type=mime_type)


def _refuse_empty(name: str, size: int, allowed: bool) -> None:
    if not size and not allowed:
        raise LocalProtocolError(
            f"{name} is empty. Pass allow_empty=True to handle_file if that is meant.", phase=Phase.UPLOAD
        )


@attrs.frozen
class ReadFile:
    """A sequence asks its driver for the content of a file on disk; it is sent the bytes."""

    path: Path


@attrs.frozen
class FetchFile:
    """A sequence asks its driver for what a URL of the caller's holds; it is sent the bytes."""

    url: str


FileCommand: TypeAlias = SendRequest | ReadFile | FetchFile
FileReply: TypeAlias = Response | bytes

_Key: TypeAlias = tuple[int, str]
"""Identity of a file, and the component it is for: one file may take several forms."""

_Placed: TypeAlias = dict[_Key, Any]


def holds_files(value: Any, depth: int = _DEPTH) -> bool:
    """Return whether a value that a caller gives holds files."""
    if isinstance(value, InputFile | ServerFile):
        return True
    if depth and isinstance(value, Mapping):
        return any(holds_files(one, depth - 1) for one in cast("Mapping[Any, Any]", value).values())
    if depth and isinstance(value, list | tuple):
        return any(holds_files(one, depth - 1) for one in cast("Sequence[Any]", value))
    return False


def may_hold_files(slots: Sequence[Component]) -> bool:
    """Return whether values of these components can hold files."""
    return not slots or any(not slot.skipped and slot.type not in _WITHOUT_FILES for slot in slots)


def check_files(data: Any, config: AppConfig) -> None:
    """Refuse early what the app would refuse after the upload.

    Raises:
        ValidationFailed: A file is larger than the app takes (4.28+ say so), or there is a path instead.
        LocalProtocolError: A file is gone, or belongs to another app.
    """
    for file in _found_in(data):
        if isinstance(file, PurePath):
            raise ValidationFailed(
                f"The path {str(file)!r} cannot be sent: pass handle_file({str(file)!r}) for the file, or "
                "str(path) for its name. Nothing was sent.",
                problems={str(file): "a path is no file"},
                phase=Phase.JOIN,
            )
        size = check_upload(file.path, None) if file.path is not None else file.size
        if config.max_file_size is not None and size > config.max_file_size:
            raise ValidationFailed(
                f"{file.name} has {size} bytes; the app takes files of {config.max_file_size} bytes at most. "
                "Nothing was sent.",
                problems={file.name: f"larger than {config.max_file_size} bytes"},
                phase=Phase.UPLOAD,
            )


def _files_in(value: Any) -> Iterator[InputFile]:
    return (one for one in _found_in(value) if isinstance(one, InputFile))


_GIVEN = (InputFile, PurePath)


def _found_in(value: Any, depth: int = _DEPTH) -> Iterator[InputFile | PurePath]:
    if isinstance(value, _GIVEN):
        yield value
    elif depth and isinstance(value, Mapping):
        for one in cast("Mapping[Any, Any]", value).values():
            yield from _found_in(one, depth - 1)
    elif depth and isinstance(value, list | tuple):
        for one in cast("Sequence[Any]", value):
            yield from _found_in(one, depth - 1)


def place_files(
    data: Sequence[Any],
    slots: Sequence[Component],
    config: AppConfig,
    urls: AppURLs,
    progress: UploadProgress | None = None,
) -> Generator[FileCommand, FileReply, list[Any]]:
    """Bring the files of a call to the app, and return the ``data`` of the wire with their places filled.

    All files of a call that need it go up in one form.  Before 3.19, and for images before 4.0, they travel
    inside the payload.

    Raises:
        ServerRefused: The server refused the upload.
        UnsupportedProtocol: A file of the server cannot be given back to it on this generation.
    """
    kinds = [slots[place].type if place < len(slots) else "" for place in range(len(data))]
    shaped = [_shaped(_as_input(value), kind, config) for value, kind in zip(data, kinds, strict=True)]
    placed: _Placed = {}
    uploads: dict[_Key, InputFile] = {}
    for file, kind in [
        (file, kind) for value, kind in zip(shaped, kinds, strict=True) for file in _files_in(value)
    ]:
        key = id(file), kind
        if file.url is not None and config.at_least(4, 0):
            placed[key] = _file_data(file.url, file, config)
            continue
        held = file.content
        if file.url is not None:
            held = cast("bytes", (yield FetchFile(file.url)))
        at_hand = attrs.evolve(file, url=None, content=held, size=file.size if held is None else len(held))
        if _travels_inside(kind, config):
            content = held if held is not None else cast("bytes", (yield ReadFile(cast("Path", file.path))))
            placed[key] = _inside(at_hand, content, kind, config)
        else:
            uploads[key] = at_hand
    paths = yield from upload(list(uploads.values()), config, urls, progress)
    for (key, file), path in zip(uploads.items(), paths, strict=True):
        placed[key] = _file_data(path, file, config)
    return [_filled(value, kind, placed, config, urls) for value, kind in zip(shaped, kinds, strict=True)]


def inline_files(data: Sequence[Any]) -> Generator[FileCommand, FileReply, list[Any]]:
    """Return the values of a call with its files' content in them, for servers that take no uploads."""
    contents: dict[int, bytes] = {}
    for file in _files_in(list(data)):
        if file.content is not None:
            contents[id(file)] = file.content
        elif file.url is not None:
            contents[id(file)] = cast("bytes", (yield FetchFile(file.url)))
        else:
            contents[id(file)] = cast("bytes", (yield ReadFile(cast("Path", file.path))))
    return [_with_content(value, contents) for value in data]


def _with_content(value: Any, contents: Mapping[int, bytes]) -> Any:
    if isinstance(value, InputFile):
        content = contents[id(value)]
        return attrs.evolve(value, content=content, size=len(content))
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {key: _with_content(one, contents) for key, one in items}
    if isinstance(value, list | tuple):
        return [_with_content(one, contents) for one in cast("Sequence[Any]", value)]
    return value


def _as_input(value: Any, depth: int = _DEPTH) -> Any:
    """Return a value with files that came inside a payload turned into ones of the caller's."""
    if isinstance(value, ServerFile) and value.content is not None:
        content = value.content
        return InputFile(name=value.name, content=content, size=len(content), mime_type=value.mime_type)
    if depth and isinstance(value, Mapping) and holds_files(value):
        items = cast("Mapping[Any, Any]", value).items()
        return {key: _as_input(one, depth - 1) for key, one in items}
    if depth and isinstance(value, list | tuple) and holds_files(value):
        return [_as_input(one, depth - 1) for one in cast("Sequence[Any]", value)]
    return cast("object", value)


def _travels_inside(kind: str, config: AppConfig) -> bool:
    return not config.at_least(3, 19) or (kind == "image" and not config.at_least(4, 0))


def _inside(file: InputFile, content: bytes, kind: str, config: AppConfig) -> Any:
    """Return a file as base64 (before 4.0)."""
    text = f"data:{file.content_type};base64,{base64.b64encode(content).decode()}"
    if kind == "image":
        return text
    value: dict[str, Any] = {"name": file.name, "data": text, "is_file": False, "size": len(content)}
    if not config.at_least(3, 0):
        value |= {"is_example": False, "is_local_example": False}
    return value


def _file_data(path: str, file: InputFile, config: AppConfig) -> dict[str, Any]:
    """Return a file that the server holds, or gets by itself, as its generation writes it."""
    if not config.at_least(4, 0):
        return {"name": path, "orig_name": file.name, "size": file.size, "data": None, "is_file": True}
    value: dict[str, Any] = {"path": path, "orig_name": file.name, "mime_type": file.content_type}
    if file.size:
        value["size"] = file.size
    return value | {"meta": dict(META)} if config.at_least(4, 21) else value


def _shaped(value: Any, kind: str, config: AppConfig) -> Any:
    """Give a video the shape of its generation: 4.0 to 5.x wrap it with its subtitles."""
    if kind != "video":
        return value
    wrapped = config.at_least(4, 0) and not config.at_least(6, 0)
    if wrapped and isinstance(value, InputFile | ServerFile):
        return {"video": value, "subtitles": None}
    if not wrapped and isinstance(value, Mapping) and "video" in value:
        return cast("Mapping[str, Any]", value)["video"]
    return cast("object", value)


def _filled(value: Any, kind: str, placed: _Placed, config: AppConfig, urls: AppURLs) -> Any:
    if isinstance(value, InputFile):
        return placed[id(value), kind]
    if isinstance(value, ServerFile):
        return _given_back(value, config, urls)
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
        return {key: _filled(one, kind, placed, config, urls) for key, one in items}
    if isinstance(value, list | tuple):
        return [_filled(one, kind, placed, config, urls) for one in cast("Sequence[Any]", value)]
    return value


def _given_back(file: ServerFile, config: AppConfig, urls: AppURLs) -> Any:
    """Return a file that came from the app as an argument for the same app; it need not travel again."""
    if file.app != urls.base:
        raise LocalProtocolError(
            f"{file.name} belongs to another app ({file.app}): download it and pass handle_file(path).",
            phase=Phase.UPLOAD,
        )
    if not file.path:
        raise UnsupportedProtocol(
            f"{file.name} has no path on the server: download it and pass handle_file(path).",
            phase=Phase.UPLOAD,
        )
    given = InputFile(
        name=file.orig_name or file.name, url=file.url, size=file.size or 0, mime_type=file.mime_type
    )
    return _file_data(file.path, given, config)


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
        paths += _uploaded(response, batch)
    return paths


def _part(file: InputFile) -> FilePart:
    content = file.content if file.path is None else file.path
    return FilePart("files", file.name, content or b"", file.size, file.content_type)


def _uploaded(response: Response, files: Sequence[InputFile]) -> list[str]:
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


# --- what a server gives -----------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ServerFile:
    """A file that an app gave: where it is, and what the app says of it. Nothing is fetched yet.

    Attributes:
        url: Where it can be fetched; empty where it came inside the payload.
        path: Its path on the server, or empty.
        orig_name: The name the app gives it. A server's word: never use it as a path.
        size: Bytes, as the server says; None where it does not.
        is_stream: It is still being made: fetching it follows the stream.
        content: Its bytes, where it came inside the payload (before 4.0).
        app: Base URL of the app it came from.
        raw: The JSON it was.
    """

    url: str
    path: str = ""
    orig_name: str | None = None
    size: int | None = None
    mime_type: str | None = None
    is_stream: bool = False
    content: bytes | None = attrs.field(default=None, repr=False)
    app: str = attrs.field(default="", repr=False)
    raw: Any = attrs.field(default=None, repr=False, eq=False)

    @property
    def name(self) -> str:
        """A name to save it under; made safe when that is done."""
        if self.orig_name:
            return self.orig_name
        last = re.split(r"[/\\]", self.path or unquote(urlsplit(self.url).path))[-1]
        if last:
            return last
        kind = self.mime_type or ""
        return "file" + (_EXTENSIONS.get(kind) or mimetypes.guess_extension(kind) or "")


Make: TypeAlias = Callable[[ServerFile], Any]
"""What a face makes of a server's file."""


Seen: TypeAlias = tuple[Any, Any]
"""A value, and what was made of it."""

_NOTHING: Seen = (object(), None)


_EMPTY: list[Any] = []
_NO_ITEMS = (_EMPTY, _EMPTY)  # one list: nothing in it was made anything else


def _is_pair_of(kind: type, seen: Seen) -> bool:
    return isinstance(seen[0], kind) and isinstance(seen[1], kind)


@attrs.define
class FileReader:
    """Finds the files in the outputs of one call, by the signs of the app's generation.

    Frames share what has not changed from one to the next, and only what has changed is searched: a chat of
    any length costs as little as its last message.

    Attributes:
        make: What stands in the place of each file.
    """

    config: AppConfig
    urls: AppURLs
    make: Make
    _slots: Sequence[Component] = attrs.field(default=(), init=False, eq=False, repr=False)
    _kinds: list[str] = attrs.field(factory=list[str], init=False, eq=False, repr=False)
    _before: list[Seen] = attrs.field(factory=list[Seen], init=False, eq=False, repr=False)

    def outputs(self, data: list[Any], slots: Sequence[Component]) -> list[Any]:
        """Return output values with their files found; the same list if there are none."""
        if slots is not self._slots:
            self._slots, self._kinds = slots, [slot.type for slot in slots if not slot.skipped]
        kinds, befores = self._kinds, self._before
        found = data
        seen: list[Seen] = []
        for place, value in enumerate(data):
            kind = kinds[place] if place < len(kinds) else ""
            made = self.value(value, kind, befores[place] if place < len(befores) else _NOTHING)
            seen.append((value, made))
            if made is not value:
                found = data.copy() if found is data else found
                found[place] = made
        self._before = seen
        return found

    def value(self, value: Any, kind: str, before: Seen = _NOTHING) -> Any:
        """Return one output value with its files found.

        Args:
            value: As the wire has it.
            kind: The component's type.
            before: The value of the frame before, which shares what has not changed with this one, and what
                was returned for it.
        """
        if kind in _WITHOUT_FILES or not isinstance(value, (str, dict, list)):
            return cast("object", value)
        if kind == "json" and not self.config.at_least(4, 21):
            return cast("object", value)  # an app's own JSON may well hold a "path" or a "name"
        return self._walk(value, kind, _DEPTH, before)

    def _walk(self, value: Any, kind: str, depth: int, before: Seen) -> Any:
        if value is before[0]:
            return before[1]
        if isinstance(value, str):
            return self._data_url(value, kind)
        if not depth:
            return value
        if isinstance(value, dict):
            return self._walk_mapping(cast("dict[str, Any]", value), kind, depth, before)
        if isinstance(value, list):
            return self._walk_items(cast("list[Any]", value), kind, depth, before)
        return value

    def _walk_mapping(self, mapping: dict[str, Any], kind: str, depth: int, before: Seen) -> Any:
        file = self._file(mapping, kind)
        if file is not None:
            return self.make(file)
        known: tuple[dict[str, Any], dict[str, Any]] = before if _is_pair_of(dict, before) else ({}, {})
        olds, news = known
        walked = mapping
        for key, one in mapping.items():
            seen = (olds[key], news[key]) if key in olds else _NOTHING
            made = seen[1] if one is seen[0] else self._walk(one, kind, depth - 1, seen)
            if made is not one:
                walked = mapping.copy() if walked is mapping else walked
                walked[key] = made
        return walked

    def _walk_items(self, items: list[Any], kind: str, depth: int, before: Seen) -> Any:
        seen: tuple[list[Any], list[Any]] = before if _is_pair_of(list, before) else _NO_ITEMS
        olds, news = seen
        known = min(len(olds), len(items))
        # No step of Python's for each of what has not changed: a chat may have thousands of messages.
        changed = compress(range(known), map(is_not, items, olds))
        walked = items if olds is news else [*news[:known], *items[known:]]
        for place in chain(changed, range(known, len(items))):
            before = (olds[place], news[place]) if place < known else _NOTHING
            made = self._walk(items[place], kind, depth - 1, before)
            if made is not walked[place]:
                walked = items.copy() if walked is items else walked
                walked[place] = made
        return walked

    def _file(self, raw: Mapping[str, Any], kind: str) -> ServerFile | None:
        if self.config.at_least(4, 0):
            return self._file_data(raw) if self._is_file_data(raw) else None
        if isinstance(raw.get("name"), str) and raw.get("is_stream") is True:
            place = self.urls.api(f"stream/{escaped(raw['name'], '/')}")
            return self._described(raw, raw["name"], place, True)
        if isinstance(raw.get("name"), str) and raw.get("is_file") is True:
            return self._described(raw, raw["name"], self._place(raw["name"]), False)
        data = raw.get("data")
        if isinstance(data, str) and isinstance(raw.get("name"), str) and kind in _INLINE:
            return self._inline(data, raw, raw["name"])
        return None

    def _is_file_data(self, raw: Mapping[str, Any]) -> bool:
        if not isinstance(raw.get("path"), str) and not isinstance(raw.get("url"), str):
            return False
        if self.config.at_least(4, 21):
            meta = raw.get("meta")
            return isinstance(meta, dict) and cast("dict[str, Any]", meta).get("_type") == META["_type"]
        return isinstance(raw.get("path"), str) and raw.keys() <= _FILE_DATA_KEYS

    def _file_data(self, raw: Mapping[str, Any]) -> ServerFile:
        path, url = raw.get("path"), raw.get("url")
        path = path if isinstance(path, str) else ""
        if isinstance(url, str) and url.startswith("data:"):
            inline = self._inline(url, raw, path)
            if inline is not None:
                return inline
        streamed = raw.get("is_stream") is True
        # Before 6.27 the url is not percent-encoded, so the path is the better source where it is one.
        if path and not streamed and not (isinstance(url, str) and "/proxy=" in url):
            return self._described(raw, path, self._place(path), streamed)
        place = _encoded(self.urls.resolve(url)) if isinstance(url, str) and url else self._place(path)
        return self._described(raw, path, place, streamed)

    def _place(self, path: str) -> str:
        if not path:
            return ""  # nowhere, which is said to whoever fetches it
        if path.lower().startswith(("http://", "https://")):
            return _encoded(self.urls.resolve(path))
        return self.urls.file(path)

    def _described(self, raw: Mapping[str, Any], path: str, url: str, streamed: bool) -> ServerFile:
        name, size, kind = raw.get("orig_name"), raw.get("size"), raw.get("mime_type")
        return ServerFile(
            url=url,
            path=path,
            orig_name=name if isinstance(name, str) else None,
            size=size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None,
            mime_type=kind if isinstance(kind, str) else None,
            is_stream=streamed,
            app=self.urls.base,
            raw=raw,
        )

    def _data_url(self, text: str, kind: str) -> Any:
        if kind not in _INLINE or self.config.at_least(4, 0) or not text.startswith("data:"):
            return text
        file = self._inline(text, text, "")
        return text if file is None else self.make(file)

    def _inline(self, text: str, raw: Any, name: str) -> ServerFile | None:
        """Return a file that is the payload itself: a data URL, or (2.3) the bare base64."""
        found = _DATA_URL.match(text)
        try:
            content = base64.b64decode(text[found.end() :] if found else text, validate=True)
        except (binascii.Error, ValueError):
            return None
        kind = found[1] if found else None
        return ServerFile(
            url="",
            orig_name=re.split(r"[/\\]", name)[-1] or None,
            size=len(content),
            mime_type=kind or None,
            content=content,
            app=self.urls.base,
            raw=raw,
        )


def _encoded(url: str) -> str:
    """Return a server's URL with what may not stand in one percent-encoded."""
    return escaped(url, "/:?&=#%@+,;!$'()*[]~")


# --- fetching ----------------------------------------------------------------------------------------


PLAYLIST_SECONDS = 0.5
"""How often a playlist that is still being written is asked for again."""

PLAYLIST_BYTES = 4 * 1024 * 1024


def locate(url: str, max_redirects: int) -> Generator[Request, Response, None]:
    """Yield the requests for a file: the first, and one for each redirect. Whoever sends them judges each.

    Raises:
        RemoteProtocolError: It is redirected without end, or to what is no URL.
    """
    current = url
    for _ in range(max_redirects + 1):
        # A file is wanted as it is, and its length is wanted too: no content coding.
        request = Request("GET", current, {"accept": "*/*", "accept-encoding": "identity"})
        response = yield request
        target = response.headers.get("location")
        if response.status not in REDIRECTS or not target or wants_login(response):
            return
        following = joined(current, target)
        if following is None:
            raise RemoteProtocolError(
                f"The file {url} is redirected to {target!r}, which is no URL.", phase=Phase.DOWNLOAD
            )
        current = following
    raise RemoteProtocolError(
        f"The file {url} is redirected without end (last to {current}); see Limits(max_redirects=).",
        phase=Phase.DOWNLOAD,
    )


def content_length(head: Response) -> int | None:
    """Return how many bytes a reply's body has, if it says so."""
    text = head.headers.get("content-length", "")
    return int(text[:18]) if text.isdecimal() else None


def unavailable(response: Response, url: str) -> GradioTransportError:
    """Return the error for a file that was not given."""
    where = url.partition("?")[0]
    if response.status == 429 or wants_login(response):
        return refusal(response, Phase.DOWNLOAD, what=where)
    why = {
        403: "it was not made for callers, or is gone",
        404: "it is not there (any more)",
        500: "old servers answer so for files that are not there, or not for callers",
    }.get(response.status, "that is no answer to a request for a file")
    return FileUnavailable(
        f"The server does not hand out {where}: HTTP {response.status}, {why}.",
        phase=Phase.DOWNLOAD,
        status=response.status,
        body=excerpt(response.body),
        retryable=response.status in (502, 503, 504),
    )


def too_large(url: str, most: int) -> EventTooLarge:
    """Return the error for a file beyond the bound."""
    return EventTooLarge(
        f"The file {url.partition('?')[0]} has more than {most} bytes. Raise Limits(max_download_bytes=) if "
        "the server is to be trusted.",
        phase=Phase.DOWNLOAD,
    )


def broke_off(url: str, closed: Closed, received: int, stall: float | None) -> GradioTransportError:
    """Return the error for a download that ended too early."""
    where = url.partition("?")[0]
    if closed.ending is Ending.IDLE:
        return Timeout(
            f"Nothing came of {where} for {stall} s, after {received} bytes. Raise Timeouts(download_stall=) "
            "if that is to be expected.",
            knob="download_stall",
            seconds=stall,
            phase=Phase.DOWNLOAD,
            retryable=True,
        )
    return StreamLost(
        f"The download of {where} broke off after {received} bytes ({closed.reason or closed.ending.value}). "
        "Nothing was kept.",
        phase=Phase.DOWNLOAD,
        retryable=True,
    )


def whole_file(url: str) -> str:
    """Return where a stream of 5.0+ can be had in one piece once it is complete (docs/wire.md §10.4)."""
    parts = url.rpartition("/")
    return f"{parts[0]}/playlist-file" if parts[2].partition("?")[0] == "playlist.m3u8" else url


def is_playlist(url: str) -> bool:
    """Return whether a URL names a playlist (HLS, RFC 8216)."""
    return urlsplit(url).path.endswith(".m3u8")


def playlist_segments(text: str, url: str) -> tuple[list[str], bool]:
    """Return the segments of a playlist as absolute URLs, and whether it is complete."""
    lines = [line.strip() for line in text.splitlines()]
    named = [joined(url, line) for line in lines if line and not line.startswith("#")]
    return [one for one in named if one is not None], "#EXT-X-ENDLIST" in lines


__all__ = [
    "FetchFile", "FileCommand", "FileReader", "FileReply", "InputFile", "Make", "PLAYLIST_BYTES",
    "PLAYLIST_SECONDS", "ReadFile", "ServerFile", "broke_off", "check_files", "content_length", "handle_file",
    "holds_files", "inline_files", "is_playlist", "locate", "may_hold_files", "place_files",
    "playlist_segments", "too_large", "unavailable", "upload", "whole_file",
]  # fmt: skip
