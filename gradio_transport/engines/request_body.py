# SPDX-License-Identifier: Apache-2.0
"""The body of a request, read from memory and disk in blocks, for sync and async engines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import LocalProtocolError, Phase
from ..protocol.commands import Request
from ..protocol.multipart import FilePart, Multipart
from .base import Patience

BLOCK_BYTES = 256 * 1024


def body_seconds(request: Request, patience: Patience) -> float | None:
    """Return the bound of reading a reply's body, or None if `Patience.whole` bounds it already.

    An upload has no bound for the whole request, because sending a large form may take any time. Its reply
    then needs a separate bound.
    """
    return patience.silence_seconds if isinstance(request.body, Multipart) else None


def request_headers(request: Request) -> dict[str, str]:
    """Return a request's headers, with the length and type of a form."""
    if not isinstance(request.body, Multipart):
        return dict(request.headers)
    described = {"content-type": request.body.content_type, "content-length": str(request.body.length)}
    return {**request.headers, **described}


def form_blocks(body: Multipart) -> Iterator[bytes]:
    """Yield a form in blocks and report the progress.

    Raises:
        LocalProtocolError: A file cannot be read, or has changed its size.
    """
    total, sent = body.length, 0
    for section in body.sections():
        for block in _section_blocks(section):
            yield block
            sent += len(block)
            if body.progress is not None:
                body.progress(sent, total)


def form_blocks_async(body: Multipart) -> AsyncIterator[bytes]:
    """Yield a form in blocks; files are read in a worker thread."""
    return _AsyncBlocks(form_blocks(body))


class _AsyncBlocks:
    """The blocks of a form. Not an async generator, because a cancelled upload would leave that open."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        import anyio.to_thread

        block = await anyio.to_thread.run_sync(_next_block, self._blocks)
        if block is None:
            raise StopAsyncIteration
        return block


def _next_block(blocks: Iterator[bytes]) -> bytes | None:
    return next(blocks, None)


def _section_blocks(section: bytes | FilePart) -> Iterator[bytes]:
    if isinstance(section, bytes):
        yield section
    elif isinstance(section.content, Path):
        yield from _file_blocks(section, section.content)
    else:
        view = memoryview(section.content)
        for start in range(0, len(view), BLOCK_BYTES):
            yield bytes(view[start : start + BLOCK_BYTES])


def _file_blocks(part: FilePart, path: Path) -> Iterator[bytes]:
    left = part.size
    with _translate_os_errors(path), path.open("rb") as file:
        while left:
            block = file.read(min(BLOCK_BYTES, left))
            if not block:
                raise LocalProtocolError(
                    f"{path} was truncated during the upload ({left} bytes are missing). The function was "
                    f"not called. Upload a file that does not change.",
                    phase=Phase.UPLOAD,
                )
            left -= len(block)
            yield block


@contextmanager
def _translate_os_errors(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise LocalProtocolError(
            f"{path} cannot be read for the upload: {error.strerror or error}. The function was not called.",
            phase=Phase.UPLOAD,
        ) from error


class AsyncBody:
    """The body of a request as an iterable of blocks.

    Why not an async generator: a request that is cancelled while it is sent would leave that open.
    """

    def __init__(self, body: bytes | Multipart | None) -> None:
        self._body = body

    def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._body, Multipart):
            return form_blocks_async(self._body)
        return _SingleBlock(self._body or b"")


class _SingleBlock:
    def __init__(self, block: bytes) -> None:
        self._blocks = iter((block,))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            return next(self._blocks)
        except StopIteration:
            raise StopAsyncIteration from None
