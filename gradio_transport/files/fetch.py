# SPDX-License-Identifier: Apache-2.0
"""Downloads of files in results: redirects, playlists, and errors."""

from __future__ import annotations

import io
import re
from collections.abc import Generator
from datetime import timedelta
from email.utils import parsedate_to_datetime
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
from ..protocol.access import wants_login
from ..protocol.commands import REDIRECTS, Closed, Ending, Request, Response
from ..protocol.reach import TEMPORARY
from ..protocol.refusals import refusal
from ..protocol.urls import resolve_reference, shown_url

PLAYLIST_SECONDS = 0.5
"""Seconds between two requests for a growing playlist."""


PLAYLIST_BYTES = 4 * 1024 * 1024

PLAYLIST_SEGMENTS = 50_000
"""Gradio's segments are one second or longer."""


def locate(url: str, max_redirects: int, phase: Phase = Phase.DOWNLOAD) -> Generator[Request, Response, None]:
    """Yield the requests for a file: the first, and one for each redirect. The sender checks each.

    Raises:
        RemoteProtocolError: It is redirected endlessly, to a URL other than http(s), or from TLS to plain
            http.
    """
    current = url
    for _ in range(max_redirects + 1):
        # No content coding, because the file must arrive unchanged and with its length.
        request = Request("GET", current, {"accept": "*/*", "accept-encoding": "identity"})
        response = yield request
        target = response.headers.get("location")
        if response.status not in REDIRECTS or not target or wants_login(response):
            return
        following = resolve_reference(current, target)
        problem = _redirect_problem(current, following)
        if following is None or problem:
            shown = shown_url(following or target)
            raise RemoteProtocolError(
                f"The file {shown_url(url)} is redirected to {shown!r}, which {problem}.", phase=phase
            )
        current = following
    raise RemoteProtocolError(
        f"The file {shown_url(url)} is redirected endlessly (last to {shown_url(current)}); see "
        "Limits(max_redirects=).",
        phase=phase,
    )


def _redirect_problem(current: str, following: str | None) -> str:
    """Return why a redirect is not followed, or an empty string."""
    scheme = urlsplit(following or "").scheme
    if scheme not in ("http", "https"):
        return "is not a URL" if following is None else "is not http(s)"
    if scheme == "http" and urlsplit(current).scheme == "https":
        return "drops the TLS of the previous URL"
    return ""


def content_length(head: Response) -> int | None:
    """Return the number of bytes of a reply's body, or None."""
    # 18 digits are an exabyte; Python refuses to convert very long numbers.
    text = head.headers.get("content-length", "")
    return int(text[:18]) if text.isdecimal() else None


_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)


def range_validator(head: Response) -> str | None:
    """Return the ``If-Range`` validator of a file, or None.

    It is a strong entity tag, or a modification date before the date of the reply (RFC 9110 §8.8.2.2 and
    §13.1.5). A file with a content coding has none, because its bytes differ from the decoded ones.
    """
    headers = head.headers
    if head.codings or headers.get("accept-ranges", "").strip().lower() == "none":
        return None
    tag = headers.get("etag", "").strip()
    if tag:
        return tag if re.fullmatch(r'"[\x21\x23-\x7e]*"', tag) else None
    changed, sent = headers.get("last-modified", "").strip(), headers.get("date", "")
    try:
        is_strong = parsedate_to_datetime(sent) - parsedate_to_datetime(changed) >= timedelta(seconds=1)
    except (TypeError, ValueError, OverflowError):  # one of them is missing or not a date
        return None
    return changed if is_strong and changed.isascii() and changed.isprintable() else None


def continued_total(
    head: Response, url: str, received: int, validator: str | None, total: int | None
) -> int | None:
    """Return the total bytes of a file, by the head of a reply with the rest of it (206).

    Raises:
        RemoteProtocolError: It is not the rest of that file.
    """
    found = _CONTENT_RANGE.fullmatch(head.headers.get("content-range", "").strip())
    if found is not None and not head.codings:
        first, last = int(found[1]), int(found[2])
        whole = total if found[3] == "*" else int(found[3])
        tag = head.headers.get("etag", "").strip()
        is_another = bool(tag) and (validator or "").startswith('"') and tag != validator
        if first == received and not is_another and total in (None, whole) and whole in (None, last + 1):
            return whole
    raise RemoteProtocolError(
        f"The client requested {url.partition('?')[0]} from byte {received} on, but the server sent another "
        f"part (Content-Range: {excerpt(head.headers.get('content-range', 'none'))!r}).",
        phase=Phase.DOWNLOAD,
        status=head.status,
    )


def begun_anew_error(url: str, received: int) -> StreamLost:
    """Return the error for a download that broke off and that the server cannot resume."""
    return StreamLost(
        f"The download of {url.partition('?')[0]} broke off after {received} bytes, which were already "
        f"read, and the server only sends the file from the start: it has changed, or the server does not "
        f"support parts. Read it again.",
        phase=Phase.DOWNLOAD,
        retryable=True,
    )


def file_unavailable_error(response: Response, url: str) -> GradioTransportError:
    """Return the error for a file that the server did not send."""
    where = shown_url(url)
    if response.status == 429 or wants_login(response):
        return refusal(response, Phase.DOWNLOAD, what=where)
    why = {
        403: "it is not public, or is gone",
        404: "it does not exist (any more)",
        500: "old servers send this for files that do not exist or are not public",
    }.get(response.status, "that is not a reply to a request for a file")
    return FileUnavailable(
        f"The server does not serve {where}: HTTP {response.status}, {why}.{response.proxy_hint}",
        phase=Phase.DOWNLOAD,
        status=response.status,
        body=excerpt(response.body),
        retryable=response.status in TEMPORARY,
    )


def file_too_large_error(url: str, most: int) -> EventTooLarge:
    """Return the error for a file that exceeds the bound."""
    return EventTooLarge(
        f"The file {shown_url(url)} has more than {most} bytes. Raise Limits(max_download_bytes=) if "
        "you trust the server.",
        phase=Phase.DOWNLOAD,
    )


def download_error(
    url: str, closed: Closed, received: int, stall: float | None
) -> TimeoutExpired | StreamLost:
    """Return the error for a download that ended too early."""
    where = shown_url(url)
    if closed.ending is Ending.IDLE:
        return TimeoutExpired(
            f"No data of {where} arrived for {stall} s, after {received} bytes. Raise "
            f"Timeouts(download_stall=) if you expect that.",
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
    """Return the URL of the full file of a complete stream of 5.0+ (docs/wire.md §10.4)."""
    parts = url.rpartition("/")
    return f"{parts[0]}/playlist-file" if parts[2].partition("?")[0] == "playlist.m3u8" else url


def is_playlist(url: str) -> bool:
    """Return whether a URL names a playlist (HLS, RFC 8216)."""
    return urlsplit(url).path.endswith(".m3u8")


def playlist_segments(text: str) -> tuple[list[str], bool]:
    """Return the segments that a playlist lists, and whether it is complete.

    Raises:
        EventTooLarge: It lists more than `PLAYLIST_SEGMENTS`.
    """
    named: list[str] = []
    is_complete = False
    for line in map(str.strip, io.StringIO(text)):
        if not line or line.startswith("#"):
            is_complete = is_complete or line == "#EXT-X-ENDLIST"
        elif len(named) < PLAYLIST_SEGMENTS:
            named.append(line)
        else:
            raise EventTooLarge(
                f"The playlist of the stream lists more than {PLAYLIST_SEGMENTS:,} segments, which is the "
                "limit.",
                phase=Phase.DOWNLOAD,
            )
    return named, is_complete
