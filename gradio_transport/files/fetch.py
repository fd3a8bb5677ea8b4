# SPDX-License-Identifier: Apache-2.0
"""Fetching files of results: redirects, playlists, and the errors of a download."""

from __future__ import annotations

from collections.abc import Generator
from urllib.parse import urlsplit

from ..errors import (
    EventTooLarge,
    FileUnavailable,
    GradioTransportError,
    Phase,
    RemoteProtocolError,
    StreamLost,
    TimeoutExpired,
    excerpt,
)
from ..protocol.commands import REDIRECTS, Closed, Ending, Request, Response
from ..protocol.refusals import refusal, wants_login
from ..protocol.urls import resolve_reference, shown_url

PLAYLIST_SECONDS = 0.5
"""How often a playlist that is still being written is asked for again."""


PLAYLIST_BYTES = 4 * 1024 * 1024


def locate(url: str, max_redirects: int) -> Generator[Request, Response, None]:
    """Yield the requests for a file: the first, and one for each redirect. Whoever sends them judges each.

    Raises:
        RemoteProtocolError: It is redirected without end, or to what is no URL.
    """
    current = url
    for _ in range(max_redirects + 1):
        # A file is wanted as it is, and its length is wanted too: no content coding.
        request = Request("GET", current, {"accept": "*/*", "accept-encoding": "identity"})
        response = yield request
        target = response.headers.get("location")
        if response.status not in REDIRECTS or not target or wants_login(response):
            return
        following = resolve_reference(current, target)
        if following is None:
            raise RemoteProtocolError(
                f"The file {shown_url(url)} is redirected to {shown_url(target)!r}, which is no URL.",
                phase=Phase.DOWNLOAD,
            )
        current = following
    raise RemoteProtocolError(
        f"The file {shown_url(url)} is redirected without end (last to {shown_url(current)}); see "
        "Limits(max_redirects=).",
        phase=Phase.DOWNLOAD,
    )


def content_length(head: Response) -> int | None:
    """Return how many bytes a reply's body has, if it says so."""
    # 18 digits are an exabyte; Python refuses to convert endless ones.
    text = head.headers.get("content-length", "")
    return int(text[:18]) if text.isdecimal() else None


def file_unavailable_error(response: Response, url: str) -> GradioTransportError:
    """Return the error for a file that was not given."""
    where = shown_url(url)
    if response.status == 429 or wants_login(response):
        return refusal(response, Phase.DOWNLOAD, what=where)
    why = {
        403: "it was not made for callers, or is gone",
        404: "it is not there (any more)",
        500: "old servers answer so for files that are not there, or not for callers",
    }.get(response.status, "that is no answer to a request for a file")
    return FileUnavailable(
        f"The server does not hand out {where}: HTTP {response.status}, {why}.{response.proxy_hint}",
        phase=Phase.DOWNLOAD,
        status=response.status,
        body=excerpt(response.body),
        retryable=response.status in (502, 503, 504),
    )


def file_too_large_error(url: str, most: int) -> EventTooLarge:
    """Return the error for a file beyond the bound."""
    return EventTooLarge(
        f"The file {shown_url(url)} has more than {most} bytes. Raise Limits(max_download_bytes=) if "
        "the server is to be trusted.",
        phase=Phase.DOWNLOAD,
    )


def download_error(url: str, closed: Closed, received: int, stall: float | None) -> GradioTransportError:
    """Return the error for a download that ended too early."""
    where = shown_url(url)
    if closed.ending is Ending.IDLE:
        return TimeoutExpired(
            f"Nothing came of {where} for {stall} s, after {received} bytes. Raise Timeouts(download_stall=) "
            "if that is to be expected.",
            setting="download_stall",
            seconds=stall,
            phase=Phase.DOWNLOAD,
            retryable=True,
        )
    return StreamLost(
        f"The download of {where} broke off after {received} bytes ({closed.reason or closed.ending.value}). "
        "Nothing was kept.",
        phase=Phase.DOWNLOAD,
        retryable=True,
    )


def whole_file_url(url: str) -> str:
    """Return where a stream of 5.0+ can be had in one piece once it is complete (docs/wire.md §10.4)."""
    parts = url.rpartition("/")
    return f"{parts[0]}/playlist-file" if parts[2].partition("?")[0] == "playlist.m3u8" else url


def is_playlist(url: str) -> bool:
    """Return whether a URL names a playlist (HLS, RFC 8216)."""
    return urlsplit(url).path.endswith(".m3u8")


def playlist_segments(text: str, url: str) -> tuple[list[str], bool]:
    """Return the segments of a playlist as absolute URLs, and whether it is complete."""
    lines = [line.strip() for line in text.splitlines()]
    named = [resolve_reference(url, line) for line in lines if line and not line.startswith("#")]
    return [segment for segment in named if segment is not None], "#EXT-X-ENDLIST" in lines
