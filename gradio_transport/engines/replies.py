# SPDX-License-Identifier: Apache-2.0
"""Handling of replies and missing replies, with the same errors for every HTTP library."""

from __future__ import annotations

import os
import socket
import ssl
from contextlib import suppress
from typing import Any

from ..errors import ConnectError, StreamLost, TimeoutExpired, TransportError
from ..protocol.commands import Closed, Ending, Request, Response
from ..protocol.urls import shown_url
from .base import Patience, total_suffix
from .content_coding import Unpacker

CHUNK_BYTES = 65536

_SMALL_BYTES = 4096

REFUSAL_BYTES = 256 * 1024
"""Bytes that are read of the body of a refusal (status 400 and above).

The reason is at its start, and a server may send any amount.
"""


def lost_error(
    where: str, error: BaseException, patience: Patience, *, sent: bool = True, stale: bool = False
) -> StreamLost:
    """Return the error for a connection that broke before a reply arrived.

    Args:
        where: The URL of the request, without its query.
        error: The exception.
        patience: Limits of the request.
        sent: Whether a part of the request may have been sent.
        stale: Whether a kept connection ended before the first byte of the reply.
    """
    return StreamLost(
        f"The connection to {where} broke before a reply arrived: {reason(error)}.",
        phase=patience.phase,
        retryable=patience.repeatable or not sent,
        stale=stale,
    )


def coding_failure(unpacking: Unpacker | None) -> Closed | None:
    """Return the end of a body whose content coding is damaged, or None."""
    failure = unpacking.failure if unpacking is not None else None
    return None if failure is None else Closed(Ending.RESET, reason=failure)


def response_head(status: int, raw: list[tuple[bytes, bytes]], url: str, proxy: object = None) -> Response:
    """Return the head of a reply in the library's type."""
    headers: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in raw:
        name = raw_name.lower().decode("latin-1")
        # ASCII, except for servers that write UTF-8 (a guess), or Latin-1, which accepts any byte.
        value = raw_value.decode("ascii") if raw_value.isascii() else _decode(raw_value)
        headers[name] = value
        if name == "set-cookie":
            cookies.append(value)
    shown = "" if proxy is None else str(proxy)
    return Response(status, headers, url=url, set_cookie=tuple(cookies), proxy=shown)


def _decode(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def incomplete_body_error(
    request: Request, patience: Patience, head: Response, closed: Closed
) -> TransportError:
    """Return the error for a reply whose body ended early."""
    if closed.ending is Ending.IDLE:
        return patience.timeout_error(request.url, status=head.status)
    return StreamLost(
        f"The reply of {shown_url(request.url)} broke off: {closed.reason}.",
        phase=patience.phase,
        status=head.status,
    )


def unpacker(head: Response, patience: Patience) -> Unpacker | None:
    """Return a decoder of a body, or None if it has no content coding.

    Raises:
        RemoteProtocolError: The coding was not requested.
    """
    if not head.codings:
        return None
    if head.unsupported_coding is not None:
        raise patience.coding_error(head.url, head)
    return Unpacker(head)


def drop_after_bytes(head: Response) -> int | None:
    """Return the number of body bytes after which a reply's connection must be dropped, or None.

    Why not reuse it: old servers close the connection after an unhandled error without announcing that, and
    a request on it would be lost (docs/wire.md §14.2). It is dropped with the last byte, before the pool can
    give it to another request.
    """
    length = head.headers.get("content-length", "")
    if head.status < 500 or "content-encoding" in head.headers or not length.isdecimal():
        return None
    return int(length[:18])


class WholeBody:
    """The body of a reply, within the bound of its request. A refusal is cut there or at `REFUSAL_BYTES`."""

    def __init__(self, request: Request, patience: Patience, head: Response) -> None:
        self._request = request
        self._patience = patience
        self._drop_after = drop_after_bytes(head)
        self._cut_after = min(REFUSAL_BYTES, patience.max_bytes) if head.status >= 400 else None
        self._parts: list[bytes | bytearray] = []
        self._size = 0

    def add(self, chunk: bytes) -> bool:
        """Add a piece, and return whether the rest is needed too.

        Raises:
            EventTooLarge: The body is larger than the bound.
        """
        self._size += len(chunk)
        # Small pieces are joined: a server may send each byte separately, which takes forty bytes of memory.
        if len(chunk) > _SMALL_BYTES:
            self._parts.append(chunk)
        elif self._parts and isinstance(self._parts[-1], bytearray):
            self._parts[-1] += chunk
        else:
            self._parts.append(bytearray(chunk))
        if self._cut_after is not None:
            return self._size < self._cut_after
        if self._size > self._patience.max_bytes:
            raise self._patience.size_error(self._request.url)
        return True

    @property
    def is_to_drop(self) -> bool:
        """Whether the connection must be dropped now; see `drop_after_bytes`."""
        return self._size == self._drop_after

    @property
    def content(self) -> bytes:
        """The body."""
        content = b"".join(self._parts)
        return content if self._cut_after is None else content[: self._cut_after]


def shut_down_socket(sock: Any) -> None:
    """Shut a socket down. Closing it would not wake a reader in another thread, and is the pool's job."""
    with suppress(OSError, ValueError):
        try:
            sock.shutdown(socket.SHUT_RDWR)
        except TypeError:  # the socket of a transport of uvloop, which only has a descriptor
            with socket.socket(fileno=os.dup(sock.fileno())) as same:
                same.shutdown(socket.SHUT_RDWR)


def connect_error(where: str, error: BaseException, patience: Patience) -> ConnectError:
    """Return the error for a failed connection. A retry does not help after a bad certificate."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    advice, is_bad_certificate = "", isinstance(cause, ssl.SSLCertVerificationError)
    if is_bad_certificate:
        advice = (
            " To trust its certificate, pass the file of its authority as verify=, or set SSL_CERT_FILE to "
            "it. verify=False skips all checks."
        )
    elif isinstance(cause, ssl.SSLError) and cause.reason in _NO_TLS:
        advice = " The server does not speak TLS there. Check whether its URL needs http://."
    return ConnectError(
        f"Cannot connect to {where}: {reason(error)}.{advice}",
        phase=patience.phase,
        retryable=False if is_bad_certificate else None,
    )


_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
"""OpenSSL's names for a reply in plain text, by version."""


def connect_timeout(where: str, patience: Patience) -> TimeoutExpired:
    """Return the error for a connection that was not made in time. Nothing was sent, so a retry is safe."""
    setting, seconds = patience.exceeded_connecting()
    return _timeout_error(f"No connection to {where}", setting, seconds, patience, retryable=True)


def turn_timeout(where: str, patience: Patience) -> TimeoutExpired:
    """Return the error for a request that waited too long for a connection of the transport."""
    return _timeout_error(f"No free connection to {where}", *patience.exceeded(), patience, retryable=True)


def answer_timeout(where: str, patience: Patience) -> TimeoutExpired:
    """Return the error for a request whose reply did not start in time."""
    return _timeout_error(f"No reply from {where}", *patience.exceeded(), patience, retryable=False)


def _timeout_error(
    what: str, setting: str, seconds: float | None, patience: Patience, *, retryable: bool
) -> TimeoutExpired:
    return TimeoutExpired(
        f"{what} within {seconds} s{total_suffix(setting)}. "
        f"Raise Timeouts({setting}=) if it may take longer.",
        setting=setting,
        seconds=seconds,
        phase=patience.phase,
        retryable=retryable or patience.repeatable,
    )


def reason(error: BaseException) -> str:
    """Return the text of an exception, or of its cause if it has none, for the middle of a sentence."""
    source: BaseException | None = error
    while source is not None and not str(source).strip():
        source = source.__cause__ or source.__context__
    return str(source).strip().rstrip(".") if source is not None else type(error).__name__
