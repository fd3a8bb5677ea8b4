# SPDX-License-Identifier: Apache-2.0
"""Shared code of the engines over the caller's HTTP client, for httpx and httpx2."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ..errors import ConnectError, GradioTransportError, LocalProtocolError
from ..protocol.commands import Closed, Ending, Request, Response
from ..protocol.headers import check_headers
from ..protocol.urls import shown_url
from . import replies
from .base import Patience, StreamEnded
from .content_coding import ACCEPTED, Unpacker
from .libraries import Module
from .request_body import request_headers

logger = logging.getLogger(__name__)


_DEFAULT_HEADERS = frozenset({"accept", "accept-encoding", "connection", "user-agent"})


def adds_headers(client: Any) -> bool:
    """Return whether a client adds more to its requests than a client without arguments does."""
    names = {name.lower() for name in client.headers}
    return bool(client.auth or client.cookies or client.params or names - _DEFAULT_HEADERS)


def client_arguments(module: Module, request: Request, patience: Patience, content: Any) -> dict[str, Any]:
    """Return the keyword arguments of the client's ``build_request``. The client adds its own headers."""
    check_headers(request.headers)
    logger.info("%s %s", request.method, shown_url(request.url))
    seconds = patience.wait_seconds
    return {
        "method": request.method,
        "url": request.url,
        "headers": {"accept-encoding": ACCEPTED, **request_headers(request)},
        "content": content,
        "timeout": module.Timeout(seconds, connect=patience.connect_seconds),
    }


def pin(prepared: Any, address: str) -> None:
    """Send a request to an address of its host. The certificate is checked for the name of the host.

    Why not leave the look-up to the client: it may find another address than the checked one.
    """
    prepared.extensions = {"sni_hostname": prepared.url.raw_host.decode(), **prepared.extensions}
    prepared.url = prepared.url.copy_with(host=address)


def is_pinned(response: Any) -> bool:
    """Return whether a reply came over TLS to an address: a client would reuse that for any name."""
    return response.url.scheme == "https" and "sni_hostname" in response.request.extensions


def is_of_another_name(response: Any) -> bool:
    """Return whether the certificate behind a pinned reply was checked for another name than its own."""
    stream = response.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    return tls is not None and tls.server_hostname != response.request.extensions["sni_hostname"]


def response_head(response: Any, url: str) -> Response:
    """Return the head of a reply in the library's type."""
    return replies.response_head(response.status_code, response.headers.raw, url)


def shut_down_response(response: Any) -> None:
    """Shut down the connection of a reply: a blocked read ends, and the pool drops the connection."""
    stream = response.extensions.get("network_stream")
    sock = None if stream is None else stream.get_extra_info("socket")
    if sock is not None:
        replies.shut_down_socket(sock)


@contextmanager
def translate_errors(module: Module, request: Request, patience: Patience) -> Generator[None, None, None]:
    """Translate the HTTP library's exceptions until the head of a reply has arrived."""
    where = shown_url(request.url)
    try:
        yield
    except GradioTransportError:  # some are also an OSError
        raise
    except module.ConnectTimeout as error:
        raise replies.connect_timeout(where, patience) from error
    except module.PoolTimeout as error:
        raise replies.turn_timeout(where, patience) from error
    except module.TimeoutException as error:
        raise replies.answer_timeout(where, patience) from error
    except module.LocalProtocolError:
        raise LocalProtocolError(
            "The HTTP client that was passed as engine= refused to send the request. Check the headers that "
            "it adds itself, such as a token with a line end. (Its reason is not shown: it may quote one.)",
            phase=patience.phase,
        ) from None
    except (module.ConnectError, module.ProxyError, module.UnsupportedProtocol) as error:
        raise replies.connect_error(where, error, patience) from error
    except (module.TransportError, module.InvalidURL, module.DecodingError, module.StreamError) as error:
        raise replies.lost_error(where, error, patience) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise ConnectError(f"Cannot reach {where}: {replies.reason(error)}.", phase=patience.phase) from error


@contextmanager
def translate_body_errors(module: Module, unpacking: Unpacker | None) -> Generator[None, None, None]:
    """Translate the HTTP library's exceptions to `StreamEnded` while a body is read."""
    try:
        yield
    except GradioTransportError:
        raise
    except module.TimeoutException as error:
        ended = Closed(Ending.IDLE, reason=replies.reason(error))
        raise StreamEnded(replies.coding_failure(unpacking) or ended) from error
    except (module.TransportError, module.StreamError, OSError, RuntimeError) as error:
        ended = Closed(Ending.RESET, reason=replies.reason(error))
        raise StreamEnded(replies.coding_failure(unpacking) or ended) from error
    closed = replies.coding_failure(unpacking)
    if closed is not None:
        raise StreamEnded(closed)
