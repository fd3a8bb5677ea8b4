# SPDX-License-Identifier: Apache-2.0
"""Files of an app's outputs, fetched by tasks: `AsyncRemoteFile`."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import anyio
import anyio.to_thread
import attrs

from ..app.credentials import Credentials
from ..calls.deadline import timeout_error
from ..calls.representation import describe_file
from ..calls.request_sequence import Requests
from ..calls.requests import add_elapsed
from ..engines.base import AsyncResponseStream, StreamEnded
from ..errors import Phase
from ..files.disk import PartFile
from ..files.fetch import (
    PLAYLIST_BYTES,
    PLAYLIST_SECONDS,
    content_length,
    download_error,
    file_too_large_error,
    is_playlist,
    playlist_segments,
    whole_file_url,
)
from ..files.outputs import ServerFile
from ..policy import Timeouts
from ..protocol.commands import Closed, Ending
from .connection import Connection

T = TypeVar("T")

WRITTEN_BYTES = 2 * 1024 * 1024
"""How much is written to disk at a time, each time in a worker thread."""

DownloadProgress = Callable[[int, int | None], object]


@attrs.frozen(kw_only=True, repr=False)
class AsyncRemoteFile(ServerFile):
    """A file that an app returned; see `gradio_transport.sync.RemoteFile`."""

    _fetcher: Fetcher = attrs.field(alias="fetcher", eq=False)

    def __repr__(self) -> str:
        return describe_file("AsyncRemoteFile", self)

    async def read(self, *, timeout: float | None = None) -> bytes:
        """Return the whole content; see `gradio_transport.sync.RemoteFile.read`."""
        with add_elapsed():
            return await run_within(timeout, f"The file {self.name}", Phase.DOWNLOAD, self._read())

    async def _read(self) -> bytes:
        async with await self._fetcher.open(self, whole_file_url(self.url)) as download:
            return b"".join([chunk async for chunk in download])

    def open(self, *, timeout: float | None = None) -> AsyncReader:
        """Return a reader of the content as it comes, to be used in an ``async with`` block.

        A file that is still being made (``is_stream``) is followed until it is complete.

        Args:
            timeout: Seconds that may pass without a byte, instead of ``Timeouts(download_stall=)``.
        """
        return AsyncReader(self, self._fetcher if timeout is None else self._fetcher.with_stall(timeout))

    async def download(
        self,
        directory: str | Path,
        *,
        progress: DownloadProgress | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Save it in a directory, and return where; see `gradio_transport.sync.RemoteFile.download`."""
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


class AsyncDownload:
    """A file on its way: iterate it for its content.

    Attributes:
        total: Bytes in all, or None where the server does not say.
    """

    def __init__(self, total: int | None, chunks: AsyncGenerator[bytes, None]) -> None:
        self.total = total
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._chunks

    async def __aenter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        """Stop fetching. Idempotent."""
        await self._chunks.aclose()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


class AsyncReader:
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

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

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


class Fetcher:
    """Fetches files with the credentials of one session."""

    def __init__(self, connection: Connection, credentials: Credentials, stall: float | None = None) -> None:
        self._connection = connection
        self._credentials = credentials
        self._stall = stall

    def with_stall(self, seconds: float) -> Fetcher:
        """Return a fetcher with another bound on silence."""
        return Fetcher(self._connection, self._credentials, seconds)

    @property
    def _timeouts(self) -> Timeouts:
        timeouts = self._connection.app.options.timeouts
        return timeouts if self._stall is None else timeouts.replace(download_stall=self._stall)

    def remote_file(self, found: ServerFile) -> AsyncRemoteFile:
        """Return a server's file as an `AsyncRemoteFile`."""
        return AsyncRemoteFile(**attrs.asdict(found, recurse=False), fetcher=self)

    async def open(self, file: ServerFile, url: str) -> AsyncDownload:
        """Begin to fetch a file from one of its URLs."""
        if file.content is not None:
            return AsyncDownload(len(file.content), _inline_content(file.content))
        if is_playlist(url):
            return AsyncDownload(None, self._follow(url))
        stream = await self._open(url)
        return AsyncDownload(content_length(stream.head), self._chunks(stream, url))

    async def _open(self, url: str) -> AsyncResponseStream:
        requests = Requests(app=self._connection.app, credentials=self._credentials, timeouts=self._timeouts)
        stream: AsyncResponseStream = await self._connection.run(requests.open_file(url))
        return stream

    async def _chunks(
        self, stream: AsyncResponseStream, url: str, most: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        most = most or self._connection.app.options.limits.max_download_bytes
        taps, received = self._connection.app.taps, 0
        chunks, complete = stream.chunks(), False
        try:
            async for chunk in chunks:
                received += len(chunk)
                if most is not None and received > most:
                    raise file_too_large_error(url, most)
                taps.chunk("file", chunk)
                yield chunk
            taps.end("file", Closed(Ending.CLEAN))
            complete = True
        except StreamEnded as ended:
            taps.end("file", ended.closed)
            raise download_error(url, ended.closed, received, self._timeouts.download_stall) from ended
        finally:
            if not complete:
                await _drain(stream, chunks)
            await stream.aclose()

    async def _follow(self, url: str) -> AsyncGenerator[bytes, None]:
        """Yield the segments of a stream (5.0+) as they are made, until its playlist is complete."""
        stall = self._timeouts.download_stall
        done, heard = 0, time.monotonic()
        while True:
            text = await self._playlist(url)
            segments, complete = playlist_segments(text, url)
            for segment in segments[done:]:
                stream = await self._open(segment)
                async with aclosing(self._chunks(stream, segment)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                heard = time.monotonic()
            done = max(done, len(segments))
            if complete:
                return
            if stall is not None and time.monotonic() - heard > stall:
                raise download_error(url, Closed(Ending.IDLE), done, stall)
            await anyio.sleep(PLAYLIST_SECONDS)

    async def _playlist(self, url: str) -> str:
        stream = await self._open(url)
        async with aclosing(self._chunks(stream, url, PLAYLIST_BYTES)) as chunks:
            return b"".join([chunk async for chunk in chunks]).decode("utf-8", "replace")


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
    if isinstance(value, AsyncRemoteFile):
        return await value.download(directory)
    if isinstance(value, list):
        return [await download_files(item, directory) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        items = cast("dict[Any, Any]", value).items()
        return {key: await download_files(item, directory) for key, item in items}
    return value


async def _inline_content(content: bytes) -> AsyncGenerator[bytes, None]:
    yield content


__all__ = ["AsyncDownload", "AsyncReader", "AsyncRemoteFile", "DownloadProgress", "Fetcher", "download_files"]
