# SPDX-License-Identifier: Apache-2.0
"""`Patient`: the app under examination, with the findings of earlier steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import attrs

from ..app.config import AppConfig, Endpoint
from ..app.handshake import Discovery
from ..calls.app import App
from ..calls.options import Options
from ..calls.request_sequence import RequestCommand, Requests
from ..engines.deadline import NEVER, Deadline
from ..engines.httpcore_sync import HTTPEngine
from ..engines.libraries import default_headers
from ..engines.proxies import PORTS, Proxy
from ..engines.routes import Routes
from ..errors import GradioTransportError, Phase
from ..protocol.commands import Request, Response, SendRequest
from ..protocol.frames import Direction, Frame, Kind
from ..protocol.urls import shown_url
from ..spaces import Space
from ..sync.connection import Connection

Arguments: TypeAlias = tuple[Endpoint, Sequence[Any], Mapping[str, Any]]

Preparation: TypeAlias = Callable[[AppConfig], Arguments]
"""Returns the endpoint and the arguments of the call to make, given the app's config."""

MOST_EXCHANGES = 200

KEPT_BYTES = 100_000
"""Bytes of a reply's body that are kept. The beginning is enough to recognize it."""


@attrs.define
class Exchange:
    """One request of the discovery or of a login, and its result."""

    url: str
    channel: str
    began: float
    seconds: float = 0.0
    response: Response | None = None
    """The reply, with the beginning of its body."""
    size: int = 0
    """Size of the full body in bytes."""
    error: str = ""

    @property
    def shown(self) -> str:
        """The printable URL."""
        return shown_url(self.url)


@attrs.define(kw_only=True)
class Patient:
    """The app under examination.

    Attributes:
        source: The source as the user named it.
        options: The options of the user.
        hold: Seconds that a stream is held open.
        call: The call to make, or None.
        saved_token: Whether the token that huggingface_hub has saved may be used for a Space that is hidden
            without it.
        deadline: The deadline of the examination.
        space: The data of the Hub, if the source is a Space.
        lookup: Addresses of the host to connect to.
        discovery: The result of the discovery.
        failure: The error if the discovery failed.
        first_byte: Seconds to the first byte of a stream.
        stream_head: Head of that stream.
        times: Name of a phase -> seconds, in order.
    """

    source: str
    options: Options
    hold: float = 18.0
    call: Preparation | None = None
    saved_token: bool = False
    deadline: Deadline = NEVER
    space: Space | None = None
    lookup: Sequence[Any] = ()
    discovery: Discovery | None = None
    failure: GradioTransportError | None = None
    first_byte: float | None = None
    stream_head: Response | None = None
    times: dict[str, float] = attrs.field(factory=dict[str, float])
    exchanges: list[Exchange] = attrs.field(factory=list[Exchange])
    _app: App | None = None
    _connection: Connection | None = None
    _has_discovered: bool = False

    # --- where it is -----------------------------------------------------------------------------------

    def open(self) -> App:
        """Create the app of the source, without any I/O.

        Raises:
            LocalProtocolError: The source is neither a URL nor the name of a Space.
        """
        self._app = App(self.source, self.options)
        self._app.taps.add(self._watch)
        return self._app

    def reopen(self, options: Options) -> App:
        """Create the app again, with other options."""
        self.options = options
        return self.open()

    @property
    def app(self) -> App:
        """The app. `open` has been called."""
        if self._app is None:
            raise RuntimeError("the app is not open")
        return self._app

    @property
    def has_app(self) -> bool:
        """Whether `open` succeeded."""
        return self._app is not None

    @property
    def base(self) -> str:
        """The URL of the app: that of the discovery if there is one, else the given one."""
        return self.app.base if self.discovery is None else self.discovery.urls.base

    @property
    def scheme(self) -> str:
        """``"http"`` or ``"https"``."""
        return urlsplit(self.app.base).scheme

    @property
    def host(self) -> str:
        """Host of the given URL, without brackets."""
        return urlsplit(self.app.base).hostname or ""

    @property
    def port(self) -> int:
        """Port of the given URL, or that of its scheme."""
        return urlsplit(self.app.base).port or PORTS[self.scheme]

    @cached_property
    def routes(self) -> Routes:
        """The routes to origins."""
        return Routes(self.options.http)

    @property
    def proxy(self) -> Proxy | None:
        """The proxy for the app.

        Raises:
            ConnectError: Its URL cannot be used.
        """
        return self.routes.find(self.app.base).proxy

    # --- requests --------------------------------------------------------------------------------------

    @property
    def connection(self) -> Connection:
        """The connections of the examination."""
        if self._connection is None or self._connection.app is not self.app:
            self._close_connection()
            self._connection = Connection(self.app, HTTPEngine(self.options.http))
        return self._connection

    @property
    def engine(self) -> HTTPEngine:
        """The engine below `connection`."""
        engine = self.connection.engine
        if not isinstance(engine, HTTPEngine):
            raise TypeError("the engine is another one")
        return engine

    @property
    def config(self) -> AppConfig:
        """The config of the app. It requires a discovery."""
        return self.app.config

    @property
    def is_gradio(self) -> bool:
        """Whether it is a Gradio app, not a server that a named adapter discovers itself."""
        return self.config.settings is None

    def requests(self, deadline: Deadline = NEVER, **timeouts: float) -> Requests:
        """Return a sender of requests, with other timeouts than those of the options."""
        requests = Requests.of_app(self.app, deadline.sooner(self.deadline))
        return (
            attrs.evolve(requests, timeouts=requests.timeouts.replace(**timeouts)) if timeouts else requests
        )

    def perform(self, command: RequestCommand, deadline: Deadline = NEVER, **timeouts: float) -> Any:
        """Send a request and return its reply, or the stream or socket that it opened.

        Raises:
            GradioTransportError: There is no reply.
        """
        return self.connection.run(self.requests(deadline, **timeouts).perform(command))

    def get(self, url: str, channel: str = "doctor") -> Response:
        """GET a URL of the app; redirects are not followed."""
        request = Request.get(url, accept="*/*")
        reply: Response = self.perform(SendRequest(channel, request, Phase.DISCOVER, idempotent=True))
        return reply

    def send_afresh(self, request: Request) -> Response:
        """Send a request on its own connection, with the credentials for the app's origin.

        Raises:
            TransportError: No reply came.
        """
        command = SendRequest("doctor", request, Phase.DISCOVER)
        engine = HTTPEngine(self.options.http)
        self.app.taps.command(command, 0)
        try:
            patience = self.app.patience(command, self.options.timeouts)
            response = engine.request(self.app.with_headers(request), patience)
        finally:
            engine.close()
        self.app.taps.response("doctor", 0, response)
        self.app.store_cookies(self.app.credentials, request.url, response.set_cookie)
        return response

    def discover(self) -> Discovery | None:
        """Discover the app once. Return None if that failed; `failure` then has the error."""
        if not self._has_discovered:
            self._has_discovered = True
            default_headers(self.options.http.library)  # loads the library, whose time must not count
            try:
                self.app.discovery = self.connection.run(Requests.of_app(self.app, self.deadline).discover())
                self.discovery = self.app.discovery
            except GradioTransportError as error:
                self.failure = error
        return self.discovery

    def _watch(self, frame: Frame) -> None:
        """Record the requests of the discovery; a tap."""
        if frame.channel not in ("discover", "login") or frame.session:
            return
        if frame.direction is Direction.OUT and frame.kind is Kind.REQUEST:
            if len(self.exchanges) < MOST_EXCHANGES:
                self.exchanges.append(Exchange(frame.payload["url"], frame.channel, frame.t))
            return
        exchange = self.exchanges[-1] if self.exchanges else None
        if exchange is None:
            return
        exchange.seconds = frame.t - exchange.began
        if frame.kind is Kind.RESPONSE:
            payload = frame.payload
            body: bytes = payload.get("body") or b""
            exchange.size = len(body)
            exchange.response = Response(
                payload["status"], payload["headers"], body[:KEPT_BYTES], url=exchange.url
            )
        elif frame.kind is Kind.ERROR:
            exchange.error = str(frame.payload.get("message", ""))

    @property
    def last_reply(self) -> Response | None:
        """The last reply of the discovery."""
        return next((one.response for one in reversed(self.exchanges) if one.response is not None), None)

    # --- its end ---------------------------------------------------------------------------------------

    def hide(self, text: str) -> str:
        """Return a text without the secrets that the user gave."""
        return text if self._app is None else self._app.secrets.hide(text)

    def _close_connection(self) -> None:
        if self._connection is not None:
            with suppress(GradioTransportError):
                for thread in self._connection.close():
                    thread.join(1.0)
            self._connection = None

    def close(self) -> None:
        """Close every connection."""
        self._close_connection()


def since(began: float) -> float:
    """Return the seconds since a time of `time.monotonic`."""
    return time.monotonic() - began


def milliseconds(seconds: float) -> str:
    """Return a printable time."""
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
