# SPDX-License-Identifier: Apache-2.0
"""Files in the form of the Gradio Python client: dicts with the FileData keys, and paths.

Only files that you mark are read from disk. A dict with a ``path`` and the mark of a file names a local file
only if it has no ``url``, and the client adds a ``url`` to every such dict from a server. So when you pass an
output on, the path in it is not read from disk, even if you stored the output as JSON in between.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, cast

from ..aio import AsyncRemoteFile
from ..app.config import AppConfig
from ..calls.downloads import of_a_result
from ..errors import LocalProtocolError, Phase, one_line
from ..files import inputs
from ..files.forms import MAX_DEPTH, META
from ..files.inputs import InputFile
from ..files.outputs import ServerFile
from ..protocol.urls import percent_encode, resolve_reference, shown_url
from ..sync import RemoteFile
from .errors import FileError

Directory: TypeAlias = Callable[[], Path]
"""Returns the directory for a file of an output; called for each file."""


class FileArgument(dict[str, Any]):
    """A file argument from `handle_file`: a dict of ``path``, ``orig_name``, ``meta`` and ``url``."""


class OutputFile(dict[str, Any]):
    """A file of an output on the server: a dict of its FileData, with methods to fetch it.

    Attributes:
        remote: The file as `gradio_transport.RemoteFile`. With an `AsyncClient` it is an `AsyncRemoteFile`.
            Await its methods and those of this class.
    """

    def __init__(self, remote: RemoteFile | AsyncRemoteFile) -> None:
        raw: object = remote.raw
        super().__init__(cast("dict[str, Any]", raw) if isinstance(raw, dict) else {})
        inline = raw if isinstance(raw, str) else self.get("url") or self.get("data")  # a data URL
        self.update(
            path=remote.path or None,
            url=remote.url or inline or _url_on_server(remote.path),
            size=remote.size,
            orig_name=remote.orig_name,
            mime_type=remote.mime_type,
            is_stream=remote.is_stream,
            meta=dict(META),
        )
        self.remote = remote

    def read(self, *, timeout: float | None = None) -> Any:
        """Return the full content; see `gradio_transport.RemoteFile.read`."""
        return self.remote.read(timeout=timeout)

    def open(self, *, timeout: float | None = None) -> Any:
        """Return a reader of the content; see `gradio_transport.RemoteFile.open`."""
        return self.remote.open(timeout=timeout)

    def download(self, directory: str | Path, **options: Any) -> Any:
        """Save it in a directory, and return the path; see `gradio_transport.RemoteFile.download`."""
        return self.remote.download(directory, **options)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return a plain dict for copies and pickles, because it needs no connection."""
        return dict, (dict(self),)


def handle_file(filepath_or_url: str | Path) -> dict[str, Any]:
    """Return a file as an argument of a job. It is uploaded with the call, for any version of the app.

    It is a dict of ``path``, ``orig_name``, ``meta``, and for a URL also ``url``.

    Args:
        filepath_or_url: A path on this machine, or an http(s) URL.

    Raises:
        FileError: There is no such file, or it cannot be read.
        TypeError: It is neither a path nor a URL.
    """
    if not isinstance(filepath_or_url, str | os.PathLike):
        raise TypeError(
            f"handle_file takes a path on this machine, or a URL; got {type(filepath_or_url).__name__}. For "
            f"bytes use gradio_transport.handle_file(data, name='photo.png'), which the client also accepts."
        )
    found = _input_file(filepath_or_url)
    made = FileArgument(path=str(filepath_or_url), meta=dict(META), orig_name=found.name)
    if found.url is not None:
        made["url"] = found.url
    return made


def file(filepath_or_url: str | Path) -> dict[str, Any]:
    """Return a file as an argument. The older name of `handle_file`."""
    return handle_file(filepath_or_url)


def _input_file(source: str | Path, given: Mapping[str, Any] | None = None) -> InputFile:
    """Return the local file or URL that a dict from the program describes."""
    name, kind = (given or {}).get("orig_name"), (given or {}).get("mime_type")
    try:
        return inputs.handle_file(
            source,
            name=name if isinstance(name, str) else None,
            mime_type=kind if isinstance(kind, str) else None,
            allow_empty=True,
        )
    except LocalProtocolError as error:
        missing = f"File {one_line(str(source))} does not exist on local filesystem and is not a valid URL. "
        raise FileError(
            f"{'' if Path(source).expanduser().exists() else missing}{error.message} handle_file takes a "
            "path on this machine, or a URL with http:// or https://.",
            phase=error.phase,
        ) from None


def is_marked(value: object) -> bool:
    """Return whether a value is a dict that is marked as a file."""
    if not isinstance(value, dict):
        return False
    meta: object = cast("dict[str, Any]", value).get("meta")
    return isinstance(meta, dict) and cast("dict[str, Any]", meta).get("_type") == META["_type"]


def take_files(value: Any, app: str, config: AppConfig, depth: int = MAX_DEPTH) -> Any:
    """Return an argument with its file dicts replaced by files.

    Args:
        value: An argument of the program, not a value of a server, such as a default.
        app: Base URL of the called app.
        config: Config of that app.
        depth: Levels of nesting in which files are found.

    Raises:
        FileError: There is no file at a path, or a file of another app cannot be sent by its URL.
    """
    if isinstance(value, OutputFile):
        return value.remote
    if is_marked(value):
        return _take_marked(cast("dict[str, Any]", value), app, config)
    return _with_parts(value, lambda item: take_files(item, app, config, depth - 1)) if depth else value


def take_uploads(value: Any, directory: Path | None, depth: int = MAX_DEPTH) -> Any:
    """Return a value from a browser with its dicts of uploaded files replaced by files.

    Every other dict that is marked as a file is treated as one of a server, so a browser cannot choose files
    to read.

    Args:
        value: An argument of a function of a Gradio server in this process.
        directory: The directory where that server stores uploads. None if it cannot be trusted; then nothing
            is read.
        depth: Levels of nesting in which files are found.
    """
    if not is_marked(value):
        return _with_parts(value, lambda item: take_uploads(item, directory, depth - 1)) if depth else value
    path = value.get("path")
    if isinstance(value, FileArgument | OutputFile) or not isinstance(path, str):
        return value
    # First, because the url that Gradio adds to an upload points to its own server.
    if (found := _file_within(directory, path)) is not None:
        return _input_file(found, value)
    return value if value.get("url") else {**value, "url": _url_on_server(path)}


def _file_within(directory: Path | None, path: str) -> Path | None:
    """Return the resolved path, if it is a regular file within a directory."""
    if directory is None:
        return None
    try:
        found = Path(os.path.realpath(path, strict=True))
        within = found.is_relative_to(os.path.realpath(directory, strict=True))
    except (OSError, ValueError):  # there is no file, or the text cannot be a path
        return None
    return found if within and found.is_file() else None


def _with_parts(value: Any, make: Callable[[Any], Any]) -> Any:
    """Return a value with its compound parts transformed; the value itself if nothing changes."""
    if isinstance(value, dict):
        members = cast("dict[Any, Any]", value)
        if _has_parts(members.values()):
            made = {key: make(item) for key, item in members.items()}
            return made if any(made[key] is not item for key, item in members.items()) else members
    elif isinstance(value, list | tuple):
        items = cast("Sequence[Any]", value)
        if _has_parts(items):
            listed = [make(item) for item in items]
            return listed if any(map(operator.is_not, listed, items)) else items
    return cast("object", value)


def _has_parts(items: Iterable[object]) -> bool:
    # Checked by types, because most long values are only texts and numbers, and a Python step for each is
    # slow.
    return any(issubclass(kind, dict | list | tuple) for kind in set(map(type, items)))


def _take_marked(given: dict[str, Any], app: str, config: AppConfig) -> Any:
    path, url = given.get("path"), given.get("url")
    if not isinstance(path, str):
        return given
    if isinstance(given, FileArgument):
        return _input_file(path, given)
    if not url:
        if not _describes(config, path):
            return _input_file(path, given)
        url = _url_on_server(path)
    place = (resolve_reference(f"{app}/", url) if isinstance(url, str) else None) or ""
    name, kind, size = given.get("orig_name"), given.get("mime_type"), given.get("size")
    if place.startswith(f"{app}/"):
        return ServerFile(
            url=place,
            path=path,
            orig_name=name if isinstance(name, str) else None,
            size=size if isinstance(size, int) else None,
            mime_type=kind if isinstance(kind, str) else None,
            app=app,
        )
    if not place.startswith(("http://", "https://")):
        return given
    if not config.at_least(4, 0):
        # The program may have it from a server, which could name an address inside your network.
        raise FileError(
            f"The file {shown_url(place)} is on another server than the app, and Gradio before 4.0 accepts "
            f"no URLs. Nothing was sent. Pass handle_file(url), so that this machine fetches it.",
            phase=Phase.UPLOAD,
        )
    return _input_file(place, given)


def _describes(config: AppConfig, path: str) -> bool:
    """Return whether a path is a default or example in the app's description, so it is on the server."""
    return any(
        path in _paths([parameter.default, parameter.example])
        for endpoint in config.endpoints
        for parameter in endpoint.parameters
    )


def _paths(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        yield members.get("path")
        value = list(members.values())
    if isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from _paths(item)


def _url_on_server(path: str) -> str:
    """Return a URL for a path from a server. A relative URL refers to the app that it is passed to."""
    return path if path.startswith(("http://", "https://")) else f"file={percent_encode(path, '/')}"


_PLAIN = frozenset({str, int, float, bool, type(None)})
"""Types that a copy shares."""

FilePlace: TypeAlias = tuple[Any, Any, ServerFile]
"""A container, a key or index of it, and the file there."""


def deliver(value: Any) -> Any:
    """Return a copy of a server's value for the program, safe to change. It has no files."""
    return _copy(value, []) if isinstance(value, dict | list) else value


def _copy(value: Any, files: list[FilePlace]) -> Any:
    """Return a copy of a list or dict, and add the places of its files.

    It runs for each frame of a chat, which may have hundreds of messages. So it calls itself for filled
    containers only, and searches for files at the same time.
    """
    made: Any = value.copy()
    is_mapping = isinstance(value, dict)
    for key, part in made.items() if is_mapping else enumerate(made):
        kind = part.__class__
        if kind in _PLAIN:
            continue
        if kind is dict or kind is list:
            made[key] = _copy(part, files) if part else part.copy()
        elif isinstance(part, ServerFile):
            files.append((made, key, part))
    if is_mapping and "path" in made and is_marked(made):
        path: object = made["path"]
        if isinstance(path, str) and not made.get("url"):
            made["url"] = _url_on_server(path)
    return made


class OutputFiles:
    """The destination of the files of outputs.

    Attributes:
        saves: Whether they are downloaded; otherwise they stay on the server, as `OutputFile`.
    """

    def __init__(self, directory: Directory | None) -> None:
        self.saves = directory is not None
        self._directory = directory

    def save(self, data: list[Any], final: bool) -> tuple[Any, bool]:
        """Return outputs for the program with their files downloaded, and whether there are files."""
        files = list[FilePlace]()
        made = _copy(data, files)
        if files:
            with of_a_result():
                for container, key, found in files:
                    file, place = cast("RemoteFile", found), self._place(found, final)
                    container[key] = OutputFile(file) if place is None else str(file.download(place))
        return unwrap_outputs(made), bool(files)

    async def save_async(self, data: list[Any], final: bool) -> tuple[Any, bool]:
        """Return outputs for a program of the async client, and whether there are files."""
        files = list[FilePlace]()
        made = _copy(data, files)
        if files:
            with of_a_result():
                for container, key, found in files:
                    file, place = cast("AsyncRemoteFile", found), self._place(found, final)
                    container[key] = OutputFile(file) if place is None else str(await file.download(place))
        return unwrap_outputs(made), bool(files)

    def _place(self, file: ServerFile, final: bool) -> Path | None:
        """Return the directory for a file; None for one that stays on the server.

        A stream stays there until it is complete, because its download would wait for the end of the job.
        """
        if self._directory is None or (file.is_stream and not final):
            return None
        return self._directory()


def unwrap_outputs(values: list[Any]) -> Any:
    """Return the outputs in the form of the docs: a single value, or a tuple of several."""
    return values[0] if len(values) == 1 else tuple(values)


__all__ = [
    "FileArgument", "OutputFile", "OutputFiles", "deliver", "file", "handle_file", "take_files",
    "take_uploads",
]  # fmt: skip
