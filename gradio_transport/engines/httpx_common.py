# SPDX-License-Identifier: Apache-2.0
"""TLS contexts, routes, requests, errors and shutdown: what the sync and the async engine over httpx share.

Written to the common subset of httpx and httpx2. Their types are unrelated, so the module is a parameter.
"""

from __future__ import annotations

import importlib
import logging
import socket
import ssl
import sys
import weakref
from base64 import b64encode
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

import attrs

from ..errors import (
    ConnectError,
    GradioTransportError,
    StreamLost,
    TimeoutExpired,
    TransportError,
    UnsupportedProtocol,
)
from ..protocol.commands import Closed, Ending, Request, Response
from .base import Patience, StreamEnded, total_suffix
from .content_coding import ACCEPTED, Unpacker
from .request_body import request_headers
from .settings import HTTPSettings

Module: TypeAlias = Any
"""``httpx`` or ``httpx2``."""


logger = logging.getLogger(__name__)


CHUNK_BYTES = 65536


KEPT_ALIVE_SECONDS = 4.0
"""Below the 5 s after which uvicorn, and so every Gradio, closes an idle connection."""


def load(library: str) -> Module:
    """Import the HTTP library.

    Raises:
        UnsupportedProtocol: It is not installed; the message names the extra.
    """
    try:
        return importlib.import_module(library)
    except ImportError:
        raise UnsupportedProtocol(
            f"The engine {library!r} is not installed: pip install 'gradio-transport[{library}]'."
        ) from None


@lru_cache(maxsize=8)
def _default_context(library: str) -> ssl.SSLContext:
    # Loading the CA bundle costs some 40 ms of CPU, so all transports of a process share the result.
    context: ssl.SSLContext = load(library).create_ssl_context()
    return context


@lru_cache(maxsize=1)
def _context_without_trust() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def ssl_context(settings: HTTPSettings, scheme: str) -> ssl.SSLContext:
    """Return the TLS context for a scheme; for plain http one without CAs, which costs nothing to make."""
    if isinstance(settings.verify, ssl.SSLContext):
        return settings.verify
    if settings.verify is False:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    if scheme != "https":
        return _context_without_trust()
    if isinstance(settings.verify, str):
        return ssl.create_default_context(cafile=settings.verify)
    return _default_context(settings.library)


def transport_options(module: Module, settings: HTTPSettings, route: Route) -> dict[str, Any]:
    """Return the keyword arguments of a transport, which is a client's pool of connections.

    Why no client around the pools: it adds a third to the cost of a request (merged URLs and headers, a
    cookie jar, redirects, hooks), and nothing of that is needed.
    """
    limits = module.Limits(
        max_connections=settings.connections,
        max_keepalive_connections=settings.connections,
        keepalive_expiry=KEPT_ALIVE_SECONDS,
    )
    return {"verify": ssl_context(settings, route.scheme), "proxy": route.proxy, "limits": limits}


@attrs.frozen
class Route:
    """How an origin is reached.

    Attributes:
        proxy: URL of the proxy, or None.
    """

    scheme: str
    proxy: str | None


class Routes:
    """The routes to origins, each read once from the settings and the environment, when first used."""

    def __init__(self, settings: HTTPSettings) -> None:
        self._settings = settings
        self._found: dict[str, Route] = {}

    def find(self, url: str) -> Route:
        """Return the route to a URL."""
        origin = "/".join(url.split("/", 3)[:3])
        route = self._found.get(origin)
        if route is None:
            parts = urlsplit(url)
            scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
            proxy = self._settings.proxy or _environment_proxy(scheme, parts.hostname or "")
            route = self._found[origin] = Route(scheme, proxy)
        return route


def _environment_proxy(scheme: str, host: str) -> str | None:
    proxies = getproxies()
    if not proxies or proxy_bypass(host):
        return None
    proxy = proxies.get(scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


@lru_cache(maxsize=8)
def _default_headers(module: Module) -> dict[str, str]:
    """Return the default headers of the library's client, with the content codings that we decode."""
    with module.Client(transport=module.BaseTransport()) as client:
        defaults = {str(name).lower(): str(value) for name, value in client.headers.items()}
    return {**defaults, "accept-encoding": ACCEPTED}


@lru_cache(maxsize=256)  # a session requests the same few URLs again and again, and parsing them is slow
def _parse_url(module: Module, url: str) -> Any:
    return module.URL(url)


def build_request(module: Module, request: Request, patience: Patience, body: Any, **extensions: Any) -> Any:
    """Return the library's request. Its timeouts bound the wait for a free connection too."""
    seconds = patience.wait_seconds
    timeout = {"connect": patience.connect, "read": seconds, "write": seconds, "pool": seconds}
    url = _parse_url(module, request.url)
    logger.info("%s %s", request.method, request.url.partition("?")[0])
    headers = {**_default_headers(module), **request_headers(request)}
    if url.userinfo and "authorization" not in headers:
        headers["authorization"] = f"Basic {b64encode(unquote_to_bytes(url.userinfo)).decode()}"
    return module.Request(
        request.method, url, headers=headers, content=body, extensions={"timeout": timeout, **extensions}
    )


def client_arguments(module: Module, request: Request, patience: Patience) -> dict[str, Any]:
    """Return the keyword arguments of ``build_request`` of a client of the caller's, without the body."""
    seconds = patience.wait_seconds
    return {
        "method": request.method,
        "url": request.url,
        "headers": {"accept-encoding": ACCEPTED, **request_headers(request)},
        "timeout": module.Timeout(connect=patience.connect, read=seconds, write=seconds, pool=seconds),
    }


def response_head(response: Any) -> Response:
    """Return the head of a reply in our own type."""
    headers = {str(name).lower(): str(value) for name, value in response.headers.multi_items()}
    return Response(
        status=response.status_code,
        headers=headers,
        url=str(response.url),
        set_cookie=tuple(response.headers.get_list("set-cookie")) if "set-cookie" in headers else (),
    )


def incomplete_body_error(
    request: Request, patience: Patience, head: Response, closed: Closed
) -> TransportError:
    """Return the error for a reply whose body ended early."""
    if closed.ending is Ending.IDLE:
        return patience.timeout_error(request.url, status=head.status)
    return StreamLost(
        f"The reply of {request.url.partition('?')[0]} broke off: {closed.reason}.",
        phase=patience.phase,
        status=head.status,
        may_have_run=patience.may_have_run,
    )


def unpacker(head: Response, patience: Patience) -> Unpacker | None:
    """Return what decodes a body, or None if it has no content coding.

    Raises:
        RemoteProtocolError: The coding is not one that was requested.
    """
    if head.unsupported_coding is not None:
        raise patience.coding_error(head.url, head)
    return Unpacker(head) if head.codings else None


def drop_after_bytes(head: Response) -> int | None:
    """Return after how many bytes of its body a reply's connection must be dropped, or None.

    Why not reuse it: old servers close the connection after an unhandled error without announcing that, and
    a request on it would be lost (docs/wire.md §14.2). It is dropped with the last byte, before the pool can
    give it to another request.
    """
    length = head.headers.get("content-length", "")
    if head.status < 500 or "content-encoding" in head.headers or not length.isdecimal():
        return None
    return int(length[:18])


def shut_down_response(response: Any) -> None:
    """Shut down the connection of a reply: a blocked read ends, and the pool drops the connection."""
    stream = response.extensions.get("network_stream")
    if stream is not None:
        shut_down_connection(stream)


def shut_down_connection(stream: Any) -> None:
    """Shut a connection down and record it; see `is_shut_down`."""
    sock = stream.get_extra_info("socket")
    if sock is not None:
        _shut_down.add(stream)
        shut_down_socket(sock)


def recording_close(stream: Any) -> Callable[[], None]:
    """Return a function that closes a connection and records it; see `is_shut_down`."""
    close = stream.close

    def close_and_record() -> None:
        _shut_down.add(stream)
        close()

    return close_and_record


_shut_down: weakref.WeakSet[Any] = weakref.WeakSet()
"""Connections that this side shut down or closed. The library does not tell that from the server's close."""


def is_shut_down(stream: Any) -> bool:
    """Return whether this side shut the connection down or closed it."""
    return stream in _shut_down


def not_available_error(stream: Any) -> Exception:
    """Return the error that makes the pool try another connection for a request.

    Needed because the pool checks first whether a connection is alive, then whether it is idle. A thread may
    shut a connection down and release it between the two checks, and the pool would then send on it. The
    error is the one httpcore's own connections raise when they are taken by another request first.
    """
    library = sys.modules[type(stream).__module__.partition(".")[0]]
    error: Exception = library.ConnectionNotAvailable()
    return error


def shut_down_socket(sock: Any) -> None:
    """Shut a socket down. Closing it would not wake a reader in another thread, and is the pool's job."""
    with suppress(OSError, ValueError):
        sock.shutdown(socket.SHUT_RDWR)


@contextmanager
def translate_errors(module: Module, request: Request, patience: Patience) -> Generator[None, None, None]:
    """Turn the library's exceptions into ours, until the head of a reply has arrived."""
    where = request.url.partition("?")[0]
    try:
        yield
    except module.ConnectTimeout as error:
        raise connect_timeout(where, patience) from error
    except module.TimeoutException as error:
        raise answer_timeout(where, patience) from error
    except (module.ConnectError, module.ProxyError, module.UnsupportedProtocol) as error:
        raise connect_error(where, error, patience) from error
    except (module.TransportError, module.InvalidURL, module.DecodingError, module.StreamError) as error:
        raise StreamLost(
            f"The connection to {where} broke before an answer came: {reason(error)}.",
            phase=patience.phase,
            retryable=patience.repeatable,
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, GradioTransportError):
            raise
        raise ConnectError(f"Cannot reach {where}: {reason(error)}.", phase=patience.phase) from error


def connect_error(where: str, error: BaseException, patience: Patience) -> ConnectError:
    """Return the error for a connection that cannot be made. After a bad certificate a retry cannot help."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return ConnectError(
        f"Cannot connect to {where}: {reason(error)}.",
        phase=patience.phase,
        retryable=None if cause is None else False,
    )


def connect_timeout(where: str, patience: Patience) -> TimeoutExpired:
    """Return the error for a connection that was not made in time. Nothing was sent, so a retry is safe."""
    setting = patience.connect_setting
    seconds = patience.total if setting == "total" else patience.connect
    return _timeout_error(f"No connection to {where}", setting, seconds, patience, retryable=True)


def answer_timeout(where: str, patience: Patience) -> TimeoutExpired:
    """Return the error for a request whose reply did not start in time."""
    return _timeout_error(f"No answer from {where}", *patience.exceeded_setting(), patience, retryable=False)


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
    """Return the text of an exception, or of its cause if it has none, for use inside a sentence."""
    source: BaseException | None = error
    while source is not None and not str(source).strip():
        source = source.__cause__ or source.__context__
    return str(source).strip().rstrip(".") if source is not None else type(error).__name__


@contextmanager
def translate_stream_errors(module: Module, unpacking: Unpacker | None) -> Generator[None, None, None]:
    """Turn the library's exceptions into `StreamEnded` while a body is read."""
    try:
        yield
    except module.TimeoutException as error:
        raise StreamEnded(_coding_failure(unpacking) or Closed(Ending.IDLE, reason=reason(error))) from error
    except (module.TransportError, module.StreamError, OSError, RuntimeError) as error:
        raise StreamEnded(_coding_failure(unpacking) or Closed(Ending.RESET, reason=reason(error))) from error
    closed = _coding_failure(unpacking)
    if closed is not None:
        raise StreamEnded(closed)


def _coding_failure(unpacking: Unpacker | None) -> Closed | None:
    failure = unpacking.failure if unpacking is not None else None
    return None if failure is None else Closed(Ending.RESET, reason=failure)
