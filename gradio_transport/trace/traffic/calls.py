# SPDX-License-Identifier: Apache-2.0
"""The calls and sessions of other clients' requests."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, cast

import attrs

from ...adapter.registry import Registry
from ...app.config import AppConfig, Endpoint
from ...app.config_parsing import (
    config_from_page,
    is_config,
    parse_outline,
    parse_release,
    requires_login,
    with_endpoints,
)
from ...calls.given_secrets import leaf_texts, secret_places
from ...errors import GradioTransportError
from ...protocol.commands import Ending
from ...protocol.frames import Direction, Kind, Tap
from ...protocol.known_secrets import KnownSecrets
from ...protocol.messages import event_id_of
from ...protocol.sse import ServerSentEvent
from .flow import (
    ENDS,
    LONGEST_HASH,
    MOST_EXCHANGES,
    Flow,
    has_state,
    identifier,
    json_object,
    named_data,
    peek,
    remember,
)
from .output import Draft, FoundCall, FoundSession, OrderedOutput
from .routes import Route, Target, find_target, path_below


class TrafficCalls:
    """The calls of the traffic with one app, and what they are found by.

    `Inference` is the part that takes requests and replies, and asks this one what they belong to.

    Attributes:
        base: URL of the app.
        config: Its config, once it was seen.
        calls: How many calls were found.
    """

    def __init__(self, base: str, tap: Tap, registry: Registry) -> None:
        self.base = base.rstrip("/")
        self.config: AppConfig | None = None
        self.calls = 0
        self._info: Any = None
        self._config_body = b""
        self._registry = registry
        self._secrets = KnownSecrets()
        self._sessions: OrderedDict[tuple[str, str], FoundSession] = OrderedDict()
        self._streams: dict[int, Flow] = {}
        self._events: OrderedDict[str, FoundCall] = OrderedDict()
        self._early_ends: OrderedDict[str, None] = OrderedDict()
        self._hashes: OrderedDict[str, FoundCall] = OrderedDict()
        self._runs: OrderedDict[tuple[int, int | None, str], FoundCall] = OrderedDict()
        self._unnamed = 0
        self._output = OrderedOutput(tap, self.base, self._secrets)
        self._flows: OrderedDict[int, Flow] = OrderedDict()

    def _skip(self, reason: str) -> None:
        raise NotImplementedError

    def _learn_credentials(self, headers: Mapping[str, str]) -> None:
        raise NotImplementedError

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
        """Make a frame of what is part of a request or a websocket."""
        raise NotImplementedError

    def _end_stream(self, flow: Flow, t: float, ending: Ending, reason: str) -> None:
        raise NotImplementedError

    @property
    def _prefix(self) -> str:
        return (self.config.api_prefix if self.config is not None else "") or "/gradio_api"

    def _target(self, method: str, url: str) -> Target | None:
        root = self.config.root if self.config is not None else ""
        found = path_below(url, (self.base, root) if root.startswith("http") else (self.base,))
        return None if found is None else find_target(method.upper(), *found, prefix=self._prefix)

    def _absolute(self, url: str) -> str:
        return url if "://" in url[:12] else f"{self.base}/{url.lstrip('/')}"

    # --- what the app says of itself -----------------------------------------------------------------

    def _take_config(self, flow: Flow, body: bytes) -> None:
        """Read the config of a page, or of ``/config``."""
        if flow.status != 200:
            return
        raw: Any = json_object(body)
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

    def _take_info(self, flow: Flow, body: bytes) -> None:
        info = json_object(body) if flow.status == 200 else {}
        if not info or info == self._info:
            return
        self._info = info
        if self.config is not None:
            self.config = with_endpoints(self.config, info)

    # --- calls ---------------------------------------------------------------------------------------

    def _session(self, fields: Mapping[str, Any], adapter: str, *, alone: bool = False) -> FoundSession:
        """Return the session that a request names, or one of those that name none.

        Args:
            fields: JSON of the request, or parameters of its URL.
            adapter: The name of its adapter. A client may use several with one hash.
            alone: Make a new one if it names none.
        """
        session_hash = identifier(fields, "session_hash")
        if not session_hash:
            self._unnamed += alone
            session_hash = f"unnamed-{adapter}-{self._unnamed if alone else 0}"
        key = session_hash, adapter
        session = self._sessions.get(key)
        if session is None or session.lost:
            session = FoundSession(adapter, session_hash)
        remember(self._sessions, key, session)
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
        flow: Flow,
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
        """Record the server's id of a call."""
        if event_id is None or len(event_id) > LONGEST_HASH:
            return
        call.event_id = event_id
        remember(self._events, event_id, call)
        if event_id in self._early_ends:
            self._end_call(call)
        elif not call.over:
            call.session.pending[event_id] = call

    def _continue(self, flow: Flow, call: FoundCall | None, channel: str) -> Flow | None:
        """Make a request one of a call that is known; None, and a reason, if it is not."""
        if call is None:
            self._skip(f"a request of a call that is not known ({flow.target.route})")
            return None
        flow.session, flow.call, flow.channel = call.session, call, channel
        return flow

    def _cancel_by_closing(self, flow: Flow, t: float, kind: Kind) -> None:
        """Make the frames of a client that closed a call's own stream or socket: that cancels the call."""
        self._add(flow, t, Direction.LOCAL, Kind.CANCEL, {}, channel="")
        self._add(flow, t, Direction.OUT, kind, {})

    # The queue of 4.9 and later.

    def _begin_join(self, flow: Flow, t: float, fields: Mapping[str, Any]) -> None:
        session = self._session(fields, self._queue_adapter)
        flow.channel, flow.on_reply = "join", self._take_joined
        self._begin_call(flow, t, session, self._endpoint(fields, ""), {"data": None, **fields})

    def _take_joined(self, flow: Flow, body: bytes) -> None:
        call = flow.call
        if call is None:
            return
        event_id = event_id_of(json_object(body)) if flow.status == 200 else None
        if event_id is None:
            self._end_call(call)
        else:
            self._name_call(call, event_id)

    def _begin_stream(self, flow: Flow, t: float) -> Flow:
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

    def _take_message(self, flow: Flow, event: ServerSentEvent) -> None:
        """Process a message of a stream that all calls of a session share."""
        session = cast("FoundSession", flow.session)
        kind, event_id = peek(event.data)
        if kind == "close_stream":
            flow.is_closing = True
        elif event_id is None:
            if kind in (None, "unexpected_error", "server_stopped"):  # a machine gives the stream up
                self._lose(session)
        elif kind in ENDS:
            call = self._events.get(event_id)
            if call is not None:
                self._end_call(call)
            else:
                remember(self._early_ends, event_id, None)

    def _take_stream_end(self, flow: Flow, ending: Ending) -> None:
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

    def _begin_join_stream(self, flow: Flow, t: float) -> None:
        fields = flow.target.query
        flow.channel, flow.streams = "stream", True
        flow.on_event, flow.on_end = self._take_own_message, self._take_own_end
        self._begin_call(flow, t, self._session(fields, "sse"), self._endpoint(fields, ""), {})

    def _take_own_message(self, flow: Flow, event: ServerSentEvent) -> None:
        """Process a message of a stream that belongs to one call."""
        call = cast("FoundCall", flow.call)
        kind, event_id = peek(event.data)
        if kind == "send_data":
            self._name_call(call, event_id)
        elif kind in ENDS:
            self._end_call(call)

    def _take_own_end(self, flow: Flow, ending: Ending) -> None:
        self._end_call(cast("FoundCall", flow.call))

    # The polling queue.

    def _take_push(self, flow: Flow, body: bytes) -> None:
        call = cast("FoundCall", flow.call)
        name = identifier(json_object(body), "hash") if flow.status == 200 else ""
        if name:
            remember(self._hashes, name, call)
        else:
            self._end_call(call)

    def _begin_poll(self, flow: Flow, t: float, fields: Mapping[str, Any]) -> Flow | None:
        found = self._continue(flow, self._hashes.get(identifier(fields, "hash")), "status")
        if found is not None:
            flow.on_reply = self._take_status
            self._add(flow, t, Direction.LOCAL, Kind.WAKE, {}, channel="poll")
        return found

    def _take_status(self, flow: Flow, body: bytes) -> None:
        if flow.status != 200 or json_object(body).get("status") in ("COMPLETE", "FAILED"):
            self._end_call(cast("FoundCall", flow.call))

    # Direct calls.

    def _begin_run(self, flow: Flow, t: float, fields: Mapping[str, Any]) -> None:
        session = self._session(fields, "direct")
        name, number = self._endpoint(fields, flow.target.name)
        flow.channel, flow.on_reply = "run", self._take_run
        event_id = identifier(fields, "event_id")
        call = self._runs.pop((id(session), number, event_id), None)
        if call is not None:  # the next value of a generator
            flow.session, flow.call = session, call
        else:
            call = self._begin_call(flow, t, session, (name, number), {"data": None, **fields})
        call.event_id = event_id or None

    def _take_run(self, flow: Flow, body: bytes) -> None:
        call, config = cast("FoundCall", flow.call), self.config
        continues = config is None or (config.at_least(3, 3) and not config.at_least(6, 27))
        reply = json_object(body) if flow.status == 200 and continues else {}
        if reply.get("is_generating") is True:
            remember(self._runs, (id(call.session), call.fn_index, call.event_id or ""), call)
        else:
            self._end_call(call)

    # The simple API.

    def _begin_simple_call(self, flow: Flow, t: float, fields: Mapping[str, Any]) -> None:
        adapter = "call_v2" if flow.target.route is Route.CALL_V2 else "call"
        name, number = self._endpoint({}, flow.target.name)
        endpoint = self._find(number)
        session = self._session(fields, adapter, alone=endpoint is None or has_state(endpoint))
        flow.channel, flow.on_reply = "join", self._take_joined
        if adapter == "call_v2":
            token = fields.get("oauth_token")
            fields = {"data": named_data(endpoint, fields)} | ({"oauth_token": token} if token else {})
        self._begin_call(flow, t, session, (name, number), {"data": None, **fields})

    def _begin_call_stream(self, flow: Flow, t: float) -> Flow | None:
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

    def _take_call_event(self, flow: Flow, event: ServerSentEvent) -> None:
        if event.event in ("complete", "error"):
            self._end_call(cast("FoundCall", flow.call))

    # Further input, cancellation.

    def _begin_input(self, flow: Flow, t: float, fields: Mapping[str, Any]) -> Flow | None:
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

    def _begin_cancel(self, flow: Flow, t: float, fields: Mapping[str, Any]) -> Flow | None:
        call = self._events.get(identifier(fields, "event_id"))
        if call is None and "event_id" not in fields:
            call = self._newest_call(identifier(fields, "session_hash"), fields.get("fn_index"))
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

    # --- websockets ----------------------------------------------------------------------------------

    def _websocket_opened(self, exchange: int, t: float, url: str, headers: Mapping[str, str]) -> None:
        url = re.sub(r"\Aws(?=s?://)", "http", self._absolute(url))
        target = self._target("GET", url)
        if target is None or target.route is not Route.JOIN_STREAM:
            self._skip("a websocket that is not of the queue")
            return
        self._learn_credentials(headers)
        shown = "ws" + url.removeprefix("http")
        flow = Flow(attrs.evolve(target, route=Route.SOCKET), "GET", shown, "socket")
        flow.slots = []
        remember(self._flows, exchange, flow)
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
            self._call_data(flow.call, json_object(text.encode("utf-8", "replace")))  # for its secrets
        self._add(flow, t, direction, Kind.WS_TEXT, {"text": text})
        if direction is Direction.IN and flow.call is not None and peek(text)[0] in ENDS:
            self._end_call(flow.call)

    def _identify(self, flow: Flow, t: float, text: str) -> None:
        """Find the call of a websocket in what the client says."""
        fields = json_object(text.encode("utf-8", "replace"))
        if "hash" in fields:  # 3.1.5 to 3.1.7: the function comes with the data
            flow.greeting = identifier(fields, "hash")
            if self.config is None or parse_release(self.config.version) is None:
                self._add(flow, t, Direction.LOCAL, Kind.WAKE, {})
            return
        if "fn_index" not in fields:
            return
        session = self._session({"session_hash": flow.greeting, **fields}, "websocket")
        self._begin_socket_call(flow, t, FoundCall(session, *self._endpoint(fields, "")), fields)

    def _begin_socket_call(self, flow: Flow, t: float, call: FoundCall, fields: Mapping[str, Any]) -> None:
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
        if any(peek(str(draft.payload["text"]))[0] in ENDS for draft in said):
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

    def _identify_without_words(self, flow: Flow, t: float) -> None:
        """Make a call of a websocket that ends before its client has named one: the queue is full, ..."""
        if flow.call is not None or flow.slots is None:
            return
        session = self._session({"session_hash": flow.greeting}, "websocket", alone=True)
        self._begin_socket_call(flow, t, FoundCall(session, None, None), {"data": []})


__all__ = ["TrafficCalls"]
