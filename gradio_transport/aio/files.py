# SPDX-License-Identifier: Apache-2.0
"""Files of an app's outputs, in the async API: `AsyncRemoteFile`."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import anyio
import attrs

from ..calls.downloads import (
    Chunk,
    DownloadProgress,
    FileSource,
    Inline,
    RemoteFileView,
    Restart,
    Transfer,
    find_files,
    of_a_result,
    with_paths,
)
from ..calls.method_timeout import check_timeout, timeout_error
from ..calls.requests import add_elapsed
from ..engines.base import AsyncResponseStream, StreamEnded
from ..errors import Phase
from ..files.fetch import PLAYLIST_SECONDS, is_playlist, whole_file_url
from ..files.outputs import ServerFile
from .closing import Closing
from .part_writer import PartWriter

T = TypeVar("T")


@attrs.frozen(kw_only=True, repr=False)
class AsyncRemoteFile(RemoteFileView):
    """A file that an app returned; see `gradio_transport.sync.RemoteFile`."""

    async def read(self, *, timeout: float | None = None) -> bytes:
        """Return the full content; see `gradio_transport.sync.RemoteFile.read`."""
        check_timeout(timeout)
        with add_elapsed(secrets=self._fetcher.secrets):
            return await run_within(timeout, f"The file {self.name}", Phase.DOWNLOAD, self._read())

    async def _read(self) -> bytes:
        parts: list[bytes] = []
        async with await self._fetcher.open(self, whole_file_url(self.url), may_restart=True) as download:
            async for chunk in download:
                if isinstance(chunk, Restart):
                    parts.clear()
                else:
                    parts.append(chunk)
        return b"".join(parts)

    def open(self, *, timeout: float | None = None) -> AsyncReader:
        """Return a reader for an ``async with`` block; see `gradio_transport.sync.RemoteFile.open`."""
        return AsyncReader(self, self._fetcher.with_stall(timeout))

    async def download(
        self,
        directory: str | Path,
        *,
        progress: DownloadProgress | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Save it in a directory, and return the path; see `gradio_transport.sync.RemoteFile.download`."""
        check_timeout(timeout)
        work = self._download(Path(directory), progress)
        with add_elapsed(secrets=self._fetcher.secrets):
            return await run_within(timeout, f"The file {self.name}", Phase.DOWNLOAD, work)

    async def _download(self, directory: Path, progress: DownloadProgress | None) -> Path:
        async with (
            PartWriter(directory) as writer,
            await self._fetcher.open(self, whole_file_url(self.url), may_restart=True) as download,
        ):
            async for chunk in download:
                if isinstance(chunk, Restart):
                    await writer.restart()
                    continue
                size = await writer.add(chunk, download.total)
                if progress is not None:
                    progress(size, download.total)
            return await writer.publish(self.name)


async def run_within(seconds: float | None, what: str, phase: Phase, work: Awaitable[T]) -> T:
    """Return the result of some work, or cancel it after a timeout.

    Raises:
        TimeoutExpired: The timeout expired.
    """
    with anyio.move_on_after(seconds):
        return await work
    raise timeout_error(what, seconds, phase)


class AsyncDownload(Closing):
    """A download in progress. Iterate over it for the chunks; a `Restart` appears only if it may restart."""

    def __init__(self, chunks: AsyncGenerator[Chunk, None], size: Transfer | Inline | None = None) -> None:
        self._chunks = chunks
        self._size = size

    @property
    def total(self) -> int | None:
        """Total bytes, or None if the server does not report it."""
        return None if self._size is None else self._size.total

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self._chunks

    async def aclose(self) -> None:
        """Stop fetching. Idempotent."""
        await self._chunks.aclose()


class AsyncReader(Closing):
    """A reader of a file: ``async with file.open() as reader: await reader.read(100)``."""

    def __init__(self, file: AsyncRemoteFile, fetcher: Fetcher) -> None:
        self._file = file
        self._fetcher = fetcher
        self._download: AsyncDownload | None = None
        self._held = b""
        self._began = 0.0

    async def __aenter__(self) -> Self:
        self._began = time.monotonic()
        with add_elapsed(secrets=self._fetcher.secrets):
            self._download = await self._fetcher.open(self._file, self._file.url)
        return self

    async def aclose(self) -> None:
        """Stop reading. Idempotent."""
        if self._download is not None:
            await self._download.aclose()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert self._download is not None
        with add_elapsed(began=self._began, secrets=self._fetcher.secrets):
            async for chunk in cast("AsyncIterator[bytes]", self._download):
                yield chunk

    async def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, or all for -1; empty bytes at the end."""
        assert self._download is not None
        chunks = cast("AsyncIterator[bytes]", aiter(self._download))
        while size < 0 or len(self._held) < size:
            with add_elapsed(began=self._began, secrets=self._fetcher.secrets):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            self._held += chunk
        if size < 0:
            size = len(self._held)
        taken, self._held = self._held[:size], self._held[size:]
        return taken


class Fetcher(FileSource):
    """A fetcher of files with the credentials of one session."""

    _file_type = AsyncRemoteFile

    async def open(self, file: ServerFile, url: str, *, may_restart: bool = False) -> AsyncDownload:
        """Start to fetch a file from one of its URLs."""
        if file.content is not None:
            return AsyncDownload(_inline_content(file.content), Inline(len(file.content)))
        if is_playlist(url):
            return AsyncDownload(self._follow(url))
        transfer = self.transfer(url, may_restart=may_restart)
        return AsyncDownload(await self._fetch(transfer), transfer)

    async def _fetch(self, transfer: Transfer) -> AsyncGenerator[Chunk, None]:
        return self._chunks(await self._connection.run(transfer.open()), transfer)

    async def _follow(self, url: str) -> AsyncGenerator[Chunk, None]:
        """Yield the segments of a stream (5.0+) as they are made, until its playlist is complete."""
        playlist = self.playlist(url)
        while not playlist.complete:
            async with aclosing(await self._fetch(playlist.transfer())) as chunks:
                parts = [chunk async for chunk in chunks if isinstance(chunk, bytes)]
            for segment in playlist.new_segments(parts):
                async with aclosing(await self._fetch(self.transfer(segment))) as chunks:
                    async for chunk in chunks:
                        yield chunk
                playlist.heard()
            if not playlist.complete:
                await anyio.sleep(PLAYLIST_SECONDS)

    async def _chunks(self, stream: AsyncResponseStream, transfer: Transfer) -> AsyncGenerator[Chunk, None]:
        while True:
            chunks, complete = stream.chunks(), False
            try:
                if transfer.begin(stream.head):
                    yield Restart.FROM_START
                async for chunk in chunks:
                    yield transfer.take(chunk)
                transfer.complete()
                complete = True
                return
            except StreamEnded as ended:
                resumption = transfer.resume(ended.closed)
            finally:
                if not complete:
                    await _drain(stream, chunks)
                await stream.aclose()
            stream = await self._connection.run(resumption)


async def _drain(stream: AsyncResponseStream, chunks: AsyncIterator[bytes]) -> None:
    """Read an aborted stream to its end, which follows at once.

    Why not only close it: the HTTP library's generators must not stay open.
    """
    stream.abort()
    with anyio.CancelScope(shield=True), suppress(StreamEnded):
        async for _ in chunks:
            pass


async def download_files(value: Any, directory: str | Path) -> Any:
    """Return an output value with its files downloaded and replaced by paths."""
    files = cast("Iterator[AsyncRemoteFile]", find_files(value))
    with of_a_result():
        return with_paths(value, {id(file): await file.download(directory) for file in files})


async def _inline_content(content: bytes) -> AsyncGenerator[Chunk, None]:
    yield content


__all__ = ["AsyncDownload", "AsyncReader", "AsyncRemoteFile", "DownloadProgress", "Fetcher", "download_files"]
