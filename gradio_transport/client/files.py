# SPDX-License-Identifier: Apache-2.0
"""Files as arguments, and files of outputs as paths."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, cast

from ..aio import AsyncRemoteFile
from ..calls.downloads import of_a_result
from ..errors import LocalProtocolError
from ..files import inputs
from ..files.inputs import InputFile
from ..files.outputs import ServerFile
from ..sync import RemoteFile
from .errors import FileError

Directory: TypeAlias = Callable[[], Path]
"""Returns where files of outputs go; called for each file."""


def handle_file(filepath_or_url: str | Path) -> InputFile:
    """Return a file as an argument of a job; it goes up with the call, whatever generation the app is of.

    Args:
        filepath_or_url: A path on this machine, or an http(s) URL.

    Raises:
        FileError: There is no such file, or it cannot be read.
        TypeError: It is neither a path nor a URL.
    """
    if not isinstance(filepath_or_url, str | os.PathLike):
        raise TypeError(
            f"handle_file takes a path on this machine, or a URL; got {type(filepath_or_url).__name__}. For "
            "bytes there is gradio_transport.handle_file(data, name='photo.png'), which clients take too."
        )
    try:
        return inputs.handle_file(filepath_or_url, allow_empty=True)
    except LocalProtocolError as error:
        raise FileError(
            f"{error.message} handle_file takes a path on this machine, or a URL with http:// or https://.",
            phase=error.phase,
        ) from None


def file(filepath_or_url: str | Path) -> InputFile:
    """Return a file as an argument; the older name of `handle_file`."""
    return handle_file(filepath_or_url)


def save_files(value: Any, directory: Directory, final: bool) -> Any:
    """Return an output value with the paths of its files, downloaded, in their places.

    A stream is left as it is until it is complete: its download would wait for the end of the job.
    """
    if isinstance(value, RemoteFile):
        return value if value.is_stream and not final else str(value.download(directory()))
    if isinstance(value, list):
        return [save_files(item, directory, final) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {
            key: save_files(item, directory, final) for key, item in cast("dict[Any, Any]", value).items()
        }
    return value


async def save_files_async(value: Any, directory: Directory, final: bool) -> Any:
    """Return an output value with the paths of its files in their places; see `save_files`."""
    if isinstance(value, AsyncRemoteFile):
        return value if value.is_stream and not final else str(await value.download(directory()))
    if isinstance(value, list):
        return [await save_files_async(item, directory, final) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {key: await save_files_async(item, directory, final) for key, item in items}
    return value


class OutputFiles:
    """Where the files of outputs go.

    Attributes:
        saves: Whether they are downloaded; else they stay where they are, as `RemoteFile`.
    """

    def __init__(self, directory: Directory | None) -> None:
        self.saves = directory is not None
        self._directory = directory

    def save(self, data: list[Any], final: bool) -> Any:
        """Return outputs as a caller gets them, their files downloaded."""
        if self._directory is None:
            return unwrap_outputs(data)
        with of_a_result():
            return unwrap_outputs([save_files(value, self._directory, final) for value in data])

    async def save_async(self, data: list[Any], final: bool) -> Any:
        """Return outputs as a caller of the async client gets them."""
        if self._directory is None:
            return unwrap_outputs(data)
        with of_a_result():
            return unwrap_outputs([await save_files_async(value, self._directory, final) for value in data])


def unwrap_outputs(values: list[Any]) -> Any:
    """Return the outputs as the docs have them: the one value, or a tuple of several."""
    return values[0] if len(values) == 1 else tuple(values)


__all__ = ["InputFile", "ServerFile", "file", "handle_file", "OutputFiles"]
