# SPDX-License-Identifier: Apache-2.0
"""What the sync and the async engine over httpx share: settings, and the way its exceptions become ours.

Written to the common subset of httpx and httpx2, whose types are unrelated: the module is a parameter.
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
from .base import Patience, StreamEnded, of_all
from .content_coding import ACCEPTED, Unpacker
from .request_body import headers_of
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
    """Return the context for a scheme. Plain http gets one that trusts nobody, and costs nothing."""
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

    The pools are used without a client around them: of what that adds for a third of the cost of a request
    (merged URLs and headers, a cookie jar, redirects, hooks) nothing is wanted.
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
    """How origins are reached, as the settings and the environment say when each is first asked for."""

    def __init__(self, settings: HTTPSettings) -> None:
        self._settings = settings
        self._known: dict[str, Route] = {}

    def of(self, url: str) -> Route:
        """Return how a URL is reached."""
        origin = "/".join(url.split("/", 3)[:3])
        route = self._known.get(origin)
        if route is None:
            parts = urlsplit(url)
            scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
            proxy = self._settings.proxy or _environment_proxy(scheme, parts.hostname or "")
            route = self._known[origin] = Route(scheme, proxy)
        return route


def _environment_proxy(scheme: str, host: str) -> str | None:
    proxies = getproxies()
    if not proxies or proxy_bypass(host):
        return None
    proxy = proxies.get(scheme) or proxies.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


@lru_cache(maxsize=8)
def _default_headers(module: Module) -> dict[str, str]:
    """Return what a client of the library says of itself, but for the encodings that are unpacked."""
    with module.Client(transport=module.BaseTransport()) as client:
        said = {str(name).lower(): str(value) for name, value in client.headers.items()}
    return {**said, "accept-encoding": ACCEPTED}


@lru_cache(maxsize=256)  # a session asks for the same few again and again, and the parsing is dear
def _url(module: Module, url: str) -> Any:
    return module.URL(url)


def built(module: Module, request: Request, patience: Patience, body: Any, **extensions: Any) -> Any:
    """Return the library's request. Waiting for a free connection is part of the patience."""
    pause = patience.pause
    timeout = {"connect": patience.connect, "read": pause, "write": pause, "pool": pause}
    url = _url(module, request.url)
    logger.info("%s %s", request.method, request.url.partition("?")[0])
    headers = {**_default_headers(module), **headers_of(request)}
    if url.userinfo and "authorization" not in headers:
        headers["authorization"] = f"Basic {b64encode(unquote_to_bytes(url.userinfo)).decode()}"
    return module.Request(
        request.method, url, headers=headers, content=body, extensions={"timeout": timeout, **extensions}
    )


def arguments(module: Module, request: Request, patience: Patience) -> dict[str, Any]:
    """Return the keyword arguments of ``build_request`` of somebody's own client, without the body."""
    return {
        "method": request.method,
        "url": request.url,
        "headers": {"accept-encoding": ACCEPTED, **headers_of(request)},
        "timeout": module.Timeout(
            connect=patience.connect, read=patience.pause, write=patience.pause, pool=patience.pause
        ),
    }


def head(response: Any) -> Response:
    """Return our view of a reply's head."""
    headers = {str(name).lower(): str(value) for name, value in response.headers.multi_items()}
    return Response(
        status=response.status_code,
        headers=headers,
        url=str(response.url),
        set_cookie=tuple(response.headers.get_list("set-cookie")) if "set-cookie" in headers else (),
    )


def broken_off(request: Request, patience: Patience, head: Response, closed: Closed) -> TransportError:
    """Return the error for a reply whose body did not come to its end."""
    if closed.ending is Ending.IDLE:
        return patience.too_late(request.url, status=head.status)
    return StreamLost(
        f"The reply of {request.url.partition('?')[0]} broke off: {closed.reason}.",
        phase=patience.phase,
        status=head.status,
        may_have_run=patience.may_have_run,
    )


def unpacker(head: Response, patience: Patience) -> Unpacker | None:
    """Return what unpacks a body, or None where there is nothing to unpack.

    Raises:
        RemoteProtocolError: It cannot be.
    """
    if head.foreign_coding is not None:
        raise patience.unreadable(head.url, head)
    return Unpacker(head) if head.codings else None


def spoiled_at(head: Response) -> int | None:
    """Return after how many bytes of its body a reply's connection should be dropped, or None.

    Old servers close the connection after an unhandled error without saying so, and a request on it would be
    lost (docs/wire.md §14.2).  It is dropped with the last byte, before the pool can hand it to anybody else.
    """
    length = head.headers.get("content-length", "")
    if head.status < 500 or "content-encoding" in head.headers or not length.isdecimal():
        return None
    return int(length[:18])


def shut_down(response: Any) -> None:
    """Shut down the connection under a reply: a blocked reader wakes, and the pool drops it."""
    stream = response.extensions.get("network_stream")
    if stream is not None:
        shut_down_connection(stream)


def shut_down_connection(stream: Any) -> None:
    """Shut a connection down, and remember that it was."""
    connected = stream.get_extra_info("socket")
    if connected is not None:
        _shut_down.add(stream)
        shut_down_socket(connected)


def closing(stream: Any) -> Callable[[], None]:
    """Return what closes a connection, and remembers that it was."""
    close = stream.close

    def closed() -> None:
        _shut_down.add(stream)
        close()

    return closed


_shut_down: weakref.WeakSet[Any] = weakref.WeakSet()


def was_shut_down(stream: Any) -> bool:
    """Return whether a connection was shut down or closed on this side."""
    return stream in _shut_down


def not_available(stream: Any) -> Exception:
    """Return what makes the pool of a connection take another one for a request that was not sent by it.

    The pool looks whether a connection is alive, and then whether it is free: one that a thread shuts down
    and gives back in between would be taken for both.
    """
    library = sys.modules[type(stream).__module__.partition(".")[0]]
    error: Exception = library.ConnectionNotAvailable()
    return error


def shut_down_socket(connected: Any) -> None:
    """Shut a socket down. Closing it would neither wake its reader nor be safe under a pool's hands."""
    with suppress(OSError, ValueError):
        connected.shutdown(socket.SHUT_RDWR)


@contextmanager
def translated(module: Module, request: Request, patience: Patience) -> Generator[None, None, None]:
    """Turn the library's exceptions into ours, for the time until a reply's head has come."""
    where = request.url.partition("?")[0]
    try:
        yield
    except module.ConnectTimeout as error:
        raise not_connected(where, patience) from error
    except module.TimeoutException as error:
        raise no_answer(where, patience) from error
    except (module.ConnectError, module.ProxyError, module.UnsupportedProtocol) as error:
        raise no_connection(where, error, patience) from error
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


def no_connection(where: str, error: BaseException, patience: Patience) -> ConnectError:
    """Return the error for a connection that cannot be made. A bad certificate stays as bad."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
        cause = cause.__cause__ or cause.__context__
    return ConnectError(
        f"Cannot connect to {where}: {reason(error)}.",
        phase=patience.phase,
        retryable=None if cause is None else False,
    )


def not_connected(where: str, patience: Patience) -> TimeoutExpired:
    """Return the error for a connection that was not there in time: nothing was sent."""
    setting = patience.connect_setting
    seconds = patience.total if setting == "total" else patience.connect
    return _timed_out(f"No connection to {where}", setting, seconds, patience, retryable=True)


def no_answer(where: str, patience: Patience) -> TimeoutExpired:
    """Return the error for a request whose reply did not begin in time."""
    return _timed_out(f"No answer from {where}", *patience.expired(), patience, retryable=False)


def _timed_out(
    what: str, setting: str, seconds: float | None, patience: Patience, *, retryable: bool
) -> TimeoutExpired:
    return TimeoutExpired(
        f"{what} within {seconds} s{of_all(setting)}. Raise Timeouts({setting}=) if it is to be expected.",
        setting=setting,
        seconds=seconds,
        phase=patience.phase,
        retryable=retryable or patience.repeatable,
    )


def reason(error: BaseException) -> str:
    """Return what an exception says, or what it came of, to be put into a sentence."""
    said: BaseException | None = error
    while said is not None and not str(said).strip():
        said = said.__cause__ or said.__context__
    return str(said).strip().rstrip(".") if said is not None else type(error).__name__


@contextmanager
def stream_translated(module: Module, unpacking: Unpacker | None) -> Generator[None, None, None]:
    """Turn the library's exceptions while a body is read into the end of the stream."""
    try:
        yield
    except module.TimeoutException as error:
        raise StreamEnded(_broken(unpacking) or Closed(Ending.IDLE, reason=reason(error))) from error
    except (module.TransportError, module.StreamError, OSError, RuntimeError) as error:
        raise StreamEnded(_broken(unpacking) or Closed(Ending.RESET, reason=reason(error))) from error
    broken = _broken(unpacking)
    if broken is not None:
        raise StreamEnded(broken)


def _broken(unpacking: Unpacker | None) -> Closed | None:
    broken = unpacking.broken if unpacking is not None else None
    return None if broken is None else Closed(Ending.RESET, reason=broken)
