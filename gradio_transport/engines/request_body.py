# SPDX-License-Identifier: Apache-2.0
"""Reads the body of a request from memory and disk, a block at a time, for engines of either face."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import LocalProtocolError, Phase
from ..protocol.commands import Request
from ..protocol.multipart import FilePart, Multipart
from .base import Patience

BLOCK_BYTES = 256 * 1024


def for_the_rest(request: Request, patience: Patience) -> float | None:
    """Return the seconds for a reply once its head is there; None: those for the whole of it are enough.

    A form takes as long to send as it takes, and so there are none for the whole.
    """
    return patience.silence if isinstance(request.body, Multipart) else None


def headers_of(request: Request) -> dict[str, str]:
    """Return a request's headers, with length and type of a body that is sent in pieces."""
    if not isinstance(request.body, Multipart):
        return dict(request.headers)
    described = {"content-type": request.body.content_type, "content-length": str(request.body.length)}
    return {**request.headers, **described}


def pieces(body: Multipart) -> Iterator[bytes]:
    """Yield a form block by block, telling its progress.

    Raises:
        LocalProtocolError: A file cannot be read, or has changed its size.
    """
    total, sent = body.length, 0
    for section in body.sections():
        for block in _blocks(section):
            yield block
            sent += len(block)
            if body.progress is not None:
                body.progress(sent, total)


def pieces_async(body: Multipart) -> AsyncIterator[bytes]:
    """Yield a form block by block; the disk is read in a worker thread."""
    return _Pieces(pieces(body))


class _Pieces:
    """No async generator: a cancelled upload would leave it open."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        import anyio.to_thread

        block = await anyio.to_thread.run_sync(_next, self._blocks)
        if block is None:
            raise StopAsyncIteration
        return block


def _next(blocks: Iterator[bytes]) -> bytes | None:
    return next(blocks, None)


def _blocks(section: bytes | FilePart) -> Iterator[bytes]:
    if isinstance(section, bytes):
        yield section
    elif isinstance(section.content, Path):
        yield from _from_disk(section, section.content)
    else:
        view = memoryview(section.content)
        for start in range(0, len(view), BLOCK_BYTES):
            yield bytes(view[start : start + BLOCK_BYTES])


def _from_disk(part: FilePart, path: Path) -> Iterator[bytes]:
    left = part.size
    with _reading(path), path.open("rb") as file:
        while left:
            block = file.read(min(BLOCK_BYTES, left))
            if not block:
                raise LocalProtocolError(
                    f"{path} has become shorter while it was uploaded ({left} bytes are missing). Nothing "
                    "was called.",
                    phase=Phase.UPLOAD,
                )
            left -= len(block)
            yield block


@contextmanager
def _reading(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise LocalProtocolError(
            f"{path} cannot be read for the upload: {error.strerror or error}. Nothing was called.",
            phase=Phase.UPLOAD,
        ) from error
