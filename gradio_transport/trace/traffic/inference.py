# SPDX-License-Identifier: Apache-2.0
"""Search for calls in plain HTTP traffic of any client, and conversion to the frames of a trace.

A recording proxy and the HAR importer see requests, replies, bytes and websocket texts. Which of them belong
to which call is found by what Gradio's routes say: the session hash and the function in a join, the event id
in its reply, the messages of the stream. The frames are those that this library would have written of the
same traffic, on the channels of its adapters, so that replay, lint and the other tools work on them.

Clients differ from this library in what they send and when. Nothing is made up to hide that: each frame is a
thing that crossed the line, at its time. Only the frames of sessions, calls, cancellations and polls, which
say what the caller wanted, are inferred.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

import attrs

from ...adapter.registry import Registry, default_registry
from ...engines.interruptions import is_foreign
from ...errors import EventTooLarge
from ...policy import Limits
from ...protocol.commands import REDIRECTS, Ending
from ...protocol.frames import Direction, Kind, Tap
from ...protocol.secret_forms import is_secret_name
from ...protocol.sse import SSEDecoder
from ...protocol.urls import resolve_reference
from .calls import TrafficCalls
from .flow import (
    MOST_EXCHANGES,
    PHASES,
    WITH_JSON,
    Flow,
    header,
    identifier,
    json_object,
    kind_of_path,
    remember,
)
from .output import Draft
from .routes import Route, Target
from .uploads import uploaded_files

logger = logging.getLogger(__name__)

MOST_REASONS = 200
"""Different reasons for skipping that are counted."""

_MOST_HELD = 200
"""Frames of a websocket that wait for its session."""

_CREDENTIALS = frozenset(
    {"authorization", "proxy-authorization", "x-hf-authorization", "x-ip-token", "x-api-key"}
)


class Inference(TrafficCalls):
    """A converter of any client's plain HTTP traffic with one Gradio app to the frames of a trace.

    Each request and each websocket has a number of the caller's choice, `exchange`. What happens to it is
    said in the order of time::

        inference.request(1, t, "POST", f"{base}/gradio_api/queue/join", headers, body)
        inference.response(1, t, 200, headers)
        inference.data(1, t, b'{"event_id": "..."}')
        inference.end(1, t, Ending.CLEAN)

    No method raises for any traffic: unreadable traffic is counted in `skipped`, and logged.

    Args:
        base: URL of the app, without a slash at its end. Requests to other places are skipped.
        tap: Called with each frame, such as a `TraceWriter`.
        registry: The adapters to name.
        keep_other: Make frames of other requests too, such as those of scripts and themes, on channels
            ``other``.
        limits: Bounds of what is kept in memory.

    Attributes:
        other: How many requests were for other routes, by the first part of the path.
        skipped: How often something was skipped, by reason.
        config: The app's config, once it was seen.
    """

    def __init__(
        self,
        base: str,
        tap: Tap,
        *,
        registry: Registry = default_registry,
        keep_other: bool = False,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(base, tap, registry)
        self.other = Counter[str]()
        self.skipped = Counter[str]()
        self._keep_other = keep_other
        self._limits = limits or Limits()
        self._redirected: OrderedDict[tuple[str, str], Flow] = OrderedDict()
        self._channels: set[str] = set()

    # --- what a proxy sees ---------------------------------------------------------------------------

    def wants_body(self, method: str, url: str) -> bool:
        """Return whether `request` wants the body of such a request.

        It does not want what may be large and is written to no trace, such as uploads; a proxy need not keep
        it then.
        """
        try:
            target = self._target(method, url)
        except Exception:  # noqa: BLE001 - no traffic may raise
            return False
        return target is not None and target.route not in (Route.UPLOAD, Route.OTHER, Route.FILE)

    def request(
        self,
        exchange: int,
        t: float,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        files: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """Process a request.

        Args:
            exchange: Its number.
            t: Seconds of any monotonic clock.
            method: Of the request.
            url: Absolute URL at the app, or its path and query below the app's base.
            headers: Its headers, as they were sent.
            body: Its whole body.
            files: Of an upload whose body is not kept: ``name`` and ``size`` of each file.
        """
        self._guard("a request", self._request, exchange, t, method, url, headers, body, files)

    def response(self, exchange: int, t: float, status: int, headers: Mapping[str, str]) -> None:
        """Process the head of a reply, including that of a refused websocket handshake."""
        self._guard("a reply", self._response, exchange, t, status, headers)

    def data(self, exchange: int, t: float, data: bytes) -> None:
        """Process bytes of a reply's body, without content coding."""
        self._guard("a reply", self._data, exchange, t, data)

    def end(self, exchange: int, t: float, ending: Ending = Ending.CLEAN, reason: str = "") -> None:
        """Process the end of a reply.

        Args:
            exchange: Its number.
            t: The time.
            ending: ``CLEAN`` where the reply is complete, ``RESET`` where the server broke it off, ``LOCAL``
                where the client did.
            reason: More for people.
        """
        self._guard("the end of a reply", self._end, exchange, t, ending, reason)

    def failed(self, exchange: int, t: float, error: str, message: str) -> None:
        """Process a request without a reply.

        Args:
            exchange: Its number.
            t: The time.
            error: Name of an error of this library, such as ``"ConnectError"``.
            message: Its text.
        """
        self._guard("a failed request", self._failed, exchange, t, error, message)

    def websocket_opened(self, exchange: int, t: float, url: str, headers: Mapping[str, str]) -> None:
        """Process the handshake of a websocket. A refusal of it is a `response` and its `end`."""
        self._guard("a websocket", self._websocket_opened, exchange, t, url, headers)

    def websocket_accepted(self, exchange: int, t: float) -> None:
        """Process the server's acceptance of a websocket."""
        self._guard("a websocket", self._websocket_accepted, exchange, t)

    def websocket_text(self, exchange: int, t: float, direction: Direction, text: str) -> None:
        """Process a text message: ``OUT`` to the server, ``IN`` from it."""
        self._guard("a websocket", self._websocket_text, exchange, t, direction, text)

    def websocket_closed(
        self,
        exchange: int,
        t: float,
        code: int | None = None,
        reason: str = "",
        direction: Direction = Direction.IN,
    ) -> None:
        """Process the end of a websocket.

        Args:
            exchange: Its number.
            t: The time.
            code: Of the close frame; None or 1006 where there was none.
            reason: Of the close frame.
            direction: Who closed it first: ``IN`` the server, ``OUT`` the client.
        """
        self._guard("a websocket", self._websocket_closed, exchange, t, code, reason, direction)

    def advance(self, t: float) -> None:
        """Show frames that have waited too long; for live use, some times a second."""
        self._guard("a frame", self._output.advance, t)

    def close(self) -> None:
        """Show all frames that still wait. Idempotent."""
        self._guard("the end", self._close)

    def _guard(self, what: str, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception as error:
            if is_foreign(error):
                raise
            logger.warning("%s is not in the trace, because it could not be read: %r", what, error)
            self._skip(f"{what} could not be read ({type(error).__name__})")

    def _skip(self, reason: str) -> None:
        if reason in self.skipped or len(self.skipped) < MOST_REASONS:
            self.skipped[reason] += 1
            logger.debug("skipped: %s", reason)

    # --- requests ------------------------------------------------------------------------------------

    def _request(
        self,
        exchange: int,
        t: float,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        files: Sequence[Mapping[str, Any]] | None,
    ) -> None:
        target = self._target(method, url)
        if target is None:
            self._skip("a request to another place than the app")
            return
        self._learn_credentials(headers)
        method = method.upper()
        payload: dict[str, Any] = {
            "method": method,
            "url": self._absolute(url),
            "headers": dict(headers),
            "body": body,
        }
        before = self._redirected.pop((method, payload["url"]), None)
        if before is not None:
            flow = attrs.evolve(before, url=payload["url"], attempt=before.attempt + 1)
            flow.status, flow.body = None, bytearray()
            payload["attempt"] = flow.attempt
        else:
            found = self._begin(t, target, payload, files)
            if found is None:
                return
            flow = found
        remember(self._flows, exchange, flow)
        if flow.streams:
            payload["stream"] = True
        payload["phase"] = PHASES.get(target.route, "stream" if flow.streams else "complete")
        self._add(flow, t, Direction.OUT, Kind.REQUEST, payload)

    def _begin(
        self,
        t: float,
        target: Target,
        payload: dict[str, Any],
        files: Sequence[Mapping[str, Any]] | None,
    ) -> Flow | None:
        """Return what a request is part of, or None if it makes no frames."""
        body: bytes | None = payload["body"]
        fields = json_object(body) if target.route in WITH_JSON else {}
        flow = Flow(target, payload["method"], payload["url"], "")
        match target.route:
            case Route.PAGE | Route.CONFIG | Route.INFO:
                flow.channel = "discover"
                flow.on_reply = self._take_info if target.route is Route.INFO else self._take_config
            case Route.LOGIN:
                flow.channel = "login"
                self._learn_login(body)
            case Route.UPLOAD:
                flow.channel = self._free_channel("upload")
                content_type = header(payload["headers"], "content-type")
                payload["files"] = list(files or uploaded_files(body or b"", content_type))
                payload["body"] = None
            case Route.FILE | Route.HEARTBEAT:
                flow.channel = self._free_channel(target.route.value)
                flow.streams = True
            case Route.COMPONENT:
                flow.channel = self._free_channel("component_server")
            case Route.JOIN:
                self._begin_join(flow, t, fields)
            case Route.STREAM:
                return self._begin_stream(flow, t)
            case Route.JOIN_STREAM:
                self._begin_join_stream(flow, t)
            case Route.DATA:
                return self._continue(flow, self._events.get(identifier(fields, "event_id")), "data")
            case Route.PUSH if fields.get("action") not in (None, "predict"):
                return self._begin_other(flow, t, payload)
            case Route.PUSH:
                session = self._session(fields, "polling")
                flow.channel, flow.on_reply = "push", self._take_push
                self._begin_call(flow, t, session, self._endpoint(fields, ""), fields)
            case Route.STATUS:
                return self._begin_poll(flow, t, fields)
            case Route.DIRECT:
                self._begin_run(flow, t, fields)
            case Route.CALL | Route.CALL_V2:
                self._begin_simple_call(flow, t, fields)
            case Route.CALL_STREAM:
                return self._begin_call_stream(flow, t)
            case Route.INPUT | Route.INPUT_END:
                return self._begin_input(flow, t, fields)
            case Route.CANCEL | Route.RESET:
                return self._begin_cancel(flow, t, fields)
            case _:
                return self._begin_other(flow, t, payload)
        return flow

    def _begin_other(self, flow: Flow, t: float, payload: Mapping[str, Any]) -> Flow | None:
        self.other[kind_of_path(flow.url, self.base)] += 1
        is_page = flow.method == "GET" and "text/html" in header(payload["headers"], "accept")
        if not is_page and not self._keep_other:
            return None
        flow.channel = "other"
        if is_page:  # of an app with several pages: each holds the config
            flow.slots, flow.on_reply = [], self._take_config
        return flow

    # --- replies -------------------------------------------------------------------------------------

    def _response(self, exchange: int, t: float, status: int, headers: Mapping[str, str]) -> None:
        flow = self._flows.get(exchange)
        if flow is None:
            self._output.advance(t)
            return
        self._learn_cookies(headers)
        flow.status = status
        flow.headers = {name.lower(): value for name, value in headers.items()}
        if not flow.streams or not self._is_stream(flow):
            return
        flow.decoder = SSEDecoder(max_event_bytes=self._limits.max_event_bytes)
        payload = {"status": status, "headers": flow.headers, "url": flow.url}
        self._add(flow, t, Direction.IN, Kind.RESPONSE_HEAD, payload)

    @staticmethod
    def _is_stream(flow: Flow) -> bool:
        if flow.target.route is Route.FILE:
            return flow.status in (200, 206)
        kind = flow.headers.get("content-type", "text/event-stream")
        return flow.status == 200 and "event-stream" in kind.lower()

    def _data(self, exchange: int, t: float, data: bytes) -> None:
        flow = self._flows.get(exchange)
        if flow is None or not data or flow.detached:
            self._output.advance(t)
            return
        if not flow.is_open_stream:
            self._buffer(flow, data)
            return
        self._add(flow, t, Direction.IN, Kind.CHUNK, {"data": bytes(data)})
        if flow.on_event is None or flow.decoder is None:
            return
        try:
            events = flow.decoder.feed(data)
        except EventTooLarge:
            flow.on_event = None
            return
        for event in events:
            flow.on_event(flow, event)

    def _buffer(self, flow: Flow, data: bytes) -> None:
        most = (
            self._limits.max_config_bytes if flow.channel == "discover" else self._limits.max_response_bytes
        )
        if len(flow.body) + len(data) > most:
            if not flow.is_cut:
                self._skip(f"the rest of a reply of more than {most} bytes ({flow.target.route})")
            flow.is_cut = True
            data = data[: max(0, most - len(flow.body))]
        flow.body += data

    def _end(self, exchange: int, t: float, ending: Ending, reason: str) -> None:
        flow = self._flows.pop(exchange, None)
        if flow is None or flow.detached:
            self._output.advance(t)
            return
        if flow.is_open_stream:
            self._end_stream(flow, t, ending, reason)
        elif ending is Ending.CLEAN and flow.status is not None:
            self._end_reply(flow, t)
        else:
            who = "The client closed the connection" if ending is Ending.LOCAL else "The connection broke"
            self._fail(flow, t, "StreamLost", f"{who} before the reply was complete.")

    def _end_stream(self, flow: Flow, t: float, ending: Ending, reason: str) -> None:
        if ending is Ending.LOCAL and flow.call is not None and not flow.call.over:
            self._cancel_by_closing(flow, t, Kind.STREAM_CLOSE)
        elif flow.is_open_stream:
            if ending is Ending.LOCAL:
                self._add(flow, t, Direction.OUT, Kind.STREAM_CLOSE, {})
                reason = reason or "the client closed it"
            payload = {"ending": ending.value, "code": None, "reason": reason}
            self._add(flow, t, Direction.IN, Kind.END, payload)
        else:
            message = f"No reply arrived: {reason or 'the connection ended'}."
            self._add(flow, t, Direction.IN, Kind.ERROR, {"error": "StreamLost", "message": message})
        self._free(flow)
        if flow.on_end is not None:
            flow.on_end(flow, ending)

    def _end_reply(self, flow: Flow, t: float) -> None:
        body = bytes(flow.body)
        payload: dict[str, Any] = {
            "status": flow.status,
            "headers": flow.headers,
            "url": flow.url,
            "body": body,
        }
        target = self._redirect_target(flow)
        if target is not None:
            payload["attempt"] = flow.attempt
            remember(self._redirected, (flow.method, target), flow)
        elif flow.on_reply is not None:
            flow.on_reply(flow, body)
        self._add(flow, t, Direction.IN, Kind.RESPONSE, payload)
        self._let_go(flow)
        self._free(flow)
        if flow.streams and target is None and flow.on_end is not None:  # a refusal
            flow.on_end(flow, Ending.RESET)

    def _redirect_target(self, flow: Flow) -> str | None:
        """Return where a reply sends the client to ask again, if that is a place of the app."""
        location = flow.headers.get("location")
        if flow.status not in REDIRECTS or not location or flow.target.route is Route.LOGIN:
            return None
        target = resolve_reference(flow.url, location)
        return target if target is not None and self._target(flow.method, target) is not None else None

    def _failed(self, exchange: int, t: float, error: str, message: str) -> None:
        flow = self._flows.pop(exchange, None)
        if flow is None or flow.detached:
            self._output.advance(t)
            return
        if flow.is_open_stream:
            self._end_stream(flow, t, Ending.RESET, message)
        else:
            self._fail(flow, t, error, message)

    def _fail(self, flow: Flow, t: float, error: str, message: str) -> None:
        if flow.target.route is Route.SOCKET:
            self._identify_without_words(flow, t)
        self._add(flow, t, Direction.IN, Kind.ERROR, {"error": error, "message": message})
        self._let_go(flow)
        self._free(flow)
        if flow.on_end is not None:
            flow.on_end(flow, Ending.RESET)
        elif flow.call is not None and flow.channel in ("join", "push", "run", "socket"):
            self._end_call(flow.call)

    # --- frames --------------------------------------------------------------------------------------

    def _add(
        self,
        flow: Flow,
        t: float,
        direction: Direction,
        kind: Kind,
        payload: Mapping[str, Any],
        *,
        channel: str | None = None,
    ) -> None:
        if flow.detached:
            return
        name = flow.channel if channel is None else channel
        draft = Draft(t, direction, kind, name, payload, flow.session, flow.call)
        if flow.slots is None:
            self._output.add(draft)
            return
        flow.slots.append(self._output.hold(draft))
        if len(flow.slots) > _MOST_HELD:
            self._skip("a websocket that does not name its session")
            flow.detached = True
            self._let_go(flow)

    def _let_go(self, flow: Flow) -> None:
        """Show the frames that have waited, or leave them out, where they belong to no call."""
        slots, flow.slots = flow.slots, None
        if slots is None:
            return
        shows = not flow.detached and (flow.channel == "discover" or self._keep_other)
        self._output.resolve(
            slots,
            [
                [attrs.evolve(draft, channel=flow.channel) for draft in slot.drafts] if shows else []
                for slot in slots
            ],
        )

    def _free_channel(self, name: str) -> str:
        """Return a name of a channel that is not in use: several files may come at a time."""
        number = 1
        while (channel := name if number == 1 else f"{name}-{number}") in self._channels:
            number += 1
        if len(self._channels) < MOST_EXCHANGES:
            self._channels.add(channel)
        return channel

    def _free(self, flow: Flow) -> None:
        if flow.call is None and flow.session is None:
            self._channels.discard(flow.channel)

    def _close(self) -> None:
        for flow in self._flows.values():
            if flow.target.route is Route.SOCKET:
                self._identify_without_words(flow, 0.0)
            self._let_go(flow)
        self._output.close()

    # --- secrets -------------------------------------------------------------------------------------

    def _learn_credentials(self, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            lower = name.lower()
            if lower == "cookie":
                self._secrets.add_set_cookies(value.split(";"))
            elif lower in _CREDENTIALS or is_secret_name(lower):
                self._secrets.add_passing_headers({lower: value})

    def _learn_cookies(self, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            if name.lower() == "set-cookie":
                self._secrets.add_set_cookies(value.split("\n"))

    def _learn_login(self, body: bytes | None) -> None:
        text = (body or b"")[:65_536].decode("utf-8", "replace")
        self._secrets.add_passing(*(value for name, value in parse_qsl(text) if name != "username"))


__all__ = ["Inference"]
