# SPDX-License-Identifier: Apache-2.0
"""Downloads of files from an app's outputs, shared by both APIs."""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Self, TypeAlias, cast

import attrs

from ..app.credentials import Credentials
from ..engines.deadline import NEVER, Deadline
from ..errors import GradioTransportError
from ..files.fetch import (
    PLAYLIST_BYTES,
    begun_anew_error,
    content_length,
    continued_total,
    download_error,
    file_too_large_error,
    playlist_segments,
    range_validator,
)
from ..files.outputs import ServerFile
from ..policy import Timeouts
from ..protocol.commands import Closed, Ending, Request, Response
from ..protocol.known_secrets import KnownSecrets
from ..protocol.urls import resolve_reference
from .app import App
from .method_timeout import check_timeout
from .representation import describe_file
from .request_sequence import Live, Requests, file_command
from .retries import Retries
from .steps import Pause, Steps

DownloadProgress: TypeAlias = Callable[[int, int | None], object]
"""Called with the bytes received and the total bytes, or None if the server does not report it.

The bytes received start at 0 again if the download had to restart; see `RetryPolicy`.
"""


class FileSource:
    """The source of the files of one session, with its bounds.

    Args:
        connection: The sync or async connection to the app.
        credentials: Credentials of the session.
        stall: The longest silence in seconds, instead of ``Timeouts(download_stall=)``.
    """

    _file_type: ClassVar[type[Any]]

    def __init__(self, connection: Any, credentials: Credentials, stall: float | None = None) -> None:
        self._connection = connection
        self._app: App = connection.app
        self._credentials = credentials
        self._stall = stall

    def with_stall(self, seconds: float | None) -> Self:
        """Return a copy with another bound on silence, if one is given."""
        check_timeout(seconds)
        return self if seconds is None else type(self)(self._connection, self._credentials, seconds)

    @property
    def secrets(self) -> KnownSecrets:
        """The secrets of the caller."""
        return self._app.secrets

    def remote_file(self, found: ServerFile) -> Any:
        """Return a server's file as a remote file of the API, which can fetch it."""
        return self._file_type(**attrs.asdict(found, recurse=False), fetcher=self)

    @property
    def timeouts(self) -> Timeouts:
        """Time limits of its requests."""
        timeouts = self._app.options.timeouts
        return timeouts if self._stall is None else timeouts.replace(download_stall=self._stall)

    def requests(self, deadline: Deadline = NEVER) -> Requests:
        """Return the requests for its files."""
        return Requests(
            app=self._app, credentials=self._credentials, timeouts=self.timeouts, deadline=deadline
        )

    def transfer(self, url: str, deadline: Deadline = NEVER, *, may_restart: bool = False) -> Transfer:
        """Return an unopened download; see `Transfer`."""
        most = self._app.options.limits.max_download_bytes
        return Transfer(self.requests(deadline), url, most, may_restart=may_restart)

    def playlist(self, url: str) -> Playlist:
        """Return the unread playlist at a URL."""
        return Playlist(self.requests(), url)


@attrs.frozen(kw_only=True, repr=False)
class RemoteFileView(ServerFile):
    """A file that an app returned, with its source."""

    _fetcher: Any = attrs.field(alias="fetcher", eq=False)

    def __repr__(self) -> str:
        shown = describe_file(type(self).__name__, self)
        # A file without a transport has no known secrets.
        secrets: KnownSecrets | None = getattr(self._fetcher, "secrets", None)
        return shown if secrets is None else secrets.hide(shown)


class Restart(enum.Enum):
    """A marker among the chunks of a file."""

    FROM_START = enum.auto()
    """The file starts over: drop the earlier chunks."""


Chunk: TypeAlias = bytes | Restart


@attrs.frozen
class Inline:
    """A file inside the result.

    Attributes:
        total: Total bytes.
    """

    total: int


class Transfer:
    """One download: it opens the file, counts its bytes, and resumes it after a break.

    For each attempt, the API performs the steps of `open` or `resume`, calls `begin`, then `take` for each
    chunk, and `complete` at the end.

    Args:
        requests: Opens the file.
        url: URL of the file.
        most: The most bytes; None for no bound.
        may_restart: Whether it may start over after some chunks were used.

    Attributes:
        total: Total bytes, or None if the server does not report it.
    """

    def __init__(self, requests: Requests, url: str, most: int | None, *, may_restart: bool = False) -> None:
        self._requests = requests
        self._taps = requests.app.taps
        self._url = url
        self._most = most
        self._may_restart = may_restart
        self._retries = Retries(requests.app.options.retry, file_command(Request("GET", url)))
        self._received = 0
        self._validator: str | None = None
        self.total: int | None = None

    def open(self) -> Steps[Live]:
        """Return the steps that open the file.

        Raises:
            GradioTransportError: See `Requests.open_file`.
        """
        return self._requests.open_file(self._url, self._retries)

    def begin(self, head: Response) -> bool:
        """Process the head of a reply, and return whether the earlier chunks must be dropped.

        Raises:
            RemoteProtocolError: It has another part of the file than requested.
            StreamLost: It has the full file, but a part of it was already used.
        """
        if head.status == 206:
            self.total = continued_total(head, self._url, self._received, self._validator, self.total)
            return False
        had = self._received
        if had and not self._may_restart:
            raise begun_anew_error(self._url, had)
        self._retries.connected()
        self._received, self.total, self._validator = 0, content_length(head), range_validator(head)
        return had > 0

    def take(self, chunk: bytes) -> bytes:
        """Return a received chunk.

        Raises:
            EventTooLarge: The file exceeds the bound.
        """
        self._received += len(chunk)
        if self._most is not None and self._received > self._most:
            raise file_too_large_error(self._url, self._most)
        self._taps.chunk("file", chunk)
        return chunk

    def complete(self) -> None:
        """Process the clean end."""
        self._taps.end("file", Closed(Ending.CLEAN))

    def resume(self, closed: Closed) -> Steps[Live]:
        """Process an early end, and return the steps that resume the file there.

        Raises:
            StreamLost: The connection broke, and the policy allows no further attempt.
            TimeoutExpired: The same after silence.
        """
        self._taps.end("file", closed)
        stall = self._requests.timeouts.download_stall
        error = download_error(self._url, closed, self._received, stall)
        can_continue = self._validator is not None or self._may_restart or not self._received
        pause = self._retries.pause(error, self._requests.deadline.remaining) if can_continue else None
        if pause is None or not (yield Pause(pause)):
            raise error
        headers: dict[str, str] = {}
        if self._received and self._validator is not None:
            headers = {"range": f"bytes={self._received}-", "if-range": self._validator}
        return (yield from self._requests.open_file(self._url, self._retries, headers))


class Playlist:
    """The playlist of a stream (5.0+), which grows until the stream is complete.

    Attributes:
        complete: Whether the last segment is listed.
    """

    def __init__(self, requests: Requests, url: str) -> None:
        self._requests = requests
        self._url = url
        self._done = 0
        self._heard = time.monotonic()
        self.complete = False

    def transfer(self) -> Transfer:
        """Return the download of the playlist itself."""
        return Transfer(self._requests, self._url, PLAYLIST_BYTES)

    def new_segments(self, parts: list[bytes]) -> Iterator[str]:
        """Return the URLs of the new segments since the last read.

        Raises:
            EventTooLarge: It lists too many segments.
            TimeoutExpired: No segment appeared for too long.
        """
        text = b"".join(parts).decode("utf-8", "replace")
        segments, self.complete = playlist_segments(text)
        new, self._done = segments[self._done :], max(self._done, len(segments))
        stall = self._requests.timeouts.download_stall
        if not new and not self.complete and stall is not None and time.monotonic() - self._heard > stall:
            raise download_error(self._url, Closed(Ending.IDLE), self._done, stall)
        resolved = (resolve_reference(self._url, name) for name in new)
        return (url for url in resolved if url is not None)

    def heard(self) -> None:
        """Restart the wait for the next segment after one has arrived."""
        self._heard = time.monotonic()


@contextmanager
def of_a_result() -> Generator[None, None, None]:
    """Set `may_have_run` on errors of a block that fetches files of a result."""
    try:
        yield
    except GradioTransportError as error:
        error.may_have_run = True
        raise


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
