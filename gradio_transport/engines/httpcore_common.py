# SPDX-License-Identifier: Apache-2.0
"""Shared code of the engines over httpcore: requests, errors and bodies."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import attrs

from ..errors import ConnectError, GradioTransportError
from ..protocol.commands import Closed, Ending, Request
from ..protocol.headers import check_headers
from ..protocol.urls import shown_url
from .base import Patience, StreamEnded
from .bounds import Bounds, BrokenError, LateError, Stage
from .connecting import AddressRefusedError
from .content_coding import Unpacker
from .libraries import Module, default_headers, load, load_core
from .proxies import Proxy, ProxyRefusedError, add_proxy, describe_way, refusal_error
from .replies import (
    answer_timeout,
    coding_failure,
    connect_error,
    connect_timeout,
    lost_error,
    reason,
    turn_timeout,
)
from .request_body import request_headers
from .routes import Routes

SEND_ATTEMPTS = 10
"""The most connections that are taken from the pool for one request, if each was just shut down."""

logger = logging.getLogger(__name__)


@attrs.frozen
class Target:
    """The parsed URL of a request.

    Attributes:
        url: The URL for httpcore.
        shown: The URL as a text, normalized.
        authorization: The header of the user and password in it, or None.
    """

    url: Any
    shown: str
    host: bytes
    authorization: str | None = attrs.field(repr=False)


@lru_cache(maxsize=256)  # cached, because a session requests the same few URLs, and parsing is slow
def parse_url(library: str, url: str) -> Target:
    """Return a parsed URL.

    Raises:
        ValueError: The HTTP library rejects it, for example because of an invalid host.
    """
    try:
        parsed = load(library).URL(url)
    except load(library).InvalidURL:  # its text may quote a password
        raise ValueError("it is not a URL") from None
    core_url = load_core(library).URL(
        scheme=parsed.raw_scheme, host=parsed.raw_host, port=parsed.port, target=parsed.raw_path
    )
    authorization = None
    if parsed.userinfo:
        authorization = f"Basic {b64encode(unquote_to_bytes(parsed.userinfo)).decode()}"
    return Target(core_url, str(parsed), parsed.netloc, authorization)


def build_request(
    core: Module, library: str, request: Request, timeouts: dict[str, Any], content: Any
) -> Any:
    """Return the request for httpcore, with the headers that httpx would send.

    Raises:
        LocalProtocolError: A header cannot be sent. httpcore would quote its value.

    Args:
        core: ``httpcore`` or ``httpcore2``.
        library: The httpx above it.
        request: The request.
        timeouts: The timeouts that the connection gets with each read and write.
        content: The body: bytes, or an iterable of blocks, sync or async.
    """
    check_headers(request.headers)
    target = parse_url(library, request.url)
    if logger.isEnabledFor(logging.INFO):
        logger.info("%s %s", request.method, shown_url(request.url))
    named = {**default_headers(library), **request_headers(request)}
    if target.authorization is not None and "authorization" not in named:
        named["authorization"] = target.authorization
    headers = [(name.encode("ascii"), value.encode("ascii")) for name, value in named.items()]
    if "host" not in named:
        headers.insert(0, (b"Host", target.host))
    length = len(request.body) if isinstance(request.body, bytes) else 0
    if "content-length" not in named and (length or request.method in ("POST", "PUT", "PATCH")):
        headers.append((b"Content-Length", b"%d" % length))
    return core.Request(
        request.method, target.url, headers=headers, content=content, extensions={"timeout": timeouts}
    )


def request_error(
    core: Module, error: BaseException, request: Request, patience: Patience, bounds: Bounds, routes: Routes
) -> BaseException:
    """Return the translated error before the head of a reply, or the error itself if it is foreign."""
    if isinstance(error, GradioTransportError):  # for example of the route
        return error
    proxy = routes.find(request.url).proxy
    connecting = bounds.stage is Stage.CONNECTING
    where = describe_way(request.url, proxy, reached=bounds.reached or not connecting)
    match error:
        case ProxyRefusedError():
            return refusal_error(request.url, proxy, error, patience)
        case core.ProxyError() if (refused := _read_refusal(error)) is not None:
            return refusal_error(request.url, proxy, refused, patience)
        case BrokenError(error=AddressRefusedError(address=address)):
            return patience.address_error(request.url, address)
        case LateError():
            return (connect_timeout if connecting else answer_timeout)(where, patience)
        case BrokenError() if connecting:
            return connect_error(where, error.error, patience)
        case BrokenError():
            return lost_error(where, error.error, patience, stale=bounds.is_stale)
        case core.PoolTimeout():
            return turn_timeout(where, patience)
        case core.ProxyError() | core.UnsupportedProtocol():
            return connect_error(where, error, patience)
        case core.NetworkError() | core.ProtocolError():
            return lost_error(where, error, patience, stale=bounds.is_stale)
        case OSError() | RuntimeError() if not connecting:
            return lost_error(where, error, patience)
        case OSError() | RuntimeError() | ValueError():
            return ConnectError(f"Cannot reach {where}: {reason(error)}.", phase=patience.phase)
        case _:
            return error


def _read_refusal(error: BaseException) -> ProxyRefusedError | None:
    """Return the refusal of a tunnel. httpcore keeps only its status, as a text."""
    status = str(error).partition(" ")[0]
    return ProxyRefusedError.from_status(int(status)) if status.isdecimal() else None


@contextmanager
def translate_body_errors(
    core: Module, unpacking: Unpacker | None, proxy: Proxy | None
) -> Generator[None, None, None]:
    """Translate errors of a body to `StreamEnded`, which names the proxy."""
    try:
        yield
    except GradioTransportError:  # some are also an OSError
        raise
    except LateError as error:
        ended = Closed(Ending.IDLE, reason=add_proxy("timed out", proxy))
        raise StreamEnded(coding_failure(unpacking) or ended) from error
    except (BrokenError, core.NetworkError, core.ProtocolError, OSError, RuntimeError) as error:
        ended = Closed(Ending.RESET, reason=add_proxy(reason(error), proxy))
        raise StreamEnded(coding_failure(unpacking) or ended) from error
    closed = coding_failure(unpacking)
    if closed is not None:
        raise StreamEnded(closed)
