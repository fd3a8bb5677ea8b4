# SPDX-License-Identifier: Apache-2.0
"""Requests, errors and bodies: what the sync and the async engine over httpcore share."""

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
from .base import Patience, StreamEnded
from .bounds import Bounds, BrokenError, LateError, Stage
from .content_coding import Unpacker
from .libraries import Module, default_headers, load, load_core
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

SEND_ATTEMPTS = 10
"""Connections taken from the pool for one request, if each was shut down just before."""

logger = logging.getLogger(__name__)


@attrs.frozen
class Target:
    """What a URL says of a request.

    Attributes:
        url: The URL as httpcore takes it.
        shown: The URL as a text, normalized.
        authorization: The header of the user and password in it, or None.
    """

    url: Any
    shown: str
    host: bytes
    authorization: str | None


@lru_cache(maxsize=256)  # a session requests the same few URLs again and again, and parsing them is slow
def parse_url(library: str, url: str) -> Target:
    """Return what a URL says.

    Raises:
        Exception: The ``InvalidURL`` of the library.
    """
    parsed = load(library).URL(url)
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
    """Return the request of httpcore, with the headers that httpx would send.

    Args:
        core: ``httpcore`` or ``httpcore2``.
        library: The httpx above it.
        request: The request.
        timeouts: What the connection is given with each read and write.
        content: The body: bytes, or an iterable of blocks, sync or async.
    """
    target = parse_url(library, request.url)
    logger.info("%s %s", request.method, request.url.partition("?")[0])
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
    core: Module, error: BaseException, request: Request, patience: Patience, bounds: Bounds
) -> BaseException:
    """Return our error for one that came before the head of a reply, or the same if it is neither's."""
    where = request.url.partition("?")[0]
    connecting = bounds.stage is Stage.CONNECTING
    match error:
        case GradioTransportError():
            return error
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


@contextmanager
def translate_body_errors(core: Module, unpacking: Unpacker | None) -> Generator[None, None, None]:
    """Turn what ends a body otherwise than cleanly into `StreamEnded`."""
    try:
        yield
    except LateError as error:
        raise StreamEnded(coding_failure(unpacking) or Closed(Ending.IDLE, reason="timed out")) from error
    except (BrokenError, core.NetworkError, core.ProtocolError, OSError, RuntimeError) as error:
        raise StreamEnded(coding_failure(unpacking) or Closed(Ending.RESET, reason=reason(error))) from error
    closed = coding_failure(unpacking)
    if closed is not None:
        raise StreamEnded(closed)
