# SPDX-License-Identifier: Apache-2.0
"""Files of an app's outputs, fetched by threads: `RemoteFile`."""

from __future__ import annotations

import io
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import attrs

from ..calls.downloads import (
    DownloadProgress,
    FileSource,
    Meter,
    RemoteFileView,
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
from ..files.fetch import PLAYLIST_SECONDS, content_length, is_playlist, whole_file_url
from ..files.outputs import ServerFile
from ..protocol.commands import Closed, Ending
from .closing import Closing


@attrs.frozen(kw_only=True, repr=False)
class RemoteFile(RemoteFileView):
    """A file that an app returned. Each method fetches it anew; nothing is fetched before."""

    def read(self, *, timeout: float | None = None) -> bytes:
        """Return the whole content.

        Args:
            timeout: Seconds for all of it; None leaves only the bound on silence.

        Raises:
            FileUnavailable: The server does not hand it out.
            EventTooLarge: It is larger than ``Limits(max_download_bytes=)``.
            StreamLost: The connection broke.
            TimeoutExpired: Nothing came for ``Timeouts(download_stall=)`` seconds.
        """
        with (
            add_elapsed(),
            bounded(timeout, f"The file {self.name}", Phase.DOWNLOAD) as deadline,
            self._fetcher.open(self, whole_file_url(self.url), deadline) as download,
        ):
            parts: list[bytes] = []
            for chunk in download.chunks:
                deadline.check(Phase.DOWNLOAD)
                parts.append(chunk)
            return b"".join(parts)

    def open(self, *, timeout: float | None = None) -> BinaryIO:
        """Return a reader of the content as it comes; close it, or use it in a ``with`` block.

        A file that is still being made (``is_stream``) is followed until it is complete.

        Args:
            timeout: Seconds that may pass without a byte, instead of ``Timeouts(download_stall=)``.

        Raises:
            GradioTransportError: See `read`; also while it is being read.
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
        """Save it in a directory, and return where.

        It appears there whole or not at all, under its own name made safe. Another file is never
        overwritten, and one of the same content is used again.

        Args:
            directory: Made if it is not there.
            progress: Called with the bytes received, and the bytes in all where the server says so.
            timeout: Seconds for all of it; None leaves only the bound on silence.

        Raises:
            LocalProtocolError: It cannot be written there.
            GradioTransportError: See `read`.
        """
        with (
            add_elapsed(),
            bounded(timeout, f"The file {self.name}", Phase.DOWNLOAD) as deadline,
            self._fetcher.open(self, whole_file_url(self.url), deadline) as download,
            PartFile(Path(directory)) as part,
        ):
            for chunk in download.chunks:
                deadline.check(Phase.DOWNLOAD)
                part.write(chunk)
                if progress is not None:
                    progress(part.size, download.total)
            return part.publish(self.name)


class Download(Closing):
    """A file on its way.

    Attributes:
        total: Bytes in all, or None where the server does not say.
        chunks: The content as it comes.
    """

    def __init__(self, total: int | None, chunks: Generator[bytes, None, None]) -> None:
        self.total = total
        self.chunks = chunks

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
            if chunk is None:
                return 0
            self._held = memoryview(chunk)
        size = min(len(buffer), len(self._held))
        buffer[:size], self._held = self._held[:size], self._held[size:]
        return size

    def close(self) -> None:
        self._chunks.close()
        super().close()


class Fetcher(FileSource):
    """Fetches files with the credentials of one session."""

    _file_type = RemoteFile

    def open(self, file: ServerFile, url: str, deadline: Deadline = NEVER) -> Download:
        """Begin to fetch a file from one of its URLs."""
        if file.content is not None:
            return Download(len(file.content), _inline_content(file.content))
        if is_playlist(url):
            return Download(None, _add_elapsed(self._follow(url), time.monotonic()))
        began = time.monotonic()
        with add_elapsed():
            stream = self._open(url, deadline)
        return Download(content_length(stream.head), _add_elapsed(_chunks(stream, self.meter(url)), began))

    def _open(self, url: str, deadline: Deadline = NEVER) -> ResponseStream:
        stream: ResponseStream = self._connection.run(self.requests(deadline).open_file(url))
        return stream

    def _follow(self, url: str) -> Generator[bytes, None, None]:
        """Yield the segments of a stream (5.0+) as they are made, until its playlist is complete."""
        playlist = self.playlist(url)
        while not playlist.complete:
            for segment in playlist.new_segments(list(_chunks(self._open(url), playlist.meter()))):
                yield from _chunks(self._open(segment), self.meter(segment))
                playlist.heard()
            if not playlist.complete and self._connection.closing.wait(PLAYLIST_SECONDS):
                raise LocalProtocolError("The transport was closed.", phase=Phase.DOWNLOAD)


def _chunks(stream: ResponseStream, meter: Meter) -> Generator[bytes, None, None]:
    try:
        for chunk in stream.chunks():
            yield meter.take(chunk)
        meter.end(Closed(Ending.CLEAN))
    except StreamEnded as ended:
        meter.end(ended.closed)
    finally:
        stream.close()


def download_files(value: Any, directory: str | Path) -> Any:
    """Return an output value with its files downloaded, and in their places the paths."""
    files = cast("Iterator[RemoteFile]", find_files(value))
    with of_a_result():
        return with_paths(value, {id(file): file.download(directory) for file in files})


def _add_elapsed(chunks: Generator[bytes, None, None], began: float) -> Generator[bytes, None, None]:
    with add_elapsed(began=began):
        yield from chunks


def _inline_content(content: bytes) -> Generator[bytes, None, None]:
    yield content


__all__ = ["Download", "DownloadProgress", "Fetcher", "RemoteFile", "download_files"]
