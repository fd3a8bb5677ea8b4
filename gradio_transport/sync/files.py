# SPDX-License-Identifier: Apache-2.0
"""Files of an app's outputs, in the sync API: `RemoteFile`."""

from __future__ import annotations

import io
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

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
from ..calls.method_timeout import bounded
from ..calls.requests import add_elapsed
from ..engines.base import ResponseStream, StreamEnded
from ..engines.deadline import NEVER, Deadline
from ..errors import LocalProtocolError, Phase
from ..files.disk import PartFile
from ..files.fetch import PLAYLIST_SECONDS, is_playlist, whole_file_url
from ..files.outputs import ServerFile
from .closing import Closing

WRITE_BYTES = 128 * 1024
"""Bytes of a file that are held back before they are written, so that small pieces are written together."""


@attrs.frozen(kw_only=True, repr=False)
class RemoteFile(RemoteFileView):
    """A file that an app returned. Each method fetches it again; nothing is fetched before."""

    def read(self, *, timeout: float | None = None) -> bytes:
        """Return the full content.

        Args:
            timeout: Seconds for the whole download; None leaves only the bound on silence.

        Raises:
            FileUnavailable: The server does not serve it.
            EventTooLarge: It is larger than ``Limits(max_download_bytes=)``.
            StreamLost: The connection broke.
            TimeoutExpired: No data arrived for ``Timeouts(download_stall=)`` seconds.
        """
        with (
            add_elapsed(secrets=self._fetcher.secrets),
            bounded(timeout, f"The file {self.name}", Phase.DOWNLOAD) as deadline,
            self._fetcher.open(self, whole_file_url(self.url), deadline, may_restart=True) as download,
        ):
            parts: list[bytes] = []
            for chunk in download.chunks:
                deadline.check(Phase.DOWNLOAD)
                if isinstance(chunk, Restart):
                    parts.clear()
                else:
                    parts.append(chunk)
            return b"".join(parts)

    def open(self, *, timeout: float | None = None) -> BinaryIO:
        """Return a streaming reader of the content. Close it, or use it in a ``with`` block.

        It follows a growing file (``is_stream``) until the file is complete.

        Args:
            timeout: The longest silence in seconds, instead of ``Timeouts(download_stall=)``.

        Raises:
            GradioTransportError: See `read`; the reader raises it too.
        """
        fetcher = self._fetcher.with_stall(timeout)
        return cast("BinaryIO", io.BufferedReader(_Reader(fetcher.open(self, self.url))))

    def download(
        self,
        directory: str | Path,
        *,
        progress: DownloadProgress | None = None,
        timeout: float | None = None,
    ) -> Path:
        """Save it in a directory, and return the path.

        The file appears atomically, under its sanitized name. Another file is never overwritten; one with the
        same content is reused.

        Args:
            directory: The directory. It is created if it does not exist.
            progress: Called with the bytes received, and the total bytes or None.
            timeout: Seconds for the whole download; None leaves only the bound on silence.

        Raises:
            LocalProtocolError: The file cannot be written.
            GradioTransportError: See `read`.
        """
        with (
            add_elapsed(secrets=self._fetcher.secrets),
            bounded(timeout, f"The file {self.name}", Phase.DOWNLOAD) as deadline,
            self._fetcher.open(self, whole_file_url(self.url), deadline, may_restart=True) as download,
            PartFile(Path(directory)) as part,
        ):
            for chunk in download.chunks:
                deadline.check(Phase.DOWNLOAD)
                if isinstance(chunk, Restart):
                    part.restart()
                    continue
                if len(chunk) >= WRITE_BYTES:
                    part.write(chunk)
                elif part.add(chunk) >= WRITE_BYTES:
                    part.write()
                if progress is not None:
                    progress(part.size, download.total)
            return part.publish(self.name)


class Download(Closing):
    """A download in progress.

    Attributes:
        chunks: The content in chunks. A `Restart` appears only if it may restart.
    """

    def __init__(self, chunks: Generator[Chunk, None, None], size: Transfer | Inline | None = None) -> None:
        self.chunks = chunks
        self._size = size

    @property
    def total(self) -> int | None:
        """Total bytes, or None if the server does not report it."""
        return None if self._size is None else self._size.total

    def close(self) -> None:
        """Stop fetching. Idempotent."""
        self.chunks.close()


class _Reader(io.RawIOBase):
    def __init__(self, download: Download) -> None:
        self._chunks = download.chunks
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        while not self._held:
            chunk = next(self._chunks, None)
            if not isinstance(chunk, bytes):
                return 0
            self._held = memoryview(chunk)
        size = min(len(buffer), len(self._held))
        buffer[:size], self._held = self._held[:size], self._held[size:]
        return size

    def close(self) -> None:
        self._chunks.close()
        super().close()


class Fetcher(FileSource):
    """A fetcher of files with the credentials of one session."""

    _file_type = RemoteFile

    def open(
        self, file: ServerFile, url: str, deadline: Deadline = NEVER, *, may_restart: bool = False
    ) -> Download:
        """Start to fetch a file from one of its URLs."""
        if file.content is not None:
            return Download(_inline_content(file.content), Inline(len(file.content)))
        if is_playlist(url):
            return Download(self._add_elapsed(self._follow(url), time.monotonic()))
        began, transfer = time.monotonic(), self.transfer(url, deadline, may_restart=may_restart)
        with add_elapsed(secrets=self.secrets):
            stream = self._connection.run(transfer.open())
        return Download(self._add_elapsed(self._chunks(stream, transfer), began), transfer)

    def _add_elapsed(
        self, chunks: Generator[Chunk, None, None], began: float
    ) -> Generator[Chunk, None, None]:
        with add_elapsed(began=began, secrets=self.secrets):
            yield from chunks

    def _fetch(self, transfer: Transfer) -> Generator[bytes, None, None]:
        """Yield the chunks of a file that is passed on at once, so that it never restarts."""
        chunks = self._chunks(self._connection.run(transfer.open()), transfer)
        return cast("Generator[bytes, None, None]", chunks)

    def _follow(self, url: str) -> Generator[bytes, None, None]:
        """Yield the segments of a stream (5.0+) as they are made, until its playlist is complete."""
        playlist = self.playlist(url)
        while not playlist.complete:
            for segment in playlist.new_segments(list(self._fetch(playlist.transfer()))):
                yield from self._fetch(self.transfer(segment))
                playlist.heard()
            if not playlist.complete and self._connection.closing.wait(PLAYLIST_SECONDS):
                raise LocalProtocolError("The transport was closed.", phase=Phase.DOWNLOAD)

    def _chunks(self, stream: ResponseStream, transfer: Transfer) -> Generator[Chunk, None, None]:
        while True:
            try:
                if transfer.begin(stream.head):
                    yield Restart.FROM_START
                for chunk in stream.chunks():
                    yield transfer.take(chunk)
                transfer.complete()
                return
            except StreamEnded as ended:
                resumption = transfer.resume(ended.closed)
            finally:
                stream.close()
            stream = self._connection.run(resumption)


def download_files(value: Any, directory: str | Path) -> Any:
    """Return an output value with its files downloaded and replaced by paths."""
    files = cast("Iterator[RemoteFile]", find_files(value))
    with of_a_result():
        return with_paths(value, {id(file): file.download(directory) for file in files})


def _inline_content(content: bytes) -> Generator[Chunk, None, None]:
    yield content


__all__ = ["Download", "DownloadProgress", "Fetcher", "RemoteFile", "download_files"]
