# SPDX-License-Identifier: Apache-2.0
"""Finds the calls in plain HTTP traffic of any client, and makes the frames of a trace of it.

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
import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

import attrs

from ..adapter.registry import Registry, default_registry
from ..app.config import AppConfig, Endpoint
from ..app.config_parsing import (
    config_from_page,
    is_config,
    parse_outline,
    parse_release,
    requires_login,
    with_endpoints,
)
from ..calls.given_secrets import leaf_texts, secret_places
from ..engines.interruptions import is_foreign
from ..errors import EventTooLarge, GradioTransportError
from ..policy import Limits
from ..protocol.commands import REDIRECTS, Ending
from ..protocol.frames import Direction, Kind, Tap
from ..protocol.json import decode_json
from ..protocol.known_secrets import KnownSecrets
from ..protocol.messages import event_id_of
from ..protocol.secret_forms import is_secret_name
from ..protocol.sse import ServerSentEvent, SSEDecoder
from ..protocol.urls import resolve_reference
from .traffic_output import Draft, FoundCall, FoundSession, OrderedOutput, Slot
from .traffic_routes import Route, Target, find_target, path_below
from .uploads import uploaded_files

logger = logging.getLogger(__name__)

MOST_EXCHANGES = 10_000
"""Requests under way at a time, and sessions, calls and hashes that are remembered, the newest."""

MOST_REASONS = 200
"""Different reasons for skipping that are counted."""

_LONGEST_HASH = 256
"""Characters of a session hash or an event id that is taken for one."""

_MOST_HELD = 200
"""Frames of a websocket that wait for its session."""

_PEEKED = 65_536
"""Characters of a message that is read whole. Of a larger one only the beginning: it has outputs."""

_HEAD = re.compile(r'"(msg|event_id)"\s*:\s*"([^"\\]{1,256})"')

_CREDENTIALS = frozenset(
    {"authorization", "proxy-authorization", "x-hf-authorization", "x-ip-token", "x-api-key"}
)

_ENDS = frozenset({"process_completed", "queue_full", "unexpected_error", "server_stopped"})
"""Messages that end a call."""

_T = TypeVar("_T")


@attrs.define(eq=False)
class _Flow:
    """One request, or one websocket, under way.

    Attributes:
        channel: Of its frames; without the key of the call, if there is one.
        streams: Whether a good reply is a stream of bytes, which are frames as they come.
        on_reply: Called with the whole body of a good reply.
        on_event: Called with each event of a stream.
        on_end: Called when a stream has ended.
        attempt: Of this request: redirects lead to further ones.
        detached: Nothing more of it is shown.
        slots: Frames that wait until it is known what they belong to; None once they need not any more.
    """

    target: Target
    method: str
    url: str
    channel: str
    session: FoundSession | None = None
    call: FoundCall | None = None
    streams: bool = False
    on_reply: Callable[[_Flow, bytes], None] | None = None
    on_event: Callable[[_Flow, ServerSentEvent], None] | None = None
    on_end: Callable[[_Flow, Ending], None] | None = None
    attempt: int = 1
    detached: bool = False
    status: int | None = None
    headers: Mapping[str, str] = attrs.field(factory=dict[str, str])
    body: bytearray = attrs.field(factory=bytearray)
    is_cut: bool = False
    decoder: SSEDecoder | None = None
    is_closing: bool = False
    slots: list[Slot] | None = None
    greeting: str = ""

    @property
    def is_open_stream(self) -> bool:
        return self.decoder is not None


class Inference:
    """Turns plain HTTP traffic of any client with one Gradio app into the frames of a trace.

    Each request and each websocket has a number of the caller's choice, `exchange`. What happens to it is
    said in the order of time::

        inference.request(1, t, "POST", f"{base}/gradio_api/queue/join", headers, body)
        inference.response(1, t, 200, headers)
        inference.data(1, t, b'{"event_id": "..."}')
        inference.end(1, t, Ending.CLEAN)

    No method raises, whatever the traffic is: what cannot be understood is counted in `skipped`, and logged.

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
        self.base = base.rstrip("/")
        self.other = Counter[str]()
        self.skipped = Counter[str]()
        self.config: AppConfig | None = None
        self.calls = 0
        self._info: Any = None
        self._config_body = b""
        self._registry = registry
        self._keep_other = keep_other
        self._limits = limits or Limits()
        self._secrets = KnownSecrets()
        self._output = OrderedOutput(tap, self.base, self._secrets)
        self._flows: OrderedDict[int, _Flow] = OrderedDict()
        self._sessions: OrderedDict[tuple[str, str], FoundSession] = OrderedDict()
        self._streams: dict[int, _Flow] = {}
        self._events: OrderedDict[str, FoundCall] = OrderedDict()
        self._early_ends: OrderedDict[str, None] = OrderedDict()
        self._hashes: OrderedDict[str, FoundCall] = OrderedDict()
        self._runs: OrderedDict[tuple[int, int | None, str], FoundCall] = OrderedDict()
        self._redirected: OrderedDict[tuple[str, str], _Flow] = OrderedDict()
        self._channels: set[str] = set()
        self._unnamed = 0

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
        """Take a request.

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
        """Take the head of a reply; of a refused websocket handshake too."""
        self._guard("a reply", self._response, exchange, t, status, headers)

    def data(self, exchange: int, t: float, data: bytes) -> None:
        """Take bytes of a reply's body, without content coding."""
        self._guard("a reply", self._data, exchange, t, data)

    def end(self, exchange: int, t: float, ending: Ending = Ending.CLEAN, reason: str = "") -> None:
        """Take the end of a reply.

        Args:
            exchange: Its number.
            t: The time.
            ending: ``CLEAN`` where the reply is complete, ``RESET`` where the server broke it off, ``LOCAL``
                where the client did.
            reason: More for people.
        """
        self._guard("the end of a reply", self._end, exchange, t, ending, reason)

    def failed(self, exchange: int, t: float, error: str, message: str) -> None:
        """Take the news that no reply came.

        Args:
            exchange: Its number.
            t: The time.
            error: Name of an error of this library, such as ``"ConnectError"``.
            message: Its text.
        """
        self._guard("a failed request", self._failed, exchange, t, error, message)

    def websocket_opened(self, exchange: int, t: float, url: str, headers: Mapping[str, str]) -> None:
        """Take the handshake of a websocket. A refusal of it is a `response` and its `end`."""
        self._guard("a websocket", self._websocket_opened, exchange, t, url, headers)

    def websocket_accepted(self, exchange: int, t: float) -> None:
        """Take the news that the server has accepted a websocket."""
        self._guard("a websocket", self._websocket_accepted, exchange, t)

    def websocket_text(self, exchange: int, t: float, direction: Direction, text: str) -> None:
        """Take a text message: ``OUT`` to the server, ``IN`` from it."""
        self._guard("a websocket", self._websocket_text, exchange, t, direction, text)

    def websocket_closed(
        self,
        exchange: int,
        t: float,
        code: int | None = None,
        reason: str = "",
        direction: Direction = Direction.IN,
    ) -> None:
        """Take the end of a websocket.

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

    @property
    def _prefix(self) -> str:
        return (self.config.api_prefix if self.config is not None else "") or "/gradio_api"

    def _target(self, method: str, url: str) -> Target | None:
        root = self.config.root if self.config is not None else ""
        found = path_below(url, (self.base, root) if root.startswith("http") else (self.base,))
        return None if found is None else find_target(method.upper(), *found, prefix=self._prefix)

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
        _remember(self._flows, exchange, flow)
        if flow.streams:
            payload["stream"] = True
        payload["phase"] = _PHASES.get(target.route, "stream" if flow.streams else "complete")
        self._add(flow, t, Direction.OUT, Kind.REQUEST, payload)

    def _absolute(self, url: str) -> str:
        return url if "://" in url[:12] else f"{self.base}/{url.lstrip('/')}"

    def _begin(
        self,
        t: float,
        target: Target,
        payload: dict[str, Any],
        files: Sequence[Mapping[str, Any]] | None,
    ) -> _Flow | None:
        """Return what a request is part of, or None if it makes no frames."""
        body: bytes | None = payload["body"]
        fields = _json_object(body) if target.route in _WITH_JSON else {}
        flow = _Flow(target, payload["method"], payload["url"], "")
        match target.route:
            case Route.PAGE | Route.CONFIG | Route.INFO:
                flow.channel = "discover"
                flow.on_reply = self._take_info if target.route is Route.INFO else self._take_config
            case Route.LOGIN:
                flow.channel = "login"
                self._learn_login(body)
            case Route.UPLOAD:
                flow.channel = self._free_channel("upload")
                content_type = _header(payload["headers"], "content-type")
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
                return self._continue(flow, self._events.get(_identifier(fields, "event_id")), "data")
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

    def _continue(self, flow: _Flow, call: FoundCall | None, channel: str) -> _Flow | None:
        """Make a request one of a call that is known; None, and a reason, if it is not."""
        if call is None:
            self._skip(f"a request of a call that is not known ({flow.target.route})")
            return None
        flow.session, flow.call, flow.channel = call.session, call, channel
        return flow

    def _begin_other(self, flow: _Flow, t: float, payload: Mapping[str, Any]) -> _Flow | None:
        self.other[_kind_of_path(flow.url, self.base)] += 1
        is_page = flow.method == "GET" and "text/html" in _header(payload["headers"], "accept")
        if not is_page and not self._keep_other:
            return None
        flow.channel = "other"
        if is_page:  # of an app with several pages: each holds the config
            flow.slots, flow.on_reply = [], self._take_config
        return flow

    # --- calls ---------------------------------------------------------------------------------------

    def _session(self, fields: Mapping[str, Any], adapter: str, *, alone: bool = False) -> FoundSession:
        """Return the session that a request names, or one of those that name none.

        Args:
            fields: JSON of the request, or parameters of its URL.
            adapter: The name of its adapter. A client may use several with one hash.
            alone: Make a new one if it names none.
        """
        session_hash = _identifier(fields, "session_hash")
        if not session_hash:
            self._unnamed += alone
            session_hash = f"unnamed-{adapter}-{self._unnamed if alone else 0}"
        key = session_hash, adapter
        session = self._sessions.get(key)
        if session is None or session.lost:
            session = FoundSession(adapter, session_hash)
        _remember(self._sessions, key, session)
        return session

    @property
    def _queue_adapter(self) -> str:
        """The adapter of the queue of 4.9 and later."""
        named = (self.config.protocol if self.config is not None else None) or ""
        return named if named.startswith("sse_") and named in self._registry.names() else "sse_v3"

    def _endpoint(self, fields: Mapping[str, Any], name: str) -> tuple[str | None, int | None]:
        """Return the name and the number of the endpoint that a request is for."""
        number = fields.get("fn_index")
        if isinstance(number, str) and number.isdecimal() and len(number) < 10:
            number = int(number)
        if not isinstance(number, int) or isinstance(number, bool):
            number = None
        name = "/" + name.strip("/") if name.strip("/") else ""
        endpoints = self.config.endpoints if self.config is not None else ()
        alike = [one for one in endpoints if one.fn_index == number]
        if number is None:
            alike = [one for one in endpoints if one.name == name]
            if not alike and name in ("", "/predict"):  # up to 3.2 function 0, whatever its name
                alike = [one for one in endpoints if one.fn_index == 0]
        found = next((one for one in alike if one.name == name), alike[0] if alike else None)
        if found is not None:
            return found.name, found.fn_index
        return name or None, number

    def _find(self, fn_index: int | None) -> Endpoint | None:
        endpoints = self.config.endpoints if self.config is not None else ()
        return next((one for one in endpoints if one.fn_index == fn_index), None)

    def _begin_call(
        self,
        flow: _Flow,
        t: float,
        session: FoundSession,
        endpoint: tuple[str | None, int | None],
        fields: Mapping[str, Any],
        **more: Any,
    ) -> FoundCall:
        """Make the frame of a call that begins with a request."""
        call = FoundCall(session, *endpoint)
        flow.session, flow.call = session, call
        self._add(flow, t, Direction.LOCAL, Kind.CALL, self._call_payload(call, fields) | more, channel="")
        return call

    def _call_payload(self, call: FoundCall, fields: Mapping[str, Any]) -> dict[str, Any]:
        self.calls += 1
        session = call.session
        session.open_calls[id(call)] = call
        if len(session.open_calls) > MOST_EXCHANGES:
            session.open_calls.pop(next(iter(session.open_calls)))
        payload: dict[str, Any] = {"endpoint": call.endpoint, "fn_index": call.fn_index}
        payload["data"] = self._call_data(call, fields)
        payload |= {
            name: fields[name]
            for name in ("event_data", "trigger_id", "oauth_token")
            if fields.get(name) is not None
        }
        if isinstance(fields.get("oauth_token"), str):
            self._secrets.add_passing(fields["oauth_token"])
        return payload

    def _call_data(self, call: FoundCall, fields: Mapping[str, Any]) -> list[Any] | None:
        """Return the arguments of a call; None if a later message has them, see `with_late_arguments`."""
        data = fields.get("data")
        if not isinstance(data, list):
            return None if "data" not in fields else []
        values = cast("list[Any]", data)
        endpoint = self._find(call.fn_index)
        for place in secret_places(endpoint) if endpoint is not None else ():
            if place < len(values):
                self._secrets.add_passing(*leaf_texts(values[place]))
        return values

    def _end_call(self, call: FoundCall) -> None:
        call.over = True
        call.session.open_calls.pop(id(call), None)
        if call.event_id is not None:
            call.session.pending.pop(call.event_id, None)

    def _name_call(self, call: FoundCall, event_id: str | None) -> None:
        """Take the name that the server gives to a call."""
        if event_id is None or len(event_id) > _LONGEST_HASH:
            return
        call.event_id = event_id
        _remember(self._events, event_id, call)
        if event_id in self._early_ends:
            self._end_call(call)
        elif not call.over:
            call.session.pending[event_id] = call

    # The queue of 4.9 and later.

    def _begin_join(self, flow: _Flow, t: float, fields: Mapping[str, Any]) -> None:
        session = self._session(fields, self._queue_adapter)
        flow.channel, flow.on_reply = "join", self._take_joined
        self._begin_call(flow, t, session, self._endpoint(fields, ""), {"data": None, **fields})

    def _take_joined(self, flow: _Flow, body: bytes) -> None:
        call = flow.call
        if call is None:
            return
        event_id = event_id_of(_json_object(body)) if flow.status == 200 else None
        if event_id is None:
            self._end_call(call)
        else:
            self._name_call(call, event_id)

    def _begin_stream(self, flow: _Flow, t: float) -> _Flow:
        session = self._session(flow.target.query, self._queue_adapter)
        older = self._streams.get(id(session))
        if older is not None and not older.detached:
            # A client closes a stream and opens the next at once; the end of the first may be seen later.
            self._end_stream(older, t, Ending.LOCAL, "the client opened another stream")
            older.detached = True
            session = self._session(flow.target.query, self._queue_adapter)
        flow.session, flow.channel, flow.streams = session, "stream", True
        flow.on_event, flow.on_end = self._take_message, self._take_stream_end
        self._streams[id(session)] = flow
        return flow

    def _take_message(self, flow: _Flow, event: ServerSentEvent) -> None:
        """Take a message of a stream that all calls of a session share."""
        session = cast("FoundSession", flow.session)
        kind, event_id = _peek(event.data)
        if kind == "close_stream":
            flow.is_closing = True
        elif event_id is None:
            if kind in (None, "unexpected_error", "server_stopped"):  # a machine gives the stream up
                self._lose(session)
        elif kind in _ENDS:
            call = self._events.get(event_id)
            if call is not None:
                self._end_call(call)
            else:
                _remember(self._early_ends, event_id, None)

    def _take_stream_end(self, flow: _Flow, ending: Ending) -> None:
        session = cast("FoundSession", flow.session)
        if self._streams.get(id(session)) is flow:
            del self._streams[id(session)]
        if session.pending and not flow.is_closing and ending is not Ending.CLEAN:
            self._lose(session)

    def _lose(self, session: FoundSession) -> None:
        session.lost = True
        for call in list(session.open_calls.values()):
            self._end_call(call)

    # The queue of 4.0 to 4.8.

    def _begin_join_stream(self, flow: _Flow, t: float) -> None:
        fields = flow.target.query
        flow.channel, flow.streams = "stream", True
        flow.on_event, flow.on_end = self._take_own_message, self._take_own_end
        self._begin_call(flow, t, self._session(fields, "sse"), self._endpoint(fields, ""), {})

    def _take_own_message(self, flow: _Flow, event: ServerSentEvent) -> None:
        """Take a message of a stream that belongs to one call."""
        call = cast("FoundCall", flow.call)
        kind, event_id = _peek(event.data)
        if kind == "send_data":
            self._name_call(call, event_id)
        elif kind in _ENDS:
            self._end_call(call)

    def _take_own_end(self, flow: _Flow, ending: Ending) -> None:
        self._end_call(cast("FoundCall", flow.call))

    # The polling queue.

    def _take_push(self, flow: _Flow, body: bytes) -> None:
        call = cast("FoundCall", flow.call)
        name = _identifier(_json_object(body), "hash") if flow.status == 200 else ""
        if name:
            _remember(self._hashes, name, call)
        else:
            self._end_call(call)

    def _begin_poll(self, flow: _Flow, t: float, fields: Mapping[str, Any]) -> _Flow | None:
        found = self._continue(flow, self._hashes.get(_identifier(fields, "hash")), "status")
        if found is not None:
            flow.on_reply = self._take_status
            self._add(flow, t, Direction.LOCAL, Kind.WAKE, {}, channel="poll")
        return found

    def _take_status(self, flow: _Flow, body: bytes) -> None:
        if flow.status != 200 or _json_object(body).get("status") in ("COMPLETE", "FAILED"):
            self._end_call(cast("FoundCall", flow.call))

    # Direct calls.

    def _begin_run(self, flow: _Flow, t: float, fields: Mapping[str, Any]) -> None:
        session = self._session(fields, "direct")
        name, number = self._endpoint(fields, flow.target.name)
        flow.channel, flow.on_reply = "run", self._take_run
        event_id = _identifier(fields, "event_id")
        call = self._runs.pop((id(session), number, event_id), None)
        if call is not None:  # the next value of a generator
            flow.session, flow.call = session, call
        else:
            call = self._begin_call(flow, t, session, (name, number), {"data": None, **fields})
        call.event_id = event_id or None

    def _take_run(self, flow: _Flow, body: bytes) -> None:
        call, config = cast("FoundCall", flow.call), self.config
        continues = config is None or (config.at_least(3, 3) and not config.at_least(6, 27))
        reply = _json_object(body) if flow.status == 200 and continues else {}
        if reply.get("is_generating") is True:
            _remember(self._runs, (id(call.session), call.fn_index, call.event_id or ""), call)
        else:
            self._end_call(call)

    # The simple API.

    def _begin_simple_call(self, flow: _Flow, t: float, fields: Mapping[str, Any]) -> None:
        adapter = "call_v2" if flow.target.route is Route.CALL_V2 else "call"
        name, number = self._endpoint({}, flow.target.name)
        endpoint = self._find(number)
        session = self._session(fields, adapter, alone=endpoint is None or _has_state(endpoint))
        flow.channel, flow.on_reply = "join", self._take_joined
        if adapter == "call_v2":
            token = fields.get("oauth_token")
            fields = {"data": _named_data(endpoint, fields)} | ({"oauth_token": token} if token else {})
        self._begin_call(flow, t, session, (name, number), {"data": None, **fields})

    def _begin_call_stream(self, flow: _Flow, t: float) -> _Flow | None:
        target = flow.target
        call = self._events.get(target.event_id)
        flow.channel, flow.streams = "stream", True
        flow.on_event, flow.on_end = self._take_call_event, self._take_own_end
        if call is None:  # joined before the recording began
            name, number = self._endpoint({}, target.name)
            session = self._session({}, "call", alone=True)
            joined = {"event_id": target.event_id}
            call = self._begin_call(flow, t, session, (name, number), {"data": []}, **joined)
            self._name_call(call, target.event_id)
        elif call.fetched:
            self._skip("a second stream of a call")
            return None
        call.fetched = True
        return self._continue(flow, call, "stream")

    def _take_call_event(self, flow: _Flow, event: ServerSentEvent) -> None:
        if event.event in ("complete", "error"):
            self._end_call(cast("FoundCall", flow.call))

    # Further input, cancellation.

    def _begin_input(self, flow: _Flow, t: float, fields: Mapping[str, Any]) -> _Flow | None:
        call = self._events.get(flow.target.event_id)
        if call is not None:
            call.inputs += 1
        found = self._continue(flow, call, f"send-{call.inputs if call is not None else 0}")
        if found is None or call is None:
            return None
        if flow.target.route is Route.INPUT_END:
            self._add(flow, t, Direction.LOCAL, Kind.FINISH, {}, channel="")
        else:
            data = self._call_data(call, fields) or []
            self._add(flow, t, Direction.LOCAL, Kind.SEND, {"data": data}, channel="")
        return found

    def _begin_cancel(self, flow: _Flow, t: float, fields: Mapping[str, Any]) -> _Flow | None:
        call = self._events.get(_identifier(fields, "event_id"))
        if call is None and "event_id" not in fields:
            call = self._newest_call(_identifier(fields, "session_hash"), fields.get("fn_index"))
        found = self._continue(flow, call, flow.target.route.value)
        if found is not None and call is not None and not call.over:
            self._add(flow, t, Direction.LOCAL, Kind.CANCEL, {}, channel="")
            if flow.target.route is Route.RESET and call.event_id is not None:
                flow.channel = "cancel"
            # It stays known, because clients send more than one request.
            self._end_call(call)
        return found

    def _newest_call(self, session_hash: str, fn_index: Any) -> FoundCall | None:
        """Return the newest call of a function in a session that is not over (servers up to 3.50)."""
        for adapter in ("websocket", "direct"):
            session = self._sessions.get((session_hash, adapter))
            for call in reversed(list(session.open_calls.values()) if session is not None else ()):
                if call.fn_index == fn_index:
                    return call
        return None

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
    def _is_stream(flow: _Flow) -> bool:
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

    def _buffer(self, flow: _Flow, data: bytes) -> None:
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

    def _end_stream(self, flow: _Flow, t: float, ending: Ending, reason: str) -> None:
        if ending is Ending.LOCAL and flow.call is not None and not flow.call.over:
            self._cancel_by_closing(flow, t, Kind.STREAM_CLOSE)
        elif flow.is_open_stream:
            if ending is Ending.LOCAL and not reason:
                reason = "the client closed it"
            payload = {"ending": ending.value, "code": None, "reason": reason}
            self._add(flow, t, Direction.IN, Kind.END, payload)
        else:
            message = f"No reply came: {reason or 'the connection ended'}."
            self._add(flow, t, Direction.IN, Kind.ERROR, {"error": "StreamLost", "message": message})
        self._free(flow)
        if flow.on_end is not None:
            flow.on_end(flow, ending)

    def _cancel_by_closing(self, flow: _Flow, t: float, kind: Kind) -> None:
        """Make the frames of a client that closed a call's own stream or socket: that cancels the call."""
        self._add(flow, t, Direction.LOCAL, Kind.CANCEL, {}, channel="")
        self._add(flow, t, Direction.OUT, kind, {})

    def _end_reply(self, flow: _Flow, t: float) -> None:
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
            _remember(self._redirected, (flow.method, target), flow)
        elif flow.on_reply is not None:
            flow.on_reply(flow, body)
        self._add(flow, t, Direction.IN, Kind.RESPONSE, payload)
        self._let_go(flow)
        self._free(flow)
        if flow.streams and target is None and flow.on_end is not None:  # a refusal
            flow.on_end(flow, Ending.RESET)

    def _redirect_target(self, flow: _Flow) -> str | None:
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

    def _fail(self, flow: _Flow, t: float, error: str, message: str) -> None:
        if flow.target.route is Route.SOCKET:
            self._identify_without_words(flow, t)
        self._add(flow, t, Direction.IN, Kind.ERROR, {"error": error, "message": message})
        self._let_go(flow)
        self._free(flow)
        if flow.on_end is not None:
            flow.on_end(flow, Ending.RESET)
        elif flow.call is not None and flow.channel in ("join", "push", "run", "socket"):
            self._end_call(flow.call)

    # --- what the app says of itself -----------------------------------------------------------------

    def _take_config(self, flow: _Flow, body: bytes) -> None:
        """Read the config of a page, or of ``/config``."""
        if flow.status != 200:
            return
        raw: Any = _json_object(body)
        if not raw and flow.target.route is not Route.CONFIG:
            raw = config_from_page(body.decode("utf-8", "replace")) or {}
        if not is_config(raw) or requires_login(raw):
            return
        if flow.slots is not None:  # a page besides the first
            flow.channel = "discover"
        if body == self._config_body:
            return
        try:
            outline = parse_outline(raw, url=self.base)
            self.config = with_endpoints(outline, self._info)
        except GradioTransportError as error:
            self._skip(f"a config that cannot be read ({type(error).__name__})")
            return
        self._config_body = body

    def _take_info(self, flow: _Flow, body: bytes) -> None:
        info = _json_object(body) if flow.status == 200 else {}
        if not info or info == self._info:
            return
        self._info = info
        if self.config is not None:
            self.config = with_endpoints(self.config, info)

    # --- websockets ----------------------------------------------------------------------------------

    def _websocket_opened(self, exchange: int, t: float, url: str, headers: Mapping[str, str]) -> None:
        url = re.sub(r"\Aws(?=s?://)", "http", self._absolute(url))
        target = self._target("GET", url)
        if target is None or target.route is not Route.JOIN_STREAM:
            self._skip("a websocket that is not of the queue")
            return
        self._learn_credentials(headers)
        shown = "ws" + url.removeprefix("http")
        flow = _Flow(attrs.evolve(target, route=Route.SOCKET), "GET", shown, "socket")
        flow.slots = []
        _remember(self._flows, exchange, flow)
        self._add(flow, t, Direction.OUT, Kind.WS_OPEN, {"url": shown, "headers": dict(headers)})

    def _websocket_accepted(self, exchange: int, t: float) -> None:
        flow = self._flows.get(exchange)
        if flow is not None:
            self._add(flow, t, Direction.IN, Kind.WS_ACCEPT, {})

    def _websocket_text(self, exchange: int, t: float, direction: Direction, text: str) -> None:
        flow = self._flows.get(exchange)
        if flow is None:
            self._output.advance(t)
            return
        if direction is Direction.OUT and flow.call is None:
            self._identify(flow, t, text)
        elif direction is Direction.OUT and flow.call is not None:
            self._call_data(flow.call, _json_object(text.encode("utf-8", "replace")))  # for its secrets
        self._add(flow, t, direction, Kind.WS_TEXT, {"text": text})
        if direction is Direction.IN and flow.call is not None and _peek(text)[0] in _ENDS:
            self._end_call(flow.call)

    def _identify(self, flow: _Flow, t: float, text: str) -> None:
        """Find the call of a websocket in what the client says."""
        fields = _json_object(text.encode("utf-8", "replace"))
        if "hash" in fields:  # 3.1.5 to 3.1.7: the function comes with the data
            flow.greeting = _identifier(fields, "hash")
            if self.config is None or parse_release(self.config.version) is None:
                self._add(flow, t, Direction.LOCAL, Kind.WAKE, {})
            return
        if "fn_index" not in fields:
            return
        session = self._session({"session_hash": flow.greeting, **fields}, "websocket")
        self._begin_socket_call(flow, t, FoundCall(session, *self._endpoint(fields, "")), fields)

    def _begin_socket_call(self, flow: _Flow, t: float, call: FoundCall, fields: Mapping[str, Any]) -> None:
        session, slots = call.session, flow.slots or []
        flow.session, flow.call, flow.slots = session, call, None
        held = [draft for slot in slots for draft in slot.drafts]
        opened = held[0].t if held else t
        payload = self._call_payload(call, fields)
        begin = Draft(opened, Direction.LOCAL, Kind.CALL, "", payload, session, call)
        complete = [[attrs.evolve(draft, session=session, call=call)] for draft in held]
        if complete:
            complete[0].insert(0, begin)
        self._output.resolve(slots, complete)
        said = (draft for draft in held if (draft.direction, draft.kind) == (Direction.IN, Kind.WS_TEXT))
        if any(_peek(str(draft.payload["text"]))[0] in _ENDS for draft in said):
            self._end_call(call)

    def _websocket_closed(
        self, exchange: int, t: float, code: int | None, reason: str, direction: Direction
    ) -> None:
        flow = self._flows.pop(exchange, None)
        if flow is None:
            self._output.advance(t)
            return
        self._identify_without_words(flow, t)
        if direction is Direction.OUT and flow.call is not None and not flow.call.over:
            self._cancel_by_closing(flow, t, Kind.WS_CLOSE)
        else:
            ending = Ending.RESET if code in (None, 1006) else Ending.CLEAN
            if direction is Direction.OUT:
                ending, reason = Ending.LOCAL, reason or "the client closed it"
            shown = None if code == 1006 else code
            payload = {"ending": ending.value, "code": shown, "reason": reason}
            self._add(flow, t, Direction.IN, Kind.END, payload)
        if flow.call is not None:
            self._end_call(flow.call)

    def _identify_without_words(self, flow: _Flow, t: float) -> None:
        """Make a call of a websocket that ends before its client has named one: the queue is full, ..."""
        if flow.call is not None or flow.slots is None:
            return
        session = self._session({"session_hash": flow.greeting}, "websocket", alone=True)
        self._begin_socket_call(flow, t, FoundCall(session, None, None), {"data": []})

    # --- frames --------------------------------------------------------------------------------------

    def _add(
        self,
        flow: _Flow,
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

    def _let_go(self, flow: _Flow) -> None:
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

    def _free(self, flow: _Flow) -> None:
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


_WITH_JSON = frozenset(
    {
        Route.JOIN, Route.DATA, Route.PUSH, Route.STATUS, Route.DIRECT, Route.CALL, Route.CALL_V2,
        Route.INPUT, Route.CANCEL, Route.RESET,
    }
)  # fmt: skip

_PHASES: Mapping[Route, str] = {
    Route.PAGE: "discover",
    Route.CONFIG: "discover",
    Route.INFO: "discover",
    Route.LOGIN: "login",
    Route.UPLOAD: "upload",
    Route.FILE: "download",
    Route.JOIN: "join",
    Route.DATA: "join",
    Route.PUSH: "join",
    Route.CALL: "join",
    Route.CALL_V2: "join",
    Route.STATUS: "stream",
    Route.INPUT: "stream",
    Route.INPUT_END: "stream",
    Route.CANCEL: "cancel",
    Route.RESET: "cancel",
}
"""The phase that this library would name for a request."""


def _remember(where: OrderedDict[Any, _T], key: Any, value: _T) -> None:
    """Keep a value, and forget the oldest if there are too many."""
    where[key] = value
    where.move_to_end(key)
    if len(where) > MOST_EXCHANGES:
        where.popitem(last=False)


def _json_object(body: bytes | None) -> dict[str, Any]:
    """Return a JSON object; an empty one for anything else."""
    if not body or body.lstrip()[:1] != b"{":
        return {}
    try:
        value = decode_json(body)
    except ValueError:
        return {}
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _identifier(fields: Mapping[str, Any], name: str) -> str:
    """Return the value of a field that is an id; empty for anything else."""
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and len(value) <= _LONGEST_HASH else ""


def _header(headers: Mapping[str, str], wanted: str) -> str:
    return next((value for name, value in headers.items() if name.lower() == wanted), "")


def _peek(text: str) -> tuple[str | None, str | None]:
    """Return the name and the event id of a message."""
    if len(text) > _PEEKED:
        found = dict(_HEAD.findall(text[:1024]))
        return found.get("msg", ""), found.get("event_id")
    message = _json_object(text.encode("utf-8", "replace"))
    kind = message.get("msg")
    return (kind if isinstance(kind, str) else None if not message else ""), event_id_of(message)


def _kind_of_path(url: str, base: str) -> str:
    """Return the first part of a path, to count by; at most some letters."""
    path = url.partition("?")[0].removeprefix(base).removeprefix("/gradio_api").strip("/")
    return re.sub(r"[^\w.-].*", "", path, flags=re.DOTALL)[:40] or "/"


def _has_state(endpoint: Endpoint) -> bool:
    return any(slot.type in ("state", "variable") for slot in (*endpoint.inputs, *endpoint.outputs))


def _named_data(endpoint: Endpoint | None, fields: Mapping[str, Any]) -> list[Any]:
    """Return the arguments of ``/call/v2``, which come by name, as those of the wire."""
    if endpoint is None:
        return list(fields.values())
    values = iter(
        [fields.get(one.name, one.default if one.has_default else None) for one in endpoint.parameters]
    )
    if not endpoint.inputs:
        return list(values)
    return [None if slot.skipped else next(values, None) for slot in endpoint.inputs]


__all__ = ["Inference"]
