# SPDX-License-Identifier: Apache-2.0
"""Files as arguments, and files of outputs as paths."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

from ..aio import AsyncRemoteFile
from ..errors import LocalProtocolError
from ..files import inputs
from ..files.inputs import InputFile
from ..files.outputs import ServerFile
from ..sync import RemoteFile
from .errors import FileError


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


def saved(value: Any, directory: Path, final: bool) -> Any:
    """Return an output value with the paths of its files, downloaded, in their places.

    A stream is left as it is until it is complete: its download would wait for the end of the job.
    """
    if isinstance(value, RemoteFile):
        return value if value.is_stream and not final else str(value.download(directory))
    if isinstance(value, list):
        return [saved(one, directory, final) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: saved(one, directory, final) for key, one in cast("dict[Any, Any]", value).items()}
    return value


async def saved_async(value: Any, directory: Path, final: bool) -> Any:
    """Return an output value with the paths of its files in their places; see `saved`."""
    if isinstance(value, AsyncRemoteFile):
        return value if value.is_stream and not final else str(await value.download(directory))
    if isinstance(value, list):
        return [await saved_async(one, directory, final) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {key: await saved_async(one, directory, final) for key, one in items}
    return value


def reduced(values: list[Any]) -> Any:
    """Return the outputs as the docs have them: the one value, or a tuple of several."""
    return values[0] if len(values) == 1 else tuple(values)


__all__ = ["InputFile", "ServerFile", "file", "handle_file", "reduced", "saved", "saved_async"]
