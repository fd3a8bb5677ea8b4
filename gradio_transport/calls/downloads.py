# SPDX-License-Identifier: Apache-2.0
"""What both faces decide alike about the files of an app's outputs, while they come."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Self, TypeAlias, cast

import attrs

from ..app.credentials import Credentials
from ..engines.deadline import NEVER, Deadline
from ..files.fetch import (
    PLAYLIST_BYTES,
    download_error,
    file_too_large_error,
    playlist_segments,
)
from ..files.outputs import ServerFile
from ..policy import Timeouts
from ..protocol.commands import Closed, Ending
from .app import App
from .method_timeout import check_timeout
from .representation import describe_file
from .request_sequence import Requests

DownloadProgress: TypeAlias = Callable[[int, int | None], object]
"""Called with the bytes received and the bytes in all, None where the server does not say."""


class FileSource:
    """Where the files of one session come from, and within which bounds.

    Args:
        connection: Of a face, to the app.
        credentials: Of the session.
        stall: Seconds that may pass without a byte, instead of ``Timeouts(download_stall=)``.
    """

    _file_type: ClassVar[type[Any]]

    def __init__(self, connection: Any, credentials: Credentials, stall: float | None = None) -> None:
        self._connection = connection
        self._app: App = connection.app
        self._credentials = credentials
        self._stall = stall

    def with_stall(self, seconds: float | None) -> Self:
        """Return the same with another bound on silence, if there is one."""
        check_timeout(seconds)
        return self if seconds is None else type(self)(self._connection, self._credentials, seconds)

    def remote_file(self, found: ServerFile) -> Any:
        """Return a server's file as one of the face, which can fetch it."""
        return self._file_type(**attrs.asdict(found, recurse=False), fetcher=self)

    @property
    def timeouts(self) -> Timeouts:
        """Bounds of its requests."""
        timeouts = self._app.options.timeouts
        return timeouts if self._stall is None else timeouts.replace(download_stall=self._stall)

    def requests(self, deadline: Deadline = NEVER) -> Requests:
        """Return the requests for its files."""
        return Requests(
            app=self._app, credentials=self._credentials, timeouts=self.timeouts, deadline=deadline
        )

    def meter(self, url: str) -> Meter:
        """Return what counts the bytes of a file."""
        return Meter(self._app, url, self._app.options.limits.max_download_bytes, self.timeouts)

    def playlist(self, url: str) -> Playlist:
        """Return the playlist at a URL, nothing of it read yet."""
        return Playlist(self._app, url, self.timeouts)


@attrs.frozen(kw_only=True, repr=False)
class RemoteFileView(ServerFile):
    """A file that an app returned, and where it is fetched from."""

    _fetcher: Any = attrs.field(alias="fetcher", eq=False)

    def __repr__(self) -> str:
        return describe_file(type(self).__name__, self)


class Meter:
    """Counts the bytes of a file as they come, shows them to the taps, and says how they ended."""

    def __init__(self, app: App, url: str, most: int | None, timeouts: Timeouts) -> None:
        self._taps = app.taps
        self._url = url
        self._most = most
        self._stall = timeouts.download_stall
        self._received = 0

    def take(self, chunk: bytes) -> bytes:
        """Return a chunk that has come.

        Raises:
            EventTooLarge: It goes beyond the bound.
        """
        self._received += len(chunk)
        if self._most is not None and self._received > self._most:
            raise file_too_large_error(self._url, self._most)
        self._taps.chunk("file", chunk)
        return chunk

    def end(self, closed: Closed) -> None:
        """Take the end.

        Raises:
            StreamLost: It came too early.
            TimeoutExpired: It was silence.
        """
        self._taps.end("file", closed)
        if closed.ending is not Ending.CLEAN:
            raise download_error(self._url, closed, self._received, self._stall)


class Playlist:
    """The playlist of a stream (5.0+), which grows until the stream is complete.

    Attributes:
        complete: Whether no further segment will come.
    """

    def __init__(self, app: App, url: str, timeouts: Timeouts) -> None:
        self._app = app
        self._url = url
        self._timeouts = timeouts
        self._done = 0
        self._heard = time.monotonic()
        self.complete = False

    def meter(self) -> Meter:
        """Return what counts its own bytes."""
        return Meter(self._app, self._url, PLAYLIST_BYTES, self._timeouts)

    def new_segments(self, parts: list[bytes]) -> list[str]:
        """Return the URLs of the segments that have come since it was read the last time.

        Raises:
            TimeoutExpired: No segment has come for too long.
        """
        text = b"".join(parts).decode("utf-8", "replace")
        segments, self.complete = playlist_segments(text, self._url)
        new, self._done = segments[self._done :], max(self._done, len(segments))
        stall = self._timeouts.download_stall
        if not new and not self.complete and stall is not None and time.monotonic() - self._heard > stall:
            raise download_error(self._url, Closed(Ending.IDLE), self._done, stall)
        return new

    def heard(self) -> None:
        """Begin to wait for the next segment: one has come."""
        self._heard = time.monotonic()


def find_files(value: Any) -> Iterator[ServerFile]:
    """Yield the files of an output value."""
    if isinstance(value, ServerFile):
        yield value
    elif isinstance(value, list):
        for item in cast("list[Any]", value):
            yield from find_files(item)
    elif isinstance(value, dict):
        for item in cast("dict[Any, Any]", value).values():
            yield from find_files(item)


def with_paths(value: Any, paths: Mapping[int, Any]) -> Any:
    """Return an output value with paths instead of its files, by the files' ``id``."""
    if isinstance(value, ServerFile):
        return paths[id(value)]
    if isinstance(value, list):
        return [with_paths(item, paths) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: with_paths(item, paths) for key, item in cast("dict[Any, Any]", value).items()}
    return value
