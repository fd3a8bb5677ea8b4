# SPDX-License-Identifier: Apache-2.0
"""Files of an app's outputs, fetched by tasks: `AsyncRemoteFile`."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import anyio
import anyio.to_thread
import attrs

from ..calls.downloads import DownloadProgress, FileSource, Meter, RemoteFileView, find_files, with_paths
from ..calls.method_timeout import check_timeout, timeout_error
from ..calls.requests import add_elapsed
from ..engines.base import AsyncResponseStream, StreamEnded
from ..errors import Phase
from ..files.disk import PartFile
from ..files.fetch import PLAYLIST_SECONDS, content_length, is_playlist, whole_file_url
from ..files.outputs import ServerFile
from ..protocol.commands import Closed, Ending
from .closing import Closing

T = TypeVar("T")

WRITTEN_BYTES = 2 * 1024 * 1024
"""How much is written to disk at a time, each time in a worker thread."""


@attrs.frozen(kw_only=True, repr=False)
class AsyncRemoteFile(RemoteFileView):
    """A file that an app returned; see `gradio_transport.sync.RemoteFile`."""

    async def read(self, *, timeout: float | None = None) -> bytes:
        """Return the whole content; see `gradio_transport.sync.RemoteFile.read`."""
        check_timeout(timeout)
        with add_elapsed():
            return await run_within(timeout, f"The file {self.name}", Phase.DOWNLOAD, self._read())

    async def _read(self) -> bytes:
        async with await self._fetcher.open(self, whole_file_url(self.url)) as download:
            return b"".join([chunk async for chunk in download])

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
        """Save it in a directory, and return where; see `gradio_transport.sync.RemoteFile.download`."""
        check_timeout(timeout)
        work = self._download(Path(directory), progress)
        with add_elapsed():
            return await run_within(timeout, f"The file {self.name}", Phase.DOWNLOAD, work)

    async def _download(self, directory: Path, progress: DownloadProgress | None) -> Path:
        async with await self._fetcher.open(self, whole_file_url(self.url)) as download:
            with await anyio.to_thread.run_sync(PartFile, directory) as part:
                held: list[bytes] = []
                received = written = 0
                async for chunk in download:
                    held.append(chunk)
                    received += len(chunk)
                    if received - written >= WRITTEN_BYTES:
                        await anyio.to_thread.run_sync(part.write, *held)
                        held, written = [], received
                    if progress is not None:
                        progress(received, download.total)
                await anyio.to_thread.run_sync(part.write, *held)
                return await anyio.to_thread.run_sync(part.publish, self.name)


async def run_within(seconds: float | None, what: str, phase: Phase, work: Awaitable[T]) -> T:
    """Return the result of some work, or cancel it after some seconds.

    Raises:
        TimeoutExpired: They are over.
    """
    with anyio.move_on_after(seconds):
        return await work
    raise timeout_error(what, seconds, phase)


class AsyncDownload(Closing):
    """A file on its way: iterate it for its content.

    Attributes:
        total: Bytes in all, or None where the server does not say.
    """

    def __init__(self, total: int | None, chunks: AsyncGenerator[bytes, None]) -> None:
        self.total = total
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def aclose(self) -> None:
        """Stop fetching. Idempotent."""
        await self._chunks.aclose()


class AsyncReader(Closing):
    """Reads a file as it comes: ``async with file.open() as reader: await reader.read(100)``."""

    def __init__(self, file: AsyncRemoteFile, fetcher: Fetcher) -> None:
        self._file = file
        self._fetcher = fetcher
        self._download: AsyncDownload | None = None
        self._held = b""
        self._began = 0.0

    async def __aenter__(self) -> Self:
        self._began = time.monotonic()
        with add_elapsed():
            self._download = await self._fetcher.open(self._file, self._file.url)
        return self

    async def aclose(self) -> None:
        """Stop reading. Idempotent."""
        if self._download is not None:
            await self._download.aclose()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert self._download is not None
        with add_elapsed(began=self._began):
            async for chunk in self._download:
                yield chunk

    async def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, all there are for -1; nothing at the end."""
        assert self._download is not None
        chunks = aiter(self._download)
        while size < 0 or len(self._held) < size:
            with add_elapsed(began=self._began):
                chunk = await anext(chunks, None)
            if chunk is None:
                break
            self._held += chunk
        if size < 0:
            size = len(self._held)
        taken, self._held = self._held[:size], self._held[size:]
        return taken


class Fetcher(FileSource):
    """Fetches files with the credentials of one session."""

    _file_type = AsyncRemoteFile

    async def open(self, file: ServerFile, url: str) -> AsyncDownload:
        """Begin to fetch a file from one of its URLs."""
        if file.content is not None:
            return AsyncDownload(len(file.content), _inline_content(file.content))
        if is_playlist(url):
            return AsyncDownload(None, self._follow(url))
        stream = await self._open(url)
        return AsyncDownload(content_length(stream.head), _chunks(stream, self.meter(url)))

    async def _open(self, url: str) -> AsyncResponseStream:
        stream: AsyncResponseStream = await self._connection.run(self.requests().open_file(url))
        return stream

    async def _follow(self, url: str) -> AsyncGenerator[bytes, None]:
        """Yield the segments of a stream (5.0+) as they are made, until its playlist is complete."""
        playlist = self.playlist(url)
        while not playlist.complete:
            async with aclosing(_chunks(await self._open(url), playlist.meter())) as chunks:
                parts = [chunk async for chunk in chunks]
            for segment in playlist.new_segments(parts):
                async with aclosing(_chunks(await self._open(segment), self.meter(segment))) as chunks:
                    async for chunk in chunks:
                        yield chunk
                playlist.heard()
            if not playlist.complete:
                await anyio.sleep(PLAYLIST_SECONDS)


async def _chunks(stream: AsyncResponseStream, meter: Meter) -> AsyncGenerator[bytes, None]:
    chunks, complete = stream.chunks(), False
    try:
        async for chunk in chunks:
            yield meter.take(chunk)
        meter.end(Closed(Ending.CLEAN))
        complete = True
    except StreamEnded as ended:
        meter.end(ended.closed)
    finally:
        if not complete:
            await _drain(stream, chunks)
        await stream.aclose()


async def _drain(stream: AsyncResponseStream, chunks: AsyncIterator[bytes]) -> None:
    """Read an aborted stream to its end, which then comes at once.

    Why not just close it: the HTTP library's generators must not be left open.
    """
    stream.abort()
    with anyio.CancelScope(shield=True), suppress(StreamEnded):
        async for _ in chunks:
            pass


async def download_files(value: Any, directory: str | Path) -> Any:
    """Return an output value with its files downloaded, and in their places the paths."""
    files = cast("Iterator[AsyncRemoteFile]", find_files(value))
    return with_paths(value, {id(file): await file.download(directory) for file in files})


async def _inline_content(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


__all__ = ["AsyncDownload", "AsyncReader", "AsyncRemoteFile", "DownloadProgress", "Fetcher", "download_files"]
