# SPDX-License-Identifier: Apache-2.0
"""The sync engine over the caller's ``Client`` of httpx or httpx2.

A client has its own connections, so some guarantees of the default engine do not hold:

- Timeouts bound each read and write. A head that arrives byte by byte, or a server that reads a body like
  that, has no total bound. A reply's body has one, because its chunks arrive here.
- The time to connect applies to each address of a host, not to all of them together.
- A request without a reply yet cannot be woken: closing the transport waits for its timeout.
- A file of another origin is requested by the address of its host, with the name as `Host`, because a client
  looks up names itself. Routes of the client for that name do not match. A name that only a proxy of the
  client can look up is not fetched.
- Chunks that arrive together are passed on one by one.
- A stream that meets a kept connection which the server is closing is lost, because a client does not report
  which of its connections were kept.
- The client may close a connection under a thread that reads from it.
"""

from __future__ import annotations

import math
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from ..errors import LocalProtocolError
from ..protocol.addresses import AddressRule
from ..protocol.commands import Request, Response
from ..protocol.multipart import Multipart
from . import client_common as common
from .base import Patience, StreamEnded, WebSocket
from .libraries import load
from .lookups import allowed_hosts, check_host, look_up
from .replies import WholeBody, incomplete_body_error, unpacker
from .request_body import body_seconds, form_blocks
from .settings import HTTPSettings


class ClientEngine:
    """Sync I/O over the caller's client, which stays open."""

    def __init__(self, settings: HTTPSettings, client: Any) -> None:
        self._settings = settings
        self.name = f"{settings.library}.Client of the caller"
        self._module = load(settings.library)
        self._client = client
        self._lock = threading.Lock()
        self._websockets: weakref.WeakSet[Any] = weakref.WeakSet()
        self._closed = False
        self._forked = False

    def request(self, request: Request, patience: Patience) -> Response:
        """Send a request and return the full reply."""
        whole = patience.whole_seconds
        until = math.inf if whole is None else time.monotonic() + whole
        stream = self._open(request, patience, until)
        try:
            body = stream.read(body_seconds(request, patience))
        finally:
            stream.close()
        return stream.head.with_body(body)

    def stream(self, request: Request, patience: Patience) -> ClientStream:
        """Send a request and return as soon as the head of its reply has arrived."""
        return self._open(request, patience, math.inf)

    def _open(self, request: Request, patience: Patience, until: float) -> ClientStream:
        if self._closed:
            raise LocalProtocolError("The transport is closed.")
        if self._forked:
            raise LocalProtocolError(
                "The HTTP client passed as engine= belongs to the parent process. Connect again in this "
                "process, with a client created in it."
            )
        body = form_blocks(request.body) if isinstance(request.body, Multipart) else request.body
        with common.translate_errors(self._module, request, patience):
            arguments = common.client_arguments(self._module, request, patience, body)
            prepared = self._client.build_request(**arguments)
            url = str(prepared.url)
            response = self._send(prepared, request.url, patience)
        return ClientStream(self._module, request, patience, response, url, until)

    def _send(self, prepared: Any, url: str, patience: Patience) -> Any:
        """Send a request to its host, or to the first reachable one of its allowed addresses."""
        if patience.addresses is AddressRule.ANY:
            return self._client.send(prepared, stream=True, follow_redirects=False)
        host = prepared.url.raw_host.decode()
        check_host(url, host, patience)
        *others, last = allowed_hosts(url, look_up(host), patience)
        for address in others:
            with suppress(self._module.ConnectError, self._module.ConnectTimeout):
                return self._send_to(address, prepared)
        return self._send_to(last, prepared)

    def _send_to(self, address: str, prepared: Any) -> Any:
        common.pin(prepared, address)
        response = self._client.send(prepared, stream=True, follow_redirects=False)
        if common.is_of_another_name(response):
            common.shut_down_response(response)
            response.close()
            raise self._module.ReadError("the client used a connection to another host with that address")
        return response

    def websocket(
        self, url: str, headers: Mapping[str, str], patience: Patience, max_message_bytes: int
    ) -> WebSocket:
        """Open a websocket, by websocket-client."""
        from .websocket_client import open_websocket

        if self._closed:
            raise LocalProtocolError("The transport is closed.")
        opened = open_websocket(url, headers, patience, max_message_bytes, self._settings)
        with self._lock:
            self._websockets.add(opened)
            late = self._closed
        if late:
            opened.abort()
        return opened

    def close(self) -> None:
        """Close the websockets; the client stays open."""
        with self._lock:
            self._closed = True
            websockets = list(self._websockets)
        for opened in websockets:
            opened.abort()

    def reset_after_fork(self) -> None:
        """Refuse further use in a child of ``fork``: the client's connections belong to the parent."""
        self._forked = True
        self._lock = threading.Lock()
        websockets, self._websockets = list(self._websockets), weakref.WeakSet()
        for opened in websockets:
            opened.close_descriptor()


class ClientStream:
    """A reply whose body is still arriving."""

    def __init__(
        self, module: Any, request: Request, patience: Patience, response: Any, url: str, until: float
    ) -> None:
        self._module = module
        self._request = request
        self._patience = patience
        self._response = response
        self._until = until
        self._lock = threading.Lock()
        self._complete = self._aborted = False
        self.head = common.response_head(response, url)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives."""
        if self._response.is_stream_consumed:  # by the client, which also decoded it
            yield from self._response.iter_bytes()
            return
        unpacking = unpacker(self.head, self._patience)
        with common.translate_body_errors(self._module, unpacking):
            for data in self._response.iter_raw():
                if unpacking is None:
                    yield data
                    continue
                for piece in unpacking.feed(data):
                    if self._aborted or self._patience.deadline.expired:
                        self.abort()  # the rest is not needed, and may be endless
                        break
                    yield piece
                if unpacking.failure is not None:
                    self.abort()  # but read to the end, which is near, because generators must not stay open
        self._mark_complete()

    def read(self, seconds: float | None = None) -> bytes:
        """Return the full body, within the bound of the request, and within a timeout if given."""
        if self.head.status >= 300 and self.head.unsupported_coding is not None:
            return b""  # an error status needs no body, so an unrequested coding is not an error
        until = self._until if seconds is None else min(self._until, time.monotonic() + seconds)
        body = WholeBody(self._request, self._patience, self.head)
        if body.is_to_drop:
            self.abort()
        try:
            for chunk in self.chunks():
                is_needed = body.add(chunk)
                if time.monotonic() > until:
                    raise self._patience.timeout_error(self._request.url, seconds, status=self.head.status)
                if body.is_to_drop:
                    self.abort()
                if not is_needed:
                    break
        except StreamEnded as error:
            raise incomplete_body_error(self._request, self._patience, self.head, error.closed) from error
        return body.content

    def abort(self) -> None:
        """Wake a reader that is blocked in another thread. Shutting down does that; closing would not."""
        self._aborted = True
        with self._lock:
            # After a complete reply there is no reader to wake, and the pool may give its connection to
            # another request at any moment.
            if not self._complete:
                common.shut_down_response(self._response)

    def close(self) -> None:
        """Return the connection to the pool; drop it if the body has not ended or it serves only one name."""
        if common.is_pinned(self._response):
            common.shut_down_response(self._response)
        self._mark_complete()
        with suppress(Exception):
            self._response.close()

    def _mark_complete(self) -> None:
        with self._lock:
            self._complete = True
