# SPDX-License-Identifier: Apache-2.0
"""Files of an app's outputs, fetched by threads: `RemoteFile`."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Generator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

import attrs

from ..app.credentials import Credentials
from ..calls.deadline import NEVER, Deadline, bounded
from ..calls.representation import describe_file
from ..calls.request_sequence import Requests
from ..calls.requests import add_elapsed
from ..engines.base import ResponseStream, StreamEnded
from ..errors import LocalProtocolError, Phase
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

DownloadProgress = Callable[[int, int | None], object]
"""Called with the bytes received and the bytes in all, None where the server does not say."""


@attrs.frozen(kw_only=True, repr=False)
class RemoteFile(ServerFile):
    """A file that an app returned. Each method fetches it anew; nothing is fetched before."""

    _fetcher: Fetcher = attrs.field(alias="fetcher", eq=False)

    def __repr__(self) -> str:
        return describe_file("RemoteFile", self)

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
        fetcher = self._fetcher if timeout is None else self._fetcher.with_stall(timeout)
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


class Download:
    """A file on its way.

    Attributes:
        total: Bytes in all, or None where the server does not say.
        chunks: The content as it comes.
    """

    def __init__(self, total: int | None, chunks: Generator[bytes, None, None]) -> None:
        self.total = total
        self.chunks = chunks

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
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

    def remote_file(self, found: ServerFile) -> RemoteFile:
        """Return a server's file as a `RemoteFile`."""
        return RemoteFile(**attrs.asdict(found, recurse=False), fetcher=self)

    def open(self, file: ServerFile, url: str, deadline: Deadline = NEVER) -> Download:
        """Begin to fetch a file from one of its URLs."""
        if file.content is not None:
            return Download(len(file.content), _inline_content(file.content))
        if is_playlist(url):
            return Download(None, _add_elapsed(self._follow(url), time.monotonic()))
        began = time.monotonic()
        with add_elapsed():
            stream = self._open(url, deadline)
        return Download(content_length(stream.head), _add_elapsed(self._chunks(stream, url), began))

    def _open(self, url: str, deadline: Deadline = NEVER) -> ResponseStream:
        requests = Requests(
            app=self._connection.app,
            credentials=self._credentials,
            timeouts=self._timeouts,
            deadline=deadline,
        )
        stream: ResponseStream = self._connection.run(requests.open_file(url))
        return stream

    def _chunks(
        self, stream: ResponseStream, url: str, most: int | None = None
    ) -> Generator[bytes, None, None]:
        most = most or self._connection.app.options.limits.max_download_bytes
        received = 0
        try:
            for chunk in stream.chunks():
                received += len(chunk)
                if most is not None and received > most:
                    raise file_too_large_error(url, most)
                self._connection.app.taps.chunk("file", chunk)
                yield chunk
            self._connection.app.taps.end("file", Closed(Ending.CLEAN))
        except StreamEnded as ended:
            self._connection.app.taps.end("file", ended.closed)
            raise download_error(url, ended.closed, received, self._timeouts.download_stall) from ended
        finally:
            stream.close()

    def _follow(self, url: str) -> Generator[bytes, None, None]:
        """Yield the segments of a stream (5.0+) as they are made, until its playlist is complete."""
        stall = self._timeouts.download_stall
        done, heard = 0, time.monotonic()
        while True:
            playlist = self._open(url)
            text = b"".join(self._chunks(playlist, url, PLAYLIST_BYTES)).decode("utf-8", "replace")
            segments, complete = playlist_segments(text, url)
            for segment in segments[done:]:
                stream = self._open(segment)
                yield from self._chunks(stream, segment)
                heard = time.monotonic()
            done = max(done, len(segments))
            if complete:
                return
            if stall is not None and time.monotonic() - heard > stall:
                raise download_error(url, Closed(Ending.IDLE), done, stall)
            if self._connection.closing.wait(PLAYLIST_SECONDS):
                raise LocalProtocolError("The transport was closed.", phase=Phase.DOWNLOAD)


def download_files(value: Any, directory: str | Path) -> Any:
    """Return an output value with its files downloaded, and in their places the paths."""
    if isinstance(value, RemoteFile):
        return value.download(directory)
    if isinstance(value, list):
        return [download_files(item, directory) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: download_files(item, directory) for key, item in cast("dict[Any, Any]", value).items()}
    return value


def _add_elapsed(chunks: Generator[bytes, None, None], began: float) -> Generator[bytes, None, None]:
    with add_elapsed(began=began):
        yield from chunks


def _inline_content(content: bytes) -> Generator[bytes, None, None]:
    yield content


__all__ = ["Download", "DownloadProgress", "Fetcher", "RemoteFile", "download_files"]
