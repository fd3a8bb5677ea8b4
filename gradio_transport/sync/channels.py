# SPDX-License-Identifier: Apache-2.0
"""Opens the streams and websockets of a session, and logs in again where the server wants that."""

from __future__ import annotations

from collections.abc import Mapping

from ..app.credentials import Credentials
from ..calls.requests import REASON_SECONDS, is_event_stream
from ..engines.base import HandshakeRefused, Patience, ResponseStream, WebSocket
from ..errors import GradioTransportError
from ..protocol.commands import OpenStream, OpenWebSocket, Response
from ..protocol.refusals import wants_login
from .connection import Connection


def open_stream(
    connection: Connection,
    credentials: Credentials,
    command: OpenStream,
    patience: Patience,
    extra: Mapping[str, str] | None,
    until: float | None,
) -> ResponseStream:
    """Open a stream.

    Args:
        connection: To the app.
        credentials: Of the session.
        command: What to open.
        patience: How long that may take.
        extra: Headers of the call.
        until: When the time of the call is over, by `time.monotonic`.

    Raises:
        HandshakeRefused: The reply is no event stream.
        TransportError: No reply came.
        GradioTransportError: The server wants a login, and refuses it.
    """
    app = connection.app
    logins = app.logins
    while True:
        request = app.with_headers(command.request, credentials, extra)
        stream = connection.engine.stream(request, patience)
        app.store_cookies(credentials, request.url, stream.head.set_cookie)
        if is_event_stream(stream.head):
            return stream
        try:
            if not wants_login(stream.head) or not connection.log_in_again(logins, until):
                raise HandshakeRefused(_read_reply(stream, command))
        finally:
            stream.close()
        logins = -1  # once


def _read_reply(stream: ResponseStream, command: OpenStream) -> Response:
    """Return a reply that is no stream. The reason of a refusal is waited for, but not for long.

    Raises:
        GradioTransportError: It is no refusal, and does not come to its end.
    """
    is_refusal = stream.head.status != 200 or not command.or_whole
    try:
        body = stream.read(REASON_SECONDS if is_refusal else None)
    except GradioTransportError as error:
        if not is_refusal:
            raise
        body = error.message.encode()
    return stream.head.with_body(body)


def open_websocket(
    connection: Connection,
    credentials: Credentials,
    command: OpenWebSocket,
    patience: Patience,
    extra: Mapping[str, str] | None,
    until: float | None,
) -> WebSocket:
    """Open a websocket; see `open_stream` for the arguments.

    Raises:
        HandshakeRefused: The server does not accept it.
        TransportError: No reply came.
        GradioTransportError: The server wants a login, and refuses it.
    """
    most = connection.app.options.limits.max_event_bytes
    logins = connection.app.logins
    while True:
        headers = credentials.for_url(command.url, command.headers, extra)
        try:
            return connection.engine.websocket(command.url, headers, patience, most)
        except HandshakeRefused as refused:
            # A handshake without a valid cookie is closed before it is accepted: 403 (docs/wire.md §3.3).
            if refused.response.status not in (401, 403) or not connection.log_in_again(logins, until):
                raise
        logins = -1  # once
